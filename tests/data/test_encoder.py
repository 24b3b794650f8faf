from __future__ import annotations

import json

import numpy as np
import pytest

from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError, DataError
from denpa.data.checks import check_data
from denpa.data.encoder import CategoricalColumn, NumericColumn, TableEncoder
from denpa.data.normalise import Normalizer
from denpa.data.readers import read_table

TRAIN = "age,colour,label\n30,red,yes\n20,blue,no\n40,red,yes\n,blue,no\n90,,yes\n"
WAYS = {"age": "median", "colour": "category"}


@pytest.fixture
def write(tmp_path):
    def save(text, name="data.csv"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return save


@pytest.fixture
def fitted(write):
    table = read_table(write(TRAIN, "train.csv"), "label", missing=WAYS)
    encoder = TableEncoder.of(table)
    return table, encoder, encoder.fit(table)


def test_numbers_are_standardised_after_filling_and_categories_one_hot(fitted):
    table, encoder, arrays = fitted
    x = encoder.apply(arrays, table)
    ages = np.array([30, 20, 40, 35, 90.0])  # the gap takes the median of 20 30 40 90, not their mean 45
    assert encoder.feature_names == ("age", "colour=blue", "colour=red", "colour=(missing)")
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0], (ages - ages.mean()) / ages.std(), rtol=1e-6)
    assert x[:, 1:].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert arrays["fill"].tolist() == [35]


def test_the_mean_fills_when_it_was_chosen(write):
    table = read_table(write("a,b\n1,0\n,1\n5,0\n12,1\n"), missing={"a": "mean"})
    encoder = TableEncoder.of(table, standardize=False)
    assert encoder.apply(encoder.fit(table), table).tolist() == [[1, 0], [6, 1], [5, 0], [12, 1]]


def test_a_large_offset_costs_no_digits(write):
    """Seconds since 1970, of which float32 knows only every 128th."""
    rows = "".join(f"{1_700_000_000 + k},{k % 2}\n" for k in (0, 3, 1, 2))
    table = read_table(write("time,b\n" + rows))
    encoder = TableEncoder.of(table)
    arrays = encoder.fit(table)
    seconds = encoder.apply(arrays, table)[:, 0] * arrays["scale"][0]
    np.testing.assert_allclose(np.diff(seconds), [3, -2, 1], rtol=1e-5)


def test_targets_are_class_indices_or_values(fitted, write):
    table, encoder, arrays = fitted
    data = encoder.encode(arrays, table)
    assert data.t.tolist() == [1, 0, 1, 0, 1]
    assert (data.t.dtype, data.task, data.class_names) == (np.int32, "classification", ("no", "yes"))
    check_data(data.x, data.t, task=data.task, classes=2, feature_names=data.feature_names)
    table = read_table(write("a,y\n1,0.5\n2,1.5\n4,2.25\n"), "y")
    encoder = TableEncoder.of(table)
    data = encoder.encode(encoder.fit(table), table)
    assert data.t.tolist() == [[0.5], [1.5], [2.25]]
    assert (data.t.dtype, data.task, data.class_names) == (np.float32, "regression", None)


@pytest.mark.parametrize("value", ["1e39", "-1e39"])
def test_a_target_beyond_float32_is_refused(write, value):
    table = read_table(write(f"a,y\n1,0.5\n2,{value}\n3,1\n"), "y")
    with pytest.raises(DataError, match="beyond the range of float32"):
        TableEncoder.of(table).targets(table)


def test_integer_classes_are_ordered_by_value(write):
    rows = "".join(f"{i}.5,{label}\n" for i, label in enumerate([10, 2, 1] * 4))
    table = read_table(write("x,t\n" + rows), "t")
    encoder = TableEncoder.of(table)
    assert encoder.class_names == ("1", "2", "10")
    assert encoder.targets(table).tolist() == [2, 1, 0] * 4


def test_only_training_rows_are_learned_from(write):
    rows = "".join(f"{i},{'ab'[i % 2]},{i % 2}\n" for i in [1, 6, 3, 8, 5, 2])
    table = read_table(write("n,c,t\n" + rows + "900,z,1\n"), "t")
    train, test = table[:-1], table[-1]
    encoder = TableEncoder.of(train, unseen="zeros")
    arrays = encoder.fit(train)
    assert encoder.columns[1].categories == ("a", "b")
    np.testing.assert_allclose(arrays["mean"], [25 / 6], rtol=1e-6)
    assert encoder.apply(arrays, test)[0, 1:].tolist() == [0, 0]
    assert encoder.apply(arrays, test)[0, 0] > 100
    strict = TableEncoder.of(train)
    with pytest.raises(
        DataError, match=r"'c' holds 'z' on line 8, a category that the training rows .*\(a, b\)\. .*zeros"
    ):
        strict.apply(strict.fit(train), test)


def test_a_new_file_is_read_by_what_its_columns_were_in_training(fitted, write):
    table, encoder, arrays = fitted
    # No target, other order, a column more, and a single row from which nothing could be inferred.
    new = encoder.read(write("remark,colour,age\nhello,red,30\n"))
    np.testing.assert_array_equal(encoder.apply(arrays, new), encoder.apply(arrays, table)[:1])
    assert encoder.encode(arrays, new).t is None
    gaps = encoder.read(write("colour;age\n;\n"))
    np.testing.assert_array_equal(encoder.apply(arrays, gaps)[:, 1:], [[0, 0, 1]])


def test_categories_that_look_like_numbers_stay_as_they_are_written(write):
    table = read_table(write("zip,t\n01,a\n1,b\n01,a\n1,b\n"), "t", categorical=["zip"])
    encoder = TableEncoder.of(table)
    arrays = encoder.fit(table)
    assert arrays == {}
    assert encoder.feature_names == ("zip=01", "zip=1")
    assert encoder.apply(arrays, encoder.read(write("zip,t\n1,b\n"))).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age\n30\n", r"no column 'colour'"),
        ("agee,colour\n30,red\n", "no column 'age': did you mean 'agee'"),
        ("age,colour\n30,red\nold,blue\n", "'age' held numbers in training, but holds 'old' on line 3"),
        ("age;colour\n30,5;red\n31;blue\n", r"but holds '30,5' on line 2\. Pass decimal=',' where a comma"),
        ("age,colour\n30,pink\n31,red\n32,grey\n", "holds 'pink' on lines 2, 4, a category"),
    ],
)
def test_new_files_that_do_not_fit_are_refused(fitted, write, text, message):
    _, encoder, arrays = fitted
    with pytest.raises(DataError, match=message):
        encoder.apply(arrays, encoder.read(write(text)))


def test_a_point_that_groups_thousands_is_no_decimal_point_in_a_later_file(write):
    table = read_table(write("a;t\n950,5;x\n7;y\n"), "t", decimal=",")
    encoder = TableEncoder.of(table)
    with pytest.raises(DataError, match=r"column 'a' held numbers in training, but holds '1\.234' on line 3"):
        encoder.apply(encoder.fit(table), encoder.read(write("a;t\n8,5;x\n1.234;y\n")))


def test_gaps_that_training_did_not_have_are_refused(write):
    table = read_table(write("n,c,t\n1,a,u\n2,b,v\n5,a,v\n"), "t")
    encoder = TableEncoder.of(table)
    arrays = encoder.fit(table)
    for text, name in [("n,c\n1,a\n,b\n", "n"), ("n,c\n1,a\n2,\n", "c")]:
        with pytest.raises(DataError, match=f"'{name}' is missing on line 3. No way to fill it was chosen"):
            encoder.apply(arrays, encoder.read(write(text)))
    with pytest.raises(DataError, match="target 't' is missing on line 2"):
        encoder.targets(encoder.read(write("n,c,t\n1,a,\n")))
    with pytest.raises(DataError, match="holds 'w' on line 2, a class that"):
        encoder.targets(encoder.read(write("n,c,t\n1,a,w\n")))
    with pytest.raises(DataError, match=r"'n' is missing on line 3\. Choose a way"):
        TableEncoder.of(read_table(write("n,c\n1,a\n,b\n"), missing="keep"))


def test_the_encoder_survives_json(fitted):
    table, encoder, arrays = fitted
    back = from_config(json.loads(json.dumps(to_config(encoder))), Normalizer)
    assert back == encoder
    assert hash(back) == hash(encoder)
    assert eval(repr(encoder)) == encoder
    np.testing.assert_array_equal(back.apply(arrays, table), encoder.apply(arrays, table))


def test_identifiers_and_constants_are_warned_of_and_kept(write):
    rows = "".join(f"{i},name{i},7,{i % 3}.5,{'ab'[i % 2]}\n" for i in range(12))
    table = read_table(write("id,name,same,x,t\n" + rows), "t")
    with pytest.warns(UserWarning, match="leave it out") as caught:
        encoder = TableEncoder.of(table)
    messages = [str(warning.message).split(": ", 1)[1] for warning in caught]
    assert messages == [
        "column 'id' looks like an identifier; leave it out by ignore=['id'].",
        "column 'name' looks like an identifier; leave it out by ignore=['name'].",
        "column 'same' has one value only, 7.0; leave it out by ignore=['same'].",
    ]
    assert caught[0].filename == __file__
    x = encoder.apply(encoder.fit(table), table)
    assert x.shape == (12, 15)
    assert (x[:, 13] == 0).all()  # constant: 0, without a division


@pytest.mark.parametrize(
    ("values", "identifier"),
    [
        ([*range(7, 12), *range(2, 7), *range(12, 15)], True),  # in another order
        ([f"{i}e0" for i in range(1, 14)], False),  # not written as integers
        ([*"abcdefabcdef"], False),  # half of the texts differ
        ([*"abcdefgabcdef"], True),  # more than half
    ],
)
def test_what_looks_like_an_identifier(write, recwarn, values, identifier):
    rows = "".join(f"{value},{(3 * i) % 5}.5\n" for i, value in enumerate(values))
    TableEncoder.of(read_table(write("id,x\n" + rows), categorical=["id"] if values[0] == "a" else []))
    assert ["looks like an identifier" in str(warning.message) for warning in recwarn] == [True] * identifier


@pytest.mark.parametrize("column", ["answer", "x"])
@pytest.mark.parametrize(("one", "other"), [("yes", "Yes"), ("AB", "ＡＢ")])
def test_categories_that_differ_in_capitals_or_width_alone_are_warned_of(write, column, one, other):
    rows = "".join(f"{value},{i * i},{i % 2}\n" for i, value in enumerate([one, "no", other, "no"] * 3))
    file = write(f"{column},n,t\n{rows}")
    with pytest.warns(UserWarning, match=f"column '{column}' holds '{one}' and '{other}', which count") as caught:
        TableEncoder.of(read_table(file, column))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="write them alike"):
        names = TableEncoder.of(read_table(file, "t")).feature_names
    assert set(names) == {f"{column}={value}" for value in (one, "no", other)} | {"n"}


def test_a_number_beyond_float64_is_refused_where_numbers_were_learned(write):
    encoder = TableEncoder.of(read_table(write("x,y\n1,2\n3,1\n4,7\n")))
    with pytest.raises(DataError, match=r"'x' held numbers in training, but holds '1e999' on line 2"):
        encoder.apply({}, encoder.read(write("x,y\n1e999,2\n")))


def test_a_constant_target_is_warned_of(write):
    with pytest.warns(UserWarning, match="the target 't' has one value only, 2.5: nothing to learn"):
        TableEncoder.of(read_table(write("x,t\n1,2.5\n2,2.5\n5,2.5\n"), "t"))


def test_one_class_only_is_refused(write):
    table = read_table(write("x,t\n1,a\n2,a\n5,a\n"), "t")
    with pytest.raises(DataError, match="target 't' has one class only: 'a'"):
        TableEncoder.of(table)


def test_a_table_without_target_has_no_targets(write):
    table = read_table(write("x,y\n1,4\n2,3\n5,1\n"))
    encoder = TableEncoder.of(table)
    with pytest.raises(DataError, match="without a target"):
        encoder.targets(table)
    data = encoder.encode(encoder.fit(table), table)
    assert (data.t, data.task) == (None, None)
    with pytest.raises(ConfigError, match="cannot be inverted"):
        encoder.invert({}, data.x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TableEncoder(()),
        lambda: TableEncoder((NumericColumn("a"),), unseen="ignore"),
        lambda: TableEncoder((NumericColumn("a"), CategoricalColumn("a", ("x",)))),
        lambda: TableEncoder((NumericColumn("a"),), NumericColumn("a")),
        lambda: NumericColumn("a", "category"),
        lambda: CategoricalColumn("a", ("x",), "mean"),
        lambda: CategoricalColumn("a", ("x", "x")),
    ],
)
def test_impossible_encoders_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_later_files_are_read_as_the_training_file_was(write):
    """What `read_table` was told is kept with the encoder, through slices and files, until something else is said."""
    told = {"decimal": ",", "missing_values": ["-"], "encoding": "cp932", "delimiter": "|", "header": True}
    path = write("")
    path.write_text("身長|色|y\n1,70|赤|a\n1,80|青|b\n-|赤|b\n1,60|青|a\n", "cp932")
    table = read_table(path, "y", missing="median", categorical=["色"], **told)[1:]
    encoder = TableEncoder.of(table)
    encoder = from_config(json.loads(json.dumps(to_config(encoder))), TableEncoder)
    assert encoder.written == table.written
    arrays = encoder.fit(table)
    later = write("", "later.csv")
    later.write_text("色|身長\n青|1,70\n赤|-\n", "cp932")
    x = encoder.apply(arrays, encoder.read(later))
    np.testing.assert_allclose(x[:, 0], [0, 0], atol=1e-6)  # 1.70 is mean and median of 1.80 and 1.60
    later.write_text("色,身長\n青,1.70\n赤,?\n", "utf-8")
    told = {"decimal": ".", "missing_values": ["?"], "encoding": "utf-8", "delimiter": ","}
    np.testing.assert_array_equal(encoder.apply(arrays, encoder.read(later, **told)), x)


def test_what_many_categories_will_take_is_told_before(write, monkeypatch):
    table = read_table(write("city,size,y\n" + "".join(f"c{i % 90},{i / 2},{i % 2}\n" for i in range(300))), "y")
    encoder = TableEncoder.of(table)
    arrays = encoder.fit(table)
    monkeypatch.setattr("denpa.data.encoder._MUCH_MEMORY", 100_000)
    with pytest.warns(
        UserWarning, match=r"300 rows of 91 columns will take 0\.0 GiB: the column 'city' has 90 categories"
    ):
        assert encoder.apply(arrays, table).shape == (300, 91)

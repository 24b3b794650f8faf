from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.delimited import csv_text, read_delimited
from denpa.data.readers import raw_table, read_table
from denpa.data.table import sorted_categories


@pytest.fixture
def write(tmp_path):
    def save(text, name="data.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return save


def test_what_is_written_is_read_again(write):
    rows = [("name", "place, or none"), ('a "b"\nc', 0.1), (None, 1e-300)]
    found = read_delimited(write(csv_text(rows)), header=True)
    assert found.names == rows[0]
    assert found.rows == [['a "b"\nc', "0.1"], ["", "1e-300"]]


PEOPLE = "age,colour,height,label\n31,red,1.7,yes\n25,blue,1.8,no\n40,red,1.6,yes\n31,green,1.75,no\n"


def test_columns_are_numeric_or_categorical_and_reported(write):
    table = read_table(write(PEOPLE), target="label")
    assert [(column.name, column.kind) for column in table.columns] == [
        ("age", "numeric"),
        ("colour", "categorical"),
        ("height", "numeric"),
    ]
    assert table.column("age").values.tolist() == [31, 25, 40, 31]
    assert table.column("colour").values.tolist() == ["red", "blue", "red", "green"]
    assert (table.target.name, table.task, len(table)) == ("label", "classification", 4)
    assert table.report().splitlines()[1:] == [
        "  age     numeric: 25 to 40",
        "  colour  categorical: 3 categories (blue, green, red)",
        "  height  numeric: 1.6 to 1.8",
        "  label   target, classification: 2 categories (no, yes)",
    ]
    assert repr(table).endswith("data.csv: 4 rows, 3 columns, target 'label' (classification)>")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_line_ends_and_byte_order_marks(write, delimiter, end):
    text = PEOPLE.replace(",", delimiter).replace("\n", end)
    table = read_table(write(text, encoding="utf-8-sig"))
    assert [column.name for column in table.columns] == ["age", "colour", "height", "label"]
    assert table.lines.tolist() == [2, 3, 4, 5]


def test_quotes_blank_lines_and_line_ends_inside_fields(write):
    table = read_table(write('name,note\n"Smith, J","two\nlines"\n\n"say ""hi""", b \n'))
    assert table.column("name").values.tolist() == ["Smith, J", 'say "hi"']
    assert table.column("note").values.tolist() == ["two\nlines", "b"]
    assert table.lines.tolist() == [3, 5]


FIELDS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["007", "+1", ".5", "5.", "1E5", "1e-400", " 3 ", "-0"]),
)
# What one of many fields may be that no number is, or that only stands for none.
STRANGE = st.sampled_from(["", " ", "1e999", "1_000", "nan", "x", '"7"', "1 2", "1,2", "--1", ".", "٣", "1\r2"])


@given(st.data())
def test_a_table_of_numbers_is_the_same_however_it_is_read(tmp_path_factory, data):
    width = data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.lists(FIELDS, min_size=width, max_size=width), min_size=1, max_size=6))
    if data.draw(st.booleans()):
        rows[data.draw(st.integers(0, len(rows) - 1))][data.draw(st.integers(0, width - 1))] = data.draw(STRANGE)
    if data.draw(st.booleans()):
        rows.insert(0, data.draw(st.sampled_from([[f"c{i}" for i in range(width)], ["1"] * width, ["a\nb"] * width])))
    delimiter, end = data.draw(st.sampled_from(",;\t")), data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    path = tmp_path_factory.mktemp("plain") / "t.csv"
    path.write_text(end.join(delimiter.join(row) for row in rows) + data.draw(st.sampled_from(["", end])), newline="")
    how = data.draw(st.sampled_from([None, delimiter])), data.draw(st.sampled_from([None, True, False]))

    def outcome():
        try:
            found = read_table(path, delimiter=how[0], header=how[1], missing="keep")
        except (DataError, FileFormatError) as error:
            return str(error)
        contents = [(c.name, c.kind, c.values.tolist(), c.as_text().tolist()) for c in found.every]
        return repr((contents, found.lines.tolist()))

    quickly = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("denpa.data.readers.read_plain", lambda *how: None)
        assert outcome() == quickly


def test_a_missing_value_that_is_written_as_a_number(write):
    table = read_table(write("a,b\n-999,1\n2,3\n"), missing_values=["-999"], missing="keep")
    np.testing.assert_array_equal(table.column("a").values, [np.nan, 2])


def test_a_header_of_numbers_is_asked_for(write):
    with pytest.raises(DataError, match=r"no column '2020': .* stands on line 1: pass header=True if that line holds"):
        read_table(write("2019,2020\n1,2\n3,4\n"), target="2020")
    assert read_table(write("2019,2020\n1,2\n3,4\n"), target="2020", header=True).target.values.tolist() == ["2", "4"]


def test_numbers_that_are_names(write):
    column = read_table(write("post,x\n007,1\n010,2\n007,3\n"), categorical=["post"]).column("post")
    assert (column.kind, column.values.tolist()) == ("categorical", ["007", "010", "007"])


def test_a_semicolon_table_with_commas_in_it(write):
    table = read_table(write("a;b\n1,5;2\n2,25;3\n"), decimal=",")
    assert table.column("a").values.tolist() == [1.5, 2.25]
    with pytest.raises(DataError, match=r"decimal comma, such as '1,5' \(line 2\): pass decimal=','"):
        read_table(write("a;b\n1,5;2\n2,25;3\n"))
    assert read_table(write("a;b\n1,5;2\n2,25;3\n"), categorical=["a"]).column("a").kind == "categorical"


def test_a_column_of_decimal_commas_by_itself(write):
    assert read_table(write("a\n1,5\n2,25\n"), decimal=",").column("a").values.tolist() == [1.5, 2.25]
    quoted = read_table(write('a,b\n"1,5",2\n"2,25",3\n'), decimal=",")
    assert quoted.column("a").values.tolist() == [1.5, 2.25]


def test_the_delimiter_cuts_every_line_alike(write):
    found = read_delimited(write("1,5;2,25\n3;4,5\n"), header=False)
    assert found.rows == [["1,5", "2,25"], ["3", "4,5"]]


def test_categories_are_in_order_by_value_and_then_as_written(write):
    texts = ["10", "2.0", "2", "02", "1"]
    for order in (texts, texts[::-1]):
        column = read_table(write("a,b\n" + "".join(f"{text},x\n" for text in order)), categorical=["a"]).column("a")
        assert sorted_categories(column.values) == ("1", "02", "2", "2.0", "10")


def test_messages_name_five_rows_and_count_the_others(write):
    table = read_table(write("a\n" + "1\n" * 9))
    assert table.at(np.arange(5)) == "lines 2, 3, 4, 5, 6"
    assert table.at(np.arange(7)) == "lines 2, 3, 4, 5, 6 and 2 more"


@pytest.mark.parametrize(
    ("first", "other", "decimal"), [("1,500", "1,000,001.5", "."), ("1.500,25", "1.000.001,5", ",")]
)
def test_commas_and_points_may_group_thousands(write, first, other, decimal):
    with pytest.raises(DataError, match=rf"such as '{re.escape(first)}' \(line 2\)\. Where these group thousands"):
        read_table(write(f"a;b\n{first};2\n950;3\n{other};4\n"), decimal=decimal)


@pytest.mark.parametrize("text", ["950,5", "950"])
def test_a_point_groups_thousands_where_a_comma_stands_before_decimals(write, text):
    path = write(f"a;b\n{text};2\n1.234;3\n7;4\n0.5;4\n")
    with pytest.raises(DataError, match=r"such as '1\.234' \(line 3\)\. Where these group thousands"):
        read_table(path, decimal=",")
    assert read_table(path, decimal=",", categorical=["a"]).column("a").values.tolist()[1] == "1.234"


def test_decimal_commas_before_exponents_and_without_a_first_digit(write):
    table = read_table(write("a;b\n1,5e3;2\n-,25;3\n2E-1;4\n"), decimal=",")
    assert table.column("a").values.tolist() == [1500.0, -0.25, 0.2]


@pytest.mark.parametrize("word", ["inf", "-Infinity", "Inf"])
def test_infinities_make_no_text_of_a_column_of_numbers(write, word):
    path = write(f"a,b\n{word},1\n2.5,2\n{word},3\n4,4\n")
    for target in (None, "a"):
        with pytest.raises(DataError, match=r"column 'a' holds numbers, but is infinite on lines 2, 4\. Correct these"):
            read_table(path, target)
    assert read_table(path, missing_values=[word], missing="drop").column("a").values.tolist() == [2.5, 4.0]


def test_an_empty_field_in_quotes_is_a_missing_value_of_a_single_column(write):
    path = write('v\n1\n""\n\n  \n4\n')
    with pytest.raises(DataError, match=r"'v' \(numeric, line 3\)"):
        read_table(path)
    assert read_table(path, missing="drop").column("v").values.tolist() == [1.0, 4.0]


def test_the_header_is_found_or_told(write):
    plain = read_table(write("1,2\n3,4\n"))
    assert [column.name for column in plain.columns] == ["column_1", "column_2"]
    assert len(plain) == 2
    mixed = read_table(write("red,2\nblue,4\n"))
    assert mixed.column("column_1").values.tolist() == ["red", "blue"]
    with pytest.raises(DataError, match=r"no column 'who': .* stands on line 1: pass header=True if that line holds"):
        read_table(write("who,2020\nann,3\n"), "who")
    years = read_table(write("2020,2021\n3,4\n"), header=True)
    assert [column.name for column in years.columns] == ["2020", "2021"]
    words = read_table(write("red,small\nblue,large\n"), header=False)
    assert words.column("column_1").values.tolist() == ["red", "blue"]
    unnamed = read_table(write(",size\n0,3\n1,4\n"))
    assert [column.name for column in unnamed.columns] == ["column_1", "size"]


def test_a_single_column_and_other_encodings(write):
    assert read_table(write("高さ\n1\n2\n", encoding="cp932"), encoding="cp932").column("高さ").values.tolist() == [
        1,
        2,
    ]
    assert len(read_table(write("a,b\n1,2\n", encoding="utf-16"), encoding="utf-16")) == 1


NUMBERS = ["1", " -2 ", "+3.5", ".5", "4.", "1e-3", "2E+5"]
WORDS = ["1_000", "inf", "Infinity", "0x10", "1,5e", "--1", "1e", "１a", "."]


@pytest.mark.parametrize("text", NUMBERS)
def test_what_is_a_number(write, text):
    table = raw_table(write(f"a;b\n{text};x\n"), delimiter=";")
    assert read_table(write(f"a;b\n{text};x\n"), delimiter=";").column("a").values.tolist() == [float(text)]
    assert table.column("a").kind == "categorical"


@pytest.mark.parametrize("text", WORDS)
def test_what_is_no_number(write, text):
    assert read_table(write(f"a;b\n{text};x\n"), delimiter=";").column("a").kind == "categorical"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_read_exactly(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("csv") / "n.csv"
    path.write_text("value\n" + "".join(f"{number!r}\n" for number in numbers))
    assert read_table(path).column("value").values.tolist() == numbers


@pytest.mark.parametrize(
    ("values", "options", "task"),
    [
        (["a", "b"] * 3, {}, "classification"),
        (["0", "1"] * 3, {}, "classification"),
        (["1", "2", "3"] * 2, {}, "classification"),
        (["1", "2", "3", "4", "5", "6"], {}, "regression"),
        (["0.0", "1.0"] * 3, {}, "regression"),
        (["0.0", "1.0"] * 3, {"task": "classification"}, "classification"),
        (["0", "1"] * 3, {"task": "regression"}, "regression"),
        (["0", "1"] * 3, {"categorical": ["t"]}, "classification"),
        ([str(i) for i in range(21)] * 3, {}, "regression"),
        ([str(i) for i in range(20)] * 3, {}, "classification"),
    ],
)
def test_the_task_is_told_by_the_target(write, values, options, task):
    path = write("x,t\n" + "".join(f"{i}.5,{value}\n" for i, value in enumerate(values)))
    assert read_table(path, target="t", **options).task == task
    assert read_table(path, target=-1, **options).task == task


def test_the_target_by_position_and_columns_to_ignore(write):
    table = read_table(write(PEOPLE), target=0, ignore=["label", "height"])
    assert table.target.name == "age"
    assert [column.name for column in table.columns] == ["colour"]


def test_a_position_that_is_the_name_of_another_column(write):
    path = write("label,0,1,7\nu,1,2,3\nv,4,5,6\n")
    with pytest.warns(UserWarning, match="position 0, 'label'. The column called '0' is target='0'."):
        assert read_table(path, target=0, header=True).target.name == "label"
    assert read_table(path, target="0", header=True).target.name == "0"
    refused(DataError, "no column 7 to predict. The column called '7' is target='7'", path, 7, header=True)
    refused(DataError, "no column 1.0 to predict", path, 1.0, header=True)


def refused(kind, message, path, *args, **options):
    with pytest.raises(kind, match=message) as caught:
        read_table(path, *args, **options)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_refused_with_their_line(write, tmp_path):
    refused(DataError, r"nowhere\.csv cannot be read", tmp_path / "nowhere.csv")
    refused(DataError, "is empty", write(""))
    refused(DataError, "is empty", write("\n\n"))
    refused(DataError, "a header but no rows", write("a,b\n"))
    refused(
        FileFormatError, r"line 4: 3 fields where the header has 2 \(delimiter ','\)", write("a,b\n1,2\n3,4\n5,6,7\n")
    )
    refused(FileFormatError, "line 3: 1 field where the first row has 2", write("1,2\n3,4\n5\n"))
    refused(DataError, "line 1: the header names columns 1 and 3 both 'a'", write("a,b,a\n1,2,3\n"))
    refused(FileFormatError, "line 2: a quoted field does not end", write('a,b\n1,"2\n'))
    refused(FileFormatError, r"line 3: not utf-8 text \(byte 8\)", write(b"a,b\n1,2\n\xff,3\n"))
    utf16 = r"line 1: not utf-8 text \(byte 0\).*encoding, encoding='utf-16': it begins as UTF-16 does"
    refused(FileFormatError, utf16, write(PEOPLE.encode("utf-16")))
    unmarked = write(PEOPLE.encode("utf-16-le"))  # each letter of it is one in UTF-8 too, and a character 0
    refused(FileFormatError, "line 1: holds a character 0.*encoding='utf-16-le'", unmarked)
    report = read_table(unmarked, encoding="utf-16-le").report()
    assert report == read_table(write(PEOPLE)).report()
    refused(FileFormatError, "Unknown encoding 'klingon'", write(PEOPLE), encoding="klingon")
    refused(FileFormatError, r"cannot tell the kind of table from '\.xlsx'", write(PEOPLE, "data.xlsx"))
    refused(ConfigError, "decimal must be", write(PEOPLE), decimal="'")


@pytest.mark.parametrize("dress", ["{}%", "{} %", "¥{}", "-${}", "{}円", "1 {}00", "1'{}00", "−{}"])
def test_numbers_with_signs_of_a_spreadsheet_are_refused_not_taken_for_categories(write, dress):
    rows = "".join(f"{dress.format(i % 5 + 1)};{i};{'no' if i % 2 else 'yes'}\n" for i in range(20))
    path = write("a;b;t\n" + rows)
    refused(DataError, "column 'a' holds numbers with signs that no number has, such as .* \\(line 2\\)", path, "t")
    assert read_table(path, "t", categorical=["a"]).column("a").kind == "categorical"
    assert read_table(path, "a", task="classification", categorical=["a"]).task == "classification"


def test_who_has_told_that_a_comma_stands_before_decimals_is_not_asked_to(write):
    path = write("a;t\n" + "1.201;x\n1.305;z\n" * 4)
    with pytest.raises(DataError, match="Where these group thousands") as refused:
        read_table(path, "t", decimal=",")
    assert "decimal=" not in str(refused.value)


def test_one_category_is_counted_as_one(write):
    assert "target, classification: 1 category (no)" in read_table(write("a,t\n1,no\n2,no\n"), "t").report()


@pytest.mark.parametrize("text", ["{} kg", "1.2.{}", "A{}", "{}-1", "2024/1/{}"])
def test_names_with_numbers_in_them_are_categories(write, text):
    rows = "".join(f"{text.format(i % 5 + 1)};{i};{'no' if i % 2 else 'yes'}\n" for i in range(20))
    assert read_table(write("a;b;t\n" + rows), "t").column("a").kind == "categorical"


def test_unknown_columns_get_the_nearest(write):
    path = write(PEOPLE)
    refused(DataError, "no column 'lable': did you mean 'label'", path, "lable")
    refused(DataError, "no column 'colr': did you mean 'colour'", path, "label", ignore=["colr"])
    refused(DataError, "no column 'hight'", path, "label", categorical=["hight"])
    refused(DataError, "no column 'agee'", path, "label", missing={"agee": "drop"})
    refused(DataError, "has 4 columns: there is no column 4", path, 4)
    refused(ConfigError, "both the target and ignored", path, "age", ignore=["age"])
    refused(DataError, "no column to predict from beside 'a'", write("a\n1\n2\n"), "a")
    alone = read_table(write("a\n1\n2\n"), "a", alone=True)
    assert (alone.columns, list(alone.target.values)) == ((), ["1", "2"])


def test_tasks_that_do_not_fit_the_target(write):
    refused(
        DataError,
        "target 'label' of a regression must hold numbers, but it holds 'no', 'yes'",
        write(PEOPLE),
        "label",
        task="regression",
    )
    refused(ConfigError, "did you mean 'regression'", write(PEOPLE), "age", task="regresion")
    refused(ConfigError, "wants a target column", write(PEOPLE), task="regression")


def test_a_misprint_in_a_column_of_numbers_is_named(write):
    rows = [str(i) for i in range(30)]
    rows[7] = "1O"
    path = write("n,m\n" + "".join(f"{row},0\n" for row in rows))
    refused(DataError, "column 'n' holds numbers, but '1O' on line 9", path)
    assert read_table(path, categorical=["n"]).column("n").kind == "categorical"
    assert read_table(path, missing_values=["1O"], missing="drop").column("n").values.tolist()[6:8] == [6, 8]
    refused(DataError, "column 'n' is too large for a number on line 3", write("n,m\n1,2\n1e999,3\n"))


GAPS = "age,colour,label\n31,red,yes\nNA,blue,no\n40,,yes\n,red,no\n44,blue,yes\n"


def test_missing_values_are_refused_unless_asked_for(write):
    refused(
        DataError,
        r"has missing values in 2 columns: 'age' \(numeric, lines 3, 5\), 'colour' \(categorical, line 4\)\. "
        r"Choose missing=\.\.\. 'drop'.*'mean' or 'median'.*'category'.*missing=\{'age': 'drop', \.\.\.\}",
        write(GAPS),
        "label",
    )


def test_rows_with_gaps_are_dropped(write):
    table = read_table(write(GAPS), "label", missing="drop")
    assert table.lines.tolist() == [2, 6]
    assert table.target.values.tolist() == ["yes", "yes"]
    table = read_table(write(GAPS), "label", missing={"age": "drop", "colour": "category"})
    assert table.lines.tolist() == [2, 4, 6]
    assert (table.column("age").missing, table.column("colour").missing) == ("error", "category")
    refused(DataError, "every row has a missing value", write("a,b\n1,\n,2\n"), missing="drop", header=True)


def test_a_fill_must_fit_the_kind_of_column(write):
    refused(DataError, r"1 column: 'colour' \(categorical, line 4\)\. Choose", write(GAPS), "label", missing="mean")
    refused(DataError, r"1 column: 'age' \(numeric", write(GAPS), "label", missing="category")
    table = read_table(write(GAPS), "label", missing={"age": "median", "colour": "category"})
    assert len(table) == 5
    assert np.isnan(table.column("age").values[[1, 3]]).all()
    assert "2 missing (median)" in table.report()
    refused(ConfigError, "Unknown way 'medain' .* did you mean 'median'", write(GAPS), "label", missing="medain")


def test_gaps_in_the_target_are_never_filled(write):
    path = write("x,t\n1,2.5\n2,\n3,4.5\n")
    for missing in ("error", "mean", "median", "category"):
        refused(
            DataError,
            r"'t' \(target, line 3\)\. Choose missing=\.\.\. 'drop' to leave these rows out; by",
            path,
            "t",
            missing=missing,
        )
    assert len(read_table(path, "t", missing="drop")) == 2
    assert len(read_table(path, "t", missing="keep")) == 3


def test_a_column_without_values_is_refused(write):
    path = write("a,b\n1,\n2,\n")
    for way in ("mean", "drop"):
        refused(DataError, "column 'b' has no values: leave it out", path, missing=way)
    assert len(read_table(path, ignore=["b"])) == 2
    assert read_table(path, missing="keep").column("b").is_missing().all()


def test_the_texts_that_mean_missing_can_be_chosen(write):
    path = write("code,x\nNA,1\nDE,-99\n")
    table = read_table(path, missing_values=["-99"], missing={"x": "mean"})
    assert table.column("code").values.tolist() == ["NA", "DE"]
    assert np.isnan(table.column("x").values[1])


@given(st.lists(st.sampled_from("ab"), min_size=8, max_size=40), st.integers(0, 99))
def test_a_table_splits_like_a_data_set(tmp_path_factory, labels, seed):
    labels = ["a", "a", "b", "b", *labels]
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("x,t\n" + "".join(f"{i}.5,{label}\n" for i, label in enumerate(labels)))
    table = read_table(path, "t")
    rest, held_out = table.split(0.3, seed)
    assert sorted([*rest.lines, *held_out.lines]) == table.lines.tolist()
    for part in (rest, held_out):
        assert set(part.target.values) == {"a", "b"}
        np.testing.assert_array_equal(part.column("x").values, part.lines - 1.5)
    count = labels.count("a")
    assert abs(list(held_out.target.values).count("a") - 0.3 * count) < 1 + 1e-9


def test_rows_of_a_table_are_chosen_by_index(write):
    table = read_table(write(PEOPLE), "label")
    assert table[2].column("age").values.tolist() == [40]
    assert table[table.column("age").values > 30].lines.tolist() == [2, 4, 5]
    with pytest.raises(DataError, match=r"table\.column\(name\)"):
        table["age"]
    with pytest.raises(ConfigError, match="target is a class"):
        read_table(write(PEOPLE)).split(0.5, stratify=True)


def test_a_table_of_many_columns_is_reported_in_few_lines(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(
        ",".join([*(f"n{i}" for i in range(60)), "c", "y"]) + "\n" + ("1," * 60 + "a,u\n" + "2," * 60 + "b,v\n")
    )
    report = read_table(path, "y").report().splitlines()
    assert len(report) == 1 + 20 + 1 + 1
    assert report[-2].split()[:2] == ["y", "target,"]
    assert report[-1] == "  and 41 columns more: 40 numeric, 1 categorical"

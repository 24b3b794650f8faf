"""From a source to checked, divided examples."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.lab import DataConfig
from denpa.lab.sources import load_data, look_of, unknown_categories

RNG = np.random.default_rng(3)


@pytest.fixture
def table(tmp_path):
    """150 rows: two numbers, a text, a class, a value."""
    path = tmp_path / "t.csv"
    rows = [
        f"{RNG.normal(5, 2):.3f},{RNG.integers(10, 99)},{'red' if i % 3 else 'blue'},{'yes' if i % 5 < 2 else 'no'},"
        f"{RNG.normal(100, 9):.3f}"
        for i in range(150)
    ]
    path.write_text("size,age,colour,ok,price\n" + "\n".join(rows) + "\n")
    return path


def npz(tmp_path, **arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return str(path)


def rows_of(part):
    return {row.tobytes() for row in np.concatenate([part.x, part.t.reshape(len(part), -1)], 1)}


def test_a_table_is_divided_before_anything_is_learned_from_it(table):
    data = load_data(DataConfig(str(table), "ok", ignore=["price"], validation=0.25, seed=4))
    assert (len(data.train), len(data.validation), len(data.test)) == (90, 30, 30)
    assert data.train.class_names == ("no", "yes")
    numbers = data.train.x[:, :2]
    np.testing.assert_allclose(numbers.mean(0), 0, atol=1e-5)  # standardised by the training rows alone
    np.testing.assert_allclose(numbers.std(0), 1, atol=1e-5)
    assert np.abs(data.test.x[:, :2].mean(0)).max() > 1e-3
    parts = [rows_of(part) for part in (data.train, data.validation, data.test)]
    assert len(set.union(*parts)) == 150
    assert data.look.outputs == 2
    assert data.look.encoded
    assert [round(np.mean(part.t), 1) for part in (data.train, data.validation, data.test)] == [0.4, 0.4, 0.4]


def test_a_table_of_values(table):
    data = load_data(DataConfig(str(table), -1, ignore=["ok"]))
    assert data.train.t.shape == (120, 1)
    assert data.look.task == "regression"
    assert data.look.center == pytest.approx(100, abs=3)
    assert "price" in data.report


def test_the_seed_decides_the_parts_and_the_hash_knows_them(table):
    first, again, other = (load_data(DataConfig(str(table), "ok", seed=seed)) for seed in (1, 1, 2))
    assert first.content_hash() == again.content_hash() != other.content_hash()


def test_ways_for_missing_values_go_to_the_columns_they_fit(table):
    lines = table.read_text().splitlines()
    lines[3] = ",45,red,yes,99.5"
    lines[8] = "4.5,45,,yes,99.5"
    table.write_text("\n".join(lines))
    with pytest.raises(dp.DataError, match=r"'size' \(numeric, line 4\), 'colour' \(categorical, line 9\)"):
        load_data(DataConfig(str(table), "ok"))
    data = load_data(DataConfig(str(table), "ok", missing=["median", "category"], test=0))
    assert "colour=(missing)" in data.train.feature_names
    assert len(data.train) == 150
    assert len(load_data(DataConfig(str(table), "ok", missing="drop", test=0)).train) == 148
    by_column = DataConfig(str(table), "ok", missing={"size": "mean", "colour": "drop"}, test=0)
    assert len(load_data(by_column).train) == 149
    lines[11] = "4.5,45,blue,,99.5"
    table.write_text("\n".join(lines))
    assert len(load_data(DataConfig(str(table), "ok", missing=["median", "category", "drop"], test=0)).train) == 149
    with pytest.raises(dp.DataError, match="colour"):
        load_data(DataConfig(str(table), "ok", missing=["median"]))


def test_a_category_that_training_did_not_have_is_told_of(table):
    data = load_data(DataConfig(str(table), "ok"))
    table.write_text(table.read_text().replace("blue", "green"))
    (sentence,) = unknown_categories(data.encoder, data.encoder.read(table))
    assert "'colour' holds 'green' on lines 2, 5, 8" in sentence


def test_a_fixed_test_part_stays_fixed():
    data = load_data(DataConfig("digits", validation=0.1))
    assert (len(data.train), len(data.validation), len(data.test)) == (1294, 144, 359)
    train, test = dp.datasets.load("digits")
    np.testing.assert_array_equal(data.test.x, test.x)
    assert len(load_data(DataConfig("digits")).train) == len(train)
    with pytest.raises(dp.ConfigError, match="its own test part"):
        load_data(DataConfig("digits", test=0.1))


def test_drawn_data_are_divided():
    data = load_data(DataConfig("moons", options={"n": 50}, test=0.4))
    assert (len(data.train), data.validation, len(data.test)) == (30, None, 20)
    assert load_data(DataConfig("xor", test=0)).test is None


def test_arrays_of_numpy(tmp_path):
    x, t = RNG.normal(size=(40, 3)), RNG.integers(0, 3, 40)
    classes = load_data(DataConfig(npz(tmp_path, x=x, t=t)))
    assert (classes.look.task, classes.look.outputs, classes.look.in_shape) == ("classification", 3, (3,))
    values = load_data(DataConfig(npz(tmp_path, x=x, t=t), task="regression"))
    assert values.look.task == "regression"
    assert values.train.t.shape == (32, 1)
    truths = load_data(DataConfig(npz(tmp_path, x=x, t=t == 1)))
    assert (truths.look.task, truths.train.t.dtype) == ("classification", np.int32)
    named = load_data(DataConfig(npz(tmp_path, x=x, t=np.array(["b", "a"] * 20))))
    assert named.train.class_names == ("a", "b")
    fixed = load_data(DataConfig(npz(tmp_path, x=x[:30], t=t[:30], x_test=x[30:], t_test=t[30:])))
    np.testing.assert_array_equal(fixed.test.x, x[30:])


SEQUENCES = {"x": RNG.normal(size=(40, 5, 2)), "t": np.arange(40) % 2, "lengths": np.arange(40) % 5 + 1}


def test_lengths_go_with_their_sequences_into_every_part(tmp_path):
    data = load_data(DataConfig(npz(tmp_path, **SEQUENCES), validation=0.25))
    for part in (data.train, data.validation, data.test):
        x, _ = part
        assert isinstance(x, dp.Padded)
        for row, length in zip(x.values, x.lengths, strict=True):
            place = np.flatnonzero((SEQUENCES["x"][:, 0] == row[0]).all(axis=1))
            assert SEQUENCES["lengths"][place] == [length]
            np.testing.assert_array_equal(row[:length], SEQUENCES["x"][place[0], :length])
    other = SEQUENCES | {"lengths": np.full(40, 5)}
    assert load_data(DataConfig(npz(tmp_path, **other), validation=0.25)).content_hash() != data.content_hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": np.ones(40, int)}, "array 'length', which nobody would read: did you mean 'lengths'?"),
        ({"X_test": np.ones((4, 5, 2))}, "array 'X_test', which nobody would read: did you mean 'x_test'?"),
        (
            {"weights": np.ones(40)},
            "array 'weights', which nobody would read: known names: lengths, lengths_test, t, t_test, x",
        ),
        ({"x_test": np.ones((4, 5, 2))}, "holds x_test but no t_test: the test part has the same arrays"),
        ({"x_test": np.ones((4, 5, 2)), "t_test": np.arange(4) % 2}, "holds x_test but no lengths_test"),
        ({"lengths_test": np.ones(4, int)}, "holds lengths_test but no x_test"),
        ({"lengths": np.ones(39, int)}, "one integer length for each sequence"),
        ({"lengths": np.ones(40)}, "one integer length for each sequence"),
        ({"lengths": np.arange(40)}, "Sequence 0 in .* has length 0: it must be 1 to 5"),
        ({"x": np.ones(40)}, "one integer length for each sequence"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(change, message, tmp_path):
    with pytest.raises(dp.DataError, match=message):
        load_data(DataConfig(npz(tmp_path, **SEQUENCES | change)))


def test_a_reconstruction_may_bring_its_test_part_too(tmp_path):
    path = npz(tmp_path, x=RNG.normal(size=(12, 3)), x_test=RNG.normal(size=(4, 3)))
    data = load_data(DataConfig(path, task="reconstruction"))
    assert (len(data.train), len(data.test)) == (12, 4)


def test_images_by_class(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, grey in (("cat", 40), ("dog", 200)):
        (tmp_path / name).mkdir()
        for i in range(6):
            image.new("RGB", (8, 6), (grey + i, grey, grey)).save(tmp_path / name / f"{i}.png")
    data = load_data(DataConfig(str(tmp_path), test=0.5, options={"grayscale": True, "size": [3, 4]}))
    assert data.look.in_shape == (3, 4, 1)
    assert data.train.class_names == ("cat", "dog")
    with pytest.raises(dp.ConfigError, match="did you mean 'grayscale'"):
        load_data(DataConfig(str(tmp_path), options={"greyscale": True}))


def test_what_mnist_looks_like_is_known_without_it(monkeypatch):
    monkeypatch.setattr("denpa.lab.sources.datasets.load", None)
    look = look_of(DataConfig("mnist", validation=0.1))
    assert (look.in_shape, look.outputs, look.examples) == ((28, 28, 1), 10, 54_000)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"source": "digit"}, "did you mean 'digits'"),
        ({"source": "nowhere/t.npz"}, "no such file"),
        ({"source": "nowhere/t"}, "no such file or folder"),
        ({"source": "moons", "target": "x"}, "data.target is for tables"),
        ({"source": "moons", "missing": "mean"}, "data.missing is for tables"),
        ({"source": "moons", "task": "regression"}, "moons is a classification"),
        ({"source": "moons", "options": {"nois": 1}}, "did you mean 'noise'"),
        ({"source": "moons", "options": {"n": 3}, "test": 0.3}, "one example only"),
        ({"source": "nowhere.csv", "target": "y"}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(config, message):
    with pytest.raises(dp.DenpaError, match=message):
        load_data(DataConfig(**config))


def test_a_table_wants_its_target_named(table):
    with pytest.raises(dp.ConfigError, match="size, age, colour, ok, price"):
        load_data(DataConfig(str(table)))
    with pytest.raises(dp.ConfigError, match="did you mean 'delimiter'"):
        load_data(DataConfig(str(table), "ok", options={"delimeter": ";"}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, t: (np.where(np.arange(120).reshape(40, 3) == 25, np.nan, x), t), "NaN at row 8, column 1"),
        (lambda x, t: (np.where(np.arange(120).reshape(40, 3) == 119, np.inf, x), t), "infinity at row 39, column 2"),
        (lambda x, t: (x, t - 1), "row [0-9]+ of .* is -1"),
        (lambda x, t: (x[:0], t[:0]), "no examples"),
        (lambda x, t: (x[:30], t), "30 examples but t has 40"),
        (lambda x, t: (x, t * 0), "one class only"),
        (lambda x, t: (x.astype(str), t), "not numeric"),
        (lambda x, t: (np.float32(3), t), "batch axis"),
        (lambda x, t: (x, t + 0.5), None),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(spoil, message, tmp_path):
    x, t = RNG.normal(size=(40, 3)), np.arange(40) % 3
    path = npz(tmp_path, **dict(zip("xt", spoil(x, t), strict=True)))
    if message is None:  # halves are values, no classes
        assert load_data(DataConfig(path)).look.task == "regression"
        return
    with pytest.raises(dp.DataError, match=message):
        load_data(DataConfig(path))


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    npz(tmp_path, x=RNG.normal(size=(40, 3)), t=np.arange(40) % 2)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:300] + b"\0" * 50 + whole[350:], b"", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises((dp.FileFormatError, dp.DataError), match=r"a\.npz"):
            load_data(DataConfig(str(path)))
    np.savez(path, x=np.array([{"a": 1}], object), t=np.zeros(1))
    with pytest.raises(dp.FileFormatError, match="Python objects"):
        load_data(DataConfig(str(path)))
    np.savez(path, a=np.zeros(3))
    with pytest.raises(dp.DataError, match="it holds: a"):
        load_data(DataConfig(str(path)))

from __future__ import annotations

import datetime
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.encoder import TableEncoder
from denpa.data.readers import read_table


@pytest.fixture
def write(tmp_path):
    def save(table):
        parquet.write_table(table if isinstance(table, pa.Table) else pa.table(table), tmp_path / "data.parquet")
        return tmp_path / "data.parquet"

    return save


def test_columns_keep_their_kinds(write):
    path = write(
        {
            "n": pa.array([1, 2, 5, 9], pa.int64()),
            "x": pa.array([0.5, None, float("nan"), 2.25], pa.float32()),
            "d": pa.array([Decimal("1.50"), Decimal("2.25"), Decimal("0.00"), Decimal("7.75")]),
            "c": pa.array(["red", "blue", None, "red"]).dictionary_encode(),
            "b": pa.array([True, False, True, True]),
            "label": ["yes", "no", "no", "yes"],
        }
    )
    table = read_table(path, "label", missing={"x": "mean", "c": "category"})
    assert [column.kind for column in table.columns] == ["numeric"] * 3 + ["categorical"] * 2
    np.testing.assert_array_equal(table.column("x").values, [0.5, np.nan, np.nan, 2.25])
    assert table.column("d").values.tolist() == [1.5, 2.25, 0, 7.75]
    assert table.column("c").values.tolist() == ["red", "blue", None, "red"]
    assert table.column("b").values.tolist() == ["True", "False", "True", "True"]
    encoder = TableEncoder.of(table, standardize=False)
    data = encoder.encode(encoder.fit(table), table)
    assert data.x[:, 1].tolist() == [0.5, 1.375, 1.375, 2.25]
    assert data.t.tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(encoder.apply(encoder.fit(table), encoder.read(path)), data.x)


def test_numbers_that_are_names(write):
    column = read_table(write({"post": [101, 205, 101], "x": [0.5, 1.5, 2.5]}), categorical=["post"]).column("post")
    assert (column.kind, column.values.tolist()) == ("categorical", ["101", "205", "101"])


def test_values_that_stand_for_missing_ones(write):
    path = write({"x": [1.5, -999.0, 2.0], "n": [3, -999, 4], "c": ["u", "NA", "?"], "y": ["a", "b", "a"]})
    assert not any(column.is_missing().any() for column in read_table(path).columns)
    table = read_table(path, "y", missing_values=["-999", "?"], missing={"x": "mean", "n": "mean", "c": "category"})
    np.testing.assert_array_equal(table.column("x").values, [1.5, np.nan, 2.0])
    assert table.column("n").as_text().tolist() == ["3", None, "4"]
    assert table.column("c").values.tolist() == ["u", "NA", None]
    encoder = TableEncoder.of(table, standardize=False)
    arrays = encoder.fit(table)
    x = encoder.apply(arrays, encoder.read(path))
    np.testing.assert_array_equal(x, encoder.encode(arrays, table).x)
    assert x[1, :2].tolist() == [1.75, 3.5]


def test_missing_values_are_named_by_row(write):
    with pytest.raises(DataError, match=r"'x' \(numeric, row 1\)"):
        read_table(write({"x": [1.0, None], "y": ["a", "b"]}))


def test_integers_few_and_many_tell_the_task(write):
    assert read_table(write({"x": [0.5] * 6, "t": [0, 1, 2] * 2}), "t").task == "classification"
    assert read_table(write({"x": [0.5] * 6, "t": [0.0, 1.0] * 3}), "t").task == "regression"


def test_truth_and_dates_are_written_as_in_a_csv_file_of_pandas(write, tmp_path):
    pandas = pytest.importorskip("pandas")
    days = [datetime.datetime(2024, 1, day) for day in (1, 2)]
    frame = pandas.DataFrame({"on": [True, False], "when": days, "at": [days[0], days[0].replace(hour=3)]})
    frame.to_csv(tmp_path / "data.csv", index=False)
    columns = zip(read_table(write(pa.table(frame))).columns, read_table(tmp_path / "data.csv").columns, strict=True)
    for ours, theirs in columns:
        assert (ours.kind, list(ours.values)) == (theirs.kind, list(theirs.values))


def test_what_cannot_be_learned_from_is_refused(write, tmp_path):
    with pytest.raises(DataError, match="column 'parts' has type list"):
        read_table(write({"parts": [[1, 2]]}))
    with pytest.raises(DataError, match="column 'x' holds infinity in row 1"):
        read_table(write({"x": [1.0, float("inf")]}))
    with pytest.raises(DataError, match="has no rows"):
        read_table(write({"x": pa.array([], pa.int32())}))
    with pytest.raises(DataError, match="two columns named 'x'"):
        read_table(write(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])))
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "nowhere.parquet")


def test_damaged_files_are_refused(write):
    path = write({"x": list(range(100))})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileFormatError, match=r"data\.parquet is no readable Parquet file"):
        read_table(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match="is no readable Parquet file"):
        read_table(path)


def test_without_pyarrow_the_extra_is_named(write, monkeypatch):
    path = write({"x": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r'Reading Parquet files needs pyarrow: pip install "denpa\[parquet\]"'):
        read_table(path)

"""Parquet files, through the optional package pyarrow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import DataError, FileFormatError
from denpa.data.extras import optional
from denpa.data.table import Column, Later, Table, objects

__all__ = ["read_parquet"]


def read_parquet(path: Path) -> Table:
    """A table whose numbers are numeric columns, whose texts, truth values, dates and times are categorical ones.

    Raises:
        ConfigError: pyarrow is not installed.
        FileFormatError: no Parquet file, or a damaged one.
        DataError: no such file, no rows, columns of other types, infinities, two columns of one name.
    """
    arrow = optional("pyarrow", "parquet", "Reading Parquet files")
    parquet = optional("pyarrow.parquet", "parquet", "Reading Parquet files")
    if not path.is_file():
        raise DataError(f"{path} cannot be read: there is no such file.")
    try:
        found = parquet.ParquetFile(path).read()
    except (arrow.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} is no readable Parquet file: {str(error).splitlines()[0]}") from None
    if found.num_rows == 0 or found.num_columns == 0:
        raise DataError(f"{path} has no rows.")
    names = found.column_names
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns named {twice!r}.")
    columns = tuple(_column(arrow, path, name, column) for name, column in zip(names, found.itercolumns(), strict=True))
    return Table(columns, None, None, np.arange(found.num_rows), "row", str(path))


def _column(arrow: Any, path: Path, name: str, column: Any) -> Column:
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if types.is_boolean(kind):
        return Column(name, "categorical", _texts(column))
    if types.is_temporal(kind):
        return Column(name, "categorical", _texts(column, " 00:00:00"))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Column(name, "categorical", objects(column.to_pylist()))
    if types.is_null(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        if types.is_decimal(kind):
            values = np.array([np.nan if value is None else value for value in column.to_pylist()], np.float64)
        else:
            values = column.cast(arrow.float64(), safe=False).to_numpy()
        if np.isinf(values).any():
            raise DataError(f"{path}: column {name!r} holds infinity in row {int(np.isinf(values).argmax())}.")
        # As text they are wanted only where numbers are names, or classes: that takes longer than reading them.
        return Column(name, "numeric", values, Later(_texts if types.is_integer(kind) else _written, column))
    raise DataError(f"{path}: column {name!r} has type {kind}: make it numbers or text, or leave it out of the file.")


def _texts(column: Any, ending: str = "") -> np.ndarray:
    """The values as pandas writes them into a CSV file; an ending that all have is left out."""
    texts = [None if value is None else str(value) for value in column.to_pylist()]
    if all(text is None or text.endswith(ending) for text in texts):
        texts = [None if text is None else text.removesuffix(ending) for text in texts]
    return objects(texts)


def _written(column: Any) -> np.ndarray:
    return objects([None if value is None or value != value else repr(float(value)) for value in column.to_pylist()])

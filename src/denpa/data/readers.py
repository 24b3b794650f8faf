"""The user's own tables: CSV, TSV and Parquet files, with the kind of every column found and told."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError, nearest
from denpa.data.delimited import NUMBER, read_delimited
from denpa.data.missing import settle_missing
from denpa.data.table import Column, Table, number_of, objects, sorted_categories

__all__ = ["MISSING_VALUES", "raw_table", "read_table"]

MISSING_VALUES = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_MOSTLY = 0.9  # a column with this part of numbers is numeric with misprints, not text


def read_table(
    path: str | Path,
    target: str | int | None = None,
    *,
    task: str | None = None,
    missing: str | Mapping[str, str] = "error",
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    **options: Any,
) -> Table:
    """A table from a file, each column numeric or categorical; `table.report()` tells what was found.

    A column is numeric when all its values are numbers, categorical otherwise.

    Args:
        path: `.csv`, `.tsv`, `.txt` (delimiter and header are found, see below) or `.parquet`, `.pq`.
        target: the column to predict, by name or by position from 0 (-1 is the last).
        task: "classification" or "regression". None: text is a class; so are integers of few different
            values, at most 20 and at most half as many as there are rows (two are always few); other
            numbers are a regression.
        missing: what to do about missing values, for all columns or by column name. "error" refuses them;
            "drop" leaves the rows out; "mean" and "median" fill a number with that of the TRAINING rows
            (by `TableEncoder`, after any split); "category" gives missing texts a category of their own;
            "keep" leaves them as they are. Targets can be dropped or kept, never filled.
        categorical: columns whose numbers are names: postcodes, codes.
        ignore: columns to leave out: identifiers, remarks.
        options: for text files `delimiter`, `header`, `encoding` (see `read_delimited`), `decimal=","`,
            and `missing_values`, the texts that stand for a missing value.

    Raises:
        DataError: nothing to read, a missing column or target (the nearest is named), missing values, a
            numeric column with misprints, infinities. Lines of the file are named.
        FileFormatError: a damaged file, an unknown ending, rows of different lengths.
        ConfigError: an unknown option or task.
    """
    table = raw_table(path, **options)
    names = [column.name for column in table.columns]
    for name in (*categorical, *ignore, *(missing if isinstance(missing, Mapping) else ())):
        table.column(name)
    wanted = None if target is None else _target_name(table, names, target)
    if wanted in ignore:
        raise ConfigError(f"Column {wanted!r} cannot be both the target and ignored.")
    columns = {
        column.name: column if column.name in categorical else _inferred(table, column)
        for column in table.columns
        if column.name not in ignore
    }
    goal = columns.pop(wanted) if wanted is not None else None
    if not columns:
        raise DataError(f"{table.source} has no column to predict from beside {wanted!r}.")
    table = dataclasses.replace(table, columns=tuple(columns.values()), target=goal)
    table = settle_missing(table, missing)
    return _with_task(table, task)


def raw_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    decimal: str = ".",
    missing_values: Sequence[str] = MISSING_VALUES,
) -> Table:
    """The table as the file has it: columns of text files are all categorical, whatever they hold."""
    path = Path(path)
    ending = path.suffix.lower()
    if ending in (".parquet", ".pq"):
        from denpa.data.parquet import read_parquet

        return read_parquet(path)
    if ending not in (".csv", ".tsv", ".txt"):
        raise FileFormatError(f"{path}: cannot tell the kind of table from {ending!r}: known: .csv .tsv .txt .parquet.")
    if decimal not in (".", ","):
        raise ConfigError(f"decimal must be '.' or ',', not {decimal!r}.")
    raw = read_delimited(path, delimiter, header, encoding)
    absent = frozenset(missing_values)

    def cell(field: str) -> str | None:
        field = field.strip()
        if field in absent:
            return None
        return field.replace(",", ".") if decimal == "," and _DECIMAL_COMMA.fullmatch(field) else field

    columns = tuple(
        Column(name, "categorical", objects([cell(row[i]) for row in raw.rows])) for i, name in enumerate(raw.names)
    )
    return Table(columns, None, None, np.array(raw.lines), "line", str(path))


def _target_name(table: Table, names: list[str], target: str | int) -> str:
    if isinstance(target, str):
        return table.column(target).name
    if isinstance(target, bool) or not -len(names) <= target < len(names):
        raise DataError(f"{table.source} has {len(names)} columns: there is no column {target} to predict.")
    return names[target]


def _inferred(table: Table, column: Column) -> Column:
    """The column as numbers, if it holds numbers; a `DataError` if it nearly does."""
    if column.kind == "numeric":
        return column
    present = np.flatnonzero(~column.is_missing())
    wrong = [row for row in present if not NUMBER.fullmatch(column.values[row])]
    if present.size == 0 or (wrong and len(present) - len(wrong) < _MOSTLY * len(present)):
        if wrong and all(_DECIMAL_COMMA.fullmatch(column.values[row]) for row in wrong):
            raise DataError(
                f"{table.source}: column {column.name!r} holds numbers with a decimal comma, such as "
                f"{column.values[wrong[0]]!r} ({table.at(wrong[:1])}): pass decimal=',', or name it in "
                "categorical=[...]."
            )
        return column
    if wrong:
        raise DataError(
            f"{table.source}: column {column.name!r} holds numbers, but {column.values[wrong[0]]!r} on "
            f"{table.at(wrong)}. Correct it, name such texts in missing_values=[...], or name the column in "
            "categorical=[...]."
        )
    values = np.array([np.nan if text is None else number_of(text) for text in column.values], np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise DataError(f"{table.source}: column {column.name!r} is too large for a number on {table.at(infinite)}.")
    return dataclasses.replace(column, kind="numeric", values=values, text=column.values)


def _with_task(table: Table, task: str | None) -> Table:
    """The table with its task settled and its target as numbers for a regression, as text for classes."""
    if task not in (None, "classification", "regression"):
        hint = nearest(str(task), ("classification", "regression"), plural="tasks")
        raise ConfigError(f"Unknown task {task!r}: {hint}")
    goal = table.target
    if goal is None:
        if task is not None:
            raise ConfigError(f"task={task!r} wants a target column: target=...")
        return table
    if task is None:
        few = goal.is_integer() and len(np.unique(goal.values)) <= max(2, min(20, len(table) // 2))
        task = "classification" if goal.kind == "categorical" or few else "regression"
    if task == "regression" and goal.kind != "numeric":
        raise DataError(
            f"{table.source}: the target {goal.name!r} of a regression must hold numbers, but it holds "
            f"{', '.join(map(repr, sorted_categories(goal.values)[:3]))}."
        )
    if task == "classification":
        goal = dataclasses.replace(goal, kind="categorical", values=goal.as_text(), text=None)
    return dataclasses.replace(table, target=goal, task=task)

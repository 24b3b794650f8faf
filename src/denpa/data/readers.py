"""The user's own tables: CSV, TSV and Parquet files, with the kind of every column found and told."""

from __future__ import annotations

import dataclasses
import numbers
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError, nearest
from denpa.data.arguments import as_path, as_texts
from denpa.data.counted import counted
from denpa.data.delimited import NUMBER, PlainTable, read_delimited, read_plain
from denpa.data.missing import settle_missing
from denpa.data.table import Column, Later, Table, objects, sorted_categories
from denpa.data.text_format import MISSING_VALUES, TextFormat

__all__ = ["raw_table", "read_table"]

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")  # which group thousands where a comma stands before decimals
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)  # as NumPy and pandas write it
_GROUPED = re.compile(r"[+-]?\d{1,3}((,\d{3})+(\.\d+)?|(\.\d{3})+(,\d+)?)")  # 1,234,567.8 or 1.234.567,8
_NUMBER = r"(\d+([.,]\d+)?|\d{1,3}([,.'’ \u00a0\u202f]\d{3})+([.,]\d+)?)"  # blanks may group thousands too
_DRESSED = re.compile(rf"([+\-−]?[$€£¥￥]? ?|[$€£¥￥][+\-−]){_NUMBER}\s?[%％$€£¥￥円]?")  # 12.5 %, ¥1,000, 1 234, −1
_MOSTLY = 0.9  # a column with this part of numbers is numeric with misprints, not text


def read_table(
    path: str | Path,
    target: str | int | None = None,
    *,
    task: str | None = None,
    missing: str | Mapping[str, str] = "error",
    categorical: Sequence[str] = (),
    ignore: Sequence[str] = (),
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    decimal: str = ".",
    missing_values: Sequence[str] = MISSING_VALUES,
    alone: bool = False,
    ignore_absent: bool = False,
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
        delimiter: of a text file; None finds it among comma, semicolon and tab.
        header: whether the first row of a text file holds names; None takes it for names where no field of
            it is a number. Without names the columns are called column_1, column_2, ...
        encoding: of a text file, such as "cp932" for one from a Japanese Windows.
        decimal: "," where a text file writes 3,14 for 3.14. A point that may group thousands then, 1.234, is refused.
        missing_values: the texts that stand for a missing value. In a Parquet file, which has gaps of its own, only
            those that are named here, and the numbers that they are.
        alone: whether the target may be the only column, as in a series that is predicted from its own past.
        ignore_absent: whether columns of `ignore` may be missing, as from a later file that never had them.

    Raises:
        DataError: nothing to read, a missing column or target (the nearest is named), missing values, a
            numeric column with misprints, infinities. Lines of the file are named.
        FileFormatError: a damaged file, an unknown ending, rows of different lengths.
        ConfigError: an unknown task or way to treat missing values, or a setting that makes no sense.
    """
    table = raw_table(
        path,
        delimiter=delimiter,
        header=header,
        encoding=encoding,
        decimal=decimal,
        missing_values=missing_values,
    )
    categorical, ignore = as_texts(categorical, "categorical"), as_texts(ignore, "ignore")
    names = [column.name for column in table.columns]
    for name in (*categorical, *(() if ignore_absent else ignore), *(missing if isinstance(missing, Mapping) else ())):
        table.column(name)
    wanted = None if target is None else _target_name(table, names, target)
    if wanted in ignore:
        raise ConfigError(f"Column {wanted!r} cannot be both the target and ignored.")
    columns = {
        column.name: column.as_categorical() if column.name in categorical else _inferred(table, column)
        for column in table.columns
        if column.name not in ignore
    }
    goal = columns.pop(wanted) if wanted is not None else None
    if not columns and not (alone and goal is not None):
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
    """The table as the file has it: columns of a text file are categorical, unless the whole file is numbers."""
    path = as_path(path)
    ending = path.suffix.lower()
    if ending in (".parquet", ".pq"):
        from denpa.data.parquet import read_parquet

        absent = as_texts(missing_values, "missing_values")
        table = read_parquet(path)
        return table if set(absent) == set(MISSING_VALUES) else _with_gaps(table, absent)
    if ending not in (".csv", ".tsv", ".txt"):
        raise FileFormatError(f"{path}: cannot tell the kind of table from {ending!r}: known: .csv .tsv .txt .parquet.")
    how = delimiter or ("\t" if ending == ".tsv" else None), header, encoding
    absent = as_texts(missing_values, "missing_values")
    quick = decimal == "." and not any(map(NUMBER.fullmatch, absent))
    raw = (read_plain(path, *how) if quick else None) or read_delimited(path, *how, decimal)
    written = TextFormat(delimiter, header, encoding, decimal, absent)
    if isinstance(raw, PlainTable):
        columns, lines = _plain_columns(raw), raw.first + np.arange(len(raw.texts))
    else:
        fields = zip(raw.names, zip(*raw.rows, strict=True), strict=True)
        columns, lines = tuple(_raw_column(name, texts, written) for name, texts in fields), np.array(raw.lines)
    return Table(columns, None, None, lines, "line", str(path), written)


def _with_gaps(table: Table, absent: tuple[str, ...]) -> Table:
    """The table without these texts, and without the numbers that they are."""
    numbers = [float(text) for text in absent if NUMBER.fullmatch(text)]

    def without(column: Column) -> Column:
        texts = column.as_text().copy()
        gaps = np.isin(column.values, numbers) if column.kind == "numeric" else np.isin(texts, absent)
        texts[gaps] = None
        values = np.where(gaps, np.nan, column.values) if column.kind == "numeric" else texts
        return dataclasses.replace(column, values=values, text=texts)

    columns = tuple(map(without, table.columns))
    return dataclasses.replace(table, columns=columns, written=TextFormat(missing_values=absent))


def _plain_columns(plain: PlainTable) -> tuple[Column, ...]:
    def texts(position: int) -> np.ndarray:
        return objects(plain.fields(position))

    named = zip(plain.names, plain.values, strict=True)
    return tuple(Column(name, "numeric", values, Later(texts, i)) for i, (name, values) in enumerate(named))


def _raw_column(name: str, fields: Iterable[str], written: TextFormat) -> Column:
    absent = frozenset(written.missing_values)
    texts: list[Any] = [*map(str.strip, fields)]
    if not absent.isdisjoint(texts):
        texts = [None if text in absent else text for text in texts]
    if written.decimal != ",":
        return Column(name, "categorical", objects(texts))
    grouped = np.array([t is not None and _POINTS.fullmatch(t) is not None for t in texts], bool)
    texts = [t.replace(",", ".") if t is not None and _DECIMAL_COMMA.fullmatch(t) else t for t in texts]
    return Column(name, "categorical", objects(texts), grouped=grouped if grouped.any() else None)


def _target_name(table: Table, names: list[str], target: str | int) -> str:
    if isinstance(target, str):
        return table.column(target).name
    called = f" The column called {str(target)!r} is target={str(target)!r}." if str(target) in names else ""
    if isinstance(target, bool) or not isinstance(target, numbers.Integral) or not -len(names) <= target < len(names):
        columns = counted(len(names), "column")
        raise DataError(f"{table.source} has {columns}: there is no column {target} to predict.{called}")
    if called and names[target] != str(target):
        message = f"{table.source}: target={target} is the column at position {target}, {names[target]!r}.{called}"
        warnings.warn(message, UserWarning, stacklevel=3)
    return names[target]


def _inferred(table: Table, column: Column) -> Column:
    """The column as numbers, if it holds numbers; a `DataError` if it nearly does."""
    if column.kind == "numeric":
        return column
    values, wrong = column.numbers()
    present = int(np.sum(~column.is_missing()))
    if not present:
        return column
    if not wrong:
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            raise DataError(
                f"{table.source}: column {column.name!r} is too large for a number on {table.at(infinite)}."
            )
        return dataclasses.replace(column, kind="numeric", values=values, text=column.values)
    first = repr(column.values[wrong[0]])
    if present - len(wrong) >= _MOSTLY * present:
        raise DataError(
            f"{table.source}: column {column.name!r} holds numbers, but {first} on {table.at(wrong)}. Correct it, name "
            "such texts in missing_values=[...], or name the column in categorical=[...]."
        )
    if all(_GROUPED.fullmatch(column.values[row]) for row in wrong):
        decimals = "" if table.written.decimal == "," else "where a comma stands before decimals, pass decimal=','; "
        raise DataError(
            f"{table.source}: column {column.name!r} holds numbers with commas or points, such as {first} "
            f"({table.at(wrong[:1])}). Where these group thousands, write the numbers without; {decimals}"
            "where the numbers are names, name the column in categorical=[...]."
        )
    if len(wrong) < present and all(_INFINITE.fullmatch(column.values[row]) for row in wrong):
        raise DataError(
            f"{table.source}: column {column.name!r} holds numbers, but is infinite on {table.at(wrong)}. Correct "
            "these, name such texts in missing_values=[...], or name the column in categorical=[...]."
        )
    if all(_DECIMAL_COMMA.fullmatch(column.values[row]) for row in wrong):
        raise DataError(
            f"{table.source}: column {column.name!r} holds numbers with a decimal comma, such as {first} "
            f"({table.at(wrong[:1])}): pass decimal=',', or name it in categorical=[...]."
        )
    _refuse_dressed(table, column, wrong)
    return column


def _refuse_dressed(table: Table, column: Column, wrong: list[int]) -> None:
    """Refuse numbers as a spreadsheet writes them for readers: as texts each would be a category."""
    if all(_DRESSED.fullmatch(column.values[row]) for row in wrong):
        first = f"{column.values[wrong[0]]!r} ({table.at(wrong[:1])})"
        raise DataError(
            f"{table.source}: column {column.name!r} holds numbers with signs that no number has, such as {first}. "
            "Write the bare numbers (in a spreadsheet: the format 'General'), or name the column in categorical=[...]."
        )


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
        goal = goal.as_categorical()
    return dataclasses.replace(table, target=goal, task=task)

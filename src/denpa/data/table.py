"""A table as it was read: named columns of numbers or text, nothing filled, nothing encoded yet."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import reprlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, nearest
from denpa.data.counted import counted
from denpa.data.delimited import NUMBER
from denpa.data.labels import encode_labels
from denpa.data.splitting import k_fold_indices, split_indices
from denpa.data.text_format import TextFormat
from denpa.data.widths import cells, padded

__all__ = ["Column", "Later", "Table", "objects", "sorted_categories", "want_table"]

_SHOWN = 20  # columns of a table with many
_OF_A_TEXT = 50  # characters
_PLAIN = re.compile(r"[0-9.eE+-]*")  # of these signs float() makes nothing that NUMBER would not


@dataclass(frozen=True, eq=False, repr=False)
class Later:
    """Texts that are made of a column of a file when somebody asks for them."""

    make: Callable[[Any], np.ndarray]
    column: Any
    rows: tuple[Any, ...] = ()

    @functools.cached_property
    def texts(self) -> np.ndarray:
        """The texts of the rows that were chosen, one choice after the other."""
        return functools.reduce(lambda texts, rows: texts[rows], self.rows, self.make(self.column))

    def __getitem__(self, rows: Any) -> Later:
        return dataclasses.replace(self, rows=(*self.rows, rows))


@dataclass(frozen=True, eq=False, repr=False)
class Column:
    """One column.

    Args:
        name: its name.
        kind: "numeric", "categorical", or "text" to be read word by word.
        values: (n,), float64 with NaN for a missing number, or str with None for a missing text.
        text: the numbers of a numeric column as the file writes them, None where missing; perhaps only when asked for.
        missing: what to do about missing values: "error", "keep", "mean", "median" or "category".
        grouped: (n,) bool, where a point groups thousands, since a comma stands before decimals; None where none does.
    """

    name: str
    kind: str
    values: np.ndarray
    text: np.ndarray | Later | None = None
    missing: str = "error"
    grouped: np.ndarray | None = None

    def is_missing(self) -> np.ndarray:
        """Which rows have no value: bool (n,)."""
        if self.kind == "numeric":
            return np.isnan(self.values)
        return np.array([value is None for value in self.values.tolist()], bool)

    def as_text(self) -> np.ndarray:
        """The values as strings (None where missing), as the file writes them."""
        if isinstance(self.text, Later):
            return self.text.texts
        return self.values if self.text is None else self.text

    def as_categorical(self) -> Column:
        """The column with its values as texts, each a category; one of texts as it is."""
        if self.kind != "numeric":
            return self
        return dataclasses.replace(self, kind="categorical", values=self.as_text(), text=None)

    def is_integer(self) -> bool:
        """Whether every value that is there is written as an integer."""
        written = "".join(value for value in self.as_text() if value is not None)
        return self.kind == "numeric" and not re.search("[.eE]", written)

    def __getitem__(self, rows: Any) -> Column:
        text = None if self.text is None else self.text[rows]
        grouped = None if self.grouped is None else self.grouped[rows]
        return dataclasses.replace(self, values=self.values[rows], text=text, grouped=grouped)

    def numbers(self) -> tuple[np.ndarray, list[int]]:
        """The texts as float64 (n,), NaN where there is none or no number, and the rows of those that are no numbers.

        What a point groups is none: 1.234 would pass for 1 and a bit.
        """
        values, wrong = _parse_numbers(self.values)
        return values, wrong if self.grouped is None else sorted({*wrong, *np.flatnonzero(self.grouped).tolist()})


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Columns of one length, of which one may be the target.

    Args:
        columns: the features, in order.
        target: the column to predict, or None.
        task: "classification", "regression" or None.
        lines: (n,) where each row stands in the file.
        place: "line" (of a text file) or "row" (of another): what `lines` counts.
        source: the file, for messages.
        written: how that file writes a table, where it is a text.
    """

    columns: tuple[Column, ...]
    target: Column | None
    task: str | None
    lines: np.ndarray
    place: str = "line"
    source: str = "the table"
    written: TextFormat = field(default_factory=TextFormat)

    @property
    def every(self) -> tuple[Column, ...]:
        """The features, and the target last where there is one."""
        return self.columns if self.target is None else (*self.columns, self.target)

    @functools.cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.every}

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        target = f", target {self.target.name!r} ({self.task})" if self.target else ""
        return f"<Table {self.source}: {counted(len(self), 'row')}, {counted(len(self.columns), 'column')}{target}>"

    def __getitem__(self, rows: Any) -> Table:
        """The table of these rows: a slice, an array of indices, a boolean mask; or the column of this name."""
        if isinstance(rows, (str, tuple)):
            raise DataError("A table is indexed by rows; for a column use table.column(name).")
        rows = [rows] if isinstance(rows, (int, np.integer)) else rows
        return dataclasses.replace(
            self,
            columns=tuple(column[rows] for column in self.columns),
            target=None if self.target is None else self.target[rows],
            lines=self.lines[rows],
        )

    def column(self, name: str) -> Column:
        """The feature or target of this name; an unknown one is a `DataError` with the nearest."""
        if (found := self._by_name.get(name)) is not None:
            return found
        hint = nearest(name, [column.name for column in self.every], plural="columns")
        if len(self.every) == 1 and (sign := re.search(r"[,;\t|:^~ ]", self.every[0].name)):
            hint += f" It is one column: pass delimiter={sign[0]!r} if that separates columns."
        first = [column.values[0] for column in self.every if len(self) and self.place == "line"]
        number = float(name) if NUMBER.fullmatch(name) else name  # the values of columns may be read already
        if self.written.header is None and (name in first or number in first):
            hint += f" It stands on {self.at([0])}: pass header=True if that line holds the names."
        raise DataError(f"{self.source} has no column {name!r}: {hint}")

    def split(self, fraction: float, seed: int = 0, stratify: bool | None = None) -> tuple[Table, Table]:
        """`rest, held_out`, as `Dataset.split`: seeded, stratified by the target's classes for classification."""
        rest, held_out = split_indices(len(self), fraction, seed, *self._strata(stratify))
        return self[rest], self[held_out]

    def folds(self, folds: int, seed: int = 0, stratify: bool | None = None) -> list[tuple[Table, Table]]:
        """For each of k folds `rest, held_out`, as `Dataset.folds`."""
        parts = k_fold_indices(len(self), folds, seed, *self._strata(stratify))
        return [(self[rest], self[held_out]) for rest, held_out in parts]

    def _strata(self, stratify: bool | None) -> tuple[Any, Any]:
        """Classes by row and their names; None and None without stratification."""
        if stratify and self.task != "classification":
            raise ConfigError("stratify=True wants a table whose target is a class.")
        if self.target is not None and (stratify or (stratify is None and self.task == "classification")):
            return encode_labels(self.target.as_text())
        return None, None

    def report(self) -> str:
        """What was found: one line per column with its kind, range or categories, and missing values."""
        lines = [f"{self.source}: {counted(len(self), 'row')}"]
        shown = (
            self.every if len(self.every) <= 2 * _SHOWN else (*self.columns[:_SHOWN], *self.every[len(self.columns) :])
        )
        width = max(cells(column.name) for column in shown)
        for column in shown:
            role = f"target, {self.task}" if column is self.target else column.kind
            gaps = int(column.is_missing().sum())
            missing = f"; {gaps} missing ({column.missing})" if gaps else ""
            lines.append(f"  {padded(column.name, width)}  {role}: {_content(column)}{missing}")
        if len(shown) < len(self.every):
            rest = Counter(column.kind for column in self.columns[_SHOWN:])
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in rest.items())
            lines.append(f"  and {counted(rest.total(), 'column')} more: {kinds}")
        return "\n".join(lines)

    def at(self, rows: Any, most: int = 5) -> str:
        """`line 3` or `lines 3, 8, 12 and 4 more`: where rows stand in the file, for messages."""
        numbers = [str(self.lines[row]) for row in rows[:most]]
        more = f" and {len(rows) - most} more" if len(rows) > most else ""
        return f"{self.place}{'s' if len(rows) > 1 else ''} {', '.join(numbers)}{more}"


def want_table(table: Any) -> None:
    """Refuse what is no `Table`, by `ConfigError`."""
    if not isinstance(table, Table):
        raise ConfigError(f"A table is wanted, such as dp.read_table(FILE, TARGET) gives, not {reprlib.repr(table)}.")


def _parse_numbers(texts: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Texts as float64 (n,), NaN where they are None or no numbers, and the rows of those that are no numbers."""
    if _PLAIN.fullmatch("".join(filter(None, texts.tolist()))):
        with contextlib.suppress(ValueError):
            return texts.astype(np.float64), []  # None becomes NaN; at most 1/30 of the time of what follows
    strange = {text for text in set(texts) if text is not None and not NUMBER.fullmatch(text)}  # each text once
    wrong = [row for row, text in enumerate(texts) if text in strange]
    numbers = texts.copy()
    numbers[wrong] = None
    return numbers.astype(np.float64), wrong


def sorted_categories(values: Any) -> tuple[str, ...]:
    """The different texts in order: by value where all are numbers, else alphabetically."""
    found = {value for value in values if value is not None}
    if all(NUMBER.fullmatch(value) for value in found):
        return tuple(sorted(found, key=lambda value: (float(value), value)))
    return tuple(sorted(found))


def _content(column: Column) -> str:
    present = column.values[~column.is_missing()]
    if not len(present):
        return "no values"
    if column.kind == "numeric":
        return f"{present.min():g} to {present.max():g}"
    if column.kind == "text":
        return f"{counted(len(set(present)), 'different text')}, such as {present[0][:_OF_A_TEXT]!r}"
    names = sorted_categories(present)
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{counted(len(names), 'category')} ({shown})"


def objects(values: list[Any]) -> np.ndarray:
    """A one-dimensional array of Python objects: strings and None."""
    array = np.empty(len(values), object)
    array[:] = values
    return array

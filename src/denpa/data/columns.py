"""What the columns of a table were in training, and how a table's values are read accordingly."""

from __future__ import annotations

import unicodedata
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from denpa.core.description import Description
from denpa.core.errors import ConfigError, DataError
from denpa.data.table import Column, Table, sorted_categories

__all__ = [
    "CategoricalColumn",
    "NumericColumn",
    "described",
    "described_target",
    "fill_of",
    "numbers_of",
    "positions_of",
    "targets_of",
    "warn_of",
]

_IDENTIFIER_ROWS = 10  # with fewer rows it is no wonder that all values differ


@dataclass(frozen=True)
class NumericColumn(Description):
    """A column of numbers; `missing` is "error", or what fills gaps: "mean" or "median" of the training rows."""

    name: str
    missing: Literal["error", "mean", "median"] = "error"


@dataclass(frozen=True)
class CategoricalColumn(Description):
    """A column of texts, of which training knew `categories`; `missing` is "error" or "category" (one of its own)."""

    name: str
    categories: tuple[str, ...]
    missing: Literal["error", "category"] = "error"

    def validate(self) -> None:
        """Refuse categories given twice."""
        if len(set(self.categories)) != len(self.categories):
            raise ConfigError(f"CategoricalColumn {self.name!r} lists a category twice.")


def described(table: Table, column: Column) -> NumericColumn | CategoricalColumn:
    """What a column of training rows is, with its categories; a `DataError` where gaps have no settled fill."""
    if column.missing in ("error", "keep") and column.is_missing().any():
        raise DataError(
            f"{table.source}: {column.name!r} is missing on {table.at(np.flatnonzero(column.is_missing()))}. "
            "Choose a way to treat it: missing=..."
        )
    missing: Any = "error" if column.missing == "keep" else column.missing
    if column.kind == "numeric":
        return NumericColumn(column.name, missing)
    return CategoricalColumn(column.name, sorted_categories(column.values), missing)


def described_target(table: Table) -> NumericColumn | CategoricalColumn | None:
    """What the target of training rows is; None without one, a `DataError` where it has one class only."""
    target = None if table.target is None else described(table, table.target)
    if isinstance(target, CategoricalColumn) and len(target.categories) < 2:
        only = ", ".join(target.categories)
        raise DataError(f"{table.source}: the target {target.name!r} has one class only: {only!r}.")
    return target


def warn_of(table: Table, column: Column) -> None:
    """Warn of a constant column or target, a column that looks like an identifier, texts that differ in case alone."""
    present = column.values[~column.is_missing()]
    numeric, many = column.kind == "numeric", len(present) >= _IDENTIFIER_ROWS
    different = 0 if numeric else len(set(present.tolist()))
    constant = len(present) > 0 and present.min() == present.max() if numeric else different == 1
    if column is table.target:
        _warn_of_spellings(table, column)
        if constant and numeric:
            message = f"{table.source}: the target {column.name!r} has one value only, {present[0]}: nothing to learn."
            warnings.warn(message, UserWarning, stacklevel=3)
        return
    identifier = many and column.kind == "categorical" and different > len(present) / 2
    if many and numeric and len(table.columns) > 1 and np.ptp(present) == len(present) - 1:  # as long as 1, 2, 3, ...
        identifier = bool((np.diff(np.sort(present)) == 1).all()) and column.is_integer()
    if identifier or constant:
        what = "looks like an identifier" if identifier else f"has one value only, {present[0]}"
        message = f"{table.source}: column {column.name!r} {what}; leave it out by ignore=[{column.name!r}]."
        warnings.warn(message, UserWarning, stacklevel=3)
    if not identifier:
        _warn_of_spellings(table, column)


def _warn_of_spellings(table: Table, column: Column) -> None:
    """Warn of categories that are the same text but for capitals, or for the width of their letters."""
    if column.kind != "categorical":
        return
    first: dict[str, str] = {}
    for value in dict.fromkeys(column.values[~column.is_missing()].tolist()):
        other = first.setdefault(unicodedata.normalize("NFKC", value).casefold(), value)
        if other != value:
            message = (
                f"{table.source}: column {column.name!r} holds {other!r} and {value!r}, which count as two; where one "
                "is meant, write them alike."
            )
            warnings.warn(message, UserWarning, stacklevel=4)
            return


def numbers_of(table: Table, column: Column) -> np.ndarray:
    """The column as float64 with NaN where missing; a `DataError` where a text is no number."""
    if column.kind == "numeric":
        return column.values
    values, wrong = column.numbers()
    wrong = wrong or np.flatnonzero(np.isinf(values)).tolist()
    if wrong:
        commas = all("," in column.values[row] for row in wrong)
        hint = " Pass decimal=',' where a comma stands before decimals." if commas else ""
        raise DataError(
            f"{table.source}: column {column.name!r} held numbers in training, but holds {column.values[wrong[0]]!r} "
            f"on {table.at(wrong)}.{hint}"
        )
    return values


def positions_of(table: Table, column: CategoricalColumn, found: Column, what: str, strict: bool = True) -> np.ndarray:
    """Each row's place in the list of categories; -1 where it is missing, or unknown and not strict."""
    place = {value: position for position, value in enumerate(column.categories)}
    texts = found.as_text()
    wrong = [row for row, value in enumerate(texts) if value is not None and value not in place]
    if wrong and strict:
        listed = ", ".join(column.categories[:8]) + (", ..." if len(column.categories) > 8 else "")
        mend = " TableEncoder(unseen='zeros') would accept it." if what == "category" else ""
        raise DataError(
            f"{table.source}: column {column.name!r} holds {texts[wrong[0]]!r} on {table.at(wrong)}, a {what} that the "
            f"training rows did not have ({listed}).{mend}"
        )
    return np.array([place.get(value, -1) for value in texts], int)


def targets_of(table: Table, target: NumericColumn | CategoricalColumn) -> np.ndarray:
    """The targets of a table: class indices int32 (n,), or values float32 (n, 1).

    Raises:
        DataError: no such column, a missing value, one beyond the range of float32, or a class that training did not
            know.
    """
    found = table.column(target.name)
    gaps = np.flatnonzero(found.is_missing())
    if gaps.size:
        raise DataError(f"{table.source}: the target {found.name!r} is missing on {table.at(gaps)}.")
    if isinstance(target, CategoricalColumn):
        return positions_of(table, target, found, "class").astype(np.int32)
    values = numbers_of(table, found)
    if (beyond := np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)).size:
        raise DataError(
            f"{table.source}: the target {found.name!r} is {values[beyond[0]]:g} on {table.at(beyond)}, "
            "beyond the range of float32: give it in other units, or its logarithm."
        )
    return values.astype(np.float32)[:, None]


def fill_of(column: NumericColumn, values: np.ndarray) -> float:
    """What fills the gaps of a numeric column: the mean or median of its training values (n,)."""
    present = values[~np.isnan(values)]
    if column.missing == "error" or not present.size:
        return 0.0
    return float(np.median(present) if column.missing == "median" else np.mean(present))

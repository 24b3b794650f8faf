"""From a table to arrays: numbers standardised, categories one-hot, everything learned from training rows.

The description holds what is text: names of columns and their categories; the arrays hold the numbers.
Together they are saved with the model, and turn a new file into inputs in exactly the same way.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data.columns import (
    CategoricalColumn,
    NumericColumn,
    described,
    described_target,
    fill_of,
    numbers_of,
    positions_of,
    targets_of,
    warn_of,
)
from denpa.data.dataset import Dataset
from denpa.data.normalise import Normalizer
from denpa.data.readers import raw_table
from denpa.data.statistics import inverse, kept, mean_and_variance
from denpa.data.table import Column, Table, want_table
from denpa.data.text_format import TextFormat

__all__ = ["CategoricalColumn", "NumericColumn", "TableEncoder"]

_MUCH_MEMORY = 1 << 31  # bytes of x


@dataclass(frozen=True)
class TableEncoder(Normalizer):
    """x = [numbers, standardised | one-hot of each categorical column], in the order of the columns

    Made by `TableEncoder.of(training_table)`. A number becomes one column (v - m) / s with mean m and
    s^2 = (1/N) sum (v - m)^2 of the training rows (gaps filled first; constant columns give 0); a category
    column becomes as many columns as training knew categories, 1 at the row's category and 0 elsewhere.

    Args:
        columns: the features.
        target: the column to predict, or None.
        standardize: False leaves numbers as they are.
        unseen: a category that training did not know: "error" refuses it, "zeros" makes all its columns 0.
        written: how the text file of the training table was written; `read` takes others to be written alike.

    Raises:
        ConfigError: no column, or one twice.
    """

    columns: tuple[NumericColumn | CategoricalColumn, ...]
    target: NumericColumn | CategoricalColumn | None = None
    standardize: bool = True
    unseen: Literal["error", "zeros"] = "error"
    written: TextFormat = field(default_factory=TextFormat)

    def validate(self) -> None:
        """Refuse no columns, and names given twice."""
        if not self.columns:
            raise ConfigError("TableEncoder wants one column or more: make it by TableEncoder.of(table).")
        names = [column.name for column in (*self.columns, *((self.target,) if self.target else ()))]
        if len(set(names)) != len(names):
            raise ConfigError(f"TableEncoder lists a column twice: {', '.join(names)}.")

    @classmethod
    def of(cls, table: Table, *, standardize: bool = True, unseen: Literal["error", "zeros"] = "error") -> TableEncoder:
        """The encoder for the columns and categories of a table of TRAINING rows.

        Warns (UserWarning) of columns that are constant, or look like identifiers: texts of which more than
        half differ, or consecutive integers. They are kept; leave them out by `read_table(ignore=[...])`. And of
        categories or classes that differ in capitals or in the width of their letters alone.

        Raises:
            DataError: gaps that nothing is to fill, or a target of one class only.
            ConfigError: no table.
        """
        want_table(table)
        columns = tuple(described(table, column) for column in table.columns)
        for column in table.every:
            warn_of(table, column)
        return cls(columns, described_target(table), standardize, unseen, table.written)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of every column of x: `age`, `colour=red`, `colour=(missing)`."""
        names: list[str] = []
        for column in self.columns:
            if isinstance(column, NumericColumn):
                names.append(column.name)
            else:
                names += [f"{column.name}={value}" for value in column.categories]
                names += [f"{column.name}=(missing)"] * (column.missing == "category")
        return tuple(names)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes of a categorical target, by class index."""
        return self.target.categories if isinstance(self.target, CategoricalColumn) else None

    def read(self, path: str | Path, **options: Any) -> Table:
        """A file to predict from, its columns taken for what they were in training. Gaps are left to `apply`.

        Args:
            path: as for `read_table`.
            options: of text files, as for `read_table`, where this one is written otherwise.
        """
        return raw_table(path, **(dict(vars(self.written)) | options))

    def fit(self, x: Table) -> dict[str, Any]:
        """Statistics of the training rows: `fill`, `mean`, `scale`, `inverse_scale`, one entry per numeric column.

        Raises:
            DataError: the table lacks a column, or holds a value that its column cannot.
        """
        numeric = [column for column in self.columns if isinstance(column, NumericColumn)]
        if not numeric:
            return {}
        values = np.stack([numbers_of(x, x.column(column.name)) for column in numeric], axis=1)
        fill = np.array([fill_of(column, values[:, i]) for i, column in enumerate(numeric)])
        values = np.where(np.isnan(values), fill, values)
        mean, variance = mean_and_variance(values, "feature")
        if not self.standardize:
            mean, variance = np.zeros_like(mean), np.ones_like(variance)
        scale = np.sqrt(variance)
        names = [column.name for column in numeric]
        return kept(self, names, fill=fill, mean=mean, scale=scale, inverse_scale=inverse(scale))

    def apply(self, arrays: dict[str, Any], x: Table) -> np.ndarray:
        """The inputs float32 (n, d) of a table; other columns than the encoder's are not looked at.

        Raises:
            DataError: a missing column, a missing value that nothing fills, text in a numeric column, or a
                category that training did not know; columns and lines are named.
        """
        self._warn_of_size(len(x))
        encoded, place, position = np.zeros((len(x), len(self.feature_names)), np.float32), 0, 0
        for column in self.columns:
            found = x.column(column.name)
            if isinstance(column, CategoricalColumn):
                width = len(column.categories) + (column.missing == "category")
                self._one_hot(x, column, found, encoded[:, place : place + width])
                place += width
                continue
            values = numbers_of(x, found)
            gaps = np.isnan(values)
            _refuse_gaps(x, column, gaps)
            statistics = {name: float(array[position]) for name, array in arrays.items()}
            values = np.where(gaps, statistics["fill"], values)
            # Centring in float64: a large common offset would cost the digits that matter.
            values = (values - statistics["mean"]) * statistics["inverse_scale"]
            encoded[:, place] = values
            place, position = place + 1, position + 1
        return encoded

    def targets(self, table: Table) -> np.ndarray:
        """The targets of a table: class indices int32 (n,), or values float32 (n, 1).

        Raises:
            DataError: no target column, a missing value, one beyond the range of float32, or a class that training
                did not know.
        """
        if self.target is None:
            raise DataError(f"This encoder was made from a table without a target, so {table.source} has none for it.")
        return targets_of(table, self.target)

    def encode(self, arrays: dict[str, Any], table: Table) -> Dataset:
        """Inputs and targets of a table as a `Dataset`; without targets where the table has no such column."""
        has_target = self.target is not None and self.target.name in [column.name for column in table.every]
        task = "classification" if isinstance(self.target, CategoricalColumn) else "regression" if self.target else None
        return Dataset(
            x=self.apply(arrays, table),
            t=self.targets(table) if has_target else None,
            task=task,
            class_names=self.class_names,
            feature_names=self.feature_names,
            name=table.source,
        )

    def _warn_of_size(self, rows: int) -> None:
        """Tell what a column of very many categories is about to take, before it does."""
        size = 4 * rows * len(self.feature_names)
        wide = [column for column in self.columns if isinstance(column, CategoricalColumn)]
        if size > _MUCH_MEMORY and wide:
            widest = max(wide, key=lambda column: len(column.categories))
            message = (
                f"{rows:,} rows of {len(self.feature_names):,} columns will take {size / 2**30:.1f} GiB: the column "
                f"{widest.name!r} has {len(widest.categories):,} categories, each a column of its own. Leave it out by "
                "ignore=[...], or give its numbers to an Embedding."
            )
            warnings.warn(message, UserWarning, stacklevel=4)

    def _one_hot(self, table: Table, column: CategoricalColumn, found: Column, into: np.ndarray) -> None:
        gaps = np.array([value is None for value in found.as_text()], bool)
        _refuse_gaps(table, column, gaps)
        positions = positions_of(table, column, found, "category", strict=self.unseen == "error")
        known = np.flatnonzero((positions >= 0) & (positions < len(column.categories)))
        into[known, positions[known]] = 1
        if column.missing == "category":
            into[gaps, -1] = 1


def _refuse_gaps(table: Table, column: NumericColumn | CategoricalColumn, gaps: np.ndarray) -> None:
    if gaps.any() and column.missing == "error":
        raise DataError(
            f"{table.source}: {column.name!r} is missing on {table.at(np.flatnonzero(gaps))}. No way to fill it was "
            "chosen before training: complete such rows, or leave them out."
        )

"""Time series to predict: cut into rows, of which each step foretells the next.

x = (v_1, ..., v_T)      t = (y_2, ..., y_{T+1})      y: the column to predict, one of those of v
"""

from __future__ import annotations

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data.arguments import as_number, as_whole
from denpa.data.counted import counted
from denpa.data.dataset import Dataset, Splits
from denpa.data.splitting import in_order
from denpa.data.table import Table

__all__ = ["next_value_rows", "series_parts", "sine_wave", "values_of_table"]

ROW = 200


def next_value_rows(values: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """A series (n, columns) cut into rows: x (rows, length, columns) and t (rows, length, 1), one step ahead of x.

    The column to predict is the last. What is left at the end, fewer than `length` steps, is no row.

    Raises:
        ConfigError: a length below 1.
        DataError: fewer steps than one row and its last target need.
    """
    length = as_whole(length, "The length of a row", 1)
    rows, columns = (len(values) - 1) // length, values.shape[1]
    if rows < 1:
        raise DataError(
            f"The series has {counted(len(values), 'step')}, but one row takes {length} and one more as the last "
            "target: take shorter rows, or a longer series."
        )
    whole = np.asarray(values, np.float32)
    x = whole[: rows * length].reshape(rows, length, columns)
    return x, whole[1 : rows * length + 1, -1:].reshape(rows, length, 1)


def series_parts(
    values: np.ndarray,
    columns: tuple[str, ...],
    name: str,
    length: int | None = None,
    test: float = 0.2,
    validation: float = 0.0,
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """Rows of a series to learn from, for validation and for the test: its end is the test, before it validation.

    Args:
        values: (n, columns), the column to predict last.
        columns: names of the columns.
        name: what the data are called.
        length: of a row; None for 200, or fewer where a part of the series is shorter.
        test, validation: the parts to hold back, from 0 to below 1.

    Raises:
        DataError: a part too short for a row.
        ConfigError: a part outside 0..1, a length below 1.
    """
    slices = in_order(len(values), test, validation)
    parts = [values[part] for part in slices]
    if length is None:
        length = min(ROW, *(len(part) - 1 for part in parts if len(part)))
        if length < 1:
            raise DataError(f"{name}: the series is too short to hold a part of it back.")
    made: list[Dataset | None] = [None, None, None]
    for place, (part, wanted) in enumerate(zip(parts, (1.0, validation, test), strict=True)):
        if wanted:
            x, t = next_value_rows(part, length)
            title = ("train", "validation", "test")[place]
            made[place] = Dataset(x, t, "regression", feature_names=columns, name=f"{name} {title}")
    train, held_out, tested = made
    if train is None:
        raise DataError(f"{name}: nothing is left to learn from.")
    return train, held_out, tested


def values_of_table(table: Table) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers of a table whose rows follow each other in time, (n, columns), and their names; the target last.

    Raises:
        DataError: a column without numbers, or with gaps; column and line are named.
    """
    columns = [*table.columns, *([table.target] if table.target is not None else [])]
    for column in columns:
        if column.kind != "numeric":
            raise DataError(
                f"{table.source}: column {column.name!r} holds no numbers but such as {str(column.values[0])!r}: "
                "leave it out with --ignore."
            )
        if (gaps := np.flatnonzero(column.is_missing())).size:
            raise DataError(
                f"{table.source}: {column.name!r} is missing on {table.at(gaps)}. A series must have no gaps: fill "
                "them, or leave such rows out with --missing drop."
            )
    return np.stack([column.values.astype(np.float64) for column in columns], axis=1), tuple(c.name for c in columns)


def sine_wave(
    n: int = 4000, period: float = 50.0, noise: float = 0.1, length: int = ROW, test: float = 0.2, seed: int = 0
) -> Splits:
    """A noisy sine over time, v_k = sin(2 π k / period) + noise, whose next value is to be predicted.

    x (rows, length, 1), t (rows, length, 1). The best that a prediction can do is the mean square noise².

    Args:
        n: steps.
        period: steps of one wave.
        noise: standard deviation of the Gaussian noise on each value.
        length: of a row.
        test: the part to hold back, from the end.
        seed: of the noise.
    """
    n, seed = as_whole(n, "n", 2), as_whole(seed, "seed", 0)
    period, noise = as_number(period, "period"), as_number(noise, "noise")
    if period == 0:
        raise ConfigError("period must be above 0.")
    values = np.sin(2 * np.pi * np.arange(n) / period) + noise * np.random.default_rng(seed).standard_normal(n)
    train, _, tested = series_parts(values[:, None], ("value",), "sine-wave", length, test)
    if tested is None:
        raise ConfigError("The part to hold back for the test must be above 0.")
    return Splits(train, tested)

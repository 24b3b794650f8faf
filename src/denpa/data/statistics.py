"""Statistics over the training examples, for the normalisers: float64 inside, float32 kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from denpa.core.errors import DataError

__all__ = ["inverse", "kept", "mean_and_variance", "minimum_and_maximum"]

_CHUNK = 1 << 22  # entries converted to float64 at a time: 32 MiB


def mean_and_variance(x: np.ndarray, per: str) -> tuple[np.ndarray, np.ndarray]:
    """m = (1/N) sum_n x_n and (1/N) sum_n (x_n - m)^2, in two passes; the variance of a constant is exactly 0."""
    axes = _axes(x, per)
    lowest, highest = minimum_and_maximum(x, per)
    count = x.size // lowest.size
    mean = sum(np.sum(part, axis=axes, dtype=np.float64) for part in _parts(x)) / count
    # Rounding of the mean would leave a tiny variance in a constant component.
    mean = np.where(highest > lowest, mean, lowest)
    squares = sum(np.sum((part.astype(np.float64) - mean) ** 2, axis=axes) for part in _parts(x))
    return mean, np.asarray(squares / count)


def minimum_and_maximum(x: np.ndarray, per: str) -> tuple[np.ndarray, np.ndarray]:
    """The extremes of every component."""
    axes = _axes(x, per)
    return np.min(x, axis=axes).astype(np.float64), np.max(x, axis=axes).astype(np.float64)


def inverse(scale: np.ndarray) -> np.ndarray:
    """1 / scale, and 0 where the scale is 0, so that applying it needs no division."""
    safe = np.where(scale > 0, scale, 1.0)
    return np.where(scale > 0, 1.0 / safe, 0.0)


def kept(owner: Any, names: Sequence[str] = (), **statistics: np.ndarray) -> dict[str, Any]:
    """The statistics in float32; a `DataError` where one does not fit, with the column where columns have `names`."""
    with np.errstate(over="ignore"):
        arrays = {name: np.asarray(value, np.float32) for name, value in statistics.items()}
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            at = tuple(np.argwhere(~np.isfinite(value))[0].tolist())
            component = f" of component {', '.join(map(str, at))}" if at else ""
            component = f" of column {names[at[0]]!r}" if names else component
            raise DataError(
                f"{type(owner).__name__ if names else repr(owner)}: the {name}{component} is "
                f"{statistics[name][at]:.3g}, beyond the range of float32. Give it in other units."
            )
    return arrays


def _axes(x: np.ndarray, per: str) -> tuple[int, ...]:
    return (0,) if per == "feature" else tuple(range(max(1, x.ndim - 1)))


def _parts(x: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, _CHUNK // x[0].size)
    for start in range(0, len(x), rows):
        yield x[start : start + rows]

"""What every algorithm here begins with: checked arrays in float64, weights that sum to 1."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.data.arguments import as_flag, as_whole
from denpa.data.checks import check_data, check_x, is_one_hot, unmasked
from denpa.data.counted import counted

__all__ = [
    "Centred",
    "centred",
    "decomposed",
    "examples",
    "labels_of",
    "numbers_of",
    "numerical_rank",
    "rate_of",
    "strength_of",
    "strengths_of",
    "targets",
    "weights",
]


def numbers_of(a: Any, name: str) -> np.ndarray:
    """An array in float64; a `DataError` where it holds something else than numbers."""
    try:
        numbers = unmasked(a, name, "the data")
        missing = numbers.dtype.kind == "O" and any(entry is None for entry in numbers.flat)  # they would be NaN
        if missing or numbers.dtype.kind in "cmMSU":
            raise TypeError(f"{numbers.dtype} would lose what it means")
        return np.array(numbers, np.float64)
    except DataError:
        raise
    except (TypeError, ValueError):
        raise DataError(f"{name} must hold numbers, in rows of the same length, not {a!r}.") from None


def examples(x: Any, features: int | None = None) -> np.ndarray:
    """x (n, d) in float64.

    Raises:
        DataError: no examples, NaN, infinity, text.
        ShapeError: not one row per example, or another d than the `features` that a model was fitted to.
    """
    x = unmasked(x, "x", "the data")
    check_x(x)
    if x.ndim != 2:
        hint = "x.reshape(len(x), -1)" if x.ndim > 2 else "x[:, None]"
        raise ShapeError(f"x must have the shape (n, d), one row per example, not {x.shape}: {hint} makes it so.")
    if features is not None and x.shape[1] != features:
        raise ShapeError(f"x has {counted(x.shape[1], 'column')}, but the model was fitted to {features}.")
    return x.astype(np.float64)


def targets(x: np.ndarray, t: Any) -> np.ndarray:
    """t (n,) or (n, k) in float64; errors as for `examples`."""
    t = unmasked(t, "t", "the data")
    check_data(x, t, task="regression")
    if t.ndim > 2:
        raise ShapeError(f"t must have the shape (n,) or (n, k), not {t.shape}.")
    return t.astype(np.float64)


def labels_of(x: np.ndarray, t: Any, classes: int | None = None, *, several: bool = True) -> tuple[np.ndarray, int]:
    """Class indices (n,) from indices or one-hot rows, and the number K of classes.

    Raises:
        DataError: labels that are no integers from 0, or one class only where `several` are wanted.
        ConfigError: a number of classes below 2.
    """
    t, classes = unmasked(t, "t", "the data"), None if classes is None else as_whole(classes, "classes", 2)
    check_data(x, t, task="classification", classes=classes, several=several)
    if t.ndim == 1:
        return t.astype(np.int64), classes or int(t.max()) + 1
    if not is_one_hot(t):
        raise DataError(f"t must hold class indices (n,) or one-hot rows (n, K), not {t.shape} of another kind.")
    return t.argmax(axis=1), t.shape[1]


def weights(x: np.ndarray, sample_weight: Any) -> np.ndarray:
    """p_n = s_n / Σ_m s_m (n,); 1/N without weights.

    Raises:
        ShapeError: not one weight per example.
        DataError: a weight below 0 or not finite, or all of them 0.
    """
    if sample_weight is None:
        return np.full(len(x), 1 / len(x))
    s = numbers_of(sample_weight, "sample_weight")
    if s.shape != (len(x),):
        raise ShapeError(f"sample_weight must have the shape {(len(x),)}, one weight per example, not {s.shape}.")
    if not np.isfinite(s).all() or s.min() < 0 or s.max() == 0:
        raise DataError("sample_weight must hold finite numbers, 0 or more and not all of them 0.")
    s /= s.max()  # so that the sum is a number too
    return s / s.sum()


def strength_of(strength: Any, name: str = "strength") -> float:
    """A penalty's strength: a finite number, 0 or more; else a `ConfigError`."""
    real = isinstance(strength, numbers.Real) and not isinstance(strength, bool)
    if not real or not 0 <= float(strength) < float("inf"):
        raise ConfigError(f"{name} must be a finite number, 0 or more, not {strength!r}.")
    return float(strength)


def strengths_of(strengths: Any) -> list[float]:
    """Several strengths, one or more of them; else a `ConfigError`."""
    listed = isinstance(strengths, Iterable) and not isinstance(strengths, (str, bytes))
    if not listed or getattr(strengths, "ndim", 1) == 0 or not (several := list(strengths)):
        raise ConfigError(f"strengths must be a list of numbers such as [0.01, 0.1, 1], not {strengths!r}.")
    return [strength_of(strength) for strength in several]


def rate_of(learning_rate: Any) -> float:
    """A learning rate: a finite number greater than 0; else a `ConfigError`."""
    real = isinstance(learning_rate, numbers.Real) and not isinstance(learning_rate, bool)
    if not real or not 0 < float(learning_rate) < float("inf"):
        raise ConfigError(f"learning_rate must be a number greater than 0, not {learning_rate!r}.")
    return float(learning_rate)


class Centred(NamedTuple):
    """Examples with their means taken out, rows scaled so that plain squares are weighted means.

    A: √p_n (x_n - x̄), (n, d).    B: √p_n (t_n - t̄), (n, k).    x_mean (d,), t_mean (k,).
    rows: how many rows of A are independent at most: those of weight 0 are 0, and means make a row of the others.
    """

    A: np.ndarray
    B: np.ndarray
    x_mean: np.ndarray
    t_mean: np.ndarray
    rows: int

    def intercept(self, W: np.ndarray) -> np.ndarray:
        """b = t̄ - x̄ W: whatever W is, the best intercept lets the line pass through the means."""
        return self.t_mean - self.x_mean @ W


def centred(x: np.ndarray, t: np.ndarray, p: np.ndarray, intercept: bool) -> Centred:
    """The problem without its intercept: min_b Σ p_n ‖x_n W + b - t_n‖² = ‖A W - B‖²."""
    t, intercept = t.reshape(len(t), -1), as_flag(intercept, "intercept")
    x_mean, t_mean = (p @ x, p @ t) if intercept else (np.zeros(x.shape[1]), np.zeros(t.shape[1]))
    # Rounding of the mean must not leave a tiny slope in a constant column.
    counted = x[p > 0]
    constant = counted.min(axis=0) == counted.max(axis=0)
    x_mean = np.where(constant & intercept, counted[0], x_mean)
    A, B = x - x_mean, t - t_mean
    if intercept:  # what the rounding of a large mean leaves, the same in all rows, would look like one direction more
        A, B = A - p @ A, B - p @ B
    root = np.sqrt(p)[:, None]
    return Centred(root * A, root * B, x_mean, t_mean, len(counted) - intercept)


def numerical_rank(singular_values: np.ndarray, shape: tuple[int, int]) -> int:
    """How many singular values exceed 10 max(shape) ε s_1: what rounding in sums over many rows may have left of 0."""
    if not len(singular_values):
        return 0
    return int(np.sum(singular_values > 10 * max(shape) * np.finfo(np.float64).eps * singular_values[0]))


def decomposed(A: np.ndarray, strength: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """U (n, r), T (d, r): of all minima of ‖A W - B‖² + λ ‖W‖² the smallest is T Uᵀ B. r is the numerical rank.

    With A = U₀ diag(s) Vᵀ they are U₀ diag(s / √(s² + λ)) and V diag(1 / √(s² + λ)), up to one rotation of both. For
    n >= d they are found without the units of the columns: one of 10⁻¹⁸ beside one of 1 would be lost in the rounding
    of a decomposition of A itself, and x beside x⁶ may be such a one.
    """
    if len(A) < A.shape[1]:
        U, s, Vt = np.linalg.svd(A, full_matrices=False)
        rank = numerical_rank(s, A.shape)
        size = np.hypot(s, strength**0.5)[:rank]
        return U[:, :rank] * (s[:rank] / size), Vt[:rank].T / size
    used = np.flatnonzero(A.any(axis=0))
    rows = A[:, used]
    if strength:
        rows = np.vstack([rows, strength**0.5 * np.eye(len(used))])
    units = np.abs(rows).max(axis=0, initial=0)
    U, s, Vt = np.linalg.svd(rows / units, full_matrices=False)
    rank = numerical_rank(s, rows.shape)
    # Of all solutions the smallest: none of it along what A does not see.
    unseen = np.linalg.qr(Vt[rank:].T / units[:, None])[0]
    T = np.zeros((A.shape[1], rank))
    T[used] = Vt[:rank].T / s[:rank] / units[:, None]
    T[used] -= unseen @ (unseen.T @ T[used])
    # Beside a large λ the rows of A are of the size of its rounding.
    return A @ T if strength**0.5 > np.abs(A).max() else U[: len(A), :rank], T

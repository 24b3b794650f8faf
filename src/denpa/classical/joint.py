"""Regression and classification from a table of the joint distribution, where nothing is unknown.

A table P has one row for each value of x and one column for each value of y, and sums to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.classical.arrays import numbers_of
from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.data.arguments import as_whole
from denpa.data.checks import unmasked

__all__ = ["conditional", "conditional_expectation", "expected_squared_error", "joint_table", "least_squared_error"]


def joint_table(x: Any, y: Any, shape: tuple[int, int] | None = None) -> np.ndarray:
    """P(x, y) = (1/N) Σ_n δ_{x,x_n} δ_{y,y_n}: the empirical distribution of pairs of indices from 0

    Args:
        x, y: (n,), whole numbers.
        shape: how many values x and y have; as many as occur when None.

    Raises:
        DataError: not whole numbers from 0, or none at all, or beyond `shape`.
        ShapeError: not equally many.
        ConfigError: a `shape` that is no pair of whole numbers from 1.
    """
    x, y = unmasked(x, "x", "the data"), unmasked(y, "y", "the data")
    if x.shape != y.shape or x.ndim != 1:
        raise ShapeError(f"x and y must have the same shape (n,), not {x.shape} and {y.shape}.")
    if not len(x) or x.dtype.kind not in "iu" or y.dtype.kind not in "iu" or min(x.min(), y.min()) < 0:
        raise DataError("x and y must hold whole numbers, 0 or more: indices into the table.")
    shape = (int(x.max()) + 1, int(y.max()) + 1) if shape is None else _sizes(shape)
    if x.max() >= shape[0] or y.max() >= shape[1]:
        raise DataError(f"A table of shape {shape} has no entry at ({x.max()}, {y.max()}).")
    places = x.astype(np.int64) * shape[1] + y.astype(np.int64)  # bytes would overflow
    return np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape) / len(x)


def _sizes(shape: Any) -> tuple[int, int]:
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise ConfigError(f"shape must be a pair such as (2, 3): how many values x and y have, not {shape!r}.")
    return as_whole(shape[0], "shape[0]", 1), as_whole(shape[1], "shape[1]", 1)


def conditional(P: Any) -> np.ndarray:
    """P(y|x) = P(x, y) / P(x),   P(x) = Σ_y P(x, y): the generative approach, a row for each x

    Args:
        P: (rows of x, columns of y), probabilities that sum to 1.

    Returns:
        Of P's shape; each row sums to 1.

    Raises:
        DataError: no distribution, or a value of x of probability 0, for which P(y|x) is not defined.
        ShapeError: no table.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 1.10 and 1.11.
    """
    P = _table(P)
    marginal = P.sum(axis=1, keepdims=True)
    if (marginal == 0).any():
        raise DataError(f"P(x) = 0 at row {int(marginal.argmin())}: P(y|x) is not defined there; leave the row out.")
    return P / marginal


def conditional_expectation(P: Any, y: Any) -> np.ndarray:
    """ŷ*(x) = Σ_y y P(y|x) = E[y|x]: what minimises the expected squared error

    For every x the derivative is 0 = 2 Σ_y (ŷ(x) - y) P(x, y), which has this one solution.

    Args:
        P: (rows of x, columns of y).
        y: the values that the columns stand for.

    Returns:
        One number for each row of P.

    Raises:
        DataError, ShapeError: as for `conditional`; y has not one value for each column.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 1.89.
    """
    P = _table(P)
    return conditional(P) @ _values(P, y)


def expected_squared_error(P: Any, y: Any, prediction: Any) -> float:
    """E[(ŷ(x) - y)²] = Σ_x Σ_y (ŷ(x) - y)² P(x, y): twice the generalisation error of `MeanSquaredError`

    Args:
        P, y: as for `conditional_expectation`.
        prediction: ŷ, one number for each row of P.

    Raises:
        DataError, ShapeError: as for `conditional_expectation`; the prediction has not one number for each row.

    Source: Bishop (2006), equation 1.87.
    """
    P = _table(P)
    prediction = numbers_of(prediction, "prediction")
    if prediction.shape != P.shape[:1]:
        raise ShapeError(f"prediction must have the shape {P.shape[:1]}, one for each x, not {prediction.shape}.")
    return float(np.sum(P * (prediction[:, None] - _values(P, y)) ** 2))


def least_squared_error(P: Any, y: Any) -> float:
    """Σ_x P(x) Var[y|x]: the expected squared error of E[y|x], which no predictor goes below

    Arguments and errors are those of `conditional_expectation`.

    Source: Bishop (2006), equation 1.90, second term.
    """
    P = _table(P)
    return expected_squared_error(P, y, conditional_expectation(P, y))


def _table(P: Any) -> np.ndarray:
    P = numbers_of(P, "P")
    if P.ndim != 2:
        raise ShapeError(f"P must be a table with a row for each x and a column for each y, not {P.shape}.")
    if not (P >= 0).all() or not np.isclose(P.sum(), 1):
        raise DataError(f"P must hold probabilities, 0 or more, that sum to 1, not to {P.sum():g}.")
    return P


def _values(P: np.ndarray, y: Any) -> np.ndarray:
    y = numbers_of(y, "y")
    if y.shape != P.shape[1:]:
        raise ShapeError(f"y must have the shape {P.shape[1:]}, one value for each column, not {y.shape}.")
    return y

"""Choosing a model: training against test error over the degree, hold-out, k folds, bias and variance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.classical.arrays import numbers_of, strength_of
from denpa.classical.least_squares import polynomial_features, ridge
from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.data.arguments import as_whole
from denpa.data.checks import check_data, unmasked
from denpa.data.splitting import k_fold_indices, split_indices

__all__ = [
    "BiasVariance",
    "DegreeCurve",
    "Scores",
    "bias_variance",
    "degree_curve",
    "hold_out",
    "k_fold",
    "mean_squared_error",
]


def mean_squared_error(y: Any, t: Any) -> float:
    """(1/N) Σ_n (y_n - t_n)², over all entries.

    Raises:
        DataError: no numbers.
        ShapeError: y and t have not the same shape; nothing is broadcast.
    """
    y, t = _some_numbers(y, "y"), _some_numbers(t, "t")
    if y.shape != t.shape:
        raise ShapeError(f"Predictions {y.shape} and targets {t.shape} must have the same shape.")
    return float(np.mean((y - t) ** 2))


def _some_numbers(a: Any, name: str) -> np.ndarray:
    """`numbers_of`, one at least: of none there is no mean."""
    numbers = numbers_of(a, name)
    if not numbers.size:
        raise DataError(f"{name} must hold a number or more, not an array of shape {numbers.shape}.")
    return numbers


@dataclass(frozen=True, eq=False)
class DegreeCurve:
    """Polynomials of several degrees, fitted to the training points.

    Args:
        degrees: M (m,).
        train_errors, test_errors: mean squared errors (m,).
        largest_weights: max_j |w_j| (m,), of x, x², ..., x^M.
    """

    degrees: np.ndarray
    train_errors: np.ndarray
    test_errors: np.ndarray
    largest_weights: np.ndarray

    @property
    def best(self) -> int:
        """The degree of the smallest test error."""
        return int(self.degrees[self.test_errors.argmin()])


def degree_curve(train: Any, test: Any, degrees: Iterable[int], strength: float = 0.0) -> DegreeCurve:
    """y = Σ_{j=0}^{M} w_j x^j fitted by least squares for each degree M; errors on both sets

    The training error falls with M and is 0 at M = N - 1; the test error stops falling where the polynomial
    begins to follow the noise, while the weights grow. A strength λ > 0 (`ridge`) keeps them small.

    Args:
        train, test: (x, t) with x (n,) and t (n,).
        degrees: M, 0 or more.
        strength: λ.

    Raises:
        DataError, ShapeError: no pairs, x and t of different lengths, numbers that are not finite.
        ConfigError: degrees or a strength out of range.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", section 1.1.
    """
    for part in (train, test):
        if not isinstance(part, (tuple, list)) or len(part) != 2:
            raise DataError(f"Training and test data are pairs (x, t), not {type(part).__name__}.")
    if not isinstance(degrees, Iterable) or not (degrees := list(degrees)):
        raise ConfigError(f"degrees must be a list of whole numbers such as range(10), not {degrees!r}.")
    (x, t), (x_test, t_test) = ([numbers_of(a, "the data").ravel() for a in part] for part in (train, test))
    for some_x, some_t in ((x, t), (x_test, t_test)):
        check_data(some_x[:, None], some_t, task="regression")
    strength, rows = strength_of(strength), []
    for degree in degrees:
        if as_whole(degree, "degree", 0) == 0:
            rows.append((mean_squared_error(np.full_like(t, t.mean()), t), np.mean((t.mean() - t_test) ** 2), 0.0))
            continue
        features = polynomial_features(x, degree)
        model = ridge(features, t, strength)  # the smallest of the many solutions that a degree above N - 1 has
        y, y_test = model.predict(features), model.predict(polynomial_features(x_test, degree))
        rows.append((mean_squared_error(y, t), mean_squared_error(y_test, t_test), np.abs(model.W).max()))
    return DegreeCurve(np.array(degrees), *np.array(rows).T)


@dataclass(frozen=True, eq=False)
class Scores:
    """The score of each fold.

    Args:
        values: (k,).
    """

    values: np.ndarray

    @property
    def mean(self) -> float:
        """(1/k) Σ_i s_i"""
        return float(self.values.mean())

    @property
    def spread(self) -> float:
        """The standard deviation of the folds, with divisor k - 1."""
        return float(self.values.std(ddof=1))


def k_fold(
    fit: Callable[[Any, Any], Callable[[Any], Any]],
    x: Any,
    t: Any,
    folds: int = 5,
    *,
    error: Callable[[Any, Any], float] = mean_squared_error,
    labels: Any = None,
    seed: int = 0,
) -> Scores:
    """s_i = error(fit(all but fold i)(x of fold i), t of fold i),   i = 1..k

    Args:
        fit: (x, t) -> a function that predicts, such as lambda x, t: ridge(x, t, 0.1).predict.
        x, t: examples and targets, equally many.
        folds: k, from 2 to the number of examples.
        error: (predicted, true) -> number.
        labels: classes (n,) that every fold should have in equal parts.
        seed: draws the folds.

    Raises:
        ConfigError, DataError: fewer than two folds, fewer examples than folds; `error` is no function.
        ShapeError: examples, targets and labels are not equally many.

    Source: Stone (1974), "Cross-validatory choice and assessment of statistical predictions".
    """
    x, t = _paired(x, t)
    error, labels = _measured_by(error), _strata(labels, len(x))
    parts = k_fold_indices(len(x), folds, seed, labels)
    return Scores(np.array([error(_fitted(fit, x[rest], t[rest])(x[held]), t[held]) for rest, held in parts]))


def _fitted(fit: Any, x: Any, t: Any) -> Callable[[Any], Any]:
    found = fit(x, t) if callable(fit) else None
    if not callable(found):
        raise ConfigError("fit must give a function that predicts, such as lambda x, t: ridge(x, t, 0.1).predict.")
    return found


def _measured_by(error: Any) -> Any:
    if not callable(error):
        raise ConfigError(f"error must be a function (predicted, true) -> number, not {error!r}.")
    return error


def _strata(labels: Any, count: int) -> np.ndarray | None:
    if labels is None:
        return None
    found = unmasked(labels, "labels", "the data")
    if found.shape != (count,):
        raise ShapeError(f"labels must have the shape {(count,)}, one class for each example, not {found.shape}.")
    return found


def hold_out(
    fit: Callable[[Any, Any], Callable[[Any], Any]],
    x: Any,
    t: Any,
    fraction: float = 0.2,
    *,
    error: Callable[[Any, Any], float] = mean_squared_error,
    labels: Any = None,
    seed: int = 0,
) -> float:
    """error(fit(the rest)(x held out), t held out)

    Args:
        fit, x, t, error, labels, seed: as for `k_fold`.
        fraction: of the examples to hold out, between 0 and 1.

    Raises:
        ConfigError, DataError: a fraction that leaves one side without examples; `error` is no function.
        ShapeError: examples, targets and labels are not equally many.

    Source: Hastie, Tibshirani & Friedman (2009), "The Elements of Statistical Learning", section 7.2.
    """
    x, t = _paired(x, t)
    error, labels = _measured_by(error), _strata(labels, len(x))
    rest, held = split_indices(len(x), fraction, seed, labels)
    return error(_fitted(fit, x[rest], t[rest])(x[held]), t[held])


@dataclass(frozen=True, eq=False)
class BiasVariance:
    """E[(y - f)²] = bias² + variance, averaged over the points where it was measured.

    Args:
        squared_bias: mean over x of (ȳ(x) - f(x))².
        variance: mean over x of (1/R) Σ_r (y_r(x) - ȳ(x))².
    """

    squared_bias: float
    variance: float


def bias_variance(predictions: Any, truth: Any) -> BiasVariance:
    """ȳ(x) = (1/R) Σ_r y_r(x);   bias² = mean_x (ȳ - f)²,   variance = mean_x (1/R) Σ_r (y_r - ȳ)²

    Their sum is exactly the mean of (y_r(x) - f(x))²; the noise of the targets comes on top of both.

    Args:
        predictions: (R, n), of R models fitted to R training sets.
        truth: f(x) (n,), without noise.

    Raises:
        DataError: no numbers.
        ShapeError: predictions and truth do not fit together.

    Source: Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma"; Bishop
    (2006), equations 3.45 to 3.47.
    """
    y, f = _some_numbers(predictions, "predictions"), _some_numbers(truth, "truth")
    if y.ndim != 2 or f.shape != y.shape[1:]:
        raise ShapeError(f"predictions must have the shape (R, n) and truth (n,), not {y.shape} and {f.shape}.")
    mean = y.mean(axis=0)
    return BiasVariance(float(np.mean((mean - f) ** 2)), float(np.mean((y - mean) ** 2)))


def _paired(x: Any, t: Any) -> tuple[np.ndarray, np.ndarray]:
    x, t = unmasked(x, "x", "the data"), unmasked(t, "t", "the data")
    if not x.ndim or not t.ndim or len(x) != len(t):
        raise ShapeError(f"Examples {x.shape} and targets {t.shape} must be equally many.")
    return x, t

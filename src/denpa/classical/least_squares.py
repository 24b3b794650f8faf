"""Least squares in closed form: linear and polynomial regression by QR, ridge regression by the SVD.

    E(W, b) = (1/2N) Σ_n ‖x_n W + b - t_n‖²        the objective of `MeanSquaredError` behind one `Dense`

With weights s_n the mean is Σ_n s_n ‖...‖² / (2 Σ_n s_n). The intercept b is never penalised.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.classical.arrays import (
    Centred,
    centred,
    decomposed,
    examples,
    strengths_of,
    targets,
    weights,
)
from denpa.data.arguments import as_whole
from denpa.data.checks import unmasked
from denpa.data.counted import counted

__all__ = ["LinearModel", "linear_regression", "polynomial_features", "ridge", "ridge_path"]


@dataclass(frozen=True, eq=False)
class LinearModel:
    """y = x W + b

    Args:
        W: (d,) for targets (n,), (d, k) for targets (n, k).
        b: () or (k,).
        rank: of the centred examples; below d the columns are linearly dependent.
        noise_variance: (1/N) Σ_n (y_n - t_n)², () or (k,): the maximum-likelihood estimate of σ² where
            t = x W + b + ε, ε ~ N(0, σ²), for which least squares is maximum likelihood.
    """

    W: np.ndarray
    b: np.ndarray
    rank: int
    noise_variance: np.ndarray

    def predict(self, x: Any) -> np.ndarray:
        """x (n, d) -> y (n,) or (n, k)."""
        return examples(x, len(self.W)) @ self.W + self.b


def linear_regression(x: Any, t: Any, sample_weight: Any = None, *, intercept: bool = True) -> LinearModel:
    """(W, b) = argmin (1/2N) Σ_n ‖x_n W + b - t_n‖²,   by A = Q R,   R W = Qᵀ B

    A and B are examples and targets with their means taken out. R is d×d and upper triangular; R W = Qᵀ B
    are the normal equations AᵀA W = AᵀB, without the squared condition number of AᵀA. Where the columns
    of A are linearly dependent, W is the solution of the smallest norm, R⁺ Qᵀ B by the SVD of R, and a
    warning tells the rank.

    Args:
        x: examples (n, d).
        t: targets (n,) or (n, k).
        sample_weight: (n,), 0 or more.
        intercept: False for b = 0.

    Returns:
        W, b, rank and the variance of the residuals.

    Raises:
        DataError, ShapeError: data that cannot be learned from, or arrays that do not fit together.

    Warns:
        UserWarning: rank below d.

    Source: Golub (1965), "Numerical methods for solving linear least squares problems"; Chan (1982), "An
    improved algorithm for computing the singular value decomposition" (SVD of R).
    """
    x, t, p = _problem(x, t, sample_weight)
    problem = centred(x, t, p, intercept)
    Q, R = np.linalg.qr(problem.A)
    U, T = decomposed(R)
    rank, d = T.shape[1], x.shape[1]
    if rank == d:
        W = _back_substitution(R, Q.T @ problem.B)
    else:
        warnings.warn(
            f"x has {counted(d, 'column')} of rank {rank} (constant or linearly dependent ones, or too few examples): "
            "of all solutions this is the one of smallest norm. ridge(x, t, strength) has a single one.",
            UserWarning,
            stacklevel=2,
        )
        W = T @ (U.T @ (Q.T @ problem.B))
    return _model(problem, W, rank, t)


def ridge(x: Any, t: Any, strength: float, sample_weight: Any = None, *, intercept: bool = True) -> LinearModel:
    """(W, b) = argmin (1/2N) Σ_n ‖x_n W + b - t_n‖² + (λ/2) ‖W‖²,   W = (XᵀX + N λ I)⁻¹ XᵀT

    with means taken out of X and T. λ is `strength`, as in `dp.L2(strength)`; the same W minimises
    (1/N) Σ ‖...‖² + λ ‖W‖². In the SVD X/√N = U S Vᵀ it is W = V diag(s / (s² + λ)) Uᵀ T/√N:
    flat directions (s² ≪ λ) shrink, none becomes exactly 0. What is decomposed is X/√N over √λ I, the columns in units
    of their own for n >= d, so that x and x⁶ may stand side by side. scikit-learn's alpha is N λ.

    Args:
        x, t, sample_weight, intercept: as for `linear_regression`.
        strength: λ, 0 or more; 0 is the least-squares solution of smallest norm.

    Raises:
        DataError, ShapeError: as for `linear_regression`.
        ConfigError: a strength below 0.

    Source: Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems",
    equation 2.1; Hastie, Tibshirani & Friedman (2009), "The Elements of Statistical Learning", 3.44, 3.47.
    """
    return ridge_path(x, t, [strength], sample_weight, intercept=intercept)[0]


def ridge_path(
    x: Any, t: Any, strengths: Sequence[float], sample_weight: Any = None, *, intercept: bool = True
) -> list[LinearModel]:
    """`ridge` for each of several strengths, by one QR decomposition; arguments and errors are those of `ridge`."""
    x, t, p = _problem(x, t, sample_weight)
    lambdas = strengths_of(strengths)
    problem = centred(x, t, p, intercept)
    Q, R = np.linalg.qr(problem.A)
    C, rank = Q.T @ problem.B, decomposed(R)[1].shape[1]
    found = (decomposed(R, lam) for lam in lambdas)
    return [_model(problem, T @ (U.T @ C), rank, t) for U, T in found]


def polynomial_features(x: Any, degree: int) -> np.ndarray:
    """φ(x) = (x, x², ..., x^M): with an intercept, y = b + Σ_j w_j x^j, M + 1 parameters.

    Args:
        x: (n,) or (n, d); the powers of each column come one after another, without products of columns.
        degree: M, 1 or more.

    Returns:
        (n, M) or (n, d M).

    Raises:
        DataError, ShapeError: x is none of these, or not finite.
        ConfigError: a degree that is no whole number from 1.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 1.1.
    """
    degree, x = as_whole(degree, "degree", 1), unmasked(x, "x", "the data")
    x = examples(x[:, None] if x.ndim == 1 else x)
    powers = x[:, :, None] ** np.arange(1, degree + 1)
    return powers.reshape(len(x), -1)


def _problem(x: Any, t: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = examples(x)
    return x, targets(x, t), weights(x, sample_weight)


def _back_substitution(R: np.ndarray, C: np.ndarray) -> np.ndarray:
    """W with R W = C: w_i = (c_i - Σ_{j>i} R_ij w_j) / R_ii, from the last row to the first."""
    W = np.zeros_like(C)
    for i in reversed(range(len(R))):
        W[i] = (C[i] - R[i, i + 1 :] @ W[i + 1 :]) / R[i, i]
    return W


def _model(problem: Centred, W: np.ndarray, rank: int, t: np.ndarray) -> LinearModel:
    variance = np.sum((problem.A @ W - problem.B) ** 2, axis=0)
    shape = t.shape[1:]
    b = problem.intercept(W)
    return LinearModel(W.reshape(-1, *shape), b.reshape(shape), rank, variance.reshape(shape))

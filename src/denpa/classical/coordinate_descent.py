"""LASSO and elastic net by coordinate descent, with the path of solutions over the strength.

    E(w, b) = (1/2N) Σ_n (x_n w + b - t_n)² + λ₁ Σ_j |w_j| + (λ₂/2) Σ_j w_j²

the objective of `MeanSquaredError` behind `Dense(1)` with the penalty `ElasticNet(λ₁, λ₂)`; `L1(λ)` is λ₂ = 0.
"""

from __future__ import annotations

import numbers
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
    numerical_rank,
    strength_of,
    strengths_of,
    targets,
    weights,
)
from denpa.core.errors import ConfigError, ShapeError
from denpa.data.arguments import as_whole

__all__ = ["SparseModel", "elastic_net", "largest_strength", "lasso", "lasso_path", "soft_threshold"]

_SWEEPS = 100_000
_PATIENCE = 100  # sweeps, after which the signs are searched for
_FEW = 64  # coordinates whose linear system costs nothing


@dataclass(frozen=True, eq=False)
class SparseModel:
    """y = x W + b with many W exactly 0.

    Args:
        W, b: (d,) and ().
        strength: λ₁.
        gap: the duality gap, which bounds how far E lies above its minimum.
        sweeps: passes over the coordinates.
    """

    W: np.ndarray
    b: np.ndarray
    strength: float
    gap: float
    sweeps: int

    @property
    def chosen(self) -> np.ndarray:
        """The indices of the features that are used: W_j ≠ 0."""
        return np.flatnonzero(self.W)

    def predict(self, x: Any) -> np.ndarray:
        """x (n, d) -> y (n,)."""
        return examples(x, len(self.W)) @ self.W + self.b


def soft_threshold(a: Any, k: Any) -> np.ndarray:
    """S(a, k) = sign(a) max(|a| - k, 0)"""
    return np.sign(a) * np.maximum(np.abs(a) - k, 0)


def lasso(
    x: Any, t: Any, strength: float, sample_weight: Any = None, *, intercept: bool = True, tolerance: float = 1e-13
) -> SparseModel:
    """(w, b) = argmin (1/2N) Σ_n (x_n w + b - t_n)² + λ Σ_j |w_j|

    λ is `strength`, as in `dp.L1(strength)` and in scikit-learn. For the error (1/N) Σ (...)² it counts
    half. `elastic_net` tells the algorithm; arguments, results and errors are those.

    Source: Tibshirani (1996), "Regression shrinkage and selection via the lasso".
    """
    return elastic_net(x, t, strength, 0.0, sample_weight, intercept=intercept, tolerance=tolerance)


def elastic_net(
    x: Any, t: Any, l1: float, l2: float, sample_weight: Any = None, *, intercept: bool = True, tolerance: float = 1e-13
) -> SparseModel:
    """w_j <- S(g_j + a_j w_j, λ₁) / (a_j + λ₂),   g_j = (1/N) Σ_n x_nj r_n,   a_j = (1/N) Σ_n x_nj²

    in turn for j = 1..d until the duality gap is small, r = t - x w - b being the residual and means taken
    out of x and t; λ₁ = 0 is `ridge`, in closed form. With g = xᵀr/N - λ₂ w, s = min(1, λ₁ / max_j |g_j|)
    and R = ‖r‖²/N + λ₂ ‖w‖² the gap is

        G = ½ R (1 - s)² + λ₁ Σ_j |w_j| - s wᵀg  >=  E(w) - E(w*)

    For n > d, ‖Qᵀr‖² with x = QU by QR decomposition stands for ‖r‖² in R: what no w changes is left out,
    and the bound is closer.

    Args:
        x: examples (n, d).
        t: targets (n,) or (n, 1).
        l1, l2: λ₁ and λ₂, 0 or more.
        sample_weight: (n,), 0 or more.
        intercept: False for b = 0.
        tolerance: the gap to stop at, as a part of (1/2N) Σ_n (t_n - t̄)².

    Raises:
        DataError, ShapeError: data that cannot be learned from, or arrays that do not fit together.
        ConfigError: a strength below 0, a tolerance that is not positive.

    Warns:
        UserWarning: not at the tolerance after 100,000 sweeps: nearly dependent columns and a tiny strength.

    Source: Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via
    coordinate descent", equation 5. Once the signs of w are right the rest is a linear system, tried after
    every few sweeps; where these have come to no end after 100 of them, the signs are searched for: Lee,
    Battle, Raina & Ng (2007), "Efficient sparse coding algorithms", algorithm 1. Gap: Kim, Koh, Lustig,
    Boyd & Gorinevsky (2007), "An interior-point method for large-scale l1-regularized least squares".
    """
    l1, l2 = strength_of(l1, "l1"), strength_of(l2, "l2")
    problem = _problem(x, t, sample_weight, intercept)
    return _path(problem, [l1], l2, _fraction(tolerance, "tolerance"))[0]


def lasso_path(
    x: Any,
    t: Any,
    strengths: Sequence[float] | None = None,
    sample_weight: Any = None,
    *,
    intercept: bool = True,
    steps: int = 100,
    smallest: float = 1e-3,
    tolerance: float = 1e-13,
) -> list[SparseModel]:
    """`lasso` along falling strengths, each begun at the solution before it (warm start).

    Args:
        x, t, sample_weight, intercept, tolerance: as for `lasso`.
        strengths: λ, in any order; None for `steps` of them, evenly on a logarithmic scale from λ_max, where
            all W become 0, to `smallest` λ_max.
        steps, smallest: see there.

    Returns:
        One model for each strength, from the largest to the smallest.

    Raises:
        DataError, ShapeError: as for `elastic_net`.
        ConfigError: as there; `steps` below 2, a `smallest` that is not between 0 and 1.

    Source: Friedman, Hastie & Tibshirani (2010), section 2.5.
    """
    problem = _problem(x, t, sample_weight, intercept)
    if strengths is None:
        least = _fraction(smallest, "smallest")
        strengths = (np.geomspace(1, least, as_whole(steps, "steps", 2)) * _largest(problem)).tolist()
    lambdas = sorted(strengths_of(strengths), reverse=True)
    return _path(problem, lambdas, 0.0, _fraction(tolerance, "tolerance"))


def largest_strength(x: Any, t: Any, sample_weight: Any = None, *, intercept: bool = True) -> float:
    """λ_max = max_j |(1/N) Σ_n (x_nj - x̄_j)(t_n - t̄)|: the lasso gives W = 0 for λ >= λ_max, and for no other.

    Arguments and errors are those of `lasso`.
    """
    return _largest(_problem(x, t, sample_weight, intercept))


def _largest(problem: Centred) -> float:
    return float(np.abs(problem.A.T @ problem.B).max())


def _problem(x: Any, t: Any, sample_weight: Any, intercept: bool) -> Centred:
    x = examples(x)
    t = targets(x, t)
    if t.shape not in ((len(x),), (len(x), 1)):
        raise ShapeError(f"t must have the shape (n,): fit each of its {t.shape[1]} columns by itself.")
    return centred(x, t, weights(x, sample_weight), intercept)


def _fraction(value: float, name: str) -> float:
    if not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise ConfigError(f"{name} must lie between 0 and 1, not be {value!r}.")
    return float(value)


def _path(problem: Centred, lambdas: list[float], l2: float, tolerance: float) -> list[SparseModel]:
    A, c = problem.A, problem.B[:, 0]
    scale = float(c @ c) / 2
    if len(A) > A.shape[1]:
        # ‖A w - c‖² = ‖R w - Qᵀc‖² + what no w changes: sweeps then cost d² in place of n d.
        Q, A = np.linalg.qr(A)
        c = Q.T @ c
    w, models, rank, most = np.zeros(A.shape[1]), [], min(problem.rows, A.shape[1]), _largest(problem)
    for l1 in lambdas:
        if l1 >= most:  # said here, for what Q rounds differently
            w, gap, sweeps = np.zeros(A.shape[1]), 0.0, 0
        elif l1 > 0:
            w, gap, sweeps = _descend(np.asfortranarray(A), c, w.copy(), l1, l2, tolerance * scale, rank)
        else:
            U, T = decomposed(A, l2)
            w, gap, sweeps = T @ (U.T @ c), 0.0, 0
        models.append(SparseModel(w, problem.intercept(w[:, None])[0], l1, gap, sweeps))
    return models


def _descend(
    A: np.ndarray, c: np.ndarray, w: np.ndarray, l1: float, l2: float, allowed: float, rank: int
) -> tuple[np.ndarray, float, int]:
    """Sweeps until the gap is at most `allowed`; between two full sweeps only over the coordinates in use."""
    squares = np.sum(A**2, axis=0)
    able = np.flatnonzero(squares > 0)
    r, sweeps, gap = c - A @ w, 0, np.inf
    while sweeps < _SWEEPS:
        moved = _sweep(A, r, w, able, squares, l1, l2)
        sweeps += 1
        if (gap := _gap(A, r, w, l1, l2)) <= allowed:
            return w, gap, sweeps
        if moved == 0:
            break  # at the limit of float64
        inner = able[w[able] != 0]
        for _ in range(10):
            sweeps += 1
            if _sweep(A, r, w, inner, squares, l1, l2) <= 1e-3 * moved:
                break
        w = _searched(A, c, w, squares, l1, l2, rank, steps=1 if sweeps < _PATIENCE else 4 * max(A.shape))
        r = c - A @ w
    if gap > 1e3 * allowed:
        warnings.warn(
            f"Coordinate descent stopped after {sweeps} sweeps with a duality gap of {gap:.3g}, not {allowed:.3g}: "
            "the columns of x are nearly dependent for this strength. A larger l1 or l2 mends it.",
            UserWarning,
            stacklevel=5,
        )
    return w, gap, sweeps


def _sweep(
    A: np.ndarray, r: np.ndarray, w: np.ndarray, over: np.ndarray, squares: np.ndarray, l1: float, l2: float
) -> float:
    """One pass, in place; gives the largest change of the fit, max_j |Δw_j| √a_j."""
    largest = 0.0
    for j in over:
        column, before = A[:, j], w[j]
        pull = column @ r + squares[j] * before
        after = (pull - l1 if pull > l1 else pull + l1 if pull < -l1 else 0.0) / (squares[j] + l2)
        if after != before:
            r -= (after - before) * column
            w[j] = after
            largest = max(largest, float(abs(after - before) * squares[j] ** 0.5))
    return largest


def _searched(
    A: np.ndarray, c: np.ndarray, w: np.ndarray, squares: np.ndarray, l1: float, l2: float, rank: int, steps: int
) -> np.ndarray:
    """Feature-sign search: a better w, after some steps of which none raises the objective.

    With S the coordinates in use, each step goes to the minimum for their signs, (A_SᵀA_S + λ₂ I) w_S = A_Sᵀc -
    λ₁ sign(w_S), or as far as the first that would change its sign, which becomes 0. At the minimum the coordinate
    whose slope is steepest comes into use, until no slope exceeds λ₁.
    """
    for _ in range(steps):
        used = np.flatnonzero(w)
        if not 0 < len(used) <= max(2 * rank, _FEW):
            break
        before = w[used]
        signs = np.sign(before)
        try:
            goal = _goal(A[:, used], c, before, signs, l1, l2, rank)
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(goal).all():  # a λ₂ next to nothing, and more coordinates in use than rows
            break
        changing = np.flatnonzero(signs * goal <= 0)
        reached = before[changing] / (before[changing] - goal[changing])
        way = reached.min(initial=1.0)
        after = np.zeros_like(w)
        after[used] = before + way * (goal - before)
        after[used[changing[reached == way]]] = 0
        if not _objective(A, c, after, l1, l2) <= _objective(A, c, w, l1, l2):
            break  # at the limit of float64, or of a system that is nearly singular
        w = after
        if len(changing) == 0:
            pull = np.where(w == 0, A.T @ (c - A @ w), 0)
            steepest = int(np.argmax(np.abs(pull)))
            if abs(pull[steepest]) <= l1:
                break
            w[steepest] = soft_threshold(pull[steepest], l1) / (squares[steepest] + l2)
    return w


def _goal(
    part: np.ndarray, c: np.ndarray, before: np.ndarray, signs: np.ndarray, l1: float, l2: float, rank: int
) -> np.ndarray:
    """Where the objective is least for these signs.

    More coordinates than independent rows have no single minimum: along what the fit does not see, V⊥, the penalty
    falls at a constant rate until a sign changes.
    """
    if l2 > 0 or len(signs) <= rank:
        # By QR: the normal equations would square the condition number of columns that are nearly dependent.
        Q, R = np.linalg.qr(np.vstack([part, l2**0.5 * np.eye(len(signs))]) if l2 > 0 else part)
        return np.linalg.solve(R, Q[: len(c)].T @ c - l1 * np.linalg.solve(R.T, signs))
    _, s, Vt = np.linalg.svd(part, full_matrices=False)
    Vt = Vt[: numerical_rank(s, part.shape)]
    downhill = Vt.T @ (Vt @ signs) - signs
    steepness = float(downhill @ downhill)
    if steepness > 1e-20 * len(signs):
        return before + 2 * np.abs(before).sum() / steepness * downhill
    return before + Vt.T @ (Vt @ (part.T @ (c - part @ before) - l1 * signs) / s[: len(Vt)] ** 2)


def _objective(A: np.ndarray, c: np.ndarray, w: np.ndarray, l1: float, l2: float) -> float:
    r = c - A @ w
    return float(r @ r + l2 * (w @ w)) / 2 + l1 * float(np.abs(w).sum())


def _gap(A: np.ndarray, r: np.ndarray, w: np.ndarray, l1: float, l2: float) -> float:
    g = A.T @ r - l2 * w
    steepest = float(np.abs(g).max())
    s = 1.0 if steepest <= l1 else l1 / steepest
    size = float(r @ r) + l2 * float(w @ w)
    return 0.5 * size * (1 - s) ** 2 + l1 * float(np.abs(w).sum()) - s * float(w @ g)

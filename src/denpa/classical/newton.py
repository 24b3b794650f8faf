"""Newton's method with damping, and coordinates in which it is well conditioned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from denpa.classical.arrays import centred, decomposed
from denpa.core.errors import DataError

__all__ = ["newton", "whitened"]

_ITERATIONS = 100
_FLAT = 1e13  # condition number of second derivatives that rounding alone makes different from 0 in some direction


def newton(
    theta: np.ndarray,
    value: Callable[[np.ndarray], float],
    derivatives: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    logits: Callable[[np.ndarray], np.ndarray],
    separates: Callable[[np.ndarray], bool] | None,
) -> tuple[np.ndarray, int]:
    """Damped Newton steps until no logit moves by more than 1e-8 of the largest; the last step is taken still.

    `separates` is there where nothing but the examples bounds theta. Coordinates are such that a minimum is then curved
    in every direction: where the steps end on a plain, it was rounding that ended them.
    """
    now = value(theta)
    for iteration in range(1, _ITERATIONS + 1):
        gradient, hessian = derivatives(theta)
        try:
            step = -np.linalg.solve(hessian, gradient.ravel()).reshape(theta.shape)
        except np.linalg.LinAlgError:
            break
        slope, size = float(np.sum(gradient * step)), 1.0
        # Armijo's rule; what rounding adds to E must not stop the last steps. On a plain a step may be of any length.
        with np.errstate(over="ignore", invalid="ignore"):
            while (
                not (after := value(theta + size * step)) <= now + 1e-4 * size * slope + 1e-13 * abs(now)
                and size > 1e-9
            ):
                size /= 2
        theta, now = theta + size * step, after
        if separates is not None and separates(theta):
            raise DataError(
                "A hyperplane separates the classes without an error, so that the likelihood grows for ever with the "
                "weights: there is no best solution without a penalty. Give a strength, such as 1e-3."
            )
        if size * np.abs(logits(step)).max() <= 1e-8 * (1 + np.abs(logits(theta)).max()):
            if separates is not None and theta.size and np.linalg.cond(hessian) > _FLAT:
                break
            return theta, iteration
    raise DataError(
        "Newton's method came to no end: the likelihood seems to grow for ever with the weights, as where a hyperplane "
        "separates the classes but for examples that lie on it. Give a strength, such as 1e-3."
    )


def whitened(
    x: np.ndarray, p: np.ndarray, strength: float, intercept: bool
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Z (n, r + 1) with uncorrelated columns, whose variance and penalty make 1, and a column of ones; the way back.

    With A = U diag(s) Vᵀ, the centred examples, w = T v = V v / √(s² + λ): then x w = Z v, and λ‖w‖² = λ Σ v²/(s² + λ).
    The Hessian is well conditioned whatever the units of the features, and dependent columns need no care:
    every minimiser is, or may be taken, in the space of V.
    """
    problem = centred(x, np.zeros(len(x)), p, intercept)
    _, T = decomposed(problem.A, strength)
    _, shares, Vt = np.linalg.svd(strength**0.5 * T, full_matrices=False)
    T, penalty = T @ Vt.T, shares**2
    Z = (x - problem.x_mean) @ T
    if intercept:
        Z, penalty = np.column_stack([Z, np.ones(len(x))]), np.append(penalty, 0.0)

    def restore(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        W = T @ theta[: T.shape[1]]
        b = theta[-1] if intercept else np.zeros(theta.shape[1])
        return W, b - problem.x_mean @ W

    return Z, penalty, restore

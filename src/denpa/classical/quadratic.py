"""What weight decay and early stopping do near a minimum, where the error is a quadratic form.

E(w) = E⁰ + ½ (w - w⁰)ᵀ H (w - w⁰),   H = Q diag(h) Qᵀ,   h_i >= 0
"""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.classical.arrays import numbers_of, rate_of, strength_of
from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.data.arguments import as_whole

__all__ = ["decayed", "descended", "effective_parameters", "equivalent_strength"]


def decayed(H: Any, w: Any, strength: float) -> np.ndarray:
    """w* = Q diag(h / (h + α)) Qᵀ w⁰,   the minimum of E(w) + (α/2) ‖w‖²

    Along each eigenvector of H the minimum shrinks by h_i / (h_i + α): hardly where the error is steep
    (h_i ≫ α), almost to 0 where it is flat (h_i ≪ α), and to exactly 0 only where h_i = 0.

    Args:
        H: curvatures, (d, d) symmetric with eigenvalues 0 or more, or their diagonal (d,).
        w: w⁰ (d,), the minimum without decay.
        strength: α, as in `dp.L2(strength)`.

    Raises:
        ShapeError, DataError: H is not symmetric, has a negative eigenvalue, or does not fit w.
        ConfigError: a strength below 0; with 0 the answer is w⁰.

    Source: Krogh & Hertz (1992), "A simple weight decay can improve generalization"; Goodfellow, Bengio &
    Courville (2016), "Deep Learning", equations 7.7 to 7.13.
    """
    h, Q, w = _quadratic(H, w)
    strength = strength_of(strength)
    return w if strength == 0 else Q @ (h / (h + strength) * (Q.T @ w))


def descended(H: Any, w: Any, learning_rate: float, steps: int, start: Any = None) -> np.ndarray:
    """w^(τ) = w⁰ + Q diag((1 - η h)^τ) Qᵀ (w^(0) - w⁰),   τ steps of gradient descent on E

    From w^(0) = 0 this is Q diag(1 - (1 - η h)^τ) Qᵀ w⁰: stopped early, descent has gone far along steep
    directions and not along flat ones, as weight decay with α ≈ 1/(τ η).

    Args:
        H, w: as for `decayed`.
        learning_rate: η; the steps converge for η < 2 / max h.
        steps: τ, 0 or more.
        start: w^(0) (d,); 0 when None.

    Raises:
        ShapeError, DataError: H, w and start do not fit together, as for `decayed`.
        ConfigError: η that is not positive, τ below 0.

    Source: Goodfellow, Bengio & Courville (2016), equations 7.33 to 7.40; Bishop (2006), exercise 5.25.
    """
    h, Q, w = _quadratic(H, w)
    begin = np.zeros_like(w) if start is None else numbers_of(start, "start")
    if begin.shape != w.shape:
        raise ShapeError(f"start must have the shape {w.shape}, not {begin.shape}.")
    if not np.isfinite(begin).all():
        raise DataError("start must hold finite numbers.")
    left = (1 - rate_of(learning_rate) * h) ** as_whole(steps, "steps", 0)
    return w + Q @ (left * (Q.T @ (begin - w)))


def equivalent_strength(learning_rate: float, steps: int, curvature: Any = 0.0) -> Any:
    """α = h / ((1 - η h)^-τ - 1): the strength whose decay equals τ steps from 0 along curvature h

    1 - (1 - η h)^τ = h / (h + α), exactly. For flat directions (h = 0, and nearly for τ η h ≪ 1) it is
    1/(τ η), the same for all: few steps are a strong decay.

    Args:
        learning_rate: η.
        steps: τ, 1 or more.
        curvature: h, a number or an array, with η h < 1.

    Raises:
        ConfigError: η that is not positive, τ below 1, η h of 1 or more.
        DataError: a curvature that is no number.

    Source: Goodfellow, Bengio & Courville (2016), equations 7.41 to 7.45.
    """
    rate, steps = rate_of(learning_rate), as_whole(steps, "steps", 1)
    h = numbers_of(curvature, "curvature")
    if np.isnan(h).any():
        raise DataError("curvature must hold numbers, not NaN.")
    if (h < 0).any() or (rate * h >= 1).any():
        raise ConfigError(f"The curvature must lie from 0 to below 1/η = {1 / rate:g}.")
    exponent = -steps * np.log1p(-rate * h)
    flat = exponent < 1e-12  # where α = 1/(τ η) to all digits, and the quotient would be of vanishing numbers
    with np.errstate(over="ignore"):  # a steep direction that has arrived: α = 0
        alpha = np.where(flat, 1 / (steps * rate), h / np.expm1(np.where(flat, 1.0, exponent)))
    return alpha if alpha.ndim else float(alpha)


def effective_parameters(H: Any, strength: float) -> float:
    """γ = Σ_i h_i / (h_i + α): how many parameters the data decide, against the penalty

    Between 0 and d; with α = 0 the rank of H. For linear regression H = XᵀX/N (means taken out) and γ is
    the effective number of degrees of freedom of `ridge`.

    Args:
        H, strength: as for `decayed`.

    Raises:
        ShapeError, DataError, ConfigError: as for `decayed`.

    Source: MacKay (1992), "Bayesian interpolation", equation 4.9; Bishop (2006), equation 3.91; Hastie,
    Tibshirani & Friedman (2009), equation 3.50.
    """
    h, _, _ = _quadratic(H, None)
    strength = strength_of(strength)
    scale = float(h.max()) * len(h) * np.finfo(np.float64).eps
    h = h[h > scale]
    return float(np.sum(h / (h + strength)))


def _quadratic(H: Any, w: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues h (d,), eigenvectors Q (d, d), w (d,)."""
    H = numbers_of(H, "H")
    H = np.diag(H) if H.ndim == 1 else H
    if H.ndim != 2 or H.shape[0] != H.shape[1] or not len(H):
        raise ShapeError(f"H must have the shape (d, d), or (d,) for its diagonal, not {H.shape}.")
    w = np.zeros(len(H)) if w is None else numbers_of(w, "w")
    if w.shape != (len(H),):
        raise ShapeError(f"w must have the shape {(len(H),)}, not {w.shape}.")
    for name, array in (("H", H), ("w", w)):
        if not np.isfinite(array).all():
            raise DataError(f"{name} must hold finite numbers.")
    if not np.allclose(H, H.T, rtol=1e-10, atol=1e-12 * np.abs(H).max()):
        raise DataError("H is not symmetric: it is no matrix of second derivatives.")
    h, Q = np.linalg.eigh((H + H.T) / 2)
    if h[0] < -1e-10 * max(abs(h[-1]), 1e-300):
        raise DataError(f"H has the negative eigenvalue {h[0]:.3g}: w is not a minimum of the error.")
    return np.maximum(h, 0), Q, w

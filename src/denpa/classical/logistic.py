"""Logistic and softmax regression by Newton's method (iteratively reweighted least squares).

    E(W, b) = -(1/N) Σ_n log P(C_{t_n} | x_n) + (λ/2) ‖W‖²

the objective of `SigmoidCrossEntropy` or `SoftmaxCrossEntropy` behind one `Dense`, with the penalty `L2(λ)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.classical.arrays import examples, labels_of, strength_of, weights
from denpa.classical.newton import newton, whitened
from denpa.core.errors import ConfigError, DataError

__all__ = ["LogisticModel", "SoftmaxModel", "logistic_regression", "softmax_regression"]

_MOST_PARAMETERS = 4000


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """u = x W + b = log( P(C₁|x) / P(C₀|x) ),   P(C₁|x) = σ(u)

    Args:
        W, b: (d,) and ().
        iterations: Newton steps.
    """

    W: np.ndarray
    b: np.ndarray
    iterations: int

    def logits(self, x: Any) -> np.ndarray:
        """The log-odds u (n,)."""
        return examples(x, len(self.W)) @ self.W + self.b

    def probabilities(self, x: Any) -> np.ndarray:
        """P(C₀|x) and P(C₁|x), (n, 2)."""
        u = self.logits(x)
        return np.stack([_sigmoid(-u), _sigmoid(u)], axis=1)

    def predict(self, x: Any) -> np.ndarray:
        """1 where u > 0, else 0, (n,)."""
        return (self.logits(x) > 0).astype(np.int32)


@dataclass(frozen=True, eq=False)
class SoftmaxModel:
    """u = x W + b,   P(C_k|x) = e^{u_k} / Σ_j e^{u_j}

    Adding one vector to all columns of W, or one number to all b, changes no probability: these are the W
    and b that sum to 0 over the classes. Taking the last column off all of them gives the form with a
    reference class, u_K = 0.

    Args:
        W, b: (d, K) and (K,).
        iterations: Newton steps.
    """

    W: np.ndarray
    b: np.ndarray
    iterations: int

    def logits(self, x: Any) -> np.ndarray:
        """u (n, K)."""
        return examples(x, len(self.W)) @ self.W + self.b

    def probabilities(self, x: Any) -> np.ndarray:
        """P(C_k|x), (n, K)."""
        return _softmax(self.logits(x))

    def predict(self, x: Any) -> np.ndarray:
        """The most probable class (n,)."""
        return self.logits(x).argmax(axis=1).astype(np.int32)


def logistic_regression(
    x: Any, t: Any, strength: float = 0.0, sample_weight: Any = None, *, intercept: bool = True
) -> LogisticModel:
    """θ <- θ - (ZᵀSZ + Λ)⁻¹ (Zᵀ(y - t)/N + Λ θ),   y = σ(Zθ),   S = diag(y (1 - y))/N,   Λ = λ I (0 for b)

    with Z = (x, 1), θ = (w, b): Newton's method, in which each step solves a weighted least-squares
    problem. A step that would not lower E is halved. λ is `strength`, as in `dp.L2(strength)`;
    scikit-learn's C is 1 / (N λ).

    Args:
        x: examples (n, d).
        t: classes 0 and 1, (n,), or one-hot rows (n, 2).
        strength: λ, 0 or more.
        sample_weight: (n,), 0 or more.
        intercept: False for b = 0.

    Raises:
        DataError, ShapeError: bad data; or, with strength 0, classes that a hyperplane separates, be it but for
            examples on it: E then falls for ever while ‖w‖ grows, and has no minimum. With linearly dependent
            columns and strength 0 the solution of smallest norm is taken.
        ConfigError: a strength below 0.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 4.99 and 4.100; existence:
    Albert & Anderson (1984), "On the existence of maximum likelihood estimates in logistic regression models".
    """
    x = examples(x)
    labels, _ = labels_of(x, t, classes=2)
    p, strength = weights(x, sample_weight), strength_of(strength)
    _need_every_class(labels, p, 2)
    Z, penalty, restore = whitened(x, p, strength, intercept)

    def value(theta: np.ndarray) -> float:
        u = Z @ theta
        return float(p @ (np.logaddexp(0, u) - labels * u) + penalty @ theta**2 / 2)

    def derivatives(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = _sigmoid(Z @ theta)
        return Z.T @ (p * (y - labels)) + penalty * theta, (Z.T * (p * y * (1 - y))) @ Z + np.diag(penalty)

    def separates(theta: np.ndarray) -> bool:
        return bool(((2 * labels - 1) * (Z @ theta) > 0)[p > 0].all())

    theta, iterations = newton(
        np.zeros(Z.shape[1]), value, derivatives, lambda step: Z @ step, separates if strength == 0 else None
    )
    W, b = restore(theta[:, None])
    return LogisticModel(W[:, 0], b[0], iterations)


def softmax_regression(
    x: Any,
    t: Any,
    strength: float = 0.0,
    sample_weight: Any = None,
    *,
    classes: int | None = None,
    intercept: bool = True,
) -> SoftmaxModel:
    """θ <- θ - H⁻¹ ∇E,   ∇_k E = Zᵀ(y_k - t_k)/N + Λ θ_k,   H_kl = Zᵀ diag(y_k (δ_kl - y_l)) Z/N + δ_kl Λ

    with Z = (x, 1), y = softmax(Z θ), t one-hot. H is singular along the directions that change no
    probability; these are filled in, and θ stays where it sums to 0 over the classes. With K = 2 it is
    `logistic_regression` with w = w₁ - w₀ and half the strength.

    Args:
        x: examples (n, d).
        t: class indices (n,) or one-hot rows (n, K).
        strength: λ, 0 or more.
        sample_weight: (n,), 0 or more.
        classes: K, where more classes are known than t shows.
        intercept: False for b = 0.

    Raises:
        DataError, ShapeError, ConfigError: as for `logistic_regression`; a class without examples; more than 4,000
            parameters, for H has their square: train `Dense(K)` by gradient instead.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 4.108 to 4.110.
    """
    x = examples(x)
    labels, K = labels_of(x, t, classes)
    p, strength = weights(x, sample_weight), strength_of(strength)
    _need_every_class(labels, p, K)
    Z, penalty, restore = whitened(x, p, strength, intercept)
    if (size := Z.shape[1] * K) > _MOST_PARAMETERS:
        raise ConfigError(
            f"Newton's method would need {size}×{size} second derivatives; at most {_MOST_PARAMETERS} parameters are "
            f"taken. Train Sequential([Dense({K})]) by gradient, or reduce the features, as by pca."
        )
    T = (labels[:, None] == np.arange(K)).astype(np.float64)

    def value(theta: np.ndarray) -> float:
        u = Z @ theta
        m = u.max(axis=1)
        errors = m + np.log(np.exp(u - m[:, None]).sum(axis=1)) - (T * u).sum(axis=1)
        return float(p @ errors + (penalty @ theta**2).sum() / 2)

    def derivatives(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = _softmax(Z @ theta)
        return Z.T @ (p[:, None] * (y - T)) + penalty[:, None] * theta, _softmax_hessian(Z, y, p, penalty)

    def separates(theta: np.ndarray) -> bool:
        u = Z @ theta
        others = np.where(T > 0, -np.inf, u).max(axis=1)
        return bool(((T * u).sum(axis=1) > others)[p > 0].all())

    theta, iterations = newton(
        np.zeros((Z.shape[1], K)), value, derivatives, lambda step: Z @ step, separates if strength == 0 else None
    )
    W, b = restore(theta - theta.mean(axis=1, keepdims=True))
    return SoftmaxModel(W, b, iterations)


def _softmax_hessian(Z: np.ndarray, y: np.ndarray, p: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """H of θ flattened row by row, (r K, r K), with the directions that are the same for all classes filled in."""
    (r, K), H = (Z.shape[1], y.shape[1]), np.empty((Z.shape[1], y.shape[1], Z.shape[1], y.shape[1]))
    for k in range(K):
        for j in range(k, K):
            H[:, k, :, j] = (Z.T * (p * y[:, k] * ((k == j) - y[:, j]))) @ Z
            H[:, j, :, k] = H[:, k, :, j].T
        H[:, k, :, k] += np.diag(penalty)
    # The gradient has no part along these directions, so what stands there leaves the step as it is.
    H += (np.eye(r) / K)[:, None, :, None]
    return H.reshape(r * K, r * K)


def _need_every_class(labels: np.ndarray, p: np.ndarray, classes: int) -> None:
    empty = np.flatnonzero(np.bincount(labels, weights=p, minlength=classes) == 0)
    if empty.size:
        raise DataError(f"Class {empty[0]} has no examples of weight above 0: its probability would go to 0 for ever.")


def _sigmoid(u: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -u))


def _softmax(u: np.ndarray) -> np.ndarray:
    e = np.exp(u - u.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

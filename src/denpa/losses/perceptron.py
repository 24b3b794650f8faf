"""The perceptron criterion: the loss whose gradient descent is Rosenblatt's learning rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from denpa.core.targets import unit_targets
from denpa.losses.base import Array, BinaryLoss, over_units

__all__ = ["PerceptronLoss"]


@dataclass(frozen=True)
class PerceptronLoss(BinaryLoss):
    """l_n = Σ_k [ max(u_k, 0) - u_k t_k ],   ∂l_n/∂u_k = step(u_k) - t_k,   step(0) = 0

    y = u holds the weighted sums that a step is taken of: 0 for t = 1 and u > 0, or t = 0 and u <= 0, else
    |u|, how far the example lies on the wrong side. Behind `Dense(1)`, with `SGD(η)` and batches of one
    example, each update is w <- w + η (t - step(u)) x, Rosenblatt's rule. It is `SigmoidCrossEntropy`
    without its log(1 + e^-|u|), which alone asks for a margin. Shapes and errors as there.

    Args:
        reduction: "mean" or "sum" over the items.

    Source: Rosenblatt (1958), "The perceptron"; Bishop (2006), "Pattern Recognition and Machine Learning",
    equations 4.54 and 4.55.
    """

    reduction: str = "mean"

    expects: ClassVar[str] = "logits"
    threshold: ClassVar[float | None] = 0.0

    def per_item(self, y: Array, t: Array) -> Array:
        """Σ [ max(u, 0) - u t ] over the units."""
        u, t = y, unit_targets(self, y, t)
        return over_units(jnp.maximum(u, 0) - u * t)

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """step(u) - t."""
        u, t = y, unit_targets(self, y, t)
        return (u > 0).astype(u.dtype) - t

    def probabilities(self, y: Array) -> Array:
        """step(u): a perceptron says 0 or 1, and knows nothing between."""
        y = jnp.asarray(y)
        return (y > 0).astype(y.dtype)

"""Squared error: the loss of regression, and of the oldest networks.

Legendre (1805) chose least squares; for Gaussian noise of fixed variance it is maximum likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.shapes import Shape
from denpa.core.targets import as_float, item_weights, same_shape, total_weight, weighted
from denpa.core.tree import inner
from denpa.losses.base import Array, Loss

__all__ = ["MeanSquaredError"]


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """half=True:  l_n = ½ ‖y_n - t_n‖²,  E = mean_n l_n,            ∂E/∂y = (y - t) / N
    half=False: l_n = ‖y_n - t_n‖²,    E = Σ_n l_n / (N D),       ∂E/∂y = 2 (y - t) / (N D)

    y and t (batch, ...) have the same shape; the squared norm runs over all D entries behind the batch
    axis, time included. With the half, the mean counts samples, and the delta of a linear output is
    output minus target; without it, the mean counts entries, as `numpy.mean((y - t) ** 2)` does. For
    reduction="sum" neither N nor D divides.

    Sample weights may have any number of y's leading axes. A (batch, time) mask takes the masked
    steps out of the norm; the half form then still counts samples (those with a weight left), the
    other form counts the entries that remain.

    `decide` compares several outputs, and a single one with ½: halfway between targets 0 and 1.

    Args:
        half: whether l_n has the factor ½, and the mean counts samples.
        reduction: "mean" or "sum".

    Raises:
        ShapeError: y and t have not the same shape; nothing is broadcast.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 5.11 and 5.18.
    """

    half: bool = True
    reduction: str = "mean"

    def per_item(self, y: Array, t: Array) -> Array:
        """½ Σ (y - t)² (without ½ for half=False), over all axes but the first: (batch,)."""
        error = self._error(y, t)
        return self._factor() * jnp.sum(jnp.square(error), axis=tuple(range(1, error.ndim)))

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """y - t, or 2 (y - t) for half=False."""
        return 2 * self._factor() * self._error(y, t)

    def sums(self, y: Any, t: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """(Σ w l, what the mean divides by): both add up over batches."""
        y, t = as_float(self, y), jnp.asarray(t)
        w = item_weights(self, sample_weight, self.item_shape(y), y.dtype)
        error = self._error(y, t)
        squares = inner(error, error) if w is None else jnp.sum(weighted(w, jnp.square(error)))
        return self._factor() * squares, self.divisor(y, t, w)

    def item_shape(self, y: Array) -> Shape:
        """All of y's axes: weights may reach down to single entries."""
        return y.shape

    def divisor(self, y: Array, t: Array, w: Array | None) -> Array:
        """Samples (half) or entries, each with its weight; a sample's weight is the largest in it."""
        if not self.half:
            return total_weight(w, y.shape, y.dtype)
        if w is None:
            return jnp.asarray(y.shape[0], y.dtype)
        return jnp.sum(w if w.ndim == 1 else jnp.max(w, axis=tuple(range(1, w.ndim))))

    def _factor(self) -> float:
        return 0.5 if self.half else 1.0

    def _error(self, y: Array, t: Array) -> Array:
        same_shape(self, y, t)
        return y - t.astype(y.dtype)

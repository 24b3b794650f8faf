"""Metrics of outputs that are values: y and t have the same shape, (batch, ...)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core.targets import as_float, item_weights, same_shape, total_weight, weighted
from denpa.metrics.base import Array, Metric, Sums, totals

__all__ = ["R2", "MeanAbsoluteError", "RootMeanSquaredError"]


@dataclass(frozen=True)
class MeanAbsoluteError(Metric):
    """Σ w |y - t| / Σ w, over all entries."""

    higher_is_better: ClassVar[bool | None] = False

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """Σ w |y - t| and Σ w."""
        y, t, w = _prepared(self, y, t, sample_weight)
        return {"error": jnp.sum(weighted(w, jnp.abs(y - t))), "weight": total_weight(w, y.shape, y.dtype)}

    def compute(self, sums: Sums) -> float:
        """The mean absolute error, in the targets' unit."""
        error, weight = totals(sums, "error", "weight")
        return float(error / weight) if weight else math.nan


@dataclass(frozen=True)
class RootMeanSquaredError(Metric):
    """√( Σ w (y - t)² / Σ w ), over all entries."""

    higher_is_better: ClassVar[bool | None] = False

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """Σ w (y - t)² and Σ w."""
        y, t, w = _prepared(self, y, t, sample_weight)
        return {"error": jnp.sum(weighted(w, jnp.square(y - t))), "weight": total_weight(w, y.shape, y.dtype)}

    def compute(self, sums: Sums) -> float:
        """The root mean squared error, in the targets' unit."""
        error, weight = totals(sums, "error", "weight")
        return math.sqrt(error / weight) if weight else math.nan


@dataclass(frozen=True)
class R2(Metric):
    """R² = 1 - Σ w (y - t)² / Σ w (t - t̄)²,   t̄ = Σ w t / Σ w

    The coefficient of determination: 1 is perfect, 0 as good as answering with the mean. It is taken for
    each output, the entries of the last axis of y (batch, ..., outputs), and averaged over them.

    An output whose targets are all equal counts 1 if it meets them to a millionth of their size, else 0.
    The sums of a batch are of r = t - c, where c is near its mean and of so few digits that products with it are
    exact: far from 0, Σ w t² would leave nothing of the spread. Where the targets differ, but by less than a hundred
    thousandth of their distance from `center`, float32 itself no longer resolves it, and the result is NaN.

    Args:
        center: a number near the mean of the targets, for such targets. Sums are taken of t - center.

    Source: Draper & Smith (1998), "Applied Regression Analysis", section 1.3.
    """

    center: float = 0.0

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """Per output Σ w (y - t)², Σ w, Σ w r, Σ w r², c Σ w, c Σ w r, c² Σ w, and by how much the targets differ."""
        y, t, w = _prepared(self, y, t, sample_weight, outputs=True)
        d = t - self.center
        axes = tuple(range(max(y.ndim - 1, 1)))

        def summed(values: Array) -> Array:
            return jnp.sum(weighted(w, values), axis=axes)

        weight = summed(jnp.ones_like(d))
        c = _halves(summed(d) / jnp.where(weight == 0, 1, weight))[0]
        r, counts = d - c, weighted(w, jnp.ones_like(d)) != 0
        residual, shift = summed(r), _exactly(c, weight)
        highest = jnp.max(d, axis=axes, where=counts, initial=-jnp.inf)
        return {
            "error": summed(jnp.square(y - t)),
            "weight": weight,
            "residual": residual,
            "square": summed(jnp.square(r)),
            "shift": shift,
            "cross": _exactly(c, residual),
            "shift_square": jnp.concatenate([_exactly(c, part) for part in shift]),
            "difference": jnp.maximum(highest - jnp.min(d, axis=axes, where=counts, initial=jnp.inf), 0),
        }

    def compute(self, sums: Sums) -> float:
        """R², averaged over the outputs."""
        names = ("error", "weight", "residual", "square", "difference")
        error, weight, residual, square, difference = map(np.atleast_1d, totals(sums, *names))
        if not weight.all():
            return math.nan
        shift, cross, shift_square = (part.sum(axis=0) for part in totals(sums, "shift", "cross", "shift_square"))
        square = square + 2 * cross + shift_square  # Σ w d²
        spread = square - (residual + shift) ** 2 / weight
        resolved = spread > 1e-10 * square
        r2 = 1 - error / np.where(resolved, spread, 1.0)
        constant = np.where(error <= 1e-12 * square, 1.0, 0.0)
        return float(np.mean(np.where(resolved, r2, np.where(difference == 0, constant, math.nan))))


def _halves(a: Array) -> tuple[Array, Array]:
    """Two numbers of half the digits each, whose sum is a; (a, 0) where it has more digits than float32."""
    if a.dtype != jnp.float32:
        return a, jnp.zeros_like(a)
    bits = lax.bitcast_convert_type(a, jnp.uint32) & jnp.uint32(0xFFFFF000)
    high = lax.bitcast_convert_type(bits, jnp.float32)
    return high, a - high


def _exactly(c: Array, a: Array) -> Array:
    """c a as a sum over the first axis, without rounding where c has half the digits."""
    high, low = _halves(a)
    return jnp.stack([c * high, c * low])


def _prepared(
    metric: Metric, y: Any, t: Any, sample_weight: Any, outputs: bool = False
) -> tuple[Array, Array, Array | None]:
    """y, t and the weights in one dtype; weights reach down to entries, or to the axes before the outputs."""
    y, t = as_float(metric, y), jnp.asarray(t)
    same_shape(metric, y, t)
    items = y.shape[:-1] if outputs and y.ndim > 1 else y.shape
    return y, t.astype(y.dtype), item_weights(metric, sample_weight, items, y.dtype)

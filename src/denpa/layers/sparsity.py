"""Layers that let x pass and add a price on it to the objective: ActivityL1, KLSparsity, for sparse codes.

    E = loss + Ω(h)        ∂E/∂h = dy + ∂Ω/∂h

Ω is `cost`, and `backward` adds its slope to the delta that arrives. Both are taken in at least float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_not_negative
from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Grads, Params
from denpa.core.padded import silenced, step_mask
from denpa.core.shapes import want
from denpa.layers.base import ShapePreserving, wide

__all__ = ["ActivityL1", "KLSparsity"]

_EDGE = 1e-6  # means nearer to 0 or 1 are met by the tangent there


@dataclass(frozen=True)
class ActivityL1(ShapePreserving):
    """y = x,  Ω = λ (1/N) Σ_n ‖x_n‖₁      x (batch, ...) -> y (batch, ...)      saves ∂Ω/∂x and Ω

    ∂Ω/∂x_n = (λ/N) sign(x_n),  sign(0) = 0. λ is `strength`, N the number of samples; with a loss of
    reduction="sum" there is no division by N here either, so that both parts of the objective weigh the same in
    each. The norm runs over all entries of a sample, of a padded sequence over its true steps.
    The price is on what a layer gives, such as the code of an autoencoder, not on weights: see `L1` for these.

    Args:
        strength: λ, 0 or more.

    Raises:
        ConfigError: `strength` is negative or no number.

    Source: Olshausen & Field (1996), "Emergence of simple-cell receptive field properties by learning a sparse
    code for natural images", equation 2 with S(x) = |x|.
    """

    strength: float

    def validate(self) -> None:
        want_not_negative(self, "strength")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch ...", x)
        counted = silenced(x, ctx.lengths)
        scale = self.strength / max(x.shape[0], 1) if ctx.reduction == "mean" else self.strength
        return x, {"slope": scale * jnp.sign(counted), "cost": scale * jnp.sum(jnp.abs(wide(counted)))}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return dy + saved["slope"], {}  # ∂E/∂x = ∂E/∂y + (λ/N) sign(x)

    def cost(self, saved: Any) -> Array:
        return saved["cost"]


@dataclass(frozen=True)
class KLSparsity(ShapePreserving):
    """y = x,  Ω = β Σ_j KL(ρ ‖ h̄_j)      x (batch, ..., units) -> y of this shape      saves ∂Ω/∂x and Ω

        KL(ρ ‖ h̄) = ρ log(ρ / h̄) + (1 − ρ) log((1 − ρ) / (1 − h̄))        h̄_j = (1/m) Σ_i x_ij
        ∂Ω/∂x_ij = (β/m) (−ρ / h̄_j + (1 − ρ) / (1 − h̄_j))                 the same for every i

    h̄_j is the mean activation of unit j over the mini-batch: over all m entries in front of the last axis, thus
    over the places of a map too, and over the true steps of padded sequences alone. Ω = 0 where h̄_j = ρ for
    all units, and grows without bound towards h̄ = 0 and h̄ = 1, so the units must give values between 0 and 1,
    such as those of `Sigmoid`. A mean closer to 0 or 1 than 10⁻⁶, or beyond, as other units may have it, is met by
    the tangent at that point: a steep straight slope back into the interval, never NaN.

    Mini-batches estimate h̄ well only if they hold many more samples than 1/ρ. Ω is no sum over samples: over several
    batches, in an epoch or in `Model.evaluate`, the penalty is the mean of the batches' Ω, each weighted by its rows,
    and not the Ω of all samples at once. With a loss of reduction="sum" it is the sum of the batches' Ω, as each of
    them was added to its batch's loss: it grows with the number of batches, and so does its weight against the loss.

    Args:
        rho: ρ, the mean activation aimed at, between 0 and 1.
        strength: β, 0 or more.

    Raises:
        ConfigError: `rho` is not between 0 and 1, or `strength` is negative.

    Source: Ng (2011), "Sparse autoencoder", lecture notes for CS294A, section 3.
    """

    rho: float = 0.05
    strength: float = 1.0

    def validate(self) -> None:
        if not 0 < self.rho < 1:
            raise ConfigError(f"KLSparsity.rho is the mean activation aimed at, between 0 and 1, not {self.rho!r}.")
        want_not_negative(self, "strength")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch ... units" if ctx.lengths is None else "batch time features ...", x)
        counted = True if ctx.lengths is None else step_mask(ctx.lengths, x.shape[1], x.ndim - 1)
        counted = jnp.broadcast_to(counted, x.shape[:-1])
        m = jnp.maximum(jnp.sum(counted), 1).astype(wide(x).dtype)
        mean = jnp.sum(wide(x), axis=tuple(range(x.ndim - 1)), where=counted[..., None]) / m
        inside = jnp.clip(mean, _EDGE, 1 - _EDGE)
        rho = self.rho
        slope = self.strength * (-rho / inside + (1 - rho) / (1 - inside))  # ∂Ω/∂h̄
        kl = rho * jnp.log(rho / inside) + (1 - rho) * jnp.log((1 - rho) / (1 - inside))
        cost = jnp.sum(self.strength * kl + slope * (mean - inside))  # the tangent beyond the edge
        most = float(jnp.finfo(x.dtype).max)  # of float16 65,504, which saturated units of a small batch pass
        return x, {"slope": jnp.clip(slope / m, -most, most).astype(x.dtype), "counted": counted, "cost": cost}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return dy + jnp.where(saved["counted"][..., None], saved["slope"], 0), {}  # ∂h̄_j/∂x_ij = 1/m

    def cost(self, saved: Any) -> Array:
        return saved["cost"]

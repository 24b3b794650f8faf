"""The rectifier whose negative slope is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.layer import Array, Context, Grads, Params
from denpa.core.shapes import Shape, want
from denpa.layers.base import ShapePreserving

__all__ = ["PReLU"]


@dataclass(frozen=True)
class PReLU(ShapePreserving):
    """y = α · min(0, u) + max(0, u)      x (..., units) -> y (..., units)      alpha () or (units,)      saves u

        ∂E/∂u = dy where u > 0, else α dy        ∂E/∂α = Σ dy min(0, u), over all places that share this α

    At u = 0 the derivative is α, as in `LeakyReLU`.

    Args:
        shared: one α for the whole layer, or (False) one for each channel, the last axis.
        initial: α at the start.

    Raises:
        ConfigError: `initial` is not a number, or `shared` neither True nor False.
        ShapeError: the last axis of x is not what alpha expects.

    Source: He, Zhang, Ren & Sun (2015), Delving Deep into Rectifiers, eq. 1-3, with initial 0.25.
    """

    shared: bool = True
    initial: float = 0.25

    def init(self, key: Array, in_shape: Shape) -> Params:
        return {"alpha": jnp.full(() if self.shared else want(self, "... units", in_shape)[-1:], self.initial)}

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        alpha = params["alpha"]
        if not self.shared:
            want(self, "batch ... units", x, {"units": alpha.shape[0]})
        return jnp.where(x > 0, x, alpha * x), {"x": x}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        u = saved["x"]
        sharing = None if self.shared else tuple(range(u.ndim - 1))
        dalpha = jnp.sum(dy * jnp.minimum(u, 0), axis=sharing)  # ∂E/∂α = Σ dy min(0, u)
        return jnp.where(u > 0, dy, params["alpha"] * dy), {"alpha": dalpha}  # ∂E/∂u = dy · (1 or α)

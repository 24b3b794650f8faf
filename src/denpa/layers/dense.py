"""The fully connected layer: y = x W + b."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.keys import key_for
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape, want
from denpa.init import Constant, Glorot, Initializer
from denpa.layers.base import rows

__all__ = ["Dense"]


@dataclass(frozen=True)
class Dense(Layer):
    """y = x W + b      x (..., in) -> y (..., units)      W (in, units), b (units,)      saves x

    The output is what textbooks call the pre-activation u, so the delta that enters `backward` is
    exactly their δ = ∂E/∂u (Rumelhart, Hinton & Williams 1986, eq. 1 and 5-7):

        ∂E/∂x = δ Wᵀ        ∂E/∂W = xᵀ δ        ∂E/∂b = Σ_n δ_n

    Args:
        units: how many outputs.
        use_bias: whether b is there.
        kernel_init: initialiser of W.
        bias_init: initialiser of b.

    Raises:
        ConfigError: `units` is not a positive integer.
        ShapeError: the last axis of x is not what W expects.
    """

    units: int
    use_bias: bool = True
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    bias_init: Initializer = field(default_factory=Constant)

    def validate(self) -> None:
        want_positive(self, "units")

    def init(self, key: Array, in_shape: Shape) -> Params:
        *_, size = want(self, "... in", in_shape)
        params = {"W": self.kernel_init.sample(key_for(key, "W"), (size, self.units))}
        if self.use_bias:
            params["b"] = self.bias_init.sample(key_for(key, "b"), (self.units,), fan_in=size, fan_out=self.units)
        return params

    def out_shape(self, in_shape: Shape) -> Shape:
        return (*want(self, "... in", in_shape)[:-1], self.units)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch ... in", x, {"in": params["W"].shape[0]})
        y = x @ params["W"]  # u = x W
        if self.use_bias:
            y = y + params["b"]  # u = x W + b
        return y, {"x": x}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x, delta = rows(saved["x"]), rows(dy)
        grads = {"W": x.T @ delta}  # ∂E/∂W = xᵀ δ
        if self.use_bias:
            grads["b"] = jnp.sum(delta, axis=0)  # ∂E/∂b = Σ_n δ_n
        return dy @ params["W"].T, grads  # ∂E/∂x = δ Wᵀ

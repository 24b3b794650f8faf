"""The fully connected layer with thresholds instead of biases."""

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

__all__ = ["ThresholdDense"]


@dataclass(frozen=True)
class ThresholdDense(Layer):
    """s = x W − θ      x (..., in) -> s (..., units)      W (in, units), theta (units,)      saves x

    A unit fires, `Step`, when its weighted sum exceeds its threshold; with another activation behind it this
    is `Dense` in other letters, b = −θ. The delta that enters `backward` is δ = ∂E/∂s:

        ∂E/∂x = δ Wᵀ        ∂E/∂W = xᵀ δ        ∂E/∂θ = −Σ_n δ_n

    With x = (x₁, ..., x_m, −1) and w = (w₁, ..., w_m, θ) this is s = wᵀ x: θ is the weight of a constant input −1.

    Args:
        units: how many outputs.
        kernel_init: initialiser of W.
        threshold_init: initialiser of θ.

    Raises:
        ConfigError: `units` is not a positive integer.
        ShapeError: the last axis of x is not what W expects.

    Source: McCulloch & Pitts (1943); Rosenblatt (1958).
    """

    units: int
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    threshold_init: Initializer = field(default_factory=Constant)

    def validate(self) -> None:
        want_positive(self, "units")

    def init(self, key: Array, in_shape: Shape) -> Params:
        *_, size = want(self, "... in", in_shape)
        theta = self.threshold_init.sample(key_for(key, "theta"), (self.units,), fan_in=size, fan_out=self.units)
        return {"W": self.kernel_init.sample(key_for(key, "W"), (size, self.units)), "theta": theta}

    def out_shape(self, in_shape: Shape) -> Shape:
        return (*want(self, "... in", in_shape)[:-1], self.units)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch ... in", x, {"in": params["W"].shape[0]})
        return x @ params["W"] - params["theta"], {"x": x}  # s = x W − θ

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x, delta = rows(saved["x"]), rows(dy)
        grads = {"W": x.T @ delta, "theta": -jnp.sum(delta, axis=0)}  # ∂E/∂W = xᵀ δ, ∂E/∂θ = −Σ_n δ_n
        return dy @ params["W"].T, grads  # ∂E/∂x = δ Wᵀ

    @staticmethod
    def to_dense(params: Params) -> Params:
        """b = −θ: the parameters (or gradients) of the `Dense` that computes the same."""
        return {"W": params["W"], "b": -params["theta"]}

    @staticmethod
    def from_dense(params: Params) -> Params:
        """θ = −b: the parameters (or gradients) of the threshold units that compute the same as a `Dense`."""
        return {"W": params["W"], "theta": -params["b"]}

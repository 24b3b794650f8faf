"""Activation functions without parameters that act on each number by itself: y = f(u).

The input is called u, as the pre-activation is in textbooks; the backward pass is dx = dy f'(u).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Grads, Params
from denpa.kernels import activation as kernels
from denpa.layers.base import ShapePreserving

__all__ = ["ELU", "Identity", "LeakyReLU", "ReLU", "Sigmoid", "Step", "Tanh", "inactive_units"]


@dataclass(frozen=True)
class Identity(ShapePreserving):
    """y = u      x (...) -> y (...)      saves nothing

    f'(u) = 1. The output activation of regression.
    """

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        return x, {}  # f(u) = u

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return dy, {}  # f'(u) = 1


@dataclass(frozen=True)
class Step(ShapePreserving):
    """y = 1 if u > 0 else 0      x (...) -> y (...)      saves nothing

    The Heaviside function with f(0) = 0, the activation of the formal neuron (McCulloch & Pitts 1943).
    Its derivative is 0 wherever it exists, and 0 is what the backward pass returns everywhere: gradient
    descent cannot train what lies below a Step.
    """

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        return (x > 0).astype(x.dtype), {}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return jnp.zeros_like(dy), {}  # f'(u) = 0


@dataclass(frozen=True)
class Sigmoid(ShapePreserving):
    """y = σ(u) = 1 / (1 + e⁻ᵘ)      x (...) -> y (...) in (0, 1)      saves y

    The logistic function: σ(−u) = 1 − σ(u). Its derivative y (1 − y) is 1/4 at u = 0, its maximum, and
    vanishes for large |u|: 4.5e-5 at u = 10 (saturation).

    Source: Rumelhart, Hinton & Williams (1986), eq. 2.
    """

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        y = kernels.sigmoid(x)
        return y, {"y": y}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return kernels.sigmoid_backward(saved["y"], dy), {}  # f'(u) = y (1 − y)


@dataclass(frozen=True)
class Tanh(ShapePreserving):
    """y = tanh(u) = 2 σ(2u) − 1      x (...) -> y (...) in (−1, 1)      saves y

    The derivative 1 − y² is 1 at u = 0, its maximum, and vanishes for large |u|.

    Source: LeCun, Bottou, Orr & Müller (1998), Efficient BackProp, section 4.4.
    """

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        y = kernels.tanh(x)
        return y, {"y": y}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return kernels.tanh_backward(saved["y"], dy), {}  # f'(u) = 1 − y²


@dataclass(frozen=True)
class ReLU(ShapePreserving):
    """y = max(0, u)      x (...) -> y (...) in [0, ∞)      saves the mask of the units that pass the delta

    f'(u) = 1 for u > 0 and 0 for u < 0. At u = 0 the function has no derivative: every number in [0, 1]
    is a subgradient, and the two ends are offered.

    Args:
        derivative_at_zero: f'(0), 0 or 1.

    Raises:
        ConfigError: `derivative_at_zero` is neither 0 nor 1.

    Source: Nair & Hinton (2010); Glorot, Bordes & Bengio (2011), section 3.
    """

    derivative_at_zero: float = 0.0

    def validate(self) -> None:
        if self.derivative_at_zero not in (0.0, 1.0):
            raise ConfigError(f"ReLU.derivative_at_zero must be 0 or 1, not {self.derivative_at_zero!r}.")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        # One byte a unit. Within one compiled step XLA needs the same memory and time for this, for
        # y and for u (measured); only the mask can tell both values of f'(0).
        mask = x > 0 if self.derivative_at_zero == 0 else x >= 0
        return jnp.maximum(x, 0), {"mask": mask}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return jnp.where(saved["mask"], dy, 0), {}  # dx = dy where f'(u) = 1, else 0


@dataclass(frozen=True)
class LeakyReLU(ShapePreserving):
    """y = slope · min(0, u) + max(0, u)      x (...) -> y (...)      saves the mask u > 0

    f'(u) = 1 for u > 0 and `slope` for u < 0; at u = 0, where the sides differ, `slope`, which agrees
    with `ReLU()`. The general rectifier: slope 0 is ReLU, 1 the identity, −1 the absolute value.

    Args:
        slope: the derivative on the negative side, any finite number.

    Raises:
        ConfigError: `slope` is not a finite number.

    Source: Maas, Hannun & Ng (2013), section 2, with slope 0.01.
    """

    slope: float = 0.01

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        mask = x > 0  # not to be had from y: with a negative slope y > 0 on both sides
        return jnp.where(mask, x, self.slope * x), {"mask": mask}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return jnp.where(saved["mask"], dy, self.slope * dy), {}  # dx = dy · (1 or slope)


@dataclass(frozen=True)
class ELU(ShapePreserving):
    """y = u if u > 0 else α (eᵘ − 1)      x (...) -> y (...) in (−α, ∞)      saves y

    f'(u) = 1 for u > 0 and α eᵘ = y + α for u ≤ 0. With α = 1 the derivative has no jump.

    Args:
        alpha: −α is the value that y tends to for u → −∞; positive.

    Raises:
        ConfigError: `alpha` is not a positive number.

    Source: Clevert, Unterthiner & Hochreiter (2016), eq. 15.
    """

    alpha: float = 1.0

    def validate(self) -> None:
        want_positive(self, "alpha")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        y = jnp.where(x > 0, x, self.alpha * jnp.expm1(jnp.minimum(x, 0)))  # eᵘ − 1 without cancellation near 0
        return y, {"y": y}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        y = saved["y"]  # positive exactly where u is
        return dy * jnp.where(y > 0, 1, y + self.alpha), {}  # f'(u) = 1 or α eᵘ = y + α


def inactive_units(y: Array) -> Array:
    """unit j is inactive:  yₙⱼ ≤ 0 for all n      y (..., units) -> (units,), of booleans

    Where a ReLU's output is 0 for every sample of a batch its unit passes no delta down and its incoming
    weights get no gradient. `inactive_units(trace["1_relu"].y).sum()` counts such units.
    """
    return jnp.all(y <= 0, axis=tuple(range(y.ndim - 1)))

"""The plain recurrent cell, and the one whose output is fed back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from denpa.core.checks import want_positive
from denpa.core.keys import key_for
from denpa.core.layer import Array, Grads, Params
from denpa.init import Glorot, Initializer, Orthogonal
from denpa.kernels import native
from denpa.kernels.gates import serves
from denpa.kernels.product import sum_of_outer_products
from denpa.layers.activation import ReLU, Tanh
from denpa.layers.base import rows
from denpa.layers.cell import Carry, Cell, Steps, activation_of, fresh, remembered, restored

__all__ = ["OutputFeedbackCell", "RNNCell"]


@dataclass(frozen=True)
class RNNCell(Cell):
    """uᵗ = xᵗ Wx + hᵗ⁻¹ Wh + b,  hᵗ = f(uᵗ)      Wx (in, units), Wh (units, units), b (units,)

        δᵗ = ∂E/∂uᵗ = f'(uᵗ) ⊙ ∂E/∂hᵗ      ∂E/∂hᵗ⁻¹ = δᵗ Whᵀ (and what reaches hᵗ⁻¹ from above)

        ∂E/∂Wx = Σ_t xᵗᵀ δᵗ      ∂E/∂Wh = Σ_t hᵗ⁻¹ᵀ δᵗ      ∂E/∂b = Σ_t δᵗ

    Args:
        units: size of h.
        activation: f, a layer or its name.
        kernel_init, recurrent_init: initialisers of Wx and Wh.

    Source: Elman (1990); the deltas: Werbos (1990), Backpropagation through time, section III.
    """

    units: int
    activation: Any = "tanh"
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    recurrent_init: Initializer = field(default_factory=Orthogonal)

    def validate(self) -> None:
        want_positive(self, "units")
        activation_of(self, self.activation)

    def sizes(self) -> tuple[int, ...]:
        return (self.units,)

    def init(self, key: Array, size: int) -> Params:
        return fresh(self, key, size, 1)

    def step(self, params: Params, drive: Array, carry: Carry) -> tuple[Carry, Any]:
        u = drive + params.get("b", 0.0) + carry[0] @ params["Wh"]
        h, saved = activation_of(self, self.activation).forward({}, u)
        return (h,), remembered(saved, h)

    def slopes(self, params: Params, steps: Steps) -> Any:
        return restored(steps.kept, steps.after[0])

    def backward(self, params: Params, slopes: Any, dcarry: Carry) -> tuple[Array, Carry]:
        delta, _ = activation_of(self, self.activation).backward({}, slopes, dcarry[0])  # δ = f'(u) ∂E/∂h
        return delta, (delta @ params["Wh"].T,)

    def runs(self, params: Params, x: Array) -> bool:
        return activation_of(self, self.activation) in (Tanh(), ReLU()) and serves(x, *params.values(), batch=2)

    def run_forward(self, params: Params, drive: Array, first: Carry, reverse: bool) -> tuple[Carry, Any]:
        relu = activation_of(self, self.activation) == ReLU()
        h = native.rnn(drive, params.get("b"), params["Wh"], first[0], relu, reverse)
        return (h,), remembered({"mask": h > 0} if relu else {"y": h}, h)

    def run_backward(
        self, params: Params, steps: Steps, first: Carry, dy: Array | None, dfinal: Carry, reverse: bool
    ) -> tuple[Array, Carry, Grads]:
        (h,), relu = steps.after, "mask" in steps.kept
        delta, dh = native.rnn_backward(h, params["Wh"], dy, dfinal[0], relu, reverse)
        return delta, (dh,), native.recurrent_weights(steps.x, first[0], h, delta, reverse)

    def tangent(self, params: Params, slopes: Any, du: Array, dcarry: Carry) -> Carry:
        # The Jacobian of an activation is diagonal, or symmetric for softmax: backward is also its map forward.
        return (activation_of(self, self.activation).backward({}, slopes, du + dcarry[0] @ params["Wh"])[0],)

    def observe(self, params: Params, steps: Steps) -> dict[str, Any]:
        u = self.drive(params, steps.x) + params.get("b", 0.0) + steps.before[0] @ params["Wh"]
        return {"h": (u, steps.after[0])}

    def observe_backward(
        self, params: Params, slopes: Any, steps: Steps, delta: Array, dcarry: Carry
    ) -> dict[str, Any]:
        return {"h": (dcarry[0], delta)}


@dataclass(frozen=True)
class OutputFeedbackCell(Cell):
    """uᵗ = xᵗ Wx + hᵗ⁻¹ Wh + yᵗ⁻¹ Wy + b,  hᵗ = f(uᵗ),  vᵗ = hᵗ Wo + bo,  yᵗ = f_out(vᵗ)

        δ_outᵗ = ∂E/∂vᵗ = f_out'(vᵗ) (∂E/∂yᵗ + δᵗ⁺¹ Wyᵀ)      δᵗ = f'(uᵗ) ⊙ (δ_outᵗ Woᵀ + δᵗ⁺¹ Whᵀ)

        ∂E/∂Wx = Σ_t xᵗᵀ δᵗ      ∂E/∂Wh = Σ_t hᵗ⁻¹ᵀ δᵗ      ∂E/∂Wy = Σ_t yᵗ⁻¹ᵀ δᵗ      ∂E/∂Wo = Σ_t hᵗᵀ δ_outᵗ

    Wx (in, units), Wh (units, units), Wy (outputs, units), b (units,), Wo (units, outputs), bo (outputs,).
    ∂E/∂b = Σ_t δᵗ, ∂E/∂bo = Σ_t δ_outᵗ. In arrays, the columns of δ are those of u, then those of v: [δ, δ_out].

    Args:
        units: size of h.
        outputs: size of y.
        activation, output_activation: f and f_out, layers or their names.
        forced: the fed back output comes with the input, behind its features; see `OutputFeedbackRNN`.
        kernel_init, recurrent_init: initialisers of Wx, Wy, Wo and of Wh.

    Source: Jordan (1986) and Elman (1990) together; Williams & Zipser (1989) for teacher forcing.
    """

    units: int
    outputs: int
    activation: Any = "tanh"
    output_activation: Any = "identity"
    forced: bool = False
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    recurrent_init: Initializer = field(default_factory=Orthogonal)

    carries: ClassVar[tuple[str, ...]] = ("y", "h")
    biases: ClassVar[tuple[str, ...]] = ("b", "bo")

    def validate(self) -> None:
        want_positive(self, "units", "outputs")
        activation_of(self, self.activation)
        activation_of(self, self.output_activation)

    def sizes(self) -> tuple[int, ...]:
        return self.outputs, self.units

    def init(self, key: Array, size: int) -> Params:
        sample = self.kernel_init.sample
        return fresh(self, key, size, 1) | {
            "Wy": sample(key_for(key, "Wy"), (self.outputs, self.units)),
            "Wo": sample(key_for(key, "Wo"), (self.units, self.outputs)),
            "bo": jnp.zeros(self.outputs),
        }

    def drive(self, params: Params, x: Array) -> Array:
        return x @ self._entrance(params)

    def step(self, params: Params, drive: Array, carry: Carry) -> tuple[Carry, Any]:
        h, hidden = activation_of(self, self.activation).forward({}, self._u(params, drive, carry))
        y, output = activation_of(self, self.output_activation).forward({}, h @ params["Wo"] + params.get("bo", 0.0))
        return (y, h), {"h": remembered(hidden, h), "y": remembered(output, y)}

    def slopes(self, params: Params, steps: Steps) -> Any:
        y, h = steps.after
        return {"h": restored(steps.kept["h"], h), "y": restored(steps.kept["y"], y)}

    def backward(self, params: Params, slopes: Any, dcarry: Carry) -> tuple[Array, Carry]:
        outer = self._out_slope(slopes, dcarry[0])  # δ_out = f_out'(v) ∂E/∂y
        inner = self._slope(slopes, outer @ params["Wo"].T + dcarry[1])  # δ = f'(u) (δ_out Woᵀ + ∂E/∂h)
        dy = jnp.zeros_like(dcarry[0]) if self.forced else inner @ params["Wy"].T
        return jnp.concatenate([inner, outer], axis=-1), (dy, inner @ params["Wh"].T)

    def input_delta(self, params: Params, delta: Array) -> Array:
        return delta[..., : self.units] @ self._entrance(params).T

    def grads(self, params: Params, steps: Steps, delta: Array) -> Grads:
        fed = steps.x if self.forced else jnp.concatenate([steps.x, steps.before[0]], axis=-1)
        size = params["Wx"].shape[0]
        inner, outer = delta[..., : self.units], rows(delta[..., self.units :])
        found = super().grads(params, steps._replace(x=fed, before=steps.before[1:]), inner)
        return found | {
            "Wx": found["Wx"][:size],
            "Wy": found["Wx"][size:],
            "Wo": sum_of_outer_products(rows(steps.after[1]), outer),
            "bo": jnp.sum(outer, axis=0),
        }

    def tangent(self, params: Params, slopes: Any, du: Array, dcarry: Carry) -> Carry:
        u = du[..., : self.units] + dcarry[1] @ params["Wh"]
        if not self.forced:
            u = u + dcarry[0] @ params["Wy"]
        h = self._slope(slopes, u)
        return self._out_slope(slopes, du[..., self.units :] + h @ params["Wo"]), h

    def direct(self, params: Params, steps: Steps) -> dict[str, Array]:
        x, (y, h), size = steps.x, steps.before, params["Wx"].shape[0]
        one, fed = jnp.ones((1, 1), x.dtype), x[..., size:] if self.forced else y
        found = {"Wx": x[..., :size], "Wh": h, "Wy": fed, "Wo": steps.after[1]}
        return {name: value[..., None] for name, value in found.items()} | {"b": one, "bo": one}

    def feeds(self, params: Params) -> dict[str, Any]:
        own = super().feeds(params)
        return {name: np.asarray(c) + self.units if name in ("Wo", "bo") else c for name, c in own.items()}

    def observe(self, params: Params, steps: Steps) -> dict[str, Any]:
        y, h = steps.after
        u = self._u(params, self.drive(params, steps.x), steps.before)
        return {"h": (u, h), "y": (h @ params["Wo"] + params.get("bo", 0.0), y)}

    def observe_backward(
        self, params: Params, slopes: Any, steps: Steps, delta: Array, dcarry: Carry
    ) -> dict[str, Any]:
        inner, outer = delta[..., : self.units], delta[..., self.units :]
        return {"h": (dcarry[1] + outer @ params["Wo"].T, inner), "y": (dcarry[0], outer)}

    def _entrance(self, params: Params) -> Array:
        return jnp.concatenate([params["Wx"], params["Wy"]]) if self.forced else params["Wx"]

    def _u(self, params: Params, drive: Array, carry: Carry) -> Array:
        u = drive + params.get("b", 0.0) + carry[1] @ params["Wh"]
        return u if self.forced else u + carry[0] @ params["Wy"]

    def _slope(self, slopes: Any, delta: Array) -> Array:
        return activation_of(self, self.activation).backward({}, slopes["h"], delta)[0]

    def _out_slope(self, slopes: Any, delta: Array) -> Array:
        return activation_of(self, self.output_activation).backward({}, slopes["y"], delta)[0]

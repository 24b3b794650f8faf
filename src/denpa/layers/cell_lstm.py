"""Long short-term memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np

from denpa.core.checks import want_positive
from denpa.core.layer import Array, Grads, Params
from denpa.init import Glorot, Initializer, Orthogonal
from denpa.kernels import native
from denpa.kernels.gates import columns, gate_slopes, gates, serves, split
from denpa.layers.cell import Carry, Cell, Steps, fresh

__all__ = ["LSTMCell"]


@dataclass(frozen=True)
class LSTMCell(Cell):
    """i, f, o = σ(u_i), σ(u_f), σ(u_o),  g = φ(u_g),  cᵗ = f ⊙ cᵗ⁻¹ + i ⊙ g,  hᵗ = o ⊙ φ(cᵗ)

    with u = xᵗ Wx + hᵗ⁻¹ Wh + b, the gates side by side as i f g o: Wx (in, 4 units), Wh (units, 4 units),
    b (4 units,). With peepholes p (3, units) the memory enters the gates: u_i += p₀ ⊙ cᵗ⁻¹,
    u_f += p₁ ⊙ cᵗ⁻¹ and u_o += p₂ ⊙ cᵗ (or cᵗ⁻¹). With e = ∂E/∂hᵗ and δ_c = ∂E/∂cᵗ:

        δ_o = e ⊙ φ(cᵗ) ⊙ o (1 − o)      δ_c = e ⊙ o ⊙ φ'(cᵗ) + [from t+1] (+ p₂ ⊙ δ_o)
        δ_i = δ_c ⊙ g ⊙ i (1 − i)        δ_f = δ_c ⊙ cᵗ⁻¹ ⊙ f (1 − f)        δ_g = δ_c ⊙ i ⊙ φ'(u_g)
        ∂E/∂cᵗ⁻¹ = δ_c ⊙ f (+ p₀ ⊙ δ_i + p₁ ⊙ δ_f)    ∂E/∂hᵗ⁻¹ = δ Whᵀ, through all four gates

        ∂E/∂Wx = Σ_t xᵗᵀ δᵗ      ∂E/∂Wh = Σ_t hᵗ⁻¹ᵀ δᵗ      ∂E/∂b = Σ_t δᵗ      ∂E/∂p = Σ_t δ_i cᵗ⁻¹, δ_f cᵗ⁻¹, δ_o cᵗ

    Args:
        units: size of h and c.
        peepholes: whether p is there.
        forget_bias: what b starts from in the forget gate; the other gates start from 0.
        output_peephole: "current", where the output gate sees cᵗ, or "previous" for cᵗ⁻¹, which then gets p₂ ⊙ δ_o.
        activation: φ, "tanh" or "sigmoid".
        kernel_init, recurrent_init: initialisers of Wx and Wh.
        truncated: ∂E/∂hᵗ⁻¹ = δ_g Wh_gᵀ, without the paths through the three gates: a shorter formula, which is found
            in print, and not the gradient.

    Source: Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000) for the forget gate; Gers &
    Schmidhuber (2000) for peepholes; Jozefowicz, Zaremba & Sutskever (2015) for the forget bias.
    """

    units: int
    peepholes: bool = False
    forget_bias: float = 1.0
    output_peephole: Literal["current", "previous"] = "current"
    activation: Literal["tanh", "sigmoid"] = "tanh"
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    recurrent_init: Initializer = field(default_factory=Orthogonal)
    truncated: bool = False

    carries: ClassVar[tuple[str, ...]] = ("h", "c")

    def validate(self) -> None:
        want_positive(self, "units")

    def sizes(self) -> tuple[int, ...]:
        return self.units, self.units

    def init(self, key: Array, size: int) -> Params:
        params = fresh(self, key, size, 4)
        params["b"] = params["b"].at[self.units : 2 * self.units].set(self.forget_bias)
        return params | ({"p": jnp.zeros((3, self.units))} if self.peepholes else {})

    def step(self, params: Params, drive: Array, carry: Carry) -> tuple[Carry, Any]:
        h, c = carry
        u = drive + params.get("b", 0.0) + h @ params["Wh"]
        if not self.peepholes:
            a = gates(u, self._scale(u))
            i, f, g, o = split(a, 4)
            c = f * c + i * g
            return (o * self._phi(c), c), {"gates": a}
        p, s, n = params["p"], self._scale(u), self.units
        early = u.at[..., :n].add(p[0] * c).at[..., n : 2 * n].add(p[1] * c)
        i, f, g, _ = split(gates(early, s), 4)
        after = f * c + i * g
        o = gates(u[..., 3 * n :] + p[2] * (after if self._current else c), s[3 * n :])
        return (o * self._phi(after), after), {"gates": jnp.concatenate([i, f, g, o], axis=-1)}

    def slopes(self, params: Params, steps: Steps) -> Any:
        a, squashed = steps.kept["gates"], self._phi(steps.after[1])
        i, _, g, o = split(a, 4)
        along = jnp.concatenate([g, steps.before[1], i, squashed], axis=-1)  # what each gate multiplies
        return {
            "u": gate_slopes(a, self._scale(a)) * along,  # ∂c/∂u_i, ∂c/∂u_f, ∂c/∂u_g, ∂h/∂u_o
            "c": o * gate_slopes(squashed, self._scale(squashed, gate=2)),  # ∂h/∂c
            "f": a[..., self.units : 2 * self.units],  # ∂cᵗ/∂cᵗ⁻¹, but for the peepholes
        }

    def backward(self, params: Params, slopes: Any, dcarry: Carry) -> tuple[Array, Carry]:
        dh, dc = dcarry[0], self._memory_delta(params, slopes, dcarry)
        delta = slopes["u"] * jnp.concatenate([dc, dc, dc, dh], axis=-1)
        before = dc * slopes["f"]
        if self.peepholes:
            i, f, _, o = split(delta, 4)
            before = before + params["p"][0] * i + params["p"][1] * f
            before = before if self._current else before + params["p"][2] * o
        if self.truncated:
            return delta, (split(delta, 4)[2] @ split(params["Wh"], 4)[2].T, before)
        return delta, (delta @ params["Wh"].T, before)

    def runs(self, params: Params, x: Array) -> bool:
        standard = not self.peepholes and not self.truncated and self.activation == "tanh"
        return standard and serves(x, *params.values(), batch=2)

    def run_forward(self, params: Params, drive: Array, first: Carry, reverse: bool) -> tuple[Carry, Any]:
        h, c = first
        gates, h, c = native.lstm(drive, params.get("b"), params["Wh"], h, c, reverse)
        return (h, c), {"gates": gates}

    def run_backward(
        self, params: Params, steps: Steps, first: Carry, dy: Array | None, dfinal: Carry, reverse: bool
    ) -> tuple[Array, Carry, Grads]:
        dh, dc = dfinal
        h, c = steps.after
        delta, dh, dc = native.lstm_backward(steps.kept["gates"], c, first[1], params["Wh"], dy, dh, dc, reverse)
        return delta, (dh, dc), native.recurrent_weights(steps.x, first[0], h, delta, reverse)

    def grads(self, params: Params, steps: Steps, delta: Array) -> Grads:
        found = super().grads(params, steps, delta)
        if self.peepholes:
            i, f, _, o = split(delta, 4)
            c = steps.before[1]
            seen = (i * c, f * c, o * self._seen_by_output(steps))
            found["p"] = jnp.stack([jnp.sum(one, axis=tuple(range(one.ndim - 1))) for one in seen])
        return found

    def tangent(self, params: Params, slopes: Any, du: Array, dcarry: Carry) -> Carry:
        du = du + dcarry[0] @ params["Wh"]
        i, f, g, o = split(du, 4)
        p = params["p"] if self.peepholes else None
        if p is not None:
            i, f = i + p[0] * dcarry[1], f + p[1] * dcarry[1]
        to_i, to_f, to_g, to_o = split(slopes["u"], 4)
        c = slopes["f"] * dcarry[1] + to_i * i + to_f * f + to_g * g
        if p is not None:
            o = o + p[2] * (c if self._current else dcarry[1])
        return to_o * o + slopes["c"] * c, c

    def direct(self, params: Params, steps: Steps) -> dict[str, Array]:
        found = super().direct(params, steps)
        if self.peepholes:
            c = steps.before[1]
            found["p"] = jnp.stack([c, c, self._seen_by_output(steps)], axis=-2)
        return found

    def feeds(self, params: Params) -> dict[str, Any]:
        found = super().feeds(params)
        if self.peepholes:
            found["p"] = np.arange(self.units) + self.units * np.array([[0], [1], [3]])
        return found

    def observe(self, params: Params, steps: Steps) -> dict[str, Any]:
        (h, c), after = steps.before, steps.after
        u = split(self.drive(params, steps.x) + params.get("b", 0.0) + h @ params["Wh"], 4)
        if self.peepholes:
            p = params["p"]
            u = [u[0] + p[0] * c, u[1] + p[1] * c, u[2], u[3] + p[2] * self._seen_by_output(steps)]
        found = dict(zip("ifgo", zip(u, split(steps.kept["gates"], 4), strict=True), strict=True))
        return found | {"c": (c, after[1]), "h": (h, after[0])}

    def observe_backward(
        self, params: Params, slopes: Any, steps: Steps, delta: Array, dcarry: Carry
    ) -> dict[str, Any]:
        dh, dc = dcarry[0], self._memory_delta(params, slopes, dcarry)
        i, _, g, _ = split(steps.kept["gates"], 4)
        to_gates = (dc * g, dc * steps.before[1], dc * i, dh * self._phi(steps.after[1]))
        found = dict(zip("ifgo", zip(to_gates, split(delta, 4), strict=True), strict=True))
        earlier = self.backward(params, slopes, dcarry)[1]
        return found | {"c": (dc, earlier[1]), "h": (dh, earlier[0])}

    @property
    def _current(self) -> bool:
        return self.output_peephole == "current"

    def _seen_by_output(self, steps: Steps) -> Array:
        """The memory that the output gate's peephole sees."""
        return (steps.after if self._current else steps.before)[1]

    def _scale(self, u: Array, gate: int | None = None) -> Array:
        """Which columns are sigmoids: of all gates, or of one."""
        scales = (0.5, 0.5, 1.0 if self.activation == "tanh" else 0.5, 0.5)
        return columns(scales if gate is None else (scales[gate],), self.units, u.dtype)

    def _phi(self, u: Array) -> Array:
        return gates(u, self._scale(u, gate=2)) if self.activation == "sigmoid" else jnp.tanh(u)

    def _memory_delta(self, params: Params, slopes: Any, dcarry: Carry) -> Array:
        """∂E/∂cᵗ: what comes back from the next step, and what comes through hᵗ."""
        dc = dcarry[1] + dcarry[0] * slopes["c"]
        if self.peepholes and self._current:
            dc = dc + params["p"][2] * (dcarry[0] * split(slopes["u"], 4)[3])
        return dc

"""The gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from denpa.core.checks import want_positive
from denpa.core.layer import Array, Grads, Params
from denpa.init import Glorot, Initializer, Orthogonal
from denpa.kernels import native
from denpa.kernels.gates import gates, serves, split
from denpa.kernels.product import sum_of_outer_products
from denpa.layers.base import rows
from denpa.layers.cell import Carry, Cell, Steps, fresh

__all__ = ["GRUCell"]


@dataclass(frozen=True)
class GRUCell(Cell):
    """z, r = σ(u_z), σ(u_r),  n = tanh(u_n),  hᵗ = z ⊙ hᵗ⁻¹ + (1 − z) ⊙ n

    with u_z, u_r = xᵗ Wx + hᵗ⁻¹ Wh + b in their columns, and for the candidate, h = hᵗ⁻¹,

        u_n = xᵗ Wx_n + (r ⊙ h) Wh_n + b_n                  reset before the recurrent product
        u_n = xᵗ Wx_n + r ⊙ (h Wh_n + bh) + b_n             reset_after

    the gates side by side as z r n: Wx (in, 3 units), Wh (units, 3 units), b (3 units,), bh (units,). z = 1
    KEEPS the old state. With e = ∂E/∂hᵗ:

        δ_z = e ⊙ (h − n) ⊙ z (1 − z)      δ_n = e ⊙ (1 − z) ⊙ (1 − n²)
        before:  q = δ_n Wh_nᵀ,   δ_r = q ⊙ h ⊙ r (1 − r),   ∂E/∂h = e ⊙ z + q ⊙ r + δ_z Wh_zᵀ + δ_r Wh_rᵀ
        after:   m = h Wh_n + bh, δ_r = δ_n ⊙ m ⊙ r (1 − r), ∂E/∂h = e ⊙ z + [δ_z, δ_r, δ_n ⊙ r] Whᵀ

        ∂E/∂Wx = Σ_t xᵗᵀ δᵗ      ∂E/∂b = Σ_t δᵗ      ∂E/∂Wh = Σ_t hᵀ δᵗ in the columns of z and r
        before:  ∂E/∂Wh_n = Σ_t (r ⊙ h)ᵀ δ_n          after:  ∂E/∂Wh_n = Σ_t hᵀ (δ_n ⊙ r)      ∂E/∂bh = Σ_t δ_n ⊙ r

    Args:
        units: size of h.
        reset_after: the second form, which cuDNN, PyTorch and Keras compute.
        kernel_init, recurrent_init: initialisers of Wx and Wh.
        update_bias: what b starts from in the update gate, all else from 0; above 0 the unit starts by keeping its
            state, for about 1 + exp(update_bias) steps.

    Source: Cho et al. (2014), equations 5-8; later texts of theirs exchange z and 1 − z. Tallec & Ollivier (2018),
    Can recurrent neural networks warp time?, section 2, for the bias.
    """

    units: int
    reset_after: bool = False
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    recurrent_init: Initializer = field(default_factory=Orthogonal)
    update_bias: float = 0.0

    biases: ClassVar[tuple[str, ...]] = ("b", "bh")

    def validate(self) -> None:
        want_positive(self, "units")

    def sizes(self) -> tuple[int, ...]:
        return (self.units,)

    def init(self, key: Array, size: int) -> Params:
        params = fresh(self, key, size, 3)
        params["b"] = params["b"].at[: self.units].set(self.update_bias)
        return params | ({"bh": jnp.zeros(self.units)} if self.reset_after else {})

    def step(self, params: Params, drive: Array, carry: Carry) -> tuple[Carry, Any]:
        (h,), n = carry, self.units
        d = drive + params.get("b", 0.0)
        if self.reset_after:
            recurrent = h @ params["Wh"]
            zr = gates(d[..., : 2 * n] + recurrent[..., : 2 * n], _half(d))
            m = recurrent[..., 2 * n :] + params.get("bh", 0.0)
            z, r = split(zr, 2)
            candidate = jnp.tanh(d[..., 2 * n :] + r * m)
            kept = {"gates": jnp.concatenate([zr, candidate], axis=-1), "m": m}
        else:
            zr = gates(d[..., : 2 * n] + h @ params["Wh"][:, : 2 * n], _half(d))
            z, r = split(zr, 2)
            candidate = jnp.tanh(d[..., 2 * n :] + (r * h) @ params["Wh"][:, 2 * n :])
            kept = {"gates": jnp.concatenate([zr, candidate], axis=-1)}
        return (candidate + z * (h - candidate),), kept

    def slopes(self, params: Params, steps: Steps) -> Any:
        (h,), kept = steps.before, steps.kept
        z, r, n = split(kept["gates"], 3)
        return {
            "zn": jnp.concatenate([(h - n) * z * (1 - z), (1 - z) * (1 - n * n)], axis=-1),  # ∂h/∂u_z, ∂h/∂u_n
            "r": (kept["m"] if self.reset_after else h) * r * (1 - r),  # ∂(r ⊙ h)/∂u_r, or ∂(r ⊙ m)/∂u_r
            "gates": kept["gates"][..., : 2 * self.units],
        }

    def backward(self, params: Params, slopes: Any, dcarry: Carry) -> tuple[Array, Carry]:
        (dh,), n, Wh = dcarry, self.units, params["Wh"]
        z, r = split(slopes["gates"], 2)
        to_z, to_n = split(slopes["zn"], 2)
        delta_z, delta_n = dh * to_z, dh * to_n
        if self.reset_after:
            delta_r = delta_n * slopes["r"]
            before = dh * z + jnp.concatenate([delta_z, delta_r, delta_n * r], axis=-1) @ Wh.T
        else:
            q = delta_n @ Wh[:, 2 * n :].T  # ∂E/∂(r ⊙ h)
            delta_r = q * slopes["r"]
            before = dh * z + q * r + jnp.concatenate([delta_z, delta_r], axis=-1) @ Wh[:, : 2 * n].T
        return jnp.concatenate([delta_z, delta_r, delta_n], axis=-1), (before,)

    def runs(self, params: Params, x: Array) -> bool:
        return serves(x, *params.values())

    def run_forward(self, params: Params, drive: Array, first: Carry, reverse: bool) -> tuple[Carry, Any]:
        gates, m, h = native.gru(
            drive, params.get("b"), params.get("bh"), params["Wh"], first[0], self.reset_after, reverse
        )
        return (h,), {"gates": gates, "m": m} if self.reset_after else {"gates": gates}

    def run_backward(
        self, params: Params, steps: Steps, first: Carry, dy: Array | None, dfinal: Carry, reverse: bool
    ) -> tuple[Array, Carry, Grads]:
        (h,), kept = steps.after, steps.kept
        run = (h, first[0], params["Wh"], dy, dfinal[0], reverse)
        delta, inner, dh = native.gru_backward(kept["gates"], kept.get("m"), *run)
        return delta, (dh,), native.gru_weights(steps.x, first[0], h, delta, inner, self.reset_after, reverse)

    def grads(self, params: Params, steps: Steps, delta: Array) -> Grads:
        n, (h,) = self.units, steps.before
        r, delta_n = steps.kept["gates"][..., n : 2 * n], delta[..., 2 * n :]
        flat = rows(delta)
        found = {"Wx": sum_of_outer_products(rows(steps.x), flat), "b": jnp.sum(flat, axis=0)}
        if self.reset_after:
            inner = delta_n * r  # ∂E/∂m
            inside = jnp.concatenate([delta[..., : 2 * n], inner], axis=-1)
            found["Wh"] = sum_of_outer_products(rows(h), rows(inside))
            found["bh"] = jnp.sum(rows(inner), axis=0)
        else:
            plain = sum_of_outer_products(rows(h), flat[:, : 2 * n])
            reset = sum_of_outer_products(rows(r * h), flat[:, 2 * n :])
            found["Wh"] = jnp.concatenate([plain, reset], axis=-1)
        return found

    def tangent(self, params: Params, slopes: Any, du: Array, dcarry: Carry) -> Carry:
        (dh,), n, Wh = dcarry, self.units, params["Wh"]
        z, r = split(slopes["gates"], 2)
        to_z, to_n = split(slopes["zn"], 2)
        du_z, du_r, du_n = split(du, 3)
        recurrent = dh @ Wh[:, : 2 * n]
        du_z, du_r = du_z + recurrent[..., :n], du_r + recurrent[..., n:]
        if self.reset_after:
            du_n = du_n + slopes["r"] * du_r + r * (dh @ Wh[:, 2 * n :])
        else:
            du_n = du_n + (slopes["r"] * du_r + r * dh) @ Wh[:, 2 * n :]
        return (z * dh + to_z * du_z + to_n * du_n,)

    def direct(self, params: Params, steps: Steps) -> dict[str, Array]:
        x, (h,) = steps.x, steps.before
        _, r, _ = split(steps.kept["gates"], 3)
        plain = jnp.broadcast_to(h[..., None], (*h.shape, 2 * self.units))
        reset = h[..., None] * r[..., None, :] if self.reset_after else (r * h)[..., None]
        candidate = jnp.broadcast_to(reset, (*h.shape, self.units))
        found = {
            "Wx": x[..., None],
            "Wh": jnp.concatenate([plain, candidate], axis=-1),
            "b": jnp.ones((1, 1), x.dtype),
        }
        return found | ({"bh": r} if self.reset_after else {})

    def feeds(self, params: Params) -> dict[str, Any]:
        found = super().feeds(params)
        return found | ({"bh": 2 * self.units + np.arange(self.units)} if self.reset_after else {})

    def observe(self, params: Params, steps: Steps) -> dict[str, Any]:
        (h,), kept, n, Wh = steps.before, steps.kept, self.units, params["Wh"]
        z, r, candidate = split(kept["gates"], 3)
        d = self.drive(params, steps.x) + params.get("b", 0.0)
        early = d[..., : 2 * n] + h @ Wh[:, : 2 * n]
        late = d[..., 2 * n :] + (r * kept["m"] if self.reset_after else (r * h) @ Wh[:, 2 * n :])
        return {
            "z": (early[..., :n], z),
            "r": (early[..., n:], r),
            "n": (late, candidate),
            "h": (h, steps.after[0]),
        }

    def observe_backward(
        self, params: Params, slopes: Any, steps: Steps, delta: Array, dcarry: Carry
    ) -> dict[str, Any]:
        (h,), kept, (dh,), n = steps.before, steps.kept, dcarry, self.units
        delta_z, delta_r, delta_n = split(delta, 3)
        z, _, candidate = split(kept["gates"], 3)
        to_r = delta_n * kept["m"] if self.reset_after else (delta_n @ params["Wh"][:, 2 * n :].T) * h
        return {
            "z": (dh * (h - candidate), delta_z),
            "r": (to_r, delta_r),
            "n": (dh * (1 - z), delta_n),
            "h": (dh, self.backward(params, slopes, dcarry)[1][0]),
        }


def _half(u: Array) -> Array:
    return jnp.asarray(0.5, u.dtype)

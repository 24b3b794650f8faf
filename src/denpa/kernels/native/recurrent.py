"""Recurrent layers by the native kernels: CPU, float32, nothing padded. Call them only where `available()` says so.

    u = d + b + hᵗ⁻¹ Wh      i, f, o = σ(u_i), σ(u_f), σ(u_o)      g = tanh(u_g)
    cᵗ = f ⊙ cᵗ⁻¹ + i ⊙ g    hᵗ = o ⊙ tanh(cᵗ)

d = x Wx (time, batch, 4 units), the gates side by side as i f g o; Wh (units, 4 units), b (4 units,), h and c (batch,
units). With `reverse` time runs from the last step to the first. Any number of threads gives the same bits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from denpa.kernels.native.operations import target

__all__ = ["lstm", "lstm_home", "recurrent_weights"]

Array = jax.Array


def lstm(drive: Array, b: Array, Wh: Array, h: Array, c: Array, reverse: bool) -> tuple[Array, Array, Array]:
    """The gates (time, batch, 4 units), h and c (time, batch, units) of every step, from d and the initial h and c."""
    states = jax.ShapeDtypeStruct((*drive.shape[:2], len(Wh)), jnp.float32)
    results = jax.ShapeDtypeStruct(drive.shape, jnp.float32), states, states
    gates, after_h, after_c = target("denpa_lstm", results, {0: 0})(drive, b, Wh, h, c, reverse=np.int32(reverse))
    return gates, after_h, after_c


def lstm_home(
    gates: Array, c: Array, c_first: Array, Wh: Array, dy: Array | None, dh: Array, dc: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """δ = ∂E/∂u of every step, ∂E/∂h and ∂E/∂c at the beginning.

    From the gates and c of every step, the initial c, ∂E/∂h of every step (None where they give nothing out), and ∂E/∂h
    and ∂E/∂c at the end.
    """
    carry = jax.ShapeDtypeStruct(dh.shape, jnp.float32)
    results = jax.ShapeDtypeStruct(gates.shape, jnp.float32), carry, carry
    dy = jnp.zeros((0, 0, 0), jnp.float32) if dy is None else dy
    call = target("denpa_lstm_home", results, {0: 0})
    delta, dh_first, dc_first = call(gates, c, c_first, Wh, dy, dh, dc, reverse=np.int32(reverse))
    return delta, dh_first, dc_first


def recurrent_weights(x: Array, h_first: Array, h: Array, delta: Array, reverse: bool) -> tuple[Array, Array, Array]:
    """dWx = Σ xᵗᵀ δᵗ      dWh = Σ hᵗ⁻¹ᵀ δᵗ      db = Σ δᵗ

    From x (time, batch, in), the initial h, h and δ (time, batch, columns) of every step.
    """
    columns = delta.shape[-1]
    shapes = (x.shape[-1], columns), (h.shape[-1], columns), (columns,)
    call = target("denpa_recurrent_weights", tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    dWx, dWh, db = call(x, h_first, h, delta, reverse=np.int32(reverse))
    return dWx, dWh, db

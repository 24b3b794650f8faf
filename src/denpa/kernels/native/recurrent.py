"""Recurrent layers by the native kernels: CPU, float32, nothing padded. Call them only where `available()` says so.

    LSTM    i, f, o = σ(u_i), σ(u_f), σ(u_o)   g = tanh(u_g)   cᵗ = f ⊙ cᵗ⁻¹ + i ⊙ g   hᵗ = o ⊙ tanh(cᵗ)
    GRU     z, r = σ(u_z), σ(u_r)   n = tanh(u_n)   hᵗ = z ⊙ hᵗ⁻¹ + (1 − z) ⊙ n
            u_n = d_n + (r ⊙ hᵗ⁻¹) Wh_n + b_n, or with the reset gate behind it  d_n + r ⊙ m + b_n,  m = hᵗ⁻¹ Wh_n + bh
    RNN     hᵗ = tanh(u) or max(0, u)

and u = d + b + hᵗ⁻¹ Wh but for u_n. d = x Wx (time, batch, gates · units), the gates side by side as i f g o or z r n;
Wh (units, gates · units), b (gates · units,), bh (units,), h and c (batch, units). With `reverse` time runs from the
last step to the first. Where b or bh is None it is 0. Any number of threads gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.kernels.native.operations import target

__all__ = ["gru", "gru_backward", "gru_weights", "lstm", "lstm_backward", "recurrent_weights", "rnn", "rnn_backward"]

Array = jax.Array

_EMPTY = (0, 0, 0)
_NONE, _STATE, _DELTA = 0, 1, 2  # what takes part in the last gate's columns of ∂E/∂Wh instead of h or of δ


def lstm(drive: Array, b: Array | None, Wh: Array, h: Array, c: Array, reverse: bool) -> tuple[Array, Array, Array]:
    """The gates (time, batch, 4 units), h and c (time, batch, units) of every step, from d and the initial h and c."""
    states = *drive.shape[:2], len(Wh)
    call = _kernel("denpa_lstm", drive.shape, states, states, aliases={0: 0}, reverse=reverse)
    gates, after_h, after_c = call(drive, _bias(b, Wh), Wh, h, c)
    return gates, after_h, after_c


def lstm_backward(
    gates: Array, c: Array, c_first: Array, Wh: Array, dy: Array | None, dh: Array, dc: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """δ = ∂E/∂u of every step, ∂E/∂h and ∂E/∂c at the beginning.

    From the gates and c of every step, the initial c, ∂E/∂h of every step (None where they give nothing out), and ∂E/∂h
    and ∂E/∂c at the end.
    """
    call = _kernel("denpa_lstm_backward", gates.shape, dh.shape, dh.shape, aliases={0: 0}, reverse=reverse)
    delta, dh_first, dc_first = call(gates, c, c_first, Wh, _given(dy), dh, dc)
    return delta, dh_first, dc_first


def gru(
    drive: Array, b: Array | None, bh: Array | None, Wh: Array, h: Array, after: bool, reverse: bool
) -> tuple[Array, Array, Array]:
    """The gates (time, batch, 3 units), m and h (time, batch, units) of every step, from d and the initial h.

    The reset gate is `after` the recurrent product or before it; then there is no bh, and m is empty.
    """
    states = *drive.shape[:2], len(Wh)
    inner = states if after else _EMPTY
    call = _kernel("denpa_gru", drive.shape, inner, states, aliases={0: 0}, reset_after=after, reverse=reverse)
    bias = jnp.concatenate([_bias(b, Wh), _bias(bh, Wh[:, : len(Wh)])]) if after else _bias(b, Wh)
    gates, m, after_h = call(drive, bias, Wh, h)
    return gates, m, after_h


def gru_backward(
    gates: Array, m: Array | None, h: Array, h_first: Array, Wh: Array, dy: Array | None, dh: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """δ = ∂E/∂u of every step, ∂E/∂m of every step (where there is no m, r ⊙ hᵗ⁻¹), ∂E/∂h at the beginning.

    From the gates, m and h of every step, the initial h, ∂E/∂h of every step (None where they give nothing out), and
    ∂E/∂h at the end. The reset gate is behind the recurrent product where there is m.
    """
    after = m is not None
    aliases = {0: 0, 1: 1} if after else {0: 0}
    shapes = gates.shape, h.shape, dh.shape
    call = _kernel("denpa_gru_backward", *shapes, aliases=aliases, reset_after=after, reverse=reverse)
    delta, inner, dh_first = call(gates, _given(m), h, h_first, Wh, _given(dy), dh)
    return delta, inner, dh_first


def gru_weights(
    x: Array, h_first: Array, h: Array, delta: Array, inner: Array, after: bool, reverse: bool
) -> dict[str, Array]:
    """∂E/∂ the parameters by their names:  dWx = Σ xᵗᵀ δᵗ      dWh = Σ hᵗ⁻¹ᵀ δᵗ      db = Σ δᵗ      dbh = Σ ∂E/∂m

    In the columns of n, dWh = Σ hᵗ⁻¹ᵀ ∂E/∂m with the reset gate `after` the product, else Σ (r ⊙ hᵗ⁻¹)ᵀ δᵗ and no dbh.
    `inner` is what `gru_backward` gives beside δ.
    """
    return _weights(x, h_first, h, delta, inner, _DELTA if after else _STATE, reverse)


def rnn(drive: Array, b: Array | None, Wh: Array, h: Array, relu: bool, reverse: bool) -> Array:
    """h of every step (time, batch, units), from d and the initial h; with `relu` max(0, u), else tanh(u)."""
    call = _kernel("denpa_rnn", drive.shape, aliases={0: 0}, relu=relu, reverse=reverse)
    (after_h,) = call(drive, _bias(b, Wh), Wh, h)
    return after_h


def rnn_backward(h: Array, Wh: Array, dy: Array | None, dh: Array, relu: bool, reverse: bool) -> tuple[Array, Array]:
    """δ = ∂E/∂u of every step, and ∂E/∂h at the beginning, from h of every step, ∂E/∂h of every step and at the end."""
    call = _kernel("denpa_rnn_backward", h.shape, dh.shape, relu=relu, reverse=reverse)
    delta, dh_first = call(h, Wh, _given(dy), dh)
    return delta, dh_first


def recurrent_weights(x: Array, h_first: Array, h: Array, delta: Array, reverse: bool) -> dict[str, Array]:
    """∂E/∂ the parameters by their names:  dWx = Σ xᵗᵀ δᵗ      dWh = Σ hᵗ⁻¹ᵀ δᵗ      db = Σ δᵗ

    From x (time, batch, in), the initial h, h and δ (time, batch, gates · units) of every step.
    """
    return _weights(x, h_first, h, delta, _given(None), _NONE, reverse)


def _weights(
    x: Array, h_first: Array, h: Array, delta: Array, inner: Array, inner_is: int, reverse: bool
) -> dict[str, Array]:
    units, columns = h.shape[-1], delta.shape[-1]
    shapes = (x.shape[-1], columns), (units, columns), (columns,), (units if inner_is == _DELTA else 0,)
    call = _kernel("denpa_recurrent_weights", *shapes, inner_is=inner_is, reverse=reverse)
    found = call(x, h_first, h, delta, inner)
    return dict(zip(("Wx", "Wh", "b", "bh")[: 4 if inner_is == _DELTA else 3], found, strict=False))


def _kernel(name: str, *shapes: tuple[int, ...], aliases: Any = None, **settings: int) -> Callable[..., Any]:
    """The kernel that gives arrays of these shapes, as a function of arrays.

    To it, arrays of all steps are matrices with a row for each sequence at each step: so a product goes in and out as
    it is, where XLA would copy what is another shape of it.
    """
    results = tuple(jax.ShapeDtypeStruct(_flat(shape), jnp.float32) for shape in shapes)
    kernel = target(name, results, aliases)

    def call(*arrays: Array) -> tuple[Array, ...]:
        found = kernel(*(a.reshape(_flat(a.shape)) for a in arrays), **{k: np.int32(v) for k, v in settings.items()})
        return tuple(array.reshape(shape) for array, shape in zip(found, shapes, strict=True))

    return call


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) < 3 else (shape[0] * shape[1], shape[2])


def _bias(b: Array | None, W: Array) -> Array:
    """The bias of the columns of W; 0 where there is none."""
    return jnp.zeros(W.shape[-1:], jnp.float32) if b is None else b


def _given(array: Array | None) -> Array:
    """The array; an empty one where there is none."""
    return jnp.zeros(_EMPTY, jnp.float32) if array is None else array

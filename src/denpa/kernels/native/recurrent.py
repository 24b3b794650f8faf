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
    call = target("denpa_lstm", _results(drive.shape, states, states), {0: 0})
    gates, after_h, after_c = call(drive, _bias(b, Wh), Wh, h, c, reverse=np.int32(reverse))
    return gates, after_h, after_c


def lstm_backward(
    gates: Array, c: Array, c_first: Array, Wh: Array, dy: Array | None, dh: Array, dc: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """δ = ∂E/∂u of every step, ∂E/∂h and ∂E/∂c at the beginning.

    From the gates and c of every step, the initial c, ∂E/∂h of every step (None where they give nothing out), and ∂E/∂h
    and ∂E/∂c at the end.
    """
    call = target("denpa_lstm_backward", _results(gates.shape, dh.shape, dh.shape), {0: 0})
    delta, dh_first, dc_first = call(gates, c, c_first, Wh, _given(dy), dh, dc, reverse=np.int32(reverse))
    return delta, dh_first, dc_first


def gru(
    drive: Array, b: Array | None, bh: Array | None, Wh: Array, h: Array, after: bool, reverse: bool
) -> tuple[Array, Array, Array]:
    """The gates (time, batch, 3 units), m and h (time, batch, units) of every step, from d and the initial h.

    The reset gate is `after` the recurrent product or before it; then there is no bh, and m is empty.
    """
    states = *drive.shape[:2], len(Wh)
    call = target("denpa_gru", _results(drive.shape, states if after else _EMPTY, states), {0: 0})
    bias = jnp.concatenate([_bias(b, Wh), _bias(bh, Wh[:, : len(Wh)])]) if after else _bias(b, Wh)
    gates, m, after_h = call(drive, bias, Wh, h, reset_after=np.int32(after), reverse=np.int32(reverse))
    return gates, m, after_h


def gru_backward(
    gates: Array, m: Array | None, h: Array, h_first: Array, Wh: Array, dy: Array | None, dh: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """δ = ∂E/∂u of every step, ∂E/∂m of every step (where there is no m, r ⊙ hᵗ⁻¹), ∂E/∂h at the beginning.

    From the gates, m and h of every step, the initial h, ∂E/∂h of every step (None where they give nothing out), and
    ∂E/∂h at the end. The reset gate is behind the recurrent product where there is m.
    """
    after = m is not None
    call = target("denpa_gru_backward", _results(gates.shape, h.shape, dh.shape), {0: 0, 1: 1} if after else {0: 0})
    how = {"reset_after": np.int32(after), "reverse": np.int32(reverse)}
    delta, inner, dh_first = call(gates, _given(m), h, h_first, Wh, _given(dy), dh, **how)
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
    (result,) = _results(drive.shape)
    return target("denpa_rnn", result, {0: 0})(
        drive, _bias(b, Wh), Wh, h, relu=np.int32(relu), reverse=np.int32(reverse)
    )


def rnn_backward(h: Array, Wh: Array, dy: Array | None, dh: Array, relu: bool, reverse: bool) -> tuple[Array, Array]:
    """δ = ∂E/∂u of every step, and ∂E/∂h at the beginning, from h of every step, ∂E/∂h of every step and at the end."""
    call = target("denpa_rnn_backward", _results(h.shape, dh.shape))
    delta, dh_first = call(h, Wh, _given(dy), dh, relu=np.int32(relu), reverse=np.int32(reverse))
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
    how = {"inner_is": np.int32(inner_is), "reverse": np.int32(reverse)}
    found = target("denpa_recurrent_weights", _results(*shapes))(x, h_first, h, delta, inner, **how)
    return dict(zip(("Wx", "Wh", "b", "bh")[: 4 if inner_is == _DELTA else 3], found, strict=False))


def _results(*shapes: tuple[int, ...]) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)


def _bias(b: Array | None, W: Array) -> Array:
    """The bias of the columns of W; 0 where there is none."""
    return jnp.zeros(W.shape[-1:], jnp.float32) if b is None else b


def _given(array: Array | None) -> Array:
    """The array; an empty one where there is none."""
    return jnp.zeros(_EMPTY, jnp.float32) if array is None else array

"""Recurrent layers: a cell and the time that it runs through."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import jax.numpy as jnp

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Grads, Params, Saved, State
from denpa.core.padded import silenced, step_mask
from denpa.core.shapes import want
from denpa.core.static import Static
from denpa.init import Glorot, Initializer, Orthogonal
from denpa.layers.cell import Carry, Cell, Steps
from denpa.layers.cell_gru import GRUCell
from denpa.layers.cell_lstm import LSTMCell
from denpa.layers.cell_rnn import RNNCell
from denpa.networks import through_time
from denpa.networks.base import Delta, Network, Value

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "time_major"]


@dataclass(frozen=True, kw_only=True)
class Recurrent(Network):
    """Base of the recurrent layers: x (batch, time, in) -> y (batch, time, units), or the last step's (batch, units).

    A recurrent layer of your own is a frozen dataclass with the options of its `cell`; those below, by name, it has.

    Sequences of unlike length come as `Padded`: their padding reaches nothing, neither forward nor back; y is 0
    there, and the last step's output is that of each sequence's own last step.

    The carry is a tuple of arrays (batch, units): (h,) of an RNN and a GRU, (h, c) of an LSTM. It starts from 0
    unless it is given: with `takes_carry` the input is (x, h) or (x, h, c), with `return_carry` the output is
    (y, h) or (y, h, c), and the deltas of both are given and taken likewise.

    `trace` records below the layer's own name every gate and every part of the carry, at every step: `0_lstm/f` has
    in x the pre-activation u, in y the gate, in dy its delta and in dx the textbook's δ = ∂E/∂u; `0_lstm/h` and
    `0_lstm/c` have the carry before and behind each step and its deltas.

    Attributes:
        return_sequences: y of every step, or of the last.
        return_carry: whether the final carry comes out too.
        takes_carry: whether the initial carry comes with the input.
        reverse: from the last step of each sequence to its first; y stays in the order of x.
        segment: 0 keeps every step for the backward pass. n keeps the carry before each n steps and computes the rest
            anew: memory for T/n + n steps instead of T, for one more forward pass.
        kernel_init, recurrent_init: initialisers of Wx and Wh.
        use_bias: whether the biases (`b`, and `bh` or `bo` where the cell has them) are there.
    """

    return_sequences: bool = False
    return_carry: bool = False
    takes_carry: bool = False
    reverse: bool = False
    segment: int = 0
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    recurrent_init: Initializer = field(default_factory=Orthogonal)
    use_bias: bool = True

    @property
    @abstractmethod
    def cell(self) -> Cell:
        """The cell that runs through time."""

    def validate(self) -> None:
        _ = self.cell  # refuses what makes no cell
        if self.segment < 0:
            raise ConfigError(f"{type(self).__name__}.segment is a number of steps, or 0 for all, not {self.segment}.")

    def cell_of(self, kind: Any) -> Cell:
        """A cell of this kind, with those of the layer's options that it has by the same names."""
        return kind(**{one.name: getattr(self, one.name) for one in fields(kind) if hasattr(self, one.name)})

    def out_shape(self, in_shape: Any) -> Any:
        time, _ = self._example(in_shape)
        sizes = self.cell.sizes()
        y = (time, sizes[0]) if self.return_sequences else (sizes[0],)
        return (y, *((size,) for size in sizes)) if self.return_carry else y

    def init_params(self, key: Array, in_shape: Any) -> Params:
        params = self.cell.init(key, self._example(in_shape)[1])
        return {name: value for name, value in params.items() if self.use_bias or name not in self.cell.biases}

    def init_state(self, in_shape: Any) -> State:
        return {}

    def carry_state(self, batch: int, dtype: Any) -> State:
        """The state of a layer that goes on where the last window ended: a carry of 0.

        With it `forward` starts from the state's carry, and `next_state` keeps the final one.
        """
        return {"carry": self._zeros(batch, dtype)}

    def next_state(self, state: State, saved: Saved) -> State:
        return state | {"carry": saved["final"]} if "carry" in state else state

    @property
    def parts(self) -> int:
        return 1 + len(self.cell.sizes()) if self.return_carry else 0

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Any, Saved]:
        return self._forward(getattr(params, "params", params), x, ctx)  # what `init` gives does as well

    def _forward(self, params: Params, x: Any, ctx: Context, record: bool = False) -> tuple[Any, Saved]:
        cell, x, first = self._entered(params, x, ctx)
        mask = time_mask(ctx.lengths, x)
        saved = {"cell": Static(cell), "x": x, "lengths": ctx.lengths}
        if self.segment:
            run = (cell, params, x, first, mask, self.reverse, self.segment)
            final, y, saved["starts"] = through_time.forward_in_segments(*run)
        else:
            whole = not record and mask is None and cell.runs(params, x)
            final, after, kept = through_time.forward(cell, params, x, first, mask, self.reverse, whole)
            saved |= {"first": first, "after": after, "kept": kept}
            y = after[0]
        saved["final"] = final
        if not self.return_sequences:
            y = final[0]
        else:
            y = jnp.swapaxes(y if mask is None else jnp.where(mask, y, 0), 0, 1)
        return ((y, *final) if self.return_carry else y), saved

    def backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads]:
        found = self._backward(getattr(params, "params", params), saved, dy)
        return self._input_delta(saved["cell"].value, found), found.grads

    def walk_forward(self, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        y, saved = self.replace(segment=0)._forward(params, x, ctx, record=True)  # it holds every step anyway
        cell = saved["cell"].value
        met = cell.observe(params, self._steps(saved))
        return y, saved, {name: Value(*map(_batch_major, pair), saved={}) for name, pair in met.items()}

    def walk_backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        found = self._backward(params, saved, dy, record=True)
        steps, cell = self._steps(saved), saved["cell"].value
        met = cell.observe_backward(params, cell.slopes(params, steps), steps, found.delta, found.dcarries)
        mask = time_mask(saved["lengths"], saved["x"])
        if mask is not None:
            met = {name: tuple(jnp.where(mask, delta, 0) for delta in pair) for name, pair in met.items()}
        deltas = {name: Delta(*map(_batch_major, pair), grads={}) for name, pair in met.items()}
        return self._input_delta(cell, found), found.grads, deltas

    def _example(self, in_shape: Any) -> tuple[int, int]:
        """(time, features) of one example, its carry checked."""
        sizes = self.cell.sizes()
        if self.takes_carry:
            parts = tuple(in_shape)
            given = f"one example's shapes of x and {', '.join(self.cell.carries)}"
            if len(parts) != 1 + len(sizes) or not all(isinstance(part, tuple) for part in parts):
                raise ShapeError(f"{self!r} takes its initial carry: it wants {given}, not {in_shape}.")
            in_shape = parts[0]
            for name, shape, size in zip(self.cell.carries, parts[1:], sizes, strict=True):
                want(self, name, shape, {name: size})
        time, features = want(self, "time features", in_shape)
        return time, features

    def _entered(self, params: Params, x: Any, ctx: Context) -> tuple[Any, Array, Carry]:
        """The cell that runs, x with time in front and 0 on its padding, and the initial carry."""
        carry: Any = ctx.state.get("carry")
        if self.takes_carry:
            x, *parts = x
            carry = tuple(parts)
        sizes = self.cell.sizes()
        want(self, "batch time features", x, {"features": params["Wx"].shape[0]})
        if not x.shape[1]:
            raise ShapeError(f"{self!r} wants one time step or more, but x has shape {x.shape}.")
        if carry is None:
            carry = self._zeros(len(x), x.dtype)
        for name, part, size in zip(self.cell.carries, carry, sizes, strict=True):
            want(self, f"batch {name}", part, {"batch": len(x), name: size})
        return self.cell, time_major(x, ctx.lengths), carry

    def _zeros(self, batch: int, dtype: Any) -> Carry:
        return tuple(jnp.zeros((batch, size), dtype) for size in self.cell.sizes())

    def _steps(self, saved: Saved) -> Steps:
        return through_time.steps_of(saved["x"], saved["kept"], saved["first"], saved["after"], self.reverse)

    def _backward(self, params: Params, saved: Saved, dy: Any, record: bool = False) -> through_time.Backward:
        cell, x = saved["cell"].value, saved["x"]
        mask = time_mask(saved["lengths"], x)
        dfinal = tuple(jnp.zeros_like(part) for part in saved["final"])
        if self.return_carry:
            dy, *parts = dy
            dfinal = tuple(parts)
        if self.return_sequences:
            dy = time_major(dy, saved["lengths"])
        else:
            dfinal, dy = (dfinal[0] + dy, *dfinal[1:]), None
        if "starts" in saved:
            run = (x, saved["starts"], mask, self.reverse, self.segment, dy, dfinal)
            return through_time.backward_in_segments(cell, params, *run)
        whole = not record and mask is None and cell.runs(params, x)
        run = (x, saved["first"], saved["after"], saved["kept"], mask, self.reverse, dy, dfinal, record, whole)
        return through_time.backward(cell, params, *run)

    def _input_delta(self, cell: Any, found: through_time.Backward) -> Any:
        """The delta of the input, as the input came."""
        dx = jnp.swapaxes(found.dx, 0, 1)
        return (dx, *found.dcarry) if self.takes_carry else dx


def time_mask(lengths: Any, x: Array) -> Array | None:
    """Which steps of x (time, batch, ...) are true: (time, batch, 1); None where nothing is padded."""
    return None if lengths is None else step_mask(lengths, len(x)).T[..., None]


def time_major(x: Array, lengths: Any) -> Array:
    """x (batch, time, ...) with time in front, and 0 on its padding: there x may hold anything, even NaN."""
    return jnp.swapaxes(silenced(x, lengths), 0, 1)


def _batch_major(a: Array) -> Array:
    return jnp.swapaxes(a, 0, 1)


@dataclass(frozen=True)
class RNN(Recurrent):
    """hᵗ = f(xᵗ Wx + hᵗ⁻¹ Wh + b)      x (batch, time, in) -> h (batch, time, units), or hᵀ (batch, units)

    The fully recurrent layer of Elman; formulas of its backward pass in `denpa.layers.cell_rnn.RNNCell`.
    Saves x and h.

    Args:
        units: size of h.
        activation: f, a layer without parameters or its name.
        return_sequences, return_carry, takes_carry, reverse, segment, use_bias and others, by name: see `Recurrent`.

    Raises:
        ConfigError: an option that makes no cell, a `segment` below 0.
        ShapeError: x or the carry are not what the layer was made for.

    Source: Elman (1990); Werbos (1990) for back-propagation through time.
    """

    units: int
    activation: Any = "tanh"

    @property
    def cell(self) -> Cell:
        return self.cell_of(RNNCell)


@dataclass(frozen=True)
class LSTM(Recurrent):
    """cᵗ = f ⊙ cᵗ⁻¹ + i ⊙ g,  hᵗ = o ⊙ tanh(cᵗ)      x (batch, time, in) -> h (batch, time, units) or hᵀ (batch, units)

    Long short-term memory, gates i f g o; formulas in `denpa.layers.cell_lstm.LSTMCell`.
    Saves x, the gates, c and h.

    Args:
        units: size of h and of the memory c.
        peepholes: whether the memory enters the gates, by p (3, units).
        forget_bias: what the forget gate's bias starts from, where there is one.
        output_peephole: "current", where the output gate sees cᵗ, or "previous" for cᵗ⁻¹.
        activation: of the candidate and of the memory, "tanh" or "sigmoid".
        truncated: the delta of hᵗ⁻¹ through the candidate alone, not through the gates, which is not the gradient.
        return_sequences, return_carry, takes_carry, reverse, segment, use_bias and others, by name: see `Recurrent`.

    Raises:
        ConfigError: an option that makes no cell, a `segment` below 0.
        ShapeError: x or the carry are not what the layer was made for.

    Source: Hochreiter & Schmidhuber (1997); Gers & Schmidhuber (2000) for peepholes.
    """

    units: int
    peepholes: bool = False
    forget_bias: float = 1.0
    output_peephole: Literal["current", "previous"] = "current"
    activation: Literal["tanh", "sigmoid"] = "tanh"
    truncated: bool = False

    @property
    def cell(self) -> Cell:
        return self.cell_of(LSTMCell)


@dataclass(frozen=True)
class GRU(Recurrent):
    """hᵗ = z ⊙ hᵗ⁻¹ + (1 − z) ⊙ n      x (batch, time, in) -> h (batch, time, units), or hᵀ (batch, units)

    The gated recurrent unit, gates z r n; formulas in `denpa.layers.cell_gru.GRUCell`. Saves x, the gates and h.

    Args:
        units: size of h.
        reset_after: whether the reset gate acts behind the recurrent product, as in cuDNN, PyTorch and Keras.
        update_bias: what the update gate's bias starts from; above 0 the layer starts by keeping its state.
        return_sequences, return_carry, takes_carry, reverse, segment, use_bias and others, by name: see `Recurrent`.

    Raises:
        ConfigError: an option that makes no cell, a `segment` below 0; an `update_bias` without biases.
        ShapeError: x or the carry are not what the layer was made for.

    Source: Cho et al. (2014), equations 5-8; Tallec & Ollivier (2018) for the bias.
    """

    units: int
    reset_after: bool = False
    update_bias: float = 0.0

    def validate(self) -> None:
        super().validate()
        if self.update_bias and not self.use_bias:
            raise ConfigError(f"{self!r} has no bias to start from: leave out use_bias=False or update_bias.")

    @property
    def cell(self) -> Cell:
        return self.cell_of(GRUCell)

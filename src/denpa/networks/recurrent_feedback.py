"""The recurrent layer whose output is fed back, and teacher forcing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Params
from denpa.core.shapes import want
from denpa.layers.cell import Carry, Cell
from denpa.layers.cell_rnn import OutputFeedbackCell
from denpa.networks import through_time
from denpa.networks.recurrent import Recurrent, time_major

__all__ = ["OutputFeedbackRNN"]


@dataclass(frozen=True)
class OutputFeedbackRNN(Recurrent):
    """uᵗ = xᵗ Wx + hᵗ⁻¹ Wh + yᵗ⁻¹ Wy + b,  hᵗ = f(uᵗ),  yᵗ = f_out(hᵗ Wo + bo)

    x (batch, time, in) -> y (batch, time, outputs), or yᵀ (batch, outputs). A hidden layer that reads its own past
    and the last output, and the output layer that makes it; formulas of its backward pass in
    `denpa.layers.cell_rnn.OutputFeedbackCell`. With Wy = 0 it is an `RNN` followed by a `Dense`. The carry is
    (y, h). Saves x, h and y.

    With teacher forcing the input is (x, t), t (batch, time, outputs), and in training the target tᵗ⁻¹ takes the place
    of the output yᵗ⁻¹ that is fed back; the first step is fed with the carry's y all the same. In inference t is not
    read, and the output is fed back.

    Args:
        units: size of h.
        outputs: size of y.
        activation, output_activation: f and f_out, layers without parameters or their names.
        teacher_forcing: whether the targets come with the input.
        return_sequences, return_carry, takes_carry, reverse, segment, use_bias, kernel_init, recurrent_init: by name;
            see `Recurrent`. y of every step comes out; `kernel_init` is for Wx, Wy and Wo.

    Raises:
        ConfigError: as for `RNN`; `teacher_forcing` in `reverse`.
        ShapeError: x, t or the carry are not what the layer was made for.

    Source: Jordan (1986) and Elman (1990) together; Williams & Zipser (1989), section 4, for teacher forcing.
    """

    units: int
    outputs: int
    activation: Any = "tanh"
    output_activation: Any = "identity"
    teacher_forcing: bool = False
    return_sequences: bool = field(default=True, kw_only=True)

    def validate(self) -> None:
        super().validate()
        if self.reverse and self.teacher_forcing:
            raise ConfigError("OutputFeedbackRNN cannot be forced by targets and run in reverse: drop one.")

    @property
    def cell(self) -> Cell:
        return self.cell_of(OutputFeedbackCell)

    def _example(self, in_shape: Any) -> tuple[int, int]:
        if not self.teacher_forcing:
            return super()._example(in_shape)
        in_shape = tuple(in_shape)
        if len(in_shape) < 2 or not isinstance(in_shape[1], tuple):
            raise ShapeError(f"{self!r} wants one example's shapes of (x, t), not {in_shape}.")
        x, t, *carry = in_shape
        self._refuse_carry(carry)
        time, features = super()._example((x, *carry) if self.takes_carry else x)
        want(self, "time outputs", t, {"time": time, "outputs": self.outputs})
        return time, features

    def _entered(self, params: Params, x: Any, ctx: Context) -> tuple[Any, Array, Carry]:
        if not self.teacher_forcing:
            return super()._entered(params, x, ctx)
        x, t, *carry = x
        self._refuse_carry(carry)
        want(self, "batch time outputs", t, {"batch": len(x), "time": x.shape[1], "outputs": self.outputs})
        cell, x, first = super()._entered(params, (x, *carry) if self.takes_carry else x, ctx)
        if not ctx.train:
            return cell, x, first
        fed = jnp.concatenate([first[0][None], time_major(t, ctx.lengths)[:-1]])
        return dataclasses.replace(cell, forced=True), jnp.concatenate([x, fed], axis=-1), first

    def _refuse_carry(self, carry: Any) -> None:
        if carry and not self.takes_carry:
            raise ShapeError(f"{self!r} wants (x, t), and a carry behind them only with takes_carry=True.")

    def _input_delta(self, cell: Any, found: through_time.Backward) -> Any:
        dx, (dy, dh) = found.dx, found.dcarry
        if not self.teacher_forcing:
            return super()._input_delta(cell, found)
        dt = jnp.zeros((*dx.shape[:2], self.outputs), dx.dtype)
        if cell.forced:
            dx, dfed = jnp.split(dx, [dx.shape[-1] - self.outputs], axis=-1)
            dt, dy = jnp.concatenate([dfed[1:], dt[:1]]), dy + dfed[0]  # tᵗ is fed to step t+1, the carry to the first
        given = (jnp.swapaxes(dx, 0, 1), jnp.swapaxes(dt, 0, 1))
        return (*given, dy, dh) if self.takes_carry else given

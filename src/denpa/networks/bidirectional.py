"""Two recurrent layers, one from each end of the sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp

from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved
from denpa.networks.base import Delta, Value
from denpa.networks.recurrent import Recurrent
from denpa.networks.walk import Backward, Forward, Stepping

__all__ = ["Bidirectional"]


@dataclass(frozen=True)
class Bidirectional(Stepping):
    """yᵗ = [→yᵗ, ←yᵗ]      x (batch, time, in) -> y (batch, time, 2 units), or (batch, 2 units) without sequences

    →y comes from the layer as it is, ←y from one like it with parameters of its own that reads every sequence from
    its own last step to its first; both stand in the order of x. The deltas of the two are those of the parts of y,
    and ∂E/∂x is their sum. Parameters, and records of `trace`, are those of the layers `forward` and `backward`.

    A carry, given or returned, is that of the forward layer and then that of the backward one: (x, h, h) for a GRU.

    Args:
        layer: a recurrent layer, such as `LSTM(64, return_sequences=True)`.
        merge: "concat", or "sum" for yᵗ = →yᵗ + ←yᵗ.

    Raises:
        ConfigError: the layer is not recurrent, or has `reverse` set already.

    Source: Schuster & Paliwal (1997), section II.
    """

    layer: Recurrent
    merge: Literal["concat", "sum"] = "concat"

    def validate(self) -> None:
        if not isinstance(self.layer, Recurrent):
            raise ConfigError(f"Bidirectional wants a recurrent layer such as LSTM(64), not {self.layer!r}.")
        if self.layer.reverse:
            raise ConfigError(f"Bidirectional reverses a copy of its layer: leave reverse=True out of {self.layer!r}.")

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        return ("forward", self.layer), ("backward", self.layer.replace(reverse=True))

    def out_shape(self, in_shape: Any) -> Any:
        shapes = [layer.out_shape(shape) for (_, layer), shape in zip(self.inner(), self._each(in_shape), strict=True)]
        wide = 2 if self.merge == "concat" else 1
        return _merged(shapes, lambda y, _: (*y[:-1], wide * y[-1]), self.layer.return_carry)

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        """The shape of one example at the entrance of both layers, with its half of the carry, and at the exit."""
        forward, backward = self._each(in_shape)
        return {"forward": forward, "backward": backward, "": self.out_shape(in_shape)}

    @property
    def parts(self) -> int:
        return max(2 * self.layer.parts - 1, 0)  # one y, two carries

    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        ys, saved, met = [], {}, {}
        for (name, layer), part in zip(self.inner(), self._each(x), strict=True):
            y, saved[name], values = step(layer, name, params[name], part, ctx)
            ys.append(y)
            met |= values
        return _merged(ys, self._joined, self.layer.return_carry), saved, met

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        dxs, grads, met = [], {}, {}
        for (name, layer), part in zip(self.inner(), self._parted(dy), strict=True):
            dx, grads[name], deltas = step(layer, name, params[name], saved[name], part)
            dxs.append(dx)
            met |= deltas
        return _merged(dxs, jnp.add, self.layer.takes_carry), grads, met  # ∂E/∂x is the sum over both readers

    def _each(self, x: Any) -> list[Any]:
        """The input of each layer: x, and its own half of the carry where one is given."""
        if not self.layer.takes_carry:
            return [x, x]
        x, *carry = x
        half = len(carry) // 2
        return [(x, *carry[:half]), (x, *carry[half:])]

    def _joined(self, one: Array, two: Array) -> Array:
        return jnp.concatenate([one, two], axis=-1) if self.merge == "concat" else one + two

    def _parted(self, dy: Any) -> list[Any]:
        """The delta of each layer's output."""
        dy, *carry = dy if self.layer.return_carry else (dy,)
        one, two = jnp.split(dy, 2, axis=-1) if self.merge == "concat" else (dy, dy)
        half = len(carry) // 2
        return [(one, *carry[:half]), (two, *carry[half:])] if carry else [one, two]


def _merged(both: list[Any], join: Any, carried: bool) -> Any:
    """One of both directions' values, by `join`; where these come with carries, the carries of both behind it."""
    if not carried:
        return join(*both)
    (one, *ahead), (two, *behind) = both
    return (join(one, two), *ahead, *behind)

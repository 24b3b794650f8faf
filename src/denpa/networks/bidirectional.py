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
        return self._merged(shapes, lambda y, _: (*y[:-1], 2 * y[-1] if self.merge == "concat" else y[-1]))

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
        return self._merged(ys, self._joined), saved, met

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        dxs, grads, met = [], {}, {}
        for (name, layer), part in zip(self.inner(), self._parted(dy), strict=True):
            dx, grads[name], deltas = step(layer, name, params[name], saved[name], part)
            dxs.append(dx)
            met |= deltas
        return self._summed(dxs), grads, met

    def _each(self, x: Any) -> list[Any]:
        """The input of each layer: x, and its own half of the carry where one is given."""
        if not self.layer.takes_carry:
            return [x, x]
        x, *carry = x
        half = len(carry) // 2
        return [(x, *carry[:half]), (x, *carry[half:])]

    def _merged(self, ys: list[Any], join: Any) -> Any:
        """y of both, and behind it the carries of both where they come out."""
        if not self.layer.return_carry:
            return join(*ys)
        (one, *ahead), (two, *behind) = ys
        return (join(one, two), *ahead, *behind)

    def _joined(self, one: Array, two: Array) -> Array:
        return jnp.concatenate([one, two], axis=-1) if self.merge == "concat" else one + two

    def _parted(self, dy: Any) -> list[Any]:
        """The delta of each layer's output."""
        carry: list[Any] = []
        if self.layer.return_carry:
            dy, *carry = dy
        one, two = jnp.split(dy, 2, axis=-1) if self.merge == "concat" else (dy, dy)
        half = len(carry) // 2
        return [(one, *carry[:half]), (two, *carry[half:])] if carry else [one, two]

    def _summed(self, dxs: list[Any]) -> Any:
        """∂E/∂x, the sum over both readers, and the deltas of both carries."""
        if not self.layer.takes_carry:
            return dxs[0] + dxs[1]
        (one, *ahead), (two, *behind) = dxs
        return (one + two, *ahead, *behind)

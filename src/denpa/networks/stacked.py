"""Layers in a row whose recurrent ones give out their final carries, and may be given their initial ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved
from denpa.layers.cell import Carry
from denpa.networks.base import Delta, Value
from denpa.networks.bidirectional import Bidirectional
from denpa.networks.recurrent import Recurrent
from denpa.networks.sequential import named
from denpa.networks.walk import Backward, Forward, Stepping

__all__ = ["Stacked", "carry_sizes", "is_recurrent"]


@dataclass(frozen=True)
class Stacked(Stepping):
    """z⁽⁰⁾ = x,  (z⁽ˡ⁾, carry_l) = layer_l(z⁽ˡ⁻¹⁾, carry_l)      x, carries -> y, carries

    The input is x, or with `takes_carry` (x, carries); the output is (y, carries), where carries holds for every
    recurrent layer in order the tuple of its carry: ((h, c), (h, c)) for two LSTMs. The carry of a `Bidirectional`
    is that of both directions side by side, (→h ←h), as large as the carry of a layer of twice the units.

    Args:
        layers: layers, or pairs ("name", layer), named as in `Sequential`.
        takes_carry: whether the initial carries come with the input.
        sequences: whether the last recurrent layer gives out every step, or its last.
    """

    layers: tuple[Any, ...]
    takes_carry: bool = False
    sequences: bool = True

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        pairs = named(self.layers)
        last = max((i for i, (_, layer) in enumerate(pairs) if is_recurrent(layer)), default=0)
        return tuple(
            (name, self._opened(layer, self.sequences or i < last) if is_recurrent(layer) else layer)
            for i, (name, layer) in enumerate(pairs)
        )

    @property
    def takes_integers(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner()[0][1].takes_integers if self.layers else False

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        """The shape of one example at the entrance of every layer, and under "" at the exit."""
        shapes: dict[str, Any] = {}
        x, given = in_shape if self.takes_carry else (in_shape, ())
        carries: list[Any] = []
        layer: Any
        for name, layer in self.inner():
            shapes[name] = x
            if is_recurrent(layer):
                shapes[name] = (x, *given[len(carries)]) if self.takes_carry else x
                x, *_ = layer.out_shape(shapes[name])
                carries.append(tuple((size,) for size in carry_sizes(layer)))
            else:
                x = layer.out_shape(x)
        return shapes | {"": (x, tuple(carries))}

    def out_shape(self, in_shape: Any) -> Any:
        return self.shapes(in_shape)[""]

    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        x, given = x if self.takes_carry else (x, ())
        carries: list[Carry] = []
        saved, met = {}, {}
        for name, layer in self.inner():
            if is_recurrent(layer):
                entering = (x, *given[len(carries)]) if self.takes_carry else x
                (x, *carry), saved[name], seen = step(layer, name, params[name], entering, ctx)
                carries.append(_side_by_side(layer, carry))
            else:
                x, saved[name], seen = step(layer, name, params[name], x, ctx)
            met |= seen
        return (x, tuple(carries)), saved, met

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        delta, dcarries = dy
        behind, ahead = list(dcarries), []
        grads, met = {}, {}
        for name, layer in reversed(self.inner()):
            if is_recurrent(layer):
                delta = (delta, *_apart(layer, behind.pop()))
            delta, grads[name], seen = step(layer, name, params[name], saved[name], delta)
            if is_recurrent(layer) and self.takes_carry:
                delta, *first = delta
                ahead.insert(0, tuple(first))
            met |= seen
        return ((delta, tuple(ahead)) if self.takes_carry else delta), grads, met

    def _opened(self, layer: Any, sequences: bool) -> Any:
        """A recurrent layer with its ends open: the carry comes out, and goes in where it is given."""
        if isinstance(layer, Bidirectional):
            return layer.replace(layer=self._opened(layer.layer, sequences))
        return layer.replace(return_sequences=sequences, return_carry=True, takes_carry=self.takes_carry)


def is_recurrent(layer: Any) -> bool:
    """Whether a layer has a carry."""
    return isinstance(layer, (Recurrent, Bidirectional))


def carry_sizes(layer: Any) -> tuple[int, ...]:
    """The size of each part of a recurrent layer's carry, both directions side by side.

    Raises:
        ConfigError: a `Bidirectional` that sums its outputs, whose carry has no such form.
    """
    if not isinstance(layer, Bidirectional):
        return layer.cell.sizes()
    if layer.merge != "concat":
        raise ConfigError(f'{layer!r} hands its carry on side by side: it wants merge="concat".')
    return tuple(2 * size for size in carry_sizes(layer.layer))


def _side_by_side(layer: Any, carry: list[Array]) -> Carry:
    """The carry of a layer; of a bidirectional one (→h, →c, ←h, ←c) as ([→h ←h], [→c ←c])."""
    if not isinstance(layer, Bidirectional):
        return tuple(carry)
    half = len(carry) // 2
    return tuple(jnp.concatenate(parts, axis=-1) for parts in zip(carry[:half], carry[half:], strict=True))


def _apart(layer: Any, carry: Carry) -> Carry:
    """The inverse of `_side_by_side`."""
    if not isinstance(layer, Bidirectional):
        return tuple(carry)
    halves = [jnp.split(part, 2, axis=-1) for part in carry]
    return (*(half[0] for half in halves), *(half[1] for half in halves))

"""Layers in a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from denpa.core.errors import ConfigError
from denpa.core.keys import numbered
from denpa.core.layer import Context, Grads, Layer, Params, Saved
from denpa.networks.base import Delta, Value
from denpa.networks.fusion import block_ahead, block_of
from denpa.networks.walk import Backward, Forward, Stepping, behind, naming, step_forward

__all__ = ["Sequential"]


@dataclass(frozen=True)
class Sequential(Stepping):
    """z⁽⁰⁾ = x,  z⁽ˡ⁾ = layer_l(z⁽ˡ⁻¹⁾),  y = z⁽ᴸ⁾      and backwards  ∂E/∂z⁽ˡ⁻¹⁾ = layer_l.backward(∂E/∂z⁽ˡ⁾)

    Args:
        layers: layers, or pairs ("name", layer). Without a name of its own a layer is called
            `{index}_{class in lower case}`, the index padded with zeros to equal width:
            `0_dense`, or `07_relu` among more than ten.

    Raises:
        ConfigError: not a layer, two layers of one name, or a name with a slash.
    """

    layers: tuple[Any, ...] = ()

    def validate(self) -> None:
        if not hasattr(self.layers, "__iter__"):
            raise ConfigError(f"Sequential wants a list of layers such as [Dense(10), ReLU()], not {self.layers!r}.")
        object.__setattr__(self, "layers", tuple(self.layers))
        names = [name for name, _ in named(self.layers)]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"Two layers of this Sequential are called {name!r}: give each its own name.")

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        return named(self.layers)

    @property
    def takes_integers(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the first layer takes integers."""
        return self.inner()[0][1].takes_integers if self.layers else False

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        """The shape of one example at the entrance of every layer, and under "" at the exit."""
        shapes = {}
        for name, layer in self.inner():
            shapes[name] = in_shape
            with naming(name):
                in_shape = layer.out_shape(in_shape)
        return shapes | {"": in_shape}

    def out_shape(self, in_shape: Any) -> Any:
        return self.shapes(in_shape)[""]

    @property
    def parts(self) -> int:
        return getattr(self.inner()[-1][1], "parts", 0) if self.layers else 0

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Any, Saved]:
        saved: dict[str, Any] = {}
        layers = self.inner()
        while layers:
            name, layer = layers[0]
            block = None if ctx.lengths is not None else block_ahead(layers, params, x)  # it would see the padding
            if block is None:
                y, saved[name] = step_forward(layer, name, params[name], x, ctx)
                x, ctx, layers = y, behind(name, x, y, ctx), layers[1:]
            else:
                x, saved[name] = block.forward(params[name], x)
                layers = layers[block.layers :]
        return x, saved

    def backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads]:
        grads: Grads = {}
        for name, layer in reversed(self.inner()):
            block = block_of(saved.get(name))
            if block is not None:
                dy, grads[name] = block.backward(params[name], saved[name], dy)
            elif name in saved:
                dy, grads[name] = layer.backward(params[name], saved[name], dy)
            else:  # inside a block: ReLU or pooling, without parameters
                grads[name] = {}
        return dy, grads

    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        saved, met = {}, {}
        for name, layer in self.inner():
            y, saved[name], values = step(layer, name, params[name], x, ctx)
            x, ctx = y, behind(name, x, y, ctx)
            met |= values
        return x, saved, met

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        grads, met = {}, {}
        for name, layer in reversed(self.inner()):
            dy, grads[name], deltas = step(layer, name, params[name], saved[name], dy)
            met |= deltas
        return dy, grads, met


def named(layers: Iterable[Any]) -> tuple[tuple[str, Layer], ...]:
    """(name, layer) for every entry, with the names that `Sequential` gives."""
    entries = tuple(layers)
    automatic = numbered([type(entry).__name__.lower() for entry in entries])
    pairs = []
    for index, entry in enumerate(entries):
        if isinstance(entry, Layer):
            entry = (automatic[index], entry)
        if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], Layer)):
            hint = " Did you forget the brackets?" if isinstance(entry, type) else ""
            raise ConfigError(f'Entry {index} must be a layer or a pair ("name", layer), not {entry!r}.{hint}')
        if not isinstance(entry[0], str) or not entry[0] or "/" in entry[0]:
            raise ConfigError(f"A layer's name must be a string without a slash, not {entry[0]!r}.")
        pairs.append(entry)
    return tuple(pairs)

"""One layer's step of the walk through a network, forward and backward, recorded or not.

A recorded step also returns what the layer met, by path; a network inside reports its own layers below its name. An
unrecorded step takes the layer's fastest path.
"""

from __future__ import annotations

import contextlib
import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import jax

from denpa.core.errors import ShapeError
from denpa.core.layer import Context, Grads, Layer, Params, Saved
from denpa.networks.base import Delta, Network, Value

__all__ = ["Backward", "Forward", "Stepping", "behind", "naming", "step_forward", "unrecorded"]

Forward = Callable[..., tuple[Any, Saved, dict[str, Value]]]
Backward = Callable[..., tuple[Any, Grads, dict[str, Delta]]]


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """A `ShapeError` from inside names this layer."""
    try:
        yield
    except ShapeError as error:
        raise ShapeError(f"Layer {name!r}: {error}") from None


def step_forward(layer: Layer, name: str, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved]:
    """One layer's forward pass; an error names the layer."""
    with naming(name):
        return layer.forward(params, x, ctx.at(name))


def behind(name: str, x: Any, y: Any, ctx: Context) -> Context:
    """The context behind the layer that made y of x: the lengths of padded sequences end where their steps do.

    Raises:
        ShapeError: y has steps of its own, which the lengths do not count.
    """
    if ctx.lengths is None:
        return ctx
    before, after = (jax.tree.leaves(value)[0] for value in (x, y))
    if after.ndim > 2 and after.shape[1] != before.shape[1]:
        raise ShapeError(
            f"Layer {name!r} makes {after.shape[1]} steps of the {before.shape[1]} that lengths of padded sequences "
            'count: keep their number, as padding="same" and stride=1 do, or give sequences of one length as an array.'
        )
    return ctx if after.ndim > 2 else dataclasses.replace(ctx, lengths=None)


def recorded(layer: Layer, name: str, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
    """One layer's step; a network inside reports its own layers below its name."""
    if not isinstance(layer, Network):
        y, saved = step_forward(layer, name, params, x, ctx)
        return y, saved, {name: Value(x, y, saved)}
    with naming(name):
        y, saved, met = layer.walk_forward(params, x, ctx.at(name))
    return y, saved, {name: Value(x, y, saved), **{f"{name}/{path}": value for path, value in met.items()}}


def recorded_backward(
    layer: Layer, name: str, params: Params, saved: Saved, dy: Any
) -> tuple[Any, Grads, dict[str, Delta]]:
    """`recorded`, backwards."""
    met: dict[str, Delta] = {}
    if isinstance(layer, Network):
        dx, grads, met = layer.walk_backward(params, saved, dy)
    else:
        dx, grads = layer.backward(params, saved, dy)
    return dx, grads, {name: Delta(dy, dx, grads), **{f"{name}/{path}": delta for path, delta in met.items()}}


def unrecorded(layer: Layer, name: str, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
    """The same step without the record, by the layer's fastest path."""
    return *step_forward(layer, name, params, x, ctx), {}


def unrecorded_backward(
    layer: Layer, name: str, params: Params, saved: Saved, dy: Any
) -> tuple[Any, Grads, dict[str, Delta]]:
    """`recorded_backward` without the record."""
    return *layer.backward(params, saved, dy), {}


class Stepping(Network):
    """A network whose walk leaves to a given step how one layer is gone through: recorded, unrecorded, or with a nudge.

    A step of a network inside goes on in the same way (see `recorded`), so that whoever brings a step sees every layer.
    """

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Any, Saved]:
        y, saved, _ = self.forward_by(unrecorded, params, x, ctx)
        return y, saved

    def backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads]:
        dx, grads, _ = self.backward_by(unrecorded_backward, params, saved, dy)
        return dx, grads

    def walk_forward(self, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        return self.forward_by(recorded, params, x, ctx)

    def walk_backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        return self.backward_by(recorded_backward, params, saved, dy)

    @abstractmethod
    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        """y, saved, and what `step(layer, name, params, x, ctx)` met at every layer."""

    @abstractmethod
    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        """dx, grads, and what `step(layer, name, params, saved, dy)` met at every layer."""

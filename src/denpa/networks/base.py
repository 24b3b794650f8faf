"""What all networks share: variables, inference, a table of their layers, and the recorded walk.

A network walks forward through its layers and backward with the delta. Both walks also return
what they met on the way, by layer path. Nothing is stored, and under `jit` XLA removes what the
caller does not use: looking inside costs nothing when nobody looks.
"""

from __future__ import annotations

import contextlib
import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.keys import key_for, want_key
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved, State, Variables
from denpa.core.padded import Padded, checked_lengths, on_values, silenced
from denpa.core.shapes import as_shape
from denpa.core.symbolic import Node
from denpa.data.arrays import array_of
from denpa.layers.merge import Part

__all__ = ["Backward", "Delta", "Forward", "Network", "Stepping", "Value", "entering", "step_forward", "unrecorded"]


class Value(NamedTuple):
    """What one layer met on the walk forward."""

    x: Any
    y: Any
    saved: Saved


class Delta(NamedTuple):
    """What one layer met on the walk backward: dy = ∂E/∂y, dx = ∂E/∂x, and the gradients of its parameters."""

    dy: Any
    dx: Any
    grads: Grads


class Network(Layer):
    """Base of `Sequential`, `Graph` and other containers. A network is itself a layer."""

    @abstractmethod
    def walk_forward(self, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        """y, saved, and what every layer inside met, by path."""

    @abstractmethod
    def walk_backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        """dx, grads, and what every layer inside met, by path."""

    def init(self, key: Array, in_shape: Any) -> Variables:  # type: ignore[override]
        """Fresh variables for inputs of shape `in_shape`, the shape of ONE example.

        Args:
            key: `jax.random.key(seed)`; every layer derives its own key from its name.
            in_shape: such as (784,) or (28, 28, 1); a tuple of shapes for several inputs.

        Raises:
            ShapeError: a layer cannot take the shape that reaches it; the message names both.
            ConfigError: `key` is no random key.
        """
        in_shape = shape_of_inputs(in_shape)
        return Variables(self.init_params(want_key(key), in_shape), self.init_state(in_shape))

    def init_params(self, key: Array, in_shape: Any) -> Params:
        """Fresh parameters, a dict by layer name."""
        shapes = self.shapes(in_shape)
        return {name: layer.init_params(key_for(key, name), shapes[name]) for name, layer in self.inner()}

    def init_state(self, in_shape: Any) -> State:
        return init_state_of(dict(self.inner()), self.shapes(in_shape))

    def next_state(self, state: State, saved: Saved) -> State:
        layers = dict(self.inner())
        return {name: layers[name].next_state(state[name], saved[name]) for name in state}

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        """The shape of one example at the entrance of every layer, by name, and under "" at the exit.

        A network whose layers do not follow one another by shape alone gives the exit only.
        """
        return {"": self.out_shape(in_shape)}

    @property
    def parts(self) -> int:
        """How many values come out, as a tuple; 0 for one value by itself."""
        return 0

    def unpacked(self, node: Node) -> Iterator[Node]:
        return (Part(i)(node) for i in range(self.parts)) if self.parts else super().unpacked(node)

    def apply(self, variables: Variables, x: Any) -> Any:
        """The network's output for a batch x, in inference mode."""
        params, state = paired(variables)
        x = readable(self, x, tree.precision(params), unsaid=True)
        return self.forward(params, *entering(x, Context(train=False, state=state)))[0]

    def cost(self, saved: Saved) -> Any:
        return sum(layer.cost(saved[name]) for name, layer in self.inner() if name in saved)

    def check(self, variables: Variables, in_shape: Any) -> None:
        """Raise `ShapeError` unless `variables` belong to this network; list all that is wrong."""
        wanted = jax.eval_shape(lambda: self.init(jax.random.key(0), in_shape))
        if problems := differences(tree.flatten(variables._asdict()), tree.flatten(wanted._asdict())):
            raise ShapeError("These variables are not this network's: " + "; ".join(problems) + ".")

    def summary(self, in_shape: Any = None) -> Any:
        """A table of the layers: name, layer, output shape, parameters, bytes saved for backward.

        Without `in_shape`, the shape of one example, only names and layers are known.
        """
        from denpa.networks.summary import Summary

        return Summary(self, None if in_shape is None else shape_of_inputs(in_shape))


def entering(x: Any, ctx: Context) -> tuple[Any, Context]:
    """What a network's layers see of padded sequences: the array, 0 on its padding, and in the context the lengths."""
    if isinstance(x, Padded):
        lengths = checked_lengths(x.lengths, x.values, "the batch")
        return silenced(x.values, lengths), dataclasses.replace(ctx, lengths=lengths)
    return x, ctx


def readable(net: Layer, x: Any, dtype: Any = None, unsaid: bool = False) -> Any:
    """The input as the network reads it: in floating point, of `dtype` if given, but integers where it takes those.

    `unsaid` says whether a user's layer whose `takes_integers` is None gets integers as they are.
    """

    def read(values: Any, integers: Any) -> Any:
        whole = unsaid if integers is None else integers
        values = array_of(values, "x", numbers=not whole)
        if whole and not jnp.issubdtype(values.dtype, jnp.floating):
            return values
        return tree.floating(values) if dtype is None else values.astype(dtype)

    takes = net.takes_integers
    if not isinstance(x, tuple):
        return on_values(lambda values: read(values, takes), x)
    each = takes if isinstance(takes, tuple) else (takes,) * len(x)
    if len(each) != len(x):
        return x  # which the network refuses
    return tuple(on_values(lambda v, i=i: read(v, i), part) for part, i in zip(x, each, strict=True))


def paired(variables: Any) -> Variables:
    """Parameters and state, or a `ConfigError` that says what came instead."""
    if isinstance(variables, tuple) and len(variables) == 2 and all(isinstance(part, dict) for part in variables):
        return Variables(*variables)
    got = "an array" if isinstance(variables, jax.Array) else type(variables).__name__
    raise ConfigError(f"Variables are a pair (params, state), as net.init(key, in_shape) makes it, not {got}.")


def shape_of_inputs(in_shape: Any) -> Any:
    """One shape, or a tuple of shapes for a network with several inputs."""
    if isinstance(in_shape, (tuple, list)) and in_shape and isinstance(in_shape[0], (tuple, list)):
        return tuple(as_shape(shape) for shape in in_shape)
    return as_shape(in_shape)


def differences(got: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Every missing, extra and misshapen array, in words."""
    problems = [f"{path} is missing" for path in wanted if path not in got]
    problems += [f"{path} is extra" for path in got if path not in wanted]
    return problems + [
        f"{path} has shape {tuple(got[path].shape)} instead of {tuple(wanted[path].shape)}"
        for path in wanted
        if path in got and tuple(got[path].shape) != tuple(wanted[path].shape)
    ]


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


def walk_forward(layer: Layer, name: str, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
    """One layer's step of the walk; a network inside reports its own layers below its name."""
    if not isinstance(layer, Network):
        y, saved = step_forward(layer, name, params, x, ctx)
        return y, saved, {name: Value(x, y, saved)}
    with naming(name):
        y, saved, met = layer.walk_forward(params, x, ctx.at(name))
    return y, saved, {name: Value(x, y, saved), **{f"{name}/{path}": value for path, value in met.items()}}


def walk_backward(
    layer: Layer, name: str, params: Params, saved: Saved, dy: Any
) -> tuple[Any, Grads, dict[str, Delta]]:
    """The same step, backwards."""
    met: dict[str, Delta] = {}
    if isinstance(layer, Network):
        dx, grads, met = layer.walk_backward(params, saved, dy)
    else:
        dx, grads = layer.backward(params, saved, dy)
    return dx, grads, {name: Delta(dy, dx, grads), **{f"{name}/{path}": delta for path, delta in met.items()}}


def init_state_of(layers: dict[str, Layer], shapes: dict[str, Any]) -> State:
    """The state of those layers that have any."""
    states = {name: layer.init_state(shapes[name]) for name, layer in layers.items()}
    return {name: state for name, state in states.items() if state}


Forward = Callable[..., tuple[Any, Saved, dict[str, Value]]]
Backward = Callable[..., tuple[Any, Grads, dict[str, Delta]]]


def unrecorded(layer: Layer, name: str, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
    """`walk_forward` without the record, by the layer's fastest path."""
    return *step_forward(layer, name, params, x, ctx), {}


def _unrecorded_backward(
    layer: Layer, name: str, params: Params, saved: Saved, dy: Any
) -> tuple[Any, Grads, dict[str, Delta]]:
    """`walk_backward` without the record."""
    return *layer.backward(params, saved, dy), {}


class Stepping(Network):
    """A network that goes through its layers in one way, recorded or not: as the given step does."""

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Any, Saved]:
        y, saved, _ = self._forward(unrecorded, params, x, ctx)
        return y, saved

    def backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads]:
        dx, grads, _ = self._backward(_unrecorded_backward, params, saved, dy)
        return dx, grads

    def walk_forward(self, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        return self._forward(walk_forward, params, x, ctx)

    def walk_backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        return self._backward(walk_backward, params, saved, dy)

    @abstractmethod
    def _forward(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]: ...

    @abstractmethod
    def _backward(
        self, step: Backward, params: Params, saved: Saved, dy: Any
    ) -> tuple[Any, Grads, dict[str, Delta]]: ...

"""What all networks share: variables, inference, a table of their layers, and the recorded walk.

A network walks forward through its layers and backward with the delta. Both walks also return
what they met on the way, by layer path. Nothing is stored, and under `jit` XLA removes what the
caller does not use: looking inside costs nothing when nobody looks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from denpa.core import tree
from denpa.core.errors import ShapeError
from denpa.core.keys import key_for, want_key
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved, State, Variables
from denpa.core.symbolic import Node
from denpa.layers.merge import Part
from denpa.networks.inputs import entering, paired, readable, shape_of_inputs

__all__ = ["Delta", "Network", "Value", "init_state_of"]


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

    def slots(self) -> dict[str, str]:
        """Where the parameters and the state of each layer stand: under its own name, or that of one it shares with."""
        return {name: name for name, _ in self.inner()}

    def inside(self, params: Params) -> Params:
        """The parameters of every layer inside, by its own name."""
        return {name: params[slot] for name, slot in self.slots().items()}

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
        if problems := tree.differences(tree.flatten(variables._asdict()), tree.flatten(wanted._asdict())):
            raise ShapeError("These variables are not this network's: " + "; ".join(problems) + ".")

    def summary(self, in_shape: Any = None) -> Any:
        """A table of the layers: name, layer, output shape, parameters, bytes saved for backward.

        Without `in_shape`, the shape of one example, only names and layers are known.
        """
        from denpa.networks.summary import Summary

        return Summary(self, None if in_shape is None else shape_of_inputs(in_shape))


def init_state_of(layers: dict[str, Layer], shapes: dict[str, Any]) -> State:
    """The state of those layers that have any."""
    states = {name: layer.init_state(shapes[name]) for name, layer in layers.items()}
    return {name: state for name, state in states.items() if state}

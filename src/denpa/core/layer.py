"""The layer: the one class that every building block of a network derives from.

    forward(params, x, ctx)       -> (y, saved)        y = f(x; params)
    backward(params, saved, dy)   -> (dx, grads)       dx = dE/dx,  grads = dE/dparams

`dy` is the delta ∂E/∂y that arrives from above. `saved` is the least that backward needs; it is a
value (a pytree), never an attribute, so it can be stacked, measured, printed and thrown away.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax

from denpa.core.description import Description, is_ours
from denpa.core.errors import ConfigError, DenpaError
from denpa.core.fallback import with_fallback
from denpa.core.keys import key_for
from denpa.core.shapes import Shape
from denpa.core.symbolic import Node

__all__ = ["Array", "Context", "Grads", "Layer", "Params", "Saved", "State", "Variables"]

Array = jax.Array
Params = dict[str, Any]
State = dict[str, Any]
Saved = Any
Grads = dict[str, Any]


class Variables(NamedTuple):
    """The numbers of a network: `params` are learned, `state` is advanced without gradients."""

    params: Params
    state: State

    def __getitem__(self, at: Any) -> Any:
        """By a layer's or an array's name its params; by a number what a tuple of both gives."""
        return self.params[at] if isinstance(at, str) else tuple.__getitem__(self, at)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["key", "state", "lengths"],
    meta_fields=["train", "name", "still", "reduction"],
)
@dataclass(frozen=True)
class Context:
    """All that a forward pass may read besides params and x.

    Attributes:
        train: training (True) or inference (False); it changes which program is compiled.
        key: the random key of this layer, or None where no randomness was provided.
        state: this layer's state: read here, written only by `next_state`.
        name: the path of this layer in the network, for messages.
        lengths: (batch,) true time steps of each padded sequence (batch, time, ...), or None.
        still: paths of layers that are in inference while the others train.
        reduction: how the loss puts samples together, "mean" or "sum"; a price on activities follows it.
    """

    train: bool = False
    key: Array | None = None
    state: State = field(default_factory=dict)
    name: str = ""
    lengths: Array | None = None
    still: frozenset[str] = frozenset()
    reduction: str = "mean"

    def at(self, name: str) -> Context:
        """The context of the layer `name` inside this one."""
        path = f"{self.name}/{name}" if self.name else name
        train = self.train and path not in self.still
        own = key_for(self.key, name), self.state.get(name, {})
        return Context(train, *own, path, self.lengths, self.still, self.reduction)

    def random_key(self, owner: Any) -> Array:
        """This layer's random key, or an error that says how to provide one."""
        if self.key is None:
            where = f" (layer {self.name!r})" if self.name else ""
            mend = "pass key=jax.random.key(0), or train=False for inference."
            raise DenpaError(f"{owner!r}{where} needs random numbers in training: {mend}")
        return self.key


class Layer(Description):
    """Base of all layers. Subclasses are final frozen dataclasses without arrays.

    A layer of your own needs `forward` alone; `backward` then comes from `jax.vjp`, and
    `out_shape` from tracing `forward`. Every layer of denpa's own defines its `backward`.

        @dataclass(frozen=True)
        class Scale(dp.Layer):
            factor: float = 2.0

            def forward(self, params, x, ctx):
                return self.factor * x, {}

    Attributes:
        takes_integers: the layer reads integers, such as word numbers, as they are; to all others
            numbers come as floating point. A tuple for a layer of several inputs. None for a layer of your own
            that does not say: `Model` gives it floating point, bare calls hand on what they are given.
    """

    takes_integers: ClassVar[Any] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in cls.__dict__ and "backward" not in cls.__dict__:
            with_fallback(cls)
        if not is_ours(cls) and all("takes_integers" not in vars(base) for base in cls.__mro__ if base is not Layer):
            cls.takes_integers = None

    def init(self, key: Array, in_shape: Shape) -> Any:
        """Parameters for inputs of shape `in_shape` (ONE example, no batch axis): `{"W": ..., "b": ...}`."""
        return {}

    def init_params(self, key: Array, in_shape: Shape) -> Params:
        """The parameters alone. A network's `init` returns `Variables`; this is what it nests."""
        return self.init(key, in_shape)

    def init_state(self, in_shape: Shape) -> State:
        """State that training advances without gradients, such as running statistics."""
        return {}

    def next_state(self, state: State, saved: Saved) -> State:
        """The state after a training step, from what `forward` saved."""
        return state

    def out_shape(self, in_shape: Shape) -> Shape:
        """Shape of one output example for one input example of `in_shape`."""
        key = jax.random.key(0)

        def run(x: Any) -> Any:
            ctx = Context(train=False, state=self.init_state(in_shape))
            return self.forward(self.init_params(key, in_shape), x, ctx)[0]

        shapes = jax.eval_shape(run, batch_of(in_shape, 1, self.takes_integers))
        return jax.tree.map(lambda leaf: leaf.shape[1:], shapes)

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Any, Saved]:
        """The output y and what backward needs. x has a batch axis in front."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(params, x, ctx) -> (y, saved).")

    def backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads]:
        """The delta below, ∂E/∂x, and the gradients, a tree of the same structure as `params`."""
        raise NotImplementedError(f"{type(self).__name__} must define backward, or forward for the fallback.")

    def cost(self, saved: Saved) -> Any:
        """What the layer adds to the objective, a scalar; its `backward` adds ∂cost/∂x to the delta."""
        return 0.0

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        """The layers inside, with their names; empty for a layer that is no network."""
        return ()

    def __call__(self, *inputs: Node, name: str | None = None) -> Node:
        """Apply the layer to symbolic values while a `Graph` is being written down."""
        return Node(self, inputs, name)

    def unpacked(self, node: Node) -> Iterator[Node]:
        """The values of the tuple that the layer gives, `node` standing for it: `y, h, c = dp.LSTM(...)(x)`."""
        raise ConfigError(f"{self!r} gives one value, which cannot be unpacked.")


def batch_of(in_shape: Any, size: int, takes_integers: Any) -> Any:
    """Abstract arrays for a batch of inputs of a layer; a tuple of shapes gives a tuple of arrays."""
    if in_shape and isinstance(in_shape[0], tuple):
        takes = takes_integers if isinstance(takes_integers, tuple) else (takes_integers,) * len(in_shape)
        return tuple(batch_of(shape, size, integers) for shape, integers in zip(in_shape, takes, strict=True))
    return jax.ShapeDtypeStruct((size, *in_shape), jax.dtypes.canonicalize_dtype(int if takes_integers else float))

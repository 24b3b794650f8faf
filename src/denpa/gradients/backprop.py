"""Back-propagation: one walk forward, one walk home.

The output delta ∂E/∂y comes from the loss; every layer turns the delta that enters it into the delta
that leaves it and the gradients of its own parameters (Rumelhart, Hinton & Williams 1986).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from denpa.core.errors import nearest
from denpa.core.layer import Array, Context, Grads, State, Variables
from denpa.core.padded import step_weights, values_of
from denpa.kernels import settings
from denpa.networks.base import entering

__all__ = ["Record", "Step", "Trace", "backprop", "descend", "trace", "walk"]

_OWN = ("loss", "output", "grads", "dx", "state", "cost")


@functools.partial(jax.tree_util.register_dataclass, data_fields=_OWN, meta_fields=())
@dataclass(frozen=True)
class Step:
    """What back-propagation finds for one batch.

    Attributes:
        loss: E, a scalar: the loss of the batch, and what layers add to it.
        output: y, the network's output for the batch.
        grads: ∂E/∂params, a tree like the parameters.
        dx: ∂E/∂x, like the input.
        state: the state advanced by this batch in training; unchanged in inference.
        cost: the part of E that layers added, such as a penalty on their activity.
    """

    loss: Array
    output: Any
    grads: Grads
    dx: Any
    state: State
    cost: Any


class Record(NamedTuple):
    """What one layer met: input, output, what it saved, the deltas at both ends, its gradients.

    For an affine layer such as `Dense`, y is the textbook's pre-activation u and dy its δ = ∂E/∂u.
    """

    x: Any
    y: Any
    saved: Any
    dy: Any
    dx: Any
    grads: Grads


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True)
class Trace(Mapping[str, Record]):
    """A `Step` that also remembers every layer's `Record`, by path: `trace["0_dense"].dy`.

    The layers come in the order of the walk forward; those of a network inside a network stand below
    its name, behind it: `trace["block/0_dense"]`.
    """

    loss: Array
    output: Any
    grads: Grads
    dx: Any
    state: State
    cost: Any
    records: dict[str, Record]

    def __getitem__(self, path: str) -> Record:
        if path not in self.records:
            raise KeyError(f"No layer {path!r}: {nearest(path, self.records, plural='layers')}")
        return self.records[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    # To JAX a dict is sorted by its keys; the records keep their order, so they are children one by one.
    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        """The children of this node of a pytree, with their keys, and the paths of the records."""
        own = [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in _OWN]
        return own + [(jax.tree_util.DictKey(path), record) for path, record in self.records.items()], tuple(self)

    @classmethod
    def tree_unflatten(cls, paths: tuple[str, ...], children: Any) -> Trace:
        """The inverse of `tree_flatten_with_keys`."""
        children = tuple(children)
        own, records = children[: len(_OWN)], children[len(_OWN) :]
        return cls(**dict(zip(_OWN, own, strict=True)), records=dict(zip(paths, records, strict=True)))


def descend(
    net: Any,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    *,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
    still: frozenset[str] = frozenset(),
) -> Step:
    """Forward and backward by the network's fastest path. Pure: fit for `jax.jit`."""
    params, state = variables
    inside, ctx = entering(x, Context(train, key, state, still=still))
    y, saved = net.forward(params, inside, ctx)
    error, dy = _measured(loss, x, y, t, sample_weight)
    dx, grads = net.backward(params, saved, dy)
    cost = net.cost(saved)
    return Step(error + cost, y, grads, dx, net.next_state(state, saved) if train else state, cost)


def walk(
    net: Any,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    *,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
    still: frozenset[str] = frozenset(),
) -> Trace:
    """Forward and backward layer by layer, everything met on the way. Pure: fit for `jax.jit`."""
    params, state = variables
    inside, ctx = entering(x, Context(train, key, state, still=still))
    y, saved, values = net.walk_forward(params, inside, ctx)
    error, dy = _measured(loss, x, y, t, sample_weight)
    dx, grads, deltas = net.walk_backward(params, saved, dy)
    records = {
        path: Record(*values[path], dy=deltas[path].dy, dx=deltas[path].dx, grads=deltas[path].grads) for path in values
    }
    cost = net.cost(saved)
    return Trace(error + cost, y, grads, dx, net.next_state(state, saved) if train else state, cost, records)


def _measured(loss: Any, x: Any, y: Any, t: Any, sample_weight: Any) -> tuple[Array, Any]:
    """E and ∂E/∂y; the padding of sequences weighs nothing."""
    weight = step_weights(loss, x, y, t, sample_weight)
    return loss.value(y, values_of(t), weight), loss.delta(y, values_of(t), weight)


@functools.partial(jax.jit, static_argnames=("way", "kernels", "net", "loss", "train"))
def _compiled(
    way: Any, kernels: str, net: Any, loss: Any, variables: Any, x: Any, t: Any, key: Any, train: bool, weight: Any
) -> Any:
    with settings.using(kernels):
        return way(net, loss, variables, x, t, key=key, train=train, sample_weight=weight)


def backprop(
    net: Any,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
) -> Step:
    """Loss, output, gradients and advanced state for one batch, in one compiled program.

    Args:
        net: a network.
        loss: a loss; its value is E.
        variables: from `net.init`.
        x: a batch of inputs, (batch, ...).
        t: targets, as the loss wants them.
        key: random key for dropout and noise in training.
        train: training or inference mode.
        sample_weight: (batch,) weights of the samples in the loss.

    Raises:
        ShapeError: an array does not fit; the layer and the wanted shape are named.
        DenpaError: a layer needs random numbers and no key was given.
    """
    return _compiled(descend, settings.current(), net, loss, variables, x, t, key, train, sample_weight)


def trace(
    net: Any,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
) -> Trace:
    """`backprop` that also returns what every layer met: x, y, saved, dy, dx and grads, by path.

    The arguments and errors are those of `backprop`.
    """
    return _compiled(walk, settings.current(), net, loss, variables, x, t, key, train, sample_weight)

"""Back-propagation: one walk forward, one walk backward.

The output delta ∂E/∂y comes from the loss; every layer turns the delta that enters it into the delta
that leaves it and the gradients of its own parameters (Rumelhart, Hinton & Williams 1986).
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.core
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import nearest
from denpa.core.layer import Array, Context, Grads, State, Variables
from denpa.core.padded import step_weights, values_of
from denpa.data.arrays import read_problem
from denpa.kernels import settings
from denpa.networks.inputs import entering, paired, readable

__all__ = ["Record", "Step", "Trace", "backprop", "propagate", "trace"]


@jax.tree_util.register_dataclass
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


@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Trace(Step, Mapping[str, Record]):
    """A `Step` that also remembers every layer's `Record`, by path: `trace["0_dense"].dy`. Prints as a table.

    The layers come in the order of the walk forward, a network before those inside it: `trace["block/0_dense"]`.
    """

    records: OrderedDict[str, Record]  # JAX sorts the keys of any other dict

    def __getitem__(self, path: str) -> Record:
        if path not in self.records:
            raise KeyError(f"No layer {path!r}: {nearest(path, self.records, plural='layers')}")
        return self.records[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __str__(self) -> str:
        """E and, for each layer, y's shape and the root mean squares of y, of dy = ∂E/∂y and of each gradient."""
        rows = [("layer", "y", "rms y", "rms dy", "rms of gradients")]
        for path, met in self.records.items():
            grads = "  ".join(f"{name} {_rms(value)}" for name, value in tree.flatten(met.grads).items())
            rows.append((path, str(jax.tree.map(jnp.shape, met.y)), _rms(met.y), _rms(met.dy), grads))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join([f"E = {self.loss!s}", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)])

    __repr__ = __str__


def _rms(values: Any) -> str:
    """Root of the mean square of all numbers; nothing where there are none yet, as under `jax.jit`."""
    leaves = jax.tree.leaves(values)
    if not leaves or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return ""
    return f"{np.sqrt(np.mean(np.square(np.concatenate([np.ravel(leaf) for leaf in leaves]).astype(float)))):.2g}"


def propagate(
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
    record: bool = False,
) -> Step:
    """Forward and backward, by the network's fastest path; with `record` layer by layer, to a `Trace`.

    Pure: fit for `jax.jit`. `still` are the paths of layers whose statistics stay.
    """
    params, state = paired(variables)
    x = readable(net, x, tree.precision(params), unsaid=True)
    inside, ctx = entering(x, Context(train, key, state, still=still, reduction=loss.reduction))
    y, saved, *values = (net.walk_forward if record else net.forward)(params, inside, ctx)
    weight = step_weights(loss, x, y, t, sample_weight)  # the padding of sequences weighs nothing
    error, dy = loss.value(y, values_of(t), weight), loss.delta(y, values_of(t), weight)
    dx, grads, *deltas = (net.walk_backward if record else net.backward)(params, saved, dy)
    cost = net.cost(saved)
    found = error + cost, y, grads, dx, net.next_state(state, saved) if train else state, cost
    if not record:
        return Step(*found)
    (values,), (deltas,) = values, deltas  # what the layers met on both ways
    return Trace(*found, OrderedDict((path, Record(*values[path], *deltas[path])) for path in values))


@functools.partial(jax.jit, static_argnames=("record", "kernels", "net", "loss", "train"))
def _compiled(
    record: bool, kernels: str, net: Any, loss: Any, variables: Any, x: Any, t: Any, key: Any, train: bool, weight: Any
) -> Any:
    with settings.using(kernels):
        try:
            return propagate(net, loss, variables, x, t, key=key, train=train, sample_weight=weight, record=record)
        except KeyError:  # variables of another network lack a layer or an array
            net.check(variables, jax.tree.map(lambda array: array.shape[1:], values_of(x)))
            raise


def _run(record: bool, net: Any, loss: Any, variables: Any, x: Any, t: Any, key: Any, train: bool, weight: Any) -> Any:
    walks = "walk_forward" if record else "forward"  # of a layer alone there is no walk
    x, t, train, weight = read_problem(net, loss, x, t, key, train, weight, walks)
    found = _compiled(record, settings.current(), net, loss, variables, x, t, key, train, weight)
    loss.check_given(found.output, values_of(t), step_weights(loss, x, found.output, t, weight))
    return found


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
        ConfigError: no network or no loss; a `train` that is neither true nor false.
        DenpaError: a layer needs random numbers and no key was given.
        DataError: data that are no numbers, or targets that the loss cannot mean, such as a class that there is not.
    """
    return _run(False, net, loss, variables, x, t, key, train, sample_weight)


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
    return _run(True, net, loss, variables, x, t, key, train, sample_weight)

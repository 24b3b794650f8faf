"""Two other ways to the same gradients: automatic differentiation and central differences.

This module and the fallback for a user's own layer are the only places that differentiate
automatically. To learn ∂E/∂x and ∂E/∂y of every layer inside a network as well, the oracles put a
nudge of zero at the entrance and exit of each layer and differentiate with respect to the nudges.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Layer, Variables
from denpa.core.padded import step_weights, values_of
from denpa.data.arguments import as_number
from denpa.data.arrays import read_problem
from denpa.gradients.backprop import Record, Trace
from denpa.kernels import settings
from denpa.networks import Network, Sequential, Value
from denpa.networks.inputs import entering, paired, readable
from denpa.networks.walk import Stepping

__all__ = ["autodiff", "central_differences", "in_float64", "numerical", "pull_back"]


def autodiff(
    net: Network,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
) -> Trace:
    """The record of `denpa.trace`, with every gradient and delta from `jax.grad`.

    Arguments and result are those of `denpa.trace`; the precision is that of the variables.
    """
    x, t, train, weight = read_problem(net, loss, x, t, key, train, sample_weight)
    whole, variables = within_reach(net, paired(variables))
    # JAX's arrays: what becomes a constant of a program whose tracing ends early keeps this precision (see in_float64).
    x, t, weight = jax.tree.map(jnp.asarray, (x, t, weight))
    x = readable(net, x, tree.precision(variables.params), unsaid=True)
    energy, nudged, walked = nudged_energy(whole, loss, variables, x, t, key, train, weight)
    with settings.using("xla"):  # the judge computes nothing by the native kernels
        error, (slopes, dx) = jax.jit(jax.value_and_grad(energy, argnums=(0, 1), allow_int=True))(nudged, x)
    return _trace(net, whole, variables, walked, error, slopes, dx, train)


def numerical(
    net: Network,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    epsilon: float = 1e-5,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
) -> Trace:
    """The record of `denpa.trace`, with every gradient and delta from central differences:

        ∂E/∂w_i ≈ (E(w + ε e_i) − E(w − ε e_i)) / 2ε

    in float64. Two evaluations of the network for every number in parameters, inputs and layer
    outputs: for small networks. Arguments and result are those of `denpa.trace`.

    Raises:
        ConfigError, DataError, ShapeError: as for `denpa.trace`; an epsilon that is not positive.
    """
    x, t, train, weight = read_problem(net, loss, x, t, key, train, sample_weight)
    whole, variables = within_reach(net, paired(variables))
    want_step(epsilon)
    with jax.enable_x64(True):
        variables, x, t, weight = in_float64((variables, readable(net, x, unsaid=True), t, weight))
        energy, nudged, walked = nudged_energy(whole, loss, variables, x, t, key, train, weight)
        slopes, dx = central_differences(lambda at: energy(*at), (nudged, x), epsilon)[0]
        return _trace(net, whole, variables, walked, jax.jit(energy)(nudged, x), slopes, dx, train)


def want_step(epsilon: Any) -> None:
    """Refuse a step that is no number greater than 0: slopes over it would be NaN."""
    if as_number(epsilon, "epsilon") == 0:
        raise ConfigError(f"epsilon must be greater than 0, such as 1e-5, not {epsilon!r}.")


def pull_back(function: Callable[..., Any], *at: Any) -> tuple[Any, Callable[[Any], Any]]:
    """`jax.vjp`, for the laws: the value, and the map from an output's delta to the inputs' deltas."""
    with settings.using("xla"):
        return jax.vjp(function, *at)


def in_float64(arrays: Any) -> Any:
    """Floating-point leaves in float64; call inside `jax.enable_x64(True)`."""

    def raised(leaf: Any) -> Any:
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            return leaf
        # NumPy, for there are many small steps here, and JAX would compile each. A copy, for what becomes a constant of
        # a program whose tracing ends early, JAX goes on to take for an array of this precision.
        leaf = np.array(leaf)
        return leaf.astype(np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(raised, arrays)


def central_differences(
    function: Callable[[Any], Array], at: Any, epsilon: float, index: np.ndarray | None = None
) -> tuple[Any, Any]:
    """Slopes of a scalar function of a tree, entry by entry.

    Args:
        function: from a tree to a scalar.
        at: the tree; only floating-point leaves are moved, others get slope 0.
        epsilon: half the distance between the two points of a difference.
        index: entries to look at, by the numbers that `numbered` gives them; all where None.

    Returns:
        The central slopes, and the difference between the slopes to either side (its size tells a
        kink), both trees like `at`; NaN for entries not looked at.
    """
    floats = _Floats(at)
    index = np.arange(floats.vector.size) if index is None else index
    here, ahead, behind = _energies(lambda vector: function(floats.put(vector)), floats.vector, index, epsilon)
    slopes, jumps = np.full((2, floats.vector.size), np.nan)
    slopes[index], jumps[index] = (ahead - behind) / (2 * epsilon), (ahead - 2 * here + behind) / epsilon
    return floats.put(slopes, np.zeros_like), floats.put(jumps, np.zeros_like)


def numbered(at: Any) -> Any:
    """A tree like `at` that holds the number of every floating-point entry; 0 for other leaves."""
    floats = _Floats(at)
    return floats.put(np.arange(floats.vector.size, dtype=float), np.zeros_like)


class _Floats:
    """The floating-point leaves of a tree as one vector."""

    def __init__(self, at: Any) -> None:
        self.leaves, self.structure = jax.tree.flatten(at)
        self.moves = [jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in self.leaves]
        rows = [np.ravel(leaf) for leaf, moves in zip(self.leaves, self.moves, strict=True) if moves]
        self.vector = np.concatenate([np.zeros(0), *rows])

    def put(self, vector: Any, others: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
        """The tree with the numbers of `vector` in their places."""
        whole, start = [], 0
        for leaf, moves in zip(self.leaves, self.moves, strict=True):
            whole.append(vector[start : start + leaf.size].reshape(leaf.shape) if moves else others(leaf))
            start += leaf.size if moves else 0
        return jax.tree.unflatten(self.structure, whole)


def _energies(
    function: Callable[[Array], Array], vector: np.ndarray, index: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The function at `vector`, and with each entry of `index` moved ahead and behind; one compiled program."""

    def moved(vector: Array, step: tuple[Array, Array]) -> Array:
        return function(jnp.asarray(vector).at[step[0]].add(step[1]))  # NumPy's under `jax.disable_jit`

    count = 2 * len(index) + 1
    together = min(128, count, max(1, 2**22 // max(vector.size, 1)))  # for each of them a copy of the vector
    places, sizes = np.zeros((2, -(-count // together) * together))
    places[: count - 1] = np.tile(index, 2)
    sizes[: len(index)], sizes[len(index) : count - 1] = epsilon, -epsilon
    run = jax.jit(lambda v, s: jax.lax.map(functools.partial(moved, v), s, batch_size=together))
    found = np.asarray(run(vector, (places.astype(np.int32), sizes)))
    return found[count - 1], found[: len(index)], found[len(index) : count - 1]


def within_reach(net: Any, variables: Variables) -> tuple[Any, Variables]:
    """A network and variables that the oracles can nudge; a network in one piece is the only layer of another."""
    if opened(net):
        return net, variables
    whole = Sequential((net,))
    ((name, _),) = whole.inner()
    return whole, Variables({name: variables.params}, {name: variables.state} if variables.state else {})


def opened(layer: Any) -> TypeGuard[Stepping]:
    """Whether the oracles look inside: into networks that go by steps given to them, not into others."""
    return isinstance(layer, Stepping)


def nudged_energy(
    net: Stepping, loss: Any, variables: Variables, x: Any, t: Any, key: Any, train: bool, sample_weight: Any
) -> tuple[Callable[..., Array], Any, Any]:
    """E as a function of (parameters with nudges, x), where to evaluate it, and y, saved and the forward record."""
    params, state = variables
    ctx = Context(train, key, state, reduction=loss.reduction)
    walked = _walked(net, params, *entering(x, ctx))

    def energy(nudged: Any, x: Any) -> Array:
        y, saved, _ = net.forward_by(functools.partial(_nudged_step, nudged), params, *entering(x, ctx))
        weight = step_weights(loss, x, y, t, sample_weight)
        return loss.value(y, values_of(t), weight) + net.cost(saved)

    return energy, dict(_nudges(net, params, walked[2])), walked


@functools.partial(jax.jit, static_argnames="net")
def _walked(net: Stepping, params: Any, x: Any, ctx: Context) -> tuple[Any, Any, dict[str, Value]]:
    return net.walk_forward(params, x, ctx)


def _nudges(net: Stepping, params: Any, values: dict[str, Value], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """By path: zeros for both ends of every layer, and the parameters of one with no others inside.

    Layers that share parameters have them each for itself.
    """
    inside = net.inside(params)
    for name, layer in net.inner():
        path, own = f"{prefix}{name}", inside[name]
        ends = {"in": jax.tree.map(_zeros, values[path].x), "out": jax.tree.map(_zeros, values[path].y)}
        yield path, {"own": {} if opened(layer) else own, **ends}
        if opened(layer):
            yield from _nudges(layer, own, values, f"{path}/")


def _zeros(value: Any) -> np.ndarray:
    return np.zeros(value.shape, value.dtype)


def _nudged_step(nudged: Any, layer: Any, name: str, params: Any, x: Any, ctx: Context) -> tuple[Any, Any, Any]:
    """y = layer(x + a) + b with a = b = 0, so that ∂E/∂a = ∂E/∂x and ∂E/∂b = ∂E/∂y."""
    ctx = ctx.at(name)
    known = nudged[ctx.name]
    x = jax.tree.map(_nudge, x, known["in"])
    if opened(layer):
        y, saved, _ = layer.forward_by(functools.partial(_nudged_step, nudged), params, x, ctx)
    else:
        y, saved = layer.forward(known["own"], x, ctx)
    return jax.tree.map(_nudge, y, known["out"]), saved, {}


def _nudge(value: Any, by: Any) -> Any:
    return value + by if jnp.issubdtype(value.dtype, jnp.floating) else value


def _trace(
    net: Any, whole: Stepping, variables: Variables, walked: Any, error: Any, slopes: Any, dx: Any, train: bool
) -> Trace:
    """The record of `net`, which is `whole` or its only layer."""
    (params, state), (output, saved, values) = variables, walked
    records = records_of(slopes, values)
    grads = _gathered(whole, params, records)
    state = jax.jit(whole.next_state)(state, saved) if train else state
    ordered = OrderedDict((path, records[path]) for path, _ in layers_in_order(whole))
    if whole is not net:
        ((name, _),) = whole.inner()
        grads, state = grads[name], state.get(name, {})
    return Trace(error, output, grads, values_of(dx), state, whole.cost(saved), ordered)


def records_of(slopes: Any, values: dict[str, Value]) -> dict[str, Record]:
    """By path what each layer met; the gradients of networks are those of the layers inside, and left out."""
    return {path: Record(*values[path], at["out"], at["in"], at["own"]) for path, at in slopes.items()}


def _gathered(net: Stepping, params: Any, records: dict[str, Record], prefix: str = "") -> Any:
    """The gradients in the network's own tree, and so in the records of those inside.

    Parameters that stand in several places have the sum over all of them.
    """
    inside, found = net.inside(params), {}
    for name, layer in net.inner():
        path = f"{prefix}{name}"
        if opened(layer):
            records[path] = records[path]._replace(grads=_gathered(layer, inside[name], records, f"{path}/"))
        found[name] = records[path].grads
    return pull_back(net.inside, params)[1](found)[0]


def layers_in_order(net: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """(path, layer) in the order of the walk forward, networks in front of what is inside them."""
    for name, layer in net.inner():
        yield f"{prefix}{name}", layer
        if opened(layer):
            yield from layers_in_order(layer, f"{prefix}{name}/")

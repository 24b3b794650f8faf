"""Two other ways to the same gradients: automatic differentiation and central differences.

This module and the fallback for a user's own layer are the only places that differentiate
automatically. To learn ∂E/∂x and ∂E/∂y of every layer inside a network as well, the oracles put a
nudge of zero at the entrance and exit of each layer and differentiate with respect to the nudges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.layer import Array, Context, Layer, Variables
from denpa.gradients.backprop import Record, Trace
from denpa.networks import Graph, Network, Sequential, Value

__all__ = ["autodiff", "central_differences", "in_float64", "numerical", "pull_back"]


@dataclass(frozen=True)
class Nudged(Layer):
    """y = layer(x + a) + b with a = b = 0, so that ∂E/∂a = ∂E/∂x and ∂E/∂b = ∂E/∂y."""

    layer: Layer

    def forward(self, params: Any, x: Any, ctx: Context = Context()) -> tuple[Any, Any]:
        y, _ = self.layer.forward(params["own"], jax.tree.map(_nudge, x, params["in"]), ctx)
        return jax.tree.map(_nudge, y, params["out"]), {}


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
    x = jax.tree.map(jnp.asarray, x)
    energy, nudged, values = nudged_energy(net, loss, variables, x, t, key, train, sample_weight)
    error, (slopes, dx) = jax.jit(jax.value_and_grad(energy, argnums=(0, 1), allow_int=True))(nudged, x)
    return _trace(net, variables, values, error, slopes, dx, train)


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
    """
    with jax.enable_x64(True):
        variables, x, t, sample_weight = in_float64((variables, x, t, sample_weight))
        energy, nudged, values = nudged_energy(net, loss, variables, x, t, key, train, sample_weight)
        slopes, dx = central_differences(lambda at: energy(*at), (nudged, x), epsilon)[0]
        return _trace(net, variables, values, energy(nudged, x), slopes, dx, train)


def pull_back(function: Callable[..., Any], *at: Any) -> tuple[Any, Callable[[Any], Any]]:
    """`jax.vjp`, for the laws: the value, and the map from an output's delta to the inputs' deltas."""
    return jax.vjp(function, *at)


def in_float64(arrays: Any) -> Any:
    """Floating-point leaves in float64; call inside `jax.enable_x64(True)`."""

    def raised(leaf: Any) -> Any:
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            return leaf
        return (
            jnp.asarray(leaf, jnp.float64) if jnp.issubdtype(np.asarray(leaf).dtype, np.floating) else jnp.asarray(leaf)
        )

    return jax.tree.map(raised, arrays)


def central_differences(
    function: Callable[[Any], Array], at: Any, epsilon: float, entries: dict[str, np.ndarray] | None = None
) -> tuple[Any, Any]:
    """Slopes of a scalar function of a tree, entry by entry.

    Args:
        function: from a tree to a scalar.
        at: the tree; only floating-point leaves are moved, others get slope 0.
        epsilon: half the distance between the two points of a difference.
        entries: flat indices to look at, by path; all entries where None.

    Returns:
        The central slopes, and the difference between the slopes to either side (its size tells a
        kink), both trees like `at`; entries not looked at are 0.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(at)
    here = jax.jit(function)(at)
    slopes, jumps = [], []
    for position, (path, leaf) in enumerate(leaves):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            slopes.append(jnp.zeros(leaf.shape, here.dtype))
            jumps.append(jnp.zeros(leaf.shape, here.dtype))
            continue
        chosen = np.arange(leaf.size) if entries is None else entries.get(tree.path_name(path), np.arange(0))

        def moved(step: Any, position: int = position) -> Array:
            index, size = step
            bare = [leaf for _, leaf in leaves]
            flat = bare[position].reshape(-1)
            bare[position] = flat.at[index].add(size).reshape(bare[position].shape)
            return function(jax.tree_util.tree_unflatten(structure, bare))

        steps = (jnp.tile(jnp.asarray(chosen), 2), jnp.repeat(jnp.array([epsilon, -epsilon]), len(chosen)))
        if len(chosen):
            ahead, behind = jnp.split(jax.jit(lambda s, f=moved: jax.lax.map(f, s, batch_size=128))(steps), 2)
        else:
            ahead = behind = jnp.zeros(0, here.dtype)
        blank = jnp.zeros(leaf.size, here.dtype)
        slopes.append(blank.at[chosen].set((ahead - behind) / (2 * epsilon)).reshape(leaf.shape))
        jumps.append(blank.at[chosen].set((ahead - 2 * here + behind) / epsilon).reshape(leaf.shape))
    unflatten = jax.tree_util.tree_unflatten
    return unflatten(structure, slopes), unflatten(structure, jumps)


def nudged_energy(
    net: Network, loss: Any, variables: Variables, x: Any, t: Any, key: Any, train: bool, sample_weight: Any
) -> tuple[Callable[..., Array], Any, dict[str, Value]]:
    """E as a function of (parameters with nudges, x), where to evaluate it, and the forward record."""
    params, state = variables
    _, _, values = jax.jit(net.walk_forward)(params, x, Context(train, key, state))
    prepared = _prepared(net)
    ctx = Context(train, key, _split(net, state))

    def energy(nudged: Any, x: Any) -> Array:
        return loss.value(prepared.forward(nudged, x, ctx)[0], t, sample_weight)

    return energy, _with_nudges(net, params, values), values


def _prepared(net: Any) -> Any:
    """The network with every layer nudged, and every vertex of a graph on parameters of its own."""
    if isinstance(net, Sequential):
        return Sequential(tuple((name, Nudged(_prepared(layer))) for name, layer in net.inner()))
    if isinstance(net, Graph):
        vertices = tuple(dataclasses.replace(v, layer=Nudged(_prepared(v.layer)), shares="") for v in net.vertices)
        return Graph(net.inputs, net.outputs, vertices)
    return net


def _slots(net: Network) -> dict[str, str]:
    """Where the parameters of each layer stand: its own name unless a graph shares them."""
    if isinstance(net, Graph):
        return {vertex.name: vertex.slot for vertex in net.vertices}
    return {name: name for name, _ in net.inner()}


def _opened(layer: Any) -> bool:
    return isinstance(layer, (Sequential, Graph))


def _split(net: Any, state: Any) -> Any:
    if not _opened(net):
        return state
    slots, layers = _slots(net), dict(net.inner())
    return {name: _split(layers[name], state[slot]) for name, slot in slots.items() if slot in state}


def _with_nudges(net: Any, params: Any, values: dict[str, Value], prefix: str = "") -> Any:
    nudged = {}
    for name, layer in net.inner():
        own, path = params[_slots(net)[name]], f"{prefix}{name}"
        x, y, _ = values[path]
        nudged[name] = {
            "own": _with_nudges(layer, own, values, f"{path}/") if _opened(layer) else own,
            "in": jax.tree.map(jnp.zeros_like, x),
            "out": jax.tree.map(jnp.zeros_like, y),
        }
    return nudged


def _nudge(value: Any, by: Any) -> Any:
    return value + by if jnp.issubdtype(value.dtype, jnp.floating) else value


def _trace(net: Any, variables: Variables, values: Any, error: Any, slopes: Any, dx: Any, train: bool) -> Trace:
    records: dict[str, Record] = {}
    grads = collect(net, slopes, values, records)
    ordered = {path: records[path] for path in values}
    saved = {name: values[name].saved for name, _ in net.inner()}
    state = net.next_state(variables.state, saved) if train else variables.state
    outputs = [values[name].y for name in _outputs(net)]
    output = tuple(outputs) if isinstance(getattr(net, "outputs", None), tuple) else outputs[0]
    return Trace(error, output, grads, dx, state, ordered)


def _outputs(net: Any) -> tuple[str, ...]:
    if isinstance(net, Graph):
        return net.outputs if isinstance(net.outputs, tuple) else (net.outputs,)
    return (net.inner()[-1][0],)


def collect(net: Any, slopes: Any, values: Any, records: dict[str, Record], prefix: str = "") -> Any:
    """The gradients in the network's own tree; shared parameters get the sum over their uses."""
    grads: dict[str, Any] = {}
    slots = _slots(net)
    for name, layer in net.inner():
        path = f"{prefix}{name}"
        found = slopes[name]
        own = collect(layer, found["own"], values, records, f"{path}/") if _opened(layer) else found["own"]
        records[path] = Record(*values[path], dy=found["out"], dx=found["in"], grads=own)
        grads[slots[name]] = tree.add(grads[slots[name]], own) if slots[name] in grads else own
    return grads

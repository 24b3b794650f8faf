"""Real-time recurrent learning: the gradients of back-propagation through time, carried forward in time.

    p_θ(t) = ∂zᵗ/∂θ                                         the sensitivities of the carry z, p_θ(0) = 0
    p_θ(t) = ∂zᵗ/∂uᵗ · (∂uᵗ/∂θ + ∂uᵗ/∂zᵗ⁻¹ · p_θ(t−1)) + ∂zᵗ/∂zᵗ⁻¹ · p_θ(t−1)
    ∂Eᵗ/∂θ = Σ_k ∂Eᵗ/∂z_kᵗ · p_θᵏ(t)

For an RNN this is  p_rsʲ(t) = f'(u_jᵗ) (δ_rj x_sᵗ [w in Wx] + δ_rj h_sᵗ⁻¹ [w in Wh] + Σ_j' w_jj' p_rsʲ'(t−1)); an
output that is fed back adds Σ_k w̃_jk p_rsᵏ(t−1). The local derivatives are those of the cell's step backward, so LSTM
and GRU follow the same rule. Nothing of the past is kept but p: memory O(units · parameters), whatever the length; each
step costs O(units² · parameters), for a recurrent layer of n units O(n⁴).

Source: Williams & Zipser (1989), A learning algorithm for continually running fully recurrent neural networks.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core import tree
from denpa.core.checks import want_methods
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Grads, Params, Variables
from denpa.core.padded import step_mask, step_weights, values_of
from denpa.data.arrays import read_problem
from denpa.gradients.backprop import Step
from denpa.layers.cell import Carry, Cell, Steps
from denpa.layers.convolution import Conv1d
from denpa.networks import Network, Recurrent, Sequential
from denpa.networks.inputs import entering, paired, readable

__all__ = ["Online", "Sensitivities", "learn_online", "rtrl", "rtrl_start", "rtrl_step"]


class Sensitivities(NamedTuple):
    """All that is kept from one time step to the next.

    Attributes:
        carry: the cell's carry, a tuple of (batch, size).
        p: p_θ by parameter: for each part of the carry (batch, numbers in θ, size).
    """

    carry: Carry
    p: dict[str, Carry]


class Online(NamedTuple):
    """What learning at every time step leaves behind.

    Attributes:
        variables: the parameters after the last step.
        optimizer: the optimiser's state after it.
        losses: Eᵗ before the update of step t, (time,).
        output: yᵗ before the update of step t, (batch, time, ...).
    """

    variables: Variables
    optimizer: Any
    losses: Array
    output: Array


def rtrl(
    net: Any, loss: Any, variables: Variables, x: Any, t: Any,
    key: Array | None = None, train: bool = True, sample_weight: Any = None,
) -> Step:  # fmt: skip
    """E = Σ_t Eᵗ, output and gradients of a batch of sequences as `backprop` has them, by real-time recurrent learning.

    Args:
        net: a recurrent layer that returns sequences, or a `Sequential` that begins with one and goes on step by
            step, as with `Dense`, without state.
        loss, variables, key, train, sample_weight: as for `backprop`.
        x: (batch, time, features), or `Padded`.
        t: targets of every step, as the loss wants them.

    Returns:
        As `backprop`, but dx is None: the past is gone when its delta is known.

    Raises:
        ConfigError: a network of another form, or an `LSTM` whose backward pass is `truncated`.
        DataError, ShapeError: data that are no numbers, do not fit, or are targets that the loss cannot mean.
    """
    x, t, train, weight = read_problem(net, loss, x, t, key, train, sample_weight)
    _parts(net, variables)
    found = _sequences(net, loss, variables, x, t, key, train, weight)
    loss.check_given(found.output, values_of(t), step_weights(loss, x, found.output, t, weight))
    return found


@functools.partial(jax.jit, static_argnames=("net", "loss", "train"))
def _sequences(net: Any, loss: Any, variables: Variables, x: Any, t: Any, key: Any, train: bool, weight: Any) -> Step:
    x = readable(net, x, tree.precision(variables.params))
    values, ctx = entering(x, Context(train, key))
    targets = values_of(t)
    _want_steps(net, variables, values, targets)
    out_shape = net.out_shape(values.shape[1:])
    y = jax.ShapeDtypeStruct((len(values), *out_shape), values.dtype)
    weights = jax.tree.map(jnp.asarray, step_weights(loss, x, y, t, weight))  # None stays None
    of_steps = jax.tree.map(lambda w: jnp.broadcast_to(w.reshape(len(w), -1), values.shape[:2])[..., None], weights)
    mask = None if ctx.lengths is None else step_mask(ctx.lengths, values.shape[1])

    def body(so_far: Any, at: Any) -> tuple[Any, Array]:
        sensitivities, sum_of_grads, step = so_far
        keyed = dataclasses.replace(ctx, key=None if key is None else jax.random.fold_in(key, step), lengths=None)
        sensitivities, met = _advance(net, loss, variables, sensitivities, at, keyed)
        return (sensitivities, tree.add(sum_of_grads, met.grads), step + 1), met.y[:, 0]

    steps = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), (values, targets, of_steps, mask))
    first = (rtrl_start(net, variables, len(values), values.dtype), tree.zeros_like(variables.params), jnp.int32(0))
    (_, grads, _), output = lax.scan(body, first, steps)
    output = jnp.swapaxes(output, 0, 1)
    # What the mean divides by is not always a sum over the steps: half a squared norm counts whole sequences.
    total, count = loss.sums(output, targets, weights)
    scale = 1 / count if loss.reduction == "mean" else jnp.ones((), total.dtype)
    grads = jax.tree.map(lambda g: g * scale.astype(g.dtype), grads)
    return Step(total * scale, output, grads, None, {}, 0.0)


def rtrl_start(net: Any, variables: Variables, batch: int, dtype: Any = None) -> Sensitivities:
    """Before the first step of `batch` sequences: a carry of 0 that depends on nothing, in the parameters' `dtype`.

    Raises:
        ConfigError: `batch` is no number of sequences, or the network is of another form than `rtrl` wants.
    """
    layer, params, _, _ = _parts(net, variables)
    if not isinstance(batch, (int, np.integer)) or batch < 1:
        raise ConfigError(f"batch must be the number of sequences, 1 at least, not {batch!r}.")
    dtype = jax.tree.leaves(params)[0].dtype if dtype is None else dtype
    carry = tuple(jnp.zeros((batch, size), dtype) for size in layer.cell.sizes())
    p = {
        name: tuple(jnp.zeros((batch, value.size, part.shape[-1]), dtype) for part in carry)
        for name, value in params.items()
    }
    return Sensitivities(carry, p)


def rtrl_step(
    net: Any, loss: Any, variables: Variables, before: Sensitivities, x: Array, t: Array,
    key: Array | None = None, train: bool = True, sample_weight: Any = None,
) -> tuple[Sensitivities, Step]:  # fmt: skip
    """One time step: the next sensitivities, and Eᵗ, yᵗ and ∂Eᵗ/∂params of this step alone.

    With an update of the parameters behind every step this is learning in real time; p then mixes sensitivities at
    the parameters of different steps, which is the method's approximation for small learning rates.

    Args:
        net, loss, variables, key, train: as for `rtrl`.
        before: from `rtrl_start` or the last step.
        x, t: (batch, features), and the targets of this step (batch, ...).
        sample_weight: (batch,) weights of the samples.

    Raises:
        ConfigError, DataError, ShapeError: as for `rtrl`; `before` is of another number of sequences.
    """
    x, t, train, weight = read_problem(net, loss, x, t, key, train, sample_weight)
    _parts(net, variables)
    if not isinstance(before, Sensitivities):
        raise ConfigError(f"`before` must be what dp.rtrl_start or the last dp.rtrl_step returned, not {before!r}.")
    after, found = _step(net, loss, variables, before, x, t, key, train, weight)
    loss.check_given(found.output, t, weight)
    return after, found


@functools.partial(jax.jit, static_argnames=("net", "loss", "train"))
def _step(
    net: Any, loss: Any, variables: Variables, before: Sensitivities, x: Any, t: Any, key: Any, train: bool, weight: Any
) -> tuple[Sensitivities, Step]:
    x = readable(net, x, tree.precision(variables.params))
    if x.ndim != 2 or len(x) != len(before.carry[0]):
        wanted = f"x ({len(before.carry[0])}, features), a step of as many sequences as it began with"
        raise ShapeError(f"RTRL wants {wanted}, not {x.shape}.")
    net.check(variables, (1, x.shape[1]))
    weight = None if weight is None else weight[:, None]
    after, met = _advance(net, loss, variables, before, (x, t, weight, None), Context(train, key))
    scale = 1 / met.weight if loss.reduction == "mean" else 1.0
    grads = jax.tree.map(lambda g: (g * scale).astype(g.dtype), met.grads)
    return after, Step(met.total * scale, met.y[:, 0], grads, None, {}, 0.0)


def learn_online(
    net: Any, loss: Any, optimizer: Any, variables: Variables, x: Any, t: Any, key: Any = None, state: Any = ()
) -> Online:
    """Real-time recurrent learning: at every time step one update, by the gradient of that step's error.

    The memory needed does not grow with the number of steps, but for the data given and the errors returned.

    Args:
        net, loss, variables: as for `rtrl`.
        optimizer: makes updates of gradients, such as `SGD(0.01)`.
        x, t: (batch, time, ...), all sequences of full length.
        key, state: random key for dropout; the optimiser's state, as an earlier call has left it, or () to begin.

    Raises:
        ConfigError, DataError, ShapeError: as for `rtrl`; no optimiser.
    """
    x, t, _, _ = read_problem(net, loss, x, t, key, True, None)
    _parts(net, variables)
    want_methods(optimizer, "An optimiser, such as dp.SGD(0.01), is wanted", "init", "update")
    found = _online(net, loss, optimizer, variables, x, t, key, state)
    loss.check_given(found.output, t)
    return found


@functools.partial(jax.jit, static_argnames=("net", "loss", "optimizer"))
def _online(net: Any, loss: Any, optimizer: Any, variables: Variables, x: Any, t: Any, key: Any, state: Any) -> Online:
    x = readable(net, x, tree.precision(variables.params))
    _want_steps(net, variables, x, t)

    def body(so_far: Any, at: Any) -> tuple[Any, Any]:
        sensitivities, params, state, step = so_far
        own = None if key is None else jax.random.fold_in(key, step)
        point = params if ahead is None else ahead(params, state)
        sensitivities, met = rtrl_step(net, loss, Variables(point, {}), sensitivities, *at, key=own)
        updates, state = optimizer.update(met.grads, state, params)
        params = jax.tree.map(lambda p, u: p + u.astype(p.dtype), params, updates)
        return (sensitivities, params, state, step + 1), (met.loss, met.output)

    ahead = getattr(optimizer, "gradient_point", None)  # Nesterov's
    start = rtrl_start(net, variables, len(x), x.dtype)
    first = (start, variables.params, state or optimizer.init(variables.params), jnp.zeros((), jnp.int32))
    steps = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), (x, t))
    (_, params, state, _), (losses, output) = lax.scan(body, first, steps)
    return Online(Variables(params, variables.state), state, losses, jnp.swapaxes(output, 0, 1))


class _Met(NamedTuple):
    """Sums of one step: Σ w l, what the mean divides by, and the gradients of the first; and the output."""

    total: Array
    weight: Array
    grads: Grads
    y: Array


def _parts(net: Any, variables: Variables) -> tuple[Recurrent, Params, str, Sequential]:
    """The recurrent layer, its parameters and name ("" if it is the network), and what comes behind it."""
    params, state = paired(variables)
    name, rest, layer = "", (), net
    if isinstance(net, Sequential) and net.layers:
        (name, layer), *rest = net.inner()
    wide = any(isinstance(one, Network) or (isinstance(one, Conv1d) and one.windows.reach[0] > 1) for _, one in rest)
    if not isinstance(layer, Recurrent) or wide:
        raise ConfigError(f"RTRL wants a recurrent layer, or a Sequential of one and layers on each step, not {net!r}.")
    unlike = "reverse", "takes_carry", "return_carry", "teacher_forcing", "truncated"  # the last is no gradient
    if not layer.return_sequences or any(getattr(layer, option, False) for option in unlike):
        raise ConfigError(f"RTRL runs forward from a carry of 0: it wants return_sequences=True alone, not {layer!r}.")
    if state:
        raise ConfigError(f"RTRL sees one time step at a time: layers with state, {', '.join(state)}, are not for it.")
    return layer, params[name] if name else params, name, Sequential(tuple(rest))


def _want_steps(net: Any, variables: Variables, x: Array, t: Array) -> None:
    """Refuse sequences and targets that do not fit each other or the network."""
    if x.ndim != 3 or t.shape[:2] != x.shape[:2]:
        wanted = "x (batch, time, features) and targets of every step (batch, time, ...)"
        raise ShapeError(f"RTRL wants {wanted}, not {x.shape} and {t.shape}.")
    net.check(variables, x.shape[1:])


def _advance(
    net: Any, loss: Any, variables: Variables, before: Sensitivities, at: Any, ctx: Context
) -> tuple[Sensitivities, _Met]:
    x, t, weight, true_step = at
    layer, params, name, head = _parts(net, variables)
    cell = layer.cell
    carry, kept = cell.step(params, cell.drive(params, x), before.carry)
    after = Sensitivities(carry, _sensitivities(cell, params, Steps(x, kept, before.carry, carry), before.p))
    z = after.carry[0]
    if true_step is not None:
        after = jax.tree.map(lambda a, b: jnp.where(true_step.reshape(-1, *[1] * (a.ndim - 1)), a, b), after, before)
        z = jnp.where(true_step[:, None], z, jnp.zeros_like(z))
    inside = {key: variables.params[key] for key, _ in head.inner()}
    y, saved = head.forward(inside, z[:, None], ctx)
    if not isinstance(head.cost(saved), (int, float)):
        raise ConfigError("RTRL knows the loss alone: layers that add to the objective are not for it.")
    whole = dataclasses.replace(loss, reduction="sum")
    total, count = loss.sums(y, t[:, None], weight)
    dz, grads = head.backward(inside, saved, whole.delta(y, t[:, None], weight))
    own = {
        key: jnp.einsum("bk,bmk->m", dz[:, 0], p[0]).reshape(params[key].shape)  # Σ_k ∂E/∂z_k p^k
        for key, p in after.p.items()
    }
    return after, _Met(total, count, {**grads, name: own} if name else own, y)


def _sensitivities(cell: Cell, params: Params, step: Steps, before: dict[str, Carry]) -> dict[str, Carry]:
    """p_θ(t) of every parameter from p_θ(t−1): the cell's tangent along each of its numbers."""
    x, direct, feeds = step.x, cell.direct(params, step), cell.feeds(params)
    width = 1 + max(int(columns.max()) for columns in feeds.values())
    slopes = jax.tree.map(lambda a: a[:, None], cell.slopes(params, step))  # the same for all numbers of a parameter
    found = {}
    for name, p in before.items():
        value = jnp.broadcast_to(direct[name], (len(x), *params[name].shape)).reshape(len(x), -1, 1)
        reached = jnp.asarray(feeds[name].reshape(-1, 1) == jnp.arange(width), x.dtype)
        found[name] = cell.tangent(params, slopes, value * reached, p)
    return found

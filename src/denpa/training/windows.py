"""Truncated back-propagation through time: long sequences in windows, one update for each.

    carry of window k  =  final carry of window k − 1        forward it is handed on,
    ∂E_k/∂carry        =  dropped                            backward the deltas end where the window begins.

A window costs the memory of its own steps. The carry is state: it enters the network's state when a batch begins,
`next_state` advances it from window to window, and it leaves the state when the batch ends.

Source: Williams & Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network
trajectories; Mikolov et al. (2010) for language models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core.errors import ConfigError, DataError
from denpa.core.padded import Padded
from denpa.data.arguments import as_whole
from denpa.data.counted import counted
from denpa.networks import Network
from denpa.networks.carried import with_carry, without_carry

__all__ = ["check_window", "in_windows"]

Step = Callable[..., tuple[Any, dict[str, Any]]]


def check_window(window: Any, net: Network, x: Any, t: Any) -> int:
    """The window as a number of steps; 0 for None.

    Raises:
        ConfigError: not a positive integer, or a network in which nothing is handed on.
        DataError: a window longer than the sequences, or inputs and targets of unlike time.
    """
    if window is None:
        return 0
    window = as_whole(window, "window", 1)
    if not with_carry(net, {}, 1, None):
        raise ConfigError(f"A window hands the carry of recurrent layers on, but there is none in {net!r}.")
    arrays = [part.values if isinstance(part, Padded) else part for part in _parts((x, t))]
    times = {array.shape[1] if array.ndim > 1 else None for array in arrays}
    if len(times) > 1 or None in times:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise DataError(f"Windows cut inputs and targets (batch, time, ...) of the same steps, not arrays of {shapes}.")
    time = arrays[0].shape[1]
    if window > time:
        raise DataError(f"A window of {counted(window, 'step')} is longer than the sequences, which have {time}.")
    return window


def in_windows(step: Step, recipe: Any, run: Any, statistics: Any, *batch: Any) -> tuple[Any, dict[str, Any]]:
    """One update for each window of a batch, and the sums of what they note.

    A window behind the end of all its sequences makes no update.
    """
    first = jax.tree.leaves(batch[0])[0]
    (size, time), length = first.shape[:2], recipe.window
    dtype = jax.tree.leaves(recipe.cast(run.params))[0].dtype
    before = run.state
    carried = dataclasses.replace(run, state=with_carry(recipe.net, run.state, size, dtype))

    def one(carried: Any, index: Any, steps: int) -> tuple[Any, dict[str, Any]]:
        cut, alive = _cut(batch, index * length, steps)
        own = dataclasses.replace(carried, key=jax.random.fold_in(run.key, index))
        after, log = step(own, statistics, *cut)
        after = dataclasses.replace(after, key=run.key, step=run.step)
        if alive is not None:
            kept = jax.tree.map(lambda a, b: jnp.where(alive, a, b), _numbers(after), _numbers(carried))
            after = dataclasses.replace(after, **kept)
        return after, log

    whole, rest = divmod(time, length)
    carried, logs = lax.scan(lambda at, index: one(at, index, length), carried, jnp.arange(whole, dtype=jnp.int32))
    if rest:
        carried, last = one(carried, jnp.asarray(whole, jnp.int32), rest)
        logs = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), logs, last)
    log = {name: jnp.mean(v) if name == "penalty" else jax.tree.map(_total, v) for name, v in logs.items()}
    return dataclasses.replace(carried, state=without_carry(carried.state, before), step=run.step + 1), log


def _total(a: Any) -> Any:
    return jnp.sum(a, axis=0)


def _numbers(run: Any) -> dict[str, Any]:
    return {"params": run.params, "state": run.state, "optimizer": run.optimizer}


def _parts(arrays: Any) -> list[Any]:
    """All arrays, `Padded` ones whole."""
    leaves = jax.tree.leaves(arrays, is_leaf=lambda part: isinstance(part, Padded))
    return [part if isinstance(part, Padded) else np.asarray(part) for part in leaves]


def _cut(batch: Any, start: Any, steps: int) -> tuple[Any, Any]:
    """The window of all arrays that have a time axis, and whether any sequence reaches into it (None if all do)."""
    x, t, weight = batch
    padded = [part for part in jax.tree.leaves((x, t), is_leaf=_is_padded) if _is_padded(part)]

    def window(part: Any) -> Any:
        if not _is_padded(part):
            return lax.dynamic_slice_in_dim(part, start, steps, axis=1)
        values = lax.dynamic_slice_in_dim(part.values, start, steps, axis=1)
        return Padded(values, jnp.clip(part.lengths - start, 0, steps))

    x, t = jax.tree.map(window, (x, t), is_leaf=_is_padded)
    weight = window(weight) if weight is not None and weight.ndim > 1 else weight
    alive = jnp.any(jnp.stack([jnp.any(part.lengths > start) for part in padded])) if padded else None
    return (x, t, weight), alive


def _is_padded(part: Any) -> bool:
    return isinstance(part, Padded)

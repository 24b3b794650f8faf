"""When a number is no longer finite: find the first one, keep what was good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import DivergenceError
from denpa.gradients.backprop import Trace
from denpa.training.devices import on_first

__all__ = ["first_not_finite", "raise_divergence"]


def raise_divergence(training: Any, before: Any, data: Any, order: np.ndarray, logs: Any) -> NoReturn:
    """Replay the chunk up to the step that failed, keep the state before it, and say what failed first.

    Training is deterministic, so the replay from the start of the chunk, with the very arrays that it read, meets the
    same numbers.
    """
    model, programs = training.model, training.programs

    def after(count: int) -> tuple[Any, bool]:
        run, _, finite = programs.train(before, model.statistics, data, order, np.int32(count))
        return run, bool(finite)

    bad = ~np.isfinite(logs["loss"])
    failed = int(np.argmax(bad)) if bad.any() else len(bad)  # or an earlier update wrote a bad number unnoticed
    if not after(failed)[1]:
        good = 0
        while failed - good > 1:
            middle = (good + failed) // 2
            good, failed = (middle, failed) if after(middle)[1] else (good, middle)
        failed = good
    run, _ = after(failed)
    batch = jax.tree.map(lambda a: a[order[failed]], on_first(data))
    met, grads = programs.examine(run, model.statistics, *batch)
    culprit = first_not_finite(met, grads) or _update(programs.recipe, run, met, grads)
    training.take(run, jax.tree.map(lambda a: a[:failed], logs), failed)
    raise DivergenceError(
        f"Training stopped at step {model.steps + 1}: {culprit} is not finite. The model keeps its last good state, "
        f"after {model.steps} steps. Try a smaller learning rate, clip gradients with "
        "dp.chain(dp.ClipByNorm(1.0), ...), or normalise the input."
    )


def first_not_finite(met: Trace, grads: Any) -> str | None:
    """The first array on the way forward, in the loss, or on the way back that holds NaN or infinity, in words."""
    for name, value in _in_order(met, grads):
        for path, leaf in tree.flatten(value).items():
            if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.all(jnp.isfinite(leaf))):
                return f"{name}{f'[{path}]' if path else ''} ({_kind(leaf)})"
    return None


def _in_order(met: Trace, grads: Any) -> Iterator[tuple[str, Any]]:
    inner = {path: r for path, r in met.records.items() if not any(p.startswith(f"{path}/") for p in met.records)}
    for path, record in inner.items():
        yield f"input x of layer {path!r}", record.x
        yield f"output y of layer {path!r}", record.y
    yield "the loss", met.loss
    for path, record in reversed(inner.items()):
        yield f"delta dy of layer {path!r}", record.dy
        yield f"gradient of layer {path!r}", record.grads
        yield f"delta dx of layer {path!r}", record.dx
    for path, leaf in tree.flatten(grads).items():
        yield f"gradient {path!r} of the whole objective", leaf


def _update(recipe: Any, run: Any, met: Trace, grads: Any) -> str:
    updates, _ = recipe.optimizer.update(grads, run.optimizer, run.params)
    for what, values in (("parameter", jax.tree.map(jnp.add, run.params, updates)), ("state", met.state)):
        for path, leaf in tree.flatten(values).items():
            if not bool(jnp.all(jnp.isfinite(leaf))):
                return f"{what} {path!r} after the update ({_kind(leaf)})"
    return "a parameter after the update"


def _kind(leaf: Any) -> str:
    return "NaN" if bool(jnp.any(jnp.isnan(leaf))) else "infinity"

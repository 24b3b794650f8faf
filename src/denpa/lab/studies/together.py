"""Members that differ in seed, starting weights, examples or numbers, trained together in one compiled program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.lab.studies.study import Plan
from denpa.training import Model
from denpa.training.compile_cache import use_compile_cache
from denpa.training.members import member_programs_for

__all__ = ["Curves", "steps_of", "table", "train_together"]


@dataclass(frozen=True, eq=False)
class Curves:
    """What became of every member.

    Args:
        steps: the numbers of updates after which was measured (points,).
        train, test: by name ("loss", and each metric) the numbers (points, members); NaN once a member diverged.
        params, state: what was learned, each array with the members in front.
    """

    steps: np.ndarray
    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    params: Any
    state: Any

    def members(self, rows: slice) -> Curves:
        """Some of the members."""
        cut = [{name: values[:, rows] for name, values in part.items()} for part in (self.train, self.test)]
        return Curves(self.steps, *cut, *jax.tree.map(lambda a: a[rows], (self.params, self.state)))

    def at(self, step: int, name: str = "accuracy", part: str = "test") -> np.ndarray:
        """The numbers at the first measurement that is not before this step, (members,)."""
        return getattr(self, part)[name][int(np.searchsorted(self.steps, step))]


def steps_of(last: int, points: int = 40) -> np.ndarray:
    """Steps to measure at, evenly from 0 to the last."""
    return np.unique(np.linspace(0, last, points + 1).round().astype(int))


def table(found: Mapping[str, Curves], plan: Plan, name: str = "accuracy") -> tuple[dict[str, Any], ...]:
    """One of the numbers as rows: setting, updates, training or test, and a column for each seed."""
    return tuple(
        {
            "setting": setting,
            "updates": step,
            "part": part,
            **{f"seed {s}": a for s, a in zip(plan.seeds, row, strict=True)},
        }
        for setting, curves in found.items()
        for part in ("train", "test")
        for step, row in zip(curves.steps.tolist(), getattr(curves, part)[name].tolist(), strict=True)
    )


def train_together(
    model: Model,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    seeds: Sequence[int],
    steps: np.ndarray,
    *,
    batch_size: int = 100,
    over: Mapping[str, Sequence[float]] | None = None,
    nets: Sequence[Any] = (),
    counts: np.ndarray | None = None,
) -> Curves:
    """Stochastic descent with batches drawn without replacement; all members go one step at a time together.

    Args:
        model: net, loss, optimiser, metrics and penalty of all.
        train, test: x and t; each member draws from all of `train`.
        seeds: of starting weights and batches, one for each member.
        steps: updates after which to measure on `train` (at most 2,000 of it) and `test`, from 0 on.
        batch_size: examples of an update.
        over: numbers by place, such as "penalty.strength": one for each member.
        nets: for each member its net, with the same layers as the model's but other initial weights.
        counts: for each member how often it has each example (members, n); all once when None.
    """
    use_compile_cache()
    recipe, shape, over = model.programs.recipe, train[0].shape[1:], over or {}
    programs = member_programs_for(recipe, tuple(over))
    runs = [
        member_programs_for(replace(recipe, net=net)).init(np.array([seed], np.uint32), shape)
        for net, seed in zip(nets or [recipe.net] * len(seeds), seeds, strict=True)
    ]
    run = jax.tree.map(lambda *parts: jnp.concatenate(parts), *runs)
    numbers = {place: jnp.asarray(values, jnp.float32) for place, values in over.items()}
    x, t = (jnp.asarray(array) for array in train)
    drawn = None if counts is None else jnp.asarray(counts, jnp.uint16)
    parts = {"train": _weighted(*(array[:2000] for array in train)), "test": _weighted(*test)}
    orders = [_order(len(x), min(batch_size, len(x)), int(steps[-1]), seed) for seed in seeds]
    order = np.stack(orders, axis=1)
    capacity = int(np.diff(steps).max()) if len(steps) > 1 else 1
    found: dict[str, list[dict[str, np.ndarray]]] = {part: [] for part in parts}
    for before, now in zip([0, *steps[:-1]], steps, strict=True):
        if now > before:
            rows = np.zeros((capacity, *order.shape[1:]), np.int32)
            rows[: now - before] = order[before:now]
            run = programs.train(run, numbers, None, (x, t, None), drawn, rows, np.int32(now - before))[0]
        for part, batch in parts.items():
            log = programs.measure_apart(run.params, run.state, numbers, None, *batch)
            found[part].append(_means(recipe.metrics, jax.tree.map(np.asarray, log)))
    curves = {part: {name: np.stack([row[name] for row in rows]) for name in rows[0]} for part, rows in found.items()}
    return Curves(steps, curves["train"], curves["test"], *jax.tree.map(np.asarray, (run.params, run.state)))


def _weighted(x: np.ndarray, t: np.ndarray) -> tuple[Any, Any, Any]:
    return jnp.asarray(x), jnp.asarray(t), jnp.ones(len(x), jnp.float32)


def _order(examples: int, size: int, steps: int, seed: int) -> np.ndarray:
    """The rows of each batch, (steps, size): one epoch's permutation after another, a short last batch left out."""
    rng, each = np.random.default_rng((seed, 0xBA7C)), examples // size
    epochs = [rng.permutation(examples)[: each * size].reshape(each, size) for _ in range(-(-steps // each))]
    return np.concatenate(epochs).astype(np.int32)[:steps] if epochs else np.zeros((0, size), np.int32)


def _means(metrics: Any, log: dict[str, Any]) -> dict[str, np.ndarray]:
    """The loss without penalty, and every metric, (members,)."""
    found = {"loss": log["loss"].astype(np.float64) / log["weight"]}
    for metric in metrics:
        sums, members = log["metrics"][metric.name], range(len(log["loss"]))
        found[metric.name] = np.array([metric.compute({k: v[m] for k, v in sums.items()}) for m in members])
    return found

"""Many runs of one recipe in one compiled program: their arrays are stacked, a step of all is one step.

The members may differ in their seed, in the weights of their examples (bootstrap), and in numbers of the
descriptions, such as a learning rate: those become arguments of the program, so one compilation serves all values.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Array
from denpa.data.counted import counted
from denpa.training.batches import BatchPlan
from denpa.training.compiled import compiled
from denpa.training.history import History
from denpa.training.loop import CHUNK_SECONDS, FIRST_CHUNK, Position, summarize
from denpa.training.program import Programs, Recipe, Run

__all__ = [
    "MemberPrograms",
    "Members",
    "Together",
    "combined",
    "member_of",
    "member_programs_for",
    "sampled_rows",
    "with_number",
]

_MOST_STEPS = 1024


class MemberPrograms:
    """The compiled programs of a recipe with stacked runs; `places` names the numbers in which members differ."""

    def __init__(self, recipe: Recipe, places: tuple[str, ...] = ()) -> None:
        self.recipe, self.places = recipe, places
        self.single = Programs(recipe)
        self.init = compiled(self._init, recipe.kernels, static_argnums=(1,))
        self.train = compiled(self._train, recipe.kernels)
        self.each = compiled(self._each, recipe.kernels)
        self.together = compiled(self._together, recipe.kernels)
        self.measure = compiled(self._measure, recipe.kernels)
        self.measure_apart = compiled(self._measure_apart, recipe.kernels)

    def _init(self, seeds: Array, shape: Any) -> Run:
        return jax.vmap(lambda seed: self.single.init(seed, shape))(seeds)

    def _train(
        self, runs: Run, numbers: Any, statistics: Any, data: Any, counts: Any, order: Array, count: Array
    ) -> tuple[Run, Any, Array]:
        """`count` steps of all members; `order` (capacity, members, batch size) names the rows of each one's batches.

        Returns the runs, each step's logs (capacity, members, ...) and whether a member is finite (members,).
        """
        x, t, weight = data

        def one(run: Run, own: Any, own_counts: Any, rows: Array) -> tuple[Run, Any]:
            def gathered(array: Array) -> Array:
                return array.at[rows].get(mode="promise_in_bounds")

            w = None if weight is None else gathered(weight)
            if own_counts is not None:
                drawn = gathered(own_counts).astype(jnp.result_type(float))
                w = drawn if w is None else w * drawn.reshape(-1, *(1,) * (w.ndim - 1))
            inputs, targets = jax.tree.map(gathered, (x, t))
            return self._recipe(own).step(run, statistics, inputs, targets, w)

        step = jax.vmap(one, in_axes=(0, 0, None if counts is None else 0, 0))

        def body(index: Array, carry: Any) -> Any:
            runs, logs = carry
            runs, log = step(runs, numbers, counts, order[index])
            return runs, jax.tree.map(lambda all_, now: all_.at[index].set(now), logs, log)

        shapes = jax.eval_shape(lambda: step(runs, numbers, counts, order[0])[1])
        logs = jax.tree.map(lambda s: jnp.zeros((order.shape[0], *s.shape), s.dtype), shapes)
        runs, logs = jax.lax.fori_loop(0, count, body, (runs, logs))
        return runs, logs, jax.vmap(tree.all_finite)((runs.params, runs.state))

    def _outputs(self, params: Any, state: Any, statistics: Any, x: Any) -> Any:
        """What each member's network gives: (members, batch, ...)."""
        return jax.vmap(lambda p, s: self.single._output(p, s, statistics, x))(params, state)

    def _each(self, params: Any, state: Any, statistics: Any, x: Any) -> Any:
        """What each member answers, in the units of the targets: (members, batch, ...)."""
        return self.recipe.answer(statistics, self._outputs(params, state, statistics, x))

    def _together(self, params: Any, state: Any, statistics: Any, x: Any) -> Any:
        """What all of them answer together, in the units of the targets: (batch, ...)."""
        y = combined(self.recipe.loss, self._outputs(params, state, statistics, x))
        return self.recipe.answer(statistics, y)

    def _measure(self, params: Any, state: Any, statistics: Any, x: Any, t: Any, weight: Any, heard: Any) -> Any:
        """Sums over a batch, of the members' common output; `heard` (batch, members) says whose voice counts."""
        y = combined(self.recipe.loss, self._outputs(params, state, statistics, x), None if heard is None else heard.T)
        if heard is not None:
            spoken = jnp.any(heard, axis=-1)
            weight = jnp.where(spoken.reshape(-1, *(1,) * (weight.ndim - 1)), weight, 0)
        return self.recipe.measure(statistics, x, y, t, weight)

    def _measure_apart(
        self, params: Any, state: Any, numbers: Any, statistics: Any, x: Any, t: Any, weight: Any
    ) -> dict[str, Any]:
        """Sums over a batch for each member, (members, ...), and each one's penalty."""

        def one(params: Any, state: Any, own: Any) -> dict[str, Any]:
            log, recipe = self.single._measure(params, state, statistics, x, t, weight), self._recipe(own)
            return log if recipe.penalty is None else {**log, "penalty": recipe.penalty.value(params)}

        return jax.vmap(one)(params, state, numbers)

    def _recipe(self, numbers: dict[str, Any]) -> Recipe:
        """The recipe of one member."""
        recipe = self.recipe
        for place, number in numbers.items():
            recipe = with_number(recipe, place, number)
        return recipe


def combined(loss: Any, outputs: Any, heard: Any = None) -> Array:
    """The members' outputs (members, batch, ...) as one, in the form that the loss reads.

    The mean over the members: of values as they are, of logits and probabilities as probabilities. For logits it is
    brought back to logits, ln p or, for one sigmoid each, ln p − ln(1 − p). `heard` (members, batch): who counts.
    """
    wide = outputs if outputs.dtype.itemsize > 2 else outputs.astype(jnp.float32)
    parts = wide if loss.expects == "values" else loss.probabilities(wide)
    if heard is None:
        mean = jnp.mean(parts, axis=0)
    else:
        heard = heard.reshape(*heard.shape, *(1,) * (parts.ndim - 2))
        mean = jnp.sum(jnp.where(heard, parts, 0), axis=0) / jnp.maximum(jnp.sum(heard, axis=0), 1).astype(parts.dtype)
    if loss.expects != "logits":
        return mean
    least = jnp.finfo(mean.dtype).tiny
    logits = jnp.log(jnp.maximum(mean, least))
    if loss.threshold is None:  # compared with each other: softmax
        return logits
    return logits - jnp.log(jnp.maximum(1 - mean, least))


@jax.jit
def member_of(runs: Any, index: Any) -> Any:
    """The arrays of one member among stacked ones."""
    return jax.tree.map(lambda a: a[index], runs)


@functools.lru_cache(maxsize=16)
def member_programs_for(recipe: Recipe, places: tuple[str, ...] = ()) -> MemberPrograms:
    """The programs of a recipe, compiled once per process and shape."""
    return MemberPrograms(recipe, places)


def with_number(part: Any, place: str, number: Any) -> Any:
    """A description with the number at a place such as "optimizer.learning_rate" replaced, even by a traced one.

    Raises:
        ConfigError: the place leads to no number; the nearest is named.
    """
    name, _, rest = place.partition(".")
    if isinstance(part, tuple):
        if len(part) == 2 and isinstance(part[0], str):  # ("name", layer)
            return (part[0], with_number(part[1], place, number))
        if not name.isdigit() or int(name) >= len(part):
            raise ConfigError(f"{name!r} is none of the {counted(len(part), 'entry')}, numbered from 0.")
        entries = list(part)
        entries[int(name)] = with_number(part[int(name)], rest, number)
        return tuple(entries)
    known = [field.name for field in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else []
    if name not in known:
        raise ConfigError(f"No number {place!r} in {type(part).__name__}: {nearest(name, known, plural='names')}")
    found = getattr(part, name)
    if not rest and (isinstance(found, bool) or not isinstance(found, (int, float, jax.Array))):
        raise ConfigError(f"{name} of {type(part).__name__} is {found!r}, which is no number.")
    changed = copy.copy(part)  # past `validate`, which cannot look into a traced number; the caller has let it look
    object.__setattr__(changed, name, with_number(found, rest, number) if rest else number)
    return changed


def sampled_rows(examples: int, members: int, seed: int) -> np.ndarray:
    """How often each example is in each member's bootstrap sample, (members, examples); rows add up to examples."""
    rng = np.random.default_rng((seed, 0xBA6))
    return np.stack([np.bincount(rng.integers(examples, size=examples), minlength=examples) for _ in range(members)])


@dataclass(frozen=True)
class Together:
    """The order in which every member sees its examples.

    Args:
        rows: for each member the rows it learns from, all equally many.
        plans: each member's order of these.
    """

    rows: tuple[np.ndarray, ...]
    plans: tuple[BatchPlan, ...]

    @classmethod
    def of(cls, examples: int, batch_size: int, seeds: Any, shuffle: bool, counts: np.ndarray | None) -> Together:
        """With counts, a member goes through its distinct examples; who has fewer takes examples of count 0 besides."""
        if counts is None:
            rows = [np.arange(examples, dtype=np.int32)] * len(seeds)
        else:
            most = int((counts > 0).sum(axis=1).max())
            rows = [np.argsort(own == 0, kind="stable")[:most].astype(np.int32) for own in counts]
        size = min(batch_size, len(rows[0]))
        return cls(tuple(rows), tuple(BatchPlan(len(rows[0]), size, int(seed), shuffle) for seed in seeds))

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.plans[0].steps

    def batches(self, epoch: int) -> np.ndarray:
        """The full batches of an epoch, (full, members, batch size)."""
        each = [rows[plan.batches(epoch)] for rows, plan in zip(self.rows, self.plans, strict=True)]
        return np.stack(each, axis=1)

    def last(self, epoch: int) -> np.ndarray:
        """The smaller last batch, (1, members, rest)."""
        return np.stack([rows[plan.last(epoch)] for rows, plan in zip(self.rows, self.plans, strict=True)], axis=1)


class Members:
    """Members in training, seen by a progress bar as one training is.

    Attributes:
        runs: the stacked runs.
        histories: what happened to each member.
        history: means over the members, and what `measure` gives after each epoch.
        finite: whether a member's numbers are all finite, (members,).
    """

    def __init__(
        self, programs: MemberPrograms, runs: Run, numbers: Any, statistics: Any, data: Any, counts: Any, plan: Together
    ) -> None:
        self.programs, self.runs, self.numbers, self.statistics = programs, runs, numbers, statistics
        self.data = jax.device_put(data)
        self.counts = None if counts is None else jax.device_put(counts.astype(np.uint16))
        self.plan, self.count = plan, len(plan.rows)
        self.histories = [History() for _ in range(self.count)]
        self.history, self.stopped, self.row = History(), "", {}
        self.at, self.epochs, self.steps = Position(), 0, 0
        self.finite = np.ones(self.count, bool)
        self.pace = FIRST_CHUNK

    def go(self, epochs: int, measure: Callable[[], dict[str, Any]], progress: Any, interrupted: Any) -> None:
        """Train for so many epochs more; Ctrl-C ends it between chunks, with the numbers of the last one."""
        self.epochs = self.at.epoch + epochs
        session = progress.begin(self)
        try:
            while self.at.epoch < self.epochs:
                started = time.perf_counter()
                self._epoch(session, interrupted)
                self.row |= measure()
                self.history.epochs.append(self.row)
                self.history.seconds.append(time.perf_counter() - started)
                session.on_epoch_end()
        except BaseException as error:
            session.on_failure(error)
            raise
        session.on_end()

    def _epoch(self, session: Any, interrupted: Any) -> None:
        plan, epoch, logs = self.plan, self.at.epoch, []
        full = plan.batches(epoch)
        while self.at.batch < plan.steps:
            order = full[self.at.batch : self.at.batch + self.pace] if self.at.batch < len(full) else plan.last(epoch)
            logs.append(self._chunk(order, len(full)))
            self.at = dataclasses.replace(self.at, batch=self.at.batch + len(order))
            session.on_progress()
            if interrupted():
                raise KeyboardInterrupt
        self.at = Position(epoch + 1)
        self._account(jax.tree.map(lambda *parts: np.concatenate(parts), *logs))

    def _chunk(self, order: np.ndarray, full: int) -> Any:
        count, capacity = len(order), len(order) if order.shape[0] == 1 else min(_MOST_STEPS, full)
        filled = np.zeros((capacity, *order.shape[1:]), np.int32)
        filled[:count] = order
        started = time.perf_counter()
        self.runs, logs, finite = self.programs.train(
            self.runs, self.numbers, self.statistics, self.data, self.counts, filled, np.int32(count)
        )
        logs = jax.tree.map(lambda a: np.asarray(a)[:count], logs)
        self.finite = np.asarray(finite)
        self.steps += count
        if count == self.pace and time.perf_counter() - started < CHUNK_SECONDS / 2:
            self.pace = min(2 * self.pace, _MOST_STEPS)
        return logs

    def _account(self, logs: Any) -> None:
        rows = []
        for member, history in enumerate(self.histories):
            own = jax.tree.map(lambda a, m=member: a[:, m], logs)
            rows.append({"epoch": self.at.epoch, "step": self.steps, **summarize(self.programs.recipe, own)})
            history.epochs.append(rows[-1])
        self.row = {**rows[0], **{name: float(np.mean([row[name] for row in rows])) for name in _numbers(rows[0])}}


def _numbers(row: dict[str, Any]) -> list[str]:
    return [name for name, value in row.items() if isinstance(value, float)]

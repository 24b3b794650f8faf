"""Many runs of one recipe in one compiled program: their arrays are stacked, a step of all is one step.

The members may differ in their seed, in the weights of their examples (bootstrap), and in numbers of the
descriptions, such as a learning rate: those become arguments of the program, so one compilation serves all values.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Array
from denpa.data.counted import counted
from denpa.training.compiled import compiled, compiled_once, compiled_training
from denpa.training.program import Programs, Recipe, Run, key_of_run
from denpa.training.side_by_side import SideBySide

__all__ = [
    "MemberPrograms",
    "combined",
    "member_of",
    "member_programs_for",
    "only_of",
    "with_member",
    "with_number",
]


class MemberPrograms:
    """The compiled programs of a recipe with stacked runs; `places` names the numbers in which members differ."""

    def __init__(self, recipe: Recipe, places: tuple[str, ...] = ()) -> None:
        self.recipe, self.places = recipe, places
        self.single = Programs(recipe)
        self.paces: dict[int, int] = {}  # steps in a chunk that last long enough, by the examples in a step
        self.init = compiled_once(self._init, static_argnums=(1,))
        train = compiled_training(
            self._train, recipe.kernels, recipe, places, rows=lambda *given: recipe.rows(given[2], given[4])
        )
        self.train = SideBySide(train, in_axes=(0, 0, None, None, 0, 1, None), out_axes=(0, 1, 0))
        self.step = compiled(self._step, recipe.kernels, recipe, places)  # traced once, though `train` reads it twice
        self.each = compiled(self._each, recipe.kernels, recipe, places)
        self.together = compiled(self._together, recipe.kernels, recipe, places)
        self.measure = compiled(self._measure, recipe.kernels, recipe, places)
        self.measure_apart = compiled(self._measure_apart, recipe.kernels, recipe, places)

    def _init(self, seeds: Array, shape: Any, numbers: Any = None) -> Run:
        """Runs before their first step; each member's network and optimiser begin by its own numbers."""

        def one(seed: Array, own: Any) -> Run:
            recipe = self._recipe(own)
            params, state = recipe.net.init(jax.random.key(seed), shape)
            return Run(params, state, recipe.optimizer.init(params), key_of_run(seed), jnp.zeros((), jnp.int32))

        return jax.vmap(one)(seeds, numbers or {})

    def _step(self, runs: Run, numbers: Any, statistics: Any, data: Any, counts: Any, rows: Array) -> tuple[Run, Any]:
        """One step of all members; `rows` (members, batch size) names the examples of each one's batch.

        `counts` (members, examples) says how much an example weighs for each member; None: 1.
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

        return jax.vmap(one, in_axes=(0, 0, None if counts is None else 0, 0))(runs, numbers, counts, rows)

    def _train(
        self, runs: Run, numbers: Any, statistics: Any, data: Any, counts: Any, order: Array, count: Array
    ) -> tuple[Run, Any, Array]:
        """`count` steps of all members; `order` (capacity, members, batch size) names the rows of each one's batches.

        Returns the runs, each step's logs (capacity, members, ...) and whether a member is finite (members,).
        """
        order = jnp.asarray(order)  # already so, but under `jax.disable_jit`

        def step(runs: Run, rows: Array) -> tuple[Run, Any]:
            return self.step(runs, numbers, statistics, data, counts, rows)

        def body(index: Array, carry: Any) -> Any:
            runs, logs = carry
            runs, log = step(runs, order[index])
            return runs, jax.tree.map(lambda all_, now: all_.at[index].set(now), logs, log)

        shapes = jax.eval_shape(lambda: step(runs, order[0])[1])
        logs = jax.tree.map(lambda s: jnp.zeros((order.shape[0], *s.shape), s.dtype), shapes)
        runs, logs = jax.lax.fori_loop(0, count, body, (runs, logs))
        return runs, logs, jax.vmap(tree.all_finite)((runs.params, runs.state))

    def _outputs(self, params: Any, state: Any, statistics: Any, x: Any) -> Any:
        """What each member's network gives: (members, batch, ...)."""
        return jax.vmap(lambda p, s: self.single._output(p, s, statistics, x))(params, state)

    def _each(self, params: Any, state: Any, statistics: Any, x: Any) -> Any:
        """What each member answers, in the units of the targets: (members, batch, ...)."""
        outputs = self._outputs(params, state, statistics, x)
        return jax.vmap(lambda y: self.recipe.answer(statistics, y))(outputs)  # a normaliser knows no axis of members

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


@jax.jit
def with_member(runs: Any, index: Any, one: Any) -> Any:
    """Stacked arrays with those of one member replaced."""
    return jax.tree.map(lambda all_, own: all_.at[index].set(own), runs, one)


@jax.jit
def only_of(going: Array, after: Any, before: Any) -> Any:
    """Stacked arrays after some steps, but of the members that are not `going` (members,) those from before."""

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(going.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(chosen, after, before)


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
    if isinstance(number, (int, float)) and not rest:
        number = int(number) if isinstance(found, int) and number == int(number) else float(number)
    changed = copy.copy(part)  # past `validate`, which cannot look into a traced number; the caller has let it look
    object.__setattr__(changed, name, with_number(found, rest, number) if rest else number)
    return changed

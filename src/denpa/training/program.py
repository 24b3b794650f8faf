"""The compiled programs: many training steps in one, measuring, predicting.

One call of `train` runs a chunk of steps in a single XLA program: it gathers each batch by index from
data that stay on the device, walks forward and back, updates, and notes each step's loss and metrics.
The number of steps is an argument of the program, not part of it, so chunks of any length share one
compilation, and a run cut into other chunks still computes the same bits.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.layer import Array, Context, Params, State, Variables
from denpa.core.padded import on_values, step_weights, values_of
from denpa.gradients.backprop import Step, Trace, propagate
from denpa.networks.inputs import entering, readable
from denpa.optim.base import takes_objective
from denpa.training.compiled import compiled, compiled_once, compiled_training
from denpa.training.devices import copied, divided, over_devices
from denpa.training.windows import in_windows

__all__ = ["Programs", "Recipe", "Run", "key_of_run", "programs_for"]

_MOST_PROGRAMS = 32  # recipes at hand: each takes some 10 MB, and comes back from disk in 50 ms


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["params", "state", "optimizer", "key", "step"], meta_fields=[]
)
@dataclass(frozen=True)
class Run:
    """All that training changes, as one tree.

    Attributes:
        params: what is learned.
        state: what advances without gradients.
        optimizer: the optimiser's state.
        key: the random key of the run; step n uses `fold_in(key, n)`.
        step: updates made so far, int32.
    """

    params: Params
    state: State
    optimizer: Any
    key: Array
    step: Array


@dataclass(frozen=True)
class Recipe:
    """All that decides which programs are compiled. Equal recipes share their programs."""

    net: Any
    loss: Any
    optimizer: Any
    metrics: tuple[Any, ...] = ()
    penalty: Any = None
    normalizer: Any = None
    compute_dtype: str | None = None
    target_normalizer: Any = None
    kernels: str = "auto"
    window: int = 0
    frozen: tuple[str, ...] = ()
    devices: int = 1

    def thawed(self, before: Any, after: Any) -> Any:
        """`after`, but the arrays whose path fits a pattern of `frozen` as they were before."""
        if not self.frozen:
            return after

        def chosen(path: Any, old: Any, new: Any) -> Any:
            return old if any(tree.matches(tree.path_name(path), pattern) for pattern in self.frozen) else new

        return jax.tree_util.tree_map_with_path(chosen, before, after)

    def still(self, state: State) -> frozenset[str]:
        """Paths of the layers whose whole state is frozen: they normalise by it, as they will in inference."""
        frozen: dict[str, bool] = {}
        for path in tree.flatten(state):
            layer = path.rpartition("/")[0]
            frozen[layer] = frozen.get(layer, True) and any(tree.matches(path, pattern) for pattern in self.frozen)
        return frozenset(layer for layer, whole in frozen.items() if whole)

    def cast(self, arrays: Any) -> Any:
        """Floating-point arrays in the precision to compute in."""
        return arrays if self.compute_dtype is None else tree.cast(arrays, jnp.dtype(self.compute_dtype))

    def prepare(self, statistics: Any, x: Any) -> Any:
        """Raw input as the network takes it: normalised, in floating point unless it reads integers."""
        if self.normalizer is not None:
            x = on_values(lambda values: self.normalizer.apply(statistics, tree.floating(values)), x)
        return readable(self.net, x, self.compute_dtype)

    def aim(self, statistics: Any, t: Any) -> Any:
        """The targets as the network is to give them: normalised."""
        if self.target_normalizer is None:
            return t
        return on_values(lambda values: self.target_normalizer.apply(statistics["targets"], values), t)

    def answer(self, statistics: Any, y: Any) -> Any:
        """The network's output in the units of the targets."""
        if self.target_normalizer is None:
            return y
        y = y.astype(jnp.promote_types(y.dtype, jnp.float32))  # a large mean would cost bfloat16 its digits
        return self.target_normalizer.invert(statistics["targets"], y)

    def point(self, run: Run) -> Params:
        """The parameters at which the gradient is taken: another point than `params` for look-ahead methods."""
        look_ahead = getattr(self.optimizer, "gradient_point", None)
        return run.params if look_ahead is None else self.thawed(run.params, look_ahead(run.params, run.optimizer))

    def gradients(self, run: Run, statistics: Any, x: Any, t: Any, weight: Any) -> tuple[Step, Params]:
        """Forward and backward of the coming step, and the gradients of the whole objective."""
        return self._walked(run, statistics, x, t, weight)

    def examine(self, run: Run, statistics: Any, x: Any, t: Any, weight: Any) -> tuple[Trace, Params]:
        """The same, layer by layer, with all that was met on the way."""
        return self._walked(run, statistics, x, t, weight, record=True)

    def _walked(
        self, run: Run, statistics: Any, x: Any, t: Any, weight: Any, record: bool = False
    ) -> tuple[Any, Params]:
        point = self.point(run)
        variables = Variables(self.cast(point), run.state)
        key = jax.random.fold_in(run.key, run.step)
        x, t = self.prepare(statistics, x), self.aim(statistics, t)
        how: dict[str, Any] = {"key": key, "sample_weight": weight, "still": self.still(run.state), "record": record}
        met = propagate(self.net, self.loss, variables, x, t, **how)
        grads = jax.tree.map(lambda g, p: g.astype(p.dtype), met.grads, run.params)
        if self.penalty is not None:
            grads = self.penalty.add_gradient(point, grads)
        return met, self.thawed(tree.zeros_like(grads), grads)

    def step(self, run: Run, statistics: Any, x: Any, t: Any, weight: Any) -> tuple[Run, dict[str, Any]]:
        """One update, or one for each window, and what is to be noted of it."""
        if self.window:
            after, log = in_windows(self._update, self, run, statistics, x, t, weight)
        else:
            after, log = self._update(run, statistics, x, t, weight)
        # Here, for the carry that goes from window to window is state as well, and no part of what is frozen.
        return dataclasses.replace(after, state=self.thawed(run.state, after.state)), log

    def _update(self, run: Run, statistics: Any, x: Any, t: Any, weight: Any) -> tuple[Run, dict[str, Any]]:
        met, grads = self.gradients(run, statistics, x, t, weight)
        log = self.measure(statistics, x, met.output, t, weight)
        objective = self._objective(run, statistics, x, t, weight, met, grads)
        updates, optimizer = self.optimizer.update(grads, run.optimizer, run.params, **objective)
        params = jax.tree.map(lambda p, u: p + u.astype(p.dtype), run.params, updates)
        if self.penalty is not None:
            log["penalty"] = self.penalty.value(run.params)
            if getattr(self.penalty, "proximal", False):
                params = self.penalty.shrink(params, self.optimizer.step_sizes(run.optimizer, optimizer, params))
        log |= self.price(met.output, met.cost)
        return Run(self.thawed(run.params, params), met.state, optimizer, run.key, run.step + 1), log

    def _objective(
        self, run: Run, statistics: Any, x: Any, t: Any, weight: Any, met: Step, grads: Params
    ) -> dict[str, Any]:
        """What Optax's line searches ask for beside gradients: E with its penalty, here and at other parameters."""
        if not takes_objective(self.optimizer):
            return {}

        def whole(error: Any, there: Run) -> Any:
            error = error.astype(jnp.promote_types(error.dtype, jnp.float32))
            return error if self.penalty is None else error + self.penalty.value(self.point(there))

        def value_of(params: Params) -> Any:
            there = dataclasses.replace(run, params=params)
            return whole(self.gradients(there, statistics, x, t, weight)[0].loss, there)  # XLA leaves the way back out

        return {"value": whole(met.loss, run), "grad": grads, "value_fn": value_of}

    def rows(self, data: Any, order: Any) -> int:
        """How many rows the products of a step over `data` have: examples, or in each all its steps or pixels."""
        features = 1 if self.net.takes_integers is False else 0  # in the last axis; a token has none
        inside = max(math.prod(array.shape[1 : array.ndim - features]) for array in jax.tree.leaves(data[0]))
        return order.shape[-1] * inside

    def price(self, y: Any, cost: Any) -> dict[str, Any]:
        """What layers add to the objective, in a form that adds up over batches, and the rows of y; empty without any.

        Where the objective is a mean over the examples, each batch has as much to say as it has rows.
        """
        if not isinstance(cost, jax.Array):
            return {}
        rows = jnp.int32(len(jax.tree.leaves(y)[0]))
        return {"cost": cost if self.loss.reduction == "sum" else cost * rows.astype(cost.dtype), "rows": rows}

    def measure(self, statistics: Any, x: Any, y: Any, t: Any, weight: Any) -> dict[str, Any]:
        """Sums over a batch that add up over batches: of the loss, its weight, and every metric.

        y is what the network gives. The loss compares it with normalised targets, metrics speak in their units.
        """
        weight, t = step_weights(self.loss, x, y, t, weight), values_of(t)
        total, count = self.loss.sums(y, self.aim(statistics, t), weight)
        y = self.answer(statistics, y)
        metrics = {metric.name: metric.measure(y, t, weight) for metric in self.metrics}
        return {"loss": total, "weight": count, "metrics": metrics}


class Programs:
    """The compiled programs of one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.paces: dict[int, int] = {}  # steps in a chunk that last long enough, by batch size
        self.moments = compiled_once(recipe.optimizer.init, recipe.optimizer)
        train = compiled_training(
            self._train, recipe.kernels, recipe, rows=lambda _, data, order, __: recipe.rows(data, order)
        )
        self.train = over_devices(train, recipe.devices)
        self.step = compiled(recipe.step, recipe.kernels, recipe)  # traced once, though `train` reads it twice
        self.measure = compiled(self._measure, recipe.kernels, recipe)
        self.predict = compiled(self._predict, recipe.kernels, recipe)
        self.examine = compiled(recipe.examine, recipe.kernels)
        # Small, but each of their operations would be compiled for itself.
        self.charge = jax.jit(lambda params: recipe.penalty.value(params))
        self.probabilities = jax.jit(lambda y: recipe.loss.probabilities(y))
        self.decide = jax.jit(lambda y: recipe.loss.decide(y))

    def init(self, seed: Any, shape: Any) -> Run:
        """A run before its first step; `shape` is that of one example as the network sees it."""
        params, state, key = _fresh(self.recipe.net, shape)(seed)
        return Run(params, state, self.moments(params), key, jax.device_put(np.int32(0)))

    def _train(self, run: Run, statistics: Any, data: Any, order: Array, count: Array) -> tuple[Run, Any, Array]:
        """`count` steps over the batches whose rows `order` (capacity, batch size) names.

        Returns the run after them, each step's log (capacity, ...) and whether parameters and state are finite.
        """
        devices = self.recipe.devices
        order = jnp.asarray(order)  # already so, but under `jax.disable_jit`, for those who look with a debugger

        def batch(index: Array) -> Any:
            rows = divided(order[index], devices)
            return divided(jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), data), devices)

        def body(index: Array, carry: Any) -> Any:
            run, logs = carry
            run, log = copied(self.step(run, statistics, *batch(index)), devices)
            return run, jax.tree.map(lambda all_, one: all_.at[index].set(one), logs, log)

        shapes = jax.eval_shape(lambda: self.step(run, statistics, *batch(jnp.zeros((), jnp.int32)))[1])
        logs = jax.tree.map(lambda s: jnp.zeros((order.shape[0], *s.shape), s.dtype), shapes)
        run, logs = jax.lax.fori_loop(0, count, body, (run, logs))
        return run, logs, tree.all_finite((run.params, run.state))

    def _measure(self, params: Params, state: State, statistics: Any, x: Any, t: Any, weight: Any) -> dict[str, Any]:
        y, cost = self._forward(params, state, statistics, x)
        return self.recipe.measure(statistics, x, y, t, weight) | self.recipe.price(y, cost)

    def _predict(self, params: Params, state: State, statistics: Any, x: Any) -> Any:
        return self.recipe.answer(statistics, self._output(params, state, statistics, x))

    def _output(self, params: Params, state: State, statistics: Any, x: Any) -> Any:
        return self._forward(params, state, statistics, x)[0]

    def _forward(self, params: Params, state: State, statistics: Any, x: Any) -> tuple[Any, Any]:
        """The network's output in inference, and what its layers add to the objective."""
        recipe = self.recipe
        ctx = Context(train=False, state=state, reduction=recipe.loss.reduction)
        y, saved = recipe.net.forward(recipe.cast(params), *entering(recipe.prepare(statistics, x), ctx))
        return y if recipe.compute_dtype is None else tree.cast(y, jnp.float32), recipe.net.cost(saved)


@functools.lru_cache(maxsize=_MOST_PROGRAMS)
def _fresh(net: Any, shape: Any) -> Callable[[Any], tuple[Params, State, Array]]:
    """Variables and the key of a run. A program of its own, for models that differ in all but the network share it."""

    def fresh(seed: Array) -> tuple[Params, State, Array]:
        params, state = net.init(jax.random.key(seed), shape)
        return params, state, key_of_run(seed)

    return compiled_once(fresh, net, shape)


@jax.jit
def key_of_run(seed: Array) -> Array:
    """The random key of a run, which is none of those that its network began with."""
    return jax.random.fold_in(jax.random.key(seed), 0)


@functools.lru_cache(maxsize=_MOST_PROGRAMS)
def programs_for(recipe: Recipe) -> Programs:
    """The programs of a recipe, compiled once per process and shape."""
    return Programs(recipe)

"""Members in training: the training loop of one model, with the numbers of many."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import jax
import numpy as np

from denpa.core.errors import ConfigError, DivergenceError
from denpa.core.layer import Variables
from denpa.data.counted import counted
from denpa.training.callbacks import Callback, Session
from denpa.training.divergence import first_not_finite
from denpa.training.early_stopping import EarlyStopping
from denpa.training.history import History
from denpa.training.loop import Training, summarize
from denpa.training.members import MemberPrograms, member_of, only_of
from denpa.training.members_stopping import StopEach
from denpa.training.plain import are, is_count, is_table, taken
from denpa.training.program import Programs, Run

__all__ = ["Members", "Stacked", "begun", "check_options", "mean_of"]


class Stacked:
    """The numbers of many members, with what a training reads and writes of a model.

    Attributes:
        run: the stacked run of all members.
        history: means over the members.
        histories: that of each member.
        epochs, steps: how many were trained.
        member_epochs: the same of each member; those that early stopping ended have fewer, and their steps in `run`.
        numbers: those in which members differ, (members,) by place.
    """

    programs: Any
    statistics: Any

    def __init__(self, members: int) -> None:
        self.run: Any = None
        self.history, self.histories = History(), [History() for _ in range(members)]
        self.epochs = self.steps = 0
        self.member_epochs = [0] * members
        self.numbers: dict[str, Any] = {}

    @property
    def variables(self) -> Variables:
        """Parameters and state, the members' stacked; assign to replace them."""
        return Variables(self.run.params, self.run.state)

    @variables.setter
    def variables(self, variables: Variables) -> None:
        self.run = replace(self.run, params=variables[0], state=variables[1])

    def advance(self, run: Run, count: int) -> None:
        """Take over the numbers after `count` more steps."""
        self.run = run
        self.steps += count

    def measure_apart(self, batches: list[Any]) -> list[dict[str, Any]]:
        """Loss and metrics of each member over batches on the device."""
        programs, given = self.programs, (*self.variables, self.numbers, self.statistics)
        logs = [programs.measure_apart(*given, *batch) for batch in batches]
        stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *logs)
        parts = [jax.tree.map(lambda a, m=m: a[:, m], stacked) for m in range(len(self.histories))]
        return [summarize(programs.recipe, part) for part in parts]


class Members(Training):
    """One call of `fit` of many members; `model` is their `Stacked` numbers, `plan` a `Together`.

    Attributes:
        apart: the numbers of the latest epoch or step, of each member.
        held: the latest measurement of each member on the validation data, where they are measured apart.
        finite: whether a member's numbers are all finite, (members,).
    """

    def __init__(self, model: Any, programs: Any, data: Any, plan: Any, epochs: int, **options: Any) -> None:
        """Further arguments: `counts`, what each example weighs for each member; `independent` for members that have
        nothing to do with each other, so that one that diverges is left to itself; and those of `Training`.
        """
        counts = options.pop("counts", None)
        self.counts = None if counts is None else jax.device_put(counts)
        self.single: Programs = programs.single
        self.independent: bool = options.pop("independent", False)
        self.apart: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []
        self.finite = np.ones(len(plan.plans), bool)
        model.histories = [_unstopped(history) for history in model.histories]
        rules = [
            StopEach(rule) if isinstance(rule, EarlyStopping) and rule.members == "each" else rule
            for rule in options.pop("callbacks", ())
        ]
        self.measured_apart = self.independent or any(isinstance(rule, StopEach) for rule in rules)
        super().__init__(model, programs, data, plan, epochs, callbacks=(Histories(), *rules), **options)

    @property
    def going(self) -> np.ndarray:
        """Whether early stopping has left a member in training, (members,)."""
        return np.array([not history.stopped for history in self.model.histories])

    def summarize(self, logs: Any) -> dict[str, Any]:
        """Means over the members in training; the numbers of each are in `apart`."""
        members = range(len(self.finite))
        parts = [jax.tree.map(lambda a, m=member: a[:, m], logs) for member in members]
        self.apart = [summarize(self.programs.recipe, part) for part in parts]
        return self._mean(self.apart)

    def _mean(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return mean_of([row for row, going in zip(rows, self.going, strict=True) if going] or rows)

    def measure_apart(self) -> None:
        """Measure each member on the validation data, where there are any, for `held`."""
        if self.validation is not None:
            apart = self.model.measure_apart(self.validation)
            self.held = [{f"validation_{name}": value for name, value in row.items()} for row in apart]

    def measure_validation(self) -> dict[str, Any]:
        """What the members reach together; independent ones on the average of those in training."""
        if self.measured_apart:
            self.measure_apart()
        return self._mean(self.held) if self.independent and self.held else super().measure_validation()

    def _record_steps(self, logs: Any, count: int) -> None:
        for index in range(count):
            step = {"step": self.step - count + 1 + index}
            self.history.steps.append(step | self.summarize(jax.tree.map(lambda a, i=index: a[i : i + 1], logs)))
            for history, row in zip(self.model.histories, self.apart, strict=True):
                if not history.stopped:
                    history.steps.append(step | row)

    def _check_batches(self) -> None:
        members = len(self.finite)
        for rows in {self.plan.batch_size, self.plan.rest} - {0}:
            order = jax.ShapeDtypeStruct((members, rows // members), np.int32)
            given = self.run, self.model.numbers, self.model.statistics, self.data, self.counts, order
            self.programs.step.check(*given)

    def _chunk(self) -> None:
        order, count, _ = self._next_batches()
        before, start = self.run, time.perf_counter()
        run, logs, finite = self._trained(before, order, count)
        logs = jax.tree.map(lambda a: np.asarray(a)[:count].copy(), logs)
        finite = np.asarray(finite) & np.isfinite(logs["loss"]).all(axis=0)
        self.finite = np.where(self.going, finite, self.finite)
        if not self.independent and not self.finite.all():
            self._diverged(before, order, logs)
        self._adapt(time.perf_counter() - start, count)
        self.take(run, logs, count)

    def _trained(self, run: Run, order: np.ndarray, count: int) -> tuple[Run, Any, Any]:
        order = order.reshape(len(order), len(self.finite), -1)
        given, going = (self.model.numbers, self.model.statistics, self.data, self.counts), self.going
        after, logs, finite = self.programs.train(run, *given, order, np.int32(count))
        if going.all():
            return after, logs, finite
        # All make the steps, for they are made together; what those that have stopped came to is forgotten.
        return only_of(going, after, run), {**logs, "loss": np.where(going, logs["loss"], 0)}, finite | ~going

    def _diverged(self, before: Run, order: np.ndarray, logs: Any) -> NoReturn:
        """Keep the last moment at which all members were finite, and say which one was not and why.

        Training is deterministic, so the replay from the start of the chunk meets the same numbers.
        """
        bad = ~np.isfinite(logs["loss"]).all(axis=1)
        good, failed = 0, int(np.argmax(bad)) if bad.any() else len(bad)
        if np.all(self._trained(before, order, failed)[2]):
            good = failed
        while failed - good > 1:
            middle = (good + failed) // 2
            good, failed = (middle, failed) if np.all(self._trained(before, order, middle)[2]) else (good, middle)
        run = self._trained(before, order, good)[0]
        _, log, finite = self._trained(run, np.roll(order, -good, axis=0), 1)
        member = int(np.argmin(np.asarray(finite) & np.isfinite(np.asarray(log["loss"])[0])))
        culprit = self._culprit(run, member, order[good].reshape(len(self.finite), -1)[member])
        self.take(run, jax.tree.map(lambda a: a[:good], logs), good)
        raise DivergenceError(
            f"Training stopped at step {self.step + 1}: of member {member}, {culprit} is not finite. All members keep "
            f"their last good state, after {counted(self.step, 'step')}. Try a smaller learning rate, clip gradients "
            "with dp.chain(dp.ClipByNorm(1.0), ...), or normalise the input."
        )

    def _culprit(self, run: Run, member: int, rows: np.ndarray) -> str:
        x, t, weight = jax.tree.map(lambda a: a[rows], self.data)
        if self.counts is not None:
            drawn = self.counts[member, rows]
            weight = drawn if weight is None else weight * drawn.reshape(-1, *(1,) * (weight.ndim - 1))
        given = self.model.statistics, x, t, weight
        return first_not_finite(*self.single.examine(member_of(run, member), *given)) or "a number it learned"


@dataclass(frozen=True)
class Histories(Callback):
    """Keeps the history of each member."""

    def begin(self, training: Any) -> Session:
        return HistoriesSession(training)


class HistoriesSession(Session):
    """Notes each member's epochs, and remembers them for a run that is resumed."""

    watches_epochs = False

    def on_epoch_end(self) -> None:
        training = self.training
        for member in np.flatnonzero(training.going):
            held = training.held[member] if training.held else {}
            at = {"epoch": training.row["epoch"], "step": training.row["step"]}
            training.model.histories[member].epochs.append({**at, **training.apart[member], **held})
            training.model.member_epochs[member] += 1

    def on_end(self) -> None:
        for history in self.training.model.histories:
            history.stopped = history.stopped or self.training.stopped

    def memory(self) -> tuple[dict[str, Any], dict[str, Any]]:
        model = self.training.model
        return {"members": [history.to_config() for history in model.histories], "epochs": model.member_epochs}, {}

    def remember(self, values: dict[str, Any], arrays: dict[str, Any]) -> None:
        values = taken(values, {"members": are(is_table), "epochs": are(is_count)})
        self.training.model.histories = [History.from_config(config) for config in values["members"]]
        self.training.model.member_epochs = values["epochs"]


def _unstopped(history: History) -> History:
    """The history as training goes on."""
    history = copy.copy(history)
    history.stopped, history.best_epoch = "", None
    return history


def mean_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each entry over the members."""
    columns = {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}
    return {name: float(value) if value.ndim == 0 else value for name, value in columns.items()}


def begun(programs: MemberPrograms, model: Any, seeds: np.ndarray, shape: Any, numbers: Any, given: bool) -> Run:
    """The members before their first step.

    What the model was `given`, by loading weights or setting variables, is where every member starts: all arrays of
    the model that are not those that its seed draws. The others each member draws by its own seed.
    """
    runs = programs.init(seeds, shape, numbers)
    if not given:
        return runs
    drawn = model.programs.init(np.uint32(model.seed), shape)

    def chosen(own: Any, fresh: Any, each: Any) -> Any:
        return each if np.array_equal(own, fresh) else jax.device_put(np.broadcast_to(own, each.shape))

    params, state = jax.tree.map(
        chosen, (model.run.params, model.run.state), (drawn.params, drawn.state), (runs.params, runs.state)
    )
    return replace(runs, params=params, state=state)


def check_options(rules: Any, buckets: Any, devices: Any = None) -> None:
    """Refuse what members that train together cannot do, by `ConfigError`."""
    if devices is not None:
        raise ConfigError("devices divide the batches of a single model among them: leave devices out for members.")
    if buckets is not None:
        raise ConfigError(
            "buckets cut each batch to its longest sequences, but members make their steps together, in arrays of one "
            "shape: leave buckets out. Padding leaves no trace, so the numbers are the same."
        )
    if any(isinstance(rule, EarlyStopping) and rule.retrain is not None for rule in rules):
        raise ConfigError(
            "EarlyStopping(retrain=...) adds the validation data to the examples, of which members have drawn their "
            "samples: leave retrain out, and train new members on all data for the best epochs of the histories."
        )

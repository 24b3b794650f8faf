"""The training loop: chunks of compiled steps, and what happens between them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.training.batches import BatchPlan
from denpa.training.buckets import Buckets
from denpa.training.compiled import give_back_memory
from denpa.training.devices import everywhere
from denpa.training.divergence import raise_divergence
from denpa.training.history import History
from denpa.training.inputs import Batch
from denpa.training.plain import is_number
from denpa.training.preparation import network_shape
from denpa.training.program import Programs, Run

__all__ = ["CHUNK_SECONDS", "FIRST_CHUNK", "Position", "Training"]

# A chunk lasts about this long, so that progress, Ctrl-C and a diverging run are seen soon.
CHUNK_SECONDS = 0.5
FIRST_CHUNK = 16
_MOST_STEPS = 4096
_MOST_NUMBERS = 1 << 24  # that the steps of a chunk note of themselves
_LARGE_SUM = 64  # numbers of a metric that are not kept for every step of an epoch
_MANY = 1 << 20  # parameters whose arrays are worth the milliseconds that it takes to give freed memory back


@dataclass(frozen=True)
class Position:
    """Where a run stands: epochs finished, batches done in the current one, and these batches' logs."""

    epoch: int = 0
    batch: int = 0
    logs: tuple[Any, ...] = field(default=(), repr=False)


class Training:
    """One call of `fit` on its way; callbacks read it and may call `stop`.

    Attributes:
        model: the model in training; its variables are current whenever a callback runs.
        history: what has happened so far, over all calls of `fit`.
        plan: the order of the examples.
        epochs: train until so many epochs are finished in all.
        first_epoch, first_step: epochs finished and updates made when this call of `fit` began.
        resumed: whether it goes on from a checkpoint.
        at: the position.
        row: the latest row of the history.
        settled: whether numbers and bookkeeping are of one moment; not so inside a callback.
        gave_back: when freed memory last went back to the system; never does it where there are few parameters.
    """

    def __init__(
        self,
        model: Any,
        programs: Programs,
        data: tuple[Any, Any, Any],
        plan: BatchPlan,
        epochs: int,
        *,
        validation: list[Batch] | None = None,
        callbacks: tuple[Any, ...] = (),
        record_steps: bool = False,
        most_steps: int | None = None,
        resumed: bool = False,
    ) -> None:
        self.model, self.programs, self.plan, self.epochs = model, programs, plan, epochs
        self.last_step = math.inf if most_steps is None else model.steps + most_steps
        self.first_epoch, self.first_step, self.resumed = model.epochs, model.steps, resumed
        self.best: dict[Any, dict[str, Any]] = {}
        devices = programs.recipe.devices
        self.data = everywhere(data, devices)
        self.buckets = Buckets.of(data, plan.buckets, devices) if plan.buckets else None
        self.validation, self.record_steps = validation, record_steps
        self.history: History = model.history
        self.at = Position(epoch=model.epochs)
        self.started = time.perf_counter()
        self.pace = programs.paces.get(plan.batch_size, FIRST_CHUNK)
        self.stopped = ""
        self.row: dict[str, Any] = {}
        self.settled = True
        self.gave_back = self.started if tree.count(self.run.params) >= _MANY else math.inf
        self._check_batches()
        self.sessions = [callback.begin(self) for callback in callbacks]
        self.periods = [session.period for session in self.sessions if session.period]
        self.watched = validation is not None or any(session.watches_epochs for session in self.sessions)
        self.capacity = self._capacity()

    @property
    def run(self) -> Run:
        """The numbers of the run."""
        return self.model.run

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self.model.steps

    def stop(self, reason: str) -> None:
        """End training after the current epoch's bookkeeping."""
        self.stopped = reason

    def go(self, interrupted: Callable[[], bool] = lambda: False) -> History:
        """Train to the end; on an error, or when `interrupted` says so, the model keeps its last good state."""
        self.history.best_epoch = self.history.retraining = self.history.updates = None
        try:
            for session in self.sessions:
                session.on_start()
            while self.at.epoch < self.epochs and self.step < self.last_step and not self.stopped:
                self._chunk()
                if interrupted():
                    raise KeyboardInterrupt
        except BaseException as error:
            if (graver := self._tell(error)) is not error and graver is not None:
                raise graver from None
            raise
        else:
            self.history.stopped = self.stopped
            if (error := self._tell(None)) is not None:
                raise error
        finally:
            self.sessions = []  # each holds this training: without the circle its arrays are freed with the model
        return self.history

    def _tell(self, failure: BaseException | None) -> BaseException | None:
        """Tell every session of the end, or of a failure, whatever becomes of the others; the error to raise, if any.

        After a Ctrl-C nothing more is begun: the rest hear of a failure.
        """
        raised = failure
        # A run is written down as training left it, before anything else is put in its place.
        for session in sorted(self.sessions, key=lambda session: session.changes_model):
            try:
                if failure is None:
                    session.on_end()
                else:
                    session.on_failure(failure)
            except BaseException as error:  # noqa: BLE001, a second Ctrl-C too must not keep the others from their end
                raised = _graver(raised, error)
                if failure is None and not isinstance(error, Exception):
                    failure = error
        return raised

    def measure_validation(self) -> dict[str, Any]:
        """Loss and metrics on the validation data now, with `validation_` in front of their names; none without any."""
        if self.validation is None:
            return {}
        return {f"validation_{name}": value for name, value in self.model.measure(self.validation).items()}

    def _check_batches(self) -> None:
        """Trace a step for each size of batch, so that one that does not fit is refused before training starts."""
        for rows in {self.plan.batch_size, self.plan.rest} - {0}:
            batch = jax.tree.map(lambda a, n=rows: jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype), self.data)
            self.programs.step.check(self.run, self.model.statistics, *batch)

    def _capacity(self) -> int:
        """Steps that one call of the program has room for. Epochs run together only when nobody watches their ends."""
        plan = self.plan
        steps = plan.full if self.watched or plan.rest else plan.full * max(self.epochs - self.at.epoch, 1)
        room = min(max(steps, 1), _MOST_STEPS, max(_MOST_NUMBERS // self._numbers_of_a_step(), 1))
        return room if room <= plan.full else 1 << (room - 1).bit_length()

    def _numbers_of_a_step(self) -> int:
        """How many numbers a step notes of itself, for its largest metric."""
        recipe, model = self.programs.recipe, getattr(self.model, "model", self.model)
        if not recipe.metrics:
            return 1
        outputs = max(jax.tree.leaves(recipe.net.out_shape(network_shape(model))))
        return max(metric.size(outputs) for metric in recipe.metrics)

    def _chunk(self) -> None:
        order, count, data = self._next_batches()
        before, start = self.run, time.perf_counter()
        run, logs, finite = self.programs.train(before, self.model.statistics, data, order, np.int32(count))
        logs = jax.tree.map(lambda a: np.asarray(a)[:count].copy(), logs)  # a view would keep the room for all
        if not bool(finite) or not np.isfinite(logs["loss"]).all():
            raise_divergence(self, before, data, order, logs)
        self._adapt(time.perf_counter() - start, count)
        self.take(run, logs, count)

    def _next_batches(self) -> tuple[np.ndarray, int, Any]:
        """The rows of the coming batches, padded to the capacity, how many batches they are, and what to take from."""
        plan, at, buckets = self.plan, self.at, self.buckets
        if at.batch == plan.full:
            return plan.last(at.epoch), 1, self.data
        count = int(min(self.pace, self.capacity, self.last_step - self.step))
        for period in self.periods:
            count = min(count, period - self.step % period)
        left = plan.full - at.batch
        if self.watched or plan.rest:
            count = min(count, left)
        else:
            count = min(count, left + plan.full * (self.epochs - at.epoch - 1))
        rows, epoch, batch = [], at.epoch, at.batch
        while sum(map(len, rows)) < count:
            rows.append((plan.batches(epoch) if buckets is None else buckets.batches(plan, epoch))[batch:])
            epoch, batch = epoch + 1, 0
        chosen = np.concatenate(rows)[:count]
        count, data = (count, self.data) if buckets is None else buckets.together(chosen)
        order = np.zeros((self.capacity, plan.batch_size), np.int32)
        order[:count] = chosen[:count]
        return order, count, data

    def _adapt(self, seconds: float, count: int) -> None:
        if count < self.pace:
            return
        if seconds < CHUNK_SECONDS / 2:
            self.pace = min(2 * self.pace, _MOST_STEPS)
        elif seconds > 2 * CHUNK_SECONDS:
            self.pace = max(self.pace // 2, 1)
        self.programs.paces[self.plan.batch_size] = self.pace

    def take(self, run: Run, logs: Any, count: int) -> None:
        """Take over the numbers after `count` more steps, put their logs to their epochs, tell the sessions."""
        self.settled = False
        self.model.advance(run, count)
        if time.perf_counter() - self.gave_back > CHUNK_SECONDS / 2:
            give_back_memory()
            self.gave_back = time.perf_counter()
        if count:
            self._account(logs, count)
        self.settled = True

    def _account(self, logs: Any, count: int) -> None:
        done = 0
        if self.record_steps:
            self._record_steps(logs, count)
        while done < count:
            take = min(count - done, self.plan.steps - self.at.batch)
            part = jax.tree.map(lambda a, i=done, n=take: a[i : i + n], logs)
            self.at = replace(self.at, batch=self.at.batch + take, logs=_with_part(self.at.logs, part))
            done += take
            if self.at.batch == self.plan.steps:
                self._finish_epoch(self.step - count + done)
        for session in self.sessions:
            if session.period and self.step % session.period == 0:
                session.on_period()
        for session in self.sessions:
            session.on_progress()

    def _record_steps(self, logs: Any, count: int) -> None:
        first = self.step - count + 1
        for index in range(count):
            sums = jax.tree.map(lambda a, i=index: a[i : i + 1], logs)
            self.history.steps.append({"step": first + index, **self.summarize(sums)})

    def _finish_epoch(self, step: int) -> None:
        logs = jax.tree.map(lambda *parts: np.concatenate(parts), *self.at.logs)
        self.at = Position(epoch=self.at.epoch + 1)
        self.model.epochs = self.at.epoch
        self.row = {"epoch": self.at.epoch, "step": step, **self.summarize(logs)}
        if self.validation is not None:
            self.row |= self.measure_validation()
        now = time.perf_counter()
        self.history.epochs.append(self.row)
        self.history.seconds.append(now - self.started)
        self.started = now
        for session in self.sessions:
            session.on_epoch_end()

    def summarize(self, logs: Any) -> dict[str, Any]:
        """Loss, penalty and metrics from the stacked sums of steps, see `summarize`."""
        return summarize(self.programs.recipe, logs)


def _is_large(log: np.ndarray) -> bool:
    return math.prod(log.shape[1:]) > _LARGE_SUM


def _with_part(logs: tuple[Any, ...], part: Any) -> tuple[Any, ...]:
    """The logs of an epoch with a part more. Large sums of metrics are added up at once, in the order of the steps.

    The last part has them then; how many parts there are makes no difference to a bit.
    """
    *before, last = logs or ({**part, "metrics": jax.tree.map(lambda a: a[:0], part["metrics"])},)

    def added(sofar: np.ndarray, new: np.ndarray) -> np.ndarray:
        if not _is_large(new):
            return new
        return np.add.reduce(np.concatenate([sofar.astype(np.float64), new]), axis=0, keepdims=True)

    part = {**part, "metrics": jax.tree.map(added, last["metrics"], part["metrics"])}
    if not logs:
        return (part,)
    emptied = jax.tree.map(lambda a: a[:0] if _is_large(a) else a, last["metrics"])
    return (*before, {**last, "metrics": emptied}, part)


def _graver(first: BaseException | None, another: BaseException) -> BaseException:
    """The error to raise of two: the first, but Ctrl-C before all others. A note on it tells of the other one."""
    if first is None or first is another:
        return another
    if isinstance(first, Exception) and not isinstance(another, Exception):
        first, another = another, first
    first.add_note(f"Besides, {type(another).__name__}: {another}")
    return first


def summarize(recipe: Any, logs: Any) -> dict[str, Any]:
    """Numbers from sums: the objective (data loss plus penalty), the penalty, and every metric.

    The loss is the mean over the weights of all examples, and what layers add, such as `ActivityL1`, the mean over all
    examples; with reduction="sum" both are sums. The penalty on weights, which no example has a share in, is the mean
    over the steps.

    Args:
        recipe: names the loss, the penalty and the metrics.
        logs: sums of shape (steps, ...), of one step or many.
    """
    total, weight = (np.sum(np.asarray(logs[name]), dtype=np.float64) for name in ("loss", "weight"))
    loss = float(total if recipe.loss.reduction == "sum" else total / weight if weight else 0.0)
    row: dict[str, Any] = {"loss": loss}
    penalties = [float(np.mean(np.asarray(logs["penalty"]), dtype=np.float64))] if "penalty" in logs else []
    if "cost" in logs:
        cost = float(np.sum(np.asarray(logs["cost"]), dtype=np.float64))
        penalties.append(cost if recipe.loss.reduction == "sum" else cost / int(np.sum(np.asarray(logs["rows"]))))
    if penalties:
        row["penalty"] = sum(penalties)
        row["loss"] += row["penalty"]
    for metric in recipe.metrics:
        sums = {k: np.sum(np.asarray(v), axis=0, dtype=np.float64) for k, v in logs["metrics"][metric.name].items()}
        value = metric.compute(sums)
        row[metric.name] = float(value) if np.ndim(value) == 0 else value
    return row


def shown(row: dict[str, Any]) -> str:
    """A row of the history on one line that fits a terminal, without counters and arrays."""
    numbers = {k: v for k, v in row.items() if is_number(v) and k not in ("epoch", "step", "validation_penalty")}
    ours = [f"{name} {value:.4f}" for name, value in numbers.items() if not name.startswith("validation_")]
    held = [f"{k.removeprefix('validation_')} {v:.4f}" for k, v in numbers.items() if k.startswith("validation_")]
    return "  ".join([*ours, f"| validation {held[0]}", *held[1:]] if held else ours)

"""Early stopping: leave off when the validation error rises, and keep the parameters from before."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np

from denpa.core import tree
from denpa.core.checks import want_not_negative, want_positive
from denpa.core.errors import ConfigError, DataError, nearest
from denpa.training.callbacks import Callback, Session
from denpa.training.history import History

__all__ = ["EarlyStopping", "check_retraining", "joined", "retrain"]


@dataclass(frozen=True)
class EarlyStopping(Callback):
    """Algorithm A: measure the validation error every `period` updates; after `patience` measurements in a
    row without improvement, stop and return to the parameters of the best measurement.

    Algorithm B (`retrain="from_scratch"`): A withholds the validation data from training. So remember only
    the number T of updates until the best measurement, go back to where this `fit` began (fresh parameters, or those
    that were loaded or learned before), and train on ALL data for T updates.

    `retrain="continue"`: keep the best parameters and go on with all data until the error on the validation
    data falls below the training error at the best measurement, but for T more updates at most.

    `monitor="loss", stopping_threshold=1e-3` is the oldest rule of all, stop when E < ε. With mini-batches E is the
    mean over the epoch while the weights move; with `batch_size="full"` it is the error before the update.

    Only validation data may be watched; test data are for the end (Goodfellow, Bengio & Courville 2016,
    section 7.8, algorithms 7.1 to 7.3).

    Args:
        patience: measurements in a row without improvement until training stops.
        period: updates between measurements; None for once an epoch.
        monitor: the column of the history that is watched.
        min_delta: what counts as an improvement must be better by more than this.
        compare: "best" (with the best so far) or "previous" (with the measurement before, so that
            `patience` counts consecutive rises).
        mode: "min" or "max"; None finds it by the name (loss and errors fall, other metrics rise).
        restore_best: return to the parameters of the best measurement, also when training was not stopped.
        retrain: None, "from_scratch" or "continue".
        stopping_threshold: also stop, whatever `patience` says, as soon as what is watched is better than this.
        members: of a `Bagging`: "each" watches every member for itself, and ends and takes back its training while
            the others go on; "together" watches what all reach together, and ends and takes back all.

    Raises:
        ConfigError: an option out of range, no validation data, or a monitored column that does not exist.
        DataError, ShapeError: `retrain` with validation data that cannot be trained on with the training data.
    """

    patience: int = 5
    period: int | None = None
    monitor: str = "validation_loss"
    min_delta: float = 0.0
    compare: Literal["best", "previous"] = "best"
    mode: Literal["min", "max"] | None = None
    restore_best: bool = True
    retrain: Literal["from_scratch", "continue"] | None = None
    stopping_threshold: float | None = None
    members: Literal["each", "together"] = "each"

    def validate(self) -> None:
        want_positive(self, "patience", *["period"] * (self.period is not None))
        want_not_negative(self, "min_delta")

    def begin(self, training: Any) -> Session:
        if training.validation is None and self.monitor.startswith("validation_"):
            raise ConfigError("EarlyStopping needs validation data: fit(..., validation=0.1) holds a tenth back.")
        recipe = training.programs.recipe
        names = ["loss", *["penalty"] * (recipe.penalty is not None), *(metric.name for metric in recipe.metrics)]
        columns = [*names, *(f"validation_{name}" for name in names)]
        if self.monitor not in columns:
            raise ConfigError(
                f"EarlyStopping watches {self.monitor!r}: {nearest(self.monitor, columns, plural='columns')}"
            )
        if self.retrain == "continue" and recipe.loss.reduction == "sum":
            raise ConfigError(
                'EarlyStopping(retrain="continue") compares the error on the validation data with that on the training '
                f'data: it wants a mean, not {recipe.loss!r}. Take reduction="mean", or retrain="from_scratch".'
            )
        return EarlyStoppingSession(training, self)


class EarlyStoppingSession(Session):
    """Counts measurements without improvement, keeps the best variables and, to retrain from there, the start."""

    changes_model = True

    def __init__(self, training: Any, rule: EarlyStopping) -> None:
        super().__init__(training)
        self.rule, self.period = rule, rule.period
        self.values: dict[str, Any] = {"best": None, "previous": None, "waited": 0, "step": 0, "epoch": 0}
        self.kept: Any = None
        self.start = training.run if rule.retrain == "from_scratch" else None

    def on_epoch_end(self) -> None:
        if self.rule.period is None:
            self._measure(self.training.row)

    def on_period(self) -> None:
        self._measure(self.training.row | self.training.measure_validation())

    def _measure(self, row: dict[str, Any]) -> None:
        name = self.rule.monitor
        if name not in row:  # a training column, before the first epoch has ended
            return
        if np.ndim(row[name]):
            shape = np.shape(row[name])
            raise ConfigError(f"EarlyStopping watches one number, but {name!r} is an array of shape {shape}.")
        value, seen = self._sign() * row[name], self.values
        improved = self._better(value, seen["best"])
        against = seen["best"] if self.rule.compare == "best" else seen["previous"]
        seen["waited"] = 0 if self._better(value, against) else seen["waited"] + 1
        seen["previous"] = value
        if improved:
            at = self.training
            seen |= {"best": value, "step": at.step, "epoch": at.at.epoch, "train_loss": self._train_loss(row)}
            self.kept = at.model.variables if self.rule.restore_best else None
        enough = self.rule.stopping_threshold
        if enough is not None and value < self._sign() * enough:
            self.training.stop(f"{name} has passed {enough:g}")
        elif seen["waited"] >= self.rule.patience:
            self.training.stop(f"{name} has not improved for {self.rule.patience} measurements")

    def _train_loss(self, row: dict[str, Any]) -> float:
        """The training error of the last whole epoch; before there is one, that of the batches so far."""
        if "loss" in row:
            return row["loss"]
        return self.training.summarize(jax.tree.map(lambda *parts: np.concatenate(parts), *self.training.at.logs))[
            "loss"
        ]

    def _better(self, value: float, than: float | None) -> bool:
        """Whether a measurement improves on another; NaN never does, and anything does on NaN."""
        if math.isnan(value):
            return False
        return than is None or math.isnan(than) or value < than - self.rule.min_delta

    def _sign(self) -> float:
        mode, name = self.rule.mode, self.rule.monitor.removeprefix("validation_")
        if mode is None:
            rising = {m.name for m in self.training.programs.recipe.metrics if m.higher_is_better}
            mode = "max" if name in rising else "min"
        return -1.0 if mode == "max" else 1.0

    def on_end(self) -> None:
        if self.kept is not None:
            self.training.model.variables = self.kept
        if self.values["best"] is not None:
            self.training.history.best_epoch = self.values["epoch"]
            self.training.best[self.rule] = self.values | {"start": self.start}

    def memory(self) -> tuple[dict[str, Any], dict[str, Any]]:
        arrays = {"kept": self.kept, "start": None if self.start is None else vars(self.start)}
        return dict(self.values), {name: part for name, part in arrays.items() if part is not None}

    def remember(self, values: dict[str, Any], arrays: dict[str, Any]) -> None:
        self.values, run = values, self.training.run
        if any(name.startswith("kept/") for name in arrays):
            self.kept = jax.device_put(tree.unflatten(arrays, {"kept": self.training.model.variables}))["kept"]
        if self.start is not None and "start/step" in arrays:
            template = {name: part for name, part in vars(run).items() if name != "key"}  # which never changes
            self.start = replace(run, **jax.device_put(tree.unflatten(arrays, {"start": template}))["start"])


@dataclass(frozen=True)
class Below(Callback):
    """Stop as soon as the loss on the validation data is below a level."""

    level: float

    def begin(self, training: Any) -> Session:
        session = Session(training)

        def look() -> None:
            if training.row["validation_loss"] < self.level:
                training.stop(f"the error on the validation data fell below {self.level:.4g}")

        session.on_epoch_end = look  # type: ignore[method-assign]
        return session


def check_retraining(rule: EarlyStopping, training: Any, train: Any, held_out: Any) -> None:
    """Refuse, before training starts, what cannot be trained on together afterwards.

    Raises:
        DataError: examples or targets of the two parts have unlike forms.
        ShapeError: a batch of the joined data does not fit, such as a last one of 1 for `BatchNorm`.
    """
    for what, ours, theirs in zip(("x", "t"), train, held_out, strict=False):
        shapes = [[leaf.shape[1:] for leaf in jax.tree.leaves(part)] for part in (ours, theirs)]
        if jax.tree.structure(ours) != jax.tree.structure(theirs) or shapes[0] != shapes[1]:
            raise DataError(
                f"EarlyStopping(retrain={rule.retrain!r}) trains on training and validation data together, but {what} "
                f"of one example has shapes {shapes[0]} in the one and {shapes[1]} in the other: give both in the "
                "same form."
            )
    plan = _longer(training.plan, len(jax.tree.leaves(held_out)[0]))
    for rows in {plan.batch_size, plan.rest} - {0, training.plan.batch_size, training.plan.rest}:
        batch = jax.tree.map(lambda a, n=rows: jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype), training.data)
        training.programs.step.check(training.run, training.model.statistics, *batch)


def _longer(plan: Any, more: int) -> Any:
    """The plan with more examples; full batches stay full."""
    examples, full = plan.examples + more, plan.batch_size == plan.examples
    return replace(plan, examples=examples, batch_size=examples if full else plan.batch_size)


def retrain(rule: EarlyStopping, training: Any, train: Any, held_out: Any, interrupted: Any) -> None:
    """Train on training and validation data together, as `rule.retrain` says; see `EarlyStopping`."""
    model = training.model
    if rule not in training.best:  # nothing was ever measured
        return
    history, best = model.history, training.best[rule]
    history.updates = model.steps - training.first_step
    if rule.retrain == "from_scratch":
        model.run, model.epochs, model.steps = best["start"], training.first_epoch, training.first_step
    together = joined(train, held_out)
    plan = _longer(training.plan, len(jax.tree.leaves(held_out)[0]))
    steps = best["step"] - training.first_step
    watchers = (Below(best["train_loss"]),) if rule.retrain == "continue" else ()
    options = {"validation": training.validation if watchers else None, "callbacks": watchers, "most_steps": steps}
    epochs = model.epochs + -(-steps // plan.steps)
    model.history, begun = History(), model.steps
    try:
        type(training)(model, training.programs, together, plan, epochs, **options).go(interrupted)
    finally:
        history.retraining, model.history = model.history, history
        history.retraining.updates = model.steps - begun


def joined(train: Any, held_out: Any) -> Any:
    """The examples of both parts, with weights of 1 where none were given."""
    given = [np.shape(weight)[1:] for _, _, weight in (train, held_out) if weight is not None]
    each_step = max(given, key=len, default=())

    def weighted(x: Any, t: Any, weight: Any) -> Any:
        weight = np.ones(len(jax.tree.leaves(x)[0]), np.float32) if weight is None else weight
        axes = weight.shape + (1,) * (1 + len(each_step) - weight.ndim)
        return x, t, np.broadcast_to(weight.reshape(axes), (len(weight), *each_step))

    return jax.tree.map(lambda a, b: np.concatenate([a, b]), weighted(*train), weighted(*held_out))

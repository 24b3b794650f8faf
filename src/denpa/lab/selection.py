"""Choosing between experiments: k-fold cross-validation, and a sweep over the values of one option.

    folds = load_folds(experiment.data, 5)
    scores = cross_validate(experiment, folds)
    scores.mean("accuracy"), scores.spread("accuracy")

The test part that an experiment sets aside takes no part in any of this.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, DivergenceError
from denpa.lab.experiment import Experiment
from denpa.lab.measure import measure
from denpa.lab.overrides import read_value
from denpa.lab.real_time import RealTime
from denpa.lab.sources import Prepared
from denpa.lab.start import begin, model_of
from denpa.training import Model

__all__ = ["CrossValidation", "Fold", "SweepRow", "best_of", "cross_validate", "sweep", "train_once", "values_of"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


@dataclass(frozen=True, eq=False)
class Fold:
    """What one training came to.

    Args:
        examples: how many it was trained with.
        training, held_out: numbers by name over these and over the examples held out; `loss` is without the
            penalty, so that different strengths can be compared.
    """

    examples: int
    training: dict[str, float]
    held_out: dict[str, float]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The folds of an experiment.

    Args:
        folds: one entry for each fold.
    """

    folds: tuple[Fold, ...]

    @property
    def names(self) -> list[str]:
        """The loss and the metrics."""
        return list(self.folds[0].held_out)

    def scores(self, name: str, held_out: bool = True) -> np.ndarray:
        """One number for each fold."""
        return np.array([(fold.held_out if held_out else fold.training)[name] for fold in self.folds])

    def mean(self, name: str, held_out: bool = True) -> float:
        """(1/k) Σ_i s_i"""
        return float(self.scores(name, held_out).mean())

    def spread(self, name: str, held_out: bool = True) -> float:
        """The standard deviation over the folds, with divisor k - 1; 0 for a single one."""
        scores = self.scores(name, held_out)
        return float(scores.std(ddof=1)) if len(scores) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class SweepRow:
    """One value of a sweep.

    Args:
        value: of the option.
        experiment: with that value.
        scores: what it came to, on one split or on several folds.
    """

    value: Any
    experiment: Experiment
    scores: CrossValidation


def train_once(experiment: Experiment, data: Prepared) -> Model:
    """The trained model of an experiment, with nothing written to the disk.

    Raises:
        ConfigError, DataError, ShapeError: parts that do not fit together.
        DivergenceError: a number was not finite.
    """
    plan, model = experiment.training, model_of(experiment)
    if plan.members is not None:
        raise ConfigError("Comparisons are between single networks: leave training.members out.")
    size = plan.batch_size
    model.encoder = data.encoder
    begin(model, plan, data.train)
    if plan.epochs == 0:
        return model
    if plan.rtrl:
        RealTime(model, data).learn(plan, False, keep=lambda: None)
        return model
    model.fit(
        data.train,
        validation=data.validation,
        epochs=plan.epochs,
        # A fold has fewer examples than the whole, for which the batch was chosen.
        batch_size=min(size, len(data.train)) if isinstance(size, int) else size,
        shuffle=plan.shuffle,
        replacement=plan.replacement,
        buckets=plan.buckets,
        window=plan.window,
        devices=plan.devices,
        callbacks=[] if plan.early_stopping is None else [plan.early_stopping],
        verbose=False,
    )
    return model


def cross_validate(
    experiment: Experiment, folds: Iterable[Prepared], tell: Callable[[int, Fold], None] = lambda index, fold: None
) -> CrossValidation:
    """Train on each fold's rest, from the same seed, and measure what it holds out.

    Args:
        experiment: what to train.
        folds: of `load_folds`; or one `Prepared`, for a single hold-out. Measured is the test part, or the
            validation part where there is no test part.
        tell: called after each fold, with its index.
    """
    found = []
    for index, data in enumerate(folds):
        held_out = data.test if data.test is not None else data.validation
        if held_out is None:
            raise DataError("There is nothing held out to measure: give data.validation, such as 0.2, or folds.")
        model = train_once(experiment, data)
        found.append(Fold(len(data.train), _measured(model, data.train), _measured(model, held_out)))
        tell(index, found[-1])
    return CrossValidation(tuple(found))


def sweep(
    experiments: Iterable[tuple[Any, Experiment]],
    folds: list[Prepared],
    tell: Callable[[SweepRow], None] = lambda row: None,
) -> list[SweepRow]:
    """`cross_validate` for each value of an option; where training diverges, the numbers are NaN.

    Args:
        experiments: each value, and the experiment with it.
        folds: as for `cross_validate`, the same for all values.
        tell: called after each value.
    """
    rows = []
    for value, experiment in experiments:
        try:
            scores = cross_validate(experiment, folds)
        except DivergenceError:
            numbers = dict.fromkeys(["loss", *(metric.name for metric in experiment.metrics)], math.nan)
            scores = CrossValidation((Fold(len(folds[0].train), numbers, numbers),))
        rows.append(SweepRow(value, experiment, scores))
        tell(rows[-1])
    return rows


def values_of(text: Any, steps: int = 9) -> list[Any] | None:
    """The values that a text stands for: `1e-5..1e-1`, `1..9`, `sgd,adam`; None for a single value.

    Whole numbers give whole numbers, all of them where there are at most `steps`. Other ranges give `steps`
    numbers, evenly on a logarithmic scale where the ends are positive and at least a factor 10 apart, else
    evenly.

    Raises:
        ConfigError: a range from a number to itself or a smaller one, fewer than two steps.
    """
    if not isinstance(text, str):
        return None
    if (match := _RANGE.fullmatch(text)) is None:
        parts = text.split(",")
        return [read_value([part.strip()]) for part in parts] if len(parts) > 1 and all(parts) else None
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ConfigError(f"A sweep wants 2 steps or more, not {steps!r}.")
    low, high = (read_value([number]) for number in match.groups())
    if not low < high:
        raise ConfigError(f"The range {text} must go from a smaller to a larger number.")
    if isinstance(low, int) and isinstance(high, int):
        count = min(steps, high - low + 1)
        return sorted({round(low + (high - low) * index / (count - 1)) for index in range(count)})
    spaced = np.geomspace(low, high, steps) if low > 0 and high >= 10 * low else np.linspace(low, high, steps)
    return [float(f"{value:.6g}") for value in spaced]


def best_of(rows: list[SweepRow]) -> SweepRow:
    """The row of the smallest loss on what was held out.

    Raises:
        DivergenceError: there is none, for training diverged with every value.
    """
    good = [row for row in rows if not math.isnan(row.scores.mean("loss"))]
    if not good:
        raise DivergenceError("Training diverged with every value: try smaller learning rates.")
    return min(good, key=lambda row: row.scores.mean("loss"))


def _measured(model: Model, data: Any) -> dict[str, float]:
    numbers = dict(measure(model, data).numbers)
    numbers["loss"] -= numbers.pop("penalty", 0.0)
    return numbers

"""Several members in one run, which decide together: what goes with them, and how they are judged.

    together     p = (1/M) Σ_m p_m of the members' probabilities, or the mean of their values
    votes        the class that most members name; ties go to the first class
    apart        each member by itself: mean and standard deviation over the members, with divisor M - 1
    out of bag   each training example is judged by those members alone whose bootstrap sample it is not in

Source: Breiman (1996), "Bagging predictors", Machine Learning 24, section 2; and "Out-of-bag estimation" (1996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError
from denpa.data.dataset import Dataset
from denpa.data.labels import true_classes
from denpa.lab.labelled_texts import LABELLED_TEXTS
from denpa.lab.prepared import Prepared
from denpa.training import Bagging
from denpa.training.history import History, is_number
from denpa.training.members_loop import mean_of

__all__ = ["Apart", "OutOfBag", "apart", "best_epochs", "check_members", "kept", "out_of_bag"]


@dataclass(frozen=True, eq=False)
class Apart:
    """What the members of an ensemble do by themselves, and what they vote for.

    Args:
        members: loss, without the penalty, and metrics by name; one number for each member.
        votes: the part of the examples whose class most members name; None where there are no classes.
    """

    members: dict[str, list[float]]
    votes: float | None = None

    def mean(self, name: str) -> float:
        """(1/M) Σ_m s_m"""
        return float(np.mean(self.members[name]))

    def spread(self, name: str) -> float:
        """The standard deviation over the members, with divisor M - 1; 0 for a single one."""
        return float(np.std(self.members[name], ddof=1)) if len(self.members[name]) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class OutOfBag:
    """The out-of-bag score.

    Args:
        together: loss and metrics by name, each training example judged by all members that never saw it.
        apart: each member on the training examples that it never saw.
    """

    together: dict[str, float]
    apart: Apart

    def to_config(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"out_of_bag": self.together, "out_of_bag_members": self.apart.members}


def check_members(data: Prepared) -> None:
    """Refuse data whose answers have no mean.

    Raises:
        ConfigError: texts to write on, pairs, series or reconstructions.
    """
    if data.task not in (None, LABELLED_TEXTS):
        raise ConfigError(
            f"training.members trains an ensemble of classifiers or of regressions; the data are for {data.task!r}: "
            "leave it out."
        )


def apart(bagging: Bagging, data: Dataset, classes: bool) -> Apart:
    """Every member on a part of the data; with `classes` their votes too."""
    members = _columns(bagging.evaluate_members(data))
    if not classes or data.t is None:
        return Apart(members)
    return Apart(members, float(np.mean(bagging.predict_classes(data.inputs, vote="majority") == true_classes(data.t))))


def best_epochs(model: Any) -> list[int | None]:
    """The epoch to which early stopping returned each member of an ensemble; empty where it watched none by itself."""
    epochs = [history.best_epoch for history in model.histories] if isinstance(model, Bagging) else []
    return epochs if any(epoch is not None for epoch in epochs) else []


def kept(model: Any, validation: Dataset | None, restored: bool = True) -> dict[str, Any]:
    """The row of a history for a model with the parameters that early stopping kept, or with the last ones.

    Of members that were stopped one by one, the training numbers are means, each one's of its own epoch; those on the
    validation data are of the common output.
    """

    def chosen(history: History) -> dict[str, Any]:
        return history.kept if restored or not history.epochs else history.epochs[-1]

    if not best_epochs(model):
        return chosen(model.history)
    rows = [chosen(history) for history in model.histories]
    left_out = ("epoch", "step", "validation_")
    seen = [{k: v for k, v in row.items() if not k.startswith(left_out)} for row in rows if row]
    together = {} if validation is None else model.evaluate(validation)
    return {**(mean_of(seen) if seen else {}), **{f"validation_{name}": value for name, value in together.items()}}


def out_of_bag(bagging: Bagging, train: Dataset) -> OutOfBag | None:
    """The out-of-bag score of trained members; None where there are no bootstrap samples."""
    counts = bagging.counts
    if counts is None:
        return None
    unseen = [(index, own == 0) for index, own in enumerate(counts) if not own.all()]
    rows = [bagging.member(index).evaluate((train.inputs, train.t, mask.astype(np.float32))) for index, mask in unseen]
    together = {name: value for name, value in bagging.out_of_bag.items() if is_number(value)}
    return OutOfBag(together, Apart(_columns(rows)))


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Numbers by name, a row for each member; the loss without the penalty, as that of the common output is."""
    found = {name: [row[name] for row in rows] for name, value in rows[0].items() if is_number(value)} if rows else {}
    if penalties := found.pop("penalty", None):
        found["loss"] = [loss - penalty for loss, penalty in zip(found["loss"], penalties, strict=True)]
    return found

"""What becomes of Rosenblatt's rule: an epoch without a mistake, or none."""

from __future__ import annotations

from denpa.data.counted import counted
from denpa.lab.closed_form import only_layer
from denpa.lab.experiment import Experiment
from denpa.lab.sources import Prepared
from denpa.losses import PerceptronLoss
from denpa.metrics import Accuracy
from denpa.training.history import History

__all__ = ["mistakes"]


def mistakes(experiment: Experiment, history: History, data: Prepared) -> str | None:
    """A line on the mistakes of the last epoch, each example's when its turn came; None for other experiments.

    An epoch without a mistake changes nothing any more: the classes are separated. That comes to pass if and only if a
    hyperplane separates them.
    """
    learns_from_mistakes = experiment.loss == PerceptronLoss() and only_layer(experiment.network) is not None
    if not learns_from_mistakes or Accuracy() not in experiment.metrics or not history.epochs:
        return None
    last = history.epochs[-1]
    if last["accuracy"] == 1:
        return f"no mistake in epoch {last['epoch']}: a hyperplane separates the training examples"
    wrong = round((1 - last["accuracy"]) * len(data.train))
    return (
        f"{counted(wrong, 'mistake')} in the last of {counted(last['epoch'], 'epoch')}: no hyperplane separates the "
        "training examples, or it takes more epochs; logistic-regression serves both cases"
    )

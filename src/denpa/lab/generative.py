"""The generative classifier beside a trained discriminative one."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.classical import linear_discriminant, quadratic_discriminant
from denpa.core.errors import DataError
from denpa.lab.closed_form import MOST_WORK, as_the_network_sees, only_layer
from denpa.lab.experiment import Experiment
from denpa.lab.sources import Prepared
from denpa.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.training import Model

__all__ = ["generative"]

_SHRINKAGE = 0.1


def generative(experiment: Experiment, model: Model, data: Prepared) -> str | None:
    """A line with the accuracies of logistic or softmax regression and of Gaussian class densities with Bayes' rule.

    They are those on the test part, or on the training part where there is none. Where a covariance is singular, all
    are shrunk. None for other experiments, and where it would take long.
    """
    loss, part = experiment.loss, data.train if data.test is None else data.test
    discriminative = isinstance(loss, (SigmoidCrossEntropy, SoftmaxCrossEntropy)) and only_layer(experiment) is not None
    if not discriminative or model.run is None or data.train.t is None or data.train.t.ndim > 1 or part.t is None:
        return None
    if part.lengths is not None:
        return None
    x, labels = as_the_network_sees(experiment, model, data.train)
    if len(x) * x.shape[1] ** 2 > MOST_WORK:
        return None
    seen, t = as_the_network_sees(experiment, model, part)
    right = np.mean(model.predict_classes(part.x) == t)
    line = f"discriminative: accuracy {right:.4f}; generative, one Gaussian a class: "
    for shrinkage in (0.0, _SHRINKAGE):
        try:
            shared = linear_discriminant(x, labels, shrinkage=shrinkage)
            separate = quadratic_discriminant(x, labels, shrinkage=shrinkage)
        except DataError:
            continue
        shrunk = f" (shrinkage {shrinkage:g})" if shrinkage else ""
        return line + f"{_accuracy(shared, seen, t)} shared covariance, {_accuracy(separate, seen, t)} separate{shrunk}"
    return None


def _accuracy(found: Any, x: np.ndarray, t: np.ndarray) -> str:
    return f"{np.mean(found.predict(x) == t):.4f}"

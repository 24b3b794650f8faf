"""A trained network of one layer beside the solution of its closed form or classical algorithm."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa import classical
from denpa.core.errors import ConfigError, DataError
from denpa.data.dataset import Dataset
from denpa.lab.experiment import Experiment
from denpa.lab.sources import Prepared
from denpa.layers import Dense, Flatten
from denpa.losses import MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.networks import Network, Sequential
from denpa.penalties import L1, L2, ElasticNet
from denpa.training import Model

__all__ = ["MOST_WORK", "ClosedForm", "as_the_network_sees", "closed_form", "only_layer"]

MOST_WORK = 1e11  # operations: a few seconds


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The best parameters of a one-layer network for its training examples, and how far training came.

    Args:
        method: how they were found.
        W, b: as `Dense` holds them, for normalised examples and targets.
        loss: the objective there, penalty included.
        trained_loss: the objective of the trained network, over the same examples.
        distance: max |W - W_trained| / max |W|.
    """

    method: str
    W: np.ndarray
    b: np.ndarray
    loss: float
    trained_loss: float
    distance: float

    def __str__(self) -> str:
        excess = max(self.trained_loss - self.loss, 0.0)
        relative = excess < abs(self.loss) * 1e6  # a loss of rounding errors alone is no unit to measure in
        above = f"{excess / abs(self.loss):.1e} of it" if relative else f"{excess:.1e}"
        return (
            f"{self.method}: loss {self.loss:.6g}; training ended {above} above, "
            f"its weights within {self.distance:.1e} of the largest"
        )


def closed_form(experiment: Experiment, model: Model, data: Prepared) -> ClosedForm | None:
    """The closed form beside the trained model, or None where there is none for such an experiment.

    There is one for a single `Dense` behind at most `Flatten`, with `MeanSquaredError`, `SigmoidCrossEntropy` of
    one unit, or `SoftmaxCrossEntropy`, and no penalty, `L2` or (of one squared error) `L1` and `ElasticNet`.
    None also where the problem has no solution, or one that would take long to find, and of a network whose parameters
    are a generative classifier's, which come from another problem. Of several solutions without a penalty it is the
    smallest, where descent from 0 ends.
    """
    name, strengths = only_layer(experiment.network), _strengths(experiment)
    if experiment.training.epochs == 0:
        return None
    if name is None or strengths is None or model.run is None or data.train.t is None or data.train.lengths is not None:
        return None
    x, t = as_the_network_sees(model, data.train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            found = _solved(experiment, x, t, *strengths)
        except (ConfigError, DataError):
            return None
    if found is None:
        return None
    method, W, b = found
    params = {key: np.asarray(array, np.float64) for key, array in model.run.params[name].items()}

    def objective(W: np.ndarray, b: np.ndarray) -> float:
        l1, l2 = strengths
        return _error(experiment, x @ W + b, t) + l1 * float(np.abs(W).sum()) + l2 / 2 * float(np.sum(W**2))

    largest = float(np.abs(W).max()) or 1.0
    return ClosedForm(
        method, W, b, objective(W, b), objective(**params), float(np.abs(params["W"] - W).max()) / largest
    )


def _told_apart(x: np.ndarray) -> np.ndarray:
    """x without the directions along which float32, in which the network sees it, rounds off all that varies.

    A year of birth and an age, each brought to variance 1, sum to nothing but rounding: exact weights would fit that.
    """
    mean = x.mean(axis=0)
    units = np.abs(x - mean).max(axis=0)
    units = np.where(units > 0, units, 1.0)
    U, s, Vt = np.linalg.svd((x - mean) / units, full_matrices=False)
    seen = s > 1e-6 * s[0]
    return x if seen.all() else mean + (U[:, seen] * s[seen]) @ Vt[seen] * units


def only_layer(network: Network) -> str | None:
    """The name of the only layer with parameters, where it is a `Dense` behind at most `Flatten`."""
    if not isinstance(network, Sequential):
        return None
    layers = network.inner()
    if not layers or not isinstance(layers[-1][1], Dense) or not layers[-1][1].use_bias:
        return None
    return layers[-1][0] if all(isinstance(layer, Flatten) for _, layer in layers[:-1]) else None


def _strengths(experiment: Experiment) -> tuple[float, float] | None:
    """λ₁ and λ₂ of the penalty on W; None for other penalties."""
    penalty = experiment.penalty
    if penalty is None:
        return 0.0, 0.0
    if getattr(penalty, "on", None) != "W*":
        return None
    if type(penalty) is L2:
        return 0.0, penalty.strength if penalty.half else 2 * penalty.strength
    if type(penalty) is L1:
        return penalty.strength, 0.0
    return (penalty.l1, penalty.l2) if type(penalty) is ElasticNet else None


def as_the_network_sees(model: Model, part: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """x (n, d) and t of a part of the data, normalised, in float64."""
    statistics = model.statistics or {}
    x, t = np.asarray(part.x, np.float64), np.asarray(part.t)
    if model.normalizer is not None:
        x = np.asarray(model.normalizer.apply(_plain(statistics), part.x), np.float64)
    if model.target_normalizer is not None:
        t = model.target_normalizer.apply(_plain(statistics["targets"]), t.astype(np.float64))
    return x.reshape(len(x), -1), t


def _plain(statistics: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(array) if isinstance(array, dict) else np.asarray(array)
        for name, array in statistics.items()
        if name != "targets"
    }


def _solved(experiment: Experiment, x: np.ndarray, t: np.ndarray, l1: float, l2: float) -> Any:
    loss, (n, d) = experiment.loss, x.shape
    if loss == MeanSquaredError() and n * d * d < MOST_WORK:
        t = t.reshape(n, -1)
        if l1 == 0:
            fit = classical.ridge(x, t, l2) if l2 else classical.linear_regression(_told_apart(x), t)
            return "closed form", fit.W, fit.b
        if t.shape[1] == 1:
            sparse = classical.elastic_net(x, t, l1, l2)
            return "coordinate descent", sparse.W[:, None], sparse.b[None]
    if l1 > 0 or t.ndim > 1:
        return None
    if loss == SigmoidCrossEntropy() and 10 * n * d * d < MOST_WORK:
        logistic = classical.logistic_regression(x if l2 else _told_apart(x), t, l2)
        return "Newton's method", logistic.W[:, None], logistic.b[None]
    if loss == SoftmaxCrossEntropy() and 5 * n * (d * (classes := int(t.max()) + 1)) ** 2 < MOST_WORK:
        soft = classical.softmax_regression(x if l2 else _told_apart(x), t, l2, classes=classes)
        return "Newton's method", soft.W, soft.b
    return None


def _error(experiment: Experiment, y: np.ndarray, t: np.ndarray) -> float:
    """E in float64, for the losses that `_solved` knows."""
    if isinstance(experiment.loss, MeanSquaredError):
        return float(np.mean(np.sum((y - t.reshape(y.shape)) ** 2, axis=1))) / 2
    if isinstance(experiment.loss, SigmoidCrossEntropy):
        return float(np.mean(np.logaddexp(0, y[:, 0]) - t * y[:, 0]))
    m = y.max(axis=1)
    return float(np.mean(m + np.log(np.exp(y - m[:, None]).sum(axis=1)) - y[np.arange(len(t)), t]))

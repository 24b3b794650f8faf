"""Generative classifiers: set beside a trained discriminative one, or as the parameters of a network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from denpa.classical import GaussianClassifier, linear_discriminant, quadratic_discriminant, softmax_regression
from denpa.core.errors import ConfigError, DataError
from denpa.core.layer import Variables
from denpa.data.dataset import Dataset
from denpa.data.normalise import Pipeline
from denpa.data.polynomial import PolynomialFeatures
from denpa.lab.closed_form import MOST_WORK, as_the_network_sees, only_layer
from denpa.lab.experiment import Experiment
from denpa.lab.sources import Prepared
from denpa.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.training import Model
from denpa.training.preparation import prepared_data

__all__ = ["generative", "start_as_generative"]

_SHRINKAGE = 0.1
_STRENGTH = 0.001  # of the penalty without which classes that can be separated have no best weights


def start_as_generative(model: Model, train: Dataset, covariance: str, shrinkage: float) -> None:
    """Give a network of one layer the parameters with which its softmax is P(C_k|x) of Gaussian class densities.

    With one covariance u = x W + b is linear in the features, with one for each class in them and their products:

        u_k = Σ_i A_k,ii x_i² + Σ_{i<j} 2 A_k,ij x_i x_j + x w_k + b_k      A_k, w_k, b_k as in `quadratic`

    Args:
        model: not yet trained; a single `Dense` with `SoftmaxCrossEntropy`.
        train: the examples that means, covariances and priors are estimated from.
        covariance: "shared" or "separate".
        shrinkage: of the covariances.

    Raises:
        ConfigError: another network, loss or normaliser.
        DataError: a singular covariance, a class without examples.
    """
    name = only_layer(model.net)
    if name is None or not isinstance(model.loss, SoftmaxCrossEntropy):
        raise ConfigError("training.generative is for a network of one Dense with SoftmaxCrossEntropy.")
    if covariance == "separate" and not _ends_in_products(model.normalizer):
        raise ConfigError(
            'training.generative "separate" makes the classes\' boundaries quadratic: let the normalizer end with '
            "PolynomialFeatures(2, products=True)."
        )
    prepared_data(model, train, None)
    x, t = as_the_network_sees(model, train)
    options = {"classes": model.net.out_shape(x.shape[1:])[-1], "shrinkage": shrinkage}
    if covariance == "shared":
        W, b = linear_discriminant(x, t, **options).linear()
    else:
        d = (math.isqrt(9 + 8 * x.shape[1]) - 3) // 2  # of d features there are d (d + 3)/2 with their products
        W, b = _on_products(quadratic_discriminant(x[:, :d], t, **options))
    params = {name: {"W": W.astype(np.float32), "b": b.astype(np.float32)}}
    model.load_weights(Variables(params, {}))


def _ends_in_products(normalizer: Any) -> bool:
    last = normalizer.steps[-1] if isinstance(normalizer, Pipeline) else normalizer
    return last == PolynomialFeatures(2, products=True)


def _on_products(found: GaussianClassifier) -> tuple[np.ndarray, np.ndarray]:
    """W (d (d + 3)/2, K) and b (K,): the weights of the features, then of x_i x_j for i <= j, row by row."""
    A, W, b = found.quadratic()
    i, j = np.triu_indices(A.shape[1])
    return np.concatenate([W, np.where(i == j, 1, 2)[:, None] * A[:, i, j].T]), b


def generative(experiment: Experiment, model: Model, data: Prepared) -> str | None:
    """A line with the accuracies of logistic or softmax regression and of Gaussian class densities with Bayes' rule.

    They are those on the test part, or on the training part where there is none. Where a covariance is singular, all
    are shrunk. None for other experiments, and where it would take long.
    """
    loss, part = experiment.loss, data.train if data.test is None else data.test
    one_layer = only_layer(experiment.network) is not None
    fit = isinstance(loss, (SigmoidCrossEntropy, SoftmaxCrossEntropy)) and one_layer
    if not fit or model.run is None or data.train.t is None or data.train.t.ndim > 1 or part.t is None:
        return None
    if part.lengths is not None:
        return None
    x, labels = as_the_network_sees(model, data.train)
    seen, t = as_the_network_sees(model, part)
    right = f"{np.mean(model.predict_classes(part.x) == t):.4f}"
    if experiment.training.epochs == 0:
        return _beside_discriminative(right, x, labels, seen, t)
    if len(x) * x.shape[1] ** 2 > MOST_WORK:
        return None
    line = f"discriminative: accuracy {right}; generative, one Gaussian a class: "
    for shrinkage in (0.0, _SHRINKAGE):
        try:
            shared = linear_discriminant(x, labels, shrinkage=shrinkage)
            separate = quadratic_discriminant(x, labels, shrinkage=shrinkage)
        except DataError:
            continue
        shrunk = f" (shrinkage {shrinkage:g})" if shrinkage else ""
        return line + f"{_accuracy(shared, seen, t)} shared covariance, {_accuracy(separate, seen, t)} separate{shrunk}"
    return None


def _beside_discriminative(
    right: str, x: np.ndarray, labels: np.ndarray, seen: np.ndarray, t: np.ndarray
) -> str | None:
    classes = int(labels.max()) + 1
    if 5 * len(x) * (x.shape[1] * classes) ** 2 > MOST_WORK:
        return None
    found = softmax_regression(x, labels, _STRENGTH, classes=classes)
    return f"generative: accuracy {right}; discriminative, softmax regression: {_accuracy(found, seen, t)}"


def _accuracy(found: Any, x: np.ndarray, t: np.ndarray) -> str:
    return f"{np.mean(found.predict(x) == t):.4f}"

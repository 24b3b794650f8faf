"""Presets of one layer: what statistics knows by other names, trained by gradient.

Each minimises the objective of a closed form or a classical algorithm of `denpa.classical`; `closed_form` sets
the two side by side. The generative classifiers have no other than the closed form.
"""

from __future__ import annotations

import math
from typing import Any

from denpa.classical import GATES
from denpa.core.errors import ConfigError
from denpa.data.normalise import MinMax, Pipeline, Standardize
from denpa.data.polynomial import PolynomialFeatures
from denpa.init import Constant
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.presets.blueprint import Options, Preset, regression_metrics
from denpa.lab.sources import Look
from denpa.layers import Dense, Flatten, ThresholdDense
from denpa.losses import Loss, MeanSquaredError, PerceptronLoss, SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import SGD, Nesterov
from denpa.penalties import L1, L2, Penalty
from denpa.training.early_stopping import EarlyStopping

__all__ = ["PRESETS"]

# Above so many numbers a step on all examples takes longer than many steps on a few.
_FULL_BATCH = 2_000_000
# Enough for constant and dependent features; a covariance of few examples, those of one class, is a poorer estimate.
_SHRINKAGE = {"shared": 1e-4, "separate": 0.03}
_MOST_MULTIPLIED = 100  # features: 5,150 with their products


def linear_regression(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Linear regression: one layer, squared error."""
    return _regression(name, options, look, data, None)


def ridge(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Ridge regression: one layer, squared error, L2 penalty; --penalty.strength."""
    return _regression(name, options, look, data, L2(0.01))


def lasso(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """LASSO: one layer, squared error, L1 penalty by proximal steps, so that weights end at 0; --penalty.strength."""
    return _regression(name, options, look, data, L1(0.05, proximal=True))


def polynomial_regression(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Polynomial regression: powers of each feature, then linear regression; --normalizer.steps.1.degree."""
    if len(look.in_shape) != 1:
        raise ConfigError(f"The preset {name!r} is for tables and points, not for examples of shape {look.in_shape}.")
    powers = Pipeline((MinMax(-1, 1), PolynomialFeatures(3), Standardize()))
    return _regression(name, options, look, data, None, powers)


def logistic_regression(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Logistic regression: one sigmoid unit, cross-entropy, a small L2 penalty; two classes."""
    _two_classes(name, look)
    # The second derivatives of the cross-entropy are at most a quarter of those of the squared error.
    return _classes(name, options, look, data, SigmoidCrossEntropy(), 1, 4.0)


def softmax_regression(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Softmax regression: one layer, softmax, cross-entropy, a small L2 penalty; any number of classes."""
    return _classes(name, options, look, data, SoftmaxCrossEntropy(), look.outputs, 2.0)


def linear_discriminant(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """The generative classifier: Gaussian classes of one covariance, then Bayes' rule; any number of classes."""
    return _generative(name, options, look, data, "shared", _normalizer(look))


def quadratic_discriminant(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """The generative classifier: Gaussian classes of a covariance each, then Bayes' rule; any number of classes."""
    if len(look.in_shape) != 1:
        raise ConfigError(f"The preset {name!r} is for tables and points, not for examples of shape {look.in_shape}.")
    if (d := look.in_shape[0]) > _MOST_MULTIPLIED:
        raise ConfigError(
            f"The preset {name!r} multiplies all pairs of features, and {d} of them make too many: try "
            "'linear-discriminant'."
        )
    products = PolynomialFeatures(2, products=True)
    before = _normalizer(look)
    return _generative(name, options, look, data, "separate", Pipeline((before, products)) if before else products)


def perceptron(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Rosenblatt's perceptron: one step unit, learning from one example after another; two classes."""
    _two_classes(name, look)
    # It ends with an epoch without a mistake. That of half an example is less than one, and more than rounding errors.
    all_right = EarlyStopping(
        patience=1_000_000, monitor="accuracy", restore_best=False, stopping_threshold=1 - 0.5 / look.examples
    )
    return Experiment(
        network=_layer(name, options, look, 1),
        loss=PerceptronLoss(),
        data=data,
        optimizer=SGD(options.learning_rate or 1.0),
        metrics=(Accuracy(),),
        normalizer=_normalizer(look),
        training=options.training(TrainingConfig(epochs=50, batch_size=1, early_stopping=all_right)),
        name=name,
    )


def formal_neuron(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """McCulloch and Pitts's neuron: fixed weights, a threshold and a step; --data.options.gate and, or, nand, nor."""
    gate = str(dict(data.options).get("gate", "and")) if data.source == "gate" else ""
    if gate not in GATES:
        what = f"no single neuron computes {gate}" if gate else f"it learns nothing from {data.source}"
        raise ConfigError(f"The preset {name!r} has the weights of a gate, and {what}: try 'xor' or 'perceptron'.")
    _no_hidden(name, options)
    W, theta = GATES[gate]
    weights = Constant(float(W[0, 0])), Constant(float(theta[0]))  # Rosenblatt's rule leaves what makes no mistake
    return Experiment(
        network=Sequential((ThresholdDense(1, *weights),)),
        loss=PerceptronLoss(),
        data=data,
        optimizer=SGD(options.learning_rate or 1.0),
        metrics=(Accuracy(),),
        training=options.training(TrainingConfig(epochs=1, batch_size="full")),
        name=name,
    )


def _regression(
    name: str, options: Options, look: Look, data: DataConfig, penalty: Penalty | None, normalizer: Any = None
) -> Experiment:
    # Proximal steps follow those of plain gradient descent. Of a polynomial every power is a feature: the rate suits
    # degrees up to 10; that of the others strengths up to 10.
    largest = 10 * _features(look) if normalizer else _features(look) + 10
    proximal = isinstance(penalty, L1)
    rate = options.learning_rate or 1 / (_features(look) if proximal else largest)
    return Experiment(
        network=_layer(name, options, look, look.outputs),
        loss=MeanSquaredError(),
        data=data,
        optimizer=SGD(rate) if proximal else Nesterov(rate),
        metrics=regression_metrics(look),
        penalty=penalty,
        normalizer=normalizer or _normalizer(look),
        target_normalizer=Standardize(),
        training=_training(options, look),
        name=name,
    )


def _classes(
    name: str, options: Options, look: Look, data: DataConfig, loss: Loss, units: int, flatness: float
) -> Experiment:
    return Experiment(
        network=_layer(name, options, look, units),
        loss=loss,
        data=data,
        optimizer=Nesterov(options.learning_rate or flatness / _features(look)),
        metrics=(Accuracy(),),
        penalty=L2(0.001),
        normalizer=_normalizer(look),
        training=_training(options, look),
        name=name,
    )


def _generative(
    name: str, options: Options, look: Look, data: DataConfig, covariance: str, normalizer: Any
) -> Experiment:
    """No training: maximum likelihood has a closed form. With epochs, these are where softmax regression starts."""
    plan = TrainingConfig(epochs=0, batch_size="full", generative=covariance, shrinkage=_SHRINKAGE[covariance])
    return Experiment(
        network=_layer(name, options, look, look.outputs),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=Nesterov(options.learning_rate or 2.0 / _features(look)),
        metrics=(Accuracy(),),
        normalizer=normalizer,
        training=options.training(plan),
        name=name,
    )


def _layer(name: str, options: Options, look: Look, units: int) -> Sequential:
    _no_hidden(name, options)
    start = Dense(units, kernel_init=Constant())  # a convex error: any start leads to the same end
    return Sequential((Flatten(), start) if len(look.in_shape) > 1 else (start,))


def _no_hidden(name: str, options: Options) -> None:
    if options.hidden or options.activation:
        raise ConfigError(f"The preset {name!r} has one layer and no hidden units: try 'mlp'.")


def _training(options: Options, look: Look) -> TrainingConfig:
    """Gradient descent on all examples at once; many small steps where they are very many."""
    if look.examples * _features(look) <= _FULL_BATCH:
        return options.training(TrainingConfig(epochs=2000, batch_size="full"))
    return options.training(TrainingConfig(epochs=30, batch_size=256))


def _features(look: Look) -> int:
    """d: the largest second derivative of the squared error is at most d, for features of variance 1."""
    return math.prod(look.in_shape)


def _normalizer(look: Look) -> Any:
    return None if look.encoded else Standardize()


def _two_classes(name: str, look: Look) -> None:
    if look.outputs != 2:
        raise ConfigError(f"The preset {name!r} tells two classes apart, not {look.outputs}: try 'softmax-regression'.")


_LINEAR = DataConfig("linear", options={"n": 100, "features": 20, "informative": 5, "noise": 1.0})

PRESETS: dict[str, Preset] = {
    "linear-regression": Preset(linear_regression, _LINEAR, "regression"),
    "polynomial-regression": Preset(
        polynomial_regression, DataConfig("sine", options={"n": 30, "noise": 0.2}), "regression"
    ),
    "ridge": Preset(ridge, _LINEAR, "regression"),
    "lasso": Preset(lasso, _LINEAR, "regression"),
    "logistic-regression": Preset(logistic_regression, DataConfig("moons", options={"n": 400, "noise": 0.2})),
    "softmax-regression": Preset(softmax_regression, DataConfig("digits")),
    "linear-discriminant": Preset(linear_discriminant, DataConfig("digits")),
    "quadratic-discriminant": Preset(quadratic_discriminant, DataConfig("moons", options={"n": 400, "noise": 0.2})),
    "formal-neuron": Preset(formal_neuron, DataConfig("gate", test=0)),
    "perceptron": Preset(
        perceptron, DataConfig("letters", options={"copies": 50, "noise": 0.2, "scaled": True, "flat": True})
    ),
}

"""Presets of dense layers: small data, digits, MNIST, and tables of one's own."""

from __future__ import annotations

from typing import Any

from denpa.data.normalise import ScaleImages, Standardize
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.presets.blueprint import (
    A_TABLE,
    Options,
    Preset,
    brightest,
    cosine,
    fitting,
    layers_of,
    regression_metrics,
)
from denpa.lab.sources import Look
from denpa.losses import MeanSquaredError, SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.optim import Adam, AdamW
from denpa.training.early_stopping import EarlyStopping

__all__ = ["PRESETS"]


def letters(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Tells the letters C and T apart on 4x3 noisy pixels: 12-3-2 units, sigmoid, 47 parameters."""
    training = options.training(TrainingConfig(epochs=100, batch_size=fitting(20, look)))
    return Experiment(
        network=layers_of(options, look, (3,), "sigmoid"),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=Adam(options.learning_rate or 0.02),
        metrics=(Accuracy(),),
        training=training,
        name=name,
    )


def xor(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Learns exclusive or, which no network without a hidden layer can: 2-4-2 units, tanh, batch learning."""
    return Experiment(
        network=layers_of(options, look, (4,), "tanh"),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=Adam(options.learning_rate or 0.05),
        metrics=(Accuracy(),),
        training=options.training(TrainingConfig(epochs=500, batch_size="full")),
        name=name,
    )


def sine(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Fits a curve through noisy points of a sine: regression, 1-20-1 units, tanh."""
    training = options.training(TrainingConfig(epochs=500, batch_size=fitting(20, look)))
    return Experiment(
        network=layers_of(options, look, (20,), "tanh"),
        loss=MeanSquaredError(),
        data=data,
        optimizer=Adam(cosine(options.learning_rate or 0.03, training, look)),
        metrics=regression_metrics(look),
        normalizer=Standardize(),
        training=training,
        name=name,
    )


def digits_mlp(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads handwritten digits of 8x8 pixels: 64-256-10 units, ReLU, dropout. Embedded data, seconds."""
    training = options.training(TrainingConfig(epochs=60, batch_size=fitting(32, look)))
    return Experiment(
        network=layers_of(options, look, (256,), "relu", dropout=0.5),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=Adam(cosine(options.learning_rate or 3e-3, training, look)),
        metrics=(Accuracy(),),
        normalizer=ScaleImages(brightest(data, 16.0)),
        training=training,
        name=name,
    )


def mnist_mlp(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads MNIST with one hidden layer: 784-100-10 units, ReLU, a little dropout."""
    return _mnist(name, options, look, data, (100,), dropout=0.1)


def mnist_deep(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads MNIST with six hidden layers of 100 ReLU units, He start."""
    return _mnist(name, options, look, data, (100,) * 6)


def mnist_deep_batchnorm(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads MNIST with six hidden layers of 100 ReLU units, each with batch normalisation before the activation."""
    return _mnist(name, options, look, data, (100,) * 6, batch_norm=True)


def _mnist(
    name: str, options: Options, look: Look, data: DataConfig, hidden: tuple[int, ...], **layers: Any
) -> Experiment:
    training = options.training(TrainingConfig(epochs=20, batch_size=fitting(100, look)))
    return Experiment(
        network=layers_of(options, look, hidden, "relu", input_dropout=0.1, **layers),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=Adam(cosine(options.learning_rate or 3e-3, training, look)),
        metrics=(Accuracy(),),
        normalizer=ScaleImages(),
        training=training,
        name=name,
    )


def mlp(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """For a table of your own: hidden layers of 64 and 32 ReLU units; classes or values by the target."""
    classes = look.task == "classification"
    batch = 32 if look.examples < 10_000 else 128 if look.examples < 100_000 else 512
    stopping = EarlyStopping(patience=20) if data.validation else None
    return Experiment(
        network=layers_of(options, look, (64, 32), "relu"),
        loss=SoftmaxCrossEntropy() if classes else MeanSquaredError(),
        data=data,
        optimizer=AdamW(options.learning_rate or 1e-3, weight_decay=0.01),
        metrics=(Accuracy(),) if classes else regression_metrics(look),
        normalizer=None if look.encoded else Standardize(per="channel" if len(look.in_shape) > 2 else "feature"),
        target_normalizer=None if classes else Standardize(),
        training=options.training(TrainingConfig(epochs=300, batch_size=fitting(batch, look), early_stopping=stopping)),
        name=name,
    )


PRESETS: dict[str, Preset] = {
    "digits-mlp": Preset(digits_mlp, DataConfig("digits", validation=0.1)),
    "mnist-mlp": Preset(mnist_mlp, DataConfig("mnist")),
    "mnist-deep": Preset(mnist_deep, DataConfig("mnist")),
    "mnist-deep-batchnorm": Preset(mnist_deep_batchnorm, DataConfig("mnist")),
    "mlp": Preset(mlp, DataConfig("my.csv", validation=0.15), None, A_TABLE),
    "letters": Preset(letters, DataConfig("letters", options={"copies": 100, "noise": 0.2, "scaled": True})),
    "xor": Preset(xor, DataConfig("xor", test=0)),
    "sine": Preset(sine, DataConfig("sine", options={"n": 200, "noise": 0.1}), "regression"),
}

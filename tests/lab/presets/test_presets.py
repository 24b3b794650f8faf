"""Presets: the networks they promise, fitted to options and data, and that the small ones learn."""

from __future__ import annotations

import re

import jax
import pytest

import denpa as dp
from denpa.core import tree
from denpa.lab import DataConfig, Run, presets
from denpa.lab.presets import convolution
from denpa.lab.sources import Look
from denpa.training import EarlyStopping

MNIST = Look("classification", (28, 28, 1), 10, 60_000)


def parameters(experiment, in_shape):
    return tree.count(jax.eval_shape(lambda: experiment.network.init(jax.random.key(0), in_shape)).params)


def kinds(experiment):
    return [type(layer).__name__ for _, layer in experiment.network.inner()]


def test_the_letters_have_47_parameters():
    letters = presets.build("letters")
    assert parameters(letters, (4, 3, 1)) == (12 + 1) * 3 + (3 + 1) * 2 == 47
    assert "Sigmoid" in kinds(letters)


def test_the_networks_for_mnist():
    one, deep, normed = (presets.build(n, look=MNIST) for n in ("mnist-mlp", "mnist-deep", "mnist-deep-batchnorm"))
    assert parameters(one, (28, 28, 1)) == 784 * 100 + 100 + 100 * 10 + 10
    hidden = 784 * 100 + 5 * 100 * 100
    assert parameters(deep, (28, 28, 1)) == hidden + 6 * 100 + 1010
    assert parameters(normed, (28, 28, 1)) == hidden + 6 * 200 + 1010  # scale and shift in place of a bias
    assert [kind for kind in kinds(deep) if kind != "Dropout"] == ["Flatten", *["Dense", "ReLU"] * 6, "Dense"]
    assert [k for k in kinds(normed) if k != "Dropout"] == ["Flatten", *["Dense", "BatchNorm", "ReLU"] * 6, "Dense"]
    assert next(layer for layer in deep.network.layers if isinstance(layer, dp.Dense)).kernel_init == dp.init.He()


OF_ARRAYS = [
    name
    for name, preset in presets.PRESETS.items()
    if not preset.wants_data and preset.task not in ("text", "series", "pairs", "text-classification")
]


@pytest.mark.parametrize("name", OF_ARRAYS)
def test_a_falling_rate_falls_over_the_epochs_asked_for(name):
    images = name in convolution.PRESETS or "convolution" in name
    shape = (32, 32, 1) if images else (5,)
    look = Look(presets.find(name).task, shape, 2, 1000, target_shape=shape)
    experiment = presets.build(name, presets.Options(epochs=7, batch_size=100, learning_rate=0.25), look=look)
    assert (experiment.training.epochs, experiment.training.batch_size) == (7, 100)
    rate = experiment.optimizer.learning_rate
    steps = re.findall(r"(\d+)\)", repr(rate))
    assert rate == 0.25 or (int(steps[0]) == 70 and "0.25" in repr(rate))


def test_hidden_layers_as_asked_for():
    options = presets.Options(hidden=[7, 5], activation="TanH")
    experiment = presets.build("digits-mlp", options, look=Look("classification", (8, 8, 1), 3, 100))
    assert [layer.units for _, layer in experiment.network.inner() if isinstance(layer, dp.Dense)] == [7, 5, 3]
    assert kinds(experiment).count("Tanh") == 2


def test_a_table_of_ones_own():
    with pytest.raises(dp.ConfigError, match="--data"):
        presets.build("mlp")
    data = DataConfig("t.csv", "y", validation=0.2)
    classes = presets.build("mlp", data=data, look=Look("classification", (6,), 3, 400, encoded=True))
    assert (classes.normalizer, classes.target_normalizer) == (None, None)
    assert isinstance(classes.training.early_stopping, EarlyStopping)
    values = presets.build("mlp", data=DataConfig("a.npz"), look=Look("regression", (6,), 2, 20, center=99.5))
    assert (values.normalizer, values.target_normalizer) == (dp.Standardize(), dp.Standardize())
    assert values.training.early_stopping is None
    assert values.training.batch_size == 20
    assert dp.R2(99.5) in values.metrics


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": [3, 0]}, "whole numbers of units"),
        ({"hidden": ["x"]}, "whole numbers of units"),
        ({"activation": "rel"}, "did you mean 'relu'"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": "half"}, "batch_size"),
        ({"learning_rate": -1.0}, "greater than 0"),
        ({"learning_rate": "fast"}, "greater than 0"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(dp.ConfigError, match=message):
        presets.Options(**options)


def test_a_preset_for_classes_is_not_for_values():
    with pytest.raises(dp.ConfigError, match="is for classification, but prices"):
        presets.build("digits-mlp", data=DataConfig("prices.csv"), look=Look("regression", (5,), 1, 100))


def test_an_unknown_preset():
    with pytest.raises(dp.ConfigError, match="did you mean 'digits-mlp'"):
        presets.build("digit-mlp")


@pytest.mark.parametrize("seed", range(2))
def test_exclusive_or_is_learned(seed, tmp_path):
    experiment = presets.build("xor")
    run = Run(experiment.replace(training=experiment.training.replace(seed=seed)), tmp_path / "run")
    run.go(verbose=False)
    assert run.history["accuracy"][-1] == 1
    assert run.history["loss"][-1] < 0.05


def test_the_curve_is_found(tmp_path):
    measured = Run(presets.build("sine"), tmp_path / "run").go(verbose=False)
    assert measured.numbers["r2"] > 0.95


def test_the_letters_are_told_apart(tmp_path):
    measured = Run(presets.build("letters"), tmp_path / "run").go(verbose=False)
    assert measured.numbers["accuracy"] >= 0.95


def test_the_digits_are_read(tmp_path):
    measured = Run(presets.build("digits-mlp"), tmp_path / "run").go(verbose=False)
    assert measured.numbers["accuracy"] >= 0.97

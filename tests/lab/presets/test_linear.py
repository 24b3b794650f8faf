"""Presets of one layer end where their closed forms and classical algorithms do."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa import classical
from denpa.lab import DataConfig, presets
from denpa.lab.closed_form import closed_form
from denpa.lab.generative import generative
from denpa.lab.mistakes import mistakes
from denpa.lab.selection import train_once
from denpa.lab.sources import Look, Prepared, load_data
from denpa.lab.start import model_of
from denpa.penalties import ElasticNet

SMALL = DataConfig("linear", options={"n": 60, "features": 4, "noise": 1.0})


@pytest.mark.parametrize(
    ("name", "method", "within"),
    [
        ("polynomial-regression", "closed form", 1e-3),
        ("ridge", "closed form", 1e-5),
        ("lasso", "coordinate descent", 1e-4),
        ("logistic-regression", "Newton's method", 1e-5),
    ],
)
def test_training_ends_at_the_closed_form(name, method, within):
    experiment = presets.build(name)
    data = load_data(experiment.data)
    model = train_once(experiment, data)
    found = closed_form(experiment, model, data)
    assert found.method == method
    assert found.distance < within
    assert found.loss == pytest.approx(found.trained_loss, rel=1e-6)
    # The numbers are those that the model itself reports over its training examples.
    assert model.evaluate(data.train)["loss"] == pytest.approx(found.trained_loss, rel=1e-5)
    if name == "lasso":
        W = np.asarray(model.run.params["0_dense"]["W"])
        np.testing.assert_array_equal(W == 0, found.W == 0)
        assert 0 < (W == 0).sum() < W.size


@pytest.mark.parametrize("name", ["linear-regression", "logistic-regression"])
def test_columns_that_float32_does_not_tell_apart_have_the_smallest_solution(tmp_path, name):
    """A year of birth and an age: standardised in float32 their sum is rounding, which exact weights had fitted."""
    rng = np.random.default_rng(0)
    year = rng.integers(1940, 2005, 80)
    noisy = 300 * (2024 - year) + 6000 * rng.normal(size=80)
    t = (noisy > 15_000).astype(int) if name == "logistic-regression" else noisy
    rows = np.column_stack([year, 2024 - year, t])
    np.savetxt(tmp_path / "people.csv", rows, "%.10g", ",", header="year,age,t", comments="")
    data = DataConfig(str(tmp_path / "people.csv"), target="t", test=0)
    experiment = presets.build(name, presets.Options(epochs=400), data).replace(penalty=None)
    loaded = load_data(experiment.data)
    found = closed_form(experiment, train_once(experiment, loaded), loaded)
    assert found.distance < 1e-3
    np.testing.assert_allclose(found.W[0], -found.W[1], rtol=1e-4)


def test_softmax_regression_comes_near_the_minimum():
    experiment = presets.build("softmax-regression", presets.Options(epochs=500))
    whole = load_data(experiment.data)
    data = Prepared(whole.train[np.arange(150)], None, None)
    found = closed_form(experiment, train_once(experiment, data), data)
    assert found.method == "Newton's method"
    assert found.loss < found.trained_loss < 1.2 * found.loss
    assert "training ended" in str(found)


def test_the_perceptron_separates_the_letters_as_by_rosenblatts_rule():
    experiment = presets.build("perceptron")
    data = load_data(experiment.data)
    plain = experiment.replace(normalizer=None, training=experiment.training.replace(shuffle=False))
    model = train_once(plain, data)
    hand = classical.perceptron(data.train.x, data.train.t, epochs=50)
    np.testing.assert_allclose(np.asarray(model.run.params["0_dense"]["W"])[:, 0], hand.W, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(model.run.params["0_dense"]["b"])[0], hand.b, rtol=1e-4)
    assert hand.converged
    assert model.epochs == len(hand.mistakes) < 50
    told = mistakes(plain, model.history, data)
    assert told == f"no mistake in epoch {model.epochs}: a hyperplane separates the training examples"
    assert model.evaluate(data.train)["accuracy"] == 1
    assert closed_form(plain, model, data) is None


def test_a_perceptron_that_finds_no_hyperplane_tells_its_mistakes():
    """Exclusive or: no line separates its classes."""
    experiment = presets.build("perceptron", data=DataConfig("gate", test=0, options={"gate": "xor"}))
    data = load_data(experiment.data)
    plain = experiment.replace(normalizer=None, training=experiment.training.replace(shuffle=False))
    model = train_once(plain, data)
    with pytest.warns(UserWarning, match="no hyperplane"):
        hand = classical.perceptron(data.train.x, data.train.t, epochs=50)
    assert model.epochs == 50
    told = mistakes(plain, model.history, data)
    assert told.startswith(f"{hand.mistakes[-1]} mistakes in the last of 50 epochs: no hyperplane separates")
    assert mistakes(presets.build("logistic-regression"), model.history, data) is None


@pytest.mark.parametrize(
    "change",
    [
        {"network": dp.Sequential([dp.Dense(3), dp.ReLU(), dp.Dense(1)])},
        {"network": dp.Sequential([dp.Dense(1, use_bias=False)])},
        {"loss": dp.MeanSquaredError(half=False)},
        {"penalty": dp.L2(0.1, on="*")},
    ],
    ids=str,
)
def test_other_experiments_have_no_closed_form(change):
    experiment = presets.build("ridge", presets.Options(epochs=1), SMALL)
    experiment = experiment.replace(**change, normalizer=None, target_normalizer=None)
    model = model_of(experiment)
    model.build((4,))
    assert closed_form(experiment, model, load_data(SMALL)) is None


def test_both_forms_of_a_penalty():
    data, experiment = load_data(SMALL), presets.build("ridge", presets.Options(epochs=600), SMALL)
    doubled = experiment.replace(penalty=dp.L2(0.1, half=False))
    model = train_once(doubled, data)
    for penalty in (dp.L2(0.1, half=False), dp.L2(0.2), ElasticNet(0.0, 0.2)):
        assert closed_form(experiment.replace(penalty=penalty), model, data).distance < 1e-5


def test_classes_that_a_hyperplane_separates_have_no_closed_form_without_a_penalty():
    experiment = presets.build("logistic-regression", presets.Options(epochs=1), DataConfig("letters", test=0.0))
    data = load_data(experiment.data)
    assert closed_form(experiment, train_once(experiment, data), data) is not None
    free = experiment.replace(penalty=None)
    assert closed_form(free, train_once(free, data), data) is None


def test_what_does_not_fit_is_refused():
    three, images = Look("classification", (4,), 3, 50), Look("regression", (8, 8, 1), 1, 50)
    for name in ("logistic-regression", "perceptron"):
        with pytest.raises(dp.ConfigError, match="softmax-regression"):
            presets.build(name, data=DataConfig("my.csv"), look=three)
    with pytest.raises(dp.ConfigError, match="try 'mlp'"):
        presets.build("ridge", presets.Options(hidden=[3]), SMALL)
    with pytest.raises(dp.ConfigError, match="tables and points"):
        presets.build("polynomial-regression", data=DataConfig("a.npz"), look=images)
    assert presets.build("ridge", data=DataConfig("a.npz"), look=images).network.out_shape((8, 8, 1)) == (1,)


def test_many_examples_are_taken_in_batches():
    many = Look("classification", (784,), 10, 60_000)
    assert presets.build("softmax-regression", data=DataConfig("mnist"), look=many).training.batch_size == 256


@pytest.mark.parametrize("gate", ["and", "or", "nand", "nor"])
def test_the_formal_neuron_keeps_the_weights_of_its_gate(gate):
    experiment = presets.build("formal-neuron", data=DataConfig("gate", test=0, options={"gate": gate}))
    data = load_data(experiment.data)
    model = train_once(experiment, data)
    W, theta = classical.GATES[gate]
    np.testing.assert_array_equal(model.run.params["0_thresholddense"]["W"], W)
    np.testing.assert_array_equal(model.run.params["0_thresholddense"]["theta"], theta)
    np.testing.assert_array_equal(model.predict_classes(data.train.x), data.train.t)


def test_no_formal_neuron_computes_exclusive_or():
    with pytest.raises(dp.ConfigError, match="no single neuron computes xor: try 'xor'"):
        presets.build("formal-neuron", data=DataConfig("gate", test=0, options={"gate": "xor"}))
    with pytest.raises(dp.ConfigError, match="nothing from moons"):
        presets.build("formal-neuron", data=DataConfig("moons"))


def test_the_generative_classifier_stands_beside_the_discriminative_one():
    experiment = presets.build("logistic-regression")
    data = load_data(experiment.data)
    model = train_once(experiment, data)
    # The predictions are the same in whatever units.
    kinds = classical.linear_discriminant, classical.quadratic_discriminant
    right = [np.mean(kind(data.train.x, data.train.t).predict(data.test.x) == data.test.t) for kind in kinds]
    line = generative(experiment, model, data)
    assert line.endswith(f"{right[0]:.4f} shared covariance, {right[1]:.4f} separate")
    assert f"accuracy {model.evaluate(data.test)['accuracy']:.4f}" in line
    assert generative(presets.build("ridge"), model, data) is None


def test_a_singular_covariance_is_shrunk():
    experiment = presets.build("softmax-regression", presets.Options(epochs=1))  # some pixels are always 0
    whole = load_data(experiment.data)
    data = Prepared(whole.train[np.arange(150)], None, None)
    assert generative(experiment, train_once(experiment, data), data).endswith("(shrinkage 0.1)")

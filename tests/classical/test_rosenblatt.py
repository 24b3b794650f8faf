"""The formal neuron, its gates, and the perceptron: Rosenblatt's rule by hand, as a network, and Novikoff's bound."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa import classical

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TABLES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "nor": [1, 0, 0, 0]}


@pytest.mark.parametrize("gate", TABLES)
def test_gates(gate):
    np.testing.assert_array_equal(classical.formal_neuron(CORNERS, *classical.GATES[gate])[:, 0], TABLES[gate])


def test_not_and_exclusive_or():
    np.testing.assert_array_equal(classical.formal_neuron([[0], [1]], *classical.GATES["not"])[:, 0], [1, 0])
    hidden = np.concatenate([classical.formal_neuron(CORNERS, *classical.GATES[g]) for g in ("or", "nand")], axis=1)
    np.testing.assert_array_equal(classical.formal_neuron(hidden, *classical.GATES["and"])[:, 0], [0, 1, 1, 0])
    assert not classical.formal_neuron([[2.0]], [[1.5]], [3.0]).any()  # what reaches the threshold does not exceed it
    with pytest.raises(dp.ShapeError, match="W must have the shape"):
        classical.formal_neuron(CORNERS, np.ones((3, 1)), np.ones(1))


def test_gates_as_networks():
    """Exclusive or with two layers of threshold units, whose parameters are those of the gates."""
    net = dp.Sequential([dp.ThresholdDense(2), dp.Step(), dp.ThresholdDense(1), dp.Step()])
    (W1, theta1), (W2, theta2), last = (classical.GATES[gate] for gate in ("or", "nand", "and"))
    params = {
        "0_thresholddense": {"W": np.concatenate([W1, W2], axis=1), "theta": np.concatenate([theta1, theta2])},
        "2_thresholddense": dict(zip(("W", "theta"), last, strict=True)),
    }
    params = jax.tree.map(lambda a: a.astype(np.float32), {**params, "1_step": {}, "3_step": {}})
    variables = dp.Variables(params, net.init(jax.random.key(0), (2,)).state)
    np.testing.assert_array_equal(net.apply(variables, CORNERS.astype(np.float32))[:, 0], [0, 1, 1, 0])


@pytest.mark.parametrize(("gate", "epochs", "W", "b"), [("and", 6, [2, 1], -2), ("or", 4, [1, 1], 0)])
def test_the_rule_by_hand(gate, epochs, W, b):
    found = classical.perceptron(CORNERS, TABLES[gate])
    assert (len(found.mistakes), found.b, found.converged) == (epochs, b, True)
    np.testing.assert_array_equal(found.W, W)
    np.testing.assert_array_equal(found.predict(CORNERS), TABLES[gate])


def test_exclusive_or_is_never_learned():
    with pytest.warns(UserWarning, match="no hyperplane separates"):
        found = classical.perceptron(CORNERS, [0, 1, 1, 0], epochs=50)
    assert not found.converged
    assert len(found.mistakes) == 50


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.5), st.floats(0.01, 100))
def test_mistakes_stay_below_the_bound(seed, gap, rate):
    """Points on both sides of a known hyperplane, none nearer than `gap`; the learning rate is of no account."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=3), rng.normal()
    x = 2 * rng.normal(size=(60, 3))
    u = (x @ W + b) / np.linalg.norm([*W, b])
    x, t = x[np.abs(u) > gap], (u > 0).astype(int)[np.abs(u) > gap]
    if len(np.unique(t)) < 2:
        return
    found = classical.perceptron(x, t, rate, epochs=100_000)
    assert found.converged
    assert gap < classical.margin(x, t, W, b)
    assert sum(found.mistakes) <= classical.mistake_bound(x, t, W, b)
    if found.mistakes[0] < len(x) and classical.margin(x, t, found.W, found.b) > 0:
        assert sum(found.mistakes) <= classical.mistake_bound(x, t, found.W, found.b)


def test_the_margin_by_hand():
    x, t = np.array([[3.0], [-1.0]]), [1, 0]
    np.testing.assert_allclose(classical.margin(x, t, [1.0], -1.0), 2 / np.sqrt(2))
    np.testing.assert_allclose(classical.mistake_bound(x, t, [1.0], -1.0), (9 + 1) / 2)
    np.testing.assert_allclose(classical.margin(x, t, [[1.0]], -1.0), 2 / np.sqrt(2))  # as `Dense` holds W
    for W, b, error, message in (
        ([1.0, 1.0], 0, dp.ShapeError, r"W must have the shape \(1,\), not \(2,\)"),
        ([1.0], [1, 2], dp.ShapeError, r"b must be a number, not an array of shape \(2,\)"),
        ([1.0], "a", dp.DataError, "b must hold numbers"),
    ):
        with pytest.raises(error, match=message):
            classical.margin(x, t, W, b)
    with pytest.raises(dp.DataError, match="does not separate"):
        classical.mistake_bound(x, [0, 1], [1.0], -1.0)
    with pytest.raises(dp.DataError, match="no hyperplane"):
        classical.margin(x, t, [0.0], 0.0)


def test_the_network_takes_the_same_steps():
    """Dense(1) with the perceptron loss, SGD(η) and batches of one example, in order."""
    rng = np.random.default_rng(2)
    t = np.arange(40) % 2
    x = (rng.normal(size=(40, 3)) + 4 * t[:, None]).astype(np.float32)
    start = {"W": rng.normal(size=(3, 1)).astype(np.float32), "b": np.array([0.3], np.float32)}
    with pytest.warns(UserWarning, match="mistakes in the last"):
        hand = classical.perceptron(x, t, 0.5, epochs=1, W=start["W"][:, 0], b=0.3)
    assert hand.mistakes[0] > 3
    net, variables = dp.Sequential([dp.Dense(1)]), dp.Variables({"0_dense": start}, {})
    step = jax.jit(lambda v, x, t: dp.backprop(net, dp.PerceptronLoss(), v, x, t).grads)
    for example, label in zip(x, t, strict=True):
        grads = step(variables, example[None], np.array([label], np.int32))
        variables = dp.Variables(jax.tree.map(lambda w, g: w - 0.5 * g, variables.params, grads), {})
    np.testing.assert_allclose(variables.params["0_dense"]["W"][:, 0], hand.W, rtol=1e-4)
    np.testing.assert_allclose(variables.params["0_dense"]["b"][0], hand.b, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"learning_rate": 0}, dp.ConfigError, "learning_rate"),
        ({"epochs": 0}, dp.ConfigError, "epochs"),
        ({"W": [1.0]}, dp.ShapeError, "W must have"),
        ({"b": [1, 2]}, dp.ShapeError, "b must be a number"),
        ({"b": "a"}, dp.DataError, "b must hold numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        classical.perceptron(CORNERS, TABLES["and"], **options)

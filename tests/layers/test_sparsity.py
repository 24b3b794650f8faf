"""Prices on activity: their value, their delta, padding, and what they do to a code."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from denpa.core.errors import ConfigError
from denpa.core.layer import Context
from denpa.gradients import backprop
from denpa.layers import ActivityL1, Dense, KLSparsity, Sigmoid
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential
from denpa.testing import check_gradients

RNG = np.random.default_rng(3)
CODES = RNG.uniform(0.02, 0.98, (4, 5, 3)).astype(np.float32)
DY = RNG.standard_normal(CODES.shape).astype(np.float32)
LENGTHS = np.array([5, 1, 3, 2])
TRUE = (np.arange(5) < LENGTHS[:, None])[..., None]


def met(layer, x, dy=DY, lengths=None):
    y, saved = layer.forward({}, jnp.asarray(x), Context(lengths=lengths))
    np.testing.assert_array_equal(y, x)
    return float(layer.cost(saved)), np.asarray(layer.backward({}, saved, jnp.asarray(dy))[0]) - dy


def test_l1_adds_the_mean_over_samples_of_the_norm_of_the_code():
    x = np.where(RNG.random(CODES.shape) < 0.2, 0, RNG.standard_normal(CODES.shape)).astype(np.float32)
    cost, slope = met(ActivityL1(0.3), x)
    np.testing.assert_allclose(cost, 0.3 * np.abs(x).sum(axis=(1, 2)).mean(), rtol=1e-6)
    np.testing.assert_allclose(slope, 0.3 * np.sign(x) / 4, atol=1e-6)


def test_l1_follows_the_reduction_of_the_loss():
    x = RNG.standard_normal((6, 2)).astype(np.float32)
    net, mean, total = Sequential([ActivityL1(0.6)]), MeanSquaredError(), MeanSquaredError(reduction="sum")
    variables = net.init(jax.random.key(0), (2,))
    np.testing.assert_allclose(backprop(net, mean, variables, x, x).dx, 0.1 * np.sign(x), rtol=1e-6)
    step = backprop(net, total, variables, x, x)
    np.testing.assert_allclose(step.dx, 0.6 * np.sign(x), rtol=1e-6)
    np.testing.assert_allclose(step.cost, 0.6 * np.abs(x).sum(), rtol=1e-6)
    check_gradients(net, total, variables, x, x + 1)


def test_no_samples_cost_nothing():
    for layer in (ActivityL1(2.0), KLSparsity()):
        y, saved = layer.forward({}, jnp.zeros((0, 3)))
        dx, _ = layer.backward({}, saved, jnp.zeros((0, 3)))
        assert (y.shape, dx.shape) == ((0, 3), (0, 3))
    assert ActivityL1(2.0).forward({}, jnp.zeros((0, 3)))[1]["cost"] == 0


def test_the_price_of_bfloat16_codes_is_summed_in_float32():
    x = jnp.full((2, 1024), 0.1, jnp.bfloat16)
    _, saved = ActivityL1(1.0).forward({}, x, Context(train=True))
    assert saved["cost"].dtype == jnp.float32
    np.testing.assert_allclose(saved["cost"], 1024 * float(x[0, 0]), rtol=1e-6)


def test_kl_is_that_of_bernoulli_variables_with_the_mean_activations():
    cost, slope = met(KLSparsity(0.1, 0.7), CODES)
    mean = CODES.mean(axis=(0, 1))
    np.testing.assert_allclose(cost, 0.7 * sum(entropy([0.1, 0.9], [m, 1 - m]) for m in mean), rtol=1e-5)
    each = 0.7 / 20 * (-0.1 / mean + 0.9 / (1 - mean))
    np.testing.assert_allclose(slope, np.broadcast_to(each, CODES.shape), atol=1e-6)


@pytest.mark.parametrize("layer", [ActivityL1(0.3), KLSparsity(0.1, 0.7)], ids=str)
def test_padding_counts_for_nothing_whatever_it_holds(layer):
    padded = np.where(TRUE, CODES, np.nan)
    cost, slope = met(layer, padded, lengths=jnp.asarray(LENGTHS))
    steps = CODES[np.broadcast_to(TRUE, CODES.shape)].reshape(-1, 3)
    alone, _ = met(layer, steps, np.zeros_like(steps))
    samples = 1.0 if isinstance(layer, KLSparsity) else len(steps) / 4  # L1: a sequence is one sample
    np.testing.assert_allclose(cost, alone * samples, rtol=1e-5)
    assert (slope[np.broadcast_to(~TRUE, slope.shape)] == 0).all()
    assert (slope[np.broadcast_to(TRUE, slope.shape)] != 0).all()
    cost, slope = met(layer, np.full_like(CODES, np.nan), lengths=jnp.zeros(4, int))  # not one true step
    assert np.isfinite(cost)
    assert not slope.any()


def test_kl_is_zero_and_flat_where_the_mean_is_rho():
    cost, slope = met(KLSparsity(0.25), np.tile(np.float32([[0.0], [0.5]]), (4, 3)), np.zeros((8, 3), np.float32))
    assert abs(cost) < 1e-6
    assert np.abs(slope).max() < 1e-6


@pytest.mark.parametrize(("mean", "direction"), [(0.0, -1), (-0.4, -1), (1.0, 1), (7.0, 1)])
def test_a_mean_outside_is_led_back_along_a_finite_slope(mean, direction):
    x, zero = np.full((6, 2), mean, np.float32), np.zeros((6, 2), np.float32)
    cost, slope = met(KLSparsity(0.1), x, zero)
    assert np.isfinite(cost)
    assert cost > 0
    assert (np.sign(slope) == direction).all()
    assert np.isfinite(slope).all()
    farther, _ = met(KLSparsity(0.1), x + np.float32(direction), zero)
    np.testing.assert_allclose(farther - cost, direction * slope.sum(), rtol=1e-5)  # a straight line from there on


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_saturated_units_in_float16_get_a_finite_slope(end):
    layer, z = KLSparsity(0.05, strength=3.0), jnp.full((2, 4), end, jnp.float16)
    _, saved = layer.forward({}, z)
    dx, _ = layer.backward({}, saved, jnp.zeros_like(z))
    assert np.isfinite(dx).all()
    assert ((dx * z * (1 - z)) == 0).all()  # so that a saturated sigmoid hands on 0, not infinity times 0
    assert (jnp.sign(dx) == (1 if end else -1)).all()


def test_the_line_begins_one_millionth_from_the_end():
    for mean in (1e-5, 1 - 1e-5):
        cost, _ = met(KLSparsity(0.1), np.full((6, 2), mean, np.float32), np.zeros((6, 2), np.float32))
        np.testing.assert_allclose(cost, 2 * entropy([0.1, 0.9], [mean, 1 - mean]), rtol=1e-3)


def test_the_objective_of_a_network_holds_the_cost_and_its_gradient_follows():
    net = Sequential([Dense(4), Sigmoid(), KLSparsity(0.05, 2.0), ActivityL1(0.1), Dense(6)])
    variables = net.init(jax.random.key(1), (6,))
    x = jnp.asarray(RNG.standard_normal((9, 6)), jnp.float32)
    step = backprop(net, MeanSquaredError(), variables, x, x)
    code = jax.nn.sigmoid(x @ variables.params["0_dense"]["W"] + variables.params["0_dense"]["b"])
    kl = sum(entropy([0.05, 0.95], [m, 1 - m]) for m in np.asarray(code).mean(axis=0))
    cost = 2.0 * kl + 0.1 * np.abs(code).sum(axis=1).mean()
    np.testing.assert_allclose(step.cost, cost, rtol=1e-5)
    np.testing.assert_allclose(step.loss, cost + MeanSquaredError()(step.output, x), rtol=1e-5)
    ahead = jax.tree.map(lambda p, g: p - 1e-3 * g, variables.params, step.grads)
    fallen = step.loss - backprop(net, MeanSquaredError(), (ahead, variables.state), x, x).loss
    squares = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(step.grads))
    assert fallen == pytest.approx(1e-3 * squares, rel=0.1)


@pytest.mark.parametrize("rho", [0.0, 1.0, -0.2, 5, "a"])
def test_rho_lies_between_zero_and_one(rho):
    with pytest.raises(ConfigError, match="rho"):
        KLSparsity(rho)


@pytest.mark.parametrize("cls", [ActivityL1, lambda strength: KLSparsity(0.1, strength)])
def test_the_strength_is_not_negative(cls):
    with pytest.raises(ConfigError, match="strength"):
        cls(-0.1)

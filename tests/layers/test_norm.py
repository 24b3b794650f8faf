"""Batch normalisation: statistics, running statistics, modes, precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core.errors import ConfigError, DenpaError, ShapeError
from denpa.core.layer import Context
from denpa.layers import BatchNorm

TRAINING = Context(train=True)
RNG = np.random.default_rng(11)
IMAGES = RNG.normal(3.0, [0.5, 2.0, 5.0], (4, 3, 2, 3))
PARAMS = {"gamma": np.array([1.5, 0.5, -2.0]), "beta": np.array([0.3, -1.0, 2.0])}


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def arrays(tree):
    return jax.tree.map(jnp.asarray, tree)


def test_every_channel_gets_mean_beta_and_deviation_gamma():
    y, saved = BatchNorm(epsilon=1e-12).forward(arrays(PARAMS), jnp.asarray(IMAGES), TRAINING)
    values = np.asarray(y).reshape(-1, 3)
    np.testing.assert_allclose(values.mean(axis=0), PARAMS["beta"], atol=1e-12)
    np.testing.assert_allclose(values.std(axis=0), np.abs(PARAMS["gamma"]), rtol=1e-9)
    np.testing.assert_allclose(saved["batch_mean"], IMAGES.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(saved["batch_var"], IMAGES.var(axis=(0, 1, 2)))


def test_a_change_of_scale_and_offset_before_it_does_not_matter():
    layer = BatchNorm(epsilon=1e-12)
    y, _ = layer.forward(arrays(PARAMS), jnp.asarray(IMAGES), TRAINING)
    moved, _ = layer.forward(arrays(PARAMS), jnp.asarray(IMAGES * 7.0 + [1.0, -2.0, 30.0]), TRAINING)
    np.testing.assert_allclose(moved, y, atol=1e-9)


def test_the_delta_below_neither_shifts_nor_stretches_a_feature():
    """Σ dx = 0 and Σ dx x̂ = 0: E does not change with the mean or the scale of x."""
    layer, dy = BatchNorm(epsilon=1e-12), jnp.asarray(RNG.normal(size=IMAGES.shape))
    _, saved = layer.forward(arrays(PARAMS), jnp.asarray(IMAGES), TRAINING)
    dx, grads = layer.backward(arrays(PARAMS), saved, dy)
    normalised = (IMAGES - IMAGES.mean(axis=(0, 1, 2))) / IMAGES.std(axis=(0, 1, 2))
    np.testing.assert_allclose(np.sum(dx, axis=(0, 1, 2)), 0, atol=1e-11)
    np.testing.assert_allclose(np.sum(dx * normalised, axis=(0, 1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(grads["gamma"], np.sum(dy * normalised, axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(grads["beta"], np.sum(dy, axis=(0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize(("unbiased", "factor"), [(True, 24 / 23), (False, 1.0)])
def test_momentum_is_the_weight_of_the_old_statistics(unbiased, factor):
    layer = BatchNorm(momentum=0.8, unbiased=unbiased)
    state = layer.init_state((3, 2, 3))
    np.testing.assert_array_equal(state["mean"], np.zeros(3))
    np.testing.assert_array_equal(state["var"], np.ones(3))
    _, saved = layer.forward(arrays(PARAMS), jnp.asarray(IMAGES), TRAINING)
    state = layer.next_state(state, saved)
    np.testing.assert_allclose(state["mean"], 0.2 * IMAGES.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(state["var"], 0.8 + 0.2 * factor * IMAGES.var(axis=(0, 1, 2)))


def test_momentum_0_keeps_the_last_batch_and_1_keeps_the_first_state():
    for momentum, expected in ((0.0, IMAGES.mean(axis=(0, 1, 2))), (1.0, np.zeros(3))):
        layer = BatchNorm(momentum=momentum)
        _, saved = layer.forward(arrays(PARAMS), jnp.asarray(IMAGES), TRAINING)
        np.testing.assert_allclose(layer.next_state(layer.init_state((3, 2, 3)), saved)["mean"], expected)


def test_inference_is_affine_and_leaves_the_state_alone():
    layer = BatchNorm()
    state = {"mean": jnp.array([1.0, 2.0, 3.0]), "var": jnp.array([0.25, 1.0, 4.0])}
    y, saved = layer.forward(arrays(PARAMS), jnp.asarray(IMAGES), Context(state=state))
    slope = PARAMS["gamma"] / np.sqrt(np.array([0.25, 1.0, 4.0]) + 1e-5)
    np.testing.assert_allclose(y, slope * (IMAGES - [1.0, 2.0, 3.0]) + PARAMS["beta"], rtol=1e-12)
    dx, _ = layer.backward(arrays(PARAMS), saved, jnp.ones_like(y))
    np.testing.assert_allclose(dx, np.broadcast_to(slope, dx.shape), rtol=1e-12)
    assert layer.next_state(state, saved) is state


def test_a_feature_that_does_not_vary_stays_finite():
    x = jnp.full((5, 3), 7.0)
    y, saved = BatchNorm().forward(arrays(PARAMS), x, TRAINING)
    dx, _ = BatchNorm().backward(arrays(PARAMS), saved, jnp.asarray(RNG.normal(size=(5, 3))))
    np.testing.assert_allclose(y, np.broadcast_to(PARAMS["beta"], (5, 3)))
    assert np.all(np.isfinite(dx))


def test_variance_does_not_cancel_in_float32():
    """E[x²] − E[x]² would be off by 100 % here."""
    x = (1e4 + RNG.normal(size=(200, 3))).astype(np.float32)
    _, saved = BatchNorm().forward(
        {k: jnp.asarray(v, jnp.float32) for k, v in PARAMS.items()}, jnp.asarray(x), TRAINING
    )
    assert saved["batch_var"].dtype == jnp.float32
    np.testing.assert_allclose(saved["batch_var"], x.astype(np.float64).var(axis=0), rtol=1e-4)


def test_statistics_of_bfloat16_are_in_float32():
    x = jnp.asarray(RNG.normal(4.0, 1.0, (300, 3)), jnp.bfloat16)
    params = {k: jnp.asarray(v, jnp.bfloat16) for k, v in PARAMS.items()}
    layer = BatchNorm(momentum=0.0)
    y, saved = layer.forward(params, x, TRAINING)
    dx, grads = layer.backward(params, saved, y)
    state = layer.next_state({"mean": jnp.zeros(3, jnp.float32), "var": jnp.ones(3, jnp.float32)}, saved)
    assert y.dtype == dx.dtype == grads["gamma"].dtype == jnp.bfloat16
    assert state["mean"].dtype == saved["batch_mean"].dtype == jnp.float32
    np.testing.assert_allclose(state["mean"], np.asarray(x, np.float64).mean(axis=0), rtol=1e-6)


def test_one_value_of_each_feature_has_no_variance():
    with pytest.raises(ShapeError, match="more than one value"):
        BatchNorm().forward(arrays(PARAMS), jnp.ones((1, 3)), TRAINING)
    y, _ = BatchNorm().forward(arrays(PARAMS), jnp.asarray(IMAGES[:1]), TRAINING)  # one image has many
    assert y.shape == (1, 3, 2, 3)


def test_padding_leaves_no_trace():
    """As if the true steps had come alone, whatever the padding holds."""
    layer, lengths = BatchNorm(momentum=0.6), np.array([5, 1, 0, 3])
    true = np.arange(5) < lengths[:, None]
    x, dy = RNG.normal(size=(2, 4, 5, 2, 3))

    @jax.jit
    def run(x, dy, lengths):
        y, saved = layer.forward(arrays(PARAMS), x, Context(train=True, lengths=lengths))
        state = layer.next_state({"mean": jnp.zeros(3), "var": jnp.ones(3)}, saved)
        return (y, layer.backward(arrays(PARAMS), saved, dy)[0]), layer.backward(arrays(PARAMS), saved, dy)[1], state

    of_steps, *sums = run(*np.where(true[..., None, None], (x, dy), np.nan), lengths)
    assert not np.any(np.asarray(of_steps)[:, ~true])
    alone, *expected = run(x[true], dy[true], None)
    np.testing.assert_allclose(np.asarray(of_steps)[:, true], alone, rtol=1e-10, atol=1e-12)
    for a, b in zip(*map(jax.tree.leaves, (sums, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_single_true_step_leaves_the_running_statistics_finite():
    context = Context(train=True, lengths=jnp.array([1]))
    y, saved = BatchNorm().forward(arrays(PARAMS), jnp.asarray(IMAGES[0, :1]), context)
    state = BatchNorm().next_state({"mean": jnp.zeros(3), "var": jnp.full(3, 2.0)}, saved)
    np.testing.assert_allclose(state["mean"], 0.1 * IMAGES[0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(state["var"], 1.8, rtol=1e-5)
    np.testing.assert_allclose(y[0, 0], PARAMS["beta"], rtol=1e-5)


def test_errors_say_what_is_wrong():
    with pytest.raises(DenpaError, match="running statistics"):
        BatchNorm().forward(arrays(PARAMS), jnp.ones((4, 3)), Context())
    with pytest.raises(ShapeError, match="features=3"):
        BatchNorm().forward(arrays(PARAMS), jnp.ones((4, 5)), TRAINING)


@pytest.mark.parametrize("options", [{"momentum": 1.5}, {"momentum": "0.9"}, {"epsilon": 0}, {"epsilon": -1e-5}])
def test_senseless_options_are_refused(options):
    with pytest.raises(ConfigError):
        BatchNorm(**options)

"""Dropout and noise: masks, expectations, modes, and which weights a step touches."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core.errors import ConfigError, DenpaError
from denpa.core.layer import Context
from denpa.kernels.random import keep_mask
from denpa.layers import Dense, Dropout, GaussianNoise, Sigmoid
from denpa.networks import Sequential

X = jnp.asarray(np.random.default_rng(2).uniform(0.5, 2, (400, 50)), jnp.float32)


def training(key):
    return Context(train=True, key=key)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.85])
@pytest.mark.parametrize("scaling", ["inverted", "classical"])
def test_training_and_inference_agree_in_expectation(rate, scaling, key):
    layer = Dropout(rate, scaling=scaling)
    y, saved = layer.forward({}, X, training(key))
    inference, nothing = layer.forward({}, X, Context())
    assert nothing == {}
    dropped = 1 - np.mean(saved["mask"])
    assert abs(dropped - rate) < 5 * np.sqrt(rate * (1 - rate) / X.size)
    spread = np.std(np.asarray(y - inference)) / np.sqrt(X.size)
    assert abs(np.mean(np.asarray(y - inference))) < 5 * spread
    factor = 1 / (1 - rate) if scaling == "inverted" else 1
    np.testing.assert_allclose(y, np.where(saved["mask"], factor * X, 0), rtol=1e-6)
    np.testing.assert_allclose(inference, X if scaling == "inverted" else (1 - rate) * X, rtol=1e-6)


@pytest.mark.parametrize("scaling", ["inverted", "classical"])
def test_the_whole_network_is_the_mean_of_the_thinned_ones(scaling, key):
    """Over all 2^3 masks: linear outputs have the mean, those behind a softmax the geometric mean."""
    rng = np.random.default_rng(8)
    x = jnp.asarray(np.tile(rng.standard_normal(3), (500, 1)), jnp.float32)
    params = {"W": jnp.asarray(rng.standard_normal((3, 4)), jnp.float32), "b": jnp.asarray(rng.standard_normal(4))}
    dropout, output = Dropout(0.5, scaling=scaling), Dense(4)
    thinned, saved = dropout.forward({}, x, training(key))
    _, first = np.unique(np.asarray(saved["mask"]), axis=0, return_index=True)
    assert len(first) == 8
    u = np.asarray(output.forward(params, thinned[first])[0], np.float64)
    whole = np.asarray(output.forward(params, dropout.forward({}, x[:1])[0])[0], np.float64)[0]
    np.testing.assert_allclose(u.mean(axis=0), whole, rtol=1e-5)
    probabilities = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    geometric = np.exp(np.log(probabilities).mean(axis=0))
    np.testing.assert_allclose(geometric / geometric.sum(), np.exp(whole) / np.exp(whole).sum(), rtol=1e-5)
    assert np.abs(probabilities.mean(axis=0) - geometric / geometric.sum()).max() > 1e-3


@pytest.mark.parametrize("scaling", ["inverted", "classical"])
def test_the_delta_passes_where_the_unit_was_kept_with_the_same_factor(scaling, key):
    """y and dx come from x and dy in the same way, since y is linear in x."""
    layer, dy = Dropout(0.3, scaling=scaling), -X
    for ctx in (training(key), Context()):
        y, saved = layer.forward({}, X, ctx)
        dx, _ = layer.backward({}, saved, dy)
        np.testing.assert_array_equal(dx, -y)


def test_a_mask_for_each_sample_or_one_for_the_batch(key):
    own = Dropout(0.5).forward({}, X, training(key))[0] == 0
    shared = Dropout(0.5, per="batch").forward({}, X, training(key))[0] == 0
    assert len(np.unique(own, axis=0)) > 350
    assert len(np.unique(shared, axis=0)) == 1
    assert 0 < np.sum(shared[0]) < 50


@pytest.mark.parametrize("rate", [0.99, 0.9999, 0.99999])
def test_few_that_are_kept_stand_for_all(rate, key):
    """The share that is kept is that of the factor 1 / (1 - rate), however small it is."""
    y, _ = Dropout(rate).forward({}, jnp.ones((4000, 1000)), Context(train=True, key=key))
    kept = 4_000_000 * (1 - rate)
    assert abs(float(jnp.mean(y)) - 1) < 5 / np.sqrt(kept)


def test_rate_0_is_the_identity_and_rate_1_drops_all(key):
    for scaling in ("inverted", "classical"):
        y, _ = Dropout(0, scaling=scaling).forward({}, X, Context(train=True))  # needs no key
        np.testing.assert_array_equal(y, X)
        np.testing.assert_array_equal(Dropout(0, scaling=scaling).forward({}, X, Context())[0], X)
        y, saved = Dropout(1, scaling=scaling).forward({}, X, training(key))
        dx, _ = Dropout(1, scaling=scaling).backward({}, saved, X)
        assert not np.any(y)
        assert not np.any(dx)
    np.testing.assert_array_equal(Dropout(1).forward({}, X, Context())[0], X)
    assert not np.any(Dropout(1, scaling="classical").forward({}, X, Context())[0])


def test_what_is_dropped_is_zero_even_where_it_was_infinite(key):
    y, saved = Dropout(0.5).forward({}, jnp.full((4, 50), jnp.inf), training(key))
    np.testing.assert_array_equal(y, np.where(saved["mask"], np.inf, 0))


@pytest.mark.parametrize("layer", [Dropout(0.5), GaussianNoise(0.5)], ids=str)
def test_the_key_decides(layer, key):
    once, again = (np.asarray(layer.forward({}, X, training(key))[0]) for _ in range(2))
    other = np.asarray(layer.forward({}, X, training(jax.random.fold_in(key, 1)))[0])
    np.testing.assert_array_equal(once, again)
    assert np.mean(once != other) > 0.4
    with pytest.raises(DenpaError, match="key"):
        layer.forward({}, X, Context(train=True))


def test_layers_of_one_network_draw_masks_of_their_own(key):
    net = Sequential([Dropout(0.5), Dropout(0.5)])
    _, saved = net.forward({"0_dropout": {}, "1_dropout": {}}, X, training(key))
    agreement = np.mean(saved["0_dropout"]["mask"] == saved["1_dropout"]["mask"])
    assert abs(agreement - 0.5) < 5 * 0.5 / np.sqrt(X.size)


@pytest.mark.parametrize("per", ["sample", "batch"])
def test_a_step_touches_only_the_weights_of_kept_units(per, key):
    """Training with one mask is training of the smaller network: all other weights get gradient 0, exactly."""
    net = Sequential([Dense(8), Sigmoid(), Dropout(0.5, per=per), Dense(3)])
    samples = 6 if per == "batch" else 1  # one mask, however many samples it holds for
    rng = np.random.default_rng(9)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(1), (4,))).params
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), jnp.float32), shapes)
    x = jnp.asarray(rng.normal(size=(samples, 4)), jnp.float32)
    y, saved = net.forward(params, x, training(key))
    _, grads = net.backward(params, saved, 1 + y)
    kept = np.asarray(saved["2_dropout"]["mask"])[0]
    assert 0 < kept.sum() < 8
    for touched in (
        grads["0_dense"]["W"].any(axis=0),  # into the unit
        grads["0_dense"]["b"] != 0,
        grads["3_dense"]["W"].any(axis=1),  # out of the unit
    ):
        np.testing.assert_array_equal(touched, kept)
    assert np.all(grads["3_dense"]["b"] != 0)


def test_mask_bits_are_independent():
    """Two come from one random word: neighbours must agree as often as strangers do."""
    mask = np.asarray(keep_mask(jax.random.key(3), (1000, 101), 0.3))  # an odd row: half a word is left over
    assert mask.shape == (1000, 101)
    assert abs(mask.mean() - 0.7) < 5 * np.sqrt(0.21 / mask.size)
    for other in (mask[:, 1:], mask[:, 2:], mask[:, 51:]):
        first = mask[:, : other.shape[1]]
        correlation = np.mean((first - 0.7) * (other - 0.7)) / 0.21
        assert abs(correlation) < 5 / np.sqrt(other.size)
    assert np.abs(mask.mean(axis=0) - 0.7).max() < 5 * np.sqrt(0.21 / 1000)


@pytest.mark.parametrize("rate", [2**-16, 1 - 1.5 * 2**-16])
def test_what_is_rare_is_as_rare_as_the_rate_says(rate):
    """One step of 2⁻¹⁶ more or less would be twice as many dropped, or a third more kept."""
    kept = int(np.sum(keep_mask(jax.random.key(5), (4000, 4000), rate)))
    rare, wanted = (kept, 1 - rate) if rate > 0.5 else (4000**2 - kept, rate)
    assert abs(rare - 4000**2 * wanted) < 5 * np.sqrt(4000**2 * wanted)


def test_mask_at_the_ends_of_its_scale():
    key = jax.random.key(0)
    assert not np.any(keep_mask(key, (3, 4), 1 - 2**-40))  # that is no whole number of steps of 2⁻³²
    assert np.all(keep_mask(key, (3, 4), 0.0))
    assert not np.any(keep_mask(key, (3, 4), 1.0))
    assert keep_mask(key, (), 0.5).shape == ()


def test_noise_has_the_spread_asked_for_and_none_in_inference(key):
    layer = GaussianNoise(0.3)
    y, saved = layer.forward({}, X, training(key))
    noise = np.asarray(y - X)
    assert saved == {}
    assert abs(noise.mean()) < 5 * 0.3 / np.sqrt(X.size)
    np.testing.assert_allclose(noise.std(), 0.3, rtol=5 / np.sqrt(2 * X.size))
    np.testing.assert_array_equal(layer.forward({}, X, Context())[0], X)
    np.testing.assert_array_equal(GaussianNoise(0).forward({}, X, Context(train=True))[0], X)
    np.testing.assert_array_equal(layer.backward({}, saved, X)[0], X)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dropout(-0.1),
        lambda: Dropout(1.01),
        lambda: Dropout("half"),
        lambda: Dropout(True),
        lambda: Dropout(0.5, scaling="none"),
        lambda: Dropout(0.5, per="unit"),
        lambda: GaussianNoise(-1),
        lambda: GaussianNoise(None),
    ],
)
def test_senseless_options_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_noise_in_half_precision_has_a_mean_of_0_and_tails(key):
    # Drawn in bfloat16, which has 8 bits, none of a million would lie beyond 3σ, and their mean would be -0.01.
    y, _ = GaussianNoise(1.0).forward({}, jnp.zeros((1000, 1000), jnp.bfloat16), training(key))
    noise = np.asarray(y, np.float64)
    assert y.dtype == jnp.bfloat16
    assert abs(noise.mean()) < 5e-3
    np.testing.assert_allclose((np.abs(noise) > 3).mean(), 0.0027, rtol=0.1)

"""The max-norm constraint: after every update each unit's weights are at most c long."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import denpa as dp

RNG = np.random.default_rng(3)
LENGTHS = np.array([0.5, 2.9, 3.0, 7.0], np.float32)


def of_lengths(shape):
    w = RNG.standard_normal(shape).astype(np.float32)
    return w / np.sqrt(np.sum(w**2, axis=tuple(range(w.ndim - 1)))) * LENGTHS


PARAMS = {
    "0_dense": {"W": jnp.asarray(of_lengths((5, 4))), "b": jnp.full(4, 9.0)},
    "1_conv2d": {"W": jnp.asarray(of_lengths((3, 3, 2, 4)))},
}
ZEROS = jax.tree.map(jnp.zeros_like, PARAMS)


def lengths(w):
    return np.sqrt(np.sum(np.square(w), axis=tuple(range(np.ndim(w) - 1))))


@pytest.mark.parametrize("layer", PARAMS)
def test_long_weights_come_back_to_the_ball_in_their_direction(layer):
    W, U = PARAMS[layer]["W"], dp.MaxNorm(3.0).update(ZEROS, {}, PARAMS)[0][layer]["W"]
    np.testing.assert_allclose(lengths(W + U), [0.5, 2.9, 3.0, 3.0], rtol=1e-5)
    np.testing.assert_allclose(W + U, W * np.array([1, 1, 1, 3 / 7], np.float32), rtol=1e-5, atol=1e-6)


def test_biases_are_free_unless_named():
    updates, _ = dp.MaxNorm(3.0).update(ZEROS, {}, PARAMS)
    assert not updates["0_dense"]["b"].any()
    updates, _ = dp.MaxNorm(3.0, on="0_dense/*").update(ZEROS, {}, PARAMS)
    assert updates["0_dense"]["W"].any()
    assert not updates["0_dense"]["b"].any()  # one axis: its entries are units, none of which has a length
    assert not updates["1_conv2d"]["W"].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.1, 10.0))
def test_the_step_ends_at_the_nearest_point_of_the_ball(seed, c):
    rng = np.random.default_rng(seed)
    w, u = rng.standard_normal((2, 6, 3)).astype(np.float32) * 3
    found = w + np.asarray(dp.MaxNorm(float(c)).update({"W": u}, {}, {"W": w})[0]["W"])
    assert (lengths(found) <= c * (1 + 1e-5)).all()
    other = rng.standard_normal((50, 6, 3))
    other *= np.minimum(1, c / np.sqrt(np.sum(other**2, axis=1, keepdims=True)))
    nearest = np.sum((other - (w + u)) ** 2, axis=1).min(axis=0)
    assert (np.sum((found - (w + u)) ** 2, axis=0) <= nearest + 1e-3).all()


def test_weights_whose_squares_are_too_large_come_back_to_the_ball_too():
    w = jnp.asarray(RNG.standard_normal((5, 2)), jnp.float32)
    far = {"W": w * jnp.array([1e-3, 1e25], jnp.float32)}
    found = dp.MaxNorm(2.0).project(far)["W"]
    assert np.array_equal(found[:, 0], far["W"][:, 0])  # short ones are left alone, to the bit
    np.testing.assert_allclose(found[:, 1], 2 * w[:, 1] / lengths(w)[1], rtol=1e-5)
    assert not np.isfinite(dp.MaxNorm(2.0).project({"W": w.at[0, 0].set(np.inf)})["W"][:, 0]).any()  # to be noticed


def test_factors_of_groups_do_not_lead_out_of_the_ball_again():
    for chained in (dp.chain(dp.SGD(0.1), dp.MaxNorm(2.0)), dp.chain(dp.chain(dp.SGD(0.1), dp.MaxNorm(2.0)))):
        with pytest.raises(dp.ConfigError, match=r"write chain\(ParameterGroups\(...\), MaxNorm\(2.0\)\)"):
            dp.ParameterGroups(chained, {"*": 10.0})
    held = dp.chain(dp.ParameterGroups(dp.SGD(0.1), {"0_dense/*": 10.0}), dp.MaxNorm(2.0))
    grads = jax.tree.map(lambda w: -100 * w, PARAMS)
    updates, _ = held.update(grads, held.init(PARAMS), PARAMS)
    for layer, arrays in PARAMS.items():
        assert lengths(arrays["W"] + updates[layer]["W"]).max() <= 2 * (1 + 1e-6)


def test_training_keeps_to_it_where_it_would_not_otherwise(tmp_path):
    x = RNG.standard_normal((40, 6)).astype(np.float32)
    t = (x[:, 0] > 0).astype(np.int32)

    def trained(optimizer, epochs=6, **options):
        net = [dp.Dense(8), dp.ReLU(), dp.Dense(2)]
        model = dp.Model(net, dp.SoftmaxCrossEntropy(), optimizer)
        model.fit((x, t), epochs=epochs, batch_size=20, verbose=False, **options)
        return model

    bound = dp.chain(dp.Adam(0.3), dp.MaxNorm(1.5))
    held, free = trained(bound), trained(dp.Adam(0.3))
    for name in ("0_dense", "2_dense"):
        assert lengths(held.variables.params[name]["W"]).max() <= 1.5 * (1 + 1e-6)
        assert lengths(free.variables.params[name]["W"]).max() > 2

    held.save(tmp_path / "held.safetensors")
    assert dp.load(tmp_path / "held.safetensors").optimizer == bound
    trained(bound, epochs=3, callbacks=[dp.Checkpoint(str(tmp_path))])
    resumed = trained(bound, resume=tmp_path)
    assert np.array_equal(resumed.variables.params["0_dense"]["W"], held.variables.params["0_dense"]["W"])


@pytest.mark.parametrize(
    ("limit", "wanted"), [(0.0, "positive"), (-1.0, "positive"), ("3", "a number"), (True, "a number")]
)
def test_a_limit_is_a_positive_number(limit, wanted):
    with pytest.raises(dp.ConfigError, match=wanted):
        dp.MaxNorm(limit)


def test_it_stands_behind_the_optimiser():
    with pytest.raises(dp.ConfigError, match="behind the optimiser"):
        dp.chain(dp.MaxNorm(3.0), dp.SGD(0.1))
    with pytest.raises(dp.ConfigError, match="wants the parameters"):
        dp.MaxNorm(3.0).update(ZEROS, {})

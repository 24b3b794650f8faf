"""Clipping by norm and by value, and chains of transforms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa import optim
from denpa.core import tree
from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError
from denpa.optim import schedules

vectors = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3)


def clip(transform, grads):
    return transform.update(grads, transform.init(grads))[0]


@given(a=vectors, b=vectors, limit=st.floats(0.01, 1000))
def test_clip_by_norm_keeps_direction_and_bounds_the_length(a, b, limit):
    grads = {"x": {"W": jnp.array(a)}, "y": {"b": jnp.array(b)}}
    clipped = clip(optim.ClipByNorm(limit), grads)
    whole, kept = np.array([*a, *b], np.float64), np.concatenate([clipped["x"]["W"], clipped["y"]["b"]])
    norm = np.linalg.norm(whole)
    expected = whole * (limit / norm if norm >= limit else 1.0)
    np.testing.assert_allclose(kept, expected, rtol=1e-5, atol=1e-7 * max(limit, 1))
    assert np.linalg.norm(kept) <= limit * (1 + 1e-5)


def test_the_norm_is_that_of_all_parameters_together():
    """Leaves of norms 3 and 4 have norm 5 together; clipped each by itself they would be untouched at 4.5."""
    grads = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([0.0, 4.0])}
    clipped = clip(optim.ClipByNorm(4.5), grads)
    np.testing.assert_allclose(clipped["a"], [2.7, 0.0], rtol=1e-6)
    np.testing.assert_allclose(clipped["b"], [0.0, 3.6], rtol=1e-6)


def test_short_gradients_pass_bit_by_bit():
    grads = {"W": jnp.array(np.random.default_rng(0).normal(size=50), jnp.float32)}
    np.testing.assert_array_equal(clip(optim.ClipByNorm(100.0), grads)["W"], grads["W"])


def test_zero_gradients_stay_zero_and_nan_stays_visible():
    with jax.debug_nans(True):
        np.testing.assert_array_equal(clip(optim.ClipByNorm(1.0), {"W": jnp.zeros(3)})["W"], 0)
    assert jnp.isnan(clip(optim.ClipByNorm(1.0), {"W": jnp.array([jnp.nan, 1.0])})["W"]).all()
    assert jnp.isnan(clip(optim.ClipByValue(1.0), {"W": jnp.array([jnp.nan, 1.0])})["W"][0])


def test_leaves_of_several_precisions_count_together():
    with jax.enable_x64(True):
        dtypes = {"a": jnp.bfloat16, "b": jnp.float32, "c": jnp.float64}
        grads = {name: jnp.full(4, 3.0, dtype) for name, dtype in dtypes.items()}
        clipped = clip(optim.ClipByNorm(1.0), grads)
        assert {name: leaf.dtype for name, leaf in clipped.items()} == dtypes
        for leaf in clipped.values():
            np.testing.assert_allclose(leaf.astype(float), 12**-0.5, rtol=3e-3)
        np.testing.assert_allclose(clipped["c"], 12**-0.5, rtol=1e-12)  # what is wide is not rounded for the others
    assert clip(optim.ClipByNorm(1.0), {}) == {}


def test_an_array_without_entries_has_no_length():
    grads = {"empty": jnp.zeros((0, 3)), "W": jnp.array([3.0, 4.0])}
    clipped = clip(optim.ClipByNorm(1.0), grads)
    assert clipped["empty"].shape == (0, 3)
    np.testing.assert_allclose(clipped["W"], [0.6, 0.8], rtol=1e-6)


@given(g=vectors, limit=st.floats(0.01, 200))
def test_clip_by_value_works_entry_by_entry(g, limit):
    clipped = clip(optim.ClipByValue(limit), {"W": jnp.array(g)})["W"]
    np.testing.assert_allclose(clipped, np.clip(g, -limit, limit), rtol=1e-6, atol=2e-38)  # below that XLA has 0


def test_a_chain_passes_from_left_to_right():
    before = optim.chain(optim.ClipByNorm(1.0), optim.SGD(0.1))
    after = optim.chain(optim.SGD(0.1), optim.ClipByNorm(1.0))
    g = {"W": jnp.array([30.0, 40.0])}
    np.testing.assert_allclose(before.update(g, before.init(g))[0]["W"], [-0.06, -0.08], rtol=1e-6)
    np.testing.assert_allclose(after.update(g, after.init(g))[0]["W"], [-0.6, -0.8], rtol=1e-6)


def test_a_chain_answers_for_its_optimizer():
    inner = optim.Nesterov(schedules.LinearDecay(0.2, 0.1, 4), 0.5, lookahead=True)
    chained = optim.chain(optim.ClipByValue(1.0), optim.chain(optim.ClipByNorm(5.0), inner))
    params = {"W": jnp.array([1.0, -2.0])}
    state = chained.init(params)
    assert set(state) == {"0_clipbyvalue", "1_chain"}
    assert set(state["1_chain"]) == {"0_clipbynorm", "1_nesterov"}
    updates, state = chained.update({"W": jnp.array([0.5, 3.0])}, state, params)
    np.testing.assert_allclose(updates["W"], [-0.1, -0.2], rtol=1e-6)
    assert float(chained.rate(state)) == pytest.approx(0.175)
    np.testing.assert_allclose(chained.gradient_point(params, state)["W"], [0.95, -2.1], rtol=1e-6)


def test_names_of_long_chains_sort_as_they_stand():
    chained = optim.chain(*[optim.ClipByValue(1.0 + i) for i in range(10)], optim.SGD(0.1))
    names = list(chained.init({"W": jnp.zeros(2)}))
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("00_clipbyvalue", "10_sgd")


def test_a_chain_is_one_description():
    chained = optim.chain(optim.ClipByNorm(1), optim.AdamW(schedules.WarmUp(1e-3, 10), on="*"))
    assert repr(chained) == "chain(ClipByNorm(1.0), AdamW(schedules.WarmUp(0.001, 10), on='*'))"
    assert from_config(to_config(chained), optim.Optimizer) == chained
    assert hash(chained) == hash(from_config(to_config(chained)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.chain(), "exactly one optimiser and has 0"),
        (lambda: optim.chain(optim.ClipByNorm(1.0)), "exactly one optimiser and has 0"),
        (lambda: optim.chain(optim.SGD(0.1), optim.Adam()), "exactly one optimiser and has 2"),
        (lambda: optim.chain("clip", optim.Adam()), "'clip' cannot be chained"),
        (lambda: optim.Chain(optim.Adam()), r"chain\(a, b\) makes one"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_state_travels_by_path():
    """What a checkpoint does: arrays by name, and back."""
    chained = optim.chain(optim.ClipByNorm(1.0), optim.Adam())
    state = chained.init({"0_dense": {"W": jnp.ones((2, 2))}})
    arrays = tree.flatten(state)
    assert set(arrays) == {
        "1_adam/step",
        "1_adam/first_moment/0_dense/W",
        "1_adam/second_moment/0_dense/W",
    }
    assert jax.tree.structure(tree.unflatten(arrays, state)) == jax.tree.structure(state)


@pytest.mark.parametrize("size", [1e20, 1e30, 1e38])
def test_gradients_whose_squares_are_too_large_keep_their_direction(size):
    grads = {"a": jnp.float32([size, -size]), "b": jnp.float32([[0.5 * size]])}
    clipped, _ = jax.jit(optim.ClipByNorm(3.0).update)(grads, {})
    np.testing.assert_allclose(clipped["a"], [2, -2], rtol=1e-5)
    np.testing.assert_allclose(clipped["b"], [[1]], rtol=1e-5)
    for odd in (np.inf, np.nan):
        clipped, _ = optim.ClipByNorm(3.0).update({"a": jnp.float32([odd, 1.0])}, {})
        assert not np.isfinite(clipped["a"][0])

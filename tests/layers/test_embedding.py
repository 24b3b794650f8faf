"""A word's row of the table: unknown words, padding, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp

W = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
DY = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)


def there_and_back(layer, x):
    y, saved = layer.forward({"W": jnp.asarray(W)}, jnp.asarray(x))
    return np.asarray(y), np.asarray(layer.backward({"W": jnp.asarray(W)}, saved, jnp.asarray(DY))[1]["W"])


def test_a_word_that_the_table_lacks_is_nan_and_teaches_nothing():
    x = np.array([[1, -1, 5, 4], [1, 0, 7, -5]])
    y, gradient = there_and_back(dp.Embedding(5, 3), x)
    known = (x >= 0) & (x < 5)
    np.testing.assert_array_equal(y[known], W[x[known]])
    assert np.isnan(y[~known]).all()
    expected = np.zeros_like(W)
    np.add.at(expected, x[known], DY[known])
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_the_row_of_the_padding_is_0_and_stays():
    layer, x = dp.Embedding(5, 3, padding=2), np.array([[1, 2, 0, 4], [2, 2, 3, 1]])
    fresh = layer.init(jax.random.key(0), (4,))["W"]
    np.testing.assert_array_equal(np.any(fresh, axis=1), [True, True, False, True, True])
    y, gradient = there_and_back(layer, x)
    np.testing.assert_array_equal(y, np.where((x == 2)[..., None], 0, W[x]))
    assert not gradient[2].any()
    assert gradient[1].all()


@pytest.mark.parametrize("padding", [-1, 5])
def test_what_is_no_word_is_refused(padding):
    with pytest.raises(dp.ConfigError, match="from 0 to 4"):
        dp.Embedding(5, 3, padding=padding)
    with pytest.raises(dp.DataError, match="integers, but got float32"):
        dp.Embedding(5, 3).forward({"W": jnp.asarray(W)}, jnp.ones((2, 4)))


@pytest.mark.parametrize("jitted", [True, False])
def test_a_table_of_numpy_is_read_outside_of_a_compiled_program(jitted):
    layer = dp.Embedding(5, 3)
    with jax.disable_jit(not jitted):
        y, _ = layer.forward({"W": W}, jnp.array([[1, 0]]))
    np.testing.assert_array_equal(y, W[[[1, 0]]])

"""Powers of features as a normaliser, and the linear toy data."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import preprocessing

import denpa as dp
from denpa import classical
from denpa.core.description import from_config, to_config


def test_powers_are_those_of_the_closed_form():
    x = np.array([[2.0, -3.0], [0.5, 1.0]], np.float32)
    powers = dp.PolynomialFeatures(3)
    assert powers.fit(x) == {}
    y = powers.apply({}, x)
    np.testing.assert_allclose(y, classical.polynomial_features(x, 3), rtol=1e-6)
    assert y.dtype == np.float32
    np.testing.assert_allclose(powers.apply({}, jnp.asarray(x)), y, rtol=1e-6)
    assert powers.apply({}, np.array([[2]])).tolist() == [[2, 4, 8]]
    assert from_config(to_config(powers)) == powers


@pytest.mark.parametrize(("d", "degree"), [(1, 4), (2, 2), (3, 2), (3, 3), (4, 4)])
def test_products_are_those_of_scikit_learn(d, degree):
    x = np.random.default_rng(d).normal(size=(6, d))
    products = dp.PolynomialFeatures(degree, products=True)
    y = products.apply({}, x)
    expected = preprocessing.PolynomialFeatures(degree, include_bias=False).fit_transform(x)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda x: products.apply({}, x))(x.astype(np.float32)), y, rtol=1e-5, atol=1e-6)
    assert from_config(to_config(products)) == products


def test_what_has_no_powers():
    with pytest.raises(dp.ConfigError, match="degree"):
        dp.PolynomialFeatures(0)
    with pytest.raises(dp.ShapeError, match="PolynomialFeatures"):
        dp.PolynomialFeatures(2).apply({}, np.zeros((2, 3, 4), np.float32))


def test_linear_data_follow_their_rule():
    x, t = dp.datasets.load("linear", n=2000, features=5, informative=3, noise=0.1)
    model = classical.linear_regression(x, t[:, 0])
    np.testing.assert_allclose(model.W, [1, -1, 1, 0, 0], atol=0.02)
    np.testing.assert_allclose(model.noise_variance, 0.01, rtol=0.1)
    with pytest.raises(dp.ConfigError, match="at most the 2 features"):
        dp.datasets.load("linear", features=2, informative=3)

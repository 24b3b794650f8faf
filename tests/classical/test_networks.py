"""The one-layer networks, trained by gradient in float64, end where the closed forms and Newton's method do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa import classical
from denpa.penalties import ElasticNet


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)) + 0.5
    t = x @ np.array([[1.0, -1.0], [0.5, 2.0], [0.0, 0.3]]) + 0.3 * rng.normal(size=(40, 2)) + 1
    labels = (x @ rng.normal(size=(3, 3)) + rng.gumbel(size=(40, 3))).argmax(axis=1)
    return x, t, labels.astype(np.int32)


def trained(loss, x, t, units, penalty=None, steps=3000, rate=0.3):
    """Gradient descent with the gradients of `backprop`, from zero."""
    net = dp.Sequential([dp.Dense(units)])
    with jax.enable_x64(True):
        x, t = jnp.asarray(x), jnp.asarray(t)
        start = {"0_dense": {"W": jnp.zeros((x.shape[1], units)), "b": jnp.zeros(units)}}

        @jax.jit
        def descend(params):
            def step(_, params):
                grads = dp.backprop(net, loss, dp.Variables(params, {}), x, t).grads
                grads = grads if penalty is None else penalty.add_gradient(params, grads)
                params = jax.tree.map(lambda w, g: w - rate * g, params, grads)
                return params if penalty is None else penalty.shrink(params, jnp.asarray(rate))

            return jax.lax.fori_loop(0, steps, step, params)

        found = descend(start)["0_dense"]
        return np.asarray(found["W"]), np.asarray(found["b"])


def same(found, W, b):
    np.testing.assert_allclose(found[0], W, atol=1e-6 * np.abs(W).max())
    np.testing.assert_allclose(found[1], b, atol=1e-6 * np.abs(W).max())


@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_linear_and_ridge_regression(strength):
    x, t, _ = problem()
    exact = classical.ridge(x, t, strength)
    same(trained(dp.MeanSquaredError(), x, t, 2, dp.L2(strength) if strength else None), exact.W, exact.b)


def test_polynomial_regression():
    x = np.linspace(-1, 1, 15)
    t = (np.sin(3 * x) + 0.1 * np.cos(50 * x))[:, None]
    features = classical.polynomial_features(x, 3)
    exact = classical.linear_regression(features, t)
    same(trained(dp.MeanSquaredError(), features, t, 1, steps=20_000, rate=1.0), exact.W, exact.b)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.3, 0.2)])
def test_lasso_and_elastic_net_by_proximal_steps(l1, l2):
    x, t, _ = problem()
    exact = classical.elastic_net(x, t[:, 0], l1, l2)
    found = trained(dp.MeanSquaredError(), x, t[:, :1], 1, ElasticNet(l1, l2, proximal=True))
    same((found[0][:, 0], found[1][0]), exact.W, exact.b)
    np.testing.assert_array_equal(found[0][:, 0] == 0, exact.W == 0)
    assert 0 < exact.chosen.size < 3


@pytest.mark.parametrize("strength", [0.0, 0.05])
def test_logistic_regression(strength):
    x, _, labels = problem()
    binary = (labels > 0).astype(np.int32)
    exact = classical.logistic_regression(x, binary, strength)
    penalty = dp.L2(strength) if strength else None
    found = trained(dp.SigmoidCrossEntropy(), x, binary, 1, penalty, 10_000, 1.0)
    same((found[0][:, 0], found[1][0]), exact.W, exact.b)


def test_softmax_regression():
    x, _, labels = problem()
    exact = classical.softmax_regression(x, labels, 0.05)
    same(trained(dp.SoftmaxCrossEntropy(), x, labels, 3, dp.L2(0.05), 10_000, 1.0), exact.W, exact.b)

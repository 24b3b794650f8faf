"""The functions and derivatives that several layers use."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.kernels import activation

U, DY = np.random.default_rng(3).normal(0, 2, (2, 4, 5))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softmax"])
def test_derivative_belongs_to_its_function(name):
    function, backward = getattr(activation, name), getattr(activation, f"{name}_backward")
    with jax.enable_x64(True):
        y, pull_back = jax.vjp(function, jnp.asarray(U))
        np.testing.assert_allclose(backward(y, jnp.asarray(DY)), pull_back(jnp.asarray(DY))[0], atol=1e-14)


def test_sigmoid_is_accurate_where_it_is_tiny():
    u = np.linspace(-87, 20, 2001).astype(np.float32)
    exact = 1 / (1 + np.exp(-u.astype(np.float64)))
    np.testing.assert_allclose(activation.sigmoid(jnp.asarray(u)), exact, rtol=3e-7)


def test_softmax_overflows_nowhere_and_each_row_by_itself():
    """Rows on any level have the same softmax: a maximum over all of them would leave 0/0 of the lowest."""
    u, levels = U[:3].astype(np.float32), np.array([[1e4], [0], [-1e4]], np.float32)
    exact = np.exp(U[:3]) / np.exp(U[:3]).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(activation.softmax(jnp.asarray(u + levels)), exact, rtol=5e-3)
    np.testing.assert_allclose(activation.softmax(jnp.asarray(u)), exact, rtol=1e-6)

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

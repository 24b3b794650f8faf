"""What is known about activation functions: identities, extreme values, kinks, saturation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Context
from denpa.init import He, LeCun, Normal
from denpa.layers import ELU, Dense, Identity, LeakyReLU, PReLU, ReLU, Sigmoid, Softmax, Step, Tanh
from denpa.layers.activation import inactive_units
from denpa.networks import Sequential

U = np.array([[-3.0, -1.25, -0.5, 0.0, 0.25, 1.0, 4.5]])
finite = st.floats(-700, 700, allow_subnormal=False)


def both(layer, u, params=None):
    """y and f'(u), in float64."""
    with jax.enable_x64(True):
        u = jnp.asarray(u, jnp.float64)
        y, saved = layer.forward(params or {}, u, Context())
        dx, _ = layer.backward(params or {}, saved, jnp.ones_like(y))
    return np.asarray(y), np.asarray(dx)


@pytest.mark.parametrize(
    ("layer", "values", "slopes"),
    [
        (Identity(), U, np.ones_like(U)),
        (Step(), [[0, 0, 0, 0, 1, 1, 1]], np.zeros_like(U)),
        (ReLU(), [[0, 0, 0, 0, 0.25, 1, 4.5]], [[0, 0, 0, 0, 1, 1, 1]]),
        (ReLU(derivative_at_zero=1), [[0, 0, 0, 0, 0.25, 1, 4.5]], [[0, 0, 0, 1, 1, 1, 1]]),
        (LeakyReLU(), [[-0.03, -0.0125, -0.005, 0, 0.25, 1, 4.5]], [[0.01, 0.01, 0.01, 0.01, 1, 1, 1]]),
        (LeakyReLU(0), [[0, 0, 0, 0, 0.25, 1, 4.5]], [[0, 0, 0, 0, 1, 1, 1]]),
        (LeakyReLU(1), U, np.ones_like(U)),
        (LeakyReLU(-1), np.abs(U), [[-1, -1, -1, -1, 1, 1, 1]]),
        (LeakyReLU(3), [[-9, -3.75, -1.5, 0, 0.25, 1, 4.5]], [[3, 3, 3, 3, 1, 1, 1]]),
        (ELU(2), np.where(U > 0, U, 2 * np.exp(U) - 2), np.where(U > 0, 1, 2 * np.exp(U))),
        (Sigmoid(), 1 / (1 + np.exp(-U)), np.exp(-U) / (1 + np.exp(-U)) ** 2),
        (Tanh(), np.sinh(U) / np.cosh(U), 1 / np.cosh(U) ** 2),
    ],
    ids=str,
)
def test_values_and_derivatives_including_zero(layer, values, slopes):
    y, derivative = both(layer, U)
    np.testing.assert_allclose(y, values, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(derivative, slopes, rtol=1e-12, atol=1e-15)


@given(finite)
def test_sigmoid_is_symmetric_and_steepest_at_zero(u):
    y, slope = both(Sigmoid(), [[u, -u]])
    np.testing.assert_allclose(y[0, 0], 1 - y[0, 1], atol=1e-15)
    assert np.all(slope <= 0.25)


def test_greatest_slopes():
    assert both(Sigmoid(), [[0.0]])[0].item() == 0.5
    assert both(Sigmoid(), [[0.0]])[1].item() == 0.25
    assert both(Tanh(), [[0.0]])[1].item() == 1.0


@given(finite)
def test_tanh_is_a_sigmoid_stretched(u):
    np.testing.assert_allclose(both(Tanh(), [[u]])[0], 2 * both(Sigmoid(), [[2 * u]])[0] - 1, atol=1e-15)


def test_saturation():
    """Far from zero no delta gets through: σ'(10) = 4.5e-5, tanh'(10) = 8.2e-9."""
    np.testing.assert_allclose(both(Sigmoid(), [[10.0]])[1].item(), 4.5e-5, rtol=0.01)
    np.testing.assert_allclose(both(Tanh(), [[10.0]])[1].item(), 8.2e-9, rtol=0.01)


@pytest.mark.parametrize(
    "layer", [Sigmoid(), Tanh(), ELU(), Softmax(), ReLU(), LeakyReLU(), Identity(), Step()], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_overflow(layer, dtype):
    u = jnp.array([[-1e30, 1e30], [-104.0, 88.8], [3e4, 3e4]], dtype)
    y, saved = layer.forward({}, u, Context())
    dx, _ = layer.backward({}, saved, jnp.ones_like(y))
    assert jnp.all(jnp.isfinite(y))
    assert jnp.all(jnp.isfinite(dx))


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh(), ELU(), Softmax(), ReLU(), LeakyReLU(), Identity()], ids=str)
def test_a_nan_is_not_hidden(layer):
    y, _ = layer.forward({}, jnp.array([[1.0, jnp.nan]]), Context())
    assert jnp.isnan(y[0, 1])


def test_ranges():
    u = np.linspace(-30, 30, 601)[None]
    ranges = {
        Sigmoid(): (0, 1),
        Tanh(): (-1, 1),
        ReLU(): (0, 30),
        LeakyReLU(): (-0.3, 30),
        LeakyReLU(-1): (0, 30),
        ELU(1.5): (-1.5, 30),
        Step(): (0, 1),
    }
    for layer, (low, high) in ranges.items():
        y, _ = both(layer, u)
        np.testing.assert_allclose([y.min(), y.max()], [low, high], atol=1e-12, err_msg=str(layer))


def test_elu_has_no_jump_and_with_alpha_1_no_kink():
    """f(u) = α (eᵘ − 1): 0 from the left at 0 and −α at −∞, which α e^(u−1) is not."""
    y, slope = both(ELU(), [[-1e-9, 0.0, 1e-9]])
    np.testing.assert_allclose(y, [[-1e-9, 0, 1e-9]], rtol=1e-8)
    np.testing.assert_allclose(slope, 1, atol=1e-8)
    np.testing.assert_allclose(both(ELU(1.7), [[-50.0]])[0], -1.7)
    tiny, _ = ELU().forward({}, jnp.array([[-1e-6]]), Context())
    np.testing.assert_allclose(tiny, -1e-6, rtol=1e-5)  # eᵘ − 1 in float32 would be off by 3 %


def test_softmax_knows_no_common_shift():
    with jax.enable_x64(True):
        u = jnp.array([[0.3, -2.0, 1.1], [5.0, 5.0, -1.0]])
        y = both(Softmax(), u)[0]
        np.testing.assert_allclose(y, both(Softmax(), u + 100)[0], rtol=1e-12)
        np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-14)
        np.testing.assert_allclose(y, np.exp(u) / np.exp(u).sum(axis=-1, keepdims=True), rtol=1e-13)


def test_softmax_of_two_classes_is_a_sigmoid_of_the_difference():
    u = np.array([[0.4, -1.1], [2.0, 3.5]])
    np.testing.assert_allclose(both(Softmax(), u)[0][:, 0], both(Sigmoid(), u[:, 0] - u[:, 1])[0], rtol=1e-13)


def test_softmax_jacobian():
    """∂yᵣ/∂uₖ = yᵣ (δᵣₖ − yₖ): symmetric, singular, rows and columns with sum 0."""
    with jax.enable_x64(True):
        u = jnp.array([[0.3, -2.0, 1.1, 0.7]])
        y, saved = Softmax().forward({}, u, Context())
        rows = [Softmax().backward({}, saved, one[None])[0][0] for one in jnp.eye(4)]
        jacobian, y = np.stack(rows), np.asarray(y[0])
    np.testing.assert_allclose(jacobian, np.diag(y) - np.outer(y, y), atol=1e-15)
    np.testing.assert_allclose(jacobian.sum(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-15)


def test_prelu_gathers_the_gradient_of_alpha_from_all_that_share_it():
    rng = np.random.default_rng(1)
    u, dy = rng.normal(size=(2, 5, 2, 3))
    with jax.enable_x64(True):
        for layer, axes in ((PReLU(), (0, 1, 2)), (PReLU(shared=False), (0, 1))):
            params = layer.init(jax.random.key(0), (2, 3))
            assert np.all(params["alpha"] == 0.25)
            y, saved = layer.forward(params, jnp.asarray(u), Context())
            _, grads = layer.backward(params, saved, jnp.asarray(dy))
            np.testing.assert_allclose(y, np.maximum(u, 0) + 0.25 * np.minimum(u, 0))
            np.testing.assert_allclose(grads["alpha"], (dy * np.minimum(u, 0)).sum(axis=axes), rtol=1e-12)


def test_prelu_at_zero_and_with_a_slope_below_zero():
    """∂E/∂u = α dy at u = 0, as for LeakyReLU; slope −1 makes it the absolute value."""
    params = {"alpha": jnp.array(-1.0)}
    y, saved = PReLU().forward(params, jnp.array([[-2.0, 0.0, 3.0]]), Context())
    np.testing.assert_array_equal(y, [[2, 0, 3]])
    dx, grads = PReLU().backward(params, saved, jnp.array([[5.0, 7.0, 11.0]]))
    np.testing.assert_array_equal(dx, [[-5, -7, 11]])
    assert grads["alpha"] == -10


def test_inactive_units():
    """Unit 1 is 0 for every sample, unit 2 for all but one."""
    u = jnp.array([[1.0, -1.0, -2.0], [-0.5, -3.0, 0.1], [2.0, 0.0, -1.0]])
    y, saved = ReLU().forward({}, u, Context())
    assert inactive_units(y).tolist() == [False, True, False]
    dx, _ = ReLU().backward({}, saved, jnp.ones_like(u))
    assert (inactive_units(y) == jnp.all(dx == 0, axis=0)).all()
    assert inactive_units(jnp.stack([y, -y])).tolist() == [False, True, False]


def outputs_of_five_layers(activation, kernel_init, seed=0):
    """What the layers of a net of 5 x 100 units put out for 1000 inputs from N(0, 1)."""
    net = Sequential([layer for _ in range(5) for layer in (Dense(100, kernel_init=kernel_init), activation)])
    params, _ = net.init(jax.random.key(seed), (100,))
    x = jax.random.normal(jax.random.key(seed + 1), (1000, 100))
    _, _, values = net.walk_forward(params, x, Context())
    return [np.asarray(values[name].y) for name, layer in net.inner() if layer == activation]


def outside(y):
    return np.mean((y < 0.1) | (y > 0.9))


def test_initial_spread_decides_whether_sigmoids_saturate():
    wild = outputs_of_five_layers(Sigmoid(), Normal(1.0))
    assert all(0.70 < outside(y) < 0.85 for y in wild)
    np.testing.assert_allclose([y.std() for y in wild], 0.44, atol=0.03)
    calm = outputs_of_five_layers(Sigmoid(), LeCun(distribution="normal"))
    assert all(outside(y) < 0.04 for y in calm)
    np.testing.assert_allclose([calm[0].std(), calm[-1].std()], [0.21, 0.12], atol=0.015)


@pytest.mark.parametrize(
    ("kernel_init", "first", "last"),
    [(Normal(1.0), 5.8, 1.8e4), (He(distribution="normal"), 0.82, 1.0), (LeCun(distribution="normal"), 0.58, 0.18)],
    ids=str,
)
def test_initial_spread_decides_whether_relus_explode(kernel_init, first, last):
    """With N(0, 1) the spread grows by √(n/2) a layer, with He's it stays, with 1/n it falls by √2."""
    ys = outputs_of_five_layers(ReLU(), kernel_init)
    np.testing.assert_allclose(ys[0].std(), first, rtol=0.1)
    np.testing.assert_allclose(ys[-1].std(), last, rtol=0.5)
    assert 0.4 < np.mean(ys[0] == 0) < 0.6  # sparse: half of the units are silent


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReLU(derivative_at_zero=0.5),
        lambda: ReLU(derivative_at_zero="0"),
        lambda: LeakyReLU("0.1"),
        lambda: LeakyReLU(float("nan")),
        lambda: ELU(0),
        lambda: ELU(-1),
        lambda: PReLU(shared="channel"),
        lambda: PReLU(initial=None),
    ],
)
def test_senseless_options_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_an_array_of_another_width_is_refused():
    layer = PReLU(shared=False)
    params = layer.init(jax.random.key(0), (4,))
    with pytest.raises(ShapeError, match="units=4"):
        layer.forward(params, jnp.ones((2, 3)), Context())
    with pytest.raises(ShapeError, match="classes"):
        Softmax().forward({}, jnp.ones(3), Context())

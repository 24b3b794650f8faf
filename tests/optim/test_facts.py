"""What textbooks say of each method, with numbers: valleys, cliffs, saddles, noise, starvation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa import optim
from denpa.optim import schedules


def walk(optimizer, gradient, start, steps):
    """The points w(0), w(1), ..., w(steps) in float64."""

    def step(carry, _):
        w, state = carry
        updates, state = optimizer.update(gradient(optimizer.gradient_point(w, state)), state, w)
        return (w + updates, state), w

    with jax.enable_x64(True):
        w = jnp.asarray(start, jnp.float64)
        (last, _), path = jax.jit(lambda w: jax.lax.scan(step, (w, optimizer.init(w)), length=steps))(w)
        return np.concatenate([path, last[None]])


def feed(optimizer, gradients):
    """The updates that a fixed sequence of gradients (steps, ...) brings, in float64."""
    with jax.enable_x64(True):
        g = jnp.asarray(gradients, jnp.float64)
        scan = jax.jit(lambda g: jax.lax.scan(lambda s, g: optimizer.update(g, s, g)[::-1], optimizer.init(g[0]), g))
        return np.asarray(scan(g)[1])


@pytest.mark.parametrize("eta", [0.3, 1.7, 2.1, 1e-4])
def test_one_dimension_shrinks_by_one_minus_eta(eta):
    """E = w^2/2: w(t) = (1 - eta)^t w(0). Monotone below 1, alternating to 2, divergent above."""
    path = walk(optim.SGD(eta), lambda w: w, 3.0, 20)
    np.testing.assert_allclose(path, 3.0 * (1 - eta) ** np.arange(21), rtol=1e-12)


def test_with_zero_momentum_all_are_gradient_descent():
    def gradient(w):
        return w * jnp.array([1.0, 7.0])

    plain = walk(optim.SGD(0.1), gradient, [2.0, -1.0], 20)
    for method in (optim.Momentum, optim.Nesterov):
        for normalized in (False, True):
            path = walk(method(0.1, 0.0, normalized=normalized), gradient, [2.0, -1.0], 20)
            np.testing.assert_allclose(path, plain, rtol=1e-12)


@pytest.mark.parametrize("method", [optim.Momentum, optim.Nesterov])
def test_length_of_the_steady_step(method):
    """Under a constant gradient: -eta g where normalized, -eta g / (1 - mu) where not."""
    g = np.array([2.0, -0.5])
    constant = np.tile(g, (200, 1))
    np.testing.assert_allclose(feed(method(0.1, 0.8, normalized=True), constant)[-1], -0.1 * g, rtol=1e-10)
    np.testing.assert_allclose(feed(method(0.1, 0.8), constant)[-1], -0.1 * g / 0.2, rtol=1e-10)


def test_momentum_by_hand():
    updates = feed(optim.Momentum(0.1, 0.5), [[1.0], [2.0], [-3.0]])[:, 0]
    np.testing.assert_allclose(updates, [-0.1, -0.25, 0.175], rtol=1e-12)
    updates = feed(optim.Momentum(0.1, 0.5, normalized=True), [[1.0], [2.0], [-3.0]])[:, 0]
    np.testing.assert_allclose(updates, [-0.05, -0.125, 0.0875], rtol=1e-12)


def test_a_change_of_rate_leaves_the_velocity_gained():
    """Dw = mu Dw - eta(t) g: the rate of the past step is not replaced by the present one."""
    decay = schedules.StepDecay(0.4, 0.1, 1)
    updates = feed(optim.Momentum(decay, 0.5), [[1.0], [1.0], [1.0]])[:, 0]
    np.testing.assert_allclose(updates, [-0.4, -0.24, -0.124], rtol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("rate", [0.03, schedules.ExponentialDecay(0.05, 0.9)])
def test_both_forms_of_nesterov_run_through_the_same_points(rate, normalized):
    """y = w + mu Dw, where w walks by the formula to the letter and y by the change of variables."""

    def gradient(w):
        return jnp.array([1.0, 6.0]) * w + 0.3 * jnp.sin(3 * w)

    start, mu = [2.0, -1.5], 0.8
    literal = optim.Nesterov(rate, mu, normalized=normalized, lookahead=True)
    changed = optim.Nesterov(rate, mu, normalized=normalized)
    w, y = walk(literal, gradient, start, 40), walk(changed, gradient, start, 40)
    velocity = np.diff(w, axis=0)
    np.testing.assert_allclose(w[1:] + mu * velocity, y[1:], rtol=1e-11, atol=1e-13)
    assert np.abs(w - y).max() > 0.01


def test_nesterov_by_the_letter():
    """Dw = mu Dw - (1 - mu) eta grad E(w + mu Dw), written out in NumPy."""
    w, dw, mu, eta = np.array([2.0, -1.5]), np.zeros(2), 0.7, 0.2
    curve = np.array([1.0, 4.0])
    points = [w]
    for _ in range(15):
        dw = mu * dw - (1 - mu) * eta * curve * (w + mu * dw)
        w = w + dw
        points.append(w)
    path = walk(optim.Nesterov(eta, mu, normalized=True, lookahead=True), lambda w: w * curve, [2.0, -1.5], 15)
    np.testing.assert_allclose(path, points, rtol=1e-12)


def test_momentum_calms_the_oscillation_across_a_valley():
    """E = (w1^2 + 25 w2^2)/2 from (10, 1), eta = 0.079, 50 steps."""
    curve = np.array([1.0, 25.0])

    def run(optimizer):
        path = walk(optimizer, lambda w: w * curve, [10.0, 1.0], 50)
        changes = int(np.sum(np.sign(path[1:, 1]) != np.sign(path[:-1, 1])))
        return changes, path[-1], 0.5 * float(np.sum(curve * path[-1] ** 2))

    changes, w, error = run(optim.SGD(0.079))
    assert changes >= 49
    assert abs(w[1]) == pytest.approx(0.28, abs=0.005)
    assert error == pytest.approx(1.01, abs=0.01)
    changes, w, error = run(optim.Momentum(0.079, 0.5, normalized=True))
    assert changes == 19
    assert error == pytest.approx(0.0069, abs=1e-4)
    changes, w, error = run(optim.Nesterov(0.079, 0.5, normalized=True, lookahead=True))
    assert abs(w[1]) < 1e-6
    assert error == pytest.approx(0.0107, abs=1e-4)
    assert run(optim.Momentum(0.079, 0.9, normalized=True))[2] == pytest.approx(0.39, abs=0.01)


def test_a_plateau_stops_gradient_descent():
    """E = sigmoid(w)^2/2 at w = 10: the gradient is sigmoid^2 (1 - sigmoid) = 4.5e-5."""
    s = 1 / (1 + np.exp(-10.0))
    assert feed(optim.SGD(1.0), [[s * s * (1 - s)]])[0, 0] == pytest.approx(-4.54e-5, rel=1e-3)
    assert feed(optim.Adam(1.0, epsilon=1e-12), [[s * s * (1 - s)]])[0, 0] == pytest.approx(-1.0, rel=1e-6)


def test_clipping_at_a_cliff():
    """E = 1/2 + 1000 (w - 1) just beyond w = 1, eta = 0.1: a step of -100, or of -0.1 when clipped at 1."""
    assert feed(optim.SGD(0.1), [[1000.0]])[0, 0] == pytest.approx(-100.0)
    assert feed(optim.chain(optim.ClipByNorm(1.0), optim.SGD(0.1)), [[1000.0]])[0, 0] == pytest.approx(-0.1)


def test_a_saddle_point_holds_for_long():
    """E = (a^2 - b^2)/2, eta = 0.1: b = 1e-6 grows by 1.1 a step and passes 1 after 145; b = 0 never leaves."""
    path = walk(optim.SGD(0.1), lambda w: w * jnp.array([1.0, -1.0]), [1.0, 1e-6], 150)
    assert int(np.argmax(np.abs(path[:, 1]) > 1)) == 145
    stuck = walk(optim.SGD(0.1), lambda w: w * jnp.array([1.0, -1.0]), [1.0, 0.0], 150)
    np.testing.assert_allclose(stuck[-1], [0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize(
    "adaptive",
    [
        optim.AdaGrad(0.1, epsilon=0.0),
        optim.RMSprop(0.1, epsilon=0.0),
        optim.RMSprop(0.1, epsilon=0.0, epsilon_inside=False, momentum=0.5),
        optim.Adam(0.1, epsilon=0.0),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_adaptive_methods_do_not_see_the_scale_of_a_component(adaptive):
    rng = np.random.default_rng(11)
    gradients = rng.normal(size=(30, 2))
    scale = np.array([1.0, 64.0])
    np.testing.assert_allclose(feed(adaptive, gradients * scale), feed(adaptive, gradients), rtol=1e-12)
    assert not np.allclose(feed(optim.SGD(0.1), gradients * scale), feed(optim.SGD(0.1), gradients))


@pytest.mark.parametrize("optimizer", [optim.AdaGrad(0.03), optim.Adam(0.03, epsilon=1e-12)], ids=["AdaGrad", "Adam"])
@given(g=st.lists(st.floats(-1e6, 1e6).filter(lambda g: abs(g) > 1e-4), min_size=3, max_size=3))
def test_the_first_step_is_the_sign_of_the_gradient(optimizer, g):
    w = jnp.array(g, jnp.float32)
    updates, _ = optimizer.update(w, optimizer.init(w), w)
    np.testing.assert_allclose(updates, -0.03 * np.sign(g), rtol=1e-5)


def test_the_first_step_of_rmsprop():
    """v starts at 0, so v = (1 - rho) g^2 and the step is eta / sqrt(1 - rho) long, whatever g is."""
    step = feed(optim.RMSprop(0.01, 0.9), [[5.0, -300.0]])[0]
    np.testing.assert_allclose(step, [-0.01 / np.sqrt(0.1), 0.01 / np.sqrt(0.1)], rtol=1e-6)


def test_adagrad_starves_where_rmsprop_recovers():
    """One gradient of 100, then 1 for ever: step lengths after 100 of these."""
    gradients = np.concatenate([[[100.0]], np.ones((100, 1))])
    assert -feed(optim.AdaGrad(1.0), gradients)[-1, 0] == pytest.approx(0.00995, abs=5e-6)
    assert -feed(optim.RMSprop(1.0, 0.9), gradients)[-1, 0] == pytest.approx(0.987, abs=5e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_no_gradient_and_no_epsilon_is_no_nan(dtype):
    for optimizer in (optim.AdaGrad(0.1, epsilon=0.0), optim.RMSprop(0.1, epsilon=0.0), optim.Adam(epsilon=0.0)):
        g = jnp.array([0.0, 2.0, 0.0], dtype)
        updates, _ = optimizer.update(g, optimizer.init(g), g)
        assert updates[0] == updates[2] == 0
        assert updates[1] < 0


def test_adadelta_by_hand():
    """Two steps of Zeiler's algorithm 1, with the learning rate outside u."""
    rho, eps, eta, a, u, expected = 0.9, 1e-4, 0.5, 0.0, 0.0, []
    for g in (2.0, -1.0):
        a = rho * a + (1 - rho) * g**2
        d = -np.sqrt(u + eps) / np.sqrt(a + eps) * g
        u = rho * u + (1 - rho) * d**2
        expected.append(eta * d)
    np.testing.assert_allclose(feed(optim.Adadelta(eta, rho, eps), [[2.0], [-1.0]])[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.999), (0.9, 0.0)])
def test_adam_corrects_its_start_in_single_precision(betas):
    """Under a constant gradient every step is -eta: 1 - 0.999^t must not lose its digits."""
    optimizer = optim.Adam(1.0, *betas, epsilon=0.0)
    g = jnp.array([0.37], jnp.float32)
    state = optimizer.init(g)
    for _ in range(5):
        updates, state = optimizer.update(g, state, g)
        np.testing.assert_allclose(updates, [-1.0], rtol=2e-6)


def test_decoupled_decay_shrinks_all_weights_by_one_fraction():
    """w = 2 decays by eta lambda w, whatever its gradient; biases do not."""
    params = {"0_dense": {"W": jnp.array([2.0, -4.0]), "b": jnp.array([2.0])}, "1_rnn": {"Wh": jnp.array([3.0])}}
    grads = jax.tree.map(lambda p: p * 5, params)
    plain, decayed = optim.Adam(0.1), optim.AdamW(0.1, weight_decay=0.5)
    extra = jax.tree.map(
        jnp.subtract,
        decayed.update(grads, decayed.init(params), params)[0],
        plain.update(grads, plain.init(params), params)[0],
    )
    np.testing.assert_allclose(extra["0_dense"]["W"], [-0.1, 0.2], rtol=1e-5)
    np.testing.assert_allclose(extra["1_rnn"]["Wh"], [-0.15], rtol=1e-5)
    np.testing.assert_array_equal(extra["0_dense"]["b"], [0.0])


def test_decoupled_decay_must_see_the_parameters():
    params = {"W": jnp.ones(2)}
    with pytest.raises(ValueError, match="must see them"):
        optim.AdamW().update(params, optim.AdamW().init(params))


def test_noise_leaves_a_plateau_under_a_constant_rate():
    """E_n = (w - x_n)^2/2, x_n = +-1, one sample a step: Var(w) settles at eta/(2 - eta)."""
    eta = 0.1
    samples = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], size=(1000, 500)))

    def run(optimizer):
        def step(carry, x):
            w, state = carry
            updates, state = optimizer.update(w - x, state, w)
            return (w + updates, state), w

        start = jnp.zeros(500, jnp.float32)
        return jax.jit(lambda: jax.lax.scan(step, (start, optimizer.init(start)), samples.astype(jnp.float32))[1])()

    # 500 chains, correlated over about 1/eta steps: 800 steps give some 20000 independent values, sd 1 %.
    assert float(jnp.var(run(optim.SGD(eta))[200:])) == pytest.approx(eta / (2 - eta), rel=0.04)
    # eta(t) = 1/(t + 1) makes w the running mean of the samples: the variance dies out as 1/t.
    path = run(optim.SGD(schedules.InverseTime(1.0)))
    means = jnp.cumsum(samples, axis=0) / jnp.arange(1.0, 1001.0)[:, None]
    np.testing.assert_allclose(path[1:], means[:-1], atol=2e-5)
    assert float(jnp.var(path[-1])) == pytest.approx(1 / 999, rel=0.25)

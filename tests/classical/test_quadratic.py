"""Weight decay and early stopping on a quadratic error, against the minimum and against descent itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa import classical

seeds = st.integers(0, 2**32 - 1)


def problem(seed, d=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    return root @ root.T / d, rng.normal(size=d)


@given(seeds, st.floats(1e-3, 10))
def test_the_decayed_minimum_is_stationary(seed, strength):
    H, w = problem(seed)
    found = classical.decayed(H, w, strength)
    np.testing.assert_allclose(H @ (found - w) + strength * found, 0, atol=1e-9 * (1 + strength))
    flat = np.outer(w, w)  # three eigenvalues are 0 but for rounding, which may go below
    np.testing.assert_allclose(classical.decayed(flat, w, strength), w * (w @ w) / (w @ w + strength), atol=1e-9)


def test_each_coordinate_shrinks_by_its_own_curvature():
    h, w = np.array([100.0, 1.0, 0.01, 0.0]), np.array([1.0, -2.0, 3.0, 4.0])
    found = classical.decayed(h, w, 1.0)
    np.testing.assert_allclose(found, h / (h + 1) * w)
    assert found[3] == 0
    np.testing.assert_array_equal(classical.decayed(h, w, 0), w)
    np.testing.assert_allclose(classical.effective_parameters(h, 1.0), np.sum(h / (h + 1)))
    assert classical.effective_parameters(h, 0) == 3


@given(seeds, st.integers(0, 20))
def test_descent_in_closed_form(seed, steps):
    H, w = problem(seed)
    at = start = np.random.default_rng(seed + 1).normal(size=4)
    for _ in range(steps):
        at = at - 0.2 * H @ (at - w)
    np.testing.assert_allclose(classical.descended(H, w, 0.2, steps, start), at, rtol=1e-7, atol=1e-9)


@given(st.floats(0, 4.9), st.integers(1, 200))
def test_stopping_after_so_many_steps_is_decay_of_the_equivalent_strength(h, steps):
    strength = classical.equivalent_strength(0.2, steps, h)
    stopped = classical.descended([h, 1.0], [3.0, 0.0], 0.2, steps)
    np.testing.assert_allclose(stopped[0], classical.decayed([h, 1.0], [3.0, 0.0], strength)[0], rtol=1e-8, atol=1e-12)


def test_along_flat_directions_the_strength_is_one_over_rate_times_steps():
    assert classical.equivalent_strength(0.1, 50) == pytest.approx(0.2)
    assert classical.equivalent_strength(0.1, 1, 5e-324) == pytest.approx(10)
    assert classical.equivalent_strength(0.1, 10_000, 9.0) == 0
    np.testing.assert_allclose(classical.equivalent_strength(0.1, 50, np.array([0.0, 1e-6, 1e-3])), 0.2, rtol=0.03)


def test_the_penalty_of_denpa_ends_at_the_decayed_minimum():
    """Descent on a linear network's squared error with L2(α): the data's second derivatives are H = XᵀX/N."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    t = rng.normal(size=20)
    H, w = x.T @ x / 20, classical.linear_regression(x, t, intercept=False).W
    penalty, at = dp.L2(0.3), np.zeros(3)
    for _ in range(400):
        at = at - 0.3 * (x.T @ (x @ at - t) / 20 + np.asarray(penalty.array_gradient(at)))
    np.testing.assert_allclose(at, classical.decayed(H, w, 0.3), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: classical.decayed([[1.0, 2.0], [0.0, 1.0]], [1.0, 1.0], 0.1), dp.DataError, "symmetric"),
        (lambda: classical.decayed([1.0, -1.0], [1.0, 1.0], 0.1), dp.DataError, "negative eigenvalue -1"),
        (lambda: classical.decayed([1e-12, -1e-13], [1.0, 1.0], 0.1), dp.DataError, "negative eigenvalue -1e-13"),
        (lambda: classical.decayed(np.zeros((2, 3)), [1.0, 1.0], 0.1), dp.ShapeError, "H must"),
        (lambda: classical.decayed(np.zeros((0, 0)), [], 0.1), dp.ShapeError, "H must"),
        (lambda: classical.decayed([1.0, 1.0], [1.0], 0.1), dp.ShapeError, "w must"),
        (lambda: classical.decayed([1.0], [1.0], -0.1), dp.ConfigError, "strength"),
        (lambda: classical.decayed([np.inf, 1.0], [1.0, 1.0], 0.1), dp.DataError, "H must hold finite numbers"),
        (lambda: classical.decayed([np.nan, 1.0], [1.0, 1.0], 0.1), dp.DataError, "H must hold finite numbers"),
        (lambda: classical.decayed([1.0, 1.0], [np.nan, 1.0], 0.1), dp.DataError, "w must hold finite numbers"),
        (lambda: classical.descended([1.0], [1.0], 0, 3), dp.ConfigError, "learning_rate"),
        (lambda: classical.descended([1.0], [1.0], 0.1, -1), dp.ConfigError, "steps"),
        (lambda: classical.descended([1.0], [1.0], 0.1, 1, [1.0, 2.0]), dp.ShapeError, "start"),
        (lambda: classical.equivalent_strength(0.5, 3, 2.0), dp.ConfigError, "below 1/η = 2"),
        (lambda: classical.equivalent_strength(0.5, 3, -1.0), dp.ConfigError, "from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()

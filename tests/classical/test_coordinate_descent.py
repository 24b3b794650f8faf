"""LASSO and elastic net: optimality, the path, and scikit-learn's answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import datasets, linear_model

import denpa as dp
from denpa import classical
from denpa.classical.coordinate_descent import _objective, _searched


def problem(n=40, d=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.3, 3, d) + rng.normal(size=d)
    x[:, 1] += 0.9 * x[:, 0]
    return x, x[:, :3] @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=n) + 4, rng.uniform(0, 2, n)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 2), st.sampled_from([0.0, 0.3]), st.sampled_from([40, 5]))
def test_the_conditions_of_a_minimum(seed, part, l2, n):
    """g_j = λ₁ sign(w_j) where w_j ≠ 0, |g_j| <= λ₁ where w_j = 0, with g the steepest descent of the rest of E."""
    x, t, s = problem(n, seed=seed)
    l1 = part * classical.largest_strength(x, t, s)
    model = classical.elastic_net(x, t, l1, l2, s)
    p = s / s.sum()
    residual = p * (t - model.predict(x))
    g = x.T @ residual - l2 * model.W
    scale = np.abs(x.T @ (p * (t - p @ t))).max()
    np.testing.assert_allclose(residual.sum(), 0, atol=1e-10)
    np.testing.assert_allclose(g[model.chosen], l1 * np.sign(model.W[model.chosen]), atol=1e-5 * scale)
    assert (np.abs(g) <= l1 + 1e-5 * scale).all()
    assert part < 1 or not model.chosen.size


def test_the_gap_bounds_the_distance_from_the_minimum():
    x, t, _ = problem()

    def objective(model):
        return np.mean((model.predict(x) - t) ** 2) / 2 + 0.05 * np.abs(model.W).sum()

    best, rough = (classical.lasso(x, t, 0.05, tolerance=tolerance) for tolerance in (1e-14, 1e-2))
    assert 0 <= objective(rough) - objective(best) <= rough.gap
    assert best.gap <= 1e-14 * np.var(t) / 2 + 1e-15


@pytest.mark.parametrize("l2", [0.0, 0.4])
@pytest.mark.parametrize("n", [8, 30])
def test_the_gap_is_that_of_the_formula(n, l2):
    """Before the end; for n > d of what a QR decomposition leaves of the residual."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(n, 12)), rng.normal(size=n)
    model = classical.elastic_net(x, t, 0.1, l2, tolerance=0.9)
    r, w, centred = t - model.predict(x), model.W, x - x.mean(axis=0)
    g = centred.T @ r / n - l2 * w
    s = min(1, 0.1 / np.abs(g).max())
    assert s < 0.99

    def gap(r):
        return (r @ r / n + l2 * w @ w) * (1 - s) ** 2 / 2 + 0.1 * np.abs(w).sum() - s * w @ g

    Q = np.linalg.qr(centred).Q if n > 12 else np.eye(n)
    np.testing.assert_allclose(model.gap, gap(Q.T @ r), rtol=1e-9)
    assert n == 8 or model.gap < gap(r)

    def objective(m):
        return np.mean((m.predict(x) - t) ** 2) / 2 + 0.1 * np.abs(m.W).sum() + l2 / 2 * m.W @ m.W

    assert 0 < objective(model) - objective(classical.elastic_net(x, t, 0.1, l2)) <= model.gap


def test_the_tolerance_has_no_unit():
    """Targets in other units, with the strength in theirs, give the same weights in these."""
    x, t, _ = problem(d=5)
    one, small = classical.lasso(x, t, 0.1), classical.lasso(x, 1e-7 * t, 1e-8)
    np.testing.assert_allclose(small.W, 1e-7 * one.W, rtol=1e-6)


def test_orthonormal_columns_give_soft_thresholded_least_squares():
    rng = np.random.default_rng(3)
    Q, _ = np.linalg.qr(rng.normal(size=(20, 5)) - 0.0)
    Q = (Q - Q.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(Q.T, bias=True))).T  # means 0, XᵀX/N = I
    t = rng.normal(size=20)
    least = classical.linear_regression(Q, t).W
    strength = np.sort(np.abs(least))[2] * 1.01
    lasso = classical.lasso(Q, t, strength).W
    np.testing.assert_allclose(lasso, classical.soft_threshold(least, strength), atol=1e-12)
    assert (lasso == 0).sum() == 3


def test_nothing_is_chosen_from_the_largest_strength_on():
    x, t, _ = problem()
    largest = classical.largest_strength(x, t)
    assert not classical.lasso(x, t, largest).chosen.size
    assert classical.lasso(x, t, 0.999 * largest).chosen.size == 1
    np.testing.assert_allclose(classical.lasso(x, t, 2 * largest).b, t.mean())


def test_the_path_begins_empty_and_every_point_on_it_is_a_minimum():
    x, t, _ = problem()
    path = classical.lasso_path(x, t, steps=12, smallest=1e-4)
    strengths = [model.strength for model in path]
    assert strengths[0] == classical.largest_strength(x, t)
    np.testing.assert_allclose(np.diff(np.log(strengths)), np.log(1e-4) / 11)
    assert not path[0].chosen.size
    assert len(path[-1].chosen) == 8
    for model in path[1::4]:
        np.testing.assert_allclose(model.W, classical.lasso(x, t, model.strength).W, atol=1e-8)
    chosen = classical.lasso_path(x, t, [0.01, 0.1, 0])
    assert [model.strength for model in chosen] == [0.1, 0.01, 0]
    np.testing.assert_allclose(chosen[-1].W, classical.linear_regression(x, t).W, atol=1e-9)


@pytest.mark.parametrize("strength", [1e-3, 0.1, 1.0])
def test_scikit_learn_agrees(strength):
    x, t = datasets.load_diabetes(return_X_y=True)
    ours = classical.lasso(x, t, strength)
    theirs = linear_model.Lasso(alpha=strength, tol=1e-12, max_iter=100_000).fit(x, t)
    np.testing.assert_allclose(ours.W, theirs.coef_, atol=1e-6 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.b, theirs.intercept_, rtol=1e-6)
    both = linear_model.ElasticNet(alpha=strength * 1.5, l1_ratio=2 / 3, tol=1e-12, max_iter=100_000).fit(x, t)
    ours = classical.elastic_net(x, t, strength, strength / 2)
    np.testing.assert_allclose(ours.W, both.coef_, atol=1e-6 * np.abs(both.coef_).max())


def test_twin_columns_do_not_stop_it():
    x, t, _ = problem()
    x[:, 4], x[:, 5] = x[:, 0], 2.5  # a twin, and a constant
    model = classical.lasso(x, t, 0.05)
    assert model.W[5] == 0
    np.testing.assert_allclose(x[:, 0] @ (t - model.predict(x)) / len(t), 0.05, rtol=1e-6)


def test_columns_that_are_nearly_alike_take_few_sweeps():
    """What the signs are is soon known; the rest is one system of equations, where sweeps alone would be 20,000."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1)) + 0.05 * rng.normal(size=(60, 8))
    model = classical.lasso(x, x @ np.arange(8.0) + rng.normal(size=60), 0.01)
    assert model.chosen.size == 7
    assert model.sweeps < 1000


@pytest.mark.parametrize("intercept", [True, False])
def test_more_columns_than_examples_and_a_weak_penalty_take_few_sweeps(intercept):
    """As many columns come into use as there are examples, one for another: sweeps alone would be tens of thousands."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 300))
    t = x @ np.where(rng.random(300) < 0.3, rng.normal(size=300), 0) + 0.1 * rng.normal(size=60)
    strength = 2e-3 * classical.largest_strength(x, t, intercept=intercept)
    model = classical.lasso(x, t, strength, intercept=intercept)
    assert model.sweeps < 500
    assert model.gap <= 1e-13 * np.mean((t - intercept * t.mean()) ** 2) / 2 * (1 + 1e-9)
    slopes = x.T @ (t - model.predict(x)) / len(t)  # of E without the penalty; with it, 0 is among its subgradients
    np.testing.assert_allclose(slopes[model.chosen], strength * np.sign(model.W[model.chosen]), rtol=1e-5)
    assert np.abs(slopes).max() <= strength * (1 + 1e-5)


@given(
    seed=st.integers(0, 10**6), n=st.integers(3, 12), d=st.integers(2, 20), l1=st.floats(1e-3, 1), l2=st.floats(0, 1)
)
@example(seed=0, n=3, d=4, l1=1.0, l2=5e-324)
def test_the_search_over_signs_never_goes_uphill(seed, n, d, l1, l2):
    rng = np.random.default_rng(seed)
    A, c, w = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d) * (rng.random(d) < 0.7)
    squares, objective = np.sum(A**2, axis=0), [_objective(A, c, w, l1, l2)]
    for _ in range(3 * d):
        w = _searched(A, c, w, squares, l1, l2, min(n, d), steps=1)
        objective.append(_objective(A, c, w, l1, l2))
    assert (np.diff(objective) <= 1e-12 * objective[0]).all()


def test_a_descent_that_is_cut_short_says_so(monkeypatch):
    x, t, _ = problem()
    monkeypatch.setattr("denpa.classical.coordinate_descent._SWEEPS", 1)
    with pytest.warns(UserWarning, match="stopped after 1[12]? sweeps with a duality gap"):
        model = classical.lasso(x, t, 0.05)
    assert model.gap > 1e3 * 1e-13 * np.var(t) / 2


def test_what_makes_no_sense_is_refused():
    x, t, _ = problem()
    with pytest.raises(dp.ShapeError, match="each of its 2 columns"):
        classical.lasso(x, np.stack([t, t], axis=1), 0.1)
    with pytest.raises(dp.ConfigError, match="l1 must be"):
        classical.lasso(x, t, -0.1)
    with pytest.raises(dp.ConfigError, match="l2 must be"):
        classical.elastic_net(x, t, 0.1, -0.1)
    with pytest.raises(dp.ConfigError, match="tolerance"):
        classical.lasso(x, t, 0.1, tolerance=0)
    with pytest.raises(dp.ConfigError, match="smallest"):
        classical.lasso_path(x, t, smallest=1)
    with pytest.raises(dp.ConfigError, match="smallest must lie between 0 and 1, not be 'a'"):
        classical.lasso_path(x, t, smallest="a")


@pytest.mark.parametrize("seed", [15, 21])
def test_more_columns_than_rows_of_few_values_are_solved_to_rounding(seed):
    """Many of the columns are sums of others: from point to point of one objective the signs may change for ever."""
    rng = np.random.default_rng(seed)
    x, t = rng.integers(-1, 2, (4, 9)).astype(float), rng.normal(size=4)
    strength = 0.01 * classical.largest_strength(x, t, intercept=False)
    model = classical.lasso(x, t, strength, intercept=False)
    assert model.gap <= 1e-13 * np.mean(t**2) / 2
    assert model.sweeps < 200


def test_a_ridge_that_brings_all_columns_into_use_is_solved_to_rounding():
    """With λ₂ > 0 the stationary point of known signs is w = (xᵀx + λ₂ I)⁻¹ (xᵀt - λ₁ sign w), however few the rows."""
    x = np.array([[3.0, 1.0, 1.0, 1.0, 2.0]])
    model = classical.elastic_net(x, [1.0], 1e-6, 1e-5, intercept=False)
    w = np.linalg.solve(x.T @ x + 1e-5 * np.eye(5), x[0] - 1e-6 * np.ones(5))
    assert (w > 0).all()
    np.testing.assert_allclose(model.W, w, rtol=1e-9)
    assert model.sweeps < 200


@pytest.mark.parametrize("seed", [6, 8, 12])
def test_nothing_is_chosen_at_the_largest_strength(seed):
    """Not even by the rounding of the decomposition that stands for x."""
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=(30, 6)), rng.normal(size=30)
    largest = classical.largest_strength(x, t)
    for model in (classical.lasso(x, t, largest), classical.lasso_path(x, t, steps=3)[0]):
        assert model.strength == largest
        np.testing.assert_array_equal(model.W, 0)
        assert model.gap == 0

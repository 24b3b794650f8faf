"""Linear and ridge regression: the equations they promise to solve, and scikit-learn's answers."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest
from sklearn import datasets, linear_model

import denpa as dp
from denpa import classical


def problem(n=30, d=4, k=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * [1, 10, 0.1, 3][:d] + 5
    return x, rng.normal(size=(n, k)) + x[:, :1], rng.uniform(0, 2, n)


@pytest.mark.parametrize("intercept", [True, False])
def test_residuals_are_orthogonal_to_what_explains_them(intercept):
    """The normal equations, with weights: Xᵀ S (X W + b - T) = 0."""
    x, t, s = problem()
    model = classical.linear_regression(x, t, s, intercept=intercept)
    residual = s[:, None] * (model.predict(x) - t)
    np.testing.assert_allclose(x.T @ residual, 0, atol=1e-9)
    if intercept:
        np.testing.assert_allclose(residual.sum(axis=0), 0, atol=1e-11)
    else:
        np.testing.assert_array_equal(model.b, 0)
    np.testing.assert_allclose(model.noise_variance, (residual * (model.predict(x) - t)).sum(axis=0) / s.sum())
    assert model.rank == 4


def test_weights_count_examples():
    x, t, _ = problem(k=1)
    counts = np.arange(len(x)) % 3
    weighted = classical.linear_regression(x, t, counts)
    repeated = classical.linear_regression(np.repeat(x, counts, axis=0), np.repeat(t, counts, axis=0))
    np.testing.assert_allclose(weighted.W, repeated.W, rtol=1e-10)
    np.testing.assert_allclose(weighted.b, repeated.b, rtol=1e-10)


@pytest.mark.parametrize("kind", ["constant", "sum", "few"])
def test_dependent_columns_give_the_smallest_solution_and_a_warning(kind):
    x, t, _ = problem(3 if kind == "few" else 30)
    if kind != "few":
        x[:, 3] = 7.3 if kind == "constant" else x[:, 0] - 2 * x[:, 1]
    with pytest.warns(UserWarning, match=f"rank {2 if kind == 'few' else 3}"):
        model = classical.linear_regression(x, t)
    centred = x - x.mean(axis=0)
    np.testing.assert_allclose(model.W, np.linalg.pinv(centred, rcond=1e-12) @ (t - t.mean(axis=0)), atol=1e-10)
    np.testing.assert_allclose(model.W, classical.ridge(x, t, 0).W, atol=1e-10)
    assert classical.ridge(x, t, 0.1).rank == model.rank
    if kind == "constant":
        np.testing.assert_allclose(model.W[3], 0, atol=1e-12)


def test_a_constant_has_no_slope_whatever_its_weighted_mean_is_rounded_to():
    _, t, s = problem()
    for value in (0.1, 1 / 3, 7.3, 1e9 + 0.1):
        with pytest.warns(UserWarning, match="rank 0"):
            model = classical.linear_regression(np.full((30, 1), value), t, s)
        np.testing.assert_array_equal(model.W, 0)


@pytest.mark.parametrize(("n", "d"), [(3, 5), (4, 4), (6, 8)])
def test_few_examples_of_large_means_give_the_smallest_solution(n, d):
    """n examples less their mean have rank n - 1: the rounding of that mean is no direction to learn along."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(n, d)) + 2000, rng.normal(size=n) + 1e6
    smallest = np.linalg.pinv(x - x.mean(axis=0), rcond=1e-9) @ (t - t.mean())
    with pytest.warns(UserWarning, match=f"of rank {n - 1}"):
        model = classical.linear_regression(x, t)
    assert model.rank == classical.ridge(x, t, 0).rank == n - 1
    for found in (model, classical.ridge(x, t, 0), classical.lasso(x, t, 0)):
        np.testing.assert_allclose(found.W, smallest, rtol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_a_year_of_birth_beside_the_age(seed):
    """Two columns whose sum is constant, far from 0: equal and opposite weights, of all solutions the smallest."""
    rng = np.random.default_rng(seed)
    year = rng.integers(1940, 2005, 1000)
    with pytest.warns(UserWarning, match="of rank 1"):
        model = classical.linear_regression(np.column_stack([year, 2024 - year]), 300.0 * (2024 - year) + 1e5)
    np.testing.assert_allclose(model.W, [-150, 150], rtol=1e-9)
    np.testing.assert_allclose(model.predict([[2004, 20]]), 106_000, rtol=1e-9)


def test_least_squares_is_maximum_likelihood_for_gaussian_noise():
    """-log L = Σ r²/(2σ²) + (N/2) log 2πσ² has the same W, b, and σ² = (1/N) Σ r² at its minimum."""
    x, t, _ = problem(k=1)
    model = classical.linear_regression(x, t[:, 0])

    def negative_log_likelihood(W, b, variance):
        r = x @ W + b - t[:, 0]
        return np.sum(r**2) / (2 * variance) + len(r) / 2 * np.log(2 * np.pi * variance)

    best = negative_log_likelihood(model.W, model.b, model.noise_variance)
    rng = np.random.default_rng(1)
    for _ in range(50):
        W, b = model.W + 1e-3 * rng.normal(size=4), model.b + 1e-3 * rng.normal()
        assert negative_log_likelihood(W, b, model.noise_variance * np.exp(1e-2 * rng.normal())) > best


def test_the_gradient_of_ridge_is_zero():
    x, t, s = problem()
    model = classical.ridge(x, t, 0.3, s)
    residual = (s / s.sum())[:, None] * (model.predict(x) - t)
    np.testing.assert_allclose(x.T @ residual + 0.3 * model.W, 0, atol=1e-10)
    np.testing.assert_allclose(residual.sum(axis=0), 0, atol=1e-12)


def test_ridge_shrinks_and_never_to_zero():
    x, t, _ = problem()
    path = classical.ridge_path(x, t, [0, 1e-3, 1, 1e3, 1e6])
    sizes = [np.linalg.norm(model.W) for model in path]
    assert (np.diff(sizes) < 0).all()
    assert (path[-1].W != 0).all()
    np.testing.assert_allclose(path[0].W, classical.linear_regression(x, t).W, rtol=1e-9)


def test_ridge_is_decay_of_the_least_squares_solution():
    """W = Q diag(h / (h + λ)) Qᵀ W_ls with H = XᵀX/N; the trace of the hat matrix is the effective number."""
    x, t, _ = problem(k=1)
    centred = x - x.mean(axis=0)
    H = centred.T @ centred / len(x)
    least = classical.linear_regression(x, t[:, 0]).W
    np.testing.assert_allclose(classical.decayed(H, least, 0.2), classical.ridge(x, t[:, 0], 0.2).W, rtol=1e-9)
    hat = centred @ np.linalg.solve(centred.T @ centred + 0.2 * len(x) * np.eye(4), centred.T)
    np.testing.assert_allclose(classical.effective_parameters(H, 0.2), np.trace(hat), rtol=1e-10)


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0])
def test_scikit_learn_agrees(strength):
    x, t = datasets.load_diabetes(return_X_y=True)
    ours, theirs = classical.ridge(x, t, strength), linear_model.Ridge(alpha=strength * len(x)).fit(x, t)
    np.testing.assert_allclose(ours.W, theirs.coef_, rtol=1e-6)
    np.testing.assert_allclose(ours.b, theirs.intercept_, rtol=1e-6)
    plain = linear_model.LinearRegression().fit(x, t)
    np.testing.assert_allclose(classical.linear_regression(x, t).W, plain.coef_, rtol=1e-6)


def test_shapes_follow_the_targets():
    x, t, _ = problem()
    one, column = classical.ridge(x, t[:, 0], 0.1), classical.ridge(x, t[:, :1], 0.1)
    assert (one.W.shape, one.b.shape, one.predict(x).shape) == ((4,), (), (30,))
    assert (column.W.shape, column.b.shape, column.predict(x).shape) == ((4, 1), (1,), (30, 1))
    np.testing.assert_array_equal(one.W, column.W[:, 0])


def test_a_polynomial_through_all_its_points():
    x = np.array([0.0, 0.2, 0.5, 0.7, 1.0])
    features = classical.polynomial_features(x, 4)
    np.testing.assert_allclose(features[2], [0.5, 0.25, 0.125, 0.0625])
    t = 1 - 2 * x + 3 * x**4
    model = classical.linear_regression(features, t)
    np.testing.assert_allclose([model.b, *model.W], [1, -2, 0, 0, 3], atol=1e-9)
    two = classical.polynomial_features(np.array([[2.0, 3.0]]), 3)
    np.testing.assert_array_equal(two, [[2, 4, 8, 3, 9, 27]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros(3), np.zeros(3)), dp.ShapeError, r"x\[:, None\]"),
        ((np.zeros((3, 2, 2)), np.zeros(3)), dp.ShapeError, r"x.reshape\(len\(x\), -1\)"),
        ((np.zeros((3, 2)), np.zeros(4)), dp.DataError, "equally many"),
        ((np.array([[1.0, np.nan]]), np.zeros(1)), dp.DataError, "row 0, column 1"),
        ((np.zeros((3, 2)), np.zeros(3), [1, 1]), dp.ShapeError, "one weight per example"),
        ((np.zeros((3, 2)), np.zeros(3), [1, -1, 1]), dp.DataError, "0 or more"),
        ((np.zeros((3, 2)), np.zeros(3), [0, 0, 0]), dp.DataError, "not all of them 0"),
    ],
)
def test_bad_data_are_refused(arguments, error, message):
    with warnings.catch_warnings(), pytest.raises(error, match=message):
        classical.linear_regression(*arguments)


@pytest.mark.parametrize("strength", [-1, np.nan, np.inf, "1", True])
def test_bad_strengths_are_refused(strength):
    with pytest.raises(dp.ConfigError, match="strength must be"):
        classical.ridge(np.eye(2), np.ones(2), strength)


@pytest.mark.parametrize("degree", [0, 1.5, True])
def test_bad_degrees_are_refused(degree):
    with pytest.raises(dp.ConfigError, match="degree must be"):
        classical.polynomial_features(np.ones(2), degree)


def exact(F, t, strength):
    """Ridge regression in rational numbers, without rounding: predictions at the examples."""
    F, t = [[Fraction(value) for value in row] for row in F.tolist()], [Fraction(value) for value in t.tolist()]
    n, d = len(F), len(F[0])
    F = [[value - sum(column) / n for value, column in zip(row, zip(*F, strict=True), strict=True)] for row in F]
    mean = sum(t) / n
    rows = [
        [sum(r[i] * r[j] for r in F) / n + (Fraction(strength) if i == j else 0) for j in range(d)]
        + [sum(r[i] * (v - mean) for r, v in zip(F, t, strict=True)) / n]
        for i in range(d)
    ]
    for i in range(d):  # Gauss and Jordan; the matrix is positive definite
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(d):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return np.array([float(mean + sum(a * row[-1] for a, row in zip(r, rows, strict=True))) for r in F])


@pytest.mark.parametrize("strength", [0, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("unit", [1.0, 1000.0, 1e-6])
def test_powers_of_any_unit_are_solved(unit, strength):
    """x⁶ of x up to 1000 is 10¹⁵ times as large as x, which yet has its part in the fit."""
    x = np.linspace(0, 1, 12) * unit
    F, t = classical.polynomial_features(x, 6), np.sin(2 * np.pi * x / unit)
    models = [classical.ridge(F, t, strength)]
    if strength == 0:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            models.append(classical.linear_regression(F, t))
    for model in models:
        assert model.rank == 6
        np.testing.assert_allclose(model.predict(F), exact(F, t, strength), atol=1e-10)


@pytest.mark.parametrize("unit", [1e160, 1e-160])
def test_numbers_whose_squares_are_none(unit):
    """s² would be infinity or 0, s is not."""
    x, t, _ = problem()
    plain = classical.ridge(x, t, 0)
    np.testing.assert_allclose(classical.ridge(x * unit, t, 0).W * unit, plain.W, rtol=1e-9)


def test_dependent_columns_of_other_units_give_the_smallest_solution():
    """t = x₂ + 10⁻²⁰ x₁ with x₃ = x₂: halves of the weight of x₂."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    x = np.column_stack([x[:, 0] * 1e20, x[:, 1], x[:, 1], np.full(20, 3.0)])
    t = x[:, 1] + 1e-20 * x[:, 0]
    with pytest.warns(UserWarning, match="rank 2"):
        model = classical.linear_regression(x, t)
    for W in (model.W, classical.ridge(x, t, 0).W):
        np.testing.assert_allclose(W * [1e20, 1, 1, 1], [1, 0.5, 0.5, 0], atol=1e-10)


def test_weights_whose_sum_is_no_number():
    x, t, _ = problem()
    np.testing.assert_allclose(classical.ridge(x, t, 0.1, [1e308] * 30).W, classical.ridge(x, t, 0.1).W, rtol=1e-12)


def test_a_penalty_beyond_all_data_leaves_their_covariance():
    """λ W -> Xᵀ T / N for λ -> ∞."""
    x, t, _ = problem()
    model = classical.ridge(x, t, 1e30)
    np.testing.assert_allclose(1e30 * model.W, (x - x.mean(axis=0)).T @ t / len(x), rtol=1e-9)


@pytest.mark.parametrize("value", ["no", None, 1.5, np.ones(2), 0])
def test_options_that_are_true_or_false_are_nothing_else(value):
    x, t = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    for found in (classical.linear_regression, classical.logistic_regression, classical.largest_strength):
        with pytest.raises(dp.ConfigError, match="intercept must be true or false"):
            found(x, t, intercept=value)
    for found in (classical.linear_discriminant, classical.quadratic_discriminant):
        with pytest.raises(dp.ConfigError, match="unbiased must be true or false"):
            found(x, t, unbiased=value)


def test_strengths_that_are_no_list_are_refused():
    x, t = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0)
    for strengths in (np.array(2.0), b"x", 3):
        with pytest.raises(dp.ConfigError, match="strengths must be a list"):
            classical.ridge_path(x, t, strengths)


def test_numbers_that_are_none_are_refused():
    x, t, nan = np.array([[1.0], [-1.0]]), [1, 0], float("nan")
    for curvature in (None, "3", nan):
        with pytest.raises(dp.DataError, match="curvature"):
            classical.equivalent_strength(0.1, 3, curvature)
    with pytest.raises(dp.DataError, match="start"):
        classical.descended([1.0, 2.0], [1.0, 2.0], 0.1, 3, [nan, 0.0])
    for b in (None, "3", nan, float("inf")):
        with pytest.raises(dp.DataError, match="b must"):
            classical.perceptron(x, t, b=b)
        with pytest.raises(dp.DataError, match="b must"):
            classical.margin(x, t, [1.0], b)
    with pytest.raises(dp.DataError, match="W must"):
        classical.perceptron(x, t, W=[nan])

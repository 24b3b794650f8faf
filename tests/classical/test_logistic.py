"""Logistic and softmax regression by Newton's method: stationary points, separable data, scikit-learn's answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets, linear_model

import denpa as dp
from denpa import classical
from denpa.classical.newton import newton


def problem(n=60, d=3, classes=2, seed=0):
    """Classes that overlap."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * [1, 100, 0.01][:d] + 3
    u = (x - x.mean(axis=0)) / x.std(axis=0) @ rng.normal(size=(d, classes)) + rng.gumbel(size=(n, classes))
    return x, u.argmax(axis=1), rng.uniform(0, 2, n)


@pytest.mark.parametrize("strength", [0.0, 0.1])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_gradient_is_zero(strength, intercept):
    x, t, s = problem()
    x = x if intercept else x - x.mean(axis=0)
    model = classical.logistic_regression(x, t, strength, s, intercept=intercept)
    delta = s / s.sum() * (model.probabilities(x)[:, 1] - t)
    np.testing.assert_allclose(x.T @ delta + strength * model.W, 0, atol=1e-9)
    np.testing.assert_allclose(delta.sum() if intercept else model.b, 0, atol=1e-12)
    np.testing.assert_array_equal(model.predict(x), model.logits(x) > 0)
    assert model.iterations < 12


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_the_gradient_of_softmax_regression_is_zero(strength):
    x, t, s = problem(classes=4, n=90)
    model = classical.softmax_regression(x, np.eye(4)[t], strength, s)
    delta = (s / s.sum())[:, None] * (model.probabilities(x) - np.eye(4)[t])
    np.testing.assert_allclose(x.T @ delta + strength * model.W, 0, atol=1e-9)
    np.testing.assert_allclose(delta.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose([*model.W.sum(axis=1), model.b.sum()], 0, atol=1e-10)
    np.testing.assert_allclose(model.probabilities(x).sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(x), model.probabilities(x).argmax(axis=1))


def test_two_classes_of_softmax_are_logistic():
    """softmax₁(u, 0) = σ(u); ‖w₀‖² + ‖w₁‖² = ‖w₁ - w₀‖²/2 where they sum to 0."""
    x, t, _ = problem()
    soft, logistic = classical.softmax_regression(x, t, 0.2), classical.logistic_regression(x, t, 0.1)
    np.testing.assert_allclose(soft.W[:, 1] - soft.W[:, 0], logistic.W, rtol=1e-9)
    np.testing.assert_allclose(soft.probabilities(x), logistic.probabilities(x), rtol=1e-9)


@pytest.mark.parametrize("fit", [classical.logistic_regression, classical.softmax_regression])
def test_classes_that_a_hyperplane_separates_have_no_best_solution(fit):
    x = np.array([[-2.0], [-1.0], [0.5], [1.0], [3.0]])
    t = np.array([0, 0, 1, 1, 1])
    with pytest.raises(dp.DataError, match=r"separates the classes without an error.*strength"):
        fit(x, t)
    assert (fit(x, t, 1e-3).predict(x) == t).all()


@pytest.mark.parametrize("fit", [classical.logistic_regression, classical.softmax_regression])
@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0, 700.0])
@pytest.mark.parametrize("seed", range(5))
def test_nor_have_those_with_examples_on_the_hyperplane(fit, scale, seed):
    """However rounding ends the steps: their order and scale change it."""
    order = np.random.default_rng(seed).permutation(6)
    on_the_plane = np.array([[-2.0], [-1.0], [0.0], [0.0], [1.0], [2.0]])[order] * scale
    with pytest.raises(dp.DataError, match="examples that lie on it"):
        fit(on_the_plane, np.array([0, 0, 0, 1, 1, 1])[order])


def test_rare_and_nearly_separated_classes_have_a_best_solution():
    """One foreign example far on the other side, one in a million: curved in every direction still."""
    x = np.array([[-9.0], [-8.0], [8.0], [9.0], [-8.5]])
    t, count = np.array([0, 0, 1, 1, 1]), np.array([1e6, 1e6, 1e6, 1e6, 1.0])
    model = classical.logistic_regression(x, t, sample_weight=count)
    p = model.probabilities(x)[:, 1]
    np.testing.assert_allclose(count @ (p - t), 0, atol=1e-6)  # ∂E/∂b = 0


@pytest.mark.parametrize("fit", [classical.logistic_regression, classical.softmax_regression])
def test_an_example_of_weight_0_does_not_stand_between_separated_classes(fit):
    x, t = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]]), np.array([0, 0, 1, 1, 0])
    with pytest.raises(dp.DataError, match="separates the classes without an error"):
        fit(x, t, sample_weight=[1, 1, 1, 1, 0])


def test_dependent_columns_give_the_smallest_solution():
    x, t, _ = problem(d=2)
    plain, twin = classical.logistic_regression(x, t), classical.logistic_regression(np.column_stack([x, x[:, 0]]), t)
    np.testing.assert_allclose(twin.W, [plain.W[0] / 2, plain.W[1], plain.W[0] / 2], rtol=1e-7)
    constant = classical.logistic_regression(np.column_stack([x, np.full(len(x), 3.3)]), t)
    np.testing.assert_allclose(constant.W, [*plain.W, 0], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_scikit_learn_agrees_on_two_classes(strength):
    x, t = datasets.load_breast_cancer(return_X_y=True)
    ours = classical.logistic_regression(x, t, strength)
    theirs = linear_model.LogisticRegression(
        C=1 / (strength * len(x)), solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(x, t)
    np.testing.assert_allclose(ours.W, theirs.coef_[0], rtol=1e-6, atol=1e-6 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.b, theirs.intercept_[0], rtol=1e-6)


@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_wine])
def test_scikit_learn_agrees_on_three_classes(load):
    x, t = load(return_X_y=True)
    ours = classical.softmax_regression(x, t, 0.01)
    theirs = linear_model.LogisticRegression(C=1 / (0.01 * len(x)), solver="newton-cg", tol=1e-11, max_iter=10_000)
    theirs.fit(x, t)
    np.testing.assert_allclose(ours.W, theirs.coef_.T, atol=1e-6 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.b, theirs.intercept_, atol=1e-6 * np.abs(theirs.intercept_).max())


def test_a_logit_of_exactly_0_decides_for_class_0_as_the_loss_does():
    model = classical.LogisticModel(np.array([1.0, -1.0]), np.float64(0), 0)
    x = np.array([[1, 1], [2, 1], [1, 2]])
    assert model.logits(x).tolist() == [0, 1, -1]
    assert model.predict(x).tolist() == [0, 1, 0]
    assert dp.SigmoidCrossEntropy().decide(model.logits(x)).tolist() == [0, 1, 0]


def test_what_cannot_be_learned_is_refused():
    x, t, _ = problem()
    with pytest.raises(dp.DataError, match="Class 2 has no examples"):
        classical.softmax_regression(x, t, classes=3)
    with pytest.raises(dp.DataError, match="Class 1 has no examples"):
        classical.logistic_regression(x, t, 0.1, 1 - t)
    with pytest.raises(dp.DataError, match="2"):
        classical.logistic_regression(x, t + 1)
    with pytest.raises(dp.ConfigError, match="by gradient"):
        classical.softmax_regression(np.random.default_rng(0).normal(size=(210, 200)), np.arange(210) % 20, 0.1)
    with pytest.raises(dp.DataError, match="one-hot"):
        classical.softmax_regression(x, np.full((len(x), 2), 0.5))


def test_a_step_that_goes_too_far_is_halved():
    """E = √(1 + θ²): from 2 a whole step of Newton's leads to -8, and from there ever farther."""

    def derivatives(theta):
        root = np.sqrt(1 + theta**2)
        return theta / root, np.diag(root**-3)

    theta, _ = newton(np.array([2.0]), lambda theta: np.sqrt(1 + theta @ theta), derivatives, lambda step: step, None)
    np.testing.assert_allclose(theta, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, t: classical.ridge_path(x, t, 5), "strengths must be a list of numbers such as .* not 5"),
        (lambda x, t: classical.lasso_path(x, t, []), "strengths must be a list"),
        (lambda x, t: classical.lasso_path(x, t, ["a"]), "strength must be a finite number"),
        (lambda x, t: classical.lasso(x, t, 0.1, tolerance="a"), "tolerance must lie between 0 and 1"),
        (lambda x, t: classical.linear_regression(x, t, "a"), "sample_weight must hold numbers"),
        (
            lambda x, t: classical.linear_regression(x, t).predict(x[:, :1]),
            "x has 1 column, but the model was fitted to",
        ),
        (lambda x, t: classical.logistic_regression(x, t, 0.1).predict(x[:, :1]), "x has 1 column, but"),
        (lambda x, t: classical.linear_discriminant(x, t).predict(x[:, :1]), "x has 1 column, but"),
        (lambda x, t: classical.linear_discriminant(x, t, shrinkage="a"), "shrinkage must lie between 0 and 1"),
        (lambda x, t: classical.linear_discriminant(x, t, priors="ab"), "priors must hold numbers"),
        (
            lambda x, t: classical.softmax_regression(x, t, 0.1, classes="a"),
            "classes must be a whole number, 2 or more",
        ),
        (lambda x, t: classical.perceptron(x, t, "a"), "learning_rate must be a number greater than 0"),
        (lambda x, t: classical.perceptron(x, t, W="a"), "W must hold numbers"),
        (lambda x, t: classical.k_fold(lambda x, t: None, x, t), "fit must give a function that predicts"),
        (lambda x, t: classical.k_fold(3, x, t), "fit must give a function that predicts"),
        (lambda x, t: classical.degree_curve((t, t), (t, t), 5), r"degrees must be a list .* not 5"),
        (lambda x, t: classical.degree_curve((t, t), (t, t), []), "degrees must be a list"),
        (lambda x, t: classical.degree_curve(x, (t, t), [1]), "Training and test data are pairs"),
        (lambda x, t: classical.degree_curve((t, t), (t, t, t), [1]), "Training and test data are pairs"),
        (lambda x, t: classical.descended([1, 2], [1, 1], "a", 3), "learning_rate must be a number"),
        (lambda x, t: classical.decayed("a", 1, 1), "H must hold numbers"),
        (lambda x, t: classical.conditional("a"), "P must hold numbers"),
        (lambda x, t: classical.mean_squared_error([], []), "y must hold a number or more"),
        (lambda x, t: classical.bias_variance(np.zeros((3, 0)), []), r"predictions must .* shape \(3, 0\)"),
    ],
)
def test_arguments_that_are_none_are_refused_in_words(make, message):
    x, t, _ = problem()
    with pytest.raises(dp.DenpaError, match=message):
        make(x, t)


def test_a_feature_of_a_small_unit_counts():
    """Metres beside bytes: the likelihood does not depend on units."""
    x, t, _ = problem()
    plain = classical.logistic_regression(x, t)
    units = np.array([1e15, 1, 1e-3])
    np.testing.assert_allclose(classical.logistic_regression(x * units, t).W * units, plain.W, rtol=1e-6)
    soft = classical.softmax_regression(x * units, t).W * units[:, None]
    np.testing.assert_allclose(soft[:, 1] - soft[:, 0], plain.W, rtol=1e-6)


@pytest.mark.parametrize("solve", [classical.logistic_regression, classical.softmax_regression])
def test_without_features_or_intercept_all_classes_are_equally_probable(solve):
    model = solve(np.zeros((4, 2)), [0, 1, 1, 1], intercept=False)
    np.testing.assert_array_equal(model.W, 0)
    np.testing.assert_allclose(model.probabilities([[1.0, 2.0]]), 0.5)

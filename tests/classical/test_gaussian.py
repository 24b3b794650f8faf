"""Generative classifiers: densities against SciPy, Bayes' rule, scikit-learn, and beside the discriminative ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn import datasets, discriminant_analysis

import denpa as dp
from denpa import classical


def problem(n=90, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    t = rng.integers(0, classes, n)
    x = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.4], [0, 300]]) + np.array([[0, 0], [2, 100], [-1, 500]])[t]
    return x, t, rng.uniform(0.1, 2, n)


@pytest.mark.parametrize("fit", [classical.linear_discriminant, classical.quadratic_discriminant])
def test_densities_and_bayes_rule(fit):
    x, t, s = problem()
    model = fit(x, t, s)
    covariances = [model.covariances] * 3 if model.shared else model.covariances
    joint = np.stack(
        [
            prior * multivariate_normal(mean, covariance).pdf(x)
            for prior, mean, covariance in zip(model.priors, model.means, covariances, strict=True)
        ],
        axis=1,
    )
    np.testing.assert_allclose(np.exp(model.log_joint(x)), joint, rtol=1e-9)
    np.testing.assert_allclose(model.probabilities(x), joint / joint.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(x), joint.argmax(axis=1))


@pytest.mark.parametrize("fit", [classical.linear_discriminant, classical.quadratic_discriminant])
def test_the_quadratic_form_gives_the_same_probabilities(fit):
    x, t, _ = problem()
    model = fit(x, t)
    A, W, b = model.quadratic()
    u = np.einsum("ni,kij,nj->nk", x, A, x) + x @ W + b
    e = np.exp(u - u.max(axis=1, keepdims=True))
    np.testing.assert_allclose(e / e.sum(axis=1, keepdims=True), model.probabilities(x), rtol=1e-8)
    np.testing.assert_allclose(A, A.transpose(0, 2, 1), rtol=1e-9)


def test_estimates_are_weighted_means():
    x, t, s = problem()
    linear, quadratic = classical.linear_discriminant(x, t, s), classical.quadratic_discriminant(x, t, s)
    scatter = np.zeros((2, 2))
    for k in range(3):
        part, weight = x[t == k], s[t == k]
        np.testing.assert_allclose(linear.means[k], np.average(part, axis=0, weights=weight))
        covariance = np.cov(part.T, aweights=weight, ddof=0)
        np.testing.assert_allclose(quadratic.covariances[k], covariance)
        scatter += weight.sum() / s.sum() * covariance
        np.testing.assert_allclose(linear.priors[k], weight.sum() / s.sum())
    np.testing.assert_allclose(linear.covariances, scatter)


def test_a_shared_covariance_gives_a_softmax_of_a_linear_u():
    x, t, _ = problem()
    model = classical.linear_discriminant(x, t)
    W, b = model.linear()
    u = x @ W + b
    e = np.exp(u - u.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.probabilities(x), e / e.sum(axis=1, keepdims=True), rtol=1e-9)
    with pytest.raises(dp.ConfigError, match="quadratic"):
        classical.quadratic_discriminant(x, t).linear()


def test_generative_and_discriminative_boundaries_meet_on_gaussian_classes():
    """Two Gaussians with one covariance: both estimate W = Σ⁻¹(μ₁ - μ₀), the generative one from fewer examples."""
    rng = np.random.default_rng(0)
    covariance, means = np.array([[1.0, 0.5], [0.5, 2.0]]), np.array([[0.0, 0.0], [1.5, -1.0]])
    truth = np.linalg.solve(covariance, means[1] - means[0])
    errors = []
    for n in (400, 40_000):
        t = np.arange(n) % 2
        x = rng.multivariate_normal(np.zeros(2), covariance, n) + means[t]
        W, _ = classical.linear_discriminant(x, t).linear()
        found = W[:, 1] - W[:, 0], classical.logistic_regression(x, t).W
        errors.append([np.linalg.norm(w - truth) / np.linalg.norm(truth) for w in found])
    assert max(errors[1]) < 0.03
    assert max(errors[1]) < min(errors[0])


@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_wine])
def test_scikit_learn_agrees(load):
    x, t = load(return_X_y=True)
    theirs = discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr").fit(x, t).predict_proba(x)
    np.testing.assert_allclose(classical.linear_discriminant(x, t).probabilities(x), theirs, atol=1e-6)
    theirs = discriminant_analysis.QuadraticDiscriminantAnalysis().fit(x, t).predict_proba(x)
    # Its versions differ in the divisor, N_k or N_k - 1.
    ours = [classical.quadratic_discriminant(x, t, unbiased=unbiased).probabilities(x) for unbiased in (False, True)]
    assert min(np.abs(p - theirs).max() for p in ours) < 1e-6
    assert np.abs(ours[0] - ours[1]).max() > 1e-4


def test_unbiased_divisors():
    x, t, _ = problem()
    plain, unbiased = (classical.linear_discriminant(x, t, unbiased=choice) for choice in (False, True))
    np.testing.assert_allclose(unbiased.covariances, plain.covariances * 90 / 87)
    quadratic = classical.quadratic_discriminant(x, t, unbiased=True)
    np.testing.assert_allclose(quadratic.covariances[1], np.cov(x[t == 1].T))


def test_unbiased_divisors_of_weighted_examples():
    """(Σ s)² / Σ s² takes the place of the number of examples."""
    x, t, s = problem()
    plain, unbiased = (classical.linear_discriminant(x, t, s, unbiased=choice) for choice in (False, True))
    number = s.sum() ** 2 / (s @ s)
    np.testing.assert_allclose(unbiased.covariances, plain.covariances * number / (number - 3))
    quadratic = classical.quadratic_discriminant(x, t, s, unbiased=True)
    np.testing.assert_allclose(quadratic.covariances[1], np.cov(x[t == 1].T, aweights=s[t == 1]))
    for fit, rows in ((classical.linear_discriminant, [0, 1, 2]), (classical.quadratic_discriminant, [0, 1, 2, 3, 4])):
        with pytest.raises(dp.DataError, match="no unbiased estimate"):
            fit(x[rows], np.array([0, 1, 2, 0, 1])[: len(rows)], unbiased=True, shrinkage=0.1)


@pytest.mark.parametrize("classes", range(2, 60, 3))
def test_as_many_classes_as_examples_leave_no_unbiased_estimate(classes):
    x = np.random.default_rng(0).normal(size=(classes, 2))
    with pytest.raises(dp.DataError, match="no unbiased estimate"):
        classical.linear_discriminant(x, np.arange(classes), unbiased=True, shrinkage=0.1)


def test_probabilities_far_from_every_class():
    x, t, _ = problem()
    model = classical.quadratic_discriminant(x, t)
    far = 1e4 * x
    u = model.log_joint(far)
    assert u.max() < -1e4
    # The odds of two classes are exp of the difference of their logarithms; here one class has it all.
    np.testing.assert_allclose(model.probabilities(far), np.eye(3)[u.argmax(axis=1)], atol=1e-12)


def test_priors_move_the_boundary():
    x, t, _ = problem()
    model = classical.linear_discriminant(x, t, priors=[0, 0.5, 0.5])
    assert (model.probabilities(x)[:, 0] == 0).all()
    W, b = model.linear()  # without a warning of a logarithm of 0
    assert b[0] == -np.inf
    assert np.isfinite(b[1:]).all()
    assert np.isfinite(W).all()
    refused = ([0.5, 0.5], dp.ShapeError), ([0.5, 0.5, 0.5], dp.ConfigError), ([0.75, 0.75, -0.5], dp.ConfigError)
    for priors, error in refused:
        with pytest.raises(error, match="priors"):
            classical.linear_discriminant(x, t, priors=priors)


@pytest.mark.parametrize("fit", [classical.linear_discriminant, classical.quadratic_discriminant])
def test_singular_covariances_are_refused_unless_shrunk(fit):
    x, t, _ = problem()
    with pytest.raises(dp.DataError, match="Feature 2 is constant"):
        fit(np.column_stack([x, np.full(len(x), 1 / 3)]), t)
    twins = np.column_stack([x, x[:, 0] + x[:, 1]])
    with pytest.raises(dp.DataError, match="singular: 3 features"):
        fit(twins, t)
    assert np.isfinite(fit(twins, t, shrinkage=0.1).log_joint(twins)).all()
    plain, shrunk = fit(x, t).covariances, fit(x, t, shrinkage=0.25).covariances
    average = np.trace(plain, axis1=-2, axis2=-1)[..., None, None] / 2 * np.eye(2)
    np.testing.assert_allclose(shrunk, 0.75 * plain + 0.25 * average)
    np.testing.assert_allclose(fit(x, t, shrinkage=1).covariances, average, atol=1e-12)
    for shrinkage in (1.5, -0.1):
        with pytest.raises(dp.ConfigError, match="shrinkage"):
            fit(x, t, shrinkage=shrinkage)
    with pytest.raises(dp.DataError, match="Class 3 has no examples"):
        fit(x, t, classes=4)


def test_units_of_features_do_not_make_a_covariance_singular():
    x, t, _ = problem()
    scale = np.array([1e-9, 1e9])
    plain, scaled = classical.quadratic_discriminant(x, t), classical.quadratic_discriminant(x * scale, t)
    np.testing.assert_allclose(scaled.probabilities(x * scale), plain.probabilities(x), rtol=1e-6)


def test_a_class_is_judged_by_its_own_examples():
    x, t, _ = problem()
    apart = np.where(t[:, None] == 0, 1e-6 * x, x + 1e9)  # what is rounding there is the spread here
    model, alone = classical.quadratic_discriminant(apart, t), classical.quadratic_discriminant(x, t)
    np.testing.assert_allclose(model.covariances[0], 1e-12 * alone.covariances[0])
    twins = np.column_stack([x, np.where(t == 1, x[:, 0], x[:, 1] ** 2)])
    with pytest.raises(dp.DataError, match=rf"within class 1 is singular: 3 .* on its {(t == 1).sum()} examples"):
        classical.quadratic_discriminant(twins, t)


@pytest.mark.parametrize("shrinkage", [0.0, 1e-4, 1.0])
def test_a_class_of_one_example_has_no_width_that_could_be_shrunk(shrinkage):
    x = np.random.default_rng(0).normal(size=(9, 2))
    t = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    with pytest.raises(dp.DataError, match=r"No feature varies within class 2 \(1 example\).* however it is shrunk"):
        classical.quadratic_discriminant(x, t, shrinkage=shrinkage)

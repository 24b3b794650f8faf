"""Joint tables, model selection, principal components."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

import denpa as dp
from denpa import classical
from denpa.data.splitting import k_fold_indices, split_indices

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_nothing_predicts_better_than_the_conditional_expectation(seed):
    rng = np.random.default_rng(seed)
    P, y = rng.dirichlet(np.ones(15)).reshape(5, 3), rng.normal(size=3)
    best = classical.conditional_expectation(P, y)
    least = classical.expected_squared_error(P, y, best)
    np.testing.assert_allclose(classical.least_squared_error(P, y), P.sum(axis=0) @ y**2 - P.sum(axis=1) @ best**2)
    np.testing.assert_allclose(classical.least_squared_error(P, y + 1e8), least, rtol=1e-6)  # squares would cancel
    shift = rng.normal(size=5)
    # The error of any other predictor is larger by the mean square of its distance.
    np.testing.assert_allclose(
        classical.expected_squared_error(P, y, best + shift), least + P.sum(axis=1) @ shift**2, rtol=1e-10
    )


def test_conditional_probabilities_of_a_sample():
    x, y = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 1, 1, 0, 0, 1])
    P = classical.joint_table(x, y, (2, 3))
    np.testing.assert_allclose(P, np.array([[1, 3, 0], [2, 0, 0]]) / 6)
    np.testing.assert_allclose(classical.conditional(P), [[0.25, 0.75, 0], [1, 0, 0]])
    np.testing.assert_allclose(classical.conditional_expectation(P, [10.0, 20.0, 99.0]), [17.5, 10])


def test_a_network_learns_the_conditional_expectation():
    """Least squares on one-hot x ends at the class means of y, which are E[y|x] under the empirical distribution."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, 200), rng.integers(0, 3, 200)
    values = np.array([-1.0, 0.5, 4.0])
    model = classical.linear_regression(np.eye(4)[x], values[y], intercept=False)
    np.testing.assert_allclose(model.W, classical.conditional_expectation(classical.joint_table(x, y), values))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: classical.conditional([[0.5, 0.5], [0, 0]]), dp.DataError, "row 1"),
        (lambda: classical.conditional([[0.5, 0.6]]), dp.DataError, "sum to 1"),
        (lambda: classical.conditional([0.5, 0.5]), dp.ShapeError, "table"),
        (lambda: classical.conditional_expectation([[0.5, 0.5]], [1.0]), dp.ShapeError, "y must"),
        (lambda: classical.expected_squared_error([[0.5, 0.5]], [1, 2], [1, 2]), dp.ShapeError, "prediction"),
        (lambda: classical.joint_table([0, 1], [0]), dp.ShapeError, "same shape"),
        (lambda: classical.joint_table([0.5], [0]), dp.DataError, "whole numbers"),
        (lambda: classical.joint_table([0], [-1]), dp.DataError, "0 or more"),
        (lambda: classical.conditional([[1.5, -0.5]]), dp.DataError, "0 or more"),
        (lambda: classical.joint_table([2], [0], (2, 2)), dp.DataError, "no entry"),
        (lambda: classical.joint_table([0], [2], (2, 2)), dp.DataError, "no entry"),
    ],
)
def test_tables_that_are_none(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_a_table_of_indices_of_any_size(dtype):
    same = np.arange(20, dtype=dtype)
    np.testing.assert_array_equal(classical.joint_table(same, same), np.eye(20) / 20)


def test_over_fitting_over_the_degree():
    """Ten points of a noisy sine: the training error is 0 at M = 9, where the weights explode without a penalty."""
    rng = np.random.default_rng(5)
    x, fresh = np.linspace(0, 1, 10), np.linspace(0, 1, 100)
    train = x, np.sin(2 * np.pi * x) + 0.2 * rng.normal(size=10)
    test = fresh, np.sin(2 * np.pi * fresh) + 0.2 * rng.normal(size=100)
    curve = classical.degree_curve(train, test, range(10))
    assert (np.diff(curve.train_errors) <= 1e-12).all()
    assert curve.train_errors[9] < 1e-12 < 1e-3 < curve.train_errors[3]
    assert 3 <= curve.best <= 6
    assert curve.test_errors[9] > 1.5 * curve.test_errors[curve.best]
    assert curve.largest_weights[9] > 1000 > 40 > curve.largest_weights[3]
    penalised = classical.degree_curve(train, test, [9], strength=1e-4)
    assert penalised.largest_weights[0] < 40
    assert penalised.test_errors[0] < curve.test_errors[9]
    np.testing.assert_allclose(curve.train_errors[0], np.var(train[1]))


def test_degree_0_answers_the_mean_of_training_and_weights_count_without_their_sign():
    x = np.linspace(0, 1, 8)
    curve = classical.degree_curve((x, -3 * x), (x, 1 - 3 * x), [0, 1])
    np.testing.assert_allclose(curve.test_errors, [np.mean((1 - 3 * x + 1.5) ** 2), 1])
    np.testing.assert_allclose(curve.largest_weights, [0, 3], atol=1e-12)


def test_the_best_degree_is_one_of_the_given_ones():
    x = np.linspace(-1, 1, 9)
    assert classical.degree_curve((x, x**3), (x, x**3), [1, 3, 2]).best == 3


@pytest.mark.parametrize("degree", [0, 1])
def test_a_curve_wants_as_many_targets_as_examples(degree):
    x = np.linspace(0, 1, 8)
    for train, test in (((x, x[:7]), (x, x)), ((x, x), (x, x[:1]))):
        with pytest.raises(dp.DataError, match="8 examples"):
            classical.degree_curve(train, test, [degree])


@given(st.integers(2, 40), st.integers(2, 7), seeds)
def test_folds_hold_every_row_out_once(n, folds, seed):
    if n < folds:
        with pytest.raises(dp.DataError, match=f"{folds} folds of {n} example"):
            k_fold_indices(n, folds, seed)
        return
    labels = np.arange(n) % 2
    if n < 4:
        labels = None
    parts = k_fold_indices(n, folds, seed, labels)
    np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in parts])), np.arange(n))
    for rest, held in parts:
        np.testing.assert_array_equal(np.sort(np.concatenate([rest, held])), np.arange(n))
        assert n // folds <= len(held) <= -(-n // folds)
        if labels is not None:
            count = labels[held].sum()
            assert labels.sum() // folds <= count <= -(-labels.sum() // folds)
    again = k_fold_indices(n, folds, seed, labels)
    assert all((a[1] == b[1]).all() for a, b in zip(parts, again, strict=True))


def test_folds_that_cannot_be():
    with pytest.raises(dp.ConfigError, match="2 or more"):
        k_fold_indices(10, 1)
    with pytest.raises(dp.DataError, match="one example only"):
        k_fold_indices(5, 2, labels=np.array([0, 0, 1, 0, 0]))


@pytest.mark.parametrize("score", [classical.k_fold, classical.hold_out])
def test_examples_and_targets_of_a_score_are_equally_many(score):
    with pytest.raises(dp.ShapeError, match="equally many"):
        score(lambda x, t: np.sum, np.zeros((10, 2)), np.zeros(12))


def test_scores_spread_the_classes_evenly():
    labels, seen = np.repeat([0, 1], [20, 4]), []

    def fit(x, t):
        return lambda x: x

    def share(_, held):
        seen.append(int(held.sum()))
        return 0.0

    for seed in range(4):
        classical.k_fold(fit, np.arange(24), labels, 4, error=share, labels=labels, seed=seed)
        classical.hold_out(fit, np.arange(24), labels, 0.25, error=share, labels=labels, seed=seed)
    assert seen == [1] * 20


def test_cross_validation_fits_on_the_rest_and_measures_what_was_held_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(23, 2))
    t = x @ [1.0, 2.0] + rng.normal(size=23)
    scores = classical.k_fold(lambda x, t: classical.ridge(x, t, 0.1).predict, x, t, folds=4, seed=3)
    by_hand = []
    for rest, held in k_fold_indices(23, 4, 3):
        model = classical.ridge(x[rest], t[rest], 0.1)
        by_hand.append(np.mean((model.predict(x[held]) - t[held]) ** 2))
    np.testing.assert_allclose(scores.values, by_hand)
    np.testing.assert_allclose([scores.mean, scores.spread], [np.mean(by_hand), np.std(by_hand, ddof=1)])
    held = classical.hold_out(lambda x, t: classical.ridge(x, t, 0.1).predict, x, t, 0.3, seed=3)
    rest, out = split_indices(23, 0.3, 3)
    model = classical.ridge(x[rest], t[rest], 0.1)
    np.testing.assert_allclose(held, np.mean((model.predict(x[out]) - t[out]) ** 2))


def test_leave_one_out_of_least_squares_has_a_closed_form():
    """e_n = r_n / (1 - h_nn) with the diagonal h of the hat matrix (Allen 1974)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 2))
    t = x @ [1.0, 2.0] + rng.normal(size=12)
    scores = classical.k_fold(lambda x, t: classical.linear_regression(x, t).predict, x, t, folds=12)
    X = np.column_stack([x, np.ones(12)])
    hat = X @ np.linalg.solve(X.T @ X, X.T)
    residual = (t - hat @ t) / (1 - np.diag(hat))
    np.testing.assert_allclose(np.sort(scores.values), np.sort(residual**2), rtol=1e-9)


def test_bias_and_variance_add_up():
    """A stiff ridge is biased, a weak one varies; the sum is the error against the truth, exactly."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 25)
    features, truth = classical.polynomial_features(x, 7), np.sin(2 * np.pi * x)
    parts = {}
    for strength in (1e-6, 1.0):
        y = [
            classical.ridge(features, truth + 0.3 * rng.normal(size=25), strength).predict(features) for _ in range(60)
        ]
        parts[strength] = classical.bias_variance(y, truth)
        total = parts[strength].squared_bias + parts[strength].variance
        np.testing.assert_allclose(total, np.mean((np.array(y) - truth) ** 2))
    assert parts[1.0].squared_bias > 10 * parts[1e-6].squared_bias
    assert parts[1e-6].variance > 3 * parts[1.0].variance
    with pytest.raises(dp.ShapeError, match="predictions"):
        classical.bias_variance(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("n", [12, 200])
def test_principal_components(n):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)) + 3
    found, theirs = classical.pca(x, 2), PCA(2, svd_solver="full").fit(x)
    np.testing.assert_allclose(np.abs(np.sum(found.components * theirs.components_.T, axis=0)), 1, rtol=1e-6)
    assert (found.components[np.abs(found.components).argmax(axis=0), [0, 1]] > 0).all()  # of the two signs
    np.testing.assert_allclose(found.variances, theirs.explained_variance_ * (n - 1) / n, rtol=1e-6)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_.sum(), rtol=1e-6)
    np.testing.assert_allclose(found.reconstruct(x), theirs.inverse_transform(theirs.transform(x)), atol=1e-6)
    error = np.mean(np.sum((x - found.reconstruct(x)) ** 2, axis=1))
    np.testing.assert_allclose(error, found.total_variance - found.variances.sum())
    np.testing.assert_allclose(classical.pca(x, 5).reconstruct(x), x)
    with pytest.raises(dp.ConfigError, match="at most 5"):
        classical.pca(x, 6)
    for call in (lambda: found.encode(x[:, :1]), lambda: found.decode(x[:, :1])):
        with pytest.raises(dp.ShapeError, match="x has 1 column, but the model was fitted to"):
            call()
    flat = classical.pca(np.outer(rng.normal(size=n), [0.1, 0.7, -0.3, 0.9, 1 / 3]), 5)
    assert (flat.variances >= 0).all()
    assert flat.explained == pytest.approx(1)
    assert classical.pca(np.ones((n, 2)), 1).explained == 1


@pytest.mark.parametrize("unit", [100.0, 1e6])
def test_the_error_of_training_falls_with_the_degree_in_any_unit(unit):
    """To 0 at M = N - 1, as the docstring says; x⁹ is 10⁴⁸ times as large as x there."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, unit, 10)
    t = np.sin(2 * np.pi * x / unit) + 0.2 * rng.normal(size=10)
    curve = classical.degree_curve((x, t), (x, t), range(10))
    assert (np.diff(curve.train_errors) <= 1e-12).all()
    assert curve.train_errors[-1] < 1e-15


def test_masked_entries_are_not_learned_from():
    x = np.ma.masked_array(np.arange(12.0).reshape(6, 2), mask=[[False, i == 3] for i in range(6)])
    t = np.ma.masked_array(np.arange(6.0), mask=[False] * 5 + [True])
    for learn in (
        lambda: classical.linear_regression(x, np.arange(6.0)),
        lambda: classical.linear_regression(x.data, t),
        lambda: classical.linear_discriminant(x, np.arange(6) % 2),
        lambda: classical.mean_squared_error(t, np.arange(6.0)),
        lambda: dp.Standardize().fit(x),
        lambda: dp.PolynomialFeatures(2).fit(x),
    ):
        with pytest.raises(dp.DataError, match="masked at"):
            learn()


def least_of(x, t):
    return lambda z: np.zeros(len(z))


@pytest.mark.parametrize("way", [classical.k_fold, classical.hold_out])
def test_labels_and_errors_that_cannot_be_are_refused(way):
    x, t = np.arange(12.0), np.arange(12.0)
    for labels in ([], [0, 1], np.zeros((12, 2), int), np.zeros(13, int), [[1, 2], [3]]):
        with pytest.raises(dp.DenpaError, match="labels"):
            way(least_of, x, t, labels=labels)
    with pytest.raises(dp.ConfigError, match="error must be a function"):
        way(least_of, x, t, error="mse")


@pytest.mark.parametrize("shape", [(), (0, 2), 3, "23", (2.0, 2), (2, 3, 4), np.int64(2)])
def test_the_shape_of_a_table_is_a_pair_of_numbers(shape):
    with pytest.raises(dp.ConfigError, match="shape"):
        classical.joint_table([0, 1], [0, 1], shape)


@pytest.mark.parametrize("x", [[[1, 2], [3]], np.ma.masked_array([0, 1], [True, False])])
def test_pairs_that_cannot_be_read_are_refused(x):
    with pytest.raises(dp.DataError, match="x"):
        classical.joint_table(x, [0, 1])

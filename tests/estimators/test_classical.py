"""The wrappers of the classical algorithms beside scikit-learn's own."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from denpa import classical
from denpa.estimators import (
    GaussianClassifier,
    LassoRegressor,
    LogisticClassifier,
    NeuralNetRegressor,
    PerceptronClassifier,
    RidgeRegressor,
)


@pytest.fixture(scope="module")
def flowers():
    data = load_iris()
    return data.data, data.target_names[data.target]


def test_ridge_and_lasso_agree():
    X, y = load_diabetes(return_X_y=True)
    y = y / y.std()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    ours, theirs = RidgeRegressor(1e-3), Ridge(alpha=1e-3 * weight.sum())
    ours.fit(X, y, weight)
    theirs.fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)
    ours, theirs = LassoRegressor(1e-2).fit(X, y), Lasso(alpha=1e-2, tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    assert (ours.coef_ == 0).sum() > 0
    assert ours.dual_gap_ == classical.lasso(X, y, 1e-2).gap
    both = RidgeRegressor(1e-3).fit(X, np.stack([y, -2 * y], axis=1))
    np.testing.assert_allclose(both.predict(X)[:, 1], -2 * both.predict(X)[:, 0], atol=1e-9)


def test_logistic_regression_agrees(flowers):
    X, y = flowers
    for classes in (("setosa", "virginica", "versicolor"), ("virginica", "versicolor")):
        rows = np.isin(y, classes)
        ours = LogisticClassifier(0.01).fit(X[rows], y[rows])
        theirs = LogisticRegression(C=1 / (0.01 * rows.sum()), tol=1e-10, max_iter=10_000).fit(X[rows], y[rows])
        np.testing.assert_allclose(ours.predict_proba(X[rows]), theirs.predict_proba(X[rows]), atol=1e-6)
        np.testing.assert_allclose(ours.predict_log_proba(X[rows]), theirs.predict_log_proba(X[rows]), atol=1e-4)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
        assert (ours.predict(X[rows]) == theirs.predict(X[rows])).all()


def test_the_gaussian_classifier_agrees(flowers):
    X, y = flowers
    ours, theirs = GaussianClassifier(shrinkage=0.0).fit(X, y), LinearDiscriminantAnalysis(solver="lsqr").fit(X, y)
    np.testing.assert_allclose(ours.means_, theirs.means_)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    own = GaussianClassifier("separate", shrinkage=0.0, priors=[0.2, 0.3, 0.5]).fit(X, y)
    assert own.covariance_.shape == (3, 4, 4)
    np.testing.assert_allclose(own.covariance_[1], np.cov(X[y == own.classes_[1]].T, bias=True))
    with pytest.raises(ValueError, match="separate"):
        GaussianClassifier("diagonal").fit(X, y)


def test_the_perceptron_learns_gates():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array(["no", "no", "no", "yes"])
    found = PerceptronClassifier().fit(corners, y)
    assert (found.coef_.tolist(), found.intercept_.tolist(), found.n_iter_) == ([[2.0, 1.0]], [-2.0], 6)
    slowly = PerceptronClassifier()
    for _ in range(6):
        slowly.partial_fit(corners, y, classes=["yes", "no"])
    assert slowly.mistakes_ == found.mistakes_ == list(classical.perceptron(corners, [0, 0, 0, 1]).mistakes)
    online = PerceptronClassifier()
    for _ in range(6):
        for corner, label in zip(corners, y, strict=True):
            online.partial_fit([corner], [label], classes=["yes", "no"])
    assert (online.coef_.tolist(), online.intercept_.tolist()) == ([[2.0, 1.0]], [-2.0])
    assert sum(online.mistakes_) == sum(found.mistakes_)
    assert found.predict(corners).tolist() == y.tolist()
    with pytest.warns(ConvergenceWarning, match="no hyperplane"):
        PerceptronClassifier(epochs=20).fit(corners, [0, 1, 1, 0])
    for classes in (None, ["no", "yes", "perhaps"]):
        with pytest.raises(ValueError, match="must be told of two classes"):
            PerceptronClassifier().partial_fit(corners, y, classes=classes)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="Only binary"):
        PerceptronClassifier().fit(corners, ["a", "b", "c", "a"])


def test_the_perceptron_leaves_the_warnings_of_other_threads_alone(monkeypatch):
    """To catch warnings is to change what the whole process does with them; it has no more than `warn`."""
    X, y, told = np.array([[0.0], [1.0], [2.0]]), [0, 1, 0], []
    only = SimpleNamespace(warn=lambda message, category, **options: told.append(category))
    monkeypatch.setattr("denpa.estimators.perceptron.warnings", only)
    PerceptronClassifier(epochs=5).fit(X, y)
    PerceptronClassifier().partial_fit(X, y, [0, 1])
    assert told == [ConvergenceWarning]


@pytest.mark.parametrize(
    "regressor", [RidgeRegressor(), LassoRegressor(), NeuralNetRegressor(epochs=1)], ids=lambda r: type(r).__name__
)
def test_values_that_are_text_are_refused(regressor):
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match=r"y must hold numbers, not <U\d+: y.astype\(float\) reads numbers"):
        regressor.fit(X, X[:, 0].astype(str))
    with pytest.raises(ValueError, match=r"y must hold numbers, not datetime64\[s\]\."):
        regressor.fit(X, X[:, 0].astype("datetime64[s]"))


def test_one_number_is_the_weight_of_every_example():
    X = np.random.default_rng(0).normal(size=(20, 3))
    alike, without = (RidgeRegressor().fit(X, X.sum(axis=1), weight) for weight in (2.0, None))
    np.testing.assert_allclose(alike.coef_, without.coef_, rtol=1e-12)
    assert isinstance(alike.intercept_, float)
    for weight, message in ((0.0, "Every sample_weight is zero"), (-1, "0 or more"), (np.nan, "NaN"), ("a", "'a'")):
        with pytest.raises(ValueError, match=message):
            RidgeRegressor().fit(X, X[:, 0], weight)

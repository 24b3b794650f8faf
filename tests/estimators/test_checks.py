"""scikit-learn's own checks of an estimator: interface, clone, pickle, labels, weights, refusals.

The networks compile programs for each shape of data that the checks come up with, so that they have no hidden layers
here. One of them takes all checks; the others, which share their base, those of their own kind.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import denpa as dp
from denpa import estimators
from denpa.estimators import (
    GaussianClassifier,
    LassoRegressor,
    LogisticClassifier,
    NeuralNetAutoencoder,
    NeuralNetClassifier,
    NeuralNetRegressor,
    PerceptronClassifier,
    RidgeRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the checks warn of what they are about to do

# What cannot hold, and why.
EXPECTED = {
    "GaussianClassifier(covariance='separate')": {
        "check_sample_weight_equivalence_on_dense_data": "its weights leave one class a single example: no covariance",
    },
}
OWN_KIND = ("regressor", "transformer", "supervised", "partial_fit", "pickle")


@pytest.mark.parametrize(
    "estimator",
    [
        RidgeRegressor(),
        LassoRegressor(),
        LogisticClassifier(),
        PerceptronClassifier(),
        GaussianClassifier(),
        GaussianClassifier("separate"),
    ],
    ids=repr,
)
def test_a_classical_estimator_passes_all_checks(estimator):
    check_estimator(estimator, expected_failed_checks=EXPECTED.get(repr(estimator)), on_skip=None)


def test_a_network_passes_all_checks():
    check_estimator(NeuralNetClassifier((), optimizer="sgd", learning_rate=0.3), on_skip=None)


@pytest.mark.parametrize(
    "estimator",
    [NeuralNetRegressor((), learning_rate=0.02), NeuralNetAutoencoder(2, learning_rate=0.01)],
    ids=["regressor", "autoencoder"],
)
def test_another_network_passes_the_checks_of_its_kind(estimator):
    tried = 0
    for instance, check in estimator_checks_generator(estimator):
        name = getattr(check.func, "__name__", "")
        if any(kind in name for kind in OWN_KIND) and "data_not_an_array" not in name:
            check(instance)
            tried += 1
    assert tried >= 7


def test_masked_entries_are_refused():
    """scikit-learn would take the numbers under the mask."""
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
    hidden = np.ma.masked_array(x, mask=x > 10)
    for estimator in (estimators.GaussianClassifier(), estimators.RidgeRegressor(), estimators.NeuralNetRegressor()):
        with pytest.raises(dp.DataError, match="masked entries"):
            estimator.fit(hidden, y)
        with pytest.raises(dp.DataError, match="masked entries"):
            estimator.fit(x, np.ma.masked_array(y, mask=y == 1))

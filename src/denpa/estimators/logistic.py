"""Logistic and softmax regression as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from denpa.classical import LogisticModel, SoftmaxModel, logistic_regression, softmax_regression
from denpa.estimators.checked import LogProbabilityMixin, checked_weight, encoded, examples, labelled

__all__ = ["LogisticClassifier"]


class LogisticClassifier(LogProbabilityMixin, ClassifierMixin, BaseEstimator):
    """log( P(C₁|x) / P(C₀|x) ) = x w + b;   P(C_k|x) = softmax_k(x W + b) for more than two classes

    by Newton's method: `dp.classical.logistic_regression`, `softmax_regression`. The objective is the mean negative
    log-likelihood plus (λ/2) ‖W‖².

    Args:
        strength: λ >= 0; 1 / (C N) in scikit-learn's `LogisticRegression`. With 0, classes that a hyperplane
            separates have no best solution, which is an error.
        fit_intercept: False for b = 0.

    Attributes:
        classes_: the labels, sorted.
        coef_, intercept_: (1, d) and (1,) for two classes, else (K, d) and (K,).
        n_iter_: Newton steps.

    Raises:
        ValueError: from `fit`, for data and parameters that make no sense.

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", sections 4.3.3 and 4.3.4.
    """

    model_: LogisticModel | SoftmaxModel

    def __init__(self, strength: float = 0.001, *, fit_intercept: bool = True) -> None:
        self.strength = strength
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticClassifier:
        """Solve for X (n, d) and the labels y (n,), numbers or text, with weights (n,) if given."""
        X, y = labelled(self, X, y)
        weight = checked_weight(sample_weight, X)
        self.classes_ = np.unique(y)
        t = encoded(y, self.classes_, weight)
        solve = logistic_regression if len(self.classes_) == 2 else softmax_regression
        self.model_ = solve(X, t, self.strength, weight, intercept=self.fit_intercept)
        self.coef_ = np.atleast_2d(self.model_.W.T)
        self.intercept_ = np.atleast_1d(self.model_.b)
        self.n_iter_ = self.model_.iterations
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The log-odds (n,) of two classes, or u (n, K)."""
        check_is_fitted(self)
        return self.model_.logits(examples(self, X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(C_k|x), (n, K), in the order of `classes_`."""
        check_is_fitted(self)
        return self.model_.probabilities(examples(self, X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label (n,)."""
        check_is_fitted(self)
        return self.classes_[self.model_.predict(examples(self, X))]

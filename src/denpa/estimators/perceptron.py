"""Rosenblatt's perceptron as a scikit-learn classifier."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from denpa.classical.rosenblatt import trained
from denpa.core.errors import ConfigError
from denpa.estimators.checked import encoded, examples, labelled

__all__ = ["PerceptronClassifier"]


class PerceptronClassifier(ClassifierMixin, BaseEstimator):
    """y = 1 if x w + b > 0 else 0;   w <- w + η (t - y) x,   b <- b + η (t - y)      for one example after another

    until an epoch passes without a mistake: `dp.classical.perceptron`. Two classes;
    `sklearn.multiclass.OneVsRestClassifier` makes more of it.

    Args:
        learning_rate: η > 0.
        epochs: how many to try; a `ConvergenceWarning` tells that they did not do.

    Attributes:
        classes_: the two labels, sorted.
        coef_, intercept_: (1, d) and (1,).
        mistakes_: of each epoch.
        n_iter_: epochs trained.

    Raises:
        ValueError: from `fit`, for data and parameters that make no sense.

    Source: Rosenblatt (1958), "The perceptron: a probabilistic model for information storage and organization in
    the brain".
    """

    def __init__(self, learning_rate: float = 1.0, epochs: int = 100) -> None:
        self.learning_rate = learning_rate
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> PerceptronClassifier:
        """Train on X (n, d) and the two labels y (n,), numbers or text, in the order given."""
        X, y = labelled(self, X, y)
        if (kind := type_of_target(y)) != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_ = np.unique(y)
        t = encoded(y, self.classes_)
        found = trained(X, t, self.learning_rate, self.epochs)
        if not found.converged:
            warnings.warn(found.failure, ConvergenceWarning, stacklevel=2)
        self._keep(found)
        self.mistakes_ = list(found.mistakes)
        self.n_iter_ = len(self.mistakes_)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> PerceptronClassifier:
        """Show each example once.

        Args:
            X, y: as for `fit`, also of one class, or a single example.
            classes: both labels; wanted by the first call alone.
        """
        first = not hasattr(self, "coef_")
        X, y = labelled(self, X, y, reset=first)
        if first:
            if classes is None or len(np.unique(classes)) != 2:
                raise ConfigError(
                    "The first call of partial_fit must be told of two classes: partial_fit(X, y, classes)."
                )
            self.classes_ = np.unique(classes)
            self.coef_, self.intercept_ = np.zeros((1, X.shape[1])), np.zeros(1)
            self.mistakes_, self.n_iter_ = [], 0
        t = encoded(y, self.classes_)
        found = trained(X, t, self.learning_rate, 1, self.coef_[0], float(self.intercept_[0]))
        self._keep(found)
        self.mistakes_ += found.mistakes
        self.n_iter_ += 1
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """u = x w + b, (n,)."""
        check_is_fitted(self)
        return examples(self, X) @ self.coef_[0] + self.intercept_[0]

    def predict(self, X: Any) -> np.ndarray:
        """The second label where u > 0, else the first, (n,)."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _keep(self, found: Any) -> None:
        self.coef_, self.intercept_ = found.W[None], np.array([found.b])

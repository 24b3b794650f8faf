"""The generative classifier as a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from denpa import classical
from denpa.core.errors import ConfigError
from denpa.estimators.checked import LogProbabilityMixin, checked_weight, encoded, examples, labelled

__all__ = ["GaussianClassifier"]


class GaussianClassifier(LogProbabilityMixin, ClassifierMixin, BaseEstimator):
    """P(C_k|x) = N(x; μ_k, Σ_k) π_k / Σ_j N(x; μ_j, Σ_j) π_j      μ, Σ, π by maximum likelihood, Σ shrunk

    Args:
        covariance: "shared" by all classes (linear discriminant analysis), or "separate" for each (quadratic).
        shrinkage: s in Σ <- (1 - s) Σ + s (tr Σ / d) I, from 0 to 1. With 0, which is maximum likelihood itself,
            a singular covariance is an error: constant or dependent features, too few examples. tr Σ / d is the mean
            variance: features in units of their own want a `StandardScaler` in front, or small ones are drowned.
        priors: π (K,) that sum to 1, in the order of the sorted labels; None for the shares of the classes.

    Attributes:
        classes_: the labels, sorted.
        means_: μ (K, d).
        covariance_: Σ (d, d), or (K, d, d).
        priors_: π (K,).

    Raises:
        ValueError: from `fit`, for data and parameters that make no sense.

    Source: Fisher (1936), "The use of multiple measurements in taxonomic problems"; Bishop (2006), "Pattern
    Recognition and Machine Learning", section 4.2; shrinkage: Friedman (1989), "Regularized discriminant analysis".
    """

    model_: classical.GaussianClassifier

    def __init__(self, covariance: str = "shared", *, shrinkage: float = 1e-4, priors: Any = None) -> None:
        self.covariance = covariance
        self.shrinkage = shrinkage
        self.priors = priors

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GaussianClassifier:
        """Estimate from X (n, d) and the labels y (n,), numbers or text, with weights (n,) if given."""
        X, y = labelled(self, X, y)
        weight = checked_weight(sample_weight, X)
        self.classes_ = np.unique(y)
        t = encoded(y, self.classes_, weight)
        kinds = {"shared": classical.linear_discriminant, "separate": classical.quadratic_discriminant}
        if self.covariance not in kinds:
            raise ConfigError(f'covariance must be "shared" or "separate", not {self.covariance!r}.')
        options = {"priors": self.priors, "shrinkage": self.shrinkage}
        self.model_ = kinds[self.covariance](X, t, weight, classes=len(self.classes_), **options)
        self.means_, self.covariance_, self.priors_ = self.model_.means, self.model_.covariances, self.model_.priors
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(C_k|x), (n, K), in the order of `classes_`."""
        check_is_fitted(self)
        return self.model_.probabilities(examples(self, X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label (n,)."""
        check_is_fitted(self)
        return self.classes_[self.model_.predict(examples(self, X))]

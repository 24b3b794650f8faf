"""Ridge regression and LASSO as scikit-learn's regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from denpa.classical import lasso, ridge
from denpa.estimators.checked import checked_weight, examples, valued

__all__ = ["LassoRegressor", "RidgeRegressor"]


class LinearRegressor(RegressorMixin, BaseEstimator):
    """y = x W + b: what both have in common."""

    coef_: np.ndarray
    intercept_: Any

    def __init__(self, strength: float = 0.01, *, fit_intercept: bool = True) -> None:
        self.strength = strength
        self.fit_intercept = fit_intercept

    def predict(self, X: Any) -> np.ndarray:
        """The values y (n,) or (n, k)."""
        check_is_fitted(self)
        return examples(self, X) @ self.coef_.T + self.intercept_


class RidgeRegressor(LinearRegressor):
    """(W, b) = argmin (1/2N) Σ_n ‖x_n W + b - t_n‖² + (λ/2) ‖W‖²      in closed form: `dp.classical.ridge`

    Args:
        strength: λ >= 0; alpha / N in scikit-learn's `Ridge`.
        fit_intercept: False for b = 0.

    Attributes:
        coef_, intercept_: (d,) and (), or (k, d) and (k,) for targets (n, k).

    Raises:
        ValueError: from `fit`, for data and parameters that make no sense.

    Source: Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems".
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RidgeRegressor:
        """Solve for X (n, d) and the values y (n,) or (n, k), with weights (n,) if given."""
        X, y = valued(self, X, y)
        found = ridge(X, y, self.strength, checked_weight(sample_weight, X), intercept=self.fit_intercept)
        self.coef_, self.intercept_ = found.W.T, found.b if y.ndim == 2 else float(found.b)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class LassoRegressor(LinearRegressor):
    """(w, b) = argmin (1/2N) Σ_n (x_n w + b - t_n)² + λ Σ_j |w_j|      by coordinate descent: `dp.classical.lasso`

    Args:
        strength: λ >= 0; alpha in scikit-learn's `Lasso`.
        fit_intercept: False for b = 0.

    Attributes:
        coef_, intercept_: (d,) and ().
        dual_gap_: how far the objective lies above its minimum, at most.

    Raises:
        ValueError: from `fit`, for data and parameters that make no sense.

    Source: Tibshirani (1996), "Regression shrinkage and selection via the lasso".
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LassoRegressor:
        """Solve for X (n, d) and the values y (n,), with weights (n,) if given."""
        X, y = valued(self, X, y, several=False)
        found = lasso(X, y, self.strength, checked_weight(sample_weight, X), intercept=self.fit_intercept)
        self.coef_, self.intercept_, self.dual_gap_ = found.W, float(found.b), found.gap
        return self

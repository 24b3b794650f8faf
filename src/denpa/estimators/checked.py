"""What users give to `fit`, checked as scikit-learn does it: values and labels, weights."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from denpa.core.errors import DataError

__all__ = [
    "FLOATS",
    "LogProbabilityMixin",
    "checked_weight",
    "encoded",
    "examples",
    "labelled",
    "valued",
    "want_unmasked",
]

FLOATS = (np.float64, np.float32)  # either stays as it is


class LogProbabilityMixin:
    """`predict_log_proba` of a classifier with `predict_proba`."""

    predict_proba: Callable[[Any], np.ndarray]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """ln P(C_k|x), (n, K), in the order of `classes_`; -inf where the probability is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


def want_unmasked(*given: Any) -> None:
    """Refuse masked entries by `DataError`: scikit-learn would take the numbers under the mask."""
    for array in given:
        if np.ma.is_masked(array):
            raise DataError(
                "There are masked entries: fill them, as by X.filled(0), or drop their rows. Numbers under a mask are "
                "not to be learned from."
            )


def examples(estimator: Any, X: Any, reset: bool = False, dtype: Any = np.float64) -> np.ndarray:
    """X (n, d); with `reset` its columns are noted, else they must be those noted before."""
    want_unmasked(X)
    checked: Any = validate_data(estimator, X, reset=reset, dtype=dtype)
    return checked


def labelled(estimator: Any, X: Any, y: Any, reset: bool = True, dtype: Any = np.float64) -> tuple[Any, Any]:
    """X (n, d) and the labels y (n,), which may be text; refused where y is no classification."""
    want_unmasked(X, y)
    X, y = validate_data(estimator, X, y, reset=reset, dtype=dtype)
    check_classification_targets(y)
    return X, y


def valued(
    estimator: Any, X: Any, y: Any, reset: bool = True, dtype: Any = np.float64, several: bool = True
) -> tuple[Any, Any]:
    """X (n, d) and the values y (n,) or, where `several` columns may be, (n, k); refused where y is text."""
    want_unmasked(X, y)
    X, y = validate_data(estimator, X, y, reset=reset, dtype=dtype, multi_output=several, y_numeric=True)
    if y.dtype.kind not in "biuf":
        mend = ": y.astype(float) reads numbers that are text" if y.dtype.kind in "SU" else ""
        raise ValueError(f"y must hold numbers, not {y.dtype}{mend}.")
    return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def encoded(y: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The index of each label among the sorted classes, (n,) int32.

    Raises:
        ValueError: a label that is not among them; fewer than two classes, or one alone with weight above 0.
    """
    found = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = classes[found] != y
    if unknown.any():
        raise ValueError(f"The label {y[unknown].tolist()[0]!r} is not among the classes {classes.tolist()}.")
    if len(classes) < 2:
        raise ValueError(f"There is one class only, {classes.tolist()[0]!r}: a classifier needs two or more.")
    if weight is not None and len(np.unique(y[weight > 0])) < 2:
        raise ValueError("All examples with a sample_weight above 0 are of one class: a classifier needs two or more.")
    return found.astype(np.int32)


def checked_weight(weight: Any, X: np.ndarray) -> np.ndarray | None:
    """Weights (n,) in X's precision, 0 or more, not all 0; None for none. A single number stands for n of them.

    Raises:
        ValueError: another length, a negative weight, or all weights 0.
    """
    if weight is None:
        return None
    want_unmasked(weight)
    precision: Any = X.dtype
    weight = np.full(len(X), weight) if isinstance(weight, numbers.Real) else weight
    weight = np.asarray(check_array(weight, ensure_2d=False, dtype=precision, input_name="sample_weight"))
    if weight.shape != (len(X),):
        raise ValueError(f"sample_weight has the shape {weight.shape}, not {(len(X),)}: one weight for each example.")
    if (weight < 0).any():
        raise ValueError("sample_weight must be 0 or more.")
    if not weight.any():
        raise ValueError("Every sample_weight is zero: there is nothing to learn from.")
    return weight

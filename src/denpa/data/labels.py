"""Codings of class labels: names, indices 0..K-1, one-hot rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.core.errors import DataError
from denpa.data.checks import is_one_hot

__all__ = ["class_indices", "encode_labels", "one_hot", "true_classes"]


def one_hot(labels: Any, classes: int, dtype: Any = np.float32) -> np.ndarray:
    """t_nk = 1 where k = y_n, else 0.     labels (...) in 0..K-1 -> (..., K)

    Raises:
        DataError: labels that are no integers, or outside 0..K-1 (the first is named).
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu":
        raise DataError(f"one_hot wants integer labels 0..{classes - 1}, not dtype {labels.dtype}.")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f" at {at[0] if len(at) == 1 else at}" if at else ""
        raise DataError(f"The label{where} is {labels[at]}, but labels go from 0 to {classes - 1}.")
    return (labels[..., None] == np.arange(classes)).astype(dtype)


def class_indices(t: Any) -> np.ndarray:
    """The inverse of `one_hot`: y_n = argmax_k t_nk.     t (n, K) -> int32 (n,)

    Raises:
        DataError: rows that are not one-hot.
    """
    t = np.asarray(t)
    if not is_one_hot(t):
        raise DataError(f"class_indices wants one-hot rows (n, K), each with a single 1, not shape {t.shape}.")
    return t.argmax(axis=1).astype(np.int32)


def true_classes(t: np.ndarray) -> np.ndarray:
    """The class that targets speak for: t (n,) indices, (n, 1) of one unit, or (n, K) rows -> (n,)

    Of rows that are no one-hot ones, such as smoothed labels, the likeliest class.
    """
    if t.ndim == 1:
        return t
    return np.rint(t[:, 0]).astype(np.int32) if t.shape[1:] == (1,) else t.argmax(axis=-1)


def encode_labels(values: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class indices and class names of labels of any kind, classes in sorted order.

    values (n,), strings or numbers -> (indices int32 (n,), names), with names[indices[n]] = str(values[n]).

    Raises:
        DataError: labels that are not in one row of n, or missing (None or NaN).
    """
    values = np.asarray(values)
    if values.ndim != 1:
        raise DataError(f"encode_labels wants one label per example (n,), not shape {values.shape}.")
    missing = np.array([value is None or value != value for value in values.tolist()], bool)
    if missing.any():
        raise DataError(f"The label at {int(missing.argmax())} is missing.")
    if values.dtype.kind == "O":
        values = values.astype(str)
    names, indices = np.unique(values, return_inverse=True)
    return indices.astype(np.int32), tuple(str(name) for name in names.tolist())

"""How outputs y, targets t and sample weights fit together, for losses and metrics.

Nothing here broadcasts: where (n,) meets (n, 1), the mean of an (n, n) array would look like a
result. All checks look at shapes and dtypes alone, so they speak before anything is compiled.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from denpa.core.errors import DataError, ShapeError
from denpa.core.shapes import Shape, want
from denpa.core.tree import wide_dtype

__all__ = [
    "as_float",
    "holds_class_indices",
    "item_weights",
    "one_hot",
    "same_shape",
    "total_weight",
    "unit_targets",
    "weighted",
]

Array = jax.Array


def as_float(owner: Any, y: Any) -> Array:
    """Outputs as an array of at least float32: sums over a batch need more digits than bfloat16 has.

    Raises:
        DataError: y does not hold floating-point numbers.
        ShapeError: y has no batch axis.
    """
    y = jnp.asarray(y)
    if not jnp.issubdtype(y.dtype, jnp.floating):
        raise DataError(f"{owner!r} wants floating-point outputs, not {y.dtype}.")
    if y.ndim == 0:
        raise ShapeError(f"{owner!r} wants outputs with a batch axis in front, but got a single number.")
    return y.astype(wide_dtype(y.dtype))


def same_shape(owner: Any, y: Any, t: Any) -> None:
    """Refuse targets of another shape than the outputs."""
    if y.shape == t.shape:
        return
    hint = ""
    if y.shape == (*t.shape, 1):
        hint = " Give the targets the same axes: t[..., None]."
    elif t.shape == (*y.shape, 1):
        hint = " Drop the last axis of the targets: t[..., 0]."
    raise ShapeError(f"{owner!r} wants targets of the outputs' shape {y.shape}, but got {t.shape}.{hint}")


def holds_class_indices(owner: Any, y: Any, t: Any) -> bool:
    """Whether t (...) holds class indices, or else (..., classes) one number per class, for y (..., classes).

    Raises:
        ShapeError: y has no class axis or a single class, or t has neither of the two shapes.
        DataError: t has the shape of class indices but does not hold integers.
    """
    want(owner, "batch ... classes", y)
    classes = y.shape[-1]
    if classes == 1:
        raise ShapeError(f"{owner!r} wants one output per class, but got {y.shape}: a single output decides nothing.")
    if t.shape == y.shape:
        return False
    if t.shape == y.shape[:-1]:
        if jnp.issubdtype(t.dtype, jnp.integer):
            return True
        raise DataError(f"{owner!r} wants class indices as integers, not {t.shape} of {t.dtype}: try t.astype(int).")
    hint = " Drop the last axis of the targets: t[..., 0]." if t.shape == (*y.shape[:-1], 1) else ""
    raise ShapeError(
        f"{owner!r} wants class indices of shape {y.shape[:-1]} or one-hot targets of shape {y.shape} "
        f"for outputs of {classes} classes, but got targets of shape {t.shape}.{hint}"
    )


def unit_targets(owner: Any, y: Any, t: Any) -> Array:
    """Targets of yes-or-no outputs, of y's shape and dtype.

    For a single output (..., 1), integers or booleans (...) are class indices 0 and 1.
    """
    if y.shape == (*t.shape, 1) and (t.dtype == jnp.bool_ or jnp.issubdtype(t.dtype, jnp.integer)):
        t = t[..., None]
    same_shape(owner, y, t)
    return t.astype(y.dtype)


def one_hot(t: Any, classes: int, dtype: Any = jnp.bool_) -> Array:
    """t_k = 1 where k = t, else 0; a row of zeros for an index outside 0..classes-1.

    A comparison with 0..classes-1, which XLA fuses into whatever reads it; a gather it does not.
    """
    return (t.astype(jnp.int32)[..., None] == lax.iota(jnp.int32, classes)).astype(dtype)


def item_weights(owner: Any, sample_weight: Any, shape: Shape, dtype: Any) -> Array | None:
    """Sample weights as an array of `dtype` whose axes are the leading axes of `shape`; None stays None."""
    if sample_weight is None:
        return None
    w = jnp.asarray(sample_weight)
    if w.ndim == 0 or w.shape != shape[: w.ndim]:
        allowed = " or ".join(str(shape[:n]) for n in range(1, len(shape) + 1))
        raise ShapeError(f"{owner!r} wants sample weights of shape {allowed}, but got {w.shape}.")
    return w.astype(dtype)


def weighted(w: Array | None, values: Array) -> Array:
    """w · values, w along the leading axes. Weight 0 gives 0, even where padding made the value infinite or NaN."""
    if w is None:
        return values
    w = w.reshape(w.shape + (1,) * (values.ndim - w.ndim))
    return jnp.where(w == 0, jnp.zeros((), values.dtype), w * values)


def total_weight(w: Array | None, shape: Shape, dtype: Any) -> Array:
    """Σ w over items of `shape`, w being broadcast along the trailing axes; their number where w is None."""
    if w is None:
        return jnp.asarray(math.prod(shape), dtype)
    return jnp.sum(w) * math.prod(shape[w.ndim :])

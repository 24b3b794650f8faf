"""What users give to fit, evaluate and predict, brought to checked arrays."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.core.errors import DataError, ShapeError
from denpa.core.shapes import Shape
from denpa.data.checks import check_data, check_features, check_x

__all__ = ["Batch", "checked_examples", "checked_targets", "padded_batches", "shape_of_example", "unpacked"]

Batch = tuple[Any, Any, Any]


def unpacked(data: Any) -> Batch:
    """(x, t, sample_weight) of a pair, a triple, or a `Dataset`; the weight may be None.

    Raises:
        DataError: none of these.
    """
    if hasattr(data, "x") and hasattr(data, "t"):
        return data.x, data.t, None
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        return (*data, None) if len(data) == 2 else tuple(data)  # type: ignore[return-value]
    got = f"{len(data)} things" if isinstance(data, (tuple, list)) else type(data).__name__
    raise DataError(f"Data are a pair (x, t), a triple (x, t, sample_weight) or a Dataset, not {got}.")


def shape_of_example(x: Any) -> Any:
    """The shape of one example; a tuple of shapes for a tuple of arrays."""
    if isinstance(x, (tuple, list)):
        return tuple(shape_of_example(part) for part in x)
    return tuple(np.shape(x)[1:])


def checked_examples(x: Any, in_shape: Any, feature_names: Any, where: str) -> Any:
    """x as arrays fit for the device: floats in the default precision, integers as they are.

    Raises:
        DataError: empty, not numeric, not finite (row and column are named), or of another shape than
            `in_shape`, where that is known.
    """
    if isinstance(x, (tuple, list)) and in_shape is not None and in_shape and isinstance(in_shape[0], tuple):
        if len(x) != len(in_shape):
            raise DataError(f"The network takes {len(in_shape)} inputs, but {where} have {len(x)}.")
        return tuple(checked_examples(part, shape, None, where) for part, shape in zip(x, in_shape, strict=True))
    x = np.asarray(x)
    check_x(x, feature_names=feature_names, where=where)
    if in_shape is not None:
        check_features(x, in_shape)
    return x.astype(_default_float(), copy=False) if x.dtype.kind == "f" else x


def checked_targets(t: Any, x: Any, loss: Any, out_shape: Shape, where: str, *, train: bool) -> np.ndarray:
    """Targets as the loss takes them: integers as int32, values like the network's output.

    Values (batch,) for a network with one output become (batch, 1).

    Raises:
        DataError: missing, of another number than the examples, not finite, out of the range of the
            classes; in training also where one class alone is there.
        ShapeError: they do not fit the network's output.
    """
    if t is None:
        raise DataError(f"There are no targets in {where}: give (x, t).")
    t, first = np.asarray(t), jax.tree.leaves(x)[0]
    task = _task(loss, out_shape) if train else None
    check_data(first, t, task=task, classes=_classes(loss, out_shape) if train else None, where=where)
    if t.dtype.kind == "f":
        t = t.astype(_default_float(), copy=False)
    elif t.dtype.kind in "biu":
        t = t.astype(np.int32)
    if t.ndim == 1 and tuple(out_shape) == (1,):
        t = t[:, None]
    if loss.expects == "values" and t.dtype.kind == "i":
        t = t.astype(_default_float())
    try:
        loss.check_targets(t, out_shape)
    except ShapeError as error:
        raise ShapeError(f"The targets of {where} do not fit outputs of shape {tuple(out_shape)}: {error}") from None
    return t


def checked_weight(weight: Any, x: Any) -> np.ndarray | None:
    """Sample weights as floats, finite, not negative, one for each example at least."""
    if weight is None:
        return None
    weight = np.asarray(weight).astype(_default_float())
    examples = len(jax.tree.leaves(x)[0])
    if weight.ndim == 0 or len(weight) != examples:
        raise DataError(f"There are {examples} examples but sample_weight has shape {weight.shape}.")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError("sample_weight must be finite and not negative.")
    return weight


def padded_batches(x: Any, t: Any, weight: Any, size: int) -> list[Batch]:
    """Batches of one size for measuring, on the device; rows that fill up the last one weigh 0."""
    examples = len(jax.tree.leaves(x)[0])
    size = min(size, examples)
    weight = np.ones(examples, _default_float()) if weight is None else weight

    def cut(array: Any, start: int) -> Any:
        rows = array[start : start + size]
        if len(rows) == size:
            return jax.device_put(rows)
        filling = np.zeros((size - len(rows), *rows.shape[1:]), rows.dtype)
        return jax.device_put(np.concatenate([rows, filling]))

    return [
        (jax.tree.map(lambda a, s=start: cut(a, s), x), cut(t, start), cut(weight, start))
        for start in range(0, examples, size)
    ]


def _default_float() -> np.dtype[Any]:
    return np.dtype(jax.dtypes.canonicalize_dtype(float))


def _task(loss: Any, out_shape: Shape) -> str | None:
    if loss.expects == "values":
        return None
    return "binary" if loss.threshold is not None else "classification"


def _classes(loss: Any, out_shape: Shape) -> int | None:
    return out_shape[-1] if _task(loss, out_shape) == "classification" else None

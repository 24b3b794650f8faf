"""What users give to fit, evaluate and predict, brought to checked arrays."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from denpa.core.errors import DataError, ShapeError
from denpa.core.layer import Layer
from denpa.core.padded import Padded, checked_lengths, silenced, values_of
from denpa.core.shapes import Shape
from denpa.data.checks import check_data, check_features, check_x, unmasked, widened
from denpa.data.counted import counted
from denpa.data.dataset import Dataset, Splits
from denpa.kernels import native, settings
from denpa.networks import Network, Sequential
from denpa.networks.fusion import length_of_row

__all__ = [
    "Batch",
    "checked_examples",
    "checked_targets",
    "checked_weight",
    "columns_of",
    "examples_at_once",
    "filled_batches",
    "held_back",
    "padded_batches",
    "parted",
    "rows_of",
    "shape_of_example",
    "unpacked",
]

Batch = tuple[Any, Any, Any]

_FEWEST_AT_ONCE, _MOST_AT_ONCE = 32, 1024
# How many numbers one layer's output may hold. On a CPU 16 MiB: for every array above 32 MiB glibc asks the system for
# fresh pages, which cost more than the products that fill them.
_NUMBERS_AT_ONCE = {"cpu": 1 << 22}


def unpacked(data: Any) -> Batch:
    """(x, t, sample_weight) of a pair, a triple, or a `Dataset`; the weight may be None.

    Raises:
        DataError: none of these.
    """
    if isinstance(data, Splits):
        raise DataError(
            "Data are one data set, not Splits: give its .train to fit, and .validation or .test to measure."
        )
    if hasattr(data, "x") and hasattr(data, "t"):
        return data.inputs if isinstance(data, Dataset) else data.x, data.t, None
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        return (*data, None) if len(data) == 2 else tuple(data)  # type: ignore[return-value]
    got = f"{len(data)} things" if isinstance(data, (tuple, list)) else type(data).__name__
    raise DataError(f"Data are a pair (x, t), a triple (x, t, sample_weight) or a Dataset, not {got}.")


def shape_of_example(x: Any) -> Any:
    """The shape of one example; a tuple of shapes for a tuple of arrays."""
    if isinstance(x, (tuple, list)):
        return tuple(shape_of_example(part) for part in x)
    return tuple(np.shape(values_of(x))[1:])


def columns_of(x: Any) -> tuple[str, ...] | None:
    """The columns of a data frame, where all have a text for a name."""
    names: tuple[Any, ...] = tuple(getattr(x, "columns", ()))
    return names if names and all(isinstance(name, str) for name in names) else None


def checked_examples(x: Any, in_shape: Any, feature_names: Any, where: str) -> Any:
    """x as arrays fit for the device: floats in the default precision, integers as they are.

    A tuple of arrays is one array for each input of the network; any of them may be `Padded`.

    Raises:
        DataError: empty, not numeric, masked, not finite (row and column are named), of another shape than
            `in_shape`, where that is known, a data frame whose columns are not `feature_names`, or several inputs of
            different lengths.
    """
    if isinstance(x, Padded):
        values = checked_examples(_with_silent_padding(x), in_shape, feature_names, where)
        return Padded(values, np.asarray(checked_lengths(x.lengths, values, where), np.int32))
    together = isinstance(x, tuple) and len(x) > 0 and all(_is_array(part) for part in x)
    one = not together if in_shape is None else not (in_shape and isinstance(in_shape[0], tuple))
    if one and not together:
        columns, x = columns_of(x), _array(x, "x", where)
        check_x(x, feature_names=columns or feature_names, where=where)
        if in_shape is not None:
            check_features(x, in_shape, feature_names=columns, trained_names=feature_names)
        return _for_device(x, "x", where)
    wanted = 1 if one else len(x if in_shape is None else in_shape)
    given = len(x) if together or (isinstance(x, list) and not one) else 1
    if one or given != wanted:
        raise DataError(f"The network takes {wanted} input{'s' * (wanted > 1)}, but {where} hold {given}.")
    shapes = (None,) * given if in_shape is None else in_shape
    parts = tuple(checked_examples(part, shape, None, where) for part, shape in zip(x, shapes, strict=True))
    sizes = [len(values_of(part)) for part in parts]
    if len(set(sizes)) > 1:
        counts = ", ".join(map(str, sizes))
        raise DataError(f"The inputs in {where} have unlike numbers of examples: {counts}. They must be equally many.")
    return parts


def _with_silent_padding(x: Padded) -> Any:
    """The values, with 0 in the place of the padding where that holds NaN or infinity, which nobody reads."""
    values = x.values
    if getattr(values, "dtype", np.dtype(object)).kind != "f" or values.ndim < 2 or np.isfinite(values).all():
        return values
    if np.shape(x.lengths) != (len(values),):
        return values  # refused later
    return silenced(np.asarray(values), np.asarray(x.lengths))


def checked_targets(
    t: Any, x: Any, loss: Any, out_shape: Shape, where: str, *, train: bool, several: bool = True
) -> Any:
    """Targets as the loss takes them: integers as int32, values like the network's output.

    Values (batch,) for a network with one output become (batch, 1).

    Raises:
        DataError: missing, of another number than the examples, not finite, out of the range of the
            classes; in training also where one class alone is there and `several` are wanted.
        ShapeError: they do not fit the network's output.
    """
    if t is None:
        raise DataError(f"There are no targets in {where}: give (x, t).")
    if out_shape and not isinstance(out_shape[0], int):
        many = "a tuple of one array" if len(out_shape) == 1 else f"{len(out_shape)} arrays"
        raise ShapeError(f"The network gives {many}, and a loss compares one: write Graph(x, y) with a single y.")
    if isinstance(t, Padded):
        values = checked_targets(t.values, x, loss, out_shape, where, train=train, several=several)
        return Padded(values, np.asarray(checked_lengths(t.lengths, values, where), np.int32))
    t, first = _array(t, "t", where), jax.tree.leaves(x)[0]
    task = _task(loss) if train else None
    classes = _classes(loss, out_shape) if train else None
    check_data(first, t, task=task, classes=classes, where=where, several=several)
    if t.dtype.kind == "f" or loss.expects == "values":
        t = _as_float(t, "t", where)
    elif t.dtype.kind in "biu":
        t = _as_int32(t, where)
    if t.ndim == 1 and tuple(out_shape) == (1,):
        t = t[:, None]
    try:
        loss.check_targets(t, out_shape)
    except ShapeError as error:
        hint = " Is a Flatten() missing in front of the first dense layer?" * (len(out_shape) == 3 and t.ndim < 3)
        raise ShapeError(
            f"The targets of {where} do not fit outputs of shape {tuple(out_shape)}: {error}{hint}"
        ) from None
    return t


def checked_weight(weight: Any, x: Any) -> np.ndarray | None:
    """Sample weights as floats, finite, not negative, one for each example at least."""
    if weight is None:
        return None
    weight = _array(weight, "sample_weight", "the data")
    if weight.dtype.kind not in "biuf":
        raise DataError(f"sample_weight must hold numbers, not {weight.dtype}.")
    weight = weight.astype(_default_float())
    examples = len(jax.tree.leaves(x)[0])
    if weight.ndim == 0 or len(weight) != examples:
        raise DataError(f"x has {counted(examples, 'example')} but sample_weight has shape {weight.shape}.")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError("sample_weight must be finite and not negative.")
    if not weight.any():
        raise DataError("sample_weight is 0 everywhere: no example would count.")
    return weight


def held_back(
    x: Any, t: Any, task: str | None, fraction: float, seed: int, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on and the rows to hold back, each class in proportion where t holds classes."""
    if t is None:
        raise DataError(f"There are no targets in {where}: give (x, t).")
    padded, t = isinstance(t, Padded), _array(values_of(t), "t", where)
    if padded or (t.dtype.kind == "f" and not (np.isfinite(t).all() and (t == np.floor(t)).all())):
        task = None  # classes of steps, or none, or not even numbers, which is for the checks to say
    rows = Dataset(np.arange(len(jax.tree.leaves(x)[0])), t, task=task)
    rest, held = rows.split(fraction, seed)
    return rest.x, held.x


def rows_of(batch: Batch, rows: np.ndarray) -> Batch:
    """Some rows of all arrays."""
    return jax.tree.map(lambda a: a[rows], batch)


def parted(batch: Batch, rest: np.ndarray, held: np.ndarray) -> tuple[Batch, Batch]:
    """The examples to train on and those held back, in both of which one has a weight at least.

    Raises:
        DataError: all weights of a part are 0, so that it would say that nothing is wrong.
    """
    parts = rows_of(batch, rest), rows_of(batch, held)
    for (_, _, weight), what in zip(parts, ("to train on", "held back for validation"), strict=True):
        if weight is not None and not np.any(weight):
            raise DataError(
                f"sample_weight is 0 for all {counted(len(weight), 'example')} {what}: none of them would count. Leave "
                "examples of weight 0 out, or choose what to hold back."
            )
    return parts


def examples_at_once(net: Network, in_shape: Any, members: int = 1) -> int:
    """How many examples are measured together: a power of two, fewer where some layer's output is large."""
    shapes = jax.tree.leaves(_made(net, in_shape), is_leaf=_is_shape)
    largest = max(math.prod(shape) for shape in shapes) * members
    fitting = max(_NUMBERS_AT_ONCE.get(jax.default_backend(), 1 << 27) // max(largest, 1), _FEWEST_AT_ONCE)
    return 1 << (min(fitting, _MOST_AT_ONCE).bit_length() - 1)


def _made(net: Network, in_shape: Any) -> dict[str, Any]:
    """The shapes at the entrances of the layers, without those that a fused convolution with pooling never makes."""
    shapes = dict(net.shapes(in_shape))
    if isinstance(net, Sequential) and settings.current() != "xla" and native.available():
        layers = net.inner()
        for place in range(len(layers)):
            if length_of_row(layers[place:]) == 3:
                del shapes[layers[place + 1][0]], shapes[layers[place + 2][0]]
    return shapes


def filled_batches(x: Any, most: int) -> list[Any]:
    """Batches of one size for predicting, `most` examples or fewer; the last one is filled up with zeros.

    The size is a power of two (as `most` must be), so that inputs of many sizes need few programs.
    """
    examples = len(jax.tree.leaves(x)[0])
    size = min(most, 1 << (examples - 1).bit_length())
    starts = range(0, examples, size)

    x = jax.tree.map(np.asarray, x)

    def cut(array: np.ndarray, start: int) -> np.ndarray:
        rows = array[start : start + size]
        missing = size - len(rows)
        return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)]) if missing else rows

    return [jax.tree.map(lambda a, s=start: cut(a, s), x) for start in starts]


def padded_batches(net: Any, x: Any, t: Any, weight: Any, size: int) -> list[Batch]:
    """Batches of one size for measuring, on the device; rows that fill up the last one weigh 0.

    The last one stays as it is where a layer has a price on activities, in which filling rows would have their share.
    """
    examples = len(jax.tree.leaves(x)[0])
    size, filled = min(size, examples), not _has_price(net)
    weight = np.ones(examples, _default_float()) if weight is None else weight

    def cut(array: Any, start: int) -> Any:
        rows = array[start : start + size]
        if len(rows) == size or not filled:
            return jax.device_put(rows)
        filling = np.zeros((size - len(rows), *rows.shape[1:]), rows.dtype)
        return jax.device_put(np.concatenate([rows, filling]))

    return [jax.tree.map(lambda a, s=start: cut(a, s), (x, t, weight)) for start in range(0, examples, size)]


def _has_price(layer: Layer) -> bool:
    if layer.inner():
        return any(_has_price(inside) for _, inside in layer.inner())
    cost = type(layer).cost
    return getattr(cost, "__wrapped__", cost) is not Layer.cost  # of a layer of one's own it is wrapped


def _is_shape(part: Any) -> bool:
    return isinstance(part, tuple) and all(isinstance(size, int) for size in part)


def _is_array(part: Any) -> bool:
    return isinstance(part, Padded) or (np.ndim(part) > 0 and hasattr(part, "dtype"))


def _array(a: Any, name: str, where: str) -> np.ndarray:
    return widened(unmasked(a, name, where))


def _as_int32(t: np.ndarray, where: str) -> np.ndarray:
    beyond = t != (narrow := t.astype(np.int32))
    if beyond.any():
        at = np.unravel_index(beyond.argmax(), t.shape)
        raise DataError(f"The label in row {at[0]} of {where} is {t[at]}, which is no class.")
    return narrow


def _for_device(x: np.ndarray, name: str, where: str) -> np.ndarray:
    """Floats in the default precision; integers too large for the device's as floats."""
    if x.dtype.kind == "f":
        return _as_float(x, name, where)
    largest = np.iinfo(jax.dtypes.canonicalize_dtype(int)).max
    if x.dtype.kind in "iu" and x.dtype.itemsize >= 4 and max(int(x.max()), -int(x.min())) > largest:
        return _as_float(x, name, where)
    return x


def _as_float(a: np.ndarray, name: str, where: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        cast = a.astype(_default_float(), copy=False)
    if a.dtype.itemsize > cast.dtype.itemsize and not np.isfinite(cast).all():
        row = int(np.argwhere(~np.isfinite(cast))[0][0])
        raise DataError(
            f"{name} holds a number beyond the range of {cast.dtype} at row {row} in {where}: scale it down."
        )
    return cast


def _default_float() -> np.dtype[Any]:
    return np.dtype(jax.dtypes.canonicalize_dtype(float))


def _task(loss: Any) -> str | None:
    if loss.expects == "values":
        return None
    return "binary" if loss.threshold is not None else "classification"


def _classes(loss: Any, out_shape: Shape) -> int | None:
    # Of one class there is nothing to say: the loss itself refuses a single output.
    return out_shape[-1] if _task(loss) == "classification" and out_shape[-1] > 1 else None

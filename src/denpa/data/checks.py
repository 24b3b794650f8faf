"""What data must satisfy before anything is learned from it; each refusal says where and how to mend it.

Labels are 0-based class indices 0..K-1, or one-hot rows; a text that counts classes from 1 has its class
y at index y-1 here. In binary problems the positive class has target 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data.arguments import as_whole
from denpa.data.counted import counted

__all__ = [
    "check_batch_size",
    "check_data",
    "check_features",
    "check_x",
    "is_one_hot",
    "unmasked",
    "want_numbers",
    "widened",
]

TASKS = ("classification", "binary", "regression")
_CHUNK = 1 << 18
# Kinds of numbers that JAX adds to NumPy's, and those of NumPy's that hold them all.
_SMALL = {
    **dict.fromkeys(("bfloat16", "float8_e4m3fn", "float8_e5m2"), np.float32),
    **dict.fromkeys(("int2", "int4"), np.int8),
    **dict.fromkeys(("uint2", "uint4"), np.uint8),
}


def check_data(
    x: Any,
    t: Any = None,
    *,
    task: str | None = None,
    classes: int | None = None,
    feature_names: Sequence[str] | None = None,
    where: str = "the data",
    several: bool = True,
) -> None:
    """Refuse data that cannot be learned from.

    Args:
        x: examples (n, ...).
        t: targets (n, ...), or None where there are none.
        task: "classification": t holds class indices (n,) or one per step (n, time), or rows (n, K) of
            probabilities that sum to 1, one-hot rows among them. "binary": entries between 0 and 1, one
            per output. "regression": finite numbers. None: only lengths and finiteness are checked.
        classes: K, where it is known; labels must then lie in 0..K-1.
        feature_names: names for the messages, one per column of x.
        where: how the messages call the data: "the validation data".
        several: whether there must be examples of two classes or more, as who begins to learn needs them.

    Raises:
        DataError: no examples; x and t of different lengths; text, dates or objects; NaN or infinity
            (names row and column); labels that are no integers or out of range (names row and value);
            one class only, where `several` are wanted.
    """
    if task is not None and task not in TASKS:
        raise ConfigError(f"Unknown task {task!r}: known tasks: {', '.join(TASKS)}.")
    x = unmasked(x, "x", where)
    check_x(x, feature_names=feature_names, where=where)
    if t is None:
        return
    t = unmasked(t, "t", where)
    want_numbers(t, "t", where)
    if t.ndim == 0 or len(t) != len(x):
        got = "a single number" if t.ndim == 0 else counted(len(t), "target")
        raise DataError(f"x has {counted(len(x), 'example')} but t has {got} in {where}: they must be equally many.")
    _check_finite(t, "t", None, where)
    if task == "classification":
        _check_classes(t, classes, where, several)
    elif task == "binary":
        _check_between_0_and_1(t, where, several)


def check_x(x: np.ndarray, *, feature_names: Sequence[str] | None = None, where: str = "the data") -> None:
    """The part of `check_data` that concerns x alone."""
    want_numbers(x, "x", where)
    if x.ndim == 0:
        raise DataError(f"x is a single number in {where}: it wants a batch axis in front, one entry per example.")
    if x.size == 0:
        what = "no examples" if len(x) == 0 else f"examples of shape {x.shape[1:]}, which hold no numbers"
        raise DataError(f"x has {what} in {where}.")
    _check_finite(x, "x", feature_names, where)


def unmasked(a: Any, name: str, where: str) -> np.ndarray:
    """`a` as an array of NumPy's with its bytes in this machine's order, which JAX wants.

    Raises:
        DataError: rows of unlike length, an array that NumPy cannot read, or masked entries: an array alone would show
            what lies under the mask.
    """
    if np.ma.is_masked(a):
        first = ", ".join(map(str, np.argwhere(np.ma.getmaskarray(a))[0].tolist()))
        raise DataError(
            f"{name} is masked at {first} in {where}: fill such entries, as by {name}.filled(0), or drop them."
        )
    try:
        a = np.asarray(a)
    except ValueError:
        raise DataError(f"{name} has rows of unlike length in {where}: make all rows equally long.") from None
    except (TypeError, RuntimeError) as error:  # a library's own arrays that NumPy cannot read
        raise DataError(f"{name} cannot be read as an array in {where}: {error}") from None
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def widened(a: np.ndarray) -> np.ndarray:
    """Numbers of few bits, which JAX adds to NumPy's, as NumPy's own that hold them all; others as they are."""
    return a.astype(_SMALL[a.dtype.name]) if a.dtype.name in _SMALL else a


def want_numbers(a: Any, name: str, where: str) -> None:
    """Refuse an array of text, dates, complex numbers or objects, by `DataError`."""
    kind = a.dtype.kind
    if kind in "biuf" or a.dtype.name in _SMALL:
        return
    if kind == "O" and a.ndim == 0:
        raise DataError(f"{name} must be an array of numbers in {where}, not {_no_array(a.item(), name)}")
    mend = {
        "U": "turn text into numbers first, by "
        + ("names, t = np.unique(t, return_inverse=True)" if name == "t" else "read_table and TableEncoder"),
        "c": "give real and imaginary part as two features",
        "M": "give dates as numbers, such as days since the first",
        "m": "give durations as numbers, in seconds or days",
    }
    mend["S"] = mend["U"]
    if kind == "O" and all(isinstance(entry, str) for entry in a.flat):
        kind = "U"
    elif kind == "O" and all(isinstance(entry, (int, float, np.number)) for entry in a.flat):
        mend["O"] = f"{name}.astype('float32') makes an array of numbers of it"
    usual = "make all rows equally long and all entries numbers, or read tables with read_table and TableEncoder"
    raise DataError(f"{name} has dtype {a.dtype} in {where}, which is not numeric: {mend.get(kind, usual)}.")


def check_features(
    x: Any,
    in_shape: tuple[int, ...],
    *,
    feature_names: Sequence[str] | None = None,
    trained_names: Sequence[str] | None = None,
) -> None:
    """Refuse examples of another shape, or with other columns, than the network was made for.

    Args:
        x: examples (n, *in_shape).
        in_shape: the shape of ONE example.
        feature_names: the columns of x, where they have names.
        trained_names: the columns that the network was trained on.

    Raises:
        DataError: gives both shapes, and by name the columns that are missing, extra or in another order.
    """
    if feature_names is not None and trained_names is not None and list(feature_names) != list(trained_names):
        missing = [name for name in trained_names if name not in feature_names]
        extra = [name for name in feature_names if name not in trained_names]
        faults = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"not known: {', '.join(extra)}"] * bool(extra)
        raise DataError(
            "The columns are not those of the training data: "
            + ("; ".join(faults) or f"they must come in the order {', '.join(trained_names)}")
            + "."
        )
    got = tuple(np.shape(x)[1:])
    if got != tuple(in_shape):
        if len(got) == len(in_shape) == 1:
            given = counted(got[0], "feature")
            raise DataError(f"Each example has {given}, but the network was made for {in_shape[0]}.")
        hint = " For one example alone give x[None]." if tuple(np.shape(x)) == tuple(in_shape) else ""
        raise DataError(f"Each example has shape {got}, but the network was made for {tuple(in_shape)}.{hint}")


def check_batch_size(batch_size: Any, n: int) -> None:
    """Refuse a batch size that is no positive integer (`ConfigError`) or exceeds the n examples (`DataError`)."""
    if as_whole(batch_size, "batch_size", 1) > n:
        raise DataError(f"batch_size {batch_size} is larger than the {counted(n, 'example')}: choose {n} or less.")


def is_one_hot(t: np.ndarray) -> bool:
    """Whether every row of t (n, K), K >= 2, holds a single 1 among zeros."""
    if t.ndim != 2 or t.shape[1] < 2 or t.dtype.kind not in "biuf":
        return False
    ones = t == 1
    return bool(((t == 0) | ones).all() and (ones.sum(axis=1) == 1).all())


def _no_array(thing: Any, name: str) -> str:
    """What came in place of an array, and how to make one of it."""
    if hasattr(thing, "toarray"):
        return f"a sparse {type(thing).__name__}: give {name}.toarray()."
    got = "None" if thing is None else f"{type(thing).__name__}"
    values = f"{name}.values()" if isinstance(thing, Mapping) else name
    return f"{got}." + (f" Try np.array(list({values}))." if isinstance(thing, Iterable) else "")


def _check_finite(a: np.ndarray, name: str, feature_names: Sequence[str] | None, where: str) -> None:
    if a.dtype.kind in "biu" or a.size == 0:
        return
    step = max(1, _CHUNK * len(a) // a.size)  # rows at a time, so that the flags stay in the cache
    if all(np.isfinite(a[start : start + step]).all() for start in range(0, len(a), step)):
        return
    finite = np.isfinite(a)
    first = tuple(int(i) for i in np.argwhere(~finite)[0])
    value = "NaN" if np.isnan(a[first]) else "infinity"
    row, rest = first[0], first[1:]
    at = f"row {row}"
    if len(rest) == 1:
        at += f", column {rest[0]}"
        if feature_names is not None and rest[0] < len(feature_names):
            at += f" ({feature_names[rest[0]]!r})"
    elif rest:
        at += f", entry {rest}"
    others = int(a.size - finite.sum()) - 1
    more = f" and {others} more such entries" if others > 1 else " and 1 more such entry" if others else ""
    raise DataError(f"{name} holds {value} at {at}{more} in {where}: correct, drop or fill these rows.")


def _check_classes(t: np.ndarray, classes: int | None, where: str, several: bool) -> None:
    if t.dtype.kind not in "biu" and t.ndim >= 2 and t.shape[-1] >= 2:
        _check_probabilities(t, classes, where, several)
        return
    if t.ndim == 2 and t.shape[1] == classes and is_one_hot(t):
        labels = t.argmax(axis=1)
    else:
        labels = _check_labels(t, classes, where)
    if several and (labels == labels.flat[0]).all():
        raise _one_class(labels.flat[0], where)


def _check_labels(t: np.ndarray, classes: int | None, where: str) -> np.ndarray:
    def first(wrong: np.ndarray) -> tuple[str, Any]:
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        return (f"row {at[0]}" if len(at) == 1 else f"row {at[0]}, entry {at[1:]}"), t[at]

    if t.dtype.kind not in "biu":
        wrong = t != np.floor(t)
        if wrong.any():
            row, value = first(wrong)
            raise DataError(
                f"The label in {row} of {where} is {value:g}, not an integer: class labels are 0, 1, 2, ... "
                "For targets on a continuous scale use a regression loss such as MeanSquaredError()."
            )
        raise DataError(f"The labels have dtype {t.dtype} in {where}: make integers of them by t.astype('int32').")
    wrong = t < 0 if classes is None else (t < 0) | (t >= classes)
    if wrong.any():
        row, value = first(wrong)
        span = "0, 1, 2, ..." if classes is None else f"0 to {classes - 1} for {classes} classes"
        hint = " Labels start at 0, not 1." if classes is not None and t.min() == 1 and t.max() == classes else ""
        raise DataError(f"The label in {row} of {where} is {value}, but labels go from {span}.{hint}")
    return t


def _check_probabilities(t: np.ndarray, classes: int | None, where: str, several: bool) -> None:
    if classes is not None and t.shape[-1] != classes:
        raise DataError(f"t has {counted(t.shape[-1], 'column')} in {where}, but there are {classes} classes.")
    rows = t.reshape(-1, t.shape[-1])
    total = rows.sum(axis=1, dtype=np.float64)
    wrong = (np.abs(total - 1) > 1e-3) | (rows < 0).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"Row {row} of t in {where} is no one-hot row and no row of probabilities: "
            f"its smallest entry is {rows[row].min():g} and its sum is {total[row]:g}, not 1."
        )
    if several and (rows == rows[0]).all() and is_one_hot(rows[:1]):
        raise _one_class(rows[0].argmax(), where)


def _check_between_0_and_1(t: np.ndarray, where: str, several: bool) -> None:
    wrong = (t < 0) | (t > 1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        hint = " Of targets -1 and 1, (t + 1) / 2 makes them." if np.isin(t, (-1, 1)).all() else ""
        raise DataError(
            f"The target in row {at[0]} of {where} is {t[at]:g}, but targets of units that say yes or no lie "
            f"between 0 (no) and 1 (yes).{hint}"
        )
    if several and (t == t.flat[0]).all() and t.flat[0] in (0, 1):
        raise _one_class(t.flat[0], where)


def _one_class(label: Any, where: str) -> DataError:
    return DataError(
        f"t holds one class only in {where}: the label is {int(label)} everywhere. "
        "A classifier needs examples of two classes or more."
    )

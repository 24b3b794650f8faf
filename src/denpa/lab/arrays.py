"""Arrays in NumPy's files: .npz with x and t to learn from, .npy or .npz with x to predict from; padded sequences."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError, nearest
from denpa.core.padded import Padded
from denpa.data.dataset import Dataset, Splits
from denpa.data.labels import encode_labels

__all__ = ["read_npz", "read_x"]

_NAMES = ("x", "t", "lengths", "x_test", "t_test", "lengths_test")


def read_npz(path: str | Path, task: str | None = None) -> Dataset | Splits:
    """Examples x and targets t of an .npz, with x_test and t_test where they are there.

    Integers, truth values and texts (n,) are classes, other targets values, unless `task` says otherwise; a
    reconstruction needs no targets. With lengths (and lengths_test) x holds padded sequences.

    Raises:
        DataError: no such file, no arrays of these names or others besides, arrays of different lengths.
        FileFormatError: a damaged file, or one that holds Python objects.
    """
    arrays = _arrays(path)
    aimless = task == "reconstruction" and "x" in arrays and "t" not in arrays
    task = None if task == "reconstruction" else task
    if "x" not in arrays or ("t" not in arrays and not aimless):
        names = ", ".join(arrays) or "none"
        raise DataError(f"{path} must hold arrays x (examples) and t (targets); it holds: {names}.")
    _refuse_strangers(path, arrays)
    tests = _tests(path, arrays)
    labels = arrays.get("t")
    known = None
    if labels is not None and labels.dtype.kind == "U" and labels.ndim == 1:
        known = encode_labels(labels)[1]
    train = _dataset(path, arrays, "", task, known)
    return Splits(train, _dataset(f"the test part of {path}", arrays, "_test", task, known)) if tests else train


def read_x(path: str | Path) -> Any:
    """The examples of an .npy, or x of an .npz, `Padded` where it holds lengths; errors as for `read_npz`."""
    if Path(path).suffix.lower() == ".npy":
        return _loaded(path)
    arrays = _arrays(path)
    if "x" not in arrays:
        raise DataError(f"{path} must hold an array x; it holds: {', '.join(arrays) or 'none'}.")
    _refuse_strangers(path, arrays)
    return Padded(arrays["x"], arrays["lengths"]) if "lengths" in arrays else arrays["x"]


def _refuse_strangers(path: Any, arrays: dict[str, np.ndarray]) -> None:
    for name in arrays:
        if name not in _NAMES:
            raise DataError(
                f"{path} holds an array {name!r}, which nobody would read: {nearest(name, _NAMES, plural='names')}"
            )


def _tests(path: Any, arrays: dict[str, np.ndarray]) -> bool:
    """Whether the file has a test part: then of the same arrays as the training part."""
    given = [name for name in arrays if name.endswith("_test")]
    wanted = [f"{name}_test" for name in ("x", "t", "lengths") if name in arrays]
    if not given or set(given) == set(wanted):
        return bool(given)
    missing, extra = ([name for name in a if name not in b] for a, b in ((wanted, given), (given, wanted)))
    fault = f"no {missing[0]}" if missing else f"no {extra[0].removesuffix('_test')}"
    raise DataError(
        f"{path} holds {(extra if not missing else given)[0]} but {fault}: the test part has the same arrays."
    )


def _dataset(
    name: Any, arrays: dict[str, np.ndarray], part: str, task: str | None, known: tuple[str, ...] | None
) -> Dataset:
    if task not in (None, "classification", "regression"):
        raise ConfigError(f"data.task must be 'classification' or 'regression', not {task!r}.")
    x, t, lengths = arrays[f"x{part}"], arrays.get(f"t{part}"), arrays.get(f"lengths{part}")
    if t is None:
        return Dataset(x, name=str(name), lengths=lengths)
    if known is not None:
        place = {label: index for index, label in enumerate(known)}
        if strange := sorted({str(label) for label in t} - set(place)):
            raise DataError(f"{name} holds the class {strange[0]!r}, which the training examples do not have.")
        t = np.array([place[str(label)] for label in t], np.int32)
    if task is None:
        task = "classification" if t.dtype.kind in "biu" and t.ndim == 1 else "regression"
    whole = t.dtype.kind == "b" or (t.dtype.kind == "f" and np.array_equal(t, np.floor(t)))
    if task == "classification" and t.ndim == 1 and whole:
        t = t.astype(np.int32)
    if task == "regression" and t.ndim == 1:
        t = t[:, None]
    return Dataset(x, t, task, known, name=str(name), lengths=lengths)


def _arrays(path: str | Path) -> dict[str, np.ndarray]:
    found = _loaded(path)
    if isinstance(found, np.ndarray):
        raise DataError(f"{path} holds one array; give an .npz that holds x and t: np.savez(path, x=x, t=t).")
    return found


def _loaded(path: str | Path) -> Any:
    """The array of an .npy, or the arrays of an .npz by name."""
    if not Path(path).is_file():
        raise DataError(f"{path} cannot be read: there is no such file.")
    try:
        with open(path, "rb") as file:  # NumPy leaves a damaged archive open when it is given the path
            found = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from None


def _damaged(path: str | Path, error: Exception) -> FileFormatError:
    if "allow_pickle" in str(error) or "pickled" in str(error):
        return FileFormatError(f"{path} is no NumPy file, or holds Python objects, which are not read: save numbers.")
    return FileFormatError(f"{path} is damaged, cut off, or no NumPy file: {error}.")

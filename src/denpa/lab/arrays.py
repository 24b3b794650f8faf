"""Arrays in NumPy's files: .npz with x and t to learn from, .npy or .npz with x to predict from."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.dataset import Dataset, Splits
from denpa.data.labels import encode_labels

__all__ = ["read_npz", "read_x"]


def read_npz(path: str | Path, task: str | None = None) -> Dataset | Splits:
    """Examples x and targets t of an .npz, with x_test and t_test where they are there.

    Integers and texts (n,) are classes, other targets values, unless `task` says otherwise; a reconstruction needs
    no targets.

    Raises:
        DataError: no such file, no arrays of these names, arrays of different lengths.
        FileFormatError: a damaged file, or one that holds Python objects.
    """
    arrays = _arrays(path)
    if task == "reconstruction":
        task = None
        if "x" in arrays and "t" not in arrays:
            return Dataset(arrays["x"], name=str(path))
    if "x" not in arrays or "t" not in arrays:
        names = ", ".join(arrays) or "none"
        raise DataError(f"{path} must hold arrays x (examples) and t (targets); it holds: {names}.")
    known = encode_labels(arrays["t"])[1] if arrays["t"].dtype.kind == "U" and arrays["t"].ndim == 1 else None
    train = _dataset(path, arrays["x"], arrays["t"], task, known)
    if "x_test" not in arrays or "t_test" not in arrays:
        return train
    return Splits(train, _dataset(f"the test part of {path}", arrays["x_test"], arrays["t_test"], task, known))


def read_x(path: str | Path) -> np.ndarray:
    """The examples of an .npy, or x of an .npz; errors as for `read_npz`."""
    if Path(path).suffix.lower() == ".npy":
        return _loaded(path)
    arrays = _arrays(path)
    if "x" not in arrays:
        raise DataError(f"{path} must hold an array x; it holds: {', '.join(arrays) or 'none'}.")
    return arrays["x"]


def _dataset(name: Any, x: np.ndarray, t: np.ndarray, task: str | None, known: tuple[str, ...] | None) -> Dataset:
    if task not in (None, "classification", "regression"):
        raise ConfigError(f"data.task must be 'classification' or 'regression', not {task!r}.")
    if known is not None:
        place = {label: index for index, label in enumerate(known)}
        if strange := sorted({str(label) for label in t} - set(place)):
            raise DataError(f"{name} holds the class {strange[0]!r}, which the training examples do not have.")
        t = np.array([place[str(label)] for label in t], np.int32)
    if task is None:
        task = "classification" if t.dtype.kind in "biu" and t.ndim == 1 else "regression"
    if task == "classification" and t.ndim == 1 and t.dtype.kind == "f" and np.array_equal(t, np.floor(t)):
        t = t.astype(np.int32)
    if task == "regression" and t.ndim == 1:
        t = t[:, None]
    return Dataset(x, t, task, known, name=str(name))


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

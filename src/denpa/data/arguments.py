"""Single arguments, checked and brought to one form: numbers, truth values, what names a file or several texts."""

from __future__ import annotations

import math
import numbers
import os
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError

__all__ = ["as_flag", "as_number", "as_path", "as_texts", "as_whole"]


def as_flag(value: Any, name: str) -> bool:
    """A truth value; a `ConfigError` for anything else, lest "no" be taken for true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(f"{name} must be true or false, not {value!r}.")
    return bool(value)


def as_whole(value: Any, name: str, least: int, most: int | None = None) -> int:
    """An integer, Python's or NumPy's, as Python's; a `ConfigError` for anything else, and outside of least..most."""
    found = int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else None
    if found is None or found < least or (most is not None and found > most):
        span = f", {least} or more" if most is None else f" from {least} to {most:,}"
        raise ConfigError(f"{name} must be a whole number{span}, not {value!r}.")
    return found


def as_number(value: Any, name: str, least: float = 0.0) -> float:
    """A finite real number, Python's or NumPy's, as Python's; a `ConfigError` for anything else, and below `least`."""
    try:
        found = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:  # of an integer beyond all floats
        found = math.inf
    if not math.isfinite(found) or found < least:
        span = f", {least:g} or more" if math.isfinite(least) else ""
        raise ConfigError(f"{name} must be a number{span}, not {value!r}.")
    return found


def as_path(path: Any) -> Path:
    """A text or a path as a path; a `ConfigError` for anything else."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ConfigError(f"A file is named by a text or a path, such as 'model.safetensors', not {path!r}.")
    return Path(path)


def as_texts(texts: Any, name: str) -> tuple[str, ...]:
    """Several texts as a tuple, one alone as one of them; a `ConfigError` for anything else."""
    one = isinstance(texts, str) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) == 0
    found: tuple[Any, ...] = (texts,) if one else tuple(texts)
    if not all(isinstance(text, str) for text in found):
        raise ConfigError(f"{name} must be a list of texts, not {reprlib.repr(texts)}.")
    return found

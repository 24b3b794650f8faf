"""What names a file or several texts, brought to one form; truth values."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError

__all__ = ["as_flag", "as_path", "as_texts"]


def as_flag(value: Any, name: str) -> bool:
    """A truth value; a `ConfigError` for anything else, lest "no" be taken for true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(f"{name} must be true or false, not {value!r}.")
    return bool(value)


def as_path(path: Any) -> Path:
    """A text or a path as a path; a `ConfigError` for anything else."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ConfigError(f"A file is named by a text or a path, such as 'model.safetensors', not {path!r}.")
    return Path(path)


def as_texts(texts: Any, name: str) -> tuple[str, ...]:
    """Several texts as a tuple, one alone as one of them; a `ConfigError` for anything else."""
    found = (texts,) if isinstance(texts, str) or not isinstance(texts, Iterable) else tuple(texts)
    if not all(isinstance(text, str) for text in found):
        raise ConfigError(f"{name} must be a list of texts, not {texts!r}.")
    return found

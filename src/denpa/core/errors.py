"""Every error that denpa raises on purpose, so that a program can catch them by kind."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DataError",
    "DenpaError",
    "DivergenceError",
    "FileFormatError",
    "ShapeError",
    "StorageError",
    "nearest",
]


class DenpaError(Exception):
    """Base of all errors that denpa raises on purpose; the message says how to mend it."""

    def __init__(self, message: str = "") -> None:
        # An array where a number belongs has too many to be shown.
        super().__init__(re.sub(r"[-+\d.eE,()[\]\s]{200,}", lambda run: f"{run[0][:80]} ... {run[0][-20:]}", message))


class ShapeError(DenpaError, ValueError):
    """An array has another rank or size than a layer, loss or metric wants."""


class DataError(DenpaError, ValueError):
    """Data that cannot be learned from: empty, not finite, wrong columns, labels out of range."""


class ConfigError(DenpaError, ValueError):
    """A description, option or file of options that names something unknown or impossible."""


class FileFormatError(DenpaError, ValueError):
    """A file that is damaged, truncated, or not of the kind that was asked for."""


class StorageError(DenpaError, OSError):
    """A file or folder that cannot be written: it exists already, the disk is full, no permission."""


class DivergenceError(DenpaError, FloatingPointError):
    """Training met a number that is not finite; the last good state is kept."""


# What other libraries call it.
_ALSO = {"dim": "axis", "embedding_dim": "units", "eps": "epsilon", "hidden_size": "units", "lr": "learning_rate"}
_ALSO |= {"num_embeddings": "vocabulary", "out_channels": "filters", "out_features": "units", "p": "rate"}


def nearest(word: str, known: Iterable[str], *, plural: str) -> str:
    """The tail of an error message about an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    if (meant := _ALSO.get(str(word))) in known:
        return f"did you mean {meant!r}?"
    folded = {name.lower(): name for name in reversed(known)}
    if close := difflib.get_close_matches(str(word).lower(), folded, n=1, cutoff=0.6):
        return f"did you mean {folded[close[0]]!r}?"
    if len(str(word)) > 2 and (longer := [name for name in known if str(word).lower() in name.lower()]):
        return f"did you mean {' or '.join(map(repr, longer))}?"
    return f"known {plural}: {', '.join(known)}."

"""Which rows are held out: chosen by a seed alone, the same on every machine."""

from __future__ import annotations

import numbers
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data.arguments import as_whole
from denpa.data.counted import counted

__all__ = ["in_order", "k_fold_indices", "permutation", "split_indices"]


def permutation(n: int, seed: int) -> np.ndarray:
    """A random order of 0..n-1.

    Made of raw generator output, whose stream NumPy guarantees for ever (NEP 19); that of
    `Generator.permutation` may change between versions, and with it every published split. The stream is one
    of its own: data drawn by `default_rng(seed)` must not be divided by the very numbers they are made of.
    """
    stream = np.random.SeedSequence([as_whole(seed, "seed", 0), zlib.crc32(b"denpa split")])
    return np.argsort(np.random.PCG64(stream).random_raw(n), kind="stable")


def in_order(n: int, test: float, validation: float) -> tuple[slice, slice, slice]:
    """Training, validation and test part of a sequence, which must not be shuffled: one after the other.

    The test part is the last round(test · n); the validation part, round(validation · rest), comes before it.

    Raises:
        ConfigError: a part that is not from 0 to below 1.
    """
    for part in (test, validation):
        if isinstance(part, bool) or not isinstance(part, numbers.Real) or not 0 <= part < 1:
            raise ConfigError(f"The part to hold back must lie from 0 to below 1, not be {part!r}.")
    end = n - round(test * n)
    middle = end - round(validation * end)
    return slice(0, middle), slice(middle, end), slice(end, n)


def split_indices(
    n: int,
    fraction: float,
    seed: int,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that stay and the rows that are held out, both ascending.

    Args:
        n: number of rows.
        fraction: the part to hold out, 0 < fraction < 1.
        seed: chooses the rows.
        labels: (n,) classes to hold out evenly: fraction * n_k of class k, rounded so that the sum is the
            rounded fraction * n (largest remainders first), and between 1 and n_k - 1.
        class_names: names of the classes 0, 1, 2, ... for messages.

    Raises:
        ConfigError: a fraction that is not between 0 and 1.
        DataError: fewer than two rows, or a class with a single row.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise ConfigError(f"The fraction to hold out must lie between 0 and 1, not be {fraction!r}.")
    if n < 2:
        raise DataError(
            f"Cannot split {n} example{'s' * (n != 1)}: both parts need at least one. Add examples, or hold none back."
        )
    order = permutation(n, seed)
    if labels is None:
        held_out = np.zeros(n, bool)
        held_out[order[: _between(round(fraction * n), 1, n - 1)]] = True
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        label = classes[int(counts.argmin())]
        raise DataError(
            f"Class {_named(label, class_names)} has one example only: both parts of a split need one. Add examples, "
            "leave this class out, or split with stratify=False."
        )
    grouped = order[np.argsort(codes[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    rank = np.arange(n) - np.repeat(starts, counts)
    held_out = np.zeros(n, bool)
    held_out[grouped[rank < np.repeat(_allocate(counts, fraction), counts)]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def k_fold_indices(
    n: int,
    folds: int,
    seed: int = 0,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of k folds the rows that stay and the rows that are held out, both ascending.

    Every row is held out once. The folds have the same size, and hold the same number of each class, to
    within one row.

    Args:
        n: number of rows.
        folds: k, from 2 to n.
        seed: draws the folds.
        labels: (n,) classes to spread evenly.
        class_names: names of the classes 0, 1, 2, ... for messages.

    Raises:
        ConfigError: fewer than two folds.
        DataError: fewer rows than folds, or a class with a single row, which the fold that holds it out
            would not know.
    """
    if n < as_whole(folds, "folds", 2):
        raise DataError(f"Cannot make {folds} folds of {counted(n, 'example')}: each fold needs at least one.")
    order = permutation(n, seed)
    if labels is not None:
        classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if counts.min() < 2:
            label = classes[int(counts.argmin())]
            raise DataError(
                f"Class {_named(label, class_names)} has one example only: the fold that holds it out would be "
                "trained without the class. Add examples, leave the class out, or do without stratification."
            )
        order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(n, int)
    fold[order] = np.arange(n) % folds  # dealt out like cards, one class after another
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def _allocate(counts: np.ndarray, fraction: float) -> np.ndarray:
    exact = fraction * counts
    held = np.floor(exact).astype(int)
    missing = round(fraction * int(counts.sum())) - int(held.sum())
    held[np.argsort(held - exact, kind="stable")[:missing]] += 1
    return np.clip(held, 1, counts - 1)


def _between(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _named(label: Any, class_names: Sequence[str] | None) -> str:
    if class_names is not None and isinstance(label, np.integer) and 0 <= label < len(class_names):
        return f"{label} ({class_names[int(label)]!r})"
    return str(label)

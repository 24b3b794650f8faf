"""Pairs of sequences: what a sequence-to-sequence model reads, and what it is to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.errors import DataError
from denpa.data.counted import counted
from denpa.data.splitting import split_indices

__all__ = ["PairSplits", "Pairs"]


@dataclass(frozen=True)
class Pairs:
    """Texts and their answers, one by one. `sources, targets = pairs` unpacks it.

    Args:
        sources: the texts to read.
        targets: the answer to each.
        name: what they are called in messages.

    Raises:
        DataError: none at all, or not one target for each source.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    name: str = "pairs"

    def __post_init__(self) -> None:
        for side in ("sources", "targets"):
            texts = getattr(self, side)
            if isinstance(texts, str) or not isinstance(texts, Iterable):
                raise DataError(f"{self.name}: {side} are texts, one for each pair, not {texts!r}.")
            object.__setattr__(self, side, tuple(texts))
        if len(self.sources) != len(self.targets):
            sources, targets = counted(len(self.sources), "source"), counted(len(self.targets), "target")
            raise DataError(f"{self.name}: {sources} but {targets}.")
        if not self.sources:
            raise DataError(f"{self.name}: there is no pair.")

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter((self.sources, self.targets))

    def __len__(self) -> int:
        return len(self.sources)

    def __repr__(self) -> str:
        return f"<Pairs {self.name!r}, {len(self):,}: {self.sources[0]!r} -> {self.targets[0]!r}, ...>"

    def __getitem__(self, rows: Any) -> Pairs:
        """The pairs of a slice, or of an array of indices."""
        if isinstance(rows, slice):
            return Pairs(self.sources[rows], self.targets[rows], self.name)
        found = np.asarray(rows).reshape(-1)
        return Pairs(tuple(self.sources[i] for i in found), tuple(self.targets[i] for i in found), self.name)

    def split(self, fraction: float, seed: int = 0) -> tuple[Pairs, Pairs]:
        """Two sets without a common row, both in the order of the rows: `rest, held_out = pairs.split(0.1)`.

        Raises:
            DataError: too few pairs.
            ConfigError: a fraction outside 0..1.
        """
        rest, held_out = split_indices(len(self), fraction, seed, None, None)
        return self[rest], self[held_out]

    def content_hash(self) -> str:
        """SHA-256 of all texts, in hexadecimal."""
        digest = hashlib.sha256()
        for text in (*self.sources, *self.targets):
            digest.update(f"{len(text)}:{text};".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class PairSplits:
    """Pairs for training, for the final test, and for choosing between models. `train, test = splits` unpacks it."""

    train: Pairs
    test: Pairs
    validation: Pairs | None = None

    def __iter__(self) -> Iterator[Pairs]:
        return iter((self.train, self.test))

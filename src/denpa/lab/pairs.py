"""Pairs of texts as the data of a run: read, divided, turned into tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denpa.core.errors import ConfigError
from denpa.core.padded import Padded
from denpa.data import datasets
from denpa.data.pair_encoder import PairEncoder
from denpa.data.pairs import Pairs, PairSplits
from denpa.data.parallel import read_parallel
from denpa.lab.configs import DataConfig, check_options
from denpa.lab.prepared import Look, Prepared

__all__ = ["PreparedPairs", "Sequences", "load_pairs"]

_TEST_PART = 0.1
# A word seen once is learned by nobody; translations have many good beginnings.
_FOR_WORDS = {"minimum_count": 2, "beam": 5, "length_penalty": 1.0}
_OPTIONS = ("level", "reverse", "minimum_count", "beam", "length_penalty", "n", "seed")


@dataclass(frozen=True, eq=False)
class Sequences:
    """Pairs as arrays: `x` = (source, shifted), `t` the target, all `Padded`, in the order of `pairs`."""

    pairs: Pairs
    x: tuple[Padded, Padded]
    t: Padded
    name: str
    task: str = "pairs"

    @classmethod
    def of(cls, encoder: PairEncoder, pairs: Pairs, name: str) -> Sequences:
        """The arrays of some pairs."""
        return cls(pairs, *encoder.encode(pairs), name)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def inputs(self) -> tuple[Padded, Padded]:
        """What a network reads: x, as of a `Dataset`."""
        return self.x

    def __getitem__(self, rows: Any) -> Sequences:
        """Some of the pairs."""
        x, t = (tuple(_rows(part, rows) for part in self.x), _rows(self.t, rows))
        return Sequences(self.pairs[rows], (x[0], x[1]), t, self.name)


@dataclass(frozen=True, eq=False)
class PreparedPairs(Prepared):
    """Pairs ready for a run; `encoder` turns texts into arrays and back."""

    def content_hash(self) -> str:
        """SHA-256 of the texts of all parts."""
        digest = hashlib.sha256()
        for part in (self.train, self.test, self.validation):
            digest.update(b"-" if part is None else part.pairs.content_hash().encode())  # type: ignore[attr-defined]
        return digest.hexdigest()

    @property
    def look(self) -> Look:
        """What a preset may know."""
        coder: Any = self.encoder
        shape: Any = ((coder.source_length,), (coder.target_length,))
        return Look(
            "pairs",
            shape,
            len(coder.target),
            len(self.train),
            target_shape=(coder.target_length - 1,),
            words=len(coder.source),
        )


def load_pairs(config: DataConfig) -> Prepared:
    """Read, divide and number the pairs of a data set by name, or of two files line by line.

    Raises:
        ConfigError: another data set, an unknown option, a file without its counterpart.
        DataError, FileFormatError: files that cannot be read, or of unlike length; the line is named.
    """
    options = check_options(config.source, dict(config.options), _OPTIONS)
    drawn = {name: options.pop(name) for name in ("n", "seed") if name in options}
    train, validation, test = _parts(config, drawn)
    level = options.pop("level", "character" if config.source in ("addition", "dates") else "word")
    others = [part for part in (validation, test) if part is not None]
    encoder = PairEncoder.of(train, level, others=others, **(_FOR_WORDS if level == "word" else {}) | options)
    parts = [
        None if part is None else Sequences.of(encoder, part, f"{config.source} {name}")
        for name, part in (("train", train), ("validation", validation), ("test", test))
    ]
    return PreparedPairs(*parts, encoder=encoder, task="pairs")  # type: ignore[arg-type]


def _parts(config: DataConfig, drawn: dict[str, Any]) -> tuple[Pairs, Pairs | None, Pairs | None]:
    """Pairs for training, validation and the test."""
    found = _found(config, drawn)
    if isinstance(found, PairSplits):
        if config.test is not None:
            raise ConfigError(f"{config.source} brings its own test part: leave data.test out.")
        if config.validation == 0 or found.validation is not None:
            return found.train, found.validation, found.test
        train, test = found.train, found.test
    else:
        part = _TEST_PART if config.test is None else config.test
        train, test = found.split(part, config.seed) if part else (found, None)
    if config.validation:
        return *train.split(config.validation, config.seed), test
    return train, None, test


def _found(config: DataConfig, drawn: dict[str, Any]) -> Pairs | PairSplits:
    if config.source in datasets.names():
        found = datasets.load(config.source, **drawn)
        if not isinstance(found, (Pairs, PairSplits)):
            raise ConfigError(f"The data set {config.source!r} holds no pairs of texts: addition, dates and enja do.")
        return _bare(found) if config.source in ("addition", "dates") else found
    if drawn:
        raise ConfigError(f"data.options: {', '.join(drawn)} are for drawn pairs, but {config.source} is read.")
    if not isinstance(config.target, str):
        raise ConfigError(f"Whose answers? Line by line in a second file: --data {config.source} --target FILE.")
    return read_parallel(Path(config.source), Path(config.target))


def _bare(pairs: Any) -> Pairs:
    """Without the blanks and signs that fill fixed forms: lengths and a start token say the same."""
    sources = tuple(text.rstrip() for text in pairs.sources)
    return Pairs(sources, tuple(text.removeprefix("_").rstrip() for text in pairs.targets), pairs.name)


def _rows(part: Padded, rows: Any) -> Padded:
    return Padded(part.values[rows], part.lengths[rows])

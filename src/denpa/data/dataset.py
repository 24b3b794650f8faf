"""A data set: examples, their targets, and what is known about them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.core.padded import Padded, checked_lengths, silenced
from denpa.data.checks import is_one_hot, unmasked
from denpa.data.counted import counted
from denpa.data.splitting import k_fold_indices, permutation, split_indices

__all__ = ["Dataset", "Splits"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples x and targets t, one row each. `x, t = dataset` unpacks it.

    Args:
        x: examples (n, ...).
        t: class indices (n,), values (n, k), or None.
        task: "classification", "regression", or None where it is not known.
        class_names: the name of every class, by class index.
        feature_names: the name of every column of x (n, d).
        name: what the data are called in messages and reports.
        description: what they are and where they come from.
        licence: under which terms they may be used.
        lengths: (n,), of sequences x (n, time, ...) of unlike length: how many steps of each are true. What stands
            behind them is padding, and 0 here. `inputs`, and with it `x, t = dataset`, gives x as `Padded` then.

    Raises:
        DataError: x without a batch axis, x and t of different lengths, lengths that cannot be.
        ConfigError: an unknown task.
    """

    x: np.ndarray
    t: np.ndarray | None = None
    task: str | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    name: str = ""
    description: str = ""
    licence: str = ""
    lengths: np.ndarray | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        where = self.name or "the data"
        put(self, "x", unmasked(self.x, "x", where))
        put(self, "t", None if self.t is None else unmasked(self.t, "t", where))
        for field in ("class_names", "feature_names"):
            names = getattr(self, field)
            if names is not None and (isinstance(names, str) or not isinstance(names, Iterable)):
                raise ConfigError(f"Dataset.{field} must be a list of names, not {names!r}.")
            put(self, field, None if names is None else tuple(str(name) for name in names))
        if self.task not in ("classification", "regression", None):
            raise ConfigError(f"Dataset.task must be 'classification', 'regression' or None, not {self.task!r}.")
        if self.x.ndim == 0:
            raise DataError("x must have a batch axis in front: one row per example.")
        if self.t is not None and (self.t.ndim == 0 or len(self.t) != len(self.x)):
            targets = "a single number" if self.t.ndim == 0 else counted(len(self.t), "target")
            raise DataError(f"x has {counted(len(self.x), 'example')} but t has {targets}: they must be equally many.")
        if self.lengths is not None:
            put(self, "lengths", np.asarray(checked_lengths(self.lengths, self.x, where), np.int32))
            if (self.lengths < self.x.shape[1]).any():
                put(self, "x", silenced(self.x, self.lengths))
        columns = self.x.shape[1] if self.x.ndim == 2 else None
        if self.feature_names is not None and columns is not None and len(self.feature_names) != columns:
            names = counted(len(self.feature_names), "feature name")
            raise DataError(f"x has {counted(columns, 'column')} but {names}: they must be equally many.")

    def __iter__(self) -> Iterator[Any]:
        return iter((self.inputs, self.t))

    @property
    def inputs(self) -> Any:
        """What a network reads: x, as `Padded` where there are lengths."""
        return self.x if self.lengths is None else Padded(self.x, self.lengths)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, indices: Any) -> Dataset:
        """The data set of these rows: a slice, an array of indices, or a boolean mask. An index gives one row."""
        if isinstance(indices, (int, np.integer)):
            indices = [indices]
        elif isinstance(indices, tuple):
            raise DataError("A data set is indexed by rows alone; to choose columns, index dataset.x.")
        elif not isinstance(indices, slice):
            indices = np.asarray(indices)
        x, t, lengths = (None if array is None else array[indices] for array in (self.x, self.t, self.lengths))
        return dataclasses.replace(self, x=x, t=t, lengths=lengths)

    def __repr__(self) -> str:
        parts = [repr(self.name)] if self.name else []
        parts.append(f"x={self.x.shape} {self.x.dtype}")
        if self.t is not None:
            parts.append(f"t={self.t.shape} {self.t.dtype}")
        if self.task:
            parts.append(self.task)
        return f"<Dataset {', '.join(parts)}>"

    def split(self, fraction: float, seed: int = 0, stratify: bool | None = None) -> tuple[Dataset, Dataset]:
        """Two data sets without a common row: `rest, held_out = dataset.split(0.2)`.

        Both keep the order of the rows. The same seed gives the same split on every machine and with every
        version of NumPy; NumPy's global generator is neither read nor advanced.

        Args:
            fraction: the part to hold out, between 0 and 1.
            seed: chooses which rows.
            stratify: hold out the same fraction of every class, to within one example, and leave every
                class at least one example on both sides. None does so for classification.

        Raises:
            DataError: too few examples, or a class with a single one.
            ConfigError: a fraction outside 0..1, or `stratify=True` without class labels.
        """
        rest, held_out = split_indices(len(self), fraction, seed, self._strata(stratify), self.class_names)
        return self[rest], self[held_out]

    def folds(self, folds: int, seed: int = 0, stratify: bool | None = None) -> list[tuple[Dataset, Dataset]]:
        """For each of k folds `rest, held_out`; every row is held out once. Options as for `split`.

        Raises:
            DataError: fewer examples than folds, or a class with a single one.
            ConfigError: fewer than two folds, or `stratify=True` without class labels.
        """
        parts = k_fold_indices(len(self), folds, seed, self._strata(stratify), self.class_names)
        return [(self[rest], self[held_out]) for rest, held_out in parts]

    def take(self, n: int, seed: int = 0) -> Dataset:
        """n examples chosen at random without repetition, in the order of the rows; a `DataError` for more."""
        if not isinstance(n, (int, np.integer)) or not 1 <= n <= len(self):
            raise DataError(f"Cannot take {n} of {counted(len(self), 'example')}.")
        return self[np.sort(permutation(len(self), seed)[:n])]

    def content_hash(self) -> str:
        """SHA-256 of the arrays (values, shapes, dtypes; byte order of no account), in hexadecimal."""
        digest = hashlib.sha256()
        for array in (self.x, self.t, *(() if self.lengths is None else (self.lengths,))):
            if array is None:
                digest.update(b"none;")
                continue
            if array.dtype.kind == "O":
                raise DataError("Arrays of Python objects have no content hash: make numbers of them first.")
            plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            digest.update(f"{plain.dtype.name}{array.shape};".encode())
            digest.update(plain.view(np.uint8).data if plain.size else b"")
        return digest.hexdigest()

    def _strata(self, stratify: bool | None) -> np.ndarray | None:
        labels = self._labels() if stratify or (stratify is None and self.task == "classification") else None
        if stratify and labels is None:
            raise ConfigError("stratify=True wants class labels: t of shape (n,) or one-hot (n, K).")
        return labels

    def _labels(self) -> np.ndarray | None:
        if self.t is None:
            return None
        if self.t.ndim == 1 or self.t.shape[1:] == (1,):
            return self.t.reshape(-1)
        return self.t.argmax(axis=1) if is_one_hot(self.t) else None


@dataclass(frozen=True)
class Splits:
    """Data sets of one origin for training, for the final test, and for choosing between models.

    `train, test = splits` unpacks it; `validation` is None where none was set aside, and comes from
    `train.split`.
    """

    train: Dataset
    test: Dataset
    validation: Dataset | None = None

    def __iter__(self) -> Iterator[Dataset]:
        return iter((self.train, self.test))

    def content_hash(self) -> str:
        """SHA-256 of the content hashes of the parts."""
        parts: Sequence[Dataset | None] = (self.train, self.test, self.validation)
        return hashlib.sha256(";".join(p.content_hash() if p else "none" for p in parts).encode()).hexdigest()

"""Data ready for a run, and what a preset may know of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from denpa.core.errors import DataError
from denpa.data.dataset import Dataset, Splits
from denpa.data.encoder import TableEncoder
from denpa.data.text_encoder import TextEncoder
from denpa.data.vocabulary import Vocabulary
from denpa.lab.experiment import DataConfig

__all__ = ["Look", "Prepared", "aimed", "its_own_target"]


@dataclass(frozen=True)
class Look:
    """What the data look like: all that a preset may know of them.

    Args:
        task: "classification", "regression", "reconstruction", "text", "series", "pairs" or "text-classification".
        in_shape: the shape of one example.
        outputs: classes, or values to predict.
        examples: how many there are for training.
        encoded: numbers are standardised already, as those of tables are.
        center: the mean of the training targets of a regression.
        target_shape: the shape of one target of a regression.
        words: where inputs are texts with an answer or a class: tokens in their vocabulary.
    """

    task: str
    in_shape: tuple[int, ...]
    outputs: int
    examples: int
    encoded: bool = False
    center: float = 0.0
    target_shape: tuple[int, ...] = ()
    words: int = 0


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data ready for a run.

    Args:
        train, validation, test: the parts; None for one that was not asked for.
        whole: what was read, before it was divided.
        encoder, encoder_arrays: of a table: what makes x of it; of a text: its `Vocabulary`; of
            texts with classes: their `TextEncoder`.
        report: of a table: what was found in it, line by line.
        labels: where examples are their own targets: the test part with the classes or values that it came with.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    whole: tuple[Dataset, ...] = ()
    encoder: TableEncoder | TextEncoder | Vocabulary | None = None
    encoder_arrays: dict[str, Any] = field(default_factory=dict)
    report: str = ""
    labels: Dataset | None = None
    task: str | None = None

    def content_hash(self) -> str:
        """SHA-256 of all parts."""
        test = self.test or Dataset(np.zeros((0, 1)))
        return Splits(self.train, test, self.validation).content_hash()

    @property
    def look(self) -> Look:
        """What a preset may know."""
        train, parts = self.train, [part for part in (self.train, self.validation, self.test) if part is not None]
        if train.t is None:
            raise DataError(f"{train.name} has no targets to learn.")
        shape, encoded = tuple(train.x.shape[1:]), self.encoder is not None
        if train.task == "regression":
            aim = tuple(train.t.shape[1:]) or (1,)
            center = float(np.mean(train.t, dtype=np.float64))
            return Look(
                self.task or "regression",
                shape,
                aim[-1] if self.task == "series" else aim[0],
                len(train),
                encoded,
                center,
                aim,
            )
        if self.task == "text":
            return Look("text", shape, len(train.class_names or ()), len(train))
        labels = [part.t for part in parts if part.t is not None]
        largest = max(int(t.max()) if t.ndim == 1 else t.shape[-1] - 1 for t in labels)
        words = len(self.encoder.vocabulary) if isinstance(self.encoder, TextEncoder) else 0
        outputs = max(len(train.class_names or ()), largest + 1, 2)
        return Look(self.task or "classification", shape, outputs, len(train), encoded, words=words)


def aimed(data: Prepared, config: DataConfig) -> Prepared:
    """Of a reconstruction: every example is its own target, and what it came with is set aside."""
    if config.task != "reconstruction":
        return data
    encoder = data.encoder.replace(target=None) if isinstance(data.encoder, TableEncoder) else None
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    aimed = {name: None if part is None else its_own_target(part) for name, part in parts.items()}
    labels = None if data.test is None or data.test.t is None else data.test
    return replace(data, **aimed, encoder=encoder, labels=labels, task="reconstruction")  # type: ignore[arg-type]


def its_own_target(part: Dataset) -> Dataset:
    """The examples x with targets t = x."""
    return replace(part, t=part.x, task="regression", class_names=None)

"""Data whose order matters: texts, and tables whose rows follow each other in time. Their end is the test part."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data import datasets, series, text
from denpa.data.counted import counted
from denpa.data.dataset import Dataset
from denpa.data.delimited import csv_text
from denpa.data.table import Table
from denpa.data.vocabulary import Vocabulary
from denpa.lab.experiment import DataConfig

__all__ = ["TEXT_OPTIONS", "forecast_csv", "new_text", "rows_of_series", "rows_of_text", "sequence_kind"]

Parts = tuple[Dataset, Dataset | None, Dataset | None]

TEXT_OPTIONS = ("level", "length", "minimum_count", "most")
_TEST_OF_TEXT, _TEST_OF_SERIES = 0.1, 0.2


def sequence_kind(config: DataConfig) -> str | None:
    """What the data are where they are a "text" or a "series", else None."""
    if config.task in ("text", "series"):
        return config.task
    return "text" if config.source in text.TEXTS else "series" if config.source == "sine-wave" else None


def _name(source: str) -> str:
    """What a file is called in messages."""
    return source.replace("\\", "/").rpartition("/")[2]


def rows_of_text(config: DataConfig, options: dict[str, Any]) -> tuple[Parts, Vocabulary]:
    """The parts of a text as rows of token numbers, and the vocabulary.

    Raises:
        ConfigError, DataError, FileFormatError: a text that cannot be read or learned from; options out of range.
    """
    known = text.TEXTS.get(config.source)
    if known is None and config.source in datasets.names():
        raise ConfigError(f"The data set {config.source!r} is no text: {', '.join(text.TEXTS)} are, or a file.")
    whole = text.read_text(config.source) if known is None else known()
    test = _TEST_OF_TEXT if config.test is None else config.test
    choice = {name: options[name] for name in ("level", "minimum_count", "most") if name in options}
    held_back = 1 - (1 - test) * (1 - config.validation)
    vocabulary = text.vocabulary_of(whole, test=held_back, **choice)
    name, length = _name(config.source), options.get("length")
    return text.text_parts(whole, vocabulary, name, length, test, config.validation), vocabulary


def rows_of_series(table: Table, config: DataConfig, length: Any) -> Parts:
    """The parts of a table in time as rows of steps.

    Raises:
        ConfigError, DataError: columns without numbers, gaps, parts too short.
    """
    values, columns = series.values_of_table(table)
    if table.target is None:
        raise ConfigError(f"{config.source}: name the column to predict, as in --target NAME.")
    test = _TEST_OF_SERIES if config.test is None else config.test
    return series.series_parts(values, columns, _name(config.source), length, test, config.validation)


def new_text(source: str, vocabulary: Vocabulary, length: int) -> Dataset:
    """Rows of another text, in the tokens of a vocabulary.

    Raises:
        DataError, FileFormatError: a text that cannot be read, has a token that is not known, or is too short.
    """
    known = text.TEXTS.get(source)
    whole = text.read_text(source) if known is None else known()
    return text.text_parts(whole, vocabulary, _name(source), length, test=0.0)[0]


def forecast_csv(model: Any, table: Table) -> str:
    """A row for each row of a series: its value, and what the model expects to follow.

    The series is cut into rows as long as those of the training, the last of which ends with it; where it is no
    multiple, the first two overlap.

    Args:
        model: the trained model.
        table: the columns of the training, in their order.

    Raises:
        DataError: a column without numbers or with gaps, or fewer steps than one row.
    """
    values, columns = series.values_of_table(table)
    length, steps = model.in_shape[0], len(values)
    if steps < length:
        raise DataError(f"{table.source} has {counted(steps, 'step')}, but this model reads {length} at once.")
    ends = range(steps, length - 1, -length)
    found = np.empty(steps)
    if rest := steps % length:
        found[:rest] = model.predict(values[None, :length])[0, :rest, 0]
    for end in ends:
        found[end - length : end] = model.predict(values[None, end - length : end])[0, :, 0]
    pairs = zip(values[:, -1], found, strict=True)
    rows = ((repr(float(value)).removesuffix(".0"), str(np.float32(next_one))) for value, next_one in pairs)
    return csv_text([(columns[-1], "predicted_next"), *rows])

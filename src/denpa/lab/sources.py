"""From a `DataConfig` to examples: read, checked, divided, and tables encoded by their training rows."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data import datasets
from denpa.data.checks import check_data
from denpa.data.columns import warn_of
from denpa.data.dataset import Dataset, Splits
from denpa.data.encoder import TableEncoder
from denpa.data.images import read_image_pairs, read_images, read_unsorted_images
from denpa.data.missing import settle_missing
from denpa.data.readers import read_table
from denpa.data.table import Column, Table
from denpa.data.text_format import TextFormat
from denpa.lab.arrays import read_npz
from denpa.lab.configs import check_options, unknown_name, want_target
from denpa.lab.experiment import DataConfig
from denpa.lab.in_order import TEXT_OPTIONS, rows_of_series, rows_of_text, sequence_kind
from denpa.lab.labelled_texts import LABELLED_TEXTS, table_of_texts, text_encoder
from denpa.lab.pairs import load_pairs
from denpa.lab.prepared import Look, Prepared, aimed, its_own_target

__all__ = [
    "Look",
    "Prepared",
    "is_table",
    "its_own_target",
    "load_data",
    "load_folds",
    "look_of",
    "table_of",
    "treated_as_in_training",
    "unknown_categories",
]

_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
_OTHER_KINDS = (
    ((".zip", ".gz", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar"), " Unpack it first, and name what was in it."),
    ((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), " Save the sheet as CSV (UTF-8)."),
    ((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"), " Name the folder, not an image in it."),
)
_OF_TABLES = ("target", "missing", "categorical", "ignore")
_TEST_PART = 0.2


def is_table(source: str | Path) -> bool:
    """Whether a path is read as a table."""
    return Path(source).suffix.lower() in _TABLES


def load_data(config: DataConfig) -> Prepared:
    """Read, check and divide the data.

    Raises:
        ConfigError: an unknown data set (the nearest is named), an option that the source does not have.
        DataError, FileFormatError: data that cannot be read or learned from; row and column are named.
    """
    return aimed(_read(config), config)


def _read(config: DataConfig) -> Prepared:
    if config.task == "pairs":
        return load_pairs(config)
    if (kind := sequence_kind(config)) is not None:
        return _in_order(config, kind)
    if (table := _whole_table(config)) is not None:
        train, test = _without_test(table, config)
        train, validation = _held_back(train, config.validation, config.seed)
        return _encoded(config, table, train, validation, test)
    train, test, whole = _divided(_found(config), config)
    train, validation = _held_back(train, config.validation, config.seed)
    return Prepared(train, validation, test, whole)


def load_folds(config: DataConfig, folds: int) -> list[Prepared]:
    """The training examples k times over: each time another fold of them is the test part, the rest trains.

    What `load_data` sets aside for the test is in no fold: it stays out of every choice. Each fold's rest is
    encoded by itself, and gives its validation part where there is one.

    Raises:
        ConfigError, DataError, FileFormatError: as for `load_data`; fewer examples than folds, a class with a
            single one.
    """
    if config.task == "pairs":
        raise ConfigError(f"{config.source} holds pairs of texts: they make no folds, but have a test part.")
    if (kind := sequence_kind(config)) is not None:
        raise ConfigError(f"The rows of a {kind} follow each other: they make no folds to be left out by turns.")
    if (table := _whole_table(config)) is not None:
        rest, _ = _without_test(table, config)
        parts = rest.folds(folds, config.seed)
        held_out = [(*_held_back(train, config.validation, config.seed), held) for train, held in parts]
        return [aimed(_encoded(config, table, *three), config) for three in held_out]
    rest, _, _ = _divided(_found(config), config)
    made = []
    for train, held in rest.folds(folds, config.seed):
        train, validation = _held_back(train, config.validation, config.seed)
        made.append(aimed(Prepared(train, validation, held, (rest,)), config))
    return made


def _in_order(config: DataConfig, kind: str) -> Prepared:
    """A text or a series, whose end is the test part."""
    options = dict(config.options)
    if kind == "text":
        _refuse_options_of_tables(config, "is a text")
        parts, vocabulary = rows_of_text(config, check_options(config.source, options, TEXT_OPTIONS))
        return Prepared(*parts, encoder=vocabulary, task=kind)
    if config.source in datasets.names():
        train, test, whole = _divided(_found(config.replace(task=None)), config.replace(task=None))
        return Prepared(*_held_back(train, config.validation, config.seed), test, whole, task=kind)
    length = options.pop("length", None)
    table = table_of(config.replace(task="regression", options=options), alone=True)
    return Prepared(*rows_of_series(table, config, length), report=table.report(), task=kind)


def look_of(config: DataConfig) -> Look:
    """What the data look like. MNIST need not be there for that; other data are read."""
    if config.source == "mnist":
        examples, shape = round(60_000 * (1 - config.validation)), (28, 28, 1)
        if config.task == "reconstruction":
            return Look("reconstruction", shape, shape[0], examples, target_shape=shape)
        return Look("classification", shape, 10, examples)
    return load_data(config).look


def _found(config: DataConfig) -> Dataset | Splits:
    """What a source other than a table holds."""
    source = config.source
    if Path(source).is_file() and Path(source).suffix.lower() != ".npz" and source not in datasets.names():
        hint = next((hint for kinds, hint in _OTHER_KINDS if Path(source).suffix.lower() in kinds), "")
        raise ConfigError(f"{source}: data come from {', '.join(_TABLES)}, .npz, or a folder of images by class.{hint}")
    _refuse_options_of_tables(config, "is none")
    options = dict(config.options)
    if source in datasets.names():
        found = datasets.load(source, **options)
        if not isinstance(found, (Dataset, Splits)):
            raise ConfigError(f"{source} holds pairs of texts, not examples with targets: choose a preset for pairs.")
        return found
    path = Path(source)
    if path.suffix.lower() == ".npz":
        check_options(source, options, ())
        return read_npz(path, config.task)
    if path.is_dir():
        ways = {"regression": read_image_pairs, "reconstruction": read_unsorted_images}
        read = ways.get(config.task or "", read_images)
        if config.task == "reconstruction" and any(inside.is_dir() for inside in path.iterdir()):
            read = read_images  # the classes colour the picture of the code
        check_options(source, options, [name for name in _parameters(read) if name != "folder"])
        return read(path, **options)
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"{source} cannot be read: there is no such file or folder.")
    raise unknown_name(source, datasets.names())


def _divided(found: Dataset | Splits, config: DataConfig) -> tuple[Dataset, Dataset | None, tuple[Dataset, ...]]:
    """The part to train with, the test part, and all that was read; checked."""
    if isinstance(found, Splits) and config.test is not None:
        raise ConfigError(f"{config.source} brings its own test part: leave data.test out.")
    if config.task == "reconstruction":  # what classes there are is of no account
        found = Splits(*(replace(part, task=None) for part in found)) if isinstance(found, Splits) else found
        found = replace(found, task=None) if isinstance(found, Dataset) else found
    whole = tuple(found) if isinstance(found, Splits) else (found,)
    for part in whole:
        if config.task not in (None, "reconstruction", part.task):
            raise ConfigError(f"data.task is {config.task!r}, but {config.source} is a {part.task}.")
        check_data(part.x, part.t, task=part.task, feature_names=part.feature_names, where=part.name or config.source)
    train, test = found if isinstance(found, Splits) else _without_test(found, config)
    return train, test, whole


def _without_test(whole: Any, config: DataConfig) -> tuple[Any, Any]:
    return _held_back(whole, _TEST_PART if config.test is None else config.test, config.seed)


def _held_back(whole: Any, part: float, seed: int) -> tuple[Any, Any]:
    return whole.split(part, seed) if part else (whole, None)


def table_of(config: DataConfig, alone: bool = False, later: bool = False) -> Table:
    """The table of a source, read and checked; `alone` as for `read_table`.

    Args:
        config: the source, its target, and how it is read.
        alone: whether the target may be the only column.
        later: whether it was written after the training: columns to ignore may be absent, and nobody is warned.

    Raises:
        ConfigError, DataError, FileFormatError: no target is named; otherwise as for `read_table`.
    """
    reading = check_options(config.source, dict(config.options), vars(TextFormat()))
    if config.task != "reconstruction":
        want_target(config, reading, "to predict")
    lists: dict[str, Any] = {"categorical": config.categorical, "ignore": config.ignore, "ignore_absent": later}
    task = None if config.task == "reconstruction" else config.task
    table = read_table(
        config.source, config.target, task=task, missing=_missing(config), alone=alone, **lists, **reading
    )
    if several := _several_ways(config):
        table = settle_missing(table, {column.name: _fitting(table, column, several) for column in table.every})
    for column in () if later else table.every:
        warn_of(table, column)
    return table


def treated_as_in_training(table: Table, config: DataConfig) -> Table:
    """A later table read with its gaps, these treated as the experiment says.

    Raises:
        DataError: a gap that the experiment has no way to treat.
    """
    ways = _missing(config)
    if several := _several_ways(config):
        ways = {column.name: _fitting(table, column, several) for column in table.every}
    for column in table.every:
        way = ways if isinstance(ways, str) else ways.get(column.name, "error")
        if way == "error" and (gaps := np.flatnonzero(column.is_missing())).size:
            fault = f"{table.source}: {column.name!r} is missing on {table.at(gaps)}"
            mend = "complete such rows, or leave them out"
            raise DataError(f"{fault}. No way to treat it was chosen before training: {mend}.")
    return settle_missing(table, ways)


def _whole_table(config: DataConfig) -> Table | None:
    """The table that the data are, or None where they are none."""
    if config.task == LABELLED_TEXTS:
        if config.source in datasets.names():
            _refuse_options_of_tables(config, "is none")
        return table_of_texts(config)
    return table_of(config) if is_table(config.source) else None


def _encoded(config: DataConfig, table: Table, train: Table, validation: Table | None, test: Table | None) -> Prepared:
    if config.task == LABELLED_TEXTS:
        coder = text_encoder(config, train)
        parts = [None if part is None else coder.encode({}, part) for part in (train, validation, test)]
        return Prepared(*parts, encoder=coder, report=table.report(), task=LABELLED_TEXTS)  # type: ignore[arg-type]
    # A category so rare that training has none of it must not stop the run; `unknown_categories` tells of it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it sees a part only, where identifiers have gaps
        encoder = TableEncoder.of(train, unseen="zeros")
    arrays = encoder.fit(train)
    parts = [None if part is None else encoder.encode(arrays, part) for part in (train, validation, test)]
    return Prepared(*parts, encoder=encoder, encoder_arrays=arrays, report=table.report())  # type: ignore[arg-type]


def _several_ways(config: DataConfig) -> tuple[str, ...]:
    """Ways to treat missing values, each for the columns it fits; none where there is one way, or ways by column."""
    ways = config.missing
    return ways if isinstance(ways, tuple) and all(isinstance(way, str) for way in ways) else ()


def _missing(config: DataConfig) -> Any:
    if _several_ways(config):
        return "keep"
    return config.missing if isinstance(config.missing, str) else dict(config.missing)


def _fitting(table: Table, column: Column, ways: tuple[str, ...]) -> str:
    """The first of several ways to treat missing values that fits a column; an unknown way is let through."""
    role = "target" if column is table.target else column.kind
    of_numbers, of_texts = ("mean", "median"), ("category",)
    others = {"numeric": of_texts, "categorical": of_numbers, "target": of_numbers + of_texts}[role]
    return next((way for way in ways if way not in others), "error")


def unknown_categories(encoder: TableEncoder, table: Table) -> list[str]:
    """A sentence for each column that holds categories which training did not have."""
    found = []
    for column in encoder.columns:
        known = getattr(column, "categories", None)
        if known is None:
            continue
        values = table.column(column.name).as_text()
        rows = [row for row, value in enumerate(values) if value is not None and value not in known]
        if rows:
            found.append(
                f"{table.source}: column {column.name!r} holds {values[rows[0]]!r} on {table.at(rows)}, which the "
                "training rows did not have; it counts as none of the known categories."
            )
    return found


def _refuse_options_of_tables(config: DataConfig, fault: str) -> None:
    untouched = DataConfig(config.source)
    for name in _OF_TABLES:
        if getattr(config, name) != getattr(untouched, name):
            raise ConfigError(f"data.{name} is for tables, but {config.source} {fault}.")


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)

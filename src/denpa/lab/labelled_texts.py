"""Texts of which each has a class: tables with a column of texts, as the data of a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, DataError
from denpa.data import datasets
from denpa.data.missing import settle_missing
from denpa.data.pairs import Pairs
from denpa.data.readers import read_table
from denpa.data.table import Column, Table, objects
from denpa.data.text import read_text
from denpa.data.text_encoder import TextEncoder, texts_as_table
from denpa.data.text_format import TextFormat
from denpa.lab.configs import DataConfig, check_options, unknown_name, want_target

__all__ = ["LABELLED_TEXTS", "new_texts", "table_of_texts", "text_encoder"]

LABELLED_TEXTS = "text-classification"
_CODING = ("level", "length", "minimum_count", "most")
_DRAWN = ("n", "seed")


def table_of_texts(config: DataConfig) -> Table:
    """The texts and classes of a table, or of a data set by name.

    Raises:
        ConfigError: no target is named; an option that is not known.
        DataError, FileFormatError: a table that cannot be read, or with several columns that may hold the texts; a text
            or a class that is missing.
    """
    options = dict(config.options)
    if config.source in datasets.names():
        check_options(config.source, options, (*_CODING, *_DRAWN))
        return _named(config.source, {name: options[name] for name in _DRAWN if name in options})
    if not Path(config.source).suffix and not Path(config.source).exists():
        raise unknown_name(config.source, datasets.names())
    check_options(config.source, options, ("text", *_CODING, *vars(TextFormat())))
    if Path(config.source).suffix.lower() == ".txt":
        raise ConfigError(f"{config.source}: texts come with their classes in a table: .csv, .tsv or .parquet.")
    reading = {name: value for name, value in options.items() if name in vars(TextFormat())}
    want_target(config, reading, "of classes")
    lists: dict[str, Any] = {"categorical": config.categorical, "ignore": config.ignore}
    table = read_table(config.source, config.target, task="classification", missing="keep", **lists, **reading)
    text = _text_column(table, options.get("text"))
    return settle_missing(dataclasses.replace(table, columns=(_as_text(text),)), _missing(config))


def text_encoder(config: DataConfig, train: Table) -> TextEncoder:
    """The encoder of the training rows of `table_of_texts`, made as the options ask."""
    asked = {name: value for name, value in dict(config.options).items() if name in _CODING}
    return TextEncoder.of(train, train.columns[0].name, **asked)


def new_texts(encoder: TextEncoder, source: str, options: dict[str, Any]) -> Table:
    """Texts of a later file, with their classes where it has them: a table, or a .txt with a text on each line.

    Raises:
        DataError, FileFormatError: a file that cannot be read, or without the column of texts; an empty line.
        ConfigError: an option that is not known.
    """
    if source in datasets.names():
        drawn = check_options(source, options, _DRAWN)
        return _named(source, drawn, encoder.column, "" if encoder.target is None else encoder.target.name)
    if Path(source).suffix.lower() != ".txt":
        return encoder.read(source, **check_options(source, options, vars(TextFormat())))
    check_options(source, options, ())
    lines = read_text(source).removesuffix("\n").split("\n")
    return texts_as_table(lines, encoder.column, "line", source)


def _named(name: str, options: dict[str, Any], text: str = "text", target: str = "opinion") -> Table:
    """A data set by name as a table with these names of its columns."""
    found = datasets.load(name, **options)
    if name != "opinions" or not isinstance(found, Pairs):
        raise ConfigError(f"The data set {name!r} holds no labelled texts: opinions does, or a table of your own.")
    texts = Column(text, "text", objects(list(found.sources)))
    classes = Column(target, "categorical", objects(list(found.targets)))
    return Table((texts,), classes, "classification", np.arange(1, len(found) + 1), "row", name)


def _text_column(table: Table, name: Any) -> Column:
    """The column that is named, or the only one that holds texts."""
    if name is not None:
        if (found := table.column(str(name))) is table.target:
            raise DataError(f"{table.source}: {found.name!r} holds the classes: the texts are in another column.")
        return found
    texts = [column for column in table.columns if column.kind == "categorical"]
    found = table.columns if len(table.columns) == 1 else texts
    if len(found) == 1:
        return found[0]
    columns = ", ".join(column.name for column in table.columns[:20])
    raise DataError(
        f"{table.source}: which column holds the texts? Name it, as in --data.options.text NAME. The columns: "
        f"{columns}."
    )


def _missing(config: DataConfig) -> str | dict[str, str]:
    by_column = isinstance(config.missing, tuple) and all(isinstance(entry, tuple) for entry in config.missing)
    ways: Any = dict(config.missing) if by_column else config.missing
    for way in ways.values() if isinstance(ways, dict) else (ways,):
        if way not in ("error", "drop"):
            raise ConfigError(f'Texts have nothing to fill gaps with: data.missing is "error" or "drop", not {way!r}.')
    return ways


def _as_text(column: Column) -> Column:
    return Column(column.name, "text", column.as_text())

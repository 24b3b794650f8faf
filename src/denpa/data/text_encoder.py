"""From a table of labelled texts to sequences of token numbers and classes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core.checks import want_positive
from denpa.core.description import Description
from denpa.core.errors import DataError
from denpa.core.padded import Padded
from denpa.data.arguments import as_texts
from denpa.data.columns import CategoricalColumn, NumericColumn, described_target, targets_of
from denpa.data.counted import counted
from denpa.data.dataset import Dataset
from denpa.data.readers import raw_table
from denpa.data.table import Column, Table, objects, want_table
from denpa.data.text_format import TextFormat
from denpa.data.vocabulary import Vocabulary

__all__ = ["LONGEST", "TextEncoder", "texts_as_table", "words_of"]

LONGEST = 256  # tokens of a text, of which the first ones say what it is about
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, and its punctuation marks: "Don't go!" gives don't, go, !"""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class TextEncoder(Description):
    """x = (c_1, ..., c_T), the tokens' numbers, T of each text's own; t the class      x (n, time) `Padded`, t (n,)

    Made by `TextEncoder.of(training_table, column)`, saved with the model, for which it turns new texts into inputs.
    Words are those of `words_of`; characters are taken as they stand.

    Args:
        column: which holds the texts.
        vocabulary: of the training texts, with padding and an unknown token.
        target: the column with the classes, or None.
        length: the most tokens of a text; of a longer one the first are read.
        written: how the text file of the training table was written; `read` takes others to be written alike.
    """

    column: str
    vocabulary: Vocabulary
    target: CategoricalColumn | None = None
    length: int = LONGEST
    written: TextFormat = field(default_factory=TextFormat)

    def validate(self) -> None:
        """Refuse a length below 1."""
        want_positive(self, "length")

    @classmethod
    def of(
        cls,
        table: Table,
        column: str,
        level: str = "word",
        *,
        length: int = LONGEST,
        minimum_count: int | None = None,
        most: int | None = None,
    ) -> TextEncoder:
        """The encoder for the texts and classes of a table of TRAINING rows.

        Args:
            table: the training rows.
            column: which holds the texts.
            level: what a token is: "word" or "character".
            length: the most tokens of a text.
            minimum_count: a token that occurs less often is unknown; None: a word that occurs once, and no character.
                The unknown token is learned from those.
            most: keep at most so many tokens, those that occur most often.

        Raises:
            DataError: no such column, a text that is missing, one class only.
            ConfigError: no table, an unknown level, numbers below 1.
        """
        want_table(table)
        count = (2 if level == "word" else 1) if minimum_count is None else minimum_count
        texts = (" ".join(words_of(text)) if level == "word" else text for text in _texts(table, column))
        vocabulary = Vocabulary.of(texts, level, minimum_count=count, most=most, special=("padding", "unknown"))
        target = described_target(table)
        if isinstance(target, NumericColumn):
            raise DataError(f"{table.source}: the target {target.name!r} of texts is a class: read it as such.")
        return cls(column, vocabulary, target, length, table.written)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes, by class index."""
        return None if self.target is None else self.target.categories

    def read(self, path: str | Path, **options: Any) -> Table:
        """A file to predict from; options as for `read_table`, where it is written otherwise than the training's."""
        return raw_table(path, **(dict(vars(self.written)) | options))

    def tokens(self, text: str) -> list[str]:
        """A text as the tokens that are looked up."""
        return words_of(text) if self.vocabulary.level == "word" else list(text)

    def apply(self, table: Table | Iterable[str]) -> Padded:
        """The inputs of a table's texts, or of texts: values (n, time) int32, as long as the longest of them.

        Other columns are not looked at. Warns (UserWarning) where texts are longer than `length`.

        Raises:
            DataError: no such column, or a text that is missing; lines are named.
            ConfigError: neither a table nor texts.
        """
        if not isinstance(table, Table):
            table = texts_as_table(as_texts(table, "texts"), self.column, "number", "the texts")
        rows = [self.tokens(text) for text in _texts(table, self.column)]
        if longer := [row for row, tokens in enumerate(rows) if len(tokens) > self.length]:
            unit = counted(self.length, self.vocabulary.level)
            message = f"{table.source}: of the texts on {table.at(longer)} only the first {unit} are read."
            warnings.warn(message, UserWarning, stacklevel=3)
        return self.vocabulary.encode_all(tokens[: self.length] for tokens in rows)

    def encode(self, arrays: dict[str, Any], table: Table) -> Dataset:
        """Inputs and classes of a table as a `Dataset`; without classes where the table has no such column.

        Args:
            arrays: of no account: a vocabulary has none.
            table: with the column of texts.

        Raises:
            DataError: as for `apply`; a class that is missing, or that training did not know.
        """
        x = self.apply(table)
        known = self.target is not None and self.target.name in [column.name for column in table.every]
        return Dataset(
            x=np.asarray(x.values),
            t=targets_of(table, self.target) if known and self.target is not None else None,
            task="classification",
            class_names=self.class_names,
            name=table.source,
            lengths=np.asarray(x.lengths),
        )


def texts_as_table(texts: Iterable[str], name: str, place: str, source: str) -> Table:
    """A table of one column of texts; the first is at `place` 1 of the source."""
    values = objects(list(texts))
    return Table((Column(name, "text", values),), None, None, np.arange(1, len(values) + 1), place, source)


def _texts(table: Table, name: str) -> np.ndarray:
    column = table.column(name)
    texts = column.as_text()
    if gaps := [row for row, text in enumerate(texts) if text is None or not text.strip()]:
        raise DataError(
            f"{table.source}: the text {name!r} is missing on {table.at(gaps)}: complete it, or leave it out."
        )
    return texts

"""Vocabularies: the tokens that a language model knows, and text as their numbers."""

from __future__ import annotations

import functools
import re
import reprlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.description import Description
from denpa.core.errors import ConfigError, DataError, nearest
from denpa.core.padded import Padded
from denpa.data.arguments import as_whole
from denpa.data.counted import counted

__all__ = ["SPECIAL", "Vocabulary", "tokens_of"]

# What has a part to play beside the text's own tokens, and how it is written.
SPECIAL = {"padding": "<pad>", "unknown": "<unk>", "start": "<s>", "end": "</s>"}
LEVELS = ("character", "word")


def _one_by_one(texts: Any) -> Iterator[str]:
    """Text after text, so that they need not fit into memory together."""
    for text in [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else texts:
        if not isinstance(text, str):
            raise ConfigError(f"texts must be a text or a list of texts, not of {text!r}.")
        yield text


def tokens_of(text: str, level: str = "character") -> list[str]:
    r"""Text cut into tokens: its characters, or its words.

    Words are what blanks separate; the end of a line is a word of its own, "\n". Nothing else is cut or changed:
    where punctuation marks are to be words, blanks must stand around them.
    """
    return list(text) if _known_level(level) == "character" else re.findall(r"\n|[^\s]+", text)


@dataclass(frozen=True)
class Vocabulary(Description):
    """Tokens by number: `tokens[k]` is token k.     text -> (n,) int32 by `encode`, and back by `decode`

    Args:
        tokens: all tokens, each once; the special ones come first, in the order of `special`.
        level: what a token is: "character" or "word".
        special: the special tokens that there are, of "padding" (always number 0), "unknown" (stands for every
            token that the vocabulary does not hold), "start" and "end" (of a sequence).

    Raises:
        ConfigError: no token or one twice, an unknown level or special token, padding that is not the first.
    """

    tokens: tuple[str, ...]
    level: str = "character"
    special: tuple[str, ...] = ()

    def validate(self) -> None:
        _known_level(self.level)
        for name in self.special:
            if name not in SPECIAL:
                raise ConfigError(f"Unknown special token {name!r}: {nearest(str(name), SPECIAL, plural='tokens')}")
        if "padding" in self.special[1:]:
            raise ConfigError("Padding has the number 0: name it first among the special tokens.")
        if not isinstance(self.tokens, tuple) or not all(isinstance(token, str) for token in self.tokens):
            raise ConfigError("The tokens of a vocabulary are texts.")
        written = tuple(SPECIAL[name] for name in self.special)
        if self.tokens[: len(written)] != written:
            raise ConfigError(f"The first tokens of this vocabulary must be {', '.join(written)}.")
        if len(self.tokens) == len(written):
            raise ConfigError("A vocabulary holds at least one token.")
        if len(self.numbers) < len(self.tokens):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise ConfigError(f"The token {twice!r} is in the vocabulary twice.")

    @classmethod
    def of(
        cls,
        texts: str | Iterable[str],
        level: str = "character",
        *,
        minimum_count: int = 1,
        most: int | None = None,
        special: Sequence[str] = (),
    ) -> Vocabulary:
        """The vocabulary of a text, or of several: characters by code point, words by falling number of occurrences.

        Args:
            texts: the text or texts.
            level: "character" or "word".
            minimum_count: leave out what occurs less often.
            most: keep at most so many tokens beside the special ones, those that occur most often.
            special: the special tokens to have, of "padding", "unknown", "start", "end".

        Raises:
            DataError: texts without a single token, or none that occurs `minimum_count` times.
            ConfigError: tokens to be left out, but no "unknown" to stand for them; numbers below 1; no texts.
        """
        for name, number in (("minimum_count", minimum_count), ("most", most)):
            if number is not None:
                as_whole(number, name, 1)
        if (minimum_count > 1 or most is not None) and "unknown" not in special:
            raise ConfigError('What the vocabulary leaves out needs a token that stands for it: special=("unknown",).')
        counts: Counter[str] = Counter()
        for text in _one_by_one(texts):
            counts.update(tokens_of(text, level))
        if not counts:
            raise DataError("There is no text to make a vocabulary of: it is empty.")
        first = [SPECIAL[name] for name in special if name in SPECIAL]
        order = sorted(counts, key=lambda token: (-counts[token], token))
        kept = [token for token in order if counts[token] >= minimum_count and token not in first][:most]
        if not kept:
            raise DataError(
                f"No {level} of the texts, such as {order[0]!r}, occurs {minimum_count} times: take a smaller "
                'minimum_count, or level="character".'
            )
        return cls((*first, *(sorted(kept) if level == "character" else kept)), level, tuple(special))

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """The number of every token."""
        return {token: number for number, token in enumerate(self.tokens)}

    def number_of(self, special: str) -> int | None:
        """The number of a special token such as "end"; None where this vocabulary has none."""
        return self.special.index(special) if special in self.special else None

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.numbers

    def encode(self, text: str | Sequence[str], *, start: bool = False, end: bool = False) -> np.ndarray:
        """The numbers of a text's tokens, int32 (n,).

        Args:
            text: a text, or tokens cut already.
            start: put the start token in front.
            end: put the end token behind.

        Raises:
            DataError: a token that is not in the vocabulary, where no unknown token stands for it.
            ConfigError: a start or end token that this vocabulary does not have.
        """
        if not isinstance(text, Iterable) or getattr(text, "ndim", 1) == 0:
            raise DataError(f"What is encoded is a text or a list of tokens, not {text!r}.")
        tokens = tokens_of(text, self.level) if isinstance(text, str) else list(text)
        if no_text := [token for token in tokens if not isinstance(token, Hashable)]:
            raise DataError(f"Tokens are texts, not {reprlib.repr(no_text[0])}.")
        unknown = self.number_of("unknown")
        numbers = [self.numbers.get(token, -1 if unknown is None else unknown) for token in tokens]
        if unknown is None and -1 in numbers:
            place = numbers.index(-1)
            raise DataError(
                f"The {self.level} {tokens[place]!r} (number {place + 1} of the text) is not among the {len(self)} of "
                f"the vocabulary: {self._shown()}. Leave it out, or train with an unknown token in the vocabulary."
            )
        first = [self._wanted("start")] if start else []
        last = [self._wanted("end")] if end else []
        return np.array([*first, *numbers, *last], np.int32)

    def encode_all(
        self, texts: Iterable[str | Sequence[str]], *, start: bool = False, end: bool = False, length: int | None = None
    ) -> Padded:
        """Several texts as one batch: values (texts, length) int32, behind each text's end the padding token, or 0.

        Args:
            texts: texts, or lists of tokens.
            start, end: put the start and end tokens around each.
            length: of the array; None for the longest text's.

        Raises:
            DataError: no text, an empty one, one longer than `length`, a token that is not in the vocabulary.
            ConfigError: a start or end token that this vocabulary does not have.
        """
        rows = [self.encode(text, start=start, end=end) for text in texts]
        lengths = np.array([len(row) for row in rows], np.int32)
        if not rows or lengths.min() == 0:
            raise DataError(f"Text {int(lengths.argmin()) + 1} is empty." if rows else "There is no text to encode.")
        longest = int(lengths.max())
        if length is not None and longest > length:
            tokens = counted(longest, "token")
            raise DataError(f"Text {int(lengths.argmax()) + 1} has {tokens}, more than the {length} there are.")
        values = np.zeros((len(rows), longest if length is None else length), np.int32)
        for row, numbers in zip(values, rows, strict=True):
            row[: len(numbers)] = numbers
        return Padded(values, lengths)

    def decode(self, numbers: Any) -> str:
        """The text of token numbers (n,): words with a blank between; padding, start and end leave no trace.

        Raises:
            DataError: a number that is no token's.
        """
        array = np.asarray(numbers).reshape(-1)
        if array.size and array.dtype.kind not in "iu":
            raise DataError(f"Token numbers are integers, not {array.dtype}.")
        found = array.tolist()
        for number in found:
            if not 0 <= number < len(self):
                raise DataError(f"There is no token {number}: they have the numbers 0 to {len(self) - 1}.")
        silent = {self.number_of(name) for name in ("padding", "start", "end")}
        tokens = [self.tokens[number] for number in found if number not in silent]
        return "".join(tokens) if self.level == "character" else re.sub(r" ?\n ?", "\n", " ".join(tokens))

    def _wanted(self, special: str) -> int:
        number = self.number_of(special)
        if number is None:
            raise ConfigError(f'This vocabulary has no {special} token: make it with special=("{special}", ...).')
        return number

    def _shown(self) -> str:
        """The first tokens, as many as a message has room for."""
        if self.level == "character":
            return repr("".join(self.tokens[:100])) + " ..." * (len(self) > 100)
        return repr(" ".join(self.tokens[:30])) + " ..." * (len(self) > 30)


def _known_level(level: str) -> str:
    if level not in LEVELS:
        raise ConfigError(f"Unknown level {level!r}: {nearest(str(level), LEVELS, plural='levels')}")
    return level

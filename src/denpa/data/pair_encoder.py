"""From texts and their answers to the arrays that an encoder and a decoder learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from denpa.core.checks import want_not_negative, want_positive
from denpa.core.description import Description
from denpa.core.errors import ConfigError
from denpa.core.padded import Padded, silenced
from denpa.data.pairs import Pairs
from denpa.data.vocabulary import Vocabulary, tokens_of

__all__ = ["PairEncoder"]


@dataclass(frozen=True)
class PairEncoder(Description):
    """source x¹ .. xᵀ      shifted <s> t¹ .. tᵀ'      target t¹ .. tᵀ' </s>

    Made by `PairEncoder.of(training_pairs)`, saved with the model, for which it turns new texts into sources and
    tokens into answers.

    Args:
        source, target: the vocabularies; that of the targets has start and end.
        reverse: each source from its last token to its first, so that what is read last belongs to what is written
            first (Sutskever, Vinyals & Le 2014, section 3.3).
        source_length, target_length: of the arrays.
        beam, length_penalty: how answers are searched for; see `denpa.beam_search`.
    """

    source: Vocabulary
    target: Vocabulary
    reverse: bool = False
    source_length: int = 1
    target_length: int = 1
    beam: int = 1
    length_penalty: float = 0.0

    def validate(self) -> None:
        """Refuse targets without start or end, and numbers that make no search."""
        want_positive(self, "beam")
        want_not_negative(self, "length_penalty")
        for special in ("start", "end"):
            if self.target.number_of(special) is None:
                raise ConfigError(f"A decoder needs a {special} token in its vocabulary.")

    @classmethod
    def of(
        cls,
        pairs: Pairs,
        level: str = "character",
        *,
        others: Sequence[Pairs] = (),
        minimum_count: int = 1,
        **options: Any,
    ) -> PairEncoder:
        """The encoder for training pairs, whose tokens are the vocabularies.

        Args:
            pairs: those to train with.
            level: what a token is: "character" or "word".
            others: pairs for which there must be room too, such as those of the test; they add no tokens.
            minimum_count: a token that occurs less often is unknown.
            options: the other fields.
        """
        known = ("padding", "unknown")
        source = Vocabulary.of(pairs.sources, level, minimum_count=minimum_count, special=known)
        target = Vocabulary.of(pairs.targets, level, minimum_count=minimum_count, special=(*known, "start", "end"))
        everything = [pairs, *others]
        longest = [
            max(len(tokens_of(text, level)) for part in everything for text in side(part))
            for side in (lambda part: part.sources, lambda part: part.targets)
        ]
        return cls(source, target, source_length=longest[0], target_length=longest[1] + 1, **options)

    def encode(self, pairs: Pairs) -> tuple[tuple[Padded, Padded], Padded]:
        """((source, shifted), target), each `Padded`: (n, source_length) and (n, target_length) int32.

        Raises:
            DataError: an empty text, or one longer than the arrays.
        """
        source = self.sources(pairs.sources, self.source_length)
        whole = self.target.encode_all(pairs.targets, start=True, end=True, length=self.target_length + 1)
        lengths = whole.lengths - 1
        shifted = silenced(whole.values[:, :-1], lengths)
        return (source, Padded(shifted, lengths)), Padded(whole.values[:, 1:], lengths)

    def sources(self, texts: Iterable[str], length: int | None = None) -> Padded:
        """Texts to be answered, (n, length); reversed where that is asked for.

        Raises:
            DataError: an empty text.
        """
        found = self.source.encode_all(texts, length=length)
        if self.reverse:
            for row, size in zip(found.values, found.lengths, strict=True):
                row[:size] = row[:size][::-1].copy()
        return found

    def answers(self, tokens: Any) -> list[str]:
        """The texts of written tokens (n, steps), each up to its end."""
        return [self.target.decode(row) for row in tokens]

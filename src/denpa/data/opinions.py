"""Sentences with an opinion, good or bad, for networks that read: what "not" turns round."""

from __future__ import annotations

import numpy as np

from denpa.data.arguments import as_whole
from denpa.data.pairs import Pairs

__all__ = ["opinions"]

_SUBJECTS = (
    "The film", "The music", "The food", "The book", "Our hotel", "The weather", "The concert", "The garden",
    "The first chapter", "The exhibition", "The coffee", "The guide",
)  # fmt: skip
_VERBS = ("was", "is", "seemed", "has been")
_DEGREES = ("", "", "very ", "really ", "quite ")
_GOOD = ("good", "lovely", "exciting", "pleasant", "wonderful", "charming", "excellent", "delightful")
_BAD = ("bad", "dull", "boring", "disappointing", "terrible", "awful", "poor", "dreadful")
_NEGATIONS = ("not ", "never ", "hardly ")
_ASIDES = (
    "last summer", "to be honest", "as my sister says", "after a long day", "on the second evening", "in my opinion",
    "when we went there with friends", "for the price", "this year", "if you ask me",
)  # fmt: skip


def opinions(n: int = 2000, seed: int = 0) -> Pairs:
    """Sentences that find something "good" or "bad": "Last summer, the film was not very good." -> "bad".

    An adjective of praise or blame, turned round by a "not", "never" or "hardly" in half of the sentences, with an
    aside before or behind: what a sentence means hangs on two words together, wherever they stand. Both classes are
    equally frequent, and so are they beside every single word.

    Args:
        n: how many sentences.
        seed: draws them.
    """
    n, rng = as_whole(n, "n", 1, 10_000_000), np.random.default_rng(as_whole(seed, "seed", 0))
    drawn = [_sentence(rng) for _ in range(n)]
    return Pairs(tuple(text for text, _ in drawn), tuple(label for _, label in drawn), "opinions")


def _sentence(rng: np.random.Generator) -> tuple[str, str]:
    def one(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    praise, negated = bool(rng.integers(2)), bool(rng.integers(2))
    judgement = f"{one(_VERBS)} {one(_NEGATIONS) if negated else ''}{one(_DEGREES)}{one(_GOOD if praise else _BAD)}"
    text = f"{one(_SUBJECTS)} {judgement}"
    place, aside = int(rng.integers(3)), one(_ASIDES)
    if place == 0:
        text = f"{aside.capitalize()}, {text[0].lower()}{text[1:]}"
    elif place == 1:
        text = f"{text}, {aside}"
    return f"{text}.", "good" if praise != negated else "bad"

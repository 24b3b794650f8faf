"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from denpa.data.counted import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "example", "0 examples"),
        (1, "example", "1 example"),
        (2000, "example", "2,000 examples"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "index", "2 indexes"),
        (2, "batch", "2 batches"),
        (4, "entry", "4 entries"),
        (4, "day", "4 days"),
    ],
)
def test_a_number_and_its_noun(number, noun, words):
    assert counted(number, noun) == words

"""Labelled texts become padded token numbers and classes, by what the training rows knew."""

from __future__ import annotations

import json
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError, DataError
from denpa.data import datasets
from denpa.data.encoder import TableEncoder
from denpa.data.readers import read_table
from denpa.data.text_encoder import TextEncoder, words_of

PRAISE = {"good", "lovely", "exciting", "pleasant", "wonderful", "charming", "excellent", "delightful"}
REVIEWS = """review,stars,opinion
"A good, good film!",5,good
Not good.,2,bad
"Bad film, bad music.",1,bad
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    return read_table(tmp_path / "reviews.csv", "opinion", task="classification", categorical=["review"])


@pytest.fixture
def encoder(table):
    return TextEncoder.of(table, "review")


def test_words_are_small_letters_without_their_punctuation():
    assert words_of("Don't go -- it's  BAD!") == ["don't", "go", "-", "-", "it's", "bad", "!"]
    assert words_of("Schöne Grüße, 映画は good_1") == ["schöne", "grüße", ",", "映画は", "good_1"]


@given(st.text())
def test_words_hold_every_sign_of_a_text_but_its_blanks(text):
    together = "".join(words_of(text))
    assert together == "".join(text.lower().split()) or any(sign.isspace() for sign in together)


def test_words_that_occur_once_are_unknown(encoder):
    known = encoder.vocabulary
    assert known.tokens[:2] == ("<pad>", "<unk>")
    assert set(known.tokens[2:]) == {"good", "bad", "film", ",", "."}
    x = encoder.vocabulary.encode(encoder.tokens("A GOOD zebra."))
    assert x.tolist() == [1, known.numbers["good"], 1, known.numbers["."]]


def test_a_table_becomes_padded_numbers_and_classes(table, encoder):
    data = encoder.encode({}, table)
    assert data.class_names == ("bad", "good")
    assert data.t.tolist() == [1, 0, 0]
    assert data.lengths.tolist() == [6, 3, 6]
    for row, text in enumerate(table.column("review").values):
        expected = [encoder.vocabulary.numbers.get(word, 1) for word in words_of(text)]
        assert data.x[row].tolist() == expected + [0] * (data.x.shape[1] - len(expected))


def test_characters_are_taken_as_they_stand(table):
    encoder = TextEncoder.of(table, "review", level="character")
    assert encoder.vocabulary.decode(encoder.apply(table).values[1][:9]) == "Not good."


def test_long_texts_are_cut_and_told_of(table):
    encoder = TextEncoder.of(table, "review", length=4)
    with pytest.warns(UserWarning, match="of the texts on lines 2, 4 only the first 4 words are read"):
        x = encoder.apply(table)
    assert x.lengths.tolist() == [4, 3, 4]
    assert x.values[0].tolist() == encoder.vocabulary.encode(words_of(table.column("review").values[0])[:4]).tolist()


def test_a_later_file_needs_no_classes_and_no_other_columns(encoder, tmp_path):
    (tmp_path / "new.csv").write_text("title,review\nx,good film\n")
    data = encoder.encode({}, encoder.read(tmp_path / "new.csv"))
    assert data.t is None
    assert data.lengths.tolist() == [2]


def test_what_cannot_be_read_is_named_by_line(table, encoder, tmp_path):
    (tmp_path / "gap.csv").write_text("review,opinion\ngood,good\n,bad\n")
    with pytest.raises(DataError, match=r"gap.csv: the text 'review' is missing on line 3"):
        encoder.apply(encoder.read(tmp_path / "gap.csv"))
    (tmp_path / "strange.csv").write_text("review,opinion\ngood,fine\n")
    with pytest.raises(DataError, match=r"'fine' on line 2, a class that the training rows did not have"):
        encoder.encode({}, encoder.read(tmp_path / "strange.csv"))
    with pytest.raises(DataError, match="no column 'revue': did you mean 'review'"):
        TextEncoder.of(table, "revue")
    with pytest.raises(DataError, match="one class only: 'bad'"):
        TextEncoder.of(table[[1, 2]], "review", minimum_count=1)
    with pytest.raises(ConfigError, match="length must be positive"):
        TextEncoder.of(table, "review", length=0)


def test_texts_are_read_without_a_table(table, encoder):
    texts = list(table.column("review").values)
    for read in (texts, tuple(texts), np.array(texts), (text for text in texts)):
        found = encoder.apply(read)
        np.testing.assert_array_equal(found.values, encoder.apply(table).values)
        np.testing.assert_array_equal(found.lengths, encoder.apply(table).lengths)
    assert encoder.apply("A good film!").lengths.tolist() == [4]
    with pytest.raises(DataError, match="the texts: the text 'review' is missing on number 2"):
        encoder.apply(["good", " "])
    with pytest.raises(ConfigError, match=r"texts must be a list of texts, not \[1, 2\]"):
        encoder.apply([1, 2])


@pytest.mark.parametrize("of", [TextEncoder.of, TableEncoder.of])
def test_what_is_no_table_is_told_what_one_is(of):
    options = {} if of == TableEncoder.of else {"column": "review"}
    with pytest.raises(ConfigError, match=r"A table is wanted, such as dp.read_table\(FILE, TARGET\) gives, not \['a'"):
        of(["a", "b"], **options)


def test_it_is_a_description_like_any_other(encoder):
    assert from_config(json.loads(json.dumps(to_config(encoder))), TextEncoder) == encoder


@pytest.mark.parametrize("seed", [0, 1])
def test_opinions_hang_on_two_words_together(seed):
    texts, labels = datasets.load("opinions", n=4000, seed=seed)
    assert abs(Counter(labels)["good"] / 4000 - 0.5) < 5 * 0.5 / np.sqrt(4000)
    good = np.array([label == "good" for label in labels])
    holds = [set(words_of(text)) for text in texts]
    for word in set().union(*holds):
        beside = good[[word in words for words in holds]]
        assert abs(beside.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(beside)), word  # no word tells by itself
    for text, label in zip(texts, labels, strict=True):
        words = set(words_of(text))
        praise = bool(words & PRAISE)
        assert (label == "good") == (praise != bool(words & {"not", "never", "hardly"}))
        assert text[0] in string.ascii_uppercase
        assert text[-1] == "."


def test_opinions_are_drawn_by_their_seed():
    assert datasets.load("opinions", n=20) == datasets.load("opinions", n=20)
    assert datasets.load("opinions", n=20).sources != datasets.load("opinions", n=20, seed=1).sources
    with pytest.raises(ConfigError, match="n must be a whole number"):
        datasets.load("opinions", n=0)

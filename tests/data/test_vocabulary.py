from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError, DataError
from denpa.data.vocabulary import Vocabulary, tokens_of

ALL = ("padding", "unknown", "start", "end")


@given(st.text(min_size=1))
def test_characters_come_back_as_they_were(text):
    vocabulary = Vocabulary.of(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == np.int32
    assert vocabulary.decode(numbers) == text
    assert list(vocabulary.tokens) == sorted(set(text))


def test_words_are_what_blanks_separate_and_line_ends_are_words():
    assert tokens_of("to be,  or\nnot to be", "word") == ["to", "be,", "or", "\n", "not", "to", "be"]
    vocabulary = Vocabulary.of("to be,  or\nnot to be", "word")
    assert vocabulary.tokens == ("to", "\n", "be", "be,", "not", "or")  # by falling count, then by letters
    assert vocabulary.decode(vocabulary.encode("or not\nto be")) == "or not\nto be"


def test_special_tokens_come_first_and_stand_for_what_they_should():
    vocabulary = Vocabulary.of(["a a a b b c", "a d d"], "word", most=2, special=ALL)
    assert vocabulary.tokens == ("<pad>", "<unk>", "<s>", "</s>", "a", "b")
    assert vocabulary.encode("a c b", start=True, end=True).tolist() == [2, 4, 1, 5, 3]
    assert vocabulary.decode([2, 4, 1, 5, 3, 0, 0]) == "a <unk> b"
    assert [vocabulary.number_of(name) for name in ALL] == [0, 1, 2, 3]
    assert Vocabulary.of("aab", minimum_count=2, special=("unknown",)).tokens == ("<unk>", "a")
    assert Vocabulary.of("<unk> a <unk>", "word", special=("unknown",)).tokens == ("<unk>", "a")


def test_several_texts_are_padded_behind_their_ends():
    vocabulary = Vocabulary.of("abc", special=("padding", "end"))
    batch = vocabulary.encode_all(["cab", "b"], end=True)
    np.testing.assert_array_equal(batch.values, [[4, 2, 3, 1], [3, 1, 0, 0]])
    np.testing.assert_array_equal(batch.lengths, [4, 2])
    assert vocabulary.encode_all(["b"], length=5).values.shape == (1, 5)
    filled = Vocabulary.of("abc").encode_all(["abc", "a"], length=3)  # as long as there is room for
    np.testing.assert_array_equal(filled.values, [[0, 1, 2], [0, 0, 0]])
    with pytest.raises(DataError, match="Text 2 has 3 tokens, more than the 2"):
        vocabulary.encode_all(["b", "abc"], length=2)
    with pytest.raises(DataError, match="Text 2 is empty"):
        vocabulary.encode_all(["b", ""])
    with pytest.raises(DataError, match="no text"):
        vocabulary.encode_all([])


def test_a_vocabulary_survives_json_and_is_compared_by_its_tokens():
    vocabulary = Vocabulary.of("日本語 \n", special=ALL)
    again = from_config(json.loads(json.dumps(to_config(vocabulary))))
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert len(again) == 9
    assert "語" in again
    assert "x" not in again


def test_a_token_that_is_not_known_is_named_with_what_to_do():
    with pytest.raises(DataError, match=r"character 'ß' \(number 3 of the text\) is not among the 2 .*'ab'.*unknown"):
        Vocabulary.of("ab").encode("abß")
    with pytest.raises(DataError, match=r"word 'c' \(number 2"):
        Vocabulary.of("a b", "word").encode(["a", "c"])
    with pytest.raises(DataError, match="no token 2: they have the numbers 0 to 1"):
        Vocabulary.of("ab").decode([1, 2])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Vocabulary.of(""), DataError, "empty"),
        (lambda: Vocabulary.of([" ", "\t"], "word"), DataError, "empty"),
        (lambda: Vocabulary.of("a", "letter"), ConfigError, "Unknown level 'letter'"),
        (lambda: Vocabulary.of("a", most=1), ConfigError, 'special=\\("unknown",\\)'),
        (lambda: Vocabulary.of("a", minimum_count=0), ConfigError, "minimum_count must be"),
        (lambda: Vocabulary.of("a", special=("strat",)), ConfigError, "did you mean 'start'"),
        (lambda: Vocabulary.of("a", special=("end", "padding")), ConfigError, "name it first"),
        (lambda: Vocabulary(("a", "b", "a")), ConfigError, "'a' is in the vocabulary twice"),
        (lambda: Vocabulary(("a",), special=("end",)), ConfigError, "first tokens .* must be </s>"),
        (lambda: Vocabulary(("</s>",), special=("end",)), ConfigError, "at least one"),
        (lambda: Vocabulary(("a",)).encode("a", end=True), ConfigError, "no end token"),
    ],
)
def test_bad_vocabularies_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_texts_of_which_no_token_occurs_often_enough_are_refused():
    with pytest.raises(DataError, match=r"No word of the texts, such as '1\+2', occurs 2 times: .*level"):
        Vocabulary.of(["1+2", "3+4"], level="word", minimum_count=2, special=("unknown",))


@pytest.mark.parametrize("texts", [None, 3, [1, 2], [None], b"ab", object()])
def test_a_vocabulary_of_what_is_no_text_is_refused(texts):
    with pytest.raises(ConfigError, match="texts must be"):
        Vocabulary.of(texts)

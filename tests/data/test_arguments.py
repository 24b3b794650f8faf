"""Arguments of the wrong kind, which would fail far from here or, worse, mean something else."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.data.arguments import as_number, as_path, as_texts, as_whole

VOCABULARY = dp.Vocabulary(tuple("abc"))


def test_one_text_is_one_of_them():
    assert as_texts("NA", "missing_values") == ("NA",)
    assert as_texts(["a", "b"], "ignore") == ("a", "b")
    assert str(as_path("a/b.csv")) == "a/b.csv"


def test_numbers_may_be_numpys_and_come_out_as_pythons():
    assert (as_whole(np.int8(3), "n", 1), type(as_whole(np.uint64(3), "n", 1))) == (3, int)
    assert (as_number(np.float32(0.5), "noise"), type(as_number(2, "noise"))) == (0.5, float)
    assert as_number(-2, "turns", -np.inf) == -2
    for value in (True, np.True_, 2.0, "2", None, 0, 6):
        with pytest.raises(dp.ConfigError, match="n must be a whole number from 1 to 5, not"):
            as_whole(value, "n", 1, 5)
    for value in (True, "2", None, -0.1, np.nan, np.inf, 1j, 10**400):
        with pytest.raises(dp.ConfigError, match="noise must be a number, 0 or more, not"):
            as_number(value, "noise")


def test_sizes_may_be_numpys():
    rows = dp.next_token_rows(np.arange(20), np.int64(4))[0]
    assert rows.shape == (4, 4)
    assert len(dp.datasets.load("addition", n=np.int64(5))) == 5
    for name, option in (("xor", "n"), ("gate", "n"), ("letters", "copies"), ("letters", "shift")):
        ours, plain = (dp.datasets.load(name, **{option: kind(200)}).x for kind in (np.uint8, int))
        np.testing.assert_array_equal(ours, plain)
    assert dp.datasets.load("sine-wave", n=np.int64(100), length=np.int32(9)).train.x.shape == (8, 9, 1)
    assert dp.Vocabulary.of("aab", minimum_count=np.int64(2), special=("unknown",)).tokens == ("<unk>", "a")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda file: dp.datasets.load("noisy-digits", noise="a"), "noise must be a number, 0 or more, not 'a'"),
        (lambda file: dp.datasets.load("noisy-digits", seed=-1), "seed must be a whole number, 0 or more, not -1"),
        (lambda file: dp.datasets.load("addition", n=5, seed="a"), "seed must be a whole number, 0 or more, not 'a'"),
        (lambda file: dp.datasets.load("dates", n=5, seed=-1), "seed must be a whole number, 0 or more, not -1"),
        (lambda file: dp.datasets.load("spirals", turns="a"), "turns must be a number, not 'a'"),
        (lambda file: dp.datasets.load("spirals", turns=np.nan), "turns must be a number, not nan"),
        (lambda file: dp.datasets.load(["digits"]), r"Unknown data set \['digits'\]"),
        (lambda file: dp.Dataset(np.zeros((4, 1))).split(10**400), "must lie between 0 and 1, not be 1000"),
        (lambda file: dp.datasets.load("gate", gate=["and"]), r"Unknown gate \['and'\]"),
        (lambda file: dp.read_table(None), "A file is named by a text or a path"),
        (lambda file: dp.read_text(3), "A file is named by a text or a path"),
        (lambda file: dp.read_images(None), "A file is named by a text or a path"),
        (lambda file: dp.read_table(file, missing_values=3), "missing_values must be a list of texts, not 3"),
        (lambda file: dp.read_table(file, ignore=3), "ignore must be a list of texts, not 3"),
        (lambda file: dp.read_table(file, categorical=[3]), "categorical must be a list of texts"),
        (lambda file: dp.read_table(file, missing=3), "missing must be a way to treat missing values"),
        (lambda file: dp.read_table(file, delimiter=3), "delimiter must be one character"),
        (lambda file: dp.read_table(file, encoding=3), "Unknown encoding 3"),
        (lambda file: dp.read_table(file, header="no"), "header must be true, false, or None to find out, not 'no'"),
        (lambda file: dp.datasets.load("digits", flat="no"), "flat must be true or false, not 'no'"),
        (lambda file: dp.datasets.load("letters", scaled=2), "scaled must be true or false, not 2"),
        (lambda file: dp.Vocabulary(None), "tokens of a vocabulary are texts"),
        (lambda file: VOCABULARY.encode(3), "a text or a list of tokens, not 3"),
        (lambda file: VOCABULARY.encode(np.array(3)), "a text or a list of tokens, not array"),
        (lambda file: VOCABULARY.encode(["a", ["b"]]), r"Tokens are texts, not \['b'\]"),
        (lambda file: VOCABULARY.decode([0.5]), "Token numbers are integers, not float64"),
        (lambda file: VOCABULARY.decode("a"), "Token numbers are integers"),
        (lambda file: dp.next_token_rows(np.arange(9) / 2, 2), "not float64"),
        (lambda file: dp.next_token_rows(np.zeros((3, 3), int), 2), r"\(n,\) .* of \(3, 3\)"),
        (lambda file: dp.next_token_rows("abcdef", 2), "token numbers"),
        (lambda file: dp.Dataset(np.zeros((2, 1)), class_names=3), "Dataset.class_names must be a list of names"),
        (lambda file: dp.Dataset(np.zeros((2, 1)), class_names="ab"), "Dataset.class_names must be a list of names"),
        (lambda file: dp.Pairs("ab", "cd"), "sources are texts, one for each pair, not 'ab'"),
        (lambda file: dp.Pairs(("a",), None), "targets are texts"),
    ],
)
def test_arguments_of_the_wrong_kind(read, message, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(dp.DenpaError, match=message):
        read(file)


def test_the_text_of_missing_values_may_be_one(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\nNA,N\n3,A\n")
    table = dp.read_table(tmp_path / "t.csv", missing_values="NA", missing="keep")
    assert [column.is_missing().tolist() for column in table.every] == [[True, False], [False, False]]

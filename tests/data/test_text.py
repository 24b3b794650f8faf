from __future__ import annotations

import datetime
import hashlib

import numpy as np
import pytest

from denpa.core.errors import ConfigError, DataError, FileFormatError, StorageError
from denpa.data import datasets, fetched, mnist, text
from denpa.data.pairs import Pairs
from denpa.data.parallel import read_parallel
from denpa.data.sequences import read_pairs
from denpa.data.vocabulary import Vocabulary


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No data folder, an empty cache, and no network."""
    monkeypatch.delenv("DENPA_DATA", raising=False)
    monkeypatch.setattr(fetched, "cache_folder", lambda: tmp_path / "cache")

    def refuse(url, *args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("pooch.retrieve", refuse)
    return tmp_path


def test_each_target_is_the_token_that_follows():
    x, t = text.next_token_rows(np.arange(100, 112), 4)
    np.testing.assert_array_equal(x, [[100, 101, 102, 103], [104, 105, 106, 107]])
    np.testing.assert_array_equal(t, x + 1)
    x, _ = text.next_token_rows(np.arange(9), 4)
    assert x.shape == (2, 4)  # the ninth token is the last target
    with pytest.raises(DataError, match="4 tokens, but one row takes 4 and one more"):
        text.next_token_rows(np.arange(4), 4)
    with pytest.raises(ConfigError, match="1 or more, not 0"):
        text.next_token_rows(np.arange(4), 0)


def test_the_end_of_a_text_is_its_test_part():
    whole = "abcdefghij" * 10
    train, validation, test = text.text_parts(whole, Vocabulary.of(whole), "letters", 9, 0.2, 0.25)
    assert validation is not None
    assert test is not None
    assert (train.x.shape, validation.x.shape, test.x.shape) == ((6, 9), (2, 9), (2, 9))
    assert test.x[0].tolist() == validation.x[0].tolist() == list(range(9))  # tokens 80 and 60
    assert train.class_names == tuple("abcdefghij")
    assert text.text_parts(whole, Vocabulary.of(whole), "letters", 9, 0.0)[1:] == (None, None)
    with pytest.raises(ConfigError, match="from 0 to below 1"):
        text.text_parts(whole, Vocabulary.of(whole), "letters", 9, 1.0)


@pytest.mark.parametrize(("size", "length"), [(20_000, 640), (2_000, 192), (300, 29)])
def test_rows_fit_the_shortest_part(size, length):
    whole = ("ab" * size)[:size]
    train, _, test = text.text_parts(whole, Vocabulary.of(whole), "letters")
    assert test is not None
    assert train.x.shape[1] == test.x.shape[1] == length
    with pytest.raises(DataError, match="too short to hold a part"):
        text.text_parts("abcdefgh", Vocabulary.of(whole + "cdefgh"), "letters")


def test_words_are_those_of_the_part_to_learn_from():
    vocabulary = text.vocabulary_of("a b a\nb c a b z z z", "word", test=0.3)
    assert vocabulary.tokens == ("<unk>", "a", "b", "\n", "c")
    assert vocabulary.special == ("unknown",)
    assert text.vocabulary_of("aabz", test=0.5).tokens == ("a", "b", "z")
    assert text.vocabulary_of("aabz", most=1).tokens == ("<unk>", "a")


def test_text_files_are_read_and_bad_ones_refused(tmp_path):
    path = tmp_path / "my.txt"
    path.write_bytes("\ufeffäß\r\nc\rd".encode())
    assert text.read_text(path) == "äß\nc\nd"
    path.write_bytes(b" \n")
    with pytest.raises(DataError, match="is empty"):
        text.read_text(path)
    path.write_bytes(b"ab\ncd\n" + "日本".encode("cp932"))
    with pytest.raises(FileFormatError, match=r"line 3: not UTF-8 text \(byte 6\)"):
        text.read_text(path)
    path.write_bytes("ab\n".encode("utf-16"))
    with pytest.raises(FileFormatError, match="iconv -f utf-16 -t utf-8: it begins as UTF-16 does"):
        text.read_text(path)
    path.write_bytes("ab\n".encode("utf-16-le"))
    with pytest.raises(FileFormatError, match=r"line 1: holds a character 0.*utf-16le"):
        text.read_text(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        text.read_text(tmp_path / "none.txt")


def test_without_the_plays_their_beginning_takes_their_place(nowhere):
    with pytest.warns(UserWarning, match="no network.*by hand.*first scenes"):
        train, test = datasets.load("shakespeare", length=100)
    scene = text.scene_text()
    assert len(scene) == 16_936
    assert scene.startswith("First Citizen:\nBefore we proceed any further")
    assert train.x.shape == (152, 100)
    assert test.x.shape == (16, 100)
    vocabulary = Vocabulary(train.class_names)
    assert vocabulary.decode(train.x[:2]) == scene[:200]
    assert vocabulary.decode(train.t[0]) == scene[1:101]


def test_files_are_proved_and_the_users_folder_comes_first(nowhere, monkeypatch):
    folder = nowhere / "data" / "tinyshakespeare"
    folder.mkdir(parents=True)
    (folder / "input.txt").write_text("To be")
    monkeypatch.setenv("DENPA_DATA", str(nowhere / "data"))
    with pytest.raises(FileFormatError, match=r"input.txt is not the file of https.*Delete it"):
        text.shakespeare_text()
    right = "d73fc29d2f5cec3f8103fe2edb64a1d92158ab9fec3c2c6a8ebcabb0c5c6a4b2"
    with pytest.raises(FileFormatError, match=right):
        fetched.fetched("input.txt", "tinyshakespeare", "https://x", right)
    assert fetched.find("input.txt", "tinyshakespeare") == folder / "input.txt"
    assert fetched.find("other.txt", "tinyshakespeare") is None


def test_what_is_fetched_is_proved_and_kept(nowhere, monkeypatch):
    asked = []

    def answer(url, known_hash, fname, path, **options):
        asked.append((url, known_hash))
        (path / fname).write_text("To be")
        return str(path / fname)

    monkeypatch.setattr("pooch.retrieve", answer)
    right = hashlib.sha256(b"To be").hexdigest()
    for _ in range(2):
        path = fetched.fetched("input.txt", "plays", "https://x", right)
    assert path == nowhere / "cache" / "plays" / "input.txt"
    assert asked == [("https://x", right)]


def test_a_cache_that_cannot_be_made_is_told(nowhere):
    (nowhere / "cache").write_text("a file")
    with pytest.raises(StorageError, match=r"cannot be kept in.*DENPA_DATA"):
        fetched.fetched("input.txt", "tinyshakespeare", "https://x", "")
    with pytest.warns(UserWarning, match="cannot be kept in.*first scenes"):
        assert text.shakespeare_text() == text.scene_text()


def test_sums_are_right_no_two_alike_and_decided_by_the_seed(nowhere):
    pairs = datasets.load("addition", n=2000, seed=3)
    assert len(set(pairs.sources)) == len(pairs) == 2000
    assert {len(source) for source in pairs.sources} == {7}
    assert {len(target) for target in pairs.targets} == {5}
    sizes = set()
    for source, target in zip(*pairs, strict=True):
        a, b = source.rstrip().split("+")
        assert target == f"_{int(a) + int(b)}".ljust(5)
        sizes.add((len(a), len(b)))
    assert sizes == {(i, j) for i in (1, 2, 3) for j in (1, 2, 3)}
    assert pairs == datasets.load("addition", n=2000, seed=3)
    assert pairs.content_hash() != datasets.load("addition", n=2000, seed=4).content_hash()
    with pytest.raises(ConfigError, match="from 1 to 500,000, not 0"):
        datasets.load("addition", n=0)


def test_dates_are_written_in_every_form_and_mean_their_day(nowhere):
    pairs = datasets.load("dates", n=500, seed=1)
    assert {len(source) for source in pairs.sources} == {29}
    forms = set()
    for source, target in zip(*pairs, strict=True):
        day = datetime.date.fromisoformat(target[1:])
        plain, month = source.strip().lower(), f"{day:%B}".lower()
        written = {
            f"{day.month}/{day.day}/{day:%y}": "short",
            f"{month[:3]} {day.day}, {day.year}": "medium",
            f"{month} {day.day}, {day.year}": "long",
        }
        if plain not in written:
            assert plain == f"{day:%A}, {month} {day.day}, {day.year}".lower()
        case = "same" if source.islower() else "upper" if source.isupper() else "title"
        forms.add((written.get(plain, "full"), "same" if "/" in source else case))
    assert len(forms) == 10


def test_dates_are_drawn_from_the_first_day_to_the_last(nowhere):
    days = [target[1:] for target in datasets.load("dates", n=120_000).targets]
    assert (min(days), max(days)) == ("1970-01-01", "2017-12-31")


def test_the_users_own_pairs_are_taken_where_all_are_asked_for(nowhere, monkeypatch):
    folder = nowhere / "sequence"
    folder.mkdir()
    (folder / "addition.txt").write_text("1+2    _3   \n10+5   _15  \n")
    monkeypatch.setenv("DENPA_DATA", str(nowhere))
    assert datasets.load("addition") == Pairs(("1+2    ", "10+5   "), ("_3   ", "_15  "), "addition")
    (folder / "bad.txt").write_text("1+2_3\n4+5 9\n")
    with pytest.raises(DataError, match='line 2: no "_"'):
        read_pairs(folder / "bad.txt")


def test_parallel_files_must_agree_line_by_line(tmp_path, nowhere):
    left, right = tmp_path / "train.en", tmp_path / "train.ja"
    left.write_text("a b\nc\nd\n")
    right.write_text("いち に\nさん\nよん", encoding="utf-8")
    pairs = read_parallel(left, right)
    assert (len(pairs), pairs.targets[2], pairs.name) == (3, "よん", "train")
    right.write_text("1\n2\n")
    with pytest.raises(DataError, match=r"train.en has 3 lines and .*train.ja 2: line 3 has no counterpart"):
        read_parallel(left, right)
    right.write_text("1\n \n3\n")
    with pytest.raises(DataError, match=r"train.ja, line 2 is empty"):
        read_parallel(left, right)
    with pytest.raises(DataError, match=r"train\.en and train\.ja are not in"):
        datasets.load("enja")


def test_three_parts_of_a_parallel_corpus(nowhere, monkeypatch):
    folder = nowhere / "small_parallel_enja"
    folder.mkdir()
    for number, part in enumerate(("train", "test", "dev"), start=1):
        (folder / f"{part}.en").write_text("x\n" * number)
        (folder / f"{part}.ja").write_text("y\n" * number)
    monkeypatch.setenv("DENPA_DATA", str(nowhere))
    splits = datasets.load("enja")
    train, test = splits
    assert (len(train), len(test), len(splits.validation)) == (1, 2, 3)


def test_pairs_are_indexed_and_split_without_overlap():
    pairs = Pairs(tuple("abcdefghij"), tuple("0123456789"))
    rest, held_out = pairs.split(0.3, seed=5)
    assert (len(rest), len(held_out)) == (7, 3)
    assert sorted(rest.sources + held_out.sources) == list(pairs.sources)
    assert all(ord(t) - ord("0") == ord(s) - ord("a") for s, t in zip(*held_out, strict=True))
    assert pairs[np.array([3, 1])].targets == ("3", "1")
    assert pairs[2:4].sources == ("c", "d")
    with pytest.raises(DataError, match="1 source but 2 targets"):
        Pairs(("a",), ("b", "c"))
    with pytest.raises(DataError, match="no pair"):
        Pairs((), ())


def test_the_cache_is_that_of_all_data():
    assert fetched.cache_folder is mnist.cache_folder

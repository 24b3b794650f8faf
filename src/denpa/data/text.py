"""Text to learn a language model from: read, numbered, and cut into rows of which each token foretells the next.

x = (c_1, ..., c_T)      t = (c_2, ..., c_{T+1})      the target of every step is the token that follows
"""

from __future__ import annotations

import warnings
from importlib import resources
from pathlib import Path

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError, StorageError
from denpa.data.arguments import as_path, as_whole
from denpa.data.counted import counted
from denpa.data.dataset import Dataset, Splits
from denpa.data.delimited import begins_as_utf16
from denpa.data.fetched import fetched
from denpa.data.splitting import in_order
from denpa.data.vocabulary import Vocabulary, tokens_of

__all__ = [
    "TEXTS",
    "WINDOW",
    "next_token_rows",
    "read_text",
    "scene",
    "scene_text",
    "shakespeare",
    "shakespeare_text",
    "text_parts",
    "vocabulary_of",
]

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
WINDOW, ROW = 64, 640  # tokens of a window, and of a row that is trained window by window
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def read_text(path: str | Path) -> str:
    r"""A text file in UTF-8; a byte order mark is skipped, every line ends with "\n".

    Raises:
        DataError: no such file, or one without text.
        FileFormatError: not UTF-8, or no text; the line is named.
    """
    path = as_path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        way = "-f cp932 -t utf-8 for Japanese Windows or iconv -f latin1 -t utf-8"
        raise FileFormatError(
            f"{path}, line {line}: not UTF-8 text (byte {error.start}). Save it as UTF-8, such as by iconv "
            f"{'-f utf-16 -t utf-8: it begins as UTF-16 does' if begins_as_utf16(content) else way}."
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise FileFormatError(
            f"{path}, line {line}: holds a character 0, which no text has. It may be UTF-16: save it as UTF-8, such as "
            "by iconv -f utf-16le -t utf-8."
        )
    if not text.strip():
        raise DataError(f"{path} is empty: there is no text in it.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def next_token_rows(numbers: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """One long sequence cut into rows: x, t (rows, length) int32, t one token ahead of x.

    Row r is tokens r·length to (r+1)·length − 1. What is left at the end, fewer than `length` tokens, is no row.

    Args:
        numbers: (n,) token numbers, as `Vocabulary.encode` gives them.
        length: of a row; `fit(window=...)` trains it window by window.

    Raises:
        ConfigError: a length below 1.
        DataError: fewer tokens than one row and its last target need.
    """
    length = as_whole(length, "The length of a row", 1)
    numbers = np.asarray(numbers)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise DataError(f"One sequence of token numbers (n,) is cut into rows, not {numbers.dtype} of {numbers.shape}.")
    rows = (len(numbers) - 1) // length
    if rows < 1:
        raise DataError(
            f"The text has {counted(len(numbers), 'token')}, but one row takes {length} and one more as the last "
            "target: take shorter rows, or a longer text."
        )
    whole = np.asarray(numbers, np.int32)
    return whole[: rows * length].reshape(rows, length), whole[1 : rows * length + 1].reshape(rows, length)


def vocabulary_of(
    text: str, level: str = "character", test: float = 0.0, minimum_count: int = 1, most: int | None = None
) -> Vocabulary:
    """The vocabulary to learn a text with.

    Characters are those of the whole text, so that none in its held-out part is a stranger. Words are those of the
    part to learn from; an unknown token stands for all others, as it does where characters are left out.

    Args:
        text: the text.
        level: "character" or "word".
        test: the part of the text that is held back at its end.
        minimum_count, most: which tokens to leave out; see `Vocabulary.of`.
    """
    if level == "character":
        special = ("unknown",) if minimum_count > 1 or most is not None else ()
        return Vocabulary.of(text, level, minimum_count=minimum_count, most=most, special=special)
    tokens = tokens_of(text, level)
    learned = " ".join(tokens[in_order(len(tokens), test, 0.0)[0]])
    return Vocabulary.of(learned, level, minimum_count=minimum_count, most=most, special=("unknown",))


def text_parts(
    text: str, vocabulary: Vocabulary, name: str, length: int | None = None, test: float = 0.1, validation: float = 0.0
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """Rows of a text to learn from, for validation and for the test: its last part is the test, before it validation.

    `class_names` are the tokens. A part of 0 is None.

    Args:
        text: the text.
        vocabulary: its tokens.
        name: what the data are called.
        length: of a row; None for 640, or fewer where a part of the text is shorter.
        test, validation: the parts to hold back, from 0 to below 1.

    Raises:
        DataError: a part too short for a row, a token that is not in the vocabulary.
        ConfigError: a part outside 0..1, a length below 1.
    """
    numbers = vocabulary.encode(text)
    slices = in_order(len(numbers), test, validation)
    parts = [numbers[part] for part in slices]
    if length is None:
        length = _fitting(min(len(part) for part in parts if len(part)) - 1, name)
    made: list[Dataset | None] = []
    for title, part, wanted in zip(("train", "validation", "test"), parts, (1.0, validation, test), strict=True):
        if not wanted:
            made.append(None)
            continue
        x, t = next_token_rows(part, length)
        made.append(Dataset(x, t, "classification", vocabulary.tokens, name=f"{name} {title}"))
    train, held_out, tested = made
    if train is None:
        raise DataError(f"{name}: nothing is left to learn from.")
    return train, held_out, tested


def _fitting(most: int, name: str) -> int:
    """A length of rows of up to `most`: 640, or a multiple of 64, or what there is."""
    if most < 1:
        raise DataError(
            f"{name}: the text is too short to hold a part of it back: take a longer one, or hold none back."
        )
    return ROW if most >= ROW else most - most % WINDOW if most >= WINDOW else most


def shakespeare_text() -> str:
    """Tiny Shakespeare: 1,115,394 characters of plays, from `$DENPA_DATA/tinyshakespeare/input.txt` or fetched.

    Where it is not there and cannot be fetched, its beginning takes its place, which is embedded, with a warning.

    Raises:
        FileFormatError: the file is another one.
        StorageError: the cache folder cannot be written.

    Source: the works of William Shakespeare, in the public domain; gathered by Karpathy (2015), char-rnn.
    """
    try:
        path = fetched("input.txt", "tinyshakespeare", URL, SHA256)
    except (DataError, StorageError) as error:
        warnings.warn(f"{error} Until then its first scenes take its place, 17,000 characters.", stacklevel=2)
        return scene_text()
    return path.read_text(encoding="utf-8")


def scene_text() -> str:
    """The beginning of tiny Shakespeare (Coriolanus, act I), embedded."""
    return resources.files("denpa.data").joinpath("scene.txt").read_text(encoding="utf-8")


def shakespeare(length: int = ROW, test: float = 0.1) -> Splits:
    """Tiny Shakespeare as characters: rows of token numbers, and the next token of each; the last tenth is the test.

    Args:
        length: of a row.
        test: the part to hold back, from the end.
    """
    return _splits(shakespeare_text(), "shakespeare", length, test)


def scene(length: int = 128, test: float = 0.1) -> Splits:
    """The first scenes of tiny Shakespeare, which are embedded, in the same form."""
    return _splits(scene_text(), "scene", length, test)


def _splits(text: str, name: str, length: int, test: float) -> Splits:
    train, _, tested = text_parts(text, Vocabulary.of(text), name, length, test)
    if tested is None:
        raise ConfigError("The part to hold back for the test must be above 0.")
    return Splits(train, tested)


# The texts that are known by name.
TEXTS = {"shakespeare": shakespeare_text, "scene": scene_text}

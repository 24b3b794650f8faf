"""Text to learn a language model from: read, numbered, and cut into rows of which each token foretells the next.

x = (c_1, ..., c_T)      t = (c_2, ..., c_{T+1})      the target of every step is the token that follows
"""

from __future__ import annotations

import warnings
from importlib import resources
from pathlib import Path

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError
from denpa.data.dataset import Dataset, Splits
from denpa.data.fetched import fetched
from denpa.data.vocabulary import Vocabulary

__all__ = ["next_token_rows", "read_text", "scene", "shakespeare", "shakespeare_text", "text_splits"]

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def read_text(path: str | Path) -> str:
    r"""A text file in UTF-8; a byte order mark is skipped, every line ends with "\n".

    Raises:
        DataError: no such file, or one without text.
        FileFormatError: not UTF-8; the line is named.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileFormatError(
            f"{path}, line {line}: not UTF-8 text (byte {error.start}). Save it as UTF-8, such as by "
            f"iconv -f cp932 -t utf-8 for Japanese Windows or iconv -f latin1 -t utf-8."
        ) from None
    if not text.strip():
        raise DataError(f"{path} is empty: there is no text to learn from.")
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
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise ConfigError(f"The length of a row must be a whole number, 1 or more, not {length!r}.")
    rows = (len(numbers) - 1) // length
    if rows < 1:
        raise DataError(
            f"The text has {len(numbers)} tokens, but one row takes {length} and one more as the last target: take "
            "shorter rows, or a longer text."
        )
    whole = np.asarray(numbers, np.int32)
    return whole[: rows * length].reshape(rows, length), whole[1 : rows * length + 1].reshape(rows, length)


def text_splits(text: str, vocabulary: Vocabulary, length: int, test: float, name: str) -> Splits:
    """Rows of the text, its last part held back for the test; `class_names` are the tokens.

    Args:
        text: the text.
        vocabulary: its tokens.
        length: of a row.
        test: the part of the tokens to hold back, counted from the end; above 0, below 1.
        name: what the data are called.

    Raises:
        DataError: a part too short for a row, a token that is not in the vocabulary.
        ConfigError: a part outside 0..1.
    """
    if not 0 < test < 1:
        raise ConfigError(f"The part of the text to hold back must lie between 0 and 1, not be {test!r}.")
    numbers = vocabulary.encode(text)
    first = len(numbers) - round(test * len(numbers))
    parts = []
    for part, found in (("train", numbers[:first]), ("test", numbers[first:])):
        x, t = next_token_rows(found, length)
        parts.append(Dataset(x, t, "classification", vocabulary.tokens, name=f"{name} {part}"))
    return Splits(*parts)


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
    except DataError as error:
        warnings.warn(f"{error} Until then its first scenes take its place, 17,000 characters.", stacklevel=2)
        return scene_text()
    return path.read_text(encoding="utf-8")


def scene_text() -> str:
    """The beginning of tiny Shakespeare (Coriolanus, act I), embedded."""
    return resources.files("denpa.data").joinpath("scene.txt").read_text(encoding="utf-8")


def shakespeare(length: int = 640, test: float = 0.1) -> Splits:
    """Tiny Shakespeare as characters: rows of token numbers, and the next token of each; the last tenth is the test.

    Args:
        length: of a row.
        test: the part to hold back, from the end.
    """
    text = shakespeare_text()
    return text_splits(text, Vocabulary.of(text), length, test, "shakespeare")


def scene(length: int = 128, test: float = 0.1) -> Splits:
    """The first scenes of tiny Shakespeare, which are embedded, in the same form."""
    text = scene_text()
    return text_splits(text, Vocabulary.of(text), length, test, "scene")

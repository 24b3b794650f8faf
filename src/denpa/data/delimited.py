"""Text tables (CSV, TSV): read as strings, or as numbers by NumPy where they hold nothing else; written as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from denpa.core.errors import ConfigError, DataError, FileFormatError

__all__ = ["NUMBER", "PlainTable", "RawTable", "begins_as_utf16", "csv_text", "read_delimited", "read_plain"]

DELIMITERS = (",", ";", "\t")
# float() alone would also take "1_000" and "infinity".
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_PLAIN = b"0123456789.eE+- \r\n"  # of these signs NumPy reads no number that NUMBER is not


class RawTable(NamedTuple):
    """Names, rows of as many strings, and the line of the file on which each row ends."""

    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]


class PlainTable(NamedTuple):
    """A table that holds nothing but numbers, none of them missing, each row on a line of its own.

    Attributes:
        names: of the columns.
        values: (columns, rows), float64.
        texts: the line of every row.
        first: which line of the file is the first row.
        delimiter: what separates the fields.
    """

    names: tuple[str, ...]
    values: np.ndarray
    texts: list[str]
    first: int
    delimiter: str

    def fields(self, column: int) -> list[str]:
        """A column as the file writes it."""
        return [line.split(self.delimiter, column + 1)[column].strip() for line in self.texts]


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as comma-separated values, a line each; numbers in full, texts in quotes where they need them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_delimited(
    path: Path,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    decimal: str = ".",
) -> RawTable:
    """The rows of a text table. Blank lines are skipped; a line of "" alone is a row with an empty field.

    Args:
        path: the file.
        delimiter: what separates the fields; None finds it among comma, semicolon and tab.
        header: whether the first row holds names. None takes it for names where no field of it is a number.
        encoding: of the text; a byte order mark in front of UTF-8 is skipped.
        decimal: the sign before decimals, which is the last to be found as the delimiter.

    Raises:
        DataError: no such file, an empty one, one without rows, a header that names two columns alike.
        ConfigError: a delimiter of more than one character.
        FileFormatError: another encoding, rows of different lengths, bad quoting; the line is named.
    """
    text, delimiter = _opened(path, delimiter, header, encoding, decimal)
    rows, lines = _rows(path, text, delimiter)
    if not rows:
        raise DataError(f"{path} is empty.")
    header = _has_header(rows[0], header)
    if header:
        names = _names(path, rows[0], lines[0])
        rows, lines = rows[1:], lines[1:]
        if not rows:
            raise DataError(f"{path} has a header but no rows.")
    else:
        names = _numbered(rows[0])
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            fields, model = f"{len(row)} field{'s' * (len(row) != 1)}", "the header" if header else "the first row"
            raise FileFormatError(
                f"{path}, line {line}: {fields} where {model} has {len(names)} (delimiter {delimiter!r})."
            )
    return RawTable(names, rows, lines)


def read_plain(
    path: Path, delimiter: str | None = None, header: bool | None = None, encoding: str = "utf-8"
) -> PlainTable | None:
    """The table if it holds nothing but numbers below its header; None where it does not, or where something is wrong.

    Arguments and errors are those of `read_delimited`, which has the words for what is wrong, and which takes three
    times as long where there are many columns.
    """
    text, delimiter = _opened(path, delimiter, header, encoding)
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    try:
        fields = next(reader)
    except (csv.Error, StopIteration):
        return None
    header = _has_header(fields, header)
    body = (text[source.tell() :] if header else text).rstrip("\r\n")
    if not body or not body.isascii() or body.encode().translate(None, _PLAIN + delimiter.encode()):
        return None
    lines = body.splitlines()
    try:
        values = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        return None
    if values.shape != (len(lines), len(fields)) or np.isinf(values).any():
        return None
    names = _names(path, fields, reader.line_num) if header else _numbered(fields)
    return PlainTable(names, np.ascontiguousarray(values.T), lines, 1 + header * reader.line_num, delimiter)


def _opened(
    path: Path, delimiter: str | None, header: bool | None, encoding: str, decimal: str = "."
) -> tuple[str, str]:
    """The text of a file and its delimiter."""
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ConfigError(f"delimiter must be one character, such as ',' or ';', not {delimiter!r}.")
    if not isinstance(header, (bool, type(None))):
        raise ConfigError(f"header must be true, false, or None to find out, not {header!r}.")
    text = _text(path, encoding)
    return text, delimiter or _sniff(text, decimal)


def _has_header(first: Sequence[str], header: bool | None) -> bool:
    return not any(NUMBER.fullmatch(field) for field in first) if header is None else header


def _text(path: Path, encoding: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig" if str(encoding).lower() in ("utf-8", "utf8") else encoding)
    except (LookupError, TypeError):
        raise FileFormatError(f"Unknown encoding {encoding!r}: try 'utf-8', 'cp932', 'utf-16' or 'latin-1'.") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        utf16 = "encoding='utf-16': it begins as UTF-16 does."
        way = "such as encoding='cp932' (Japanese Windows), 'utf-16' or 'latin-1'."
        raise FileFormatError(
            f"{path}, line {line}: not {encoding} text (byte {error.start}). Name the file's encoding, "
            f"{utf16 if begins_as_utf16(content) else way}"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise FileFormatError(
            f"{path}, line {line}: holds a character 0, which no {encoding} table has. Name the file's encoding, "
            "such as encoding='utf-16-le'."
        )
    return text


def begins_as_utf16(content: bytes) -> bool:
    """Whether a file begins with the byte order mark of UTF-16, as Notepad and Excel write it."""
    return content.startswith((b"\xff\xfe", b"\xfe\xff"))


def _sniff(text: str, decimal: str) -> str:
    """The delimiter that cuts the first lines into the same number of fields, the more the better."""
    sample = text[: 1 << 16].splitlines()[:20]

    def quality(delimiter: str) -> tuple[bool, int]:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            return False, 0
        first = widths[0] if widths else 0
        return first > 1 and len(set(widths)) == 1, first

    return max(sorted(DELIMITERS, key=lambda delimiter: delimiter == decimal), key=quality)


def _rows(path: Path, text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    # Not splitlines: a quoted field may hold line ends, and only the reader knows.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            # An empty field in quotes is a missing value, such as pandas writes it into a table of one column.
            if len(row) > 1 or row == [""] or any(field.strip() for field in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        fault = "a quoted field does not end" if "unexpected end" in str(error) else error
        raise FileFormatError(f"{path}, line {reader.line_num}: {fault}.") from None
    return rows, lines


def _numbered(fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"column_{i + 1}" for i in range(len(fields)))


def _names(path: Path, fields: Sequence[str], line: int) -> tuple[str, ...]:
    names = [field.strip() or f"column_{i + 1}" for i, field in enumerate(fields)]
    places: dict[str, int] = {}
    for position, name in enumerate(names):
        first = places.setdefault(name, position)
        if first < position:
            raise DataError(
                f"{path}, line {line}: the header names columns {first + 1} and {position + 1} both {name!r}. "
                "Give each its own name, or pass header=False if this line holds data."
            )
    return tuple(names)

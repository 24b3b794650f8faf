"""Tasks from one short sequence of characters to another: sums, and dates in many forms."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

from denpa.core.errors import DataError
from denpa.data.arguments import as_whole
from denpa.data.fetched import find
from denpa.data.pairs import Pairs
from denpa.data.text import read_text

__all__ = ["addition", "dates", "read_pairs"]

DIGITS = 3  # of a summand, at most
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def addition(n: int = 50_000, seed: int = 0) -> Pairs:
    """Sums to be read and worked out: "57+10  " -> "_67  ".

    Two numbers of up to 3 digits in 7 characters, and after the sign "_", with which the answer begins, their sum
    in 4, both filled up with blanks. No two pairs are alike. A number has 1, 2 or 3 digits equally often when it is
    drawn, and leading zeros are then left out.

    `$DENPA_DATA/sequence/addition.txt` is read where it is there and the first 50,000 are asked for (n, seed as
    above); else the pairs are drawn.

    Args:
        n: how many pairs, up to 500,000.
        seed: draws them.

    Source: Sutskever, Vinyals & Le (2014) for the model, Zaremba & Sutskever (2014) for the task; the form of
    Saito (2018), Deep Learning from Scratch 2, chapter 7.
    """
    n, seed = as_whole(n, "n", 1, 500_000), as_whole(seed, "seed", 0)
    if found := _given("addition", n, seed):
        return found
    rng = np.random.default_rng(seed)
    drawn: dict[tuple[int, int], None] = {}
    while len(drawn) < n:
        sizes = rng.integers(1, DIGITS + 1, (n, 2))
        numbers = rng.integers(0, 10**sizes)
        drawn.update(dict.fromkeys((int(a), int(b)) for a, b in numbers))
    pairs = list(drawn)[:n]
    sources = tuple(f"{a}+{b}".ljust(2 * DIGITS + 1) for a, b in pairs)
    return Pairs(sources, tuple(f"_{a + b}".ljust(DIGITS + 2) for a, b in pairs), "addition")


def dates(n: int = 50_000, seed: int = 0) -> Pairs:
    """Dates as people write them, to be written as ISO 8601: "Sep 30, 1981                 " -> "_1981-09-30".

    29 characters, filled up with blanks, of the days from 1970 to 2017 drawn uniformly. The forms, drawn by these
    chances: 9/30/81 (1/4), Sep 30, 1981 (1/4), September 30, 1981 (1/4), Wednesday, September 30, 1981 (1/4); those
    with words as they stand, in capitals or in small letters (1/3 each).

    `$DENPA_DATA/sequence/date.txt` is read where it is there and the first 50,000 are asked for (n, seed as above);
    else the pairs are drawn.

    Args:
        n: how many pairs.
        seed: draws them.

    Source: the form of Saito (2018), Deep Learning from Scratch 2, chapter 8.
    """
    n, seed = as_whole(n, "n", 1, 10_000_000), as_whole(seed, "seed", 0)
    if found := _given("date", n, seed):
        return found
    rng = np.random.default_rng(seed)
    first, last = datetime.date(1970, 1, 1).toordinal(), datetime.date(2017, 12, 31).toordinal()
    days = [datetime.date.fromordinal(int(day)) for day in rng.integers(first, last + 1, n)]
    forms, cases = rng.integers(0, 4, n), rng.integers(0, 3, n)
    sources = tuple(_written(day, int(form), int(case)) for day, form, case in zip(days, forms, cases, strict=True))
    return Pairs(sources, tuple(f"_{day.isoformat()}" for day in days), "dates")


def read_pairs(path: str | Path) -> Pairs:
    """The pairs of a text file: on each line a source and, from the sign "_" on, its answer.

    Raises:
        DataError: a file that cannot be read, or a line without the sign; the line is named.
        FileFormatError: not UTF-8.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if "_" not in line:
            raise DataError(f'{path}, line {number}: no "_" between the source and its answer.')
    cut = [line.partition("_") for line in lines]
    return Pairs(tuple(a for a, _, _ in cut), tuple(f"_{b}" for _, _, b in cut), Path(path).stem)


def _written(day: datetime.date, form: int, case: int) -> str:
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    text = (
        f"{day.month}/{day.day}/{day.year % 100:02d}",
        f"{month[:3]} {day.day}, {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{weekday}, {month} {day.day}, {day.year}",
    )[form]
    return (text, text.upper(), text.lower())[case].ljust(29)


def _given(name: str, n: int, seed: int) -> Pairs | None:
    """The user's file, where it is there and what it holds is asked for."""
    path = find(f"{name}.txt", "sequence")
    return read_pairs(path) if path is not None and (n, seed) == (50_000, 0) else None

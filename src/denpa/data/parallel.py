"""Two files of sentences that belong together line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from denpa.core.errors import DataError
from denpa.data.counted import counted
from denpa.data.fetched import find
from denpa.data.pairs import Pairs, PairSplits
from denpa.data.text import read_text

__all__ = ["enja", "read_parallel"]


def read_parallel(source: str | Path, target: str | Path) -> Pairs:
    """Line k of one text file and line k of the other, for every k.

    Raises:
        DataError: files that cannot be read, one with more lines than the other, a line that is empty on one side;
            the line is named.
        FileFormatError: not UTF-8.
    """
    sides = [read_text(path).removesuffix("\n").split("\n") for path in (source, target)]
    counts = [len(side) for side in sides]
    if counts[0] != counts[1]:
        longer, shorter = (source, target) if counts[0] > counts[1] else (target, source)
        raise DataError(
            f"{longer} has {counted(max(counts), 'line')} and {shorter} {min(counts):,}: line {min(counts) + 1} has no "
            "counterpart. Both must say the same, line by line."
        )
    for number, (left, right) in enumerate(zip(*sides, strict=True), start=1):
        if not left.strip() or not right.strip():
            empty = target if left.strip() else source
            raise DataError(f"{empty}, line {number} is empty: take the line out of both files, or fill it.")
    return Pairs(tuple(line.strip() for line in sides[0]), tuple(line.strip() for line in sides[1]), Path(source).stem)


def enja() -> PairSplits:
    """50,000 short English sentences and their Japanese, cut into words; 500 for validation and 500 for the test.

    The files train.en, train.ja, dev.en, dev.ja, test.en and test.ja, from `$DENPA_DATA/small_parallel_enja`.

    Raises:
        DataError: a file that is not there.

    Source: Odashi, small_parallel_enja, drawn from the Tanaka corpus (Tanaka 2001).
    """
    parts = []
    for part in ("train", "test", "dev"):
        files = [find(f"{part}.{language}", "small_parallel_enja") for language in ("en", "ja")]
        if files[0] is None or files[1] is None:
            raise DataError(
                f"{part}.en and {part}.ja are not in $DENPA_DATA/small_parallel_enja: get them from "
                "https://github.com/odashi/small_parallel_enja (join the five parts of train.en and of train.ja)."
            )
        parts.append(replace(read_parallel(files[0], files[1]), name=f"enja {part}"))
    return PairSplits(*parts)

"""The folder of results: for each study its numbers, its table and its pictures.

NAME/result.json   what was run, every check, the captions
NAME/table.csv     the numbers behind the pictures
NAME/*.png, *.svg  the pictures; *.gif what moves
"""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import denpa
from denpa.core.errors import FileFormatError, StorageError
from denpa.data.delimited import csv_text
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.training.storage import write_bytes, write_text

__all__ = ["FORMAT", "Stored", "read", "refuse_existing", "write"]

FORMAT = 1  # raised when result.json changes


class Stored:
    """A result read from its folder.

    Attributes:
        folder: where it lies.
        name, version, full, seeds, seconds: how it came about.
        checks, setting: as in `Result`.
        pictures: name, caption and whether there is an animation.
    """

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder, self.name, self.version = folder, content["study"], content["denpa"]
        self.full, self.seeds, self.seconds = content["full"], tuple(content["seeds"]), content["seconds"]
        self.checks = tuple(_check(entry) for entry in content["checks"])
        self.setting = None if content["setting"] is None else Text(**content["setting"])
        self.pictures = tuple((p["name"], Text(**p["caption"]), p["animated"]) for p in content["pictures"])

    @property
    def passed(self) -> bool:
        """Whether all checks have passed."""
        return all(check.passed for check in self.checks)


def refuse_existing(folder: Path, studies: tuple[Study, ...], overwrite: bool) -> None:
    """Refuse a folder where something of the studies lies already, before anything is computed.

    Raises:
        StorageError: there is a result, of this or another version, or something else.
    """
    for study in studies:
        place = folder / study.name
        if overwrite or not place.exists():
            continue
        try:
            found = read(place)
        except FileFormatError as error:
            raise StorageError(
                f"{error} Choose another folder with --output, or replace what is there with --overwrite."
            ) from None
        seeds = f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}"
        raise StorageError(
            f"{place} holds a result already ({'full' if found.full else 'quick'}, {seeds}): choose another folder "
            "with --output, or replace it with --overwrite."
        )


def write(folder: Path, study: Study, plan: Plan, result: Result, seconds: float) -> Stored:
    """Put a result into its folder; result.json comes last, so that a result is whole or not there.

    Raises:
        StorageError: the folder cannot be written. One that was not there before is not there then.
    """
    place = folder / study.name
    new = not place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.json").unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot write {place}: {error.strerror}.") from error
    try:
        return _fill(place, study, plan, result, seconds)
    except BaseException:
        if new:
            shutil.rmtree(place, ignore_errors=True)
        raise


def _fill(place: Path, study: Study, plan: Plan, result: Result, seconds: float) -> Stored:
    for picture in result.pictures:
        _write_picture(place, picture)
    if result.rows:
        names = list(dict.fromkeys(name for row in result.rows for name in row))
        write_text(place / "table.csv", csv_text([names, *([row.get(name) for name in names] for row in result.rows)]))
    content = {
        "format": FORMAT,
        "denpa": denpa.__version__,
        "study": study.name,
        "full": plan.full,
        "seeds": list(plan.seeds),
        "seconds": round(seconds, 3),
        "setting": None if result.setting is None else vars(result.setting),
        "checks": [_plain(check) for check in result.checks],
        "pictures": [
            {"name": p.name, "caption": vars(p.caption), "animated": bool(p.animation)} for p in result.pictures
        ],
    }
    write_text(place / "result.json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return Stored(place, content)


def read(place: Path) -> Stored:
    """The result in the folder of a study.

    Raises:
        FileFormatError: there is none, it is damaged, or another version of denpa wrote it.
    """
    file = place / "result.json"
    if not file.is_file():
        raise FileFormatError(f"{place} holds no result of a study: there is no result.json in it.")
    try:
        content = json.loads(file.read_text("utf-8"))
        version, form = content["denpa"], content["format"]
        if form == FORMAT and version == denpa.__version__:
            return Stored(place, content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{file} is damaged: {error!r}.") from None
    raise FileFormatError(f"{file} was written by denpa {version} (format {form}), this is denpa {denpa.__version__}.")


def _write_picture(place: Path, picture: Picture) -> None:
    from matplotlib import rc_context

    # Text stays text in the SVG: it can be searched, and shown in Japanese by the fonts of whoever reads it.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": picture.name}):
        for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            content = io.BytesIO()
            picture.figure.savefig(content, format=kind, **options)
            write_bytes(place / f"{picture.name}.{kind}", content.getvalue())
    if picture.animation:
        write_bytes(place / f"{picture.name}.gif", picture.animation)


def _plain(check: Check) -> dict[str, Any]:
    """A check for JSON, which knows neither infinity nor NaN: both are written as words."""
    return {
        "claim": vars(check.claim),
        "values": [value if math.isfinite(value) else str(value) for value in check.values],
        "low": None if math.isinf(check.low) else check.low,
        "high": None if math.isinf(check.high) else check.high,
        "contradicts": check.contradicts,
        "passed": check.passed,
    }


def _check(entry: dict[str, Any]) -> Check:
    low = -math.inf if entry["low"] is None else entry["low"]
    high = math.inf if entry["high"] is None else entry["high"]
    values = tuple(float(value) for value in entry["values"])
    return Check(Text(**entry["claim"]), values, low, high, entry["contradicts"])

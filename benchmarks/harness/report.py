"""Results: a JSON file with everything, and a Markdown file fit for the documentation."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from harness.machine import ROOT
from harness.timing import worth_of_cores

__all__ = ["say", "show", "table", "write"]


def say(line: str) -> None:
    """A line about the progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def show(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, without exponent; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(places, 0)}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column to the left, numbers to the right."""
    marks = [":---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))


def write(name: str, options: argparse.Namespace, about: dict[str, Any], results: Any, text: str) -> Path:
    """Write `name`.json and `name`.md; the text ends with where and how it was measured."""
    options.out.mkdir(parents=True, exist_ok=True)
    arguments = {key: _inside(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    path = options.out / f"{name}.json"
    about = {**about, "worth_of_cores": worth_of_cores()}
    content = {"benchmark": name, **about, "arguments": arguments, "results": results}
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    path.with_suffix(".md").write_text(f"{text}\n\n{_provenance(about, options)}\n", "utf-8")
    sys.stdout.write(f"{path}\n")
    return path


def _inside(path: Path) -> str:
    """A path in the project as seen from its root, and the name of another: results do not tell where they lay."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def _provenance(about: dict[str, Any], options: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    quick = " **Smoke run: these figures mean nothing.**" if options.quick else ""
    memory = "" if about["memory_gib"] is None else f", {about['memory_gib']:g} GiB"
    worth = about["worth_of_cores"]
    together = (
        ""
        if worth is None
        else (f" (together worth {worth['median']:.2f} of one, {worth['least']:.2f} to {worth['most']:.2f})")
    )
    load = "" if about["load_before"] is None else f", load before the run {about['load_before']:.1f}"
    return (
        f"*{about['cpu']}, {about['cores']} cores{together}{memory}, {about['os']}; {options.threads} threads for each "
        f"contestant; {options.rounds} rounds; {about['date'][:10]}{load}. {versions}.*{quick}"
    )

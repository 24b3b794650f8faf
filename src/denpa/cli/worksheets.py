"""The command `denpa worksheet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denpa.cli.commands import Places, wanted
from denpa.core.errors import ConfigError, StorageError, nearest
from denpa.lab.worksheet import checked_language, html, latex_source, worksheet
from denpa.training.storage import write_text

__all__ = ["COMMANDS"]

_FORMATS = {"html": (".html", html), "latex": (".tex", latex_source)}


def worksheet_(options: Any, places: Places, words: list[str]) -> int:
    """Write the worksheet of a network."""
    what = wanted(options.network, "NETWORK", "worksheet")
    language = checked_language(options.language)
    if options.format not in _FORMATS:
        raise ConfigError(f"Unknown format {options.format!r}: {nearest(options.format, _FORMATS, plural='formats')}")
    ending, write = _FORMATS[options.format]
    output = Path(options.output) if options.output else None
    _refuse(output, options.overwrite)
    sheet = worksheet(what, numbers=not options.no_numbers, example=options.example, seed=options.seed)
    if output is None:
        output = Path(f"worksheet-{sheet.name}{'-answers' * options.answers}{ending}")
        _refuse(output, options.overwrite)
    write_text(output, write(sheet, language, answers=options.answers))
    blanks = sum(len(step.blanks(language)) for step in sheet.steps)
    print(f"{len(sheet.steps)} steps with {blanks} {'answers' if options.answers else 'blanks'} in {output}")
    return 0


COMMANDS = {"worksheet": worksheet_}


def _refuse(output: Path | None, overwrite: bool) -> None:
    if output is not None and output.exists() and not overwrite:
        raise StorageError(f"{output} exists already: choose another place, or replace it with --overwrite.")

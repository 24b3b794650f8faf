"""The command `denpa worksheet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denpa.cli.asked import wanted
from denpa.cli.output import free_file
from denpa.cli.parse import Places
from denpa.core.errors import ConfigError, nearest
from denpa.data.counted import counted
from denpa.lab.worksheet import checked_language, html, latex_source, worksheet
from denpa.training.storage import write_text

__all__ = ["COMMANDS"]

_FORMATS = {"html": (".html", html), "latex": (".tex", latex_source)}


def worksheet_(options: Any, places: Places, words: list[str]) -> int:
    """Write the worksheet of a network."""
    what = wanted(options.network, "NETWORK", "worksheet")
    language = checked_language(options.language)
    if options.example < 0:
        raise ConfigError(f"--example wants a whole number, 0 or more, not {options.example}.")
    kind = options.format or {".tex": "latex", ".pdf": "pdf"}.get(Path(options.output).suffix.lower(), "html")
    if kind not in _FORMATS:
        raise ConfigError(f"Unknown format {kind!r}: {nearest(kind, _FORMATS, plural='formats')}")
    ending, write = _FORMATS[kind]
    output = free_file(options.output, options.overwrite) if options.output else None
    sheet = worksheet(what, numbers=not options.no_numbers, example=options.example, seed=options.seed)
    if output is None:
        output = free_file(f"worksheet-{sheet.name}{'-answers' * options.answers}{ending}", options.overwrite)
    write_text(output, write(sheet, language, answers=options.answers))
    blanks = sum(len(step.blanks(language)) for step in sheet.steps)
    gaps = counted(blanks, "answer" if options.answers else "blank")
    print(f"{counted(len(sheet.steps), 'step')} with {gaps} in {output}")
    return 0


COMMANDS = {"worksheet": worksheet_}

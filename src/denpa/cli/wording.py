"""What the library says, in the words of the command line: options in the place of Python's arguments."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterable
from typing import Any

__all__ = ["for_command_line"]

_OPTIONS = {name: f"--{name}" for name in ("target", "task", "missing", "ignore", "categorical")}
_READING = ("delimiter", "header", "encoding", "decimal", "missing_values", "size", "grayscale", "skip_bad", "level")
_OPTIONS |= {name: f"--data.options.{name}" for name in _READING}
_ARGUMENT = re.compile(
    rf"\b(?P<name>{'|'.join(_OPTIONS)})="
    r"""(?P<value>\.\.\.|'[^']*'|"[^"]*"|\[[^\]]*\]|\{[^}]*\}|\([^)]*\)|\w+)"""
)
_METAVARS = {"target": "COLUMN", "ignore": "COLUMN ...", "categorical": "COLUMN ...", "missing": "WAY"}
_CLIPPED = '{type = "Chain", parts = [{type = "ClipByNorm", max_norm = 1.0}, {type = "Adam"}]}'
_PHRASES = {
    "TrainingConfig.": "training.",
    "DataConfig.": "data.",
    "Options.learning_rate": "--learning-rate",
    "Choose missing=... ": "Choose by --missing: ",
    "clip gradients with dp.chain(dp.ClipByNorm(1.0), ...)": f"clip gradients with --optimizer '{_CLIPPED}'",
    "or split with stratify=False": "or hold none back: --data.test 0 --validation 0",
    "Add examples, or hold none back.": "Add examples, or hold none back: --data.test 0 --validation 0.",
    "as ScaleImages(maximum=...), or use Standardize()": "as --normalizer.maximum ..., or use --normalizer Standardize",
    "give a shrinkage such as 0.1": "give --training.shrinkage 0.1",
    "size=(height, width)": "--data.options.size '[height, width]'",
    "only (in a config initial_only), such as": "--initial-only, such as",
}


def for_command_line(text: str) -> str:
    """A message with every argument such as `decimal=','` as the option that gives it: `--data.options.decimal ,`."""
    for phrase, ours in _PHRASES.items():
        text = text.replace(phrase, ours)
    return _ARGUMENT.sub(_as_option, text)


def _as_option(found: re.Match[str]) -> str:
    name = found["name"]
    try:
        value = ast.literal_eval(found["value"].replace(", ...}", "}"))
    except (ValueError, SyntaxError):  # the user's own text, not an argument
        return found[0]
    if isinstance(value, dict):
        return f"--data.{name} {_toml('{', [f'{_text(key)} = {_text(way)}' for key, way in value.items()], '}')}"
    if name in _METAVARS and value in (..., [...]):
        return f"{_OPTIONS[name]} {_METAVARS[name]}"
    if name in ("ignore", "categorical") and isinstance(value, list):
        return " ".join([_OPTIONS[name], *map(_word, value)])
    if isinstance(value, (list, tuple)):
        return f"{_OPTIONS[name]} {_toml('[', map(_text, value), ']')}"
    if isinstance(value, str) and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?|true|false|none", value, re.IGNORECASE):
        value = json.dumps(value)  # what would be read as a number, a truth value or nothing
    return f"{_OPTIONS[name]} {_word(value)}"


def _toml(opening: str, entries: Iterable[str], closing: str) -> str:
    return shlex.quote(opening + ", ".join(entries) + closing)


def _text(value: Any) -> str:
    return "..." if value is ... else json.dumps(value, ensure_ascii=False)


def _word(value: Any) -> str:
    """A value as one word of a shell; punctuation in quotes, lest it be read as that of the sentence."""
    word = str(value).lower() if isinstance(value, bool) else str(value)
    return shlex.quote(word) if any(map(str.isalnum, word)) else f"'{word}'"

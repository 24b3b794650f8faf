"""From words to options: what is fixed by tyro, what has a place in the experiment by its name."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import re
from typing import Any

from denpa.cli.habits import for_file, for_option
from denpa.core.errors import ConfigError, nearest
from denpa.lab.experiment import Experiment
from denpa.lab.overrides import read_value

__all__ = ["Places", "changes_of", "names_of", "number", "parsed", "refuse_options", "whole"]

Places = list[tuple[str, Any]]  # places in the experiment, such as ("optimizer.beta1", 0.8)

_TEXTS = ("data", "task", "ignore", "categorical")  # what must not be read as a number
_BOX = str.maketrans("", "", "╭╮╰╯│─━┃┏┓┗┛")


def parsed(command: str, words: list[str]) -> tuple[Any, Places]:
    """The options of a command, and the changes by place such as ("optimizer.beta1", 0.8).

    Raises:
        ConfigError: an unknown option (the nearest is named), a missing value, a word too many.
    """
    import tyro

    from denpa.cli import options

    kind = getattr(options, command.capitalize())
    of_places = (options.OfExperiment, options.OfRun, options.Landscape)
    given = words
    places, words = _places(words) if issubclass(kind, of_places) else ([], words)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found, rest = tyro.cli(
                kind,
                args=words,
                prog=f"denpa {command}",
                return_unknown_args=True,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            )
    except SystemExit as error:
        if error.code == 0:
            raise
        raise ConfigError(f"{_first_sentence(said.getvalue())} See denpa {command} --help.") from None
    if rest:
        raise ConfigError(_unknown(rest[0], kind, command, given))
    return found, places


def changes_of(found: Any, places: Places) -> Places:
    """All changes that the options ask for, those by place after those with a short name.

    Raises:
        ConfigError: one place in both ways.
    """
    from denpa.cli.options import PLACES

    changes: Places = []
    long = {place for place, _ in places}
    for name, place in PLACES.items():
        given = getattr(found, name)
        if given in ("", ()):
            continue
        if place in long:
            raise ConfigError(f"--{name.replace('_', '-')} and --{place} are the same option: give one of them.")
        if name in _TEXTS:
            value = given if isinstance(given, str) else list(given)
        else:
            value = read_value([given] if isinstance(given, str) else list(given))
        if name == "early_stopping" and value is None:
            place = "training.early_stopping"
        changes.append((place, value))
    return [*changes, *places]


def refuse_options(options: Any, names: tuple[str, ...], other: str) -> None:
    """Refuse those of the options that would change nothing; they are for something else."""
    untouched = type(options)()
    for name in names:
        if getattr(options, name) != getattr(untouched, name):
            raise ConfigError(f"--{name.replace('_', '-')} is for {other}: leave it out.")


def number(text: str, option: str) -> float:
    """The number that an option is given; a `ConfigError` where it is none."""
    value = read_value([text])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"--{option} wants numbers, not {text!r}.")
    return float(value)


def whole(text: str, option: str, least: int = 0) -> int:
    """The same for a whole number, `least` or more."""
    value = read_value([text])
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"--{option} wants a whole number, {least} or more, not {text!r}.")
    return value


def _places(words: list[str]) -> tuple[Places, list[str]]:
    """The options that name a place in the experiment, each with one value, and the other words."""
    from denpa.cli.options import OfExperiment

    short = {field.name for field in dataclasses.fields(OfExperiment)}
    parts = {field.name for field in dataclasses.fields(Experiment)}
    places, rest, index = [], [], 0
    while index < len(words):
        name, equals, value = words[index].partition("=")
        place = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or not ("." in place or place in parts - short):
            rest.append(words[index])
            index += 1
            continue
        if not equals:
            index += 1
            if index == len(words):
                raise ConfigError(f"{name} wants a value.")
            value = words[index]
        if (part := place.partition(".")[0]) not in parts:
            raise ConfigError(f"Unknown option {name!r}: {nearest(part, parts, plural='parts of an experiment')}")
        places.append((place, read_value([value])))
        index += 1
    return places, rest


def _unknown(word: str, kind: type[Any], command: str, given: list[str]) -> str:
    from denpa.cli import options

    if not word.startswith("-"):
        option, value = ["", "", *given[: given.index(word)]][-2:]
        if re.match(r"--\w+\.", option):  # a place, which takes one word
            values = json.dumps([read_value([value]), read_value([word])], ensure_ascii=False)
            return f"One word too many: {word!r}. A list is one word: {option} '{values}'."
        if command == "sweep" and option.startswith("--"):
            return f"One word too many: {word!r}. Values to compare are one word: {option} {value},{word}."
        return f"One word too many: {word!r}. {for_file(word, command) or f'See denpa {command} --help.'}"
    known = [*names_of(kind), "--debug", "--help"]
    word = word.partition("=")[0]
    if homes := [f"denpa {name.lower()}" for name in options.__all__ if word in names_of(getattr(options, name))]:
        there = " and ".join(homes)
        return f"denpa {command} has no option {word!r}, which is for {there}. See denpa {command} --help."
    return f"Unknown option {word!r}: {for_option(word, command) or nearest(word, known, plural='options')}"


def names_of(kind: type[Any]) -> list[str]:
    """The options of a command: its first field has no name on the command line, it is what the command is about."""
    return [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(kind)[1:]]


def _first_sentence(text: str) -> str:
    """What tyro says inside its frame, up to the first rule, on one line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    inside: list[str] = []
    for line in plain.splitlines()[1:]:
        rule = set(line.strip("│╭╮╰╯ ")) <= {"─", "-"}  # of dashes where the terminal has no other signs
        if rule and inside:
            break
        inside += [] if rule else [line.translate(_BOX).strip()]
    said = " ".join(" ".join(inside).split()) or "The options cannot be read."
    return said.replace("Expected 1 values", "Expected 1 value")

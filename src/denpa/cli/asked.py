"""What a command is asked about: an experiment, or a word that it cannot do without."""

from __future__ import annotations

from typing import Any

from denpa.cli.parse import Places, changes_of
from denpa.core.errors import ConfigError
from denpa.lab.assemble import assemble
from denpa.lab.experiment import Experiment
from denpa.lab.overrides import read_value

__all__ = ["assembled", "wanted"]


def assembled(
    options: Any, places: Places, read: bool = True, changes: Places | None = None, data: Any = None
) -> tuple[Experiment, Any]:
    """The experiment that the options ask for, and its data, or what these look like.

    Args:
        options: of the command.
        places: changes by place.
        read: False for what the data look like.
        changes: all changes, in place of those that options and places name.
        data: the data, where they have been read already.
    """
    what = wanted(options.experiment, "PRESET or CONFIG.toml", type(options).__name__.lower())
    hidden = read_value(list(options.hidden)) if options.hidden else None
    hidden = [hidden] if hidden is not None and not isinstance(hidden, list) else hidden
    changes = changes_of(options, places) if changes is None else changes
    asked = {"hidden": hidden, "activation": options.activation or None}
    asked["code"] = read_value([options.code]) if options.code else None
    return assemble(what, changes, **asked, read=read, data=data)


def wanted(given: str, what: str, command: str) -> str:
    """The word that a command cannot do without."""
    if not given:
        raise ConfigError(f"denpa {command} wants {what}. See denpa {command} --help.")
    return given

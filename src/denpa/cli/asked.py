"""What a command is asked about: an experiment, or a word that it cannot do without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denpa.cli.parse import Places, changes_of
from denpa.core.errors import ConfigError
from denpa.data.dataset import Dataset
from denpa.lab.assemble import assemble
from denpa.lab.experiment import Experiment
from denpa.lab.overrides import read_value
from denpa.lab.sources import load_data
from denpa.lab.trained import Trained

__all__ = ["assembled", "given", "is_run", "reading", "training_examples", "wanted"]


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


def given(options: Any, places: Places) -> list[str]:
    """The options that were given of an experiment, as the places that they name."""
    named = [f"--{name}" for name in ("hidden", "activation", "code") if getattr(options, name)]
    return [*(f"--{place}" for place, _ in changes_of(options, places)), *named]


def is_run(what: str, options: Any, places: Places, *allowed: str) -> bool:
    """Whether a run or a model file is meant, in place of an experiment.

    Raises:
        ConfigError: it is, and options are given that it has had since its beginning.
    """
    if not Path(what).is_dir() and not what.endswith(".safetensors"):
        return False
    for option in given(options, places):
        if option not in allowed:
            raise _has_its_own(what, option)
    return True


def reading(places: Places, source: str, option: str) -> dict[str, Any]:
    """How new data are to be read, by the option that names them.

    Raises:
        ConfigError: other options than those, or no new data.
    """
    for place, _ in places:
        if not place.startswith("data.options."):
            raise _has_its_own("The model", f"--{place}")
        if not source:
            raise ConfigError(f"--{place} is for new data: name them by --{option} FILE.")
    return {place.removeprefix("data.options."): value for place, value in places}


def _has_its_own(what: str, option: str) -> ConfigError:
    return ConfigError(f"{what} has been trained, with options of its own: leave {option} out.")


def training_examples(trained: Trained, source: str, places: Places) -> Dataset:
    """The training examples of a run, or others of the same form where a source is named, read as the places say."""
    options = reading(places, source, "data")
    if source:
        return trained.labelled(source, **options)
    if trained.experiment is None:
        raise ConfigError("A model file alone has no data: name them with --data FILE, or give a run folder.")
    return load_data(trained.experiment.data).train


def wanted(given: str, what: str, command: str) -> str:
    """The word that a command cannot do without."""
    if not given:
        raise ConfigError(f"denpa {command} wants {what}. See denpa {command} --help.")
    return given

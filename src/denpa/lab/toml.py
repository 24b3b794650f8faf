"""Experiments as TOML: the dicts of `to_config` with what goes without saying left out.

The experiment itself and its parts `data` and `training` are of one class each, so that no `type` is
written there; `data.options` and `data.missing` are tables.
"""

from __future__ import annotations

import copy
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError, nearest
from denpa.data.arguments import as_path

__all__ = ["CLASSES", "MAPPINGS", "data_of", "described", "dumps", "load", "plain", "plain_data"]

CLASSES = {"data": "DataConfig", "training": "TrainingConfig"}
MAPPINGS = ("missing", "options")


def plain(experiment: Any) -> dict[str, Any]:
    """An experiment as the dicts that its TOML holds, name first."""
    config = to_config(experiment)
    del config["type"]
    config["name"], config["data"] = experiment.name, plain_data(experiment.data)
    config.get("training", {}).pop("type", None)
    return {key: config[key] for key in sorted(config, key=lambda key: key != "name")}


def plain_data(data: Any) -> dict[str, Any]:
    """The same for a `DataConfig`."""
    config = to_config(data)
    del config["type"]
    for name in MAPPINGS:
        pairs = config.get(name)
        if isinstance(pairs, list) and all(isinstance(pair, list) for pair in pairs):
            config[name] = dict(pairs)
    return config


def dumps(experiment: Any) -> str:
    """An experiment as TOML."""
    import tomli_w

    try:
        return tomli_w.dumps(plain(experiment))
    except TypeError as error:
        raise ConfigError(f"{experiment.name!r} cannot be written as TOML: {error}.") from None


def load(path: str | Path) -> dict[str, Any]:
    """The dicts of a TOML file.

    Raises:
        ConfigError: no such file, or no TOML; the line is named.
    """
    try:
        return tomllib.loads(as_path(path).read_text("utf-8-sig"))  # some editors put a byte order mark in front
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from None


def described(cls: type[Any], config: Mapping[str, Any], where: str = "") -> Any:
    """The experiment of such dicts; the errors say in which file."""
    if not isinstance(config, Mapping):
        raise ConfigError(f"An experiment is described by a dict of its parts, not by {type(config).__name__}.")
    config = copy.deepcopy(dict(config))
    config["type"] = cls.__name__
    known = [field.name for field in dataclasses.fields(cls)]
    try:
        for key in config:
            if key not in (*known, "type"):
                raise ConfigError(f"An experiment has no part {key!r}: {nearest(key, known, plural='parts')}")
        for part, name in CLASSES.items():
            if part in config:
                if not isinstance(config[part], dict):
                    raise ConfigError(f"{part} must be a table of options, not {config[part]!r}.")
                config[part] = _with_pairs({"type": name, **config[part]})
        return from_config(config, cls)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None


def data_of(config: Mapping[str, Any]) -> Any:
    """The `DataConfig` of its dicts."""
    return from_config(_with_pairs({"type": CLASSES["data"], **config}), where="data")


def _with_pairs(config: dict[str, Any]) -> dict[str, Any]:
    """Tables of the user's own names as pairs, for a dict would be taken for a description."""
    for name in MAPPINGS:
        if isinstance(config.get(name), dict):
            config[name] = [list(pair) for pair in sorted(config[name].items())]
    return config

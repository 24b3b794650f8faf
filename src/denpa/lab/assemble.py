"""From a preset or a config file, and changes by place, to an experiment."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from denpa.core.errors import ConfigError, nearest
from denpa.lab import presets, toml
from denpa.lab.experiment import DataConfig, Experiment
from denpa.lab.overrides import assign
from denpa.lab.sources import Look, Prepared, is_table, load_data, look_of

__all__ = ["Change", "assemble"]

Change = tuple[str, Any]

# What a preset takes into account itself, so that what hangs on it, such as a falling rate, fits.
_TAKEN = {"optimizer.learning_rate": "learning_rate"}
_TAKEN |= {f"training.{name}": name for name in ("epochs", "batch_size", "seed", "members", "bootstrap", "rtrl")}


def assemble(
    what: str,
    changes: list[Change],
    *,
    hidden: Any = None,
    activation: str | None = None,
    code: Any = None,
    read: bool = True,
    data: Prepared | None = None,
) -> tuple[Experiment, Prepared | Look]:
    """The experiment and its data.

    Args:
        what: the name of a preset, or the path of a TOML file.
        changes: places and values, such as ("training.epochs", 5); the later ones win.
        hidden, activation, code: for presets: units of the hidden layers, what follows each, units of a code.
        read: False for what the data look like, in place of the data.
        data: the data, where they have been read already for the same changes of `data`.

    Raises:
        ConfigError: an unknown preset, no such file, an unknown place or value (the nearest is named).
        DataError, FileFormatError: data that cannot be read or learned from.
    """
    if (is_table(what) or what.endswith(".npz")) and Path(what).is_file():
        raise ConfigError(f"{what} holds data, not an experiment: --data {what}, behind a preset such as mlp.")
    if what.endswith(".toml") or Path(what).is_file():
        if hidden is not None or activation is not None or code is not None:
            raise ConfigError(
                "--hidden, --activation and --code are for presets; a config file lists its own network.layers."
            )
        experiment = _changed(Experiment.from_toml(what), changes)
        return experiment, data or (load_data(experiment.data) if read else look_of(experiment.data))
    if what not in presets.PRESETS and Path(what).is_dir():
        raise ConfigError(
            f"{what!r} is a folder: go on with a run by --resume {what}, or begin anew from {what}/config.toml."
        )
    if what not in presets.PRESETS:
        hint = nearest(what, presets.PRESETS, plural="presets")
        raise ConfigError(f"{what!r} is neither a preset nor a file: {hint}")
    ours = [change for change in changes if change[0].partition(".")[0] == "data"]
    rest = [change for change in changes if change not in ours]
    usual = None if read or ours else presets.find(what).usual
    config = presets.find(what).data if usual else _data(what, ours)
    options, rest = _options(rest, hidden=hidden, activation=activation, code=code)
    found = data or usual or (load_data(config) if read else look_of(config))
    look = found.look if isinstance(found, Prepared) else found
    return _changed(presets.build(what, options, config, look), rest), found


def _data(name: str, changes: list[Change]) -> DataConfig:
    """The data of a preset with changes; of another source, only task and part for validation are kept."""
    preset = presets.find(name)
    config = toml.plain_data(preset.data)
    places = dict(changes)
    source = places.pop("data.source", None)
    if source is None and preset.wants_data:
        raise ConfigError(f"The preset {name!r} is for data of your own: {preset.wants_data}.")
    if source not in (None, preset.data.source):
        config = {"source": source, **{key: config[key] for key in ("validation", "task") if key in config}}
    whole = {"data": config}
    for place, value in places.items():
        assign(whole, place, value)
    return toml.data_of(whole["data"])


def _options(changes: list[Change], **asked: Any) -> tuple[presets.Options, list[Change]]:
    """What the preset itself takes into account, and the changes that remain."""
    other_optimizer = any(place in ("optimizer", "optimizer.type") for place, _ in changes)
    taken, rest = {}, []
    for place, value in changes:
        simple = value is not None and not isinstance(value, (dict, list))
        if place in _TAKEN and simple and not (other_optimizer and place.startswith("optimizer")):
            taken[_TAKEN[place]] = value
        else:
            rest.append((place, value))
    return presets.Options(**asked, **taken), rest


def _changed(experiment: Experiment, changes: list[Change]) -> Experiment:
    """The experiment with changes; a change of a whole part comes before changes inside it."""
    if not changes:
        return experiment
    config = copy.deepcopy(toml.plain(experiment))
    for place, value in sorted(changes, key=lambda change: change[0].count(".")):
        assign(config, place, value)
    return Experiment.from_config(config)

"""Single options of an experiment changed by their place: `optimizer.learning_rate`, `network.layers.0.units`.

Changes are made on the dicts that `to_config` writes, so that every check is that of the classes themselves.
"""

from __future__ import annotations

import tomllib
from typing import Any

from denpa.core.description import Description, registered
from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Layer
from denpa.data.counted import counted
from denpa.data.normalise import Normalizer
from denpa.init.base import Initializer
from denpa.losses import Loss
from denpa.metrics import Metric
from denpa.networks import Network
from denpa.optim import Schedule, Transform
from denpa.penalties import Penalty

__all__ = ["assign", "read_value"]

# What a part is when only one of its options is named.
_USUAL = {
    "optimizer": "Adam",
    "early_stopping": "EarlyStopping",
    "network": "Sequential",
    "penalty": "L2",
    "normalizer": "Standardize",
    "target_normalizer": "Standardize",
    "kernel_init": "Glorot",
    "recurrent_init": "Orthogonal",
    "bias_init": "Constant",
    "threshold_init": "Constant",
}
# What a part may be, of those that are named by their class.
_KINDS: dict[str, type[Any]] = {
    "optimizer": Transform,
    "early_stopping": Description,
    "network": Network,
    "penalty": Penalty,
    "normalizer": Normalizer,
    "target_normalizer": Normalizer,
    "loss": Loss,
    "metric": Metric,
    "learning_rate": Schedule,
    "schedule": Schedule,
    "kernel_init": Initializer,
    "recurrent_init": Initializer,
    "bias_init": Initializer,
    "threshold_init": Initializer,
    "layers": Layer,
}
_PLURALS = {Transform: "optimizers", Penalty: "penalties", Loss: "losses", Description: "names"}
# Rates to begin with for optimisers that have no default of their own.
_RATES = {"SGD": 0.1, "Momentum": 0.05, "Nesterov": 0.05, "AdaGrad": 0.01, "RMSprop": 0.001}


def read_value(texts: list[str]) -> Any:
    """The value that words of a command line stand for: as TOML writes it, else the text itself; none is `None`."""
    values = [_read(text) for text in texts]
    return values[0] if len(values) == 1 else values


def _read(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        found = tomllib.loads(f"value = {text}")
        value = found["value"] if len(found) == 1 else text
    except tomllib.TOMLDecodeError:
        return {"true": True, "false": False}.get(text.lower(), text)
    return value if isinstance(value, (bool, int, float, str, list, dict)) else text  # a date is meant as text


def assign(config: dict[str, Any], place: str, value: Any) -> None:
    """Put `value` at `place` in the dicts of an experiment; None takes the option away, back to its default.

    The name of a class stands for the class with its defaults: `optimizer` = "SGD".

    Raises:
        ConfigError: a place that leads nowhere.
    """
    *parents, last = place.split(".")
    here: Any = config
    for position, name in enumerate(parents):
        here = _inside(here, name, ".".join(parents[: position + 1]))
    if isinstance(here, list):
        here[_index(here, last, place)] = _as_part("layers", value)
    elif value is None:
        here.pop(last, None)
    elif last == "type":
        _retype(here, value, parents[-1] if parents else "")
    else:
        here[last] = _as_part(last, value)


def _inside(here: Any, name: str, place: str) -> Any:
    if isinstance(here, list):
        found = here[_index(here, name, place)]
    elif isinstance(here, dict):
        if name not in here:
            here[name] = {"type": _USUAL[name]} if name in _USUAL else {}
        found = here[name]
    else:
        found = None
    if isinstance(found, list) and len(found) == 2 and isinstance(found[0], str) and isinstance(found[1], dict):
        found = found[1]  # ("name", layer)
    if not isinstance(found, (dict, list)):
        raise ConfigError(f"{place} is {found!r}, which has no options.")
    return found


def _index(here: list[Any], name: str, place: str) -> int:
    if not name.isdecimal() or int(name) >= len(here):
        last = f" to {len(here) - 1}" if len(here) > 1 else ""
        raise ConfigError(f"{place}: of {counted(len(here), 'entry')}, numbered from 0{last}, none is {name}.")
    return int(name)


def _as_part(name: str, value: Any) -> Any:
    if name == "metrics":
        return [_as_part("metric", entry) for entry in (value if isinstance(value, list) else [value])]
    if isinstance(value, str) and name in _KINDS:
        part: dict[str, Any] = {}
        _retype(part, value, name)
        return part
    return value


def _retype(part: dict[str, Any], name: Any, place: str) -> None:
    """Another class in the place of the one before, whose options make no sense any more."""
    kind = _KINDS.get(place, Description)
    known = {known.lower(): known for known in registered(kind)}
    if str(name).lower() not in known:
        plural = _PLURALS.get(kind, f"{kind.__name__.lower()}s")
        elsewhere = str(name).lower() in map(str.lower, registered(Description))
        fault = f"{name!r} is none of the {plural}" if elsewhere else f"There is no {name!r} in denpa"
        raise ConfigError(f"{fault}: {nearest(str(name), registered(kind), plural=plural)}")
    part.clear()
    part["type"] = known[str(name).lower()]
    if part["type"] in _RATES:
        part["learning_rate"] = _RATES[part["type"]]

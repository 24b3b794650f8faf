"""One file for a model: its arrays by path, its description in the header."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.description import from_config
from denpa.core.errors import ConfigError, DenpaError, FileFormatError
from denpa.core.layer import Variables
from denpa.data.arguments import as_path
from denpa.networks.base import Network
from denpa.training.plain import are, is_count, is_nested, is_number, is_plain, is_table, taken
from denpa.training.preparation import network_shape
from denpa.training.program import Run, key_of_run
from denpa.training.storage import read_arrays, write_arrays

__all__ = ["load", "save_model"]

_FORMAT = 1
# What a file says about a model besides its parts, and about the members of an ensemble; checks of both.
_OF_MODEL = {
    "steps": is_count,
    "epochs": is_count,
    "in_shape": is_nested(is_count),
    "feature_names": is_nested(is_plain),
}
_OF_MEMBERS = {
    "members": is_count,
    "bootstrap": lambda value: isinstance(value, bool),
    "examples": is_count,
    "epochs": is_count,
    "steps": is_count,
    "member_epochs": are(is_count),
    "member_steps": are(is_count),
    "out_of_bag": lambda value: is_table(value) and all(map(is_number, value.values())),
}


def save_model(model: Any, path: Any) -> None:
    """Write a model's variables and the statistics of its normalisers and encoder with the model's description."""
    params, state = model.variables
    arrays = {"params": params, "state": state, "statistics": model.statistics or {}, "encoder": model.encoder_arrays}
    write_arrays(path, arrays, {"format": _FORMAT, "kind": "model", "model": model.description()})


def load(path: Any) -> Any:
    """The model, or `Bagging`, that `save` wrote, ready to predict, to evaluate and to be trained further.

    Loading runs no code from the file: descriptions name classes of denpa or classes that you have
    defined before. It is strict: every missing, extra or misshapen array is listed.

    Args:
        path: a `model.safetensors`, or a run folder that holds one.

    Raises:
        FileFormatError: no such file, not a model file, damaged, of a newer format, or arrays that do
            not fit the description.
        ConfigError: the description names a class that is not known, or `path` is none.
    """
    path = as_path(path)
    path = path / "model.safetensors" if path.is_dir() else path
    arrays, description = read_arrays(path)
    if description.get("kind") not in ("model", "bagging"):
        raise FileFormatError(f"{path} holds no model but a checkpoint: give the run folder's model.safetensors.")
    if description.get("format", 0) not in range(_FORMAT + 1):
        raise FileFormatError(f"{path} has format {description['format']}, which needs a newer denpa.")
    bagging: dict[str, Any] = {}
    with _damage_told(path):
        model = _described(description["model"], path)
        model.statistics = _nested(arrays, "statistics") or (None if model.normalizer is None else {})
        model.encoder_arrays = _nested(arrays, "encoder")
        shape = network_shape(model)
        wanted = jax.eval_shape(lambda: model.net.init(jax.random.key(0), shape))._asdict()
        if description["kind"] == "bagging":  # the members' arrays are stacked
            bagging = taken(description["bagging"], _OF_MEMBERS, optional=("member_epochs", "member_steps"))
            front = (bagging["members"],)
            wanted = jax.tree.map(lambda a: jax.ShapeDtypeStruct(front + a.shape, a.dtype), wanted)
    learned = {name: a for name, a in arrays.items() if not name.startswith(("statistics/", "encoder/"))}
    if problems := tree.differences(learned, tree.flatten(wanted)):
        raise FileFormatError(f"{path} does not fit its own description: " + "; ".join(problems) + ".")
    variables = Variables(**tree.unflatten({name: jax.device_put(a) for name, a in learned.items()}, wanted))
    if bagging:
        from denpa.training.bagging import Bagging

        with _damage_told(path):
            return Bagging.restored(model, bagging, variables)
    steps = jax.device_put(np.int32(model.steps))
    model.run = Run(variables.params, variables.state, None, key_of_run(np.uint32(model.seed)), steps)
    return model


@contextlib.contextmanager
def _damage_told(path: Any) -> Iterator[None]:
    """Whatever a description that is none leads to becomes a `FileFormatError` with the file's name."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError) and str(error).startswith(f"{path}: "):
            raise  # a class or an option that is not known here
        told = str(error).rstrip(".") if isinstance(error, DenpaError) else repr(error)
        raise FileFormatError(f"{path}: the description of its model is damaged ({told}).") from None


def _described(config: dict[str, Any], path: Any) -> Any:
    from denpa.training.model import Model

    try:
        model = Model(
            from_config(config["network"], Network, "network"),
            loss=from_config(config["loss"], where="loss"),
            optimizer=from_config(config["optimizer"], where="optimizer"),
            metrics=from_config(config["metrics"], where="metrics"),
            penalty=from_config(config["penalty"], where="penalty"),
            normalizer=from_config(config["normalizer"], where="normalizer"),
            target_normalizer=from_config(config.get("target_normalizer"), where="target_normalizer"),
            seed=config["seed"],
            compute_dtype=config["compute_dtype"],
            class_names=config["class_names"],
            frozen=config.get("frozen", ()),
        )
        model.encoder = from_config(config.get("encoder"), where="encoder")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error} A class of your own must be defined before loading.") from None
    for name, value in taken(config, _OF_MODEL).items():
        setattr(model, name, tree.tupled(value))
    return model


def _nested(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return tree.nested(
        {n.removeprefix(f"{prefix}/"): jax.device_put(a) for n, a in arrays.items() if n.startswith(f"{prefix}/")}
    )

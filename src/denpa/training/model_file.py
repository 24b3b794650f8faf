"""One file for a model: its arrays by path, its description in the header."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.description import from_config
from denpa.core.errors import ConfigError, FileFormatError
from denpa.core.layer import Variables
from denpa.data.arguments import as_path
from denpa.networks.base import Network, differences
from denpa.training.preparation import network_shape
from denpa.training.program import Run, key_of_run
from denpa.training.storage import read_arrays, write_arrays

__all__ = ["load", "save_model"]

_FORMAT = 1


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
    try:
        model = _described(description["model"], path)
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path}: the description of its model is damaged ({error!r}).") from None
    model.statistics = _nested(arrays, "statistics") or (None if model.normalizer is None else {})
    model.encoder_arrays = _nested(arrays, "encoder")
    shape = network_shape(model)
    wanted = jax.eval_shape(lambda: model.net.init(jax.random.key(0), shape))._asdict()
    bagging = description.get("bagging")
    if bagging:  # the members' arrays are stacked
        front = (bagging["members"],)
        wanted = jax.tree.map(lambda a: jax.ShapeDtypeStruct(front + a.shape, a.dtype), wanted)
    learned = {name: a for name, a in arrays.items() if not name.startswith(("statistics/", "encoder/"))}
    if problems := differences(learned, tree.flatten(wanted)):
        raise FileFormatError(f"{path} does not fit its own description: " + "; ".join(problems) + ".")
    variables = Variables(**tree.unflatten({name: jax.device_put(a) for name, a in learned.items()}, wanted))
    if bagging:
        from denpa.training.bagging import Bagging

        return Bagging.restored(model, bagging, variables)
    steps = jax.device_put(np.int32(model.steps))
    model.run = Run(variables.params, variables.state, None, key_of_run(np.uint32(model.seed)), steps)
    return model


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
    model.in_shape = tree.tupled(config["in_shape"])
    model.feature_names = tree.tupled(config["feature_names"])
    model.steps, model.epochs = config["steps"], config["epochs"]
    return model


def _nested(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return tree.nested(
        {n.removeprefix(f"{prefix}/"): jax.device_put(a) for n, a in arrays.items() if n.startswith(f"{prefix}/")}
    )

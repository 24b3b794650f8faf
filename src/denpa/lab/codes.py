"""What a layer inside a trained network gives, such as the code of an autoencoder."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Context
from denpa.networks.inputs import entering
from denpa.training import Bagging, Model
from denpa.training.preparation import checked_input

__all__ = ["layer_output"]

_AT_ONCE = 1000


def layer_output(model: Model | Bagging, x: Any, layer: str) -> np.ndarray:
    """y of a layer for raw examples x, in inference mode: the code h = f(x) for the layer "encoder".

    Args:
        model: a trained model.
        x: (n, ...), raw, as `Model.predict` takes it; sequences may be `Padded`.
        layer: its path, such as "encoder" or "encoder/1_dense"; those of `model.summary()` and of the networks inside.

    Returns:
        (n, ...), one row for each example.

    Raises:
        ConfigError: there is no layer of this path; the nearest is named. Or the model is an ensemble, or none.
        DataError, ShapeError: as `Model.predict`.
    """
    if isinstance(model, Bagging):
        raise ConfigError("Every member of an ensemble has layers of its own: only the common output is predicted.")
    if not isinstance(model, Model) or not isinstance(layer, str):
        raise ConfigError(f"layer_output wants a Model and the name of a layer, not {model!r} and {layer!r}.")
    recipe, (params, state) = model.programs.recipe, model.variables

    @jax.jit
    def met(x: Any) -> dict[str, Any]:
        record = model.net.walk_forward(
            params, *entering(recipe.prepare(model.statistics, x), Context(train=False, state=state))
        )
        return {path: value.y for path, value in record[2].items()}

    x = checked_input(model, x)

    def cut(start: int, end: int) -> Any:
        return jax.tree.map(lambda array: array[start:end], x)

    known, count = jax.eval_shape(met, cut(0, 1)), len(jax.tree.leaves(x)[0])
    if layer not in known:
        raise ConfigError(f"There is no layer {layer!r} in this network: {nearest(layer, known, plural='layers')}")
    program = jax.jit(lambda x: met(x)[layer])
    return np.concatenate([np.asarray(program(cut(start, start + _AT_ONCE))) for start in range(0, count, _AT_ONCE)])

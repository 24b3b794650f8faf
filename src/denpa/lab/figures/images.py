"""What a convolutional network sees: its filters, its maps of an image, the images that it gets most wrong."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.layer import Context
from denpa.data.labels import true_classes
from denpa.lab.figures.inside import every_layer
from denpa.layers import Conv2d, Dense
from denpa.networks import Network
from denpa.training.preparation import network_shape
from denpa.training.storage import write_figure

__all__ = ["feature_maps", "filters", "first_convolution", "initial_filters", "most_wrong"]

_MOST_FILTERS = 64
_ACROSS = 16
_MOST_MAPS = 12
_MOST_LAYERS = 12


def first_convolution(net: Network) -> str | None:
    """The path of the first `Conv2d`, where no dense layer comes before it; None else."""
    for path, layer in every_layer(net):
        if isinstance(layer, Conv2d):
            return path
        if isinstance(layer, Dense):
            return None
    return None


def filters(before: Any, after: Any, path: Any) -> Any:
    """The filters W (height, width, channels, filters) of a layer, before and after training, on one scale each.

    Filters of one or three channels are shown as they are; of others the mean over the channels.
    """
    from matplotlib.figure import Figure

    halves = {"before training": np.asarray(before), "after training": np.asarray(after)}
    count = min(halves["after training"].shape[-1], _MOST_FILTERS)
    rows = -(-count // _ACROSS)
    figure = Figure(figsize=(0.55 * _ACROSS, 2 * (0.6 * rows + 0.35)), layout="constrained")
    parts: Any = figure.subfigures(2, 1)
    for part, (title, W) in zip(parts, halves.items(), strict=True):
        part.suptitle(title, fontsize=9)
        largest = float(np.abs(W).max()) or 1.0
        for place in range(count):
            axes = part.add_subplot(rows, _ACROSS, place + 1)
            _show(axes, W[..., place], largest)
    return write_figure(path, figure)


def _show(axes: Any, kernel: np.ndarray, largest: float) -> None:
    """A kernel: colours for three channels, else blue below and red above zero."""
    axes.set_axis_off()
    if kernel.shape[-1] == 3:
        axes.imshow(0.5 + 0.5 * kernel / largest)
    else:
        axes.imshow(kernel.mean(axis=-1), cmap="RdBu_r", vmin=-largest, vmax=largest)


def feature_maps(model: Any, image: Any, path: Any) -> Any:
    """What every layer makes of one raw image (height, width, channels): its first maps, a row for each layer."""
    from matplotlib.figure import Figure

    x = model.programs.recipe.prepare(model.statistics, np.asarray(image)[None])
    params, state = model.variables
    _, _, met = jax.jit(model.net.walk_forward)(params, x, Context(train=False, state=state))
    leaves = [path for path, layer in every_layer(model.net) if not isinstance(layer, Network)]
    shown = {path: np.asarray(met[path].y)[0] for path in leaves if getattr(met[path].y, "ndim", 0) == 4}
    chosen = dict(list({"input": np.asarray(x)[0], **shown}.items())[:_MOST_LAYERS])
    figure = Figure(figsize=(0.8 * _MOST_MAPS + 1.4, 0.85 * len(chosen)), layout="constrained")
    for row, (name, maps) in enumerate(chosen.items()):
        largest = float(np.abs(maps).max()) or 1.0
        for column in range(min(maps.shape[-1], _MOST_MAPS)):
            axes = figure.add_subplot(len(chosen), _MOST_MAPS, row * _MOST_MAPS + column + 1)
            axes.imshow(maps[..., column], cmap="RdBu_r", vmin=-largest, vmax=largest)
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                sizes = "×".join(map(str, maps.shape))
                axes.set_ylabel(f"{name}\n{sizes}", fontsize=7, rotation=0, ha="right", va="center")
    return write_figure(path, figure)


def most_wrong(model: Any, x: Any, t: Any) -> np.ndarray:
    """Indices of the examples of another class than the model says, those with the largest loss first."""
    outputs = model.predict(x)
    true = true_classes(t)
    losses = np.asarray(model.loss.per_item(outputs, np.asarray(true, np.int32))).reshape(len(true), -1).sum(axis=1)
    wrong = np.flatnonzero(np.asarray(model.loss.decide(outputs)) != true)
    return wrong[np.argsort(-losses[wrong], kind="stable")]


def initial_filters(model: Any, layer: str) -> np.ndarray:
    """W of a layer as the model's seed drew it."""
    fresh = type(model)(model.net, model.loss, seed=model.seed, in_shape=network_shape(model))
    return np.asarray(tree.flatten(fresh.variables.params)[f"{layer}/W"])

"""The pictures of an autoencoder: reconstructions, the code in two dimensions, the features that it has learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from denpa.classical import pca
from denpa.core import tree
from denpa.data import datasets
from denpa.lab.codes import layer_output
from denpa.lab.figures.inside import every_layer
from denpa.layers import Dense
from denpa.networks import Network
from denpa.training.figures import COLOURS
from denpa.training.storage import write_figure

__all__ = ["code", "features", "from_images_to_images", "reconstructions", "write_all"]

_SHOWN = 10
_MOST_POINTS = 4000
_MOST_FEATURES = 100
_MOST_CLASSES = 20


def write_all(folder: Path, run: Any, measured: Any) -> None:
    """What the run's test examples allow: images beside their reconstructions, code, features."""
    test, labels = run.data.test, run.data.labels
    shown = _one_of_each(labels, len(test))
    if test.x.ndim == 4 and test.x.shape[-1] in (1, 3):
        rows = {"input": test.x[shown], "output": measured.predicted[shown]}
        if test.t is not test.x:
            rows["target"] = test.t[shown]
        reconstructions(rows, folder / "reconstructions.png", ink=run.experiment.data.source in datasets.names())
    if "encoder" not in dict(run.model.net.inner()):
        return
    h = layer_output(run.model, test[:_MOST_POINTS].inputs, "encoder")
    t = None if labels is None or labels.t.size > len(labels) else labels.t[:_MOST_POINTS]
    code(h.reshape(len(h), -1), t, None if labels is None else labels.class_names, folder / "code.png")
    W = first_weights(run.model.net, run.model.variables.params)
    if W is not None and test.x.ndim == 4 and test.x.shape[-1] in (1, 3) and len(W) == test.x[0].size:
        features(W.T.reshape(-1, *test.x.shape[1:]), folder / "features.png")  # units that see the whole image


def from_images_to_images(data: Any) -> bool:
    """Whether the targets are images."""
    return data.t is not None and data.t.ndim == 4 and data.t.shape[-1] in (1, 3)


def reconstructions(rows: dict[str, Any], path: Any, ink: bool = True) -> Any:
    """Images (n, height, width, channels) in rows with names, all in the range of the first one.

    Large values are ink, as in denpa's data sets, or light, as in photographs.
    """
    from matplotlib.figure import Figure

    count = len(next(iter(rows.values())))
    figure = Figure(figsize=(0.9 * count + 1.0, 1.0 * len(rows)), layout="constrained")
    largest = float(np.max(next(iter(rows.values())))) or 1.0
    for row, (name, images) in enumerate(rows.items()):
        for column, image in enumerate(np.asarray(images, np.float64) / largest):
            axes = figure.add_subplot(len(rows), count, row * count + column + 1)
            _show(axes, np.clip(image, 0, 1), "gray_r" if ink else "gray", 0, 1)
            if column == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center")
    return write_figure(path, figure)


def code(h: Any, t: Any, names: Any, path: Any) -> Any:
    """The code h (n, units) in the plane, or its two principal components, coloured by classes t (n,) or values."""
    from matplotlib.figure import Figure

    h = np.asarray(h, np.float64)
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"code of {h.shape[1]} unit{'s' * (h.shape[1] > 1)}, test examples")
    if h.shape[1] > 2:
        found = pca(h, min(2, *h.shape))
        h = found.encode(h)
        shares = found.variances / found.total_variance if found.total_variance else found.variances
        axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"second ({shares[-1]:.0%})")
    x, y = h[:, 0], h[:, 1] if h.shape[1] > 1 else np.zeros(len(h))
    classes: Any = [] if t is None or np.asarray(t).dtype.kind not in "iub" else np.unique(t)
    if 0 < len(classes) <= _MOST_CLASSES:
        import matplotlib

        colours = matplotlib.colormaps["tab10" if len(classes) <= 10 else "tab20"]
        for place, label in enumerate(classes):
            name = names[label] if names is not None else str(label)
            axes.plot(x[t == label], y[t == label], ".", markersize=5, color=colours(place), label=name)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)
    elif t is not None:
        drawn = axes.scatter(x, y, s=8, c=np.asarray(t, np.float64).reshape(-1), cmap="viridis")
        figure.colorbar(drawn, label="target")
    else:
        axes.plot(x, y, ".", markersize=5, color=COLOURS[0])
    axes.grid(alpha=0.25)
    return write_figure(path, figure)


def features(weights: Any, path: Any) -> Any:
    """The weights (units, height, width, channels) that lead into each unit, as images: blue below, red above zero.

    Each on a scale of its own, but that of no unit is less than a tenth of the largest; long weights come first.
    """
    from matplotlib.figure import Figure

    weights = np.asarray(weights, np.float64)
    lengths = np.sqrt(np.sum(weights**2, axis=(1, 2, 3)))
    weights = weights[np.argsort(-lengths, kind="stable")[:_MOST_FEATURES]]
    across = int(np.ceil(np.sqrt(len(weights))))
    down = -(-len(weights) // across)
    figure = Figure(figsize=(0.6 * across, 0.6 * down), layout="constrained")
    for place, image in enumerate(weights):
        axes = figure.add_subplot(down, across, place + 1)
        largest = max(float(np.abs(image).max()), 0.1 * float(np.abs(weights).max())) or 1.0
        _show(axes, image if image.shape[-1] == 1 else 0.5 + 0.5 * image / largest, "RdBu_r", -largest, largest)
    return write_figure(path, figure)


def first_weights(net: Network, params: Any) -> np.ndarray | None:
    """W of the first layer that has any, if that is a `Dense`; None else."""
    arrays = tree.flatten(params)
    path, layer = next(((path, layer) for path, layer in every_layer(net) if f"{path}/W" in arrays), ("", None))
    return np.asarray(arrays[f"{path}/W"]) if isinstance(layer, Dense) else None


def _show(axes: Any, image: np.ndarray, colours: str, low: float, high: float) -> None:
    axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap=colours, vmin=low, vmax=high)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def _one_of_each(labels: Any, examples: int) -> np.ndarray:
    """Indices of the first example of each class, where there are classes; else of the first examples."""
    if labels is not None and labels.t.ndim == 1 and labels.t.dtype.kind in "iu":
        _, first = np.unique(labels.t, return_index=True)
        if len(first) > 1:
            return first[:_SHOWN]
    return np.arange(min(_SHOWN, examples))

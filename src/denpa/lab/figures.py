"""The pictures of a finished run: learning curves, confusions, predictions against targets, what was mistaken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from denpa.core import tree
from denpa.data import datasets
from denpa.lab import figures_alignment, figures_autoencoder, figures_images
from denpa.lab.figures_sequences import of_sequences
from denpa.training.figures import confusion_matrix
from denpa.training.storage import write_figure

__all__ = ["mistakes", "predictions", "write_all"]

_MOST_CLASSES = 60
_MOST_POINTS = 5000
_ROWS, _COLUMNS = 4, 8


def write_all(folder: Path, run: Any, measured: Any) -> None:
    """All pictures that the run's data allow."""
    with figures_alignment.every_character():
        _write(folder, run, measured)


def _write(folder: Path, run: Any, measured: Any) -> None:
    run.history.plot(folder / "learning_curves.png")
    if run.data.task in ("text", "series"):
        of_sequences(folder, run, measured)
        return
    test = run.data.test
    if test is None:
        return
    if run.data.task == "pairs":
        figures_alignment.write_all(folder, run, measured)
        return
    if run.data.task == "reconstruction" or figures_autoencoder.from_images_to_images(test):
        figures_autoencoder.write_all(folder, run, measured)
        if test.x.ndim == 4:
            of_convolutions(folder, run.model, test.x[0])
        return
    if measured.confusion is None:
        predictions(test.t, measured.predicted, folder / "predictions.png")
        return
    if len(measured.confusion) <= _MOST_CLASSES:
        confusion_matrix(measured.confusion, folder / "confusion_matrix.png", measured.class_names)
    if test.x.ndim == 4 and test.x.shape[-1] in (1, 3):
        true = test.t if test.t.ndim == 1 else test.t.argmax(axis=-1)
        ink = run.experiment.data.source in datasets.names()
        worst = figures_images.most_wrong(run.model, test.x, true)
        shown = test.x[worst], true[worst], measured.predicted[worst]
        mistakes(*shown, measured.class_names, folder / "mistakes.png", ink=ink)
        of_convolutions(folder, run.model, test.x[0])


def of_convolutions(folder: Path, model: Any, image: Any) -> None:
    """Filters and feature maps, where there is a convolution."""
    layer = figures_images.first_convolution(model.net)
    if layer is not None:
        after = tree.flatten(model.variables.params)[f"{layer}/W"]
        figures_images.filters(figures_images.initial_filters(model, layer), after, folder / "filters.png")
        figures_images.feature_maps(model, image, folder / "feature_maps.png")


def predictions(true: Any, predicted: Any, path: Any) -> Any:
    """Predicted against true values, a panel for each output; on the line they agree."""
    from matplotlib.figure import Figure

    true, predicted = (np.asarray(values).reshape(len(values), -1) for values in (true, predicted))
    outputs = min(true.shape[1], 4)
    figure = Figure(figsize=(4.2 * outputs, 4), layout="constrained")
    for index in range(outputs):
        axes = figure.add_subplot(1, outputs, index + 1)
        x, y = true[:_MOST_POINTS, index], predicted[:_MOST_POINTS, index]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color="#555555", linewidth=0.8, linestyle=":")
        axes.plot(x, y, ".", color="#0072B2", markersize=4, alpha=0.6)
        axes.set_xlabel("true value")
        axes.set_ylabel("predicted value")
        axes.grid(alpha=0.25)
    write_figure(path, figure)
    return figure


def mistakes(images: Any, true: Any, predicted: Any, names: Any, path: Any, ink: bool = True) -> Any:
    """The first of the images that were taken for another class; no picture where there are none.

    Large values are ink, as in denpa's data sets, or light, as in photographs.
    """
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(np.asarray(true) != np.asarray(predicted))[: _ROWS * _COLUMNS]
    if not len(wrong):
        return None
    rows = -(-len(wrong) // _COLUMNS)
    figure = Figure(figsize=(1.1 * _COLUMNS, 1.35 * rows), layout="constrained")
    largest = float(np.max(images)) or 1.0
    for place, index in enumerate(wrong):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        image = np.asarray(images[index], np.float64) / largest
        axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r" if ink else "gray", vmin=0, vmax=1)
        axes.set_title(f"{names[true[index]]} → {names[predicted[index]]}", fontsize=8)
        axes.set_axis_off()
    write_figure(path, figure)
    return figure

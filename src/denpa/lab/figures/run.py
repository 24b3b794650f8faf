"""The pictures of a finished run: learning curves, confusions, predictions against targets, what was mistaken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denpa.core import tree
from denpa.core.padded import step_mask
from denpa.data import datasets
from denpa.data.labels import true_classes
from denpa.lab.figures import alignment, answers, autoencoder, images, sequences
from denpa.lab.fonts import every_character
from denpa.training import Bagging
from denpa.training.figures import confusion_matrix

__all__ = ["write_all"]

_MOST_CLASSES = 60


def write_all(folder: Path, run: Any, measured: Any) -> None:
    """All pictures that the run's data allow; of an ensemble those of its common answers."""
    with every_character():
        _write(folder, run, measured)


def _write(folder: Path, run: Any, measured: Any) -> None:
    if run.experiment.training.epochs:  # else there is nothing to follow
        run.history.plot(folder / "learning_curves.png")
    if run.data.task in ("text", "series"):
        sequences.of_sequences(folder, run, measured)
        return
    test = run.data.test
    if test is None:
        return
    if run.data.task == "pairs":
        alignment.write_all(folder, run, measured)
        return
    single = not isinstance(run.model, Bagging)
    if not single and autoencoder.from_images_to_images(test):
        return
    if run.data.task == "reconstruction" or autoencoder.from_images_to_images(test):
        autoencoder.write_all(folder, run, measured)
        if test.lengths is None and test.x.ndim == 4:
            of_convolutions(folder, run.model, test.x[0])
        return
    if measured.confusion is None:
        if measured.predicted is not None:
            true = _true_steps(test, measured.predicted)
            answers.predictions(test.t[true], measured.predicted[true], folder / "predictions.png")
        return
    if len(measured.confusion) <= _MOST_CLASSES:
        confusion_matrix(measured.confusion, folder / "confusion_matrix.png", measured.class_names)
    if test.lengths is None and test.x.ndim == 4 and test.x.shape[-1] in (1, 3):
        true = true_classes(test.t)
        ink = run.experiment.data.source in datasets.names()
        worst = images.most_wrong(run.model, test.x, true)
        shown = test.x[worst], true[worst], measured.predicted[worst]
        answers.mistakes(*shown, measured.class_names, folder / "mistakes.png", ink=ink)
        if single:
            of_convolutions(folder, run.model, test.x[0])


def _true_steps(test: Any, predicted: Any) -> Any:
    """Which entries of predictions are no padding: all where there is none, or one answer for a whole sequence."""
    if test.lengths is None or predicted.ndim < 3 or predicted.shape[1] != test.x.shape[1]:
        return slice(None)
    return step_mask(test.lengths, predicted.shape[1])


def of_convolutions(folder: Path, model: Any, image: Any) -> None:
    """Filters and feature maps, where there is a convolution."""
    layer = images.first_convolution(model.net)
    if layer is not None:
        after = tree.flatten(model.variables.params)[f"{layer}/W"]
        images.filters(images.initial_filters(model, layer), after, folder / "filters.png")
        images.feature_maps(model, image, folder / "feature_maps.png")

"""What a model answered beside what was asked for: predicted against true values, mistaken images."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.training.figures import COLOURS, GREY
from denpa.training.storage import write_figure

__all__ = ["mistakes", "predictions"]

_MOST_POINTS = 5000
_ROWS, _COLUMNS = 4, 8


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
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle=":")
        axes.plot(x, y, ".", color=COLOURS[0], markersize=4, alpha=0.6)
        axes.set_xlabel("true value")
        axes.set_ylabel("predicted value")
        axes.grid(alpha=0.25)
    return write_figure(path, figure)


def mistakes(images: Any, true: Any, predicted: Any, names: Any, path: Any, ink: bool = True) -> Any:
    """The first of the images that were taken for another class; no picture where there are none.

    Large values are ink, as in denpa's data sets, or light, as in photographs.
    """
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(np.asarray(true) != np.asarray(predicted))[: _ROWS * _COLUMNS]
    if not len(wrong):
        return None
    rows = -(-len(wrong) // _COLUMNS)
    figure = Figure(figsize=(1.1 * _COLUMNS, 1.35 * rows + 0.25), layout="constrained")
    figure.suptitle("true class → predicted class", fontsize=8)
    largest = float(np.max(images)) or 1.0
    for place, index in enumerate(wrong):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        image = np.asarray(images[index], np.float64) / largest
        axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r" if ink else "gray", vmin=0, vmax=1)
        axes.set_title(f"{names[true[index]]} → {names[predicted[index]]}", fontsize=8)
        axes.set_axis_off()
    return write_figure(path, figure)

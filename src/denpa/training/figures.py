"""Pictures of a training: learning curves and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.training.plain import is_number
from denpa.training.storage import write_figure

__all__ = ["COLOURS", "GREY", "confusion_matrix", "epochs_below", "learning_curves"]

# Okabe & Ito (2008): told apart by colour-blind readers; the first two differ in grey as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#555555"
_TRAINING, _VALIDATION = COLOURS[:2]


def learning_curves(history: Any, path: Any = None, columns: list[str] | None = None) -> Any:
    """A panel for each quantity over the epochs; training solid, validation dashed, the best epoch marked."""
    from matplotlib.figure import Figure

    last = history.epochs[-1]
    quantities = [n for n, v in last.items() if is_number(v) and n not in ("epoch", "step")]
    names = list(dict.fromkeys(name.removeprefix("validation_") for name in quantities))
    for name in columns or ():
        if name not in names:
            raise ConfigError(f"No quantity {name!r} to plot: {nearest(name, names, plural='quantities')}")
    names = columns or names
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    epochs = [row["epoch"] for row in history.epochs]
    marker = "o" if len(epochs) < 30 else None
    for index, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), index + 1)
        for column, label, colour, line in (
            (name, "training", _TRAINING, "-"),
            (f"validation_{name}", "validation", _VALIDATION, "--"),
        ):
            if column in last:
                values = [row.get(column, np.nan) for row in history.epochs]
                axes.plot(epochs, values, line, color=colour, label=label, marker=marker, markersize=3)
        if history.best_epoch:
            axes.axvline(history.best_epoch, color=GREY, linewidth=0.8, linestyle=":", label="kept")
        epochs_below(axes)
        axes.set_ylabel(name.replace("_", " "))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return write_figure(path, figure)


def epochs_below(axes: Any) -> None:
    """The axis of epochs, with ticks at whole ones, round where there are many."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def confusion_matrix(counts: Any, path: Any = None, class_names: Any = None) -> Any:
    """Counts of (true class, predicted class) as a table in shades; rows are the true classes."""
    from matplotlib.figure import Figure

    counts = np.asarray(counts)
    classes = len(counts)
    names = [str(name) for name in (class_names or range(classes))]
    size = max(3.4, 0.42 * classes + 1.6)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if classes <= 30:
        for row, column in np.ndindex(classes, classes):
            if counts[row, column]:
                colour = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(classes), names, rotation=0 if max(map(len, names)) < 4 else 60)
    axes.set_yticks(range(classes), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return write_figure(path, figure)

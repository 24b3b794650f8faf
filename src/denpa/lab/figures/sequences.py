"""The pictures of sequences: the loss of a language model in nats, and a series with its prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from denpa.lab.figures import recurrent
from denpa.training.figures import COLOURS, epochs_below
from denpa.training.storage import write_figure

__all__ = ["nats", "of_sequences", "series"]

_STEPS = 300
_READ = 48


def of_sequences(folder: Path, run: Any, measured: Any) -> None:
    """The pictures of a run on a text or a series."""
    if run.data.task == "text":
        nats(run.history, run.data.encoder.level, folder / "nats.png")
        _inside(folder, run)
    elif run.data.test is not None:
        series(run.data.test.t, measured.predicted, folder / "series.png")


def _inside(folder: Path, run: Any) -> None:
    """Gates along the first words of the text that was held back, and how far its delta reaches back."""
    held_back = run.data.train if run.data.test is None else run.data.test
    if recurrent.first_recurrent(run.model.net) is None:
        return
    x, t = (np.asarray(part)[0, :_READ] for part in (held_back.x, held_back.t))
    labels = [run.data.encoder.decode(token[None]) for token in x]
    recurrent.gates(recurrent.gates_of(run.model, x, t), labels, folder / "gates.png")
    recurrent.reach(recurrent.reach_of(run.model, x, t), folder / "reach.png")


def nats(history: Any, level: str, path: Any) -> Any:
    """The loss of every epoch in nats for each token; on the right the same as perplexity, exp(nats)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    epochs = [row["epoch"] for row in history.epochs]
    for column, label, colour, line in (
        ("loss", "training", COLOURS[0], "o-"),
        ("validation_loss", "validation", COLOURS[1], "s--"),
    ):
        if column in history.epochs[-1]:
            values = [row.get(column, np.nan) for row in history.epochs]
            axes.plot(epochs, values, line, color=colour, label=label, markersize=3)
    epochs_below(axes)
    axes.set_ylabel(f"nats per {level}")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    # A logarithm of what is not positive is never drawn, but matplotlib tries the scale on 0.
    right = axes.secondary_yaxis("right", functions=(np.exp, lambda p: np.log(np.maximum(p, 1e-9))))
    right.set_ylabel("perplexity")
    return write_figure(path, figure)


def series(true: Any, predicted: Any, path: Any) -> Any:
    """The first steps (rows, time, 1) of the values to be predicted, and what was predicted for each a step before."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for values, label, colour, line in ((true, "true", COLOURS[0], "-"), (predicted, "predicted", COLOURS[1], "--")):
        axes.plot(np.asarray(values)[..., 0].reshape(-1)[:_STEPS], line, color=colour, label=label, linewidth=1.2)
    axes.set_xlabel("step")
    axes.set_ylabel("value")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return write_figure(path, figure)

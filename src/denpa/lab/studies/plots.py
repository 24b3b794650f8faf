"""Pictures of studies: curves with the spread over seeds, bars, histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from denpa.training.figures import COLOURS, GREY

__all__ = ["COLOURS", "GREY", "LINES", "curve", "figure_of", "finish", "histograms"]

# With the colours; they tell curves apart in print as well.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))


def figure_of(panels: int = 1, columns: int | None = None, size: tuple[float, float] = (4.6, 3.4)) -> tuple[Any, Any]:
    """A figure with so many panels, `columns` in a row, and the panels in a list; size in inches is that of a
    panel.
    """
    from matplotlib.figure import Figure

    columns = panels if columns is None else columns
    rows = -(-panels // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(panels)]


def curve(axes: Any, x: Any, values: Any, index: int, label: str = "", **style: Any) -> None:
    """The mean over the seeds as a line, from the smallest to the largest value as a band.

    Where y has been made logarithmic before, the geometric mean: the other one would be that of the largest value.

    Args:
        axes: the panel.
        x: (points,).
        values: (points, seeds).
        index: which colour and line style.
        label: in the legend.
        style: of the line, where it is to differ.
    """
    values = np.asarray(values, np.float64).reshape(len(x), -1)
    colour, line = COLOURS[index % len(COLOURS)], LINES[index % len(LINES)]
    if axes.get_yscale() == "log":
        with np.errstate(divide="ignore"):
            middle = np.exp(np.log(values).mean(axis=1))
    else:
        middle = values.mean(axis=1)
    axes.plot(x, middle, **{"color": colour, "linestyle": line, "linewidth": 1.6, "label": label, **style})
    if values.shape[1] > 1:
        axes.fill_between(x, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.15, linewidth=0)


def finish(axes: Any, x: str, y: str, title: str = "", legend: str = "best", **limits: Any) -> None:
    """Labels, grid, legend; `limits` as for `Axes.set`, such as ylim. A yscale is set before the curves are drawn.

    The legend stands where there is most room, or "beside" the panel, or nowhere for "".
    """
    axes.set(xlabel=x, ylabel=y, title=title, **limits)
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25)
    if legend == "beside":
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3)
    elif legend:
        axes.legend(frameon=False, fontsize=8, loc=legend, handlelength=3)


def histograms(values: Mapping[str, Sequence[Any]], names: Sequence[str], x: str, bins: Any) -> Any:
    """A panel for each key and place in its row: how often each value occurs, as a share of the largest bar."""
    figure, panels = figure_of(len(values) * len(names), len(names), (2.1, 1.5))
    for row, (key, arrays) in enumerate(values.items()):
        for column, array in enumerate(arrays):
            axes = panels[row * len(names) + column]
            counts, edges = np.histogram(np.clip(np.ravel(array), bins[0], bins[-1]), bins)
            axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=COLOURS[row % len(COLOURS)])
            axes.set(yticks=[], ylim=(0, 1.05))
            if row == 0:
                axes.set_title(names[column], fontsize=9)
            if column == 0:
                axes.set_ylabel(key, fontsize=8)
            if row == len(values) - 1:
                axes.set_xlabel(x)
    return figure

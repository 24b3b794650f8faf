"""The picture of one step of training: what every layer gives, and the deltas from layer to layer."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.training.figures import COLOURS, GREY
from denpa.training.storage import write_figure

__all__ = ["diagnosis_picture"]

_MOST = 15


def diagnosis_picture(diagnosis: Any, path: Any = None) -> Any:
    """A histogram of y for each layer, up to 15 evenly chosen ones, and below the root mean squares of y and dy.

    Args:
        diagnosis: from `denpa.lab.diagnose`.
        path: where to write it; nowhere for None.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    rows = diagnosis.rows
    shown = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).astype(int))]
    columns = min(5, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(2.3 * max(columns, 3), 1.7 * lines + 2.8), layout="constrained")
    grid = figure.add_gridspec(lines + 1, columns, height_ratios=[*[1.0] * lines, 1.6])
    for index, row in enumerate(shown):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        _histogram(axes, diagnosis.trace[row.path].y)
        title = row.path if not row.idle else f"{row.path}, {row.idle:.0%} idle"
        axes.set_title(title, fontsize=8)
    _sizes(figure.add_subplot(grid[lines, :]), rows)
    return write_figure(path, figure)


def _histogram(axes: Any, y: Any) -> None:
    values = np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(y)])
    values = values[np.isfinite(values)]
    if len(values):
        counts, edges = np.histogram(values, bins=40)
        axes.stairs(counts / counts.sum(), edges, fill=True, color=COLOURS[0])
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(labelsize=7)


def _sizes(axes: Any, rows: Any) -> None:
    places = np.arange(len(rows))
    for label, values, colour, marker in (
        ("rms y", [row.y for row in rows], COLOURS[0], "o"),
        ("rms dy", [row.dy for row in rows], COLOURS[1], "s"),
    ):
        positive = np.where(np.asarray(values) > 0, values, np.nan)
        axes.plot(places, positive, marker=marker, markersize=4, linewidth=1, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_ylabel("root mean square")
    axes.set_xticks(places, [row.path for row in rows], rotation=30, ha="right", fontsize=7)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)

"""Pictures of model selection and of penalties: a sweep, the path of the lasso, what weight decay does."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa import classical
from denpa.training.figures import COLOURS, GREY
from denpa.training.storage import write_figure

__all__ = ["degree_picture", "lasso_picture", "sweep_picture", "weight_decay_picture"]

_TRAINING, _HELD_OUT = COLOURS[:2]


def sweep_picture(rows: list[Any], place: str, path: Any = None) -> Any:
    """A panel for the loss and each metric over the values of an option; bars show the spread over the folds."""
    from matplotlib.figure import Figure

    values, names = [row.value for row in rows], rows[0].scores.names
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    at = values if numeric else list(range(len(values)))
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    losses = [row.scores.mean("loss") for row in rows]
    seen = [value for value, loss in zip(values, losses, strict=True) if np.isfinite(loss)]  # the others diverged
    for index, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), index + 1)
        for held_out, label, colour, line in ((False, "training", _TRAINING, "-"), (True, "held out", _HELD_OUT, "--")):
            means = [row.scores.mean(name, held_out) for row in rows]
            spreads = [row.scores.spread(name, held_out) for row in rows]
            bars = spreads if any(spreads) else None
            axes.errorbar(at, means, bars, fmt=line, color=colour, label=label, marker="o", markersize=3, capsize=2)
        axes.axvline(at[int(np.nanargmin(losses))], color=GREY, linewidth=0.8, linestyle=":", label="least loss")
        if numeric and min(seen) > 0 and max(seen) >= 100 * min(seen):
            axes.set_xscale("log")
        elif not numeric:
            axes.set_xticks(at, [str(value) for value in values])
        _label(axes, place, name.replace("_", " "))
    return write_figure(path, figure)


def degree_picture(curve: classical.DegreeCurve, path: Any = None) -> Any:
    """Training and test error of polynomials over the degree, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    smallest = 1e-6 * float(np.max(curve.train_errors))  # an exact fit has no logarithm
    axes.semilogy(curve.degrees, np.maximum(curve.train_errors, smallest), "-o", color=_TRAINING, label="training")
    axes.semilogy(curve.degrees, curve.test_errors, "--o", color=_HELD_OUT, label="test")
    axes.axvline(curve.best, color=GREY, linewidth=0.8, linestyle=":", label="least test error")
    _label(axes, "degree", "mean squared error")
    return write_figure(path, figure)


def lasso_picture(models: list[classical.SparseModel], path: Any = None, names: Any = None) -> Any:
    """Every weight over the strength of the penalty, from where all are 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    kept = [model for model in models if model.strength > 0]
    weights = np.stack([model.W for model in kept])
    for column in range(weights.shape[1]):
        label = None if names is None or weights.shape[1] > 12 else str(names[column])
        axes.semilogx([model.strength for model in kept], weights[:, column], label=label)
    axes.axhline(0, color=GREY, linewidth=0.8)
    _label(axes, "strength λ of the penalty", "weight", legend=names is not None and weights.shape[1] <= 12)
    return write_figure(path, figure)


def weight_decay_picture(H: Any, w: Any, strengths: Any, path: Any = None) -> Any:
    """Contours of a quadratic error in two weights, and where its minimum goes as weight decay grows.

    Args:
        H: (2, 2), or its diagonal (2,).
        w: the minimum (2,).
        strengths: α > 0; each gives a point on the way.
        path: where to write the picture.
    """
    from matplotlib.figure import Figure

    H, w = np.asarray(H, np.float64), np.asarray(w, np.float64)
    H = np.diag(H) if H.ndim == 1 else H
    way = np.stack([w, *(classical.decayed(H, w, strength) for strength in sorted(strengths))])
    reach = 1.3 * max(float(np.abs(way).max()), 1e-12)
    grid = np.linspace(-0.3 * reach, reach, 200)
    points = np.stack(np.meshgrid(grid * np.sign(w[0] or 1), grid * np.sign(w[1] or 1)), axis=-1)
    error = 0.5 * np.einsum("...i,ij,...j->...", points - w, H, points - w)
    figure = Figure(figsize=(4.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.contour(points[..., 0], points[..., 1], error, levels=12, colors=_TRAINING, linewidths=0.6)
    axes.plot(way[:, 0], way[:, 1], "-o", color=_HELD_OUT, markersize=3, label="minimum with decay")
    axes.plot(*w, "*", color=GREY, markersize=9, label="minimum without")
    axes.plot(0, 0, "+", color=GREY)
    axes.set_aspect("equal")
    _label(axes, "$w_1$", "$w_2$")
    return write_figure(path, figure)


def _label(axes: Any, x: str, y: str, legend: bool = True) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    if legend:
        axes.legend(frameon=False)

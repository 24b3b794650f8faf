"""The picture of the error over a plane of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError
from denpa.lab.loss_surface import LossSurface
from denpa.training.figures import COLOURS
from denpa.training.storage import write_figure

__all__ = ["loss_surface_picture"]

_LEVELS = 14
_PAPER = {"boxstyle": "round,pad=0.15", "color": "white", "alpha": 0.8}  # contours and their numbers lie below
_MARK = COLOURS[1]  # stands out against the blues and yellows of cividis


def loss_surface_picture(
    surface: LossSurface,
    path: Any = None,
    *,
    way: Any = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    labels: tuple[str, str] = ("$a$", "$b$"),
    title: str = "",
) -> Any:
    """Labelled contours of E(a, b), and the same in relief; on the contours the way that training took, and marks.

    Args:
        surface: the errors.
        path: where to write the picture.
        way: coordinates (points, 2) of parameters met in training, from `LossSurface.project`.
        marks: coordinates of single points by name; the middle when None.
        labels: of the two axes.
        title: above the picture.

    Raises:
        ConfigError: no error is finite.
    """
    from matplotlib.figure import Figure

    finite = np.isfinite(surface.errors)
    if not finite.any():
        raise ConfigError("No error of this surface is finite, so there is nothing to draw: take a smaller span.")
    E = np.where(finite, surface.errors, surface.errors[finite].max())
    logarithmic = bool(E.min() > 0 and E.max() > 20 * E.min())
    figure = Figure(figsize=(9.2, 3.9), dpi=100, layout="constrained")
    axes = figure.add_subplot(1, 2, 1)
    _contours(axes, surface, E, logarithmic)
    if way is not None:
        way = np.asarray(way)
        axes.plot(way[:, 0], way[:, 1], "-o", color=_MARK, markersize=3, linewidth=1.3, label="way of training")
    for name, (a, b) in ({"θ": (0.0, 0.0)} if marks is None else marks).items():
        axes.plot(a, b, "X", color=_MARK, markeredgecolor="white", markersize=9)
        axes.annotate(name, (a, b), (7, 7), textcoords="offset points", fontsize=9, fontweight="bold", bbox=_PAPER)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    if way is not None:
        axes.legend(frameon=True, fontsize=8)
    _relief(figure.add_subplot(1, 2, 2, projection="3d"), surface, E, logarithmic, labels)
    if title:
        figure.suptitle(title, fontsize=10)
    return write_figure(path, figure)


def _contours(axes: Any, surface: LossSurface, E: np.ndarray, logarithmic: bool) -> None:
    levels = (np.geomspace if logarithmic else np.linspace)(E.min(), E.max(), _LEVELS)
    axes.set(xlim=surface.a[[0, -1]], ylim=surface.b[[0, -1]])
    if np.any(np.diff(levels) <= 0):
        return  # a plain has no contours
    norm = "log" if logarithmic else None
    axes.contourf(surface.a, surface.b, E, levels=levels, cmap="cividis", norm=norm, alpha=0.55)
    lines = axes.contour(surface.a, surface.b, E, levels=levels, colors="#333333", linewidths=0.6)
    axes.clabel(lines, levels[1::2], fmt=_short, fontsize=7)


def _relief(axes: Any, surface: LossSurface, E: np.ndarray, logarithmic: bool, labels: tuple[str, str]) -> None:
    grid, height = np.meshgrid(surface.a, surface.b), np.log10(E) if logarithmic else E
    axes.plot_surface(*grid, height, cmap="cividis", linewidth=0.15, edgecolor="#333333")
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.set_title("$\\log_{10} E$" if logarithmic else "$E$", fontsize=10)
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", nbins=5)  # seen from the side, more of them would run together
    axes.locator_params(axis="y", nbins=5)


def _short(value: float) -> str:
    return f"{value:.2g}"

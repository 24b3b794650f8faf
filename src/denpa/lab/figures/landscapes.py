"""Pictures of error surfaces: contours with the paths of optimisers, still and moving."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from denpa.core.errors import ConfigError
from denpa.lab.landscapes import Surface
from denpa.training.figures import COLOURS
from denpa.training.storage import write_figure

__all__ = ["paths_animation", "paths_picture"]

# Each colour with a mark of its own for readers of grey prints. What is clipped has the colour of what is not, dashed.
_LOOKS = tuple(zip((COLOURS[place] for place in (6, 0, 2, 3, 4, 5, 1)), "os^vPDX", strict=True))
_CLIPPED = "clipped-"
_CONTOUR, _GOAL = "#B5B5B5", "#444444"
_FRAMES, _RATE = 50, 10  # of an animation: pictures at most, and how many a second


def paths_picture(surface: Surface, paths: dict[str, Any], path: Any = None, title: str = "") -> Any:
    """Contours of the surface with every path on them, and beside it the height above the lowest point over the steps.

    Args:
        surface: what the paths lead over.
        paths: points (steps + 1, 2) by the name of the optimiser.
        path: where to write the picture.
        title: above the picture.

    Returns:
        The figure.
    """
    figure, drawings = _drawn(surface, paths, title)
    for drawing in drawings:
        drawing.show(len(drawing.points))
    return write_figure(path, figure)


def paths_animation(surface: Surface, paths: dict[str, Any], title: str = "") -> bytes:
    """The same picture as an animated GIF, in which the paths grow."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure, drawings = _drawn(surface, paths, title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)  # contours, axes and legend are drawn once
    last = max(map(len, paths.values())) - 1
    pictures = []
    for step in sorted({round(last * i / _FRAMES) for i in range(_FRAMES + 1)}):
        canvas.restore_region(still)
        for drawing in drawings:
            drawing.show(step + 1)
            for line in (drawing.way, drawing.end, drawing.error):
                line.axes.draw_artist(line)
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    palette = pictures[-1].quantize(256, Image.Quantize.MAXCOVERAGE)  # rare colours too: thin lines
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [1000 // _RATE] * (len(pictures) - 1) + [2000]
    content = io.BytesIO()
    pictures[0].save(content, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return content.getvalue()


@dataclass(frozen=True, eq=False)
class _Drawing:
    """A path in the picture.

    Args:
        points: (steps + 1, 2), those that are finite.
        errors: E above its infimum at each of them.
        way, end, error: the lines that show the points, the last of them, and the errors.
    """

    points: np.ndarray
    errors: np.ndarray
    way: Any
    end: Any
    error: Any

    def show(self, count: int) -> None:
        """Draw the first `count` points; what has left the window is cut off by it."""
        points, errors = self.points[:count], self.errors[:count]
        self.way.set_data(points[:, 0], points[:, 1])
        self.end.set_data(points[-1:, 0], points[-1:, 1])
        self.error.set_data(np.arange(len(errors)), errors)


def _drawn(surface: Surface, paths: dict[str, Any], title: str) -> tuple[Any, list[_Drawing]]:
    """Contours, axes and legend, and every path with nothing shown of it yet."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    looks = _looks(paths)
    figure = Figure(figsize=(9.2, 3.9), dpi=100, layout=ConstrainedLayoutEngine(wspace=0.06))
    above, beside = figure.subplots(1, 2, width_ratios=(1.35, 1))
    _contours(above, surface, paths)
    drawings = []
    for name, path in paths.items():
        colour, mark, dash = looks[name]
        style: Any = {"color": colour, "linewidth": 1.3, "linestyle": dash}
        body = {"color": colour, "markerfacecolor": colour if dash == "-" else "white"}
        (way,) = above.plot([], [], marker=".", markersize=2.5, **style)
        (end,) = above.plot([], [], mark, markersize=6, markeredgewidth=0.9, **body)
        every = max(len(path) // 7, 1)
        (error,) = beside.plot([], [], marker=mark, markersize=4.5, markevery=every, label=name, **style | body)
        drawings.append(_Drawing(*_finite(surface, path), way, end, error))
    _error_axes(beside, surface, [drawing.errors for drawing in drawings])
    figure.legend(loc="outside right center", frameon=False)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure, drawings


def _looks(names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Colour, mark and line style by name."""
    families = dict.fromkeys(name.removeprefix(_CLIPPED) for name in names)
    if len(families) > len(_LOOKS):
        raise ConfigError(f"At most {len(_LOOKS)} optimisers can be told apart in a picture, not {len(families)}.")
    chosen = dict(zip(families, _LOOKS, strict=False))
    return {name: (*chosen[name.removeprefix(_CLIPPED)], "--" if name.startswith(_CLIPPED) else "-") for name in names}


def _contours(axes: Any, surface: Surface, paths: dict[str, Any]) -> None:
    (left, right), (low, high) = surface.window
    x, y = np.linspace(left, right, 161), np.linspace(low, high, 161)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    E = np.asarray(surface.value(jnp.asarray(grid)))
    # levels at quantiles: as many lines on a plain as on a wall
    axes.contour(
        x,
        y,
        E,
        levels=np.unique(np.quantile(E, np.linspace(0.01, 0.97, 18))),
        colors=_CONTOUR,
        linewidths=0.7,
        linestyles="solid",
    )
    starts = {tuple(np.asarray(points[0])) for points in paths.values()}
    for start in starts:
        axes.plot(*start, "o", color="white", markeredgecolor=_GOAL, markersize=8)
    axes.set(xlim=(left, right), ylim=(low, high), xlabel="$w_1$", ylabel="$w_2$")


def _error_axes(axes: Any, surface: Surface, errors: list[np.ndarray]) -> None:
    start = max(float(e[0]) for e in errors)
    least = min(start, *(float(e[-1]) for e in errors))  # where all diverge the start is the lowest
    axes.set_ylabel("$E - \\min E$" if math.isfinite(surface.lowest) else "$E$")
    if math.isfinite(surface.lowest):
        most = min(max(float(e.max()) for e in errors), 1e6 * start)
        if wide := least < 0.05 * start or most > 20 * start:
            axes.set_yscale("log")
        axes.set_ylim(max(1e-5 * start, 0.5 * least) if wide else 0, (3 if wide else 1.05) * most or 1.0)
    else:
        size = abs(start) or 1.0
        axes.set_ylim(-3 * size, 1.1 * size)
    axes.set_xlim(0, max(map(len, errors)) - 1)
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)


def _finite(surface: Surface, path: Any) -> tuple[np.ndarray, np.ndarray]:
    """The points of a path until it diverges, and E above its infimum, where it has one."""
    path = np.asarray(path)
    E = np.asarray(surface.value(jnp.asarray(path)))
    finite = np.isfinite(path).all(axis=-1) & np.isfinite(E)
    count = len(path) if finite.all() else max(int(finite.argmin()), 1)
    return path[:count], E[:count] - (surface.lowest if math.isfinite(surface.lowest) else 0.0)

"""One image through one layer and back, and its numbers as a picture."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

__all__ = ["back", "differing", "frame", "show", "through"]


def through(layer: Any, image: Any, kernel: Any = None) -> np.ndarray:
    """An image (height, width) through a layer, (out height, out width); `kernel` (height, width) is its W."""
    return np.asarray(layer.forward(_params(kernel), _batch(image))[0])[0, ..., 0]


def back(layer: Any, image: Any, delta: Any, kernel: Any = None) -> np.ndarray:
    """The delta of that image (height, width), from the delta of what the layer makes of it."""
    _, saved = layer.forward(_params(kernel), _batch(image))
    return np.asarray(layer.backward(_params(kernel), saved, _batch(delta))[0])[0, ..., 0]


def differing(found: Any, expected: Any) -> int:
    """How many numbers are not those expected, to the last bit."""
    return int(np.sum(np.asarray(found) != np.asarray(expected)))


def show(axes: Any, values: Any, title: str, *, numbers: str = "{:g}", largest: float | None = None) -> None:
    """An array as cells, blue below and red above zero, with its numbers written in unless their format is empty."""
    values = np.asarray(values, float)
    largest = float(np.abs(values).max()) or 1.0 if largest is None else largest
    axes.imshow(values, cmap="RdBu_r", vmin=-2 * largest, vmax=2 * largest)  # pale enough to read on
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)
    if not numbers:
        return
    axes.set_xticks(np.arange(-0.5, values.shape[1]), [], minor=True)
    axes.set_yticks(np.arange(-0.5, values.shape[0]), [], minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, numbers.format(value).replace("-", "−"), ha="center", va="center", fontsize=8)


def frame(axes: Any, row: int, column: int, height: int, width: int) -> None:
    """A frame around cells of what `show` has drawn."""
    from matplotlib.patches import Rectangle

    place = column - 0.5, row - 0.5
    axes.add_patch(Rectangle(place, width, height, fill=False, edgecolor="black", linewidth=2, zorder=5))


def _batch(image: Any) -> Any:
    return jnp.asarray(image, jnp.result_type(float))[None, ..., None]


def _params(kernel: Any) -> dict[str, Any]:
    return {} if kernel is None else {"W": jnp.asarray(kernel, jnp.result_type(float))[..., None, None]}

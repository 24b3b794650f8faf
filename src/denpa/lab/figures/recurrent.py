"""What a recurrent network does over time: its gates along a sequence, and how far the delta reaches back."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from denpa.gradients import trace
from denpa.lab.figures.inside import every_layer
from denpa.networks import Network, Recurrent
from denpa.training.figures import COLOURS
from denpa.training.storage import write_figure

__all__ = ["first_recurrent", "gates", "gates_of", "reach", "reach_of"]

# The rows of the picture: gates between 0 and 1, then what is carried, between −1 and 1.
_GATES = {"f": "forget", "i": "input", "o": "output", "z": "update", "r": "reset"}
_CARRIES = {"c": "memory", "h": "output"}
_MOST_UNITS = 32


def first_recurrent(net: Network) -> str | None:
    """The path of the first recurrent layer, or None."""
    return next((path for path, layer in every_layer(net) if isinstance(layer, Recurrent)), None)


def gates_of(model: Any, x: Any, t: Any) -> dict[str, np.ndarray]:
    """Gates and carry (time, units) of the first recurrent layer along one sequence, by their letters f i o z r c h.

    Args:
        model: a trained model.
        x, t: one raw sequence (time, ...) and its targets.
    """
    path = first_recurrent(model.net)
    records = _traced(model, x, t, slice(None))
    found = {name: records.get(f"{path}/{name}") for name in (*_GATES, *_CARRIES)}
    return {name: np.asarray(record.y)[0] for name, record in found.items() if record is not None}


def reach_of(model: Any, x: Any, t: Any) -> np.ndarray:
    """‖∂E_T/∂hᵗ‖ (time,) for the error E_T of the last step alone: how much of it is still felt t steps before."""
    path = first_recurrent(model.net)
    return np.linalg.norm(np.asarray(_traced(model, x, t, slice(-1, None))[f"{path}/h"].dy)[0], axis=-1)


def gates(found: dict[str, np.ndarray], labels: list[str], path: Any) -> Any:
    """A panel for each gate, units over steps; dark is open. Below them memory and output, blue below zero, red above.

    Args:
        found: what `gates_of` gives.
        labels: what the network read at each step.
        path: where to write it.
    """
    from matplotlib.figure import Figure

    steps = len(labels)
    figure = Figure(figsize=(0.16 * steps + 1.6, 1.5 * len(found) + 0.5), layout="constrained")
    panels: Any = figure.subplots(len(found), 1, squeeze=False, sharex=True)
    for axes, (name, values) in zip(panels[:, 0], found.items(), strict=True):
        shown, gate = values[:, :_MOST_UNITS].T, name in _GATES
        largest = 1.0 if gate else float(np.abs(shown).max()) or 1.0
        colours, low = ("Greys", 0.0) if gate else ("RdBu_r", -largest)
        image = axes.imshow(shown, cmap=colours, vmin=low, vmax=largest, aspect="auto", interpolation="nearest")
        figure.colorbar(image, ax=axes, pad=0.01)
        axes.set_ylabel(f"{_GATES.get(name) or _CARRIES[name]} {name}", fontsize=9)
        axes.set_yticks([])
    panels[-1, 0].set_xticks(range(steps), [_visible(label) for label in labels], fontsize=8)
    return write_figure(path, figure)


def reach(norms: np.ndarray, path: Any) -> Any:
    """The norm of the delta against the number of steps back, on a logarithmic scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogy(np.maximum(norms[::-1], np.finfo(np.float32).tiny), "o-", color=COLOURS[0], markersize=3)
    axes.set_xlabel("steps back from the error")
    axes.set_ylabel("‖∂E/∂h‖")
    axes.grid(alpha=0.25)
    return write_figure(path, figure)


def _traced(model: Any, x: Any, t: Any, steps: slice) -> Any:
    """The trace of one sequence in which the steps named count."""
    x, t = np.asarray(x)[None], np.asarray(t)[None]
    counts = np.zeros(t.shape[:2], np.float32)
    counts[:, steps] = 1
    prepared = model.programs.recipe.prepare(model.statistics, jnp.asarray(x))
    return trace(model.net, model.loss, model.variables, prepared, t, sample_weight=counts, train=False)


def _visible(label: str) -> str:
    return {"\n": "↵", " ": "·"}.get(label, label)

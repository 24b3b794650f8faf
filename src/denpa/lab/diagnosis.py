"""Why a network does not learn: what one step of training meets, measured, and what of it stands out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.data.arguments import as_whole
from denpa.gradients import Trace
from denpa.lab.figures.inside import every_layer
from denpa.lab.findings import Finding, findings
from denpa.layers import ReLU, Sigmoid, Tanh
from denpa.training import Model
from denpa.training.arguments import unchanged_if_refused
from denpa.training.inputs import rows_of
from denpa.training.preparation import prepared_data

__all__ = ["Diagnosis", "Row", "diagnose", "rms"]

_FLAT = 0.05


@dataclass(frozen=True)
class Row:
    """What one layer met in the step.

    Attributes:
        path: of the layer in the network.
        y, dy: root mean squares of its output and of ∂E/∂y.
        idle: the part of it that passes next to no delta on: of a ReLU the units that are 0 for every example, of
            Sigmoid and Tanh the outputs whose slope is below 5 % of the steepest; None for other layers.
        change: by parameter, the root mean square of the coming update over that of the parameter; infinite where a
            parameter that is 0 is about to move, 0 where it is not.
    """

    path: str
    y: float
    dy: float
    idle: float | None
    change: dict[str, float]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """One step of training, measured. Prints as a table and a list of what stands out.

    Attributes:
        trace: everything that the step met, as `dp.trace` gives it.
        error: E of these examples, in training mode.
        error_of_constant: E of the best answer that is the same for all of them; None where the loss has none.
        rows: a `Row` for each layer, in the order of the walk forward.
        findings: what stands out, each with what to do and the page that says more.
        steps: how many updates the model had before.
        examples: how many examples were looked at.
    """

    trace: Trace
    error: float
    error_of_constant: float | None
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    steps: int
    examples: int

    def __str__(self) -> str:
        head = f"{self.examples:,} examples after {self.steps:,} updates: E = {self.error:.4g}"
        if self.error_of_constant is not None:
            head += f"; the best constant answer has {self.error_of_constant:.4g}"
        table = [("layer", "rms y", "rms dy", "idle", "update / parameter")]
        for row in self.rows:
            change = "  ".join(f"{name} {value:.1g}" for name, value in row.change.items())
            idle = "" if row.idle is None else f"{row.idle:.0%}"
            table.append((row.path, f"{row.y:.2g}", f"{row.dy:.2g}", idle, change))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        found = [f"- {finding}" for finding in self.findings] or ["Nothing stands out."]
        return "\n".join([head, *lines, "", *found])

    __repr__ = __str__

    def plot(self, path: Any = None) -> Any:
        """Histograms of what every layer gives, and the size of the deltas from layer to layer; a matplotlib figure."""
        from denpa.lab.figures.diagnosis import diagnosis_picture

        return diagnosis_picture(self, path)


def diagnose(model: Model, data: Any, examples: int = 256) -> Diagnosis:
    """Take one step of training apart, without taking it, and say what stands out.

    Measured are E beside that of the best constant answer, the root mean squares of every output y and every delta
    ∂E/∂y, units that pass no delta on, and for each parameter w the size of the coming update, rms Δw / rms w
    (Glorot & Bengio 2010, sections 3 and 4, on activations and deltas; Goodfellow, Bengio & Courville 2016, section
    11.5, on this way of looking for mistakes).

    Args:
        model: before, in, or after its training. One that was never fitted gets its normalisers' statistics and
            initial parameters, as by `fit`; nothing else of a model is changed.
        data: as for `fit`.
        examples: how many to look at, evenly spread over the data.

    Raises:
        ConfigError: no model, or no example to look at.
        DataError, ShapeError: the data do not fit.
    """
    if not isinstance(model, Model):
        raise ConfigError(f"diagnose wants a Model, not {model!r}.")
    examples = as_whole(examples, "examples", 1)
    with unchanged_if_refused(model):
        (x, t, weight), _ = prepared_data(model, data, None)
    count = len(jax.tree.leaves(x)[0])
    chosen = np.unique(np.linspace(0, count - 1, min(examples, count)).astype(int))
    x, t, weight = rows_of((x, t, weight), chosen)
    recipe = model.programs.recipe
    met, grads = model.programs.examine(model.run, model.statistics, x, t, weight)
    updates, _ = jax.jit(recipe.optimizer.update)(grads, model.run.optimizer, model.run.params)
    updates = recipe.thawed(tree.zeros_like(updates), updates)
    layers = dict(every_layer(model.net))
    rows = tuple(_rows(met, layers, tree.flatten(model.run.params), tree.flatten(updates)))
    constant = error_of_constant(model.loss, met.output, recipe.aim(model.statistics, t), weight)
    error = float(met.loss)
    return Diagnosis(
        met, error, constant, rows, tuple(findings(model, met, rows, error, constant)), model.steps, len(chosen)
    )


def rms(values: Any) -> float:
    """Root of the mean square of all numbers in a tree; 0 where there are none."""
    leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(values) if np.size(leaf)]
    return float(np.sqrt(np.mean(np.square(np.concatenate(leaves).astype(np.float64))))) if leaves else 0.0


def error_of_constant(loss: Any, y: Any, t: Any, weight: Any = None) -> float | None:
    """The least E of an answer that is the same for all: the mean of t, its log-odds, its logarithm.

    None for losses that read something else, and for targets of another form than (batch,) or (batch, k).
    """
    if not isinstance(y, jax.Array) or y.ndim != 2 or not isinstance(t, (np.ndarray, jax.Array)):
        return None
    name, classes = type(loss).__name__, y.shape[-1]
    one_hot = np.asarray(t, np.float64)
    if t.ndim == 1:
        one_hot = one_hot[:, None] if classes == 1 else np.eye(classes)[np.asarray(t, int)]
    mean = np.average(one_hot, axis=0, weights=None if weight is None else np.asarray(weight))
    p = np.clip(mean, 1e-6, 1 - 1e-6)
    answers = {
        "MeanSquaredError": mean,
        "SoftmaxCrossEntropy": np.log(p),
        "CrossEntropy": p,
        "SigmoidCrossEntropy": np.log(p) - np.log1p(-p),
        "BinaryCrossEntropy": p,
    }
    if name not in answers:
        return None
    return float(loss.value(jnp.broadcast_to(jnp.asarray(answers[name], y.dtype), y.shape), t, weight))


def _rows(met: Trace, layers: dict[str, Any], params: dict[str, Any], updates: dict[str, Any]) -> Iterator[Row]:
    for path, record in met.items():
        inside = {name.removeprefix(f"{path}/"): name for name in params if name.startswith(f"{path}/")}
        own = {name: place for name, place in inside.items() if "/" not in name}
        change = {name: _ratio(rms(updates[place]), rms(params[place])) for name, place in own.items()}
        yield Row(path, rms(record.y), rms(record.dy), _idle(layers.get(path), record.y), change)


def _ratio(update: float, size: float) -> float:
    return update / size if size else math.inf if update else 0.0


def _idle(layer: Any, y: Any) -> float | None:
    if not isinstance(layer, (ReLU, Sigmoid, Tanh)):
        return None
    y = np.asarray(y, np.float32)
    if isinstance(layer, ReLU):
        return float(np.mean(np.all(y <= 0, axis=tuple(range(y.ndim - 1)))))
    slope = 4 * y * (1 - y) if isinstance(layer, Sigmoid) else 1 - y**2
    return float(np.mean(slope < _FLAT))

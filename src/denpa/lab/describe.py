"""What there is, and what an experiment is, in words: for people who look before they run."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import jax
import numpy as np

from denpa.core.description import registered
from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Layer, Variables
from denpa.core.padded import on_values
from denpa.data import datasets
from denpa.data.counted import counted
from denpa.data.normalise import Normalizer
from denpa.init import Initializer
from denpa.kernels import choices
from denpa.lab import presets
from denpa.lab.experiment import Experiment, TrainingConfig
from denpa.lab.labelled_texts import LABELLED_TEXTS
from denpa.lab.sources import Prepared
from denpa.losses import Loss
from denpa.metrics import Metric
from denpa.networks import Network
from denpa.networks.inputs import readable
from denpa.optim import Optimizer, Schedule, Transform
from denpa.penalties import Penalty
from denpa.testing import GradientReport, check_gradients
from denpa.training import Model
from denpa.training.inputs import checked_targets, shape_of_example
from denpa.training.preparation import fitted

__all__ = ["KINDS", "check_experiment", "heading", "list_of", "seen_shape", "shape_text"]

_MOST_EXAMPLES, _FEWEST_EXAMPLES = 8, 3
_LARGE_EXAMPLE = 50_000  # numbers kept for one: of such examples the fewest are enough
_SHIFT = 0.01
_CHECKED_STEPS = 10  # of sequences
_FEWEST_ENTRIES, _MOST_ENTRIES = 3, 50  # of each array, moved one by one for the central differences
_NUMBERS_MOVED = 1_500_000  # entries times the numbers that the network computes and holds: bounds the time
_DISTINCT = 1 - math.exp(-1)  # of the examples in a bootstrap sample, on average

_UNNAMED = ("denpa.testing", "denpa.training.foreign")  # what no config can hold

KINDS: dict[str, Any] = {
    "presets": None,
    "data": None,
    "layers": Layer,
    "networks": Network,
    "losses": Loss,
    "optimizers": Optimizer,
    "transforms": Transform,  # what stands beside an optimiser in a chain
    "schedules": Schedule,
    "metrics": Metric,
    "penalties": Penalty,
    "initializers": Initializer,
    "normalizers": Normalizer,
    "kernels": None,
}


def list_of(kind: str) -> dict[str, str]:
    """Everything of a kind by name, with one line about it.

    Raises:
        ConfigError: an unknown kind (the nearest is named).
    """
    if kind not in KINDS:
        raise ConfigError(f"There is no list of {kind!r}: {nearest(kind, KINDS, plural='lists')}")
    if kind == "presets":
        return {name: preset.summary for name, preset in presets.PRESETS.items()}
    if kind == "data":
        return datasets.names()
    if kind == "kernels":
        return choices.listed()
    listed = {}
    for name, cls in registered(KINDS[kind]).items():
        elsewhere = {"layers": Network, "transforms": Optimizer}.get(kind)  # in a list of their own
        if not (cls.__module__.startswith(_UNNAMED) or (elsewhere and issubclass(cls, elsewhere))):
            listed[name] = _first_line(cls)
    return listed


def heading(experiment: Experiment, data: Prepared | None) -> str:
    """The experiment in a few aligned lines, without its network."""
    lines = {"data": experiment.data.source if data is None else _parts(experiment, data)}
    for part in ("loss", "optimizer", "penalty", "normalizer", "target_normalizer"):
        if getattr(experiment, part) is not None:
            lines[part.replace("_", " ")] = repr(getattr(experiment, part))
    lines["training"] = _training(experiment, data)
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def check_experiment(experiment: Experiment, data: Prepared, model: Model | None = None) -> GradientReport:
    """Compare all gradients on a few training examples with both oracles; see `denpa.testing.check_gradients`.

    They are those of the experiment's first parameters, or of what `model` has learned by it.

    Automatic differentiation is compared in every entry, central differences in a few of each array: the larger the
    network, the fewer. Examples and first parameters are shifted a little: behind biases of 0 the blank parts of images
    would sit on the kinks of ReLU and max-pooling, where no slope is the right one.

    Raises:
        GradientError: names the first wrong layer on the way back from the loss.
    """
    rows = min(_MOST_EXAMPLES, len(data.train))
    few = data.train[np.linspace(0, len(data.train) - 1, rows).astype(int)]
    x, t = few.inputs, few.t
    learned: Any = None if model is None else model.statistics
    if data.task in ("text", "series") and t is not None:
        x, t = x[:, :_CHECKED_STEPS], t[:, :_CHECKED_STEPS]
    if experiment.normalizer is not None:
        norm = experiment.normalizer
        arrays = fitted(norm, data.train.inputs) if model is None else learned
        x = on_values(lambda values: np.asarray(norm.apply(arrays, values)), x)
    net, key, shape = experiment.network, jax.random.key(experiment.training.seed), shape_of_example(x)
    size = net.summary(shape)
    kept = (size.saved_bytes or 0) // np.float32().itemsize
    rows = rows if kept < _LARGE_EXAMPLE else min(_FEWEST_EXAMPLES, rows)
    x, t = jax.tree.map(lambda array: array[:rows], (x, t))
    t = checked_targets(t, x, experiment.loss, net.out_shape(shape), "the data", train=False)
    if experiment.target_normalizer is not None:
        aim = experiment.target_normalizer
        t = aim.apply(aim.fit(data.train.t) if model is None else learned["targets"], t)
    params, state = net.init(key, shape) if model is None else model.variables
    rng = np.random.default_rng(experiment.training.seed)
    x = on_values(lambda values: _off_kinks(values, rng), readable(net, x))
    params = _off_kinks(params, rng)
    entries = _NUMBERS_MOVED // max((size.parameters or 0) + rows * kept, 1)
    entries = min(max(entries, _FEWEST_ENTRIES), _MOST_ENTRIES)
    return check_gradients(net, experiment.loss, Variables(params, state), x, t, key=key, entries=entries)


def _off_kinks(arrays: Any, rng: np.random.Generator) -> Any:
    def shifted(array: Any) -> Any:
        array = np.asarray(array)
        noise = _SHIFT * rng.standard_normal(array.shape)
        return array + noise.astype(array.dtype) if np.issubdtype(array.dtype, np.floating) else array

    return jax.tree.map(shifted, arrays)


def seen_shape(experiment: Experiment, in_shape: Any) -> tuple[int, ...]:
    """The shape of one example as the network sees it, behind a normaliser that may widen it."""
    if experiment.normalizer is None:
        return tuple(in_shape)
    blank = np.zeros((2, *in_shape), np.float32)
    return tuple(experiment.normalizer.apply(experiment.normalizer.fit(blank), blank).shape[1:])


def shape_text(shape: Any) -> str:
    """(28, 28, 1) as 28×28×1."""
    return "×".join(map(str, shape))


def _parts(experiment: Experiment, data: Prepared) -> str:
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    counts = [f"{len(part):,} {name}" for name, part in parts.items() if part is not None]
    listed = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    look = data.look
    if look.task in ("text", "series"):
        what = (
            f"{counted(look.in_shape[0], 'token')}, {look.outputs} different ones"
            if look.task == "text"
            else counted(look.in_shape[0], "step")
        )
        return f"{experiment.data.source}: {listed} rows of {what}"
    if look.task == "pairs":
        shape: Any = look.in_shape
        sizes = f"up to {shape[0][0]} tokens, answers of up to {look.target_shape[0]} among {look.outputs}"
        return f"{experiment.data.source}: {listed} pairs of {sizes}"
    if look.task == LABELLED_TEXTS:
        sizes = f"up to {counted(look.in_shape[0], 'token')} among {look.words:,}, {counted(look.outputs, 'class')}"
        return f"{experiment.data.source}: {listed} texts of {sizes}"
    kinds = {"classification": counted(look.outputs, "class"), "reconstruction": "each its own target"}
    values = shape_text(look.target_shape) + " value" + "s" * (look.target_shape != (1,))
    return f"{experiment.data.source}: {listed} examples of {shape_text(look.in_shape)}, {kinds.get(look.task, values)}"


def _training(experiment: Experiment, data: Prepared | None) -> str:
    plan = experiment.training
    if plan.epochs == 0:
        return f"none: {_generative(plan)}"
    text, drawn = counted(plan.epochs, "epoch"), plan.members is not None and plan.bootstrap
    if plan.members is not None:
        text = f"{plan.members} members{' on bootstrap samples' * drawn}, {text}"
    if data is not None:
        size = len(data.train) if plan.batch_size == "full" else int(plan.batch_size or min(32, len(data.train)))
        examples = round(_DISTINCT * len(data.train)) if drawn else len(data.train)
        text += f" of {'about ' * drawn}{counted(-(-examples // size), 'step')}, {counted(size, 'example')} each"
    if plan.rtrl:
        text = f"{counted(plan.epochs, 'epoch')}, an update at every time step by real-time recurrent learning"
    text += "" if plan.window is None else f", in windows of {counted(plan.window, 'step')}"
    if plan.pretrain is not None:
        text += f", after {plan.pretrain} layer by layer"
    if plan.generative is not None:
        text += f", from {_generative(plan)}"
    rule = "" if plan.early_stopping is None else f", {plan.early_stopping!r}"
    return f"{text}, seed {plan.seed}{rule}"


def _generative(plan: TrainingConfig) -> str:
    covariances = "one covariance" if plan.generative == "shared" else "a covariance each"
    shrunk = f", shrinkage {plan.shrinkage:g}" if plan.shrinkage else ""
    return f"Gaussian classes of {covariances} by maximum likelihood{shrunk}"


def _first_line(cls: type[Any]) -> str:
    """The formula that a docstring begins with; what follows it on the line, at a distance, are shapes."""
    text = (inspect.getdoc(cls) or "").splitlines() or [""]
    return re.split(r"\s{4,}", text[0])[0].rstrip(",;")

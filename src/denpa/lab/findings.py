"""What stands out in a step of training, by rules with a bound each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from denpa.layers import Dense, ReLU
from denpa.networks import Sequential, Tied
from denpa.training.divergence import first_not_finite
from denpa.training.preparation import misread_output

__all__ = ["Finding", "findings"]

# Far outside what networks that learn were seen to have, so that a finding is worth a look.
_INPUT = (0.01, 10.0)
_IDLE = 0.5
_FADING = 1e-3
_CHANGE = (2e-5, 0.3)
_LEARNED = 0.5


@dataclass(frozen=True)
class Finding:
    """Something that stands out: what was measured, what to do, and the page that says more."""

    what: str
    mend: str
    page: str

    def __str__(self) -> str:
        return f"{self.what} {self.mend} (docs/{self.page}.md)"


def findings(model: Any, met: Any, rows: Any, error: float, constant: float | None) -> Iterator[Finding]:
    """What stands out, in the order in which it is best mended."""
    bad = first_not_finite(met, met.grads)
    if bad is not None:
        mend = "Mend the first such number: smaller weights or learning rate, inputs of moderate size."
        yield Finding(f"Not finite: {bad}.", mend, "training")
        return
    yield from _of_description(model)
    yield from _of_input(met)
    yield from _of_layers(rows)
    yield from _of_deltas(rows)
    yield from _of_updates(rows, error == 0 or (constant is not None and error < _LEARNED * constant))
    yield from _of_answers(model, met, rows, error, constant)


def _of_description(model: Any) -> Iterator[Finding]:
    if (misread := misread_output(model.net, model.loss)) is not None:
        yield Finding(*misread, "losses")
    net = model.net.net if isinstance(model.net, Tied) else model.net
    if not isinstance(net, Sequential):
        return
    layers = net.inner()
    name, last = layers[-1]
    if isinstance(last, ReLU):
        what = f"The output goes through a ReLU, {name!r}: it is never negative, and where it is 0 nothing is learned."
        yield Finding(what, "Leave it out.", "activations")
    for (first, below), (second, above) in itertools.pairwise(layers):
        if isinstance(below, Dense) and isinstance(above, Dense):
            what = f"No activation stands between {first!r} and {second!r}: together they are one linear layer."
            yield Finding(what, "Put one there, such as ReLU().", "activations")


def _of_input(met: Any) -> Iterator[Finding]:
    x = [np.asarray(leaf) for leaf in jax.tree.leaves(next(iter(met.values())).x)]
    x = [leaf.astype(np.float64).ravel() for leaf in x if leaf.dtype.kind == "f"]  # integers are words, or lengths
    if not x:
        return
    size = float(np.sqrt(np.mean(np.square(np.concatenate(x)))))
    if not _INPUT[0] <= size <= _INPUT[1]:
        what = f"The input that the network sees has the root mean square {size:.2g}."
        yield Finding(what, "Give the model normalizer=dp.Standardize().", "normalisation")


def _of_layers(rows: Any) -> Iterator[Finding]:
    idle = [f"{row.idle:.0%} of {row.path!r}" for row in rows if row.idle is not None and row.idle > _IDLE]
    if idle:
        what = f"Inactive or saturated, so that no delta passes: {', '.join(idle)}."
        mend = "Weights or learning rate are too large: He() or Glorot() to start from, a smaller rate, BatchNorm()."
        yield Finding(what, mend, "activations")


def _of_deltas(rows: Any) -> Iterator[Finding]:
    learning = [row for row in rows if row.change and row.dy > 0]
    if len(learning) < 2:
        return
    first, last = learning[0], learning[-1]
    factor = first.dy / last.dy
    if factor < _FADING:
        what = f"Deltas fade on their way back: rms dy of {first.path!r} is {factor:.0e} of that of {last.path!r}."
        mend = "ReLU() with He() weights, BatchNorm(), a path around layers by Add(), or fewer layers."
        yield Finding(what, mend, "back-propagation")
    elif factor > 1 / _FADING:
        what = f"Deltas grow on their way back: rms dy of {first.path!r} is {factor:.0e} times that of {last.path!r}."
        yield Finding(what, "Smaller initial weights; dp.chain(dp.ClipByNorm(1.0), ...).", "initialisers")


def _of_updates(rows: Any, learned: bool) -> Iterator[Finding]:
    changes = {f"{row.path}/{name}": value for row in rows for name, value in row.change.items() if name[0] == "W"}
    if not changes:
        return
    still = [] if learned else [name for name, value in changes.items() if value < _CHANGE[0]]  # it may be at rest
    wild = [name for name, value in changes.items() if _CHANGE[1] < value < math.inf]  # from 0 every step is wide
    if still:
        what = f"The coming update hardly moves {', '.join(still)}: less than {_CHANGE[0]:.0e} of its size."
        yield Finding(what, "A larger learning rate, Adam, or what the deltas above ask for.", "optimisers")
    if wild:
        what = f"The coming update is more than {_CHANGE[1]:.0%} of the size of {', '.join(wild)}."
        yield Finding(what, "A smaller learning rate, or a warm-up.", "schedules")


def _of_answers(model: Any, met: Any, rows: Any, error: float, constant: float | None) -> Iterator[Finding]:
    y = met.output
    last = next((row.change for row in reversed(rows) if row.change), {})
    begins = not model.steps and any(value == math.inf for name, value in last.items() if name[0] == "W")  # from W = 0
    if not begins and isinstance(y, jax.Array) and y.ndim == 2 and len(y) > 1:
        spread, size = float(np.std(np.asarray(y), axis=0).max()), float(np.abs(np.asarray(y)).max())
        if spread <= 1e-3 * max(size, 1e-6):
            what = "The network answers nearly the same to all examples: its outputs differ by less than a thousandth."
            yield Finding(what, "Look for the layer whose y no longer differs: plot().", "not_learning")
    if constant is None:
        return
    if model.steps and error >= 0.98 * constant:
        what = f"After {model.steps:,} updates E is no better than that of a constant answer, {constant:.3g}."
        mend = "Try to learn ten examples by heart; where that fails too, the mistake is in data, network or rate."
        yield Finding(what, mend, "not_learning")
    elif not model.steps and error > 3 * constant:
        what = f"E at the start is {error / constant:.2g} times that of a constant answer: the outputs begin too large."
        yield Finding(what, "Smaller inputs or initial weights in the last layer.", "initialisers")

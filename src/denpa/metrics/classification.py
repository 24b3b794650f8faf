"""Metrics of outputs that speak for classes.

Targets are class indices (...) or one number per class (..., classes), of which the largest counts, for
outputs y (..., classes). Every axis of y but the last counts items, so the steps of a sequence can be
masked. Of equal outputs the first one wins; an output that is NaN is never right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core.checks import want_positive
from denpa.core.errors import DataError, ShapeError
from denpa.core.shapes import Shape
from denpa.core.targets import (
    as_float,
    holds_class_indices,
    item_weights,
    one_hot,
    total_weight,
    unit_targets,
    weighted,
)
from denpa.kernels.activation import minus_log_softmax
from denpa.metrics.base import Array, Metric, Sums, totals

__all__ = ["Accuracy", "ConfusionMatrix", "ExactMatch", "Perplexity", "TopK"]


class _OfClasses(Metric):
    """A metric whose integer targets are class indices."""

    def check_range(self, t: np.ndarray, y_shape: Shape) -> None:
        """Indices go from 0 to the number of classes less 1; a single output has two."""
        outputs = math.prod(y_shape[1:][-1:])  # of (batch,) one
        classes, bad = max(outputs, 2), (t < 0) | (t >= max(outputs, 2))
        if t.dtype.kind in "iu" and (t.ndim < len(y_shape) or outputs == 1) and bad.any():
            at = tuple(np.argwhere(bad)[0].tolist())
            raise DataError(f"{self!r} wants class indices 0 to {classes - 1}, but target {at} is {t[at]}.")


@dataclass(frozen=True)
class Accuracy(_OfClasses):
    """Σ w [decision = target] / Σ w

    The decision is arg max over the classes of y (..., classes). A single output, y (batch,) or (..., 1),
    decides for class 1 above `threshold`, else for class 0; its targets have y's shape, or are class
    indices 0 and 1 without y's last axis.

    Args:
        threshold: 0.5 where the output is a probability, 0 where it is a logit. None leaves it to the
            loss that the metric is used with, and means 0.5 where there is none.

    Raises:
        ShapeError: from `measure`, outputs and targets do not fit together.
    """

    threshold: float | None = None

    def suited_to(self, loss: Any) -> Accuracy:
        """With the loss's threshold, unless the metric has its own."""
        return self.replace(threshold=_threshold(self.threshold, loss))

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """Σ w over the items that are right, and over all."""
        y, t = as_float(self, y), jnp.asarray(t)
        labels, decided, _ = _decisions(self, y, t, self.threshold)
        return _counted(self, labels == decided, sample_weight, y.dtype)

    def compute(self, sums: Sums) -> float:
        """The share of right decisions, 0 to 1."""
        return _ratio(sums)


@dataclass(frozen=True)
class ExactMatch(_OfClasses):
    """Σ_n w_n [every decision of sequence n = its target] / Σ_n w_n      y (batch, time, classes), t (batch, time)

    A step of weight 0, such as padding, has no say; w_n is the largest weight of a step of sequence n, so that each
    sequence counts once, whatever its length. Of a decoder under teacher forcing this is the share of right answers
    when it is fed its own: as long as it is right, these are the same.

    Raises:
        ShapeError: from `measure`, outputs and targets of other shapes.
    """

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """Σ w over the sequences that are right from end to end, and over all."""
        y, t = as_float(self, y), jnp.asarray(t)
        if y.ndim != 3 or not holds_class_indices(self, y, t):
            raise ShapeError(f"{self!r} wants class indices (batch, time) for outputs (batch, time, classes).")
        w = item_weights(self, sample_weight, t.shape, y.dtype)
        w = jnp.ones(len(t), y.dtype) if w is None else w
        w = w.reshape(len(t), math.prod(w.shape[1:]))  # of no sequences too, for which -1 stands for no size
        right = jnp.all((_first_largest(y) == t) | (w == 0), axis=1)
        return _counted(self, right, jnp.max(w, axis=1), y.dtype)

    def compute(self, sums: Sums) -> float:
        """The share of sequences that are right from end to end, 0 to 1."""
        return _ratio(sums)


@dataclass(frozen=True)
class TopK(_OfClasses):
    """Σ w [target among the k largest outputs] / Σ w, for y (..., classes). In logs `top_5` for k = 5.

    Args:
        k: 1 or more, at most the number of classes.

    Raises:
        ConfigError: k is not a whole number from 1.
        ShapeError: from `measure`, more than the classes there are.
    """

    k: int = 5

    def validate(self) -> None:
        """Refuse k < 1."""
        want_positive(self, "k")

    @property
    def name(self) -> str:
        """The name in logs: `top_5`."""
        return f"top_{self.k}"

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """Σ w over the items whose target is among the k largest, and over all."""
        y, t = as_float(self, y), jnp.asarray(t)
        labels, classes = _labels(self, y, t)[..., None], y.shape[-1]
        if self.k > classes:
            raise ShapeError(f"{self!r} is always right for outputs of {classes} classes, {y.shape}.")
        index = lax.iota(jnp.int32, classes)
        score = jnp.max(jnp.where(index == labels, y, -jnp.inf), axis=-1, keepdims=True)
        behind = (y < score) | ((y == score) & (index > labels))  # false where either is NaN
        ahead = classes - 1 - jnp.sum(behind, axis=-1)
        return _counted(self, ahead < self.k, sample_weight, y.dtype)

    def compute(self, sums: Sums) -> float:
        """The share of targets among the k largest, 0 to 1."""
        return _ratio(sums)


@dataclass(frozen=True)
class Perplexity(_OfClasses):
    """exp( -Σ w Σ_k t_k log p_k / Σ w ), for y (..., classes)

    How many equally likely classes would be as hard to guess: 1 is perfect, K is guessing evenly among K.

    Args:
        expects: what y holds, "logits" or "probabilities". None leaves it to the loss that the metric is
            used with, and means "logits" where there is none.

    Raises:
        ConfigError: `expects` is something else.

    Source: Jelinek, Mercer, Bahl & Baker (1977), "Perplexity: a measure of the difficulty of speech
    recognition tasks".
    """

    expects: Literal["logits", "probabilities"] | None = None

    higher_is_better: ClassVar[bool | None] = False

    def suited_to(self, loss: Any) -> Perplexity:
        """Reading outputs as the loss does, unless the metric says itself what they are."""
        expects = getattr(loss, "expects", None)
        return Perplexity(expects) if self.expects is None and expects in ("logits", "probabilities") else self

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """-Σ w Σ_k t_k log p_k and Σ w."""
        y, t = as_float(self, y), jnp.asarray(t)
        is_index = holds_class_indices(self, y, t)
        t = one_hot(t, y.shape[-1], y.dtype) if is_index else t.astype(y.dtype)
        minus_log_p = -jnp.log(y) if self.expects == "probabilities" else minus_log_softmax(y)
        w = item_weights(self, sample_weight, y.shape[:-1], y.dtype)
        surprise = jnp.sum(weighted(t, minus_log_p), axis=-1)
        return {"surprise": jnp.sum(weighted(w, surprise)), "weight": total_weight(w, y.shape[:-1], y.dtype)}

    def compute(self, sums: Sums) -> float:
        """The perplexity, at least 1 for targets that sum to 1; infinite where float64 cannot hold it."""
        surprise, weight = totals(sums, "surprise", "weight")
        if not weight:
            return math.nan
        with np.errstate(over="ignore"):
            return float(np.exp(surprise / weight))


@dataclass(frozen=True)
class ConfusionMatrix(_OfClasses):
    """C_ij = Σ w over the items of true class i for which class j was decided

    y (..., classes), or a single output, y (batch,) or (..., 1), which decides as in `Accuracy` and gives
    two classes. `compute` gives the (classes, classes) array: rows are true classes, columns decisions.

    Args:
        threshold: of a single output, as in `Accuracy`.

    Raises:
        ShapeError: as for `Accuracy`.
    """

    threshold: float | None = None

    higher_is_better: ClassVar[bool | None] = None

    def size(self, outputs: int) -> int:
        return max(outputs, 2) ** 2

    def suited_to(self, loss: Any) -> ConfusionMatrix:
        """With the loss's threshold, unless the metric has its own."""
        return self.replace(threshold=_threshold(self.threshold, loss))

    def measure(self, y: Any, t: Any, sample_weight: Any = None) -> Sums:
        """{"counts": C of this batch}."""
        y, t = as_float(self, y), jnp.asarray(t)
        labels, decided, classes = _decisions(self, y, t, self.threshold)
        w = item_weights(self, sample_weight, labels.shape, y.dtype)
        rows = weighted(w, one_hot(labels, classes, y.dtype)).reshape(-1, classes)
        columns = one_hot(decided, classes, y.dtype).reshape(-1, classes)
        return {"counts": jnp.matmul(rows.T, columns, precision=lax.Precision.HIGHEST)}

    def compute(self, sums: Sums) -> np.ndarray:
        """C as a float64 array."""
        return totals(sums, "counts")[0]


def _threshold(own: float | None, loss: Any) -> float | None:
    return getattr(loss, "threshold", None) if own is None else own


def _decisions(metric: Metric, y: Array, t: Array, threshold: float | None) -> tuple[Array, Array, int]:
    """True classes, decided classes, and the number of classes; NaN decides for none (their number)."""
    if y.ndim > 1 and y.shape[-1] > 1:
        return _labels(metric, y, t), _first_largest(y), y.shape[-1]
    t = unit_targets(metric, y, t)
    if y.ndim > 1:
        y, t = y[..., 0], t[..., 0]
    decided = (y > (0.5 if threshold is None else threshold)).astype(jnp.int32)
    return (t > 0.5).astype(jnp.int32), jnp.where(jnp.isnan(y), 2, decided), 2


def _labels(metric: Metric, y: Array, t: Array) -> Array:
    return t.astype(jnp.int32) if holds_class_indices(metric, y, t) else _first_largest(t)


def _first_largest(values: Array) -> Array:
    """arg max over the last axis, its size where a NaN is among the values: two reductions that vectorise."""
    index = lax.iota(jnp.int32, values.shape[-1])
    largest = jnp.max(values, axis=-1, keepdims=True)
    return jnp.min(jnp.where(values == largest, index, values.shape[-1]), axis=-1)


def _counted(metric: Metric, right: Array, sample_weight: Any, dtype: Any) -> Sums:
    w = item_weights(metric, sample_weight, right.shape, dtype)
    return {"right": jnp.sum(weighted(w, right.astype(dtype))), "weight": total_weight(w, right.shape, dtype)}


def _ratio(sums: Sums) -> float:
    right, weight = totals(sums, "right", "weight")
    return float(right / weight) if weight else math.nan

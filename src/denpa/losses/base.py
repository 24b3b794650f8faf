"""The loss: what training makes small, and the first delta of the walk back.

    l_n = l(y_n, t_n)                        per item
    E = Σ_n w_n l_n / Σ_n w_n                reduction="mean", weights w_n = 1 unless given
    E = Σ_n w_n l_n                          reduction="sum"
    ∂E/∂y_n = w_n ∂l_n/∂y_n / Σ_m w_m        (without the divisor for "sum")

The division by the batch happens here and nowhere else, so every gradient below inherits it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from denpa.core.description import Description
from denpa.core.errors import ConfigError, DataError
from denpa.core.shapes import Shape
from denpa.core.targets import as_float, item_weights, total_weight, weighted

__all__ = ["Array", "BinaryLoss", "Loss", "over_units", "refuse"]

Array = jax.Array


class Loss(Description):
    """Base of all losses. A subclass gives one item's formula and its derivative; the rest is here.

    A loss of your own is a `@dataclass(frozen=True)` with a field `reduction: str = "mean"` and the
    methods `per_item` and `per_item_delta`.

    Attributes:
        reduction: "mean" or "sum" over the items of a batch.
        expects: what the network's output is to this loss: "values", "logits" or "probabilities".
        threshold: a single output above it decides for class 1; None where outputs are always compared.
    """

    reduction: str
    expects: ClassVar[str] = "values"
    threshold: ClassVar[float | None] = 0.5

    def validate(self) -> None:
        """Refuse an unknown reduction. A subclass with a `validate` of its own calls `super().validate()`."""
        if self.reduction not in ("mean", "sum"):
            raise ConfigError(f'{type(self).__name__}.reduction must be "mean" or "sum", not {self.reduction!r}.')

    def per_item(self, y: Array, t: Array) -> Array:
        """l(y_n, t_n) of every item: (batch,), or (batch, time) where each step is an item. y is float32 at least."""
        raise NotImplementedError(f"{type(self).__name__} must define per_item(y, t).")

    def per_item_delta(self, y: Array, t: Array) -> Array:
        """∂l(y_n, t_n)/∂y_n of every item, like y."""
        raise NotImplementedError(f"{type(self).__name__} must define per_item_delta(y, t).")

    def __call__(self, y: Any, t: Any, sample_weight: Any = None) -> Array:
        """E, a scalar: the same as `value`."""
        return self.value(y, t, sample_weight)

    def value(self, y: Any, t: Any, sample_weight: Any = None) -> Array:
        """E = Σ w l / Σ w, or Σ w l for reduction="sum"; a scalar of at least float32.

        Args:
            y: the network's output, (batch, ...).
            t: targets, in one of the shapes that the loss names.
            sample_weight: weights or a mask, (batch,) or with further leading axes of the items, as
                (batch, time) where padded steps weigh 0. An item of weight 0 touches nothing, even if it
                is not finite; when all weights are 0, E = 0.

        Raises:
            ShapeError: outputs, targets and weights do not fit together; nothing is broadcast.
            DataError: targets of a dtype that does not fit, or that the loss cannot mean, as a class that there is not;
                weights below 0 or not finite.
        """
        total, weight = self.sums(y, t, sample_weight)
        self.check_given(y, t, sample_weight)
        return total if self.reduction == "sum" else total / _not_zero(weight)

    def sums(self, y: Any, t: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """(Σ w l, Σ w): both add up over batches, so the mean over a data set is the ratio of their totals."""
        y, t = as_float(self, y), jnp.asarray(t)
        items = self.per_item(y, t)
        w = item_weights(self, sample_weight, self.item_shape(y), y.dtype)
        return jnp.sum(weighted(w, items)), self.divisor(y, t, w)

    def delta(self, y: Any, t: Any, sample_weight: Any = None) -> Array:
        """∂E/∂y, of y's shape and dtype; arguments and errors as for `value`."""
        dtype, y, t = jnp.asarray(y).dtype, as_float(self, y), jnp.asarray(t)
        delta = self.per_item_delta(y, t)
        w = item_weights(self, sample_weight, self.item_shape(y), y.dtype)
        self.check_given(y, t, sample_weight)
        if self.reduction == "mean":
            scale = 1 / _not_zero(self.divisor(y, t, w))
            # One multiplication per weight, not a division per output.
            delta, w = (delta * scale, None) if w is None else (delta, w * scale)
        return weighted(w, delta).astype(dtype)

    def item_shape(self, y: Array) -> Shape:
        """Shape of `per_item`: the axes that sample weights may have, in this order."""
        return y.shape[:-1] if y.ndim > 1 else y.shape

    def divisor(self, y: Array, t: Array, w: Array | None) -> Array:
        """Σ w over the items, or their number: what "mean" divides by."""
        return total_weight(w, self.item_shape(y), y.dtype)

    def probabilities(self, y: Any) -> Array:
        """The network's output as probabilities of the classes, like y."""
        if self.expects == "probabilities":
            return jnp.asarray(y)
        raise ConfigError(f"{self!r} reads outputs as {self.expects}, which stand for no probabilities.")

    def decide(self, y: Any) -> Array:
        """The class that the output speaks for, as int32: arg max over the last axis; ties go to the first.

        A single output, (batch,) or (..., 1), decides for class 1 above `threshold`, else for class 0.
        """
        y = jnp.asarray(y)
        if self.threshold is not None and (y.ndim == 1 or y.shape[-1] == 1):
            return ((y[..., 0] if y.ndim > 1 else y) > self.threshold).astype(jnp.int32)
        return jnp.argmax(y, axis=-1).astype(jnp.int32)

    def check_targets(self, t: Any, out_shape: Shape) -> None:
        """Check targets on the host, values included, before training: a compiled program cannot complain.

        Args:
            t: targets of any number of samples, a NumPy array.
            out_shape: shape of one output example, as `net.out_shape` gives it.

        Raises:
            ShapeError: t does not fit outputs of `out_shape`.
            DataError: t is not finite, or not among what the loss can be asked for.
        """
        t = np.asarray(t)
        y = jax.ShapeDtypeStruct((len(t), *out_shape), jnp.float32)
        jax.eval_shape(self.per_item, y, jax.ShapeDtypeStruct(t.shape, jax.dtypes.canonicalize_dtype(t.dtype)))
        bad = ~np.isfinite(t.astype(np.float64))
        if bad.any():
            raise DataError(f"{self!r}: target {_first(bad)} is {t[_first(bad)]}; targets must be finite.")
        self.check_range(t, out_shape)

    def check_given(self, y: Any, t: Any, sample_weight: Any = None) -> None:
        """`check_range` of one batch, and its weights, where the values are known: not while a program is traced.

        Items of weight 0 may be asked for anything. Of several outputs only their own loss knows what they mean.
        """
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((t, sample_weight)))
        if traced or isinstance(y, tuple):
            return
        t = np.asarray(t)
        if sample_weight is not None:
            s = np.asarray(sample_weight)
            if not np.isfinite(s).all() or (s < 0).any():
                raise DataError(f"{self!r}: sample_weight must be finite and not negative.")
            counts = s != 0
            t = np.where(counts.reshape(*counts.shape, *[1] * (t.ndim - counts.ndim)), t, 0)
        self.check_range(t, jnp.shape(y)[1:])

    def check_range(self, t: np.ndarray, out_shape: Shape) -> None:
        """Refuse targets, of the right shape and finite, whose values the loss cannot mean."""


class BinaryLoss(Loss):
    """Base of the losses of independent yes-or-no outputs: targets between 0 and 1, one for each unit."""

    def decide(self, y: Any) -> Array:
        """1 above `threshold`, else 0, int32: (...) for a single output, (..., units) for several, each for itself."""
        ones = (jnp.asarray(y) > (self.threshold or 0.0)).astype(jnp.int32)
        return ones[..., 0] if ones.ndim > 1 and ones.shape[-1] == 1 else ones

    def check_range(self, t: np.ndarray, out_shape: Shape) -> None:
        """Targets lie between 0 and 1."""
        refuse(self, (t < 0) | (t > 1), t, "targets between 0 and 1")


def refuse(loss: Loss, bad: np.ndarray, t: np.ndarray, wanted: str) -> None:
    """Raise `DataError` naming the first of the targets marked in `bad`."""
    if bad.any():
        raise DataError(f"{loss!r} wants {wanted}, but target {_first(bad)} is {t[_first(bad)]}.")


def over_units(losses: Array) -> Array:
    """The sum over the units of the last axis; as they are where (batch,) is one output."""
    return jnp.sum(losses, axis=-1) if losses.ndim > 1 else losses


def _first(marked: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(marked)[0])


def _not_zero(weight: Array) -> Array:
    return jnp.where(weight == 0, jnp.ones((), weight.dtype), weight)

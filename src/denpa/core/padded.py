"""Sequences of unlike length in one array: padded to the longest, with the number of true steps of each.

What stands behind a sequence's end is padding. It reaches no loss, no metric, no statistic and no state.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from denpa.core.errors import DataError

__all__ = ["Padded", "checked_lengths", "on_values", "silenced", "step_mask", "step_weights", "values_of", "with_ends"]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["values", "lengths"], meta_fields=[])
@dataclass(frozen=True)
class Padded:
    """A batch of sequences: `values` (batch, time, ...) of which sequence n has `lengths[n]` true steps.

    Attributes:
        values: an array (batch, time, ...); what it holds behind a sequence's end is of no account.
        lengths: (batch,) integers from 1 to time.
    """

    values: Any
    lengths: Any

    def __post_init__(self) -> None:
        for name, given in vars(self).items():
            if isinstance(given, list):  # which JAX would take for a tree of numbers
                try:
                    object.__setattr__(self, name, np.asarray(given))
                except ValueError:
                    raise DataError(f"Padded.{name} has rows of unlike length: fill all up to the longest.") from None


def values_of(x: Any) -> Any:
    """The array inside a `Padded`; anything else as it is, and each part of a tuple."""
    if isinstance(x, tuple):
        return tuple(values_of(part) for part in x)
    return x.values if isinstance(x, Padded) else x


def on_values(function: Callable[[Any], Any], x: Any) -> Any:
    """function(x), on the array inside where x is `Padded`."""
    return Padded(function(x.values), x.lengths) if isinstance(x, Padded) else function(x)


def checked_lengths(lengths: Any, values: Any, where: str) -> Any:
    """The lengths, which must be integers, one for each sequence of `values`, from 1 to the number of its steps.

    Raises:
        DataError: they are not; while a program is traced, their values are not known and not looked at.
    """
    lengths = lengths if isinstance(lengths, jax.Array) else np.asarray(lengths)
    shape = np.shape(values)
    if len(shape) < 2 or lengths.shape != shape[:1] or lengths.dtype.kind not in "iu":
        raise DataError(
            f"Padded wants one integer length for each sequence (batch, time, ...) in {where}, "
            f"for values of shape {shape}, not {lengths.dtype} of shape {lengths.shape}."
        )
    if isinstance(lengths, jax.core.Tracer):
        return lengths
    known = np.asarray(lengths)
    wrong = (known < 1) | (known > shape[1])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"Sequence {row} in {where} has length {known[row]}: it must be 1 to {shape[1]}, the steps given."
        )
    return lengths


def step_mask(lengths: Any, time: int, ndim: int = 2) -> Any:
    """Which steps are true: booleans (batch, time, 1, ...) of `ndim` axes, on the host where the lengths are."""
    library = np if isinstance(lengths, np.ndarray) else jnp
    mask = library.arange(time, dtype=np.int32) < library.asarray(lengths, np.int32)[:, None]
    return mask.reshape(*mask.shape, *(1,) * (ndim - 2))


def silenced(values: Any, lengths: Any) -> Any:
    """The values (batch, time, ...) with 0 on the padding; as they are where `lengths` is None.

    A delta of 0 alone would not keep NaN out of a product.
    """
    if lengths is None:
        return values
    mask = step_mask(lengths, values.shape[1], values.ndim)
    library = np if isinstance(values, np.ndarray) and isinstance(mask, np.ndarray) else jnp
    return library.where(mask, values, values.dtype.type(0))


def with_ends(t: Any, x: Any, shape: Any) -> Any:
    """Targets as they are, or `Padded` where an output of this shape, (batch, time, ...), has a padded input's steps.

    Of several inputs that is the last that has steps: a decoder's behind that of its encoder, sequences before the
    carry that they begin with, (batch, units).
    """
    for part in reversed(x if isinstance(x, tuple) else (x,)):
        if isinstance(part, Padded):
            theirs = isinstance(t, Padded) or len(shape) < 3 or shape[1] != part.values.shape[1]
            return t if theirs else Padded(t, part.lengths)
        if np.ndim(part) > 2 or not jnp.issubdtype(jnp.result_type(part), jnp.floating):
            return t
    return t


def step_weights(loss: Any, x: Any, y: Any, t: Any, sample_weight: Any) -> Any:
    """Weights of the loss's items (batch, time, ...) in which padded steps weigh 0.

    The ends of the sequences are those of the targets, or of a padded input. Without either, `sample_weight` as it is.
    """
    t = with_ends(t, x, getattr(y, "shape", ()))  # a tuple of several outputs has none
    if not isinstance(t, Padded):
        return sample_weight
    mask = step_mask(t.lengths, loss.item_shape(y)[1])
    if sample_weight is None:
        return mask.astype(jnp.result_type(float))
    weight = jnp.asarray(sample_weight)
    return jnp.where(mask, weight[:, None] if weight.ndim == 1 else weight, jnp.zeros((), weight.dtype))

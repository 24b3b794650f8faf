"""Sequences of unlike length in one array: padded to the longest, with the number of true steps of each.

What stands behind a sequence's end is padding. It reaches no loss, no metric, no statistic and no state.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["Padded", "on_values", "step_mask", "step_weights", "values_of"]


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


def values_of(x: Any) -> Any:
    """The array inside a `Padded`; anything else as it is, and each part of a tuple."""
    if isinstance(x, tuple):
        return tuple(values_of(part) for part in x)
    return x.values if isinstance(x, Padded) else x


def on_values(function: Callable[[Any], Any], x: Any) -> Any:
    """function(x), on the array inside where x is `Padded`."""
    return Padded(function(x.values), x.lengths) if isinstance(x, Padded) else function(x)


def step_mask(lengths: Any, time: int) -> Any:
    """Which steps are true: (batch, time) booleans."""
    return jnp.arange(time) < jnp.asarray(lengths)[:, None]


def step_weights(loss: Any, x: Any, y: Any, t: Any, sample_weight: Any) -> Any:
    """Weights of the loss's items (batch, time, ...) in which padded steps weigh 0.

    The ends of the sequences are those of the targets; where these are not `Padded`, those of a padded
    input with as many time steps. Without either, `sample_weight` as it is.
    """
    if not (isinstance(t, Padded) or isinstance(x, Padded)):
        return sample_weight
    items = loss.item_shape(y)
    if isinstance(t, Padded):
        lengths = t.lengths
    elif len(items) > 1 and items[1] == x.values.shape[1]:
        lengths = x.lengths
    else:
        return sample_weight
    mask = step_mask(lengths, items[1])
    if sample_weight is None:
        return mask.astype(jnp.result_type(float))
    weight = jnp.asarray(sample_weight)
    return jnp.where(mask, weight[:, None] if weight.ndim == 1 else weight, jnp.zeros((), weight.dtype))

"""What callers give a network, read as arrays: lists, masked arrays, those of other libraries, and traced values."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from denpa.core.checks import want_methods
from denpa.core.errors import DataError
from denpa.core.keys import key_for
from denpa.core.padded import Padded, checked_lengths
from denpa.data.arguments import as_flag
from denpa.data.checks import unmasked, want_numbers

__all__ = ["array_of", "arrays_in", "read_problem"]


def array_of(values: Any, name: str, *, numbers: bool = True) -> Any:
    """What a caller gives a network, as an array of NumPy's or JAX's; while a program is traced, a list of tracers too.

    Raises:
        DataError: masked entries, or rows of unlike length; with `numbers` also text, dates, complex numbers, objects.
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values)):
        values = jnp.asarray(values)
    elif not isinstance(values, jax.Array):
        values = unmasked(values, name, "the batch")
    if numbers:
        want_numbers(values, name, "the batch")
    return values


def arrays_in(data: Any, name: str) -> Any:
    """`data` with lists and arrays of other libraries as NumPy's, which `jax.jit` takes; errors as for `array_of`."""
    read = functools.partial(array_of, name=name, numbers=False)
    return jax.tree.map(read, data, is_leaf=lambda part: isinstance(part, list))


def read_problem(
    net: Any, loss: Any, x: Any, t: Any, key: Any, train: Any, sample_weight: Any, way: str = "walk_forward"
) -> tuple[Any, Any, bool, Any]:
    """x, t, `train` and weights as arrays and a flag; refuse what JAX would refuse in words of its own.

    Raises:
        ConfigError: `net`, which must go forward in this `way`, `loss`, `key` or `train` is something else.
        DataError: x or t is missing, or holds other than numbers; so the weights.
    """
    want_methods(net, "A network, such as dp.Sequential([dp.Dense(10)]), is wanted", "backward", way)
    want_methods(loss, "A loss, such as dp.MeanSquaredError(), is wanted", "value", "delta")
    for name, data in (("x", x), ("t", t)):
        kinds = {np.asarray(leaf).dtype.kind for leaf in jax.tree.leaves(data) if not hasattr(leaf, "aval")}
        for part in data if isinstance(data, tuple) else (data,):
            if isinstance(part, Padded):
                checked_lengths(part.lengths, part.values, name)
        if data is None or kinds & set("OSUMm"):
            raise DataError(f"{name} must be numbers, not {'None' if data is None else 'text, dates or objects'}.")
    if not isinstance(key, jax.Array):
        key_for(key, "")  # what is no key is refused by its own name, not by a tracer's
    weight = None if sample_weight is None else array_of(sample_weight, "sample_weight")
    return arrays_in(x, "x"), arrays_in(t, "t"), as_flag(train, "train"), weight

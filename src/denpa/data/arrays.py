"""What callers give a network, read as arrays: lists, masked arrays, those of other libraries, and traced values."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from denpa.data.checks import unmasked, want_numbers

__all__ = ["array_of", "arrays_in"]


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

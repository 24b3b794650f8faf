"""What a network is given, as its layers read it: arrays or padded sequences, variables, the shape of one example."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.core.layer import Context, Layer, Variables
from denpa.core.padded import Padded, checked_lengths, on_values, silenced
from denpa.core.shapes import as_shape
from denpa.data.arrays import array_of

__all__ = ["entering", "paired", "readable", "shape_of_inputs"]


def entering(x: Any, ctx: Context) -> tuple[Any, Context]:
    """What a network's layers see of padded sequences: the array, 0 on its padding, and in the context the lengths."""
    if isinstance(x, Padded):
        lengths = checked_lengths(x.lengths, x.values, "the batch")
        return silenced(x.values, lengths), dataclasses.replace(ctx, lengths=lengths)
    return x, ctx


def readable(net: Layer, x: Any, dtype: Any = None, unsaid: bool = False) -> Any:
    """The input as the network reads it: in floating point, of `dtype` if given, but integers where it takes those.

    `unsaid` says whether a user's layer whose `takes_integers` is None gets integers as they are.
    """

    def read(values: Any, integers: Any) -> Any:
        whole = unsaid if integers is None else integers
        values = array_of(values, "x", numbers=not whole)
        if whole and not jnp.issubdtype(values.dtype, jnp.floating):
            return values
        return tree.floating(values) if dtype is None else values.astype(dtype)

    takes = net.takes_integers
    if not isinstance(x, tuple):
        return on_values(lambda values: read(values, takes), x)
    each = takes if isinstance(takes, tuple) else (takes,) * len(x)
    if len(each) != len(x):
        return x  # which the network refuses
    return tuple(on_values(lambda v, i=i: read(v, i), part) for part, i in zip(x, each, strict=True))


def paired(variables: Any) -> Variables:
    """Parameters and state, or a `ConfigError` that says what came instead."""
    if isinstance(variables, tuple) and len(variables) == 2 and all(isinstance(part, dict) for part in variables):
        return Variables(*variables)
    got = "an array" if isinstance(variables, jax.Array) else type(variables).__name__
    raise ConfigError(f"Variables are a pair (params, state), as net.init(key, in_shape) makes it, not {got}.")


def shape_of_inputs(in_shape: Any) -> Any:
    """One shape, or a tuple of shapes for a network with several inputs."""
    if isinstance(in_shape, (tuple, list)) and in_shape and isinstance(in_shape[0], (tuple, list)):
        return tuple(as_shape(shape) for shape in in_shape)
    return as_shape(in_shape)

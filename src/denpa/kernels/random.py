"""Random masks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from denpa.core.shapes import Shape

__all__ = ["keep_mask"]


def keep_mask(key: jax.Array, shape: Shape, rate: float) -> jax.Array:
    """m ~ Bernoulli(1 − rate), independently in every place of `shape`: True is kept.

    `rate` is taken to the nearest multiple of 2⁻¹⁶: two of these numbers come out of one random word,
    which halves the cost of the mask, and making random words is nearly all of that cost. Where less than 2⁻⁷ is kept,
    that would be too coarse for the factor 1 / (1 − rate) behind it: there each number has a word, and steps of 2⁻³².
    """
    if 0 < 1 - rate < 2**-7:
        return jax.random.bits(key, shape, jnp.uint32) >= jnp.uint32(min(round(rate * 2**32), 2**32 - 1))
    threshold = round(rate * 2**16)
    if threshold == 0 or threshold == 2**16:
        return jnp.full(shape, threshold == 0)
    *rows, size = shape or (1,)
    words = jax.random.bits(key, (*rows, (size + 1) // 2), jnp.uint32)  # rows stay rows: they may be sharded
    halves = lax.bitcast_convert_type(words, jnp.uint16).reshape(*rows, -1)
    return (halves[..., :size] >= jnp.uint16(threshold)).reshape(shape)

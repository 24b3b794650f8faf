"""Pooling on bare arrays: the windows of an image as strided views, one for each place in the window.

Views that are compared or added element by element become one loop when compiled; XLA's own window reductions, and
above all their scatter on the way back, take several times as long on a CPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from denpa.core.shapes import Shape
from denpa.kernels.unfolding import NO_PADDING, Padding, Pair, gathered, views

__all__ = ["max_pool", "pool_with", "spread", "spread_with", "sum_pool", "take_from"]

Array = jax.Array


@functools.partial(jax.jit, static_argnums=(1, 2, 3), inline=True)
def max_pool(x: Array, size: Pair, stride: Pair, padding: Padding) -> tuple[Array, Array]:
    """The maximum of each window, and the place of its first occurrence in reading order; NaN counts as largest.

    Returns:
        y (batch, out height, out width, channels), and place, of the same shape, i · width + j as uint8 or int32.
    """
    places = jnp.uint8 if size[0] * size[1] <= 256 else jnp.int32
    seen = views(x, size, stride, padding, beyond=-jnp.inf)
    best = next(seen)
    place = jnp.zeros(best.shape, places)
    for number, view in enumerate(seen, 1):
        better = (view > best) | ((view != view) & (best == best))
        place = jnp.where(better, jnp.asarray(number, places), place)
        best = jnp.where(better, view, best)
    return best, place


def sum_pool(x: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """The sum of each window; zeros around the image."""
    return pool_with(lambda view: view, x, size, stride, padding)


def pool_with(function: Callable[[Array], Array], x: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """The sum over each window of a function of its entries; zeros around the image."""
    return sum((function(view) for view in views(x, size, stride, padding)), jnp.zeros((), x.dtype))


def spread_with(function: Callable[[Array], Array], x: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """To each pixel of x, the sum over its windows of a function of what stands there."""
    pieces = [function(view) for view in views(x, size, stride, padding)]
    return gathered(pieces, x.shape, size, stride, padding)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4), inline=True)
def spread(dy: Array, x_shape: Shape, size: Pair, stride: Pair, padding: Padding, place: Array | None = None) -> Array:
    """The adjoint of the pooling: each dy to all places of its window, or to the one that `place` names; summed up."""
    count = size[0] * size[1]
    if stride == size and padding == NO_PADDING:
        return _spread_apart(dy, x_shape, size, place)
    pieces = [dy if place is None else jnp.where(place == number, dy, 0) for number in range(count)]
    return gathered(pieces, x_shape, size, stride, padding)


@functools.partial(jax.jit, static_argnums=(2, 3, 4), inline=True)
def take_from(x: Array, place: Array, size: Pair, stride: Pair, padding: Padding) -> Array:
    """From each window the entry that `place` names: the adjoint of `spread` with places."""
    seen = views(x, size, stride, padding)
    return sum((jnp.where(place == n, view, 0) for n, view in enumerate(seen)), jnp.zeros((), x.dtype))


def _spread_apart(dy: Array, x_shape: Shape, size: Pair, place: Array | None) -> Array:
    """Windows side by side: each pixel belongs to one of them, and nothing needs adding."""
    batch, height, width, channels = dy.shape
    blocks = jnp.broadcast_to(dy[:, :, None, :, None], (batch, height, size[0], width, size[1], channels))
    if place is not None:
        numbers = jnp.arange(size[0] * size[1], dtype=place.dtype).reshape(1, 1, size[0], 1, size[1], 1)
        blocks = jnp.where(place[:, :, None, :, None] == numbers, blocks, 0)
    dx = blocks.reshape(batch, height * size[0], width * size[1], channels)
    rest = [(0, n - m) for n, m in zip(x_shape[1:3], dx.shape[1:3], strict=True)]
    return jnp.pad(dx, ((0, 0), *rest, (0, 0)))

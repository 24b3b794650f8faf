"""Convolution, ReLU and 2 × 2 max-pooling in one pass, and back, without the large arrays between them.

    u[n, h, w, f] = b[f] + Σᵢⱼ꜀ x[n, h + i − top, w + j − left, c] W[i, j, c, f]      z = max(0, u)

    conv_relu:       y = z, which is also the mask for backward: δ passes where y > 0
    conv_relu_pool:  y = the greatest of each 2 × 2 window of z; `index`, one byte for each y, says where it was: 0 to 3
                     in reading order, the first of equals, or 4 where nothing in the window is positive

x (batch, height, width, channels), W (kernel height, kernel width, channels, filters), b (filters,), all float32;
padding ((top, bottom), (left, right)), stride 1. Windows do not overlap; the last row and column of an odd size belong
to none. On a CPU the native kernels compute this; elsewhere XLA does, from the single operations.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from denpa.core.shapes import Shape
from denpa.kernels import native
from denpa.kernels.choices import native_serves, winograd_serves
from denpa.kernels.convolution import convolve, convolve_input_gradient, convolve_kernel_gradient
from denpa.kernels.platform import by_platform
from denpa.kernels.unfolding import Padding, Pair, out_sizes

__all__ = [
    "conv_relu",
    "conv_relu_input_gradient",
    "conv_relu_kernel_gradient",
    "conv_relu_pool",
    "conv_relu_pool_input_gradient",
    "conv_relu_pool_kernel_gradient",
    "serves",
]

Array = jax.Array

BLOCKED = 4  # the index of a window that the ReLU closes


def serves(x: Array, W: Array, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1) -> bool:
    """Whether the fused forms are worth while: native kernels, a CPU, float32, stride 1, no dilation, no groups."""
    plain = stride == (1, 1) and dilation == (1, 1) and groups == 1 and x.ndim == W.ndim == 4
    floats = x.dtype == jnp.float32 and W.dtype == jnp.float32
    return plain and floats and jax.default_backend() == "cpu" and native_serves()


def conv_relu(x: Array, W: Array, b: Array, padding: Padding) -> Array:
    """y = max(0, x ⋆ W + b)"""
    return _by_platform(
        lambda x, W, b: native.conv_relu(x, W, b, padding, winograd_serves()),
        lambda x, W, b: jnp.maximum(_affine(x, W, b, padding), 0),
        x, W, b,
    )  # fmt: skip


def conv_relu_pool(x: Array, W: Array, b: Array, padding: Padding) -> tuple[Array, Array]:
    """(y, index): the maxima of the windows of max(0, x ⋆ W + b), and where they are, uint8 of y's shape."""
    return _by_platform(
        lambda x, W, b: native.conv_relu_pool(x, W, b, padding, winograd_serves()),
        lambda x, W, b: _pool(_affine(x, W, b, padding)),
        x, W, b,
    )  # fmt: skip


def conv_relu_input_gradient(dy: Array, y: Array, W: Array, x_shape: Shape, padding: Padding) -> Array:
    """dx of `conv_relu`, from its output y."""
    return _by_platform(
        lambda dy, y, W: native.conv_relu_input_gradient(dy, y, W, x_shape, padding, winograd_serves()),
        lambda dy, y, W: convolve_input_gradient(_passed(dy, y), W, x_shape, (1, 1), padding),
        dy, y, W,
    )  # fmt: skip


def conv_relu_kernel_gradient(x: Array, dy: Array, y: Array, W_shape: Shape, padding: Padding) -> tuple[Array, Array]:
    """(dW, db) of `conv_relu`, from its output y."""
    return _by_platform(
        lambda x, dy, y: native.conv_relu_kernel_gradient(x, dy, y, W_shape, padding, winograd_serves()),
        lambda x, dy, y: _kernel_gradient(x, _passed(dy, y), W_shape, padding),
        x, dy, y,
    )  # fmt: skip


def conv_relu_pool_input_gradient(dy: Array, index: Array, W: Array, x_shape: Shape, padding: Padding) -> Array:
    """dx of `conv_relu_pool`: each dy goes back to the place that its index names."""
    sizes = out_sizes(x_shape[1:3], W.shape[:2], (1, 1), padding)
    return _by_platform(
        lambda dy, index, W: native.conv_relu_pool_input_gradient(dy, index, W, x_shape, padding, winograd_serves()),
        lambda dy, index, W: convolve_input_gradient(_spread(dy, index, sizes), W, x_shape, (1, 1), padding),
        dy, index, W,
    )  # fmt: skip


def conv_relu_pool_kernel_gradient(
    x: Array, dy: Array, index: Array, W_shape: Shape, padding: Padding
) -> tuple[Array, Array]:
    """(dW, db) of `conv_relu_pool`."""
    sizes = out_sizes(x.shape[1:3], W_shape[:2], (1, 1), padding)
    return _by_platform(
        lambda x, dy, index: native.conv_relu_pool_kernel_gradient(x, dy, index, W_shape, padding, winograd_serves()),
        lambda x, dy, index: _kernel_gradient(x, _spread(dy, index, sizes), W_shape, padding),
        x, dy, index,
    )  # fmt: skip


def _by_platform(on_cpu: Any, elsewhere: Any, *args: Array) -> Any:
    return by_platform(on_cpu, elsewhere, *args) if native_serves() else elsewhere(*args)


def _affine(x: Array, W: Array, b: Array, padding: Padding) -> Array:
    return convolve(x, W, (1, 1), padding, b=b)


def _kernel_gradient(x: Array, du: Array, W_shape: Shape, padding: Padding) -> tuple[Array, Array]:
    return convolve_kernel_gradient(x, du, W_shape, (1, 1), padding), jnp.sum(du, axis=(0, 1, 2))


def _passed(dy: Array, y: Array) -> Array:
    return jnp.where(y > 0, dy, 0)


def _pool(u: Array) -> tuple[Array, Array]:
    """Maxima of the windows of max(0, u) and their index."""
    batch, height, width, filters = u.shape
    rows, columns = height // 2, width // 2
    windows = u[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, filters)
    places = jnp.moveaxis(windows, 2, 3).reshape(batch, rows, columns, 4, filters)
    greatest = jnp.max(places, axis=3)
    index = jnp.where(greatest > 0, jnp.argmax(places, axis=3), BLOCKED)
    return jnp.maximum(greatest, 0), index.astype(jnp.uint8)


def _spread(dy: Array, index: Array, sizes: Pair) -> Array:
    """du (batch, height, width, filters): dy at the places that `index` names, 0 elsewhere."""
    batch, rows, columns, filters = dy.shape
    places = jnp.arange(BLOCKED, dtype=jnp.uint8)[:, None]
    windows = jnp.where(index[..., None, :] == places, dy[..., None, :], 0)
    du = jnp.moveaxis(windows.reshape(batch, rows, columns, 2, 2, filters), 3, 2)
    du = du.reshape(batch, 2 * rows, 2 * columns, filters)
    return jnp.pad(du, ((0, 0), (0, sizes[0] - 2 * rows), (0, sizes[1] - 2 * columns), (0, 0)))

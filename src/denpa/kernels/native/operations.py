"""Convolutions by the native kernels: CPU, float32, stride 1. Call them only where `available()` says so.

    y[n, h, w, f] = b[f] + Σᵢⱼ꜀ x[n, h + i − top, w + j − left, c] W[i, j, c, f]

x (batch, height, width, channels), W (kernel height, kernel width, channels, filters), b (filters,); `padding` is
((top, bottom), (left, right)), zeros on each side. `winograd` asks for Winograd's algorithm where the kernel is 3 × 3
and the channels fill vectors; elsewhere, and without it, the sums are taken directly.

With pooling the greatest of each window of 2 × 2 is kept, and beside it one byte `index` says where it was: 0 to 3 in
reading order, or 4 where nothing in the window was positive. Index and pooled values are all that backward needs.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.errors import ConfigError
from denpa.core.shapes import Shape
from denpa.kernels.native.loading import available, reason
from denpa.kernels.unfolding import Padding, Pair, out_sizes

__all__ = [
    "conv",
    "conv_input_gradient",
    "conv_kernel_gradient",
    "conv_relu",
    "conv_relu_input_gradient",
    "conv_relu_kernel_gradient",
    "conv_relu_pool",
    "conv_relu_pool_input_gradient",
    "conv_relu_pool_kernel_gradient",
    "target",
]

Array = jax.Array

_PLAIN, _RELU, _POOL = 0, 1, 2


def _size(x_shape: Shape, W_shape: Shape, padding: Padding) -> Pair:
    """Height and width of y."""
    return out_sizes(x_shape[1:3], W_shape[:2], (1, 1), padding)


def conv(x: Array, W: Array, b: Array | None, padding: Padding, winograd: bool = False) -> Array:
    """y = x ⋆ W + b"""
    return _forward(x, W, b, padding, relu=False, winograd=winograd)


def conv_relu(x: Array, W: Array, b: Array | None, padding: Padding, winograd: bool = False) -> Array:
    """y = max(0, x ⋆ W + b)"""
    return _forward(x, W, b, padding, relu=True, winograd=winograd)


def conv_relu_pool(
    x: Array, W: Array, b: Array | None, padding: Padding, winograd: bool = False
) -> tuple[Array, Array]:
    """y = maximum of each 2 × 2 window of max(0, x ⋆ W + b), and the index of its place, uint8 of y's shape."""
    height, width = _size(x.shape, W.shape, padding)
    shape = x.shape[0], height // 2, width // 2, W.shape[3]
    results = jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct(shape, jnp.uint8)
    call = target("denpa_forward_pool", results)
    y, index = call(x, W, _bias(W, b), **_attributes(padding, winograd))
    return y, index


def conv_input_gradient(dy: Array, W: Array, x_shape: Shape, padding: Padding, winograd: bool = False) -> Array:
    """dx = dy correlated with W turned by half a turn, its channels exchanged"""
    return _input_gradient(dy, dy, W, x_shape, padding, _PLAIN, winograd)


def conv_relu_input_gradient(
    dy: Array, y: Array, W: Array, x_shape: Shape, padding: Padding, winograd: bool = False
) -> Array:
    """dx of `conv_relu`, from its output y: dy counts where y > 0."""
    return _input_gradient(dy, y, W, x_shape, padding, _RELU, winograd)


def conv_relu_pool_input_gradient(
    dy: Array, index: Array, W: Array, x_shape: Shape, padding: Padding, winograd: bool = False
) -> Array:
    """dx of `conv_relu_pool`: dy goes back to the place that `index` names."""
    return _input_gradient(dy, index, W, x_shape, padding, _POOL, winograd)


def conv_kernel_gradient(
    x: Array, dy: Array, W_shape: Shape, padding: Padding, winograd: bool = False
) -> tuple[Array, Array]:
    """dW = Σ x[n, h + i − top, w + j − left, c] dy[n, h, w, f]      db = Σ dy[n, h, w, f]"""
    return _kernel_gradient(x, dy, dy, W_shape, padding, _PLAIN, winograd)


def conv_relu_kernel_gradient(
    x: Array, dy: Array, y: Array, W_shape: Shape, padding: Padding, winograd: bool = False
) -> tuple[Array, Array]:
    """(dW, db) of `conv_relu`, from its output y: dy counts where y > 0."""
    return _kernel_gradient(x, dy, y, W_shape, padding, _RELU, winograd)


def conv_relu_pool_kernel_gradient(
    x: Array, dy: Array, index: Array, W_shape: Shape, padding: Padding, winograd: bool = False
) -> tuple[Array, Array]:
    """(dW, db) of `conv_relu_pool`: dy goes back to the place that `index` names."""
    return _kernel_gradient(x, dy, index, W_shape, padding, _POOL, winograd)


def target(name: str, results: Any, aliases: dict[int, int] | None = None) -> Any:
    """The kernel of this name; an alias lets a result lie where an argument was.

    Raises:
        ConfigError: there are no native kernels.
    """
    if not available():
        raise ConfigError(f"There are no native kernels here: {reason()}. Ask `available()` first.")
    return jax.ffi.ffi_call(name, results, vmap_method="sequential", input_output_aliases=aliases)


def _forward(x: Array, W: Array, b: Array | None, padding: Padding, relu: bool, winograd: bool) -> Array:
    shape = x.shape[0], *_size(x.shape, W.shape, padding), W.shape[3]
    call = target("denpa_forward", jax.ShapeDtypeStruct(shape, jnp.float32))
    return call(x, W, _bias(W, b), relu=np.int32(relu), **_attributes(padding, winograd))


def _input_gradient(
    dy: Array, mask: Array, W: Array, x_shape: Shape, padding: Padding, kind: int, winograd: bool
) -> Array:
    call = target("denpa_input_gradient", jax.ShapeDtypeStruct(x_shape, jnp.float32))
    size = _size(x_shape, W.shape, padding)
    return call(dy, mask, W, **_attributes(padding, winograd), **_mask(kind, size))


def _kernel_gradient(
    x: Array, dy: Array, mask: Array, W_shape: Shape, padding: Padding, kind: int, winograd: bool
) -> tuple[Array, Array]:
    shapes = jax.ShapeDtypeStruct(W_shape, jnp.float32), jax.ShapeDtypeStruct(W_shape[3:], jnp.float32)
    call = target("denpa_kernel_gradient", shapes)
    size = _size(x.shape, W_shape, padding)
    dW, db = call(x, dy, mask, **_attributes(padding, winograd), **_mask(kind, size))
    return dW, db


def _bias(W: Array, b: Array | None) -> Array:
    return jnp.zeros(W.shape[3:], jnp.float32) if b is None else b


def _attributes(padding: Padding, winograd: bool) -> dict[str, np.int32]:
    return {"top": np.int32(padding[0][0]), "left": np.int32(padding[1][0]), "algorithm": np.int32(winograd)}


def _mask(kind: int, size: Pair) -> dict[str, np.int32]:
    return {"mask": np.int32(kind), "height": np.int32(size[0]), "width": np.int32(size[1])}

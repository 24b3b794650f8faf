"""Convolution and its two adjoints on bare arrays, lowered by the fastest means of the platform.

    y[n, h, w, f]  = Σᵢⱼ꜀ x[n, s h + d i − top, s w + d j − left, c] W[i, j, c, f]
    dx[n, a, b, c] = Σ over all (h, i) with s h + d i − top = a, (w, j) likewise, and f of dy[n, h, w, f] W[i, j, c, f]
    dW[i, j, c, f] = Σₙₕᵥᵥ x[n, s h + d i − top, s w + d j − left, c] dy[n, h, w, f]

x (batch, height, width, channels), W (kernel height, kernel width, channels / groups, filters); s the strides,
d the dilations, each a pair; padding ((top, bottom), (left, right)). With groups, filter f sees the channels of
its own group alone. Beyond the border x is 0; with `circular` it is what stands at the opposite edge.

On a CPU the native kernels serve float32 with stride and dilation of 1. What is left goes to XLA, but for two cases in
which it is slow there: groups, which are convolved one by one, or place by place where each has a single channel; and
the kernel gradient of images with one channel, a matrix product with the unfolded image.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from denpa.kernels import depthwise, native
from denpa.kernels.choices import native_serves, winograd_serves
from denpa.kernels.platform import by_platform
from denpa.kernels.unfolding import NO_PADDING, Padding, Pair, out_sizes, unfold, unwrapped, wrapped

__all__ = ["Padding", "convolve", "convolve_input_gradient", "convolve_kernel_gradient", "out_sizes"]

Array = jax.Array

_IMAGES, _KERNEL = "NHWC", "HWIO"


def convolve(
    x: Array, W: Array, stride: Pair, padding: Padding, dilation: Pair = (1, 1), groups: int = 1,
    b: Array | None = None, circular: bool = False,
) -> Array:  # fmt: skip
    """y = x ⋆ W, and b (filters,) added where it is given."""
    if circular:
        return convolve(wrapped(x, padding), W, stride, NO_PADDING, dilation, groups, b)
    how = stride, padding, dilation
    if groups > 1:

        def by_groups(x: Array, W: Array) -> Array:
            if W.shape[2] == 1:
                return depthwise.convolve(x, W, *how)
            return _apart(lambda x, W: convolve(x, W, *how), groups, x, W)

        y = _by_platform(by_groups, lambda x, W: _lax(x, W, *how, groups), x, W)
        return y if b is None else y + b
    if _native((x, W), stride, dilation):

        def on_cpu(x: Array, W: Array, *b: Array) -> Array:
            return native.conv(x, W, b[0] if b else None, padding, winograd_serves())

        return _by_platform(on_cpu, lambda x, W, *b: _lax(x, W, *how, 1, *b), x, W, b)
    return _lax(x, W, *how, 1, b)


def convolve_input_gradient(
    dy: Array,
    W: Array,
    x_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    groups: int = 1,
    circular: bool = False,
) -> Array:
    """dx, of shape `x_shape`: the adjoint of `convolve` in x, and so the transposed convolution."""
    if circular:
        height, width = (n + sum(sides) for n, sides in zip(x_shape[1:3], padding, strict=True))
        shape = x_shape[0], height, width, x_shape[3]
        return unwrapped(convolve_input_gradient(dy, W, shape, stride, NO_PADDING, dilation, groups), padding)
    how = stride, padding, dilation

    def everywhere(dy: Array, W: Array) -> Array:
        return _lax_input_gradient(dy, W, x_shape, *how, groups)

    if groups > 1:

        def by_groups(dy: Array, W: Array) -> Array:
            if W.shape[2] == 1:
                return depthwise.input_gradient(dy, W, x_shape, *how)
            shape = *x_shape[:3], x_shape[3] // groups
            return _apart(lambda dy, W: convolve_input_gradient(dy, W, shape, *how), groups, dy, W)

        return _by_platform(by_groups, everywhere, dy, W)
    if _native((dy, W), stride, dilation):

        def on_cpu(dy: Array, W: Array) -> Array:
            return native.conv_input_gradient(dy, W, x_shape, padding, winograd_serves())

        return _by_platform(on_cpu, everywhere, dy, W)
    return everywhere(dy, W)


def convolve_kernel_gradient(
    x: Array,
    dy: Array,
    W_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    groups: int = 1,
    circular: bool = False,
) -> Array:
    """dW, of shape `W_shape`: the adjoint of `convolve` in W."""
    if circular:
        return convolve_kernel_gradient(wrapped(x, padding), dy, W_shape, stride, NO_PADDING, dilation, groups)
    how = stride, padding, dilation

    def by_xla(x: Array, dy: Array) -> Array:
        return _lax_kernel_gradient(x, dy, W_shape, *how, groups)

    def by_product(x: Array, dy: Array) -> Array:
        columns = unfold(x, W_shape[:2], *how)
        rows = columns.reshape(-1, columns.shape[-1])
        return (rows.T @ dy.reshape(-1, dy.shape[-1])).reshape(W_shape)

    if groups > 1:

        def by_groups(x: Array, dy: Array) -> Array:
            if W_shape[2] == 1:
                return depthwise.kernel_gradient(x, dy, W_shape, *how)
            shape = *W_shape[:3], W_shape[3] // groups
            return _apart(lambda x, dy: convolve_kernel_gradient(x, dy, shape, *how), groups, x, dy)

        return _by_platform(by_groups, by_xla, x, dy)
    if _native((x, dy), stride, dilation):

        def on_cpu(x: Array, dy: Array) -> Array:
            return native.conv_kernel_gradient(x, dy, W_shape, padding, winograd_serves())[0]

        return _by_platform(on_cpu, by_xla, x, dy)
    return _by_platform(by_product, by_xla, x, dy) if W_shape[2] == 1 else by_xla(x, dy)


def _lax(
    x: Array, W: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, b: Array | None = None
) -> Array:
    y = lax.conv_general_dilated(
        x,
        W,
        stride,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=(_IMAGES, _KERNEL, _IMAGES),
        feature_group_count=groups,
    )
    return y if b is None else y + b


def _lax_input_gradient(
    dy: Array, W: Array, x_shape: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    reach = [d * (k - 1) for d, k in zip(dilation, W.shape[:2], strict=True)]
    low = [r - p for r, (p, _) in zip(reach, padding, strict=True)]
    spread = [s * (n - 1) + 1 for s, n in zip(stride, dy.shape[1:3], strict=True)]
    high = [n + r - w - p for n, r, w, p in zip(x_shape[1:3], reach, spread, low, strict=True)]
    # Where the padding is wider than the kernel's reach, some of the result is cut off afterwards: given a negative
    # padding, XLA's convolution on a CPU reads beyond the image.
    dx = lax.conv_general_dilated(
        dy,
        _turned(W, groups),
        (1, 1),
        [(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True)],
        lhs_dilation=stride,
        rhs_dilation=dilation,
        dimension_numbers=(_IMAGES, _KERNEL, _IMAGES),
        feature_group_count=groups,
    )
    top, left = (max(-a, 0) for a in low)
    return dx[:, top : top + x_shape[1], left : left + x_shape[2]]


def _lax_kernel_gradient(
    x: Array, dy: Array, W_shape: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    low = [p for p, _ in padding]
    spread = [s * (n - 1) + 1 for s, n in zip(stride, dy.shape[1:3], strict=True)]
    reach = [d * (k - 1) for d, k in zip(dilation, W_shape[:2], strict=True)]
    high = [r + w - n - p for r, w, n, p in zip(reach, spread, x.shape[1:3], low, strict=True)]
    height, width = (n + min(b, 0) for n, b in zip(x.shape[1:3], high, strict=True))  # what no place of the kernel saw
    return lax.conv_general_dilated(
        x[:, :height, :width],
        dy,
        dilation,
        [(a, max(b, 0)) for a, b in zip(low, high, strict=True)],
        rhs_dilation=stride,
        dimension_numbers=("CHWN", "IHWO", "HWNC"),  # channels are the batch, and samples are summed over
        batch_group_count=groups,
    )


def _turned(W: Array, groups: int) -> Array:
    """W turned by half a turn, inputs and outputs exchanged within each group."""
    height, width, channels, filters = W.shape
    W = W[::-1, ::-1].reshape(height, width, channels, groups, filters // groups)
    return W.transpose(0, 1, 4, 3, 2).reshape(height, width, filters // groups, groups * channels)


def _apart(function: Any, groups: int, *arrays: Array) -> Array:
    """The function of each group's share of the arrays, side by side: groups are neighbours along the last axis."""
    shares = zip(*(jnp.split(array, groups, axis=-1) for array in arrays), strict=True)
    return jnp.concatenate([function(*share) for share in shares], axis=-1)


def _native(arrays: tuple[Array, Array], stride: Pair, dilation: Pair) -> bool:
    plain = stride == (1, 1) and dilation == (1, 1) and all(array.dtype == jnp.float32 for array in arrays)
    return plain and native_serves()


def _by_platform(on_cpu: Any, elsewhere: Any, *args: Any) -> Array:
    """One of two ways, chosen while the program is lowered. Arguments that are None are left out."""
    return by_platform(on_cpu, elsewhere, *(arg for arg in args if arg is not None))

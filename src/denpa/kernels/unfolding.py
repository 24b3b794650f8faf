"""im2col and col2im: a convolution as one matrix product, and the way back.

    rows of im2col(x)   one for each sample, output row and output column, in this order
    columns             one for each channel, kernel row and kernel column, in this order

so that, with the kernel's axes in that order too, x ⋆ W = im2col(x) · W as matrices. `col2im` is the adjoint: it
adds every entry back to the pixel it came from, Σ im2col(x) · c = Σ x · col2im(c).

Source: Chellapilla, Puri & Simard (2006), section 3.
"""

from __future__ import annotations

import functools
import numbers
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core.errors import ConfigError, ShapeError

__all__ = [
    "NO_PADDING",
    "Padding",
    "Pair",
    "col2im",
    "gathered",
    "im2col",
    "out_sizes",
    "unfold",
    "unwrapped",
    "views",
    "wrapped",
]

Array = jax.Array
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
NO_PADDING: Padding = ((0, 0), (0, 0))


def im2col(x: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Array:
    """The windows of images as the rows of a matrix.

    Args:
        x: images (batch, height, width, channels); of images with channels in front take `x.transpose(0, 2, 3, 1)`.
        kernel_size, stride, dilation: of the windows, an integer or a pair (vertical, horizontal).
        padding: zeros on each side, an integer, a pair, or ((top, bottom), (left, right)).

    Returns:
        (batch · out height · out width, channels · kernel height · kernel width).

    Raises:
        ShapeError: not images, or smaller than a window.
        ConfigError: a size, stride or dilation below 1, or a negative padding.
    """
    x = _numbers("im2col", x)
    how = _how("im2col", x.shape, kernel_size, stride, padding, dilation)
    height, width = how[0]
    windows = unfold(x, *how)
    places, channels = windows.shape[:3], x.shape[-1]
    windows = windows.reshape(*places, height, width, channels).transpose(0, 1, 2, 5, 3, 4)
    return windows.reshape(places[0] * places[1] * places[2], channels * height * width)


def col2im(
    columns: Any, x_shape: tuple[int, ...], kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Array:
    """The adjoint of `im2col`: images of `x_shape`, every pixel the SUM of its entries in `columns`.

    Args:
        columns: a matrix like that of `im2col` for images of `x_shape`.
        x_shape: (batch, height, width, channels).
        kernel_size, stride, padding, dilation: as for `im2col`.

    Raises:
        ConfigError, ShapeError: as for `im2col`; the matrix is not of the shape that this gives for such images.
    """
    columns, x_shape = _numbers("col2im", columns), _image_shape(x_shape)
    (height, width), strides, pads, dilations = _how("col2im", x_shape, kernel_size, stride, padding, dilation)
    batch, rows, across, channels = x_shape
    out = out_sizes((rows, across), (height, width), strides, pads, dilations)
    wanted = (batch * out[0] * out[1], channels * height * width)
    if columns.shape != wanted:
        raise ShapeError(f"col2im wants a matrix of shape {wanted} for images {x_shape}, but got {columns.shape}.")
    windows = columns.reshape(batch, *out, channels, height, width)
    pieces = [windows[..., i, j] for i in range(height) for j in range(width)]
    return gathered(pieces, x_shape, (height, width), strides, pads, dilations)


def unfold(x: Array, kernel: Any, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Array:
    """What each place of the kernel sees: (batch, out height, out width, kernel height · kernel width · channels)."""
    return jnp.concatenate([*views(x, kernel, stride, padding, dilation)], axis=-1)


def views(
    x: Array, kernel: Any, stride: Pair, padding: Padding, dilation: Pair = (1, 1), beyond: float = 0
) -> Iterator[Array]:
    """For each place of the kernel, in reading order, what it sees: (batch, out height, out width, channels).

    `beyond` is what stands around the image.
    """
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=beyond) if padding != NO_PADDING else x
    sizes = out_sizes(x.shape[1:3], kernel, stride, padding, dilation)
    ends = [s * (n - 1) + 1 for s, n in zip(stride, sizes, strict=True)]
    for top in range(0, kernel[0] * dilation[0], dilation[0]):
        for left in range(0, kernel[1] * dilation[1], dilation[1]):
            yield padded[:, top : top + ends[0] : stride[0], left : left + ends[1] : stride[1]]


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5), inline=True)  # outside a program, one at least
def gathered(
    pieces: list[Array],
    x_shape: tuple[int, ...],
    kernel: Any,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
) -> Array:
    """The adjoint of `views` and padding: an image of `x_shape` to whose pixels the pieces are added."""
    (top, bottom), (left, right) = padding
    sizes, spread = (x_shape[1] + top + bottom, x_shape[2] + left + right), []
    for number, piece in enumerate(pieces):
        starts = (d * at for d, at in zip(dilation, divmod(number, kernel[1]), strict=True))
        edges = [
            (start, n - start - (s * (o - 1) + 1), s - 1)
            for start, n, s, o in zip(starts, sizes, stride, piece.shape[1:3], strict=True)
        ]
        spread.append(lax.pad(piece, jnp.zeros((), piece.dtype), ((0, 0, 0), *edges, (0, 0, 0))))
    return functools.reduce(jnp.add, spread)[:, top : top + x_shape[1], left : left + x_shape[2]]


def wrapped(x: Array, padding: Padding) -> Array:
    """The image (batch, height, width, channels) with what stands at the opposite edges around it."""
    return jnp.pad(x, ((0, 0), *padding, (0, 0)), mode="wrap")


def unwrapped(x: Array, padding: Padding) -> Array:
    """The adjoint of `wrapped`: what stands around the image is added where it came from."""
    for axis, (before, after) in enumerate(padding, start=1):
        size = x.shape[axis] - before - after
        front = jnp.moveaxis(x, axis, 0)
        sums = jnp.zeros((size, *front.shape[1:]), x.dtype)
        x = jnp.moveaxis(sums.at[(np.arange(len(front)) - before) % size].add(front), 0, axis)
    return x


def out_sizes(sizes: Any, kernel: Any, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """⌊(W − H + 2P) / S⌋ + 1 for each axis; H is the reach of the dilated kernel. Not positive where nothing fits."""
    height, width = (
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )
    return height, width


def _numbers(name: str, values: Any) -> jax.Array:
    try:
        return jnp.asarray(values)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} wants an array of numbers, not {values!r}.") from None


def _image_shape(x_shape: Any) -> tuple[int, ...]:
    sizes = tuple(x_shape) if isinstance(x_shape, (tuple, list)) else ()
    if len(sizes) != 4 or any(isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1 for n in sizes):
        raise ShapeError(f"col2im wants x_shape to be (batch, height, width, channels), not {x_shape!r}.")
    return sizes


def _how(name: str, x_shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    if len(x_shape) != 4:
        raise ShapeError(f"{name} wants images (batch, height, width, channels), not {tuple(x_shape)}.")
    given = {"kernel_size": kernel, "stride": stride, "dilation": dilation}
    kernel, stride, dilation = (_pair(f"{name}: {what}", value, 1) for what, value in given.items())
    sides = padding if isinstance(padding, (tuple, list)) and len(padding) == 2 else (padding, padding)
    vertical, horizontal = (_pair(f"{name}: padding", part, 0) for part in sides)
    how = kernel, stride, (vertical, horizontal), dilation
    if min(out_sizes(x_shape[1:3], *how)) < 1:
        raise ShapeError(f"{name}: windows of {kernel} do not fit into images of {tuple(x_shape[1:3])} with {padding}.")
    return how


def _pair(what: str, value: Any, least: int) -> Pair:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    whole = all(isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in pair)
    if len(pair) != 2 or not whole or not all(least <= n < 2**31 for n in pair):
        raise ConfigError(f"{what} must be an integer from {least} to 2**31 - 1, or a pair of them, not {value!r}.")
    return int(pair[0]), int(pair[1])

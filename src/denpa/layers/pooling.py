"""Pooling: each window of an image is represented by one number. No parameters; channels stay apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape, want
from denpa.core.static import Static
from denpa.kernels import pooling as kernels
from denpa.kernels.unfolding import NO_PADDING, Padding, Pair, out_sizes
from denpa.layers.window import Windows, check_windows, paddings_of

__all__ = ["AveragePool2d", "GlobalAveragePool2d", "LpPool2d", "MaxPool2d"]


class Pooling(Layer):
    """Base of the layers that pool windows: their sizes, checks and errors."""

    pool_size: Any
    stride: Any
    padding: Any

    def validate(self) -> None:
        check_windows(self, "pool_size", *(() if self.stride is None else ("stride",)))
        if not isinstance(self.padding, str):
            size, sides = self.windows.size, paddings_of(self.padding, (1, 1), self.windows)
            if any(max(side) > n // 2 for side, n in zip(sides, size, strict=True)):
                raise ConfigError(
                    f"{type(self).__name__}.padding may be half of the window at most, not {self.padding!r} for "
                    f"windows of {size}: a window must not lie outside the image."
                )

    @property
    def windows(self) -> Windows:
        """Size and stride of the windows; without a stride of their own they stand side by side."""
        return Windows.of(2, self.pool_size, self.pool_size if self.stride is None else self.stride)

    @property
    def pixels(self) -> int:
        """How many pixels a window has, those beyond the border included."""
        return math.prod(self.windows.size)

    def how(self, in_shape: Shape) -> tuple[Pair, Pair, Padding]:
        """Size, stride and padding for an example of this shape."""
        windows = self.windows
        return windows.size, windows.stride, paddings_of(self.padding, in_shape[:2], windows)

    def out_shape(self, in_shape: Shape) -> Shape:
        want(self, "height width channels", in_shape)
        size, stride, padding = self.how(in_shape)
        out = out_sizes(in_shape[:2], size, stride, padding)
        if min(out) < 1:
            raise ShapeError(
                f"{self!r} has windows of {size}, more than the padded image of "
                f"{tuple(n + sum(p) for n, p in zip(in_shape[:2], padding, strict=True))}: take smaller ones."
            )
        return (*out, in_shape[2])

    def checked(self, x: Array) -> tuple[Pair, Pair, Padding]:
        """`how`, for a batch that is checked."""
        want(self, "batch height width channels", x)
        self.out_shape(x.shape[1:])
        return self.how(x.shape[1:])


@dataclass(frozen=True)
class MaxPool2d(Pooling):
    """y_Q = max over the window Q of x

    x (batch, height, width, channels) -> y (batch, out height, out width, channels),
    out = ⌊(size + 2P − window) / stride⌋ + 1; saves where in its window each maximum stood, a byte. The delta goes
    there alone:  ∂E/∂x_I = Σ_Q dy_Q [I = arg max of Q]. Of equal values the first in reading order is taken; NaN
    counts as the largest, so that it does not go unnoticed. Beyond the border there is −∞.

    Args:
        pool_size, stride: an integer or a pair (vertical, horizontal); `stride` None: windows side by side.
        padding: an integer, a pair, pairs ((top, bottom), (left, right)), "valid" or "same".

    Raises:
        ConfigError: an option that cannot be, or padding of more than half a window.
        ShapeError: an input that is no image, or smaller than a window.

    Source: Ranzato, Huang, Boureau & LeCun (2007); Scherer, Müller & Behnke (2010).
    """

    pool_size: Any = 2
    stride: Any = None
    padding: Any = 0

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        y, place = kernels.max_pool(x, *self.checked(x))
        return y, {"place": place, "x_shape": Static(x.shape)}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        shape = saved["x_shape"].value
        return kernels.spread(dy, shape, *self.how(shape[1:]), saved["place"]), {}


@dataclass(frozen=True)
class AveragePool2d(Pooling):
    """y_Q = 1/n Σ over the window Q of x

    x (batch, height, width, channels) -> y (batch, out height, out width, channels),
    n = window height · window width; saves nothing. Every entry gets its share:  ∂E/∂x_I = Σ_Q∋I dy_Q / n.

    Args:
        pool_size, stride, padding: as for `MaxPool2d`; beyond the border there are zeros.
        count_padding: whether these zeros count in n (as in PyTorch), or n is the number of pixels in the window.

    Raises:
        ConfigError, ShapeError: as for `MaxPool2d`.

    Source: LeCun, Bottou, Bengio & Haffner (1998), section II.B.
    """

    pool_size: Any = 2
    stride: Any = None
    padding: Any = 0
    count_padding: bool = True

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        total = kernels.sum_pool(x, *self.checked(x))
        return total * self._share(x.shape, x.dtype), {"x_shape": Static(x.shape)}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        shape = saved["x_shape"].value
        return kernels.spread(dy * self._share(shape, dy.dtype), shape, *self.how(shape[1:])), {}

    def _share(self, x_shape: Shape, dtype: Any) -> Array:
        """1/n of each window."""
        size, stride, padding = self.how(x_shape[1:])
        if self.count_padding or padding == NO_PADDING:
            return jnp.asarray(1 / self.pixels, dtype)
        return (1 / kernels.sum_pool(jnp.ones((1, *x_shape[1:3], 1)), size, stride, padding)).astype(dtype)


@dataclass(frozen=True)
class LpPool2d(Pooling):
    """y_Q = (1/n Σ over the window Q of |x|ᵖ)^(1/p)

    x (batch, height, width, channels) -> y (batch, out height, out width, channels), not negative;
    n = window height · window width; saves x, m, M. p = 1 is the average of |x|, p → ∞ the maximum. The largest |x|
    of a window, m, is factored out, lest a large p overflow or lose the small:  y = m M^(1/p),  M = 1/n Σ (|x|/m)ᵖ.

        ∂E/∂x_I = Σ_Q∋I dy_Q 1/n (|x_I| / y_Q)^(p−1) sign x_I,   0 where y_Q = 0,   with m / y = M^(−1/p)

    Args:
        p: the exponent, at least 1.
        pool_size, stride, padding: as for `MaxPool2d`; beyond the border there are zeros, which count in n.
            (PyTorch's and ONNX's LpPool leave out the 1/n and, in PyTorch, the absolute value.)

    Raises:
        ConfigError: p below 1, and as for `MaxPool2d`.
        ShapeError: as for `MaxPool2d`.

    Source: Sermanet, Chintala & LeCun (2012); Gulcehre, Cho, Pascanu & Bengio (2014), eq. 1.
    """

    p: float = 2.0
    pool_size: Any = 2
    stride: Any = None
    padding: Any = 0

    def validate(self) -> None:
        super().validate()
        if self.p < 1:
            raise ConfigError(f"LpPool2d.p must be a number of at least 1, not {self.p!r}; for ∞ take MaxPool2d.")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        how, magnitudes = self.checked(x), x * jnp.sign(x)  # |x|, with slope 0 at 0, as in backward
        largest, _ = kernels.max_pool(magnitudes, *how)
        m = jnp.where(largest > 0, largest, 1)
        powers = kernels.pool_with(lambda view: jnp.power(view / m, self.p), magnitudes, *how)
        M = jnp.where(largest > 0, powers / self.pixels, 1)  # zeros alone: y = 0 · 1, as a root of 0 has no slope
        return largest * jnp.power(M, 1 / self.p), {"x": x, "m": m, "M": M}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x, m, M = (saved[name] for name in ("x", "m", "M"))
        # (|x| / y)ᵖ⁻¹ in two factors: the power makes p times as much of a rounding of y, but |x| / m is exact at m.
        share = dy / self.pixels * jnp.power(M, 1 / self.p - 1)
        return kernels.spread_with(
            lambda view: share * jnp.sign(view) * jnp.power(jnp.abs(view) / m, self.p - 1), x, *self.how(x.shape[1:])
        ), {}


@dataclass(frozen=True)
class GlobalAveragePool2d(Layer):
    """y = 1/(H W) Σ over all places of x      x (batch, height, width, channels) -> y (batch, channels)

    Saves nothing. ∂E/∂x = dy / (H W), the same for every place.

    Raises:
        ShapeError: an input that is no image.

    Source: Lin, Chen & Yan (2014), section 3.2.
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        return want(self, "height width channels", in_shape)[2:]

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch height width channels", x)
        return jnp.mean(x, axis=(1, 2)), {"x_shape": Static(x.shape)}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        shape = saved["x_shape"].value
        return jnp.broadcast_to(dy[:, None, None] / (shape[1] * shape[2]), shape), {}

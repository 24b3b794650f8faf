"""Unpooling: from a small image to a large one, without or with the places of the maxima."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp

from denpa.core.errors import ShapeError
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape, want
from denpa.core.static import Static
from denpa.kernels import pooling as kernels
from denpa.kernels.unfolding import NO_PADDING
from denpa.layers.pooling import Pooling
from denpa.layers.window import check_pair, pair_of

__all__ = ["MaxUnpool2d", "Unpool2d"]


@dataclass(frozen=True)
class Unpool2d(Layer):
    """Every pixel becomes a block of `size`: filled with it ("nearest"), or holding it top left ("top_left").

    x (batch, height, width, channels) -> y (batch, height · size, width · size, channels); saves nothing. Unlike the
    way back through a pooling, nobody remembers where a maximum stood.

        "nearest":   y[s h + i, s w + j] = x[h, w]                     ∂E/∂x[h, w] = Σᵢⱼ dy[s h + i, s w + j]
        "top_left":  y[s h, s w] = x[h, w], elsewhere 0                ∂E/∂x[h, w] = dy[s h, s w]

    Args:
        size: of the blocks, an integer or a pair (vertical, horizontal).
        mode: "nearest" or "top_left".

    Raises:
        ConfigError: a size below 1, an unknown mode.
        ShapeError: an input that is no image.

    Source: Dosovitskiy, Springenberg & Brox (2015), section 3.2.
    """

    size: Any = 2
    mode: Literal["nearest", "top_left"] = "nearest"

    def validate(self) -> None:
        check_pair(self, "size")

    def out_shape(self, in_shape: Shape) -> Shape:
        height, width, channels = want(self, "height width channels", in_shape)
        down, across = pair_of(self.size)
        return (height * down, width * across, channels)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch height width channels", x)
        place = None if self.mode == "nearest" else jnp.zeros(x.shape, jnp.uint8)
        size = pair_of(self.size)
        return kernels.spread(x, (len(x), *self.out_shape(x.shape[1:])), size, size, NO_PADDING, place), {}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        size = pair_of(self.size)
        if self.mode == "top_left":
            return dy[:, :: size[0], :: size[1]], {}
        return kernels.sum_pool(dy, size, size, NO_PADDING), {}


@dataclass(frozen=True)
class MaxUnpool2d(Pooling):
    """Puts every value back to where the maximum of its window stood, with zeros elsewhere.

    x = (values (batch, out height, out width, channels), image (batch, height, width, channels)) -> y, of the image's
    shape: `image` is what the pooling got, in a graph `MaxUnpool2d(2)(values, image)`. It says where the maxima
    were and how large the result is, and gets no delta, since places do not change by little. With the windows Q of
    the pooling and their places of the maxima,

        y_I = Σ_Q values_Q [I = arg max of Q]        ∂E/∂values_Q = dy at the arg max of Q

    Args:
        pool_size, stride, padding: those of the pooling.

    Raises:
        ConfigError: as for `MaxPool2d`.
        ShapeError: values and image that do not belong together.

    Source: Zeiler & Fergus (2014), section 2.1.
    """

    pool_size: Any = 2
    stride: Any = None
    padding: Any = 0

    def out_shape(self, in_shape: Any) -> Shape:
        if len(in_shape) != 2 or isinstance(in_shape[0], int):
            raise ShapeError(
                f"{self!r} wants (values, image): in a Graph it is called as MaxUnpool2d(2)(values, image)."
            )
        values, image = in_shape
        pooled = super().out_shape(image)
        if tuple(values) != pooled:
            raise ShapeError(f"{self!r} wants values {pooled} for an image of {image}, but got {tuple(values)}.")
        return tuple(image)

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Array, Any]:
        self.out_shape(tuple(part.shape[1:] for part in x) if isinstance(x, (tuple, list)) else x.shape[1:])
        values, image = x
        how = self.how(image.shape[1:])
        _, place = kernels.max_pool(image, *how)
        return kernels.spread(values, image.shape, *how, place), {"place": place, "image": Static(image.shape)}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Any, Grads]:
        taken = kernels.take_from(dy, saved["place"], *self.how(saved["image"].value[1:]))
        return (taken, jnp.zeros_like(dy)), {}

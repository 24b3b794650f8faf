"""Layers that only arrange the numbers of an example anew: Flatten, Reshape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.padded import silenced
from denpa.core.shapes import Shape, want
from denpa.core.static import Static

__all__ = ["Flatten", "Reshape"]


class _Rearranging(Layer):
    """What both have in common: the numbers stay in row-major order, those of padding as 0; the shape alone changes."""

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        shape = want(self, "batch ...", x)[1:]
        y = silenced(x, ctx.lengths).reshape(x.shape[0], *self.out_shape(shape))
        return y, {"shape": Static(shape), "lengths": ctx.lengths}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        dx = dy.reshape(dy.shape[0], *saved["shape"].value)  # the same numbers in their old places
        return silenced(dx, saved["lengths"]), {}


@dataclass(frozen=True)
class Flatten(_Rearranging):
    """y = x in one row      x (batch, ...) -> y (batch, size)      saves the shape of x

    The last axis of x runs fastest. dx is dy in the shape of x.
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        return (math.prod(want(self, "...", in_shape)),)


@dataclass(frozen=True)
class Reshape(_Rearranging):
    """y = x in another shape      x (batch, ...) -> y (batch, *shape)      saves the shape of x

    Row-major order, the last axis fastest. dx is dy in the shape of x.

    Args:
        shape: of ONE example; one of its sizes may be -1, to be filled in.

    Raises:
        ConfigError: `shape` is not a tuple of positive integers with at most one -1.
        ShapeError: an example has another number of entries than `shape`.
    """

    shape: tuple[int, ...]

    def validate(self) -> None:
        sizes = self.shape
        fits = isinstance(sizes, tuple) and all(isinstance(size, int) and (size > 0 or size == -1) for size in sizes)
        if not fits or sizes.count(-1) > 1:
            raise ConfigError(f"Reshape wants the shape of one example, such as (7, 7, 16) or (-1, 16), not {sizes!r}.")

    def out_shape(self, in_shape: Shape) -> Shape:
        size = math.prod(want(self, "...", in_shape))
        known = math.prod(s for s in self.shape if s != -1)
        shape = tuple(size // known if s == -1 else s for s in self.shape)
        if math.prod(shape) != size:
            raise ShapeError(f"{self!r} cannot take examples of shape {tuple(in_shape)}: their size is {size}.")
        return shape

"""Maxout: the largest of k linear pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ShapeError
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape, want

__all__ = ["Maxout"]


@dataclass(frozen=True)
class Maxout(Layer):
    """yⱼ = max { uᵢ : i = jk, ..., jk + k − 1 }      x (..., k · units) -> y (..., units)      saves where the max is

    Groups of k consecutive inputs, counted from 0. ∂yⱼ/∂uᵢ is 1 for the largest of its group (the first
    one where several are equal) and 0 for the others. `Sequential([Dense(k * units), Maxout(k)])` is a layer
    of units that learn a convex, piecewise linear activation; k = 2 with one piece fixed at 0 is ReLU.

    Args:
        pieces: k, at least 1.

    Raises:
        ConfigError: `pieces` is not a positive integer.
        ShapeError: the last axis of x is not a multiple of k.

    Source: Goodfellow, Warde-Farley, Mirza, Courville & Bengio (2013), section 3.
    """

    pieces: int = 2

    def validate(self) -> None:
        want_positive(self, "pieces")

    def init(self, key: Array, in_shape: Shape) -> Params:
        self.out_shape(in_shape)
        return {}

    def out_shape(self, in_shape: Shape) -> Shape:
        *rest, size = want(self, "... units", in_shape)
        if size % self.pieces:
            wider = math.ceil(size / self.pieces) * self.pieces
            raise ShapeError(
                f"{self!r} wants a last axis that {self.pieces} divides, but got {size}: give the layer below {wider}."
            )
        return (*rest, size // self.pieces)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        groups = x.reshape(*self.out_shape(want(self, "batch ... units", x)), self.pieces)
        index = jnp.argmax(groups, axis=-1)  # the first, where several are equal
        return jnp.max(groups, axis=-1), {"index": index.astype(jnp.uint8 if self.pieces <= 256 else jnp.int32)}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        index = saved["index"][..., None]
        largest = index == jnp.arange(self.pieces, dtype=index.dtype)
        dx = jnp.where(largest, dy[..., None], 0)  # the delta goes to the largest of its group alone
        return dx.reshape(*dy.shape[:-1], -1), {}

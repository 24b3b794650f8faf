"""Layers with several inputs: x is a tuple of arrays, and so is dx."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_not_negative
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape
from denpa.core.static import Static

__all__ = ["Add", "Concatenate", "Part"]


@dataclass(frozen=True)
class Add(Layer):
    """y = x₁ + x₂ + ...      x a tuple of arrays (...) of one shape -> y (...)      saves their number

    ∂y/∂xᵢ = 1: every input gets the delta as it is, which is what lets it past the layers of a block with a skip.

    Raises:
        ShapeError: fewer than two inputs, or inputs of different shapes.
    """

    def out_shape(self, in_shape: Any) -> Shape:
        shapes = _shapes(self, in_shape)
        if len(set(shapes)) > 1:
            raise ShapeError(f"{self!r} wants inputs of one shape, but got {_listed(shapes)}.")
        return shapes[0]

    def forward(self, params: Params, x: tuple[Array, ...], ctx: Context = Context()) -> tuple[Array, Any]:
        self.out_shape(_shapes(self, x))
        return functools.reduce(operator.add, x), {"inputs": Static(len(x))}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[tuple[Array, ...], Grads]:
        return (dy,) * saved["inputs"].value, {}  # ∂y/∂xᵢ = 1


@dataclass(frozen=True)
class Part(Layer):
    """y = xᵢ      x a tuple of arrays -> y, the one at `index`      saves the other shapes

    What a graph writes for `y, h, c = LSTM(6, return_carry=True)(x)`. ∂E/∂xⱼ = 0 for j ≠ i.

    Args:
        index: i, from 0.

    Raises:
        ConfigError: `index` is negative.
        ShapeError: x has no such part.
    """

    index: int

    def validate(self) -> None:
        want_not_negative(self, "index")

    def out_shape(self, in_shape: Any) -> Shape:
        if self.index >= len(in_shape):
            raise ShapeError(f"{self!r} wants a tuple of more than {self.index} arrays, but got {len(in_shape)}.")
        return in_shape[self.index]

    def forward(self, params: Params, x: tuple[Array, ...], ctx: Context = Context()) -> tuple[Array, Any]:
        return x[self.index], {"like": Static(tuple((part.shape, part.dtype) for part in x))}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[tuple[Array, ...], Grads]:
        return tuple(dy if i == self.index else jnp.zeros(*like) for i, like in enumerate(saved["like"].value)), {}


@dataclass(frozen=True)
class Concatenate(Layer):
    """y = [x₁, x₂, ...]      x a tuple of arrays (..., sizeᵢ, ...) -> y (..., Σ sizeᵢ, ...)      saves the sizes

    Each input gets its own piece of the delta.

    Args:
        axis: where to join: counted from the end if negative, else with the batch as axis 0, which itself
            cannot be joined.

    Raises:
        ConfigError: `axis` is 0 or not an integer.
        ShapeError: fewer than two inputs, or inputs that differ in another axis than this.
    """

    axis: int = -1

    def validate(self) -> None:
        if self.axis == 0:
            raise ConfigError("Concatenate.axis must be an axis other than 0, the batch.")

    def out_shape(self, in_shape: Any) -> Shape:
        shapes = _shapes(self, in_shape)
        first, axis = shapes[0], self.axis - 1 if self.axis > 0 else len(shapes[0]) + self.axis
        if not 0 <= axis < len(first):
            raise ShapeError(f"{self!r} cannot join examples of shape {first} along that axis.")
        if len({(*shape[:axis], *shape[axis + 1 :], len(shape)) for shape in shapes}) > 1:
            raise ShapeError(f"{self!r} wants inputs that differ in that axis alone, but got {_listed(shapes)}.")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def forward(self, params: Params, x: tuple[Array, ...], ctx: Context = Context()) -> tuple[Array, Any]:
        self.out_shape(tuple(shape[1:] for shape in _shapes(self, x)))
        return jnp.concatenate(x, self.axis), {"sizes": Static(tuple(part.shape[self.axis] for part in x))}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[tuple[Array, ...], Grads]:
        sizes = saved["sizes"].value
        ends = [sum(sizes[:i]) for i in range(1, len(sizes))]
        return tuple(jnp.split(dy, ends, self.axis)), {}  # to each input its piece


def _shapes(owner: Layer, inputs: Any) -> tuple[Shape, ...]:
    """The shapes of several inputs, given as shapes or as arrays."""
    if not isinstance(inputs, (tuple, list)) or len(inputs) < 2 or isinstance(inputs[0], int):
        raise ShapeError(f"{owner!r} wants a tuple of at least two inputs; in a Graph it is called as {owner!r}(a, b).")
    return tuple(tuple(getattr(each, "shape", each)) for each in inputs)


def _listed(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(str(shape) for shape in shapes)

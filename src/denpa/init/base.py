"""The initialiser: random starting values for weights, from nothing but a key and a shape."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax

from denpa.core.description import Description
from denpa.core.errors import ShapeError
from denpa.core.shapes import Shape, as_shape
from denpa.core.tree import wide_dtype

__all__ = ["Initializer", "fans", "precisions"]


class Initializer(Description):
    """Base of all initialisers. One of your own is a frozen dataclass that defines `sample`."""

    _shelf: ClassVar[str] = "init."

    def sample(
        self, key: jax.Array, shape: Any, *, fan_in: int | None = None, fan_out: int | None = None, dtype: Any = None
    ) -> jax.Array:
        """An array of `shape`.

        Args:
            key: a random key; the same key gives the same array.
            shape: dense weights (in, out); kernels (kh, kw, in, out), with any number of spatial axes.
            fan_in: how many values each unit sums up; by default from the shape, as `fans` does.
            fan_out: how many units each value goes to; by default from the shape.
            dtype: of the result; JAX's default float unless given.

        Raises:
            ShapeError: a fan is needed and the shape has fewer than two axes.
        """
        raise NotImplementedError(f"{type(self).__name__} must define sample(key, shape, ...).")


def fans(shape: Any) -> tuple[int, int]:
    """(fan_in, fan_out) of weights (in, out) or a kernel (..., in, out): kh kw in and kh kw out.

    Raises:
        ShapeError: fewer than two axes do not tell inputs from outputs.
    """
    sizes: Shape = as_shape(shape, "shape")
    if len(sizes) < 2:
        raise ShapeError(
            f"Shape {sizes} has no input and output axis to count fan_in and fan_out by: pass fan_in=... and "
            "fan_out=..., or use an initialiser without fans, such as Constant(0.0) or Normal(0.01)."
        )
    field = math.prod(sizes[:-2])
    return field * sizes[-2], field * sizes[-1]


def precisions(dtype: Any) -> tuple[Any, Any]:
    """The dtype asked for, and the one to draw in: float32 at least.

    bfloat16 has 8 bits: drawn in it, a normal sample would have no tails.
    """
    wanted = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
    return wanted, wide_dtype(wanted)

"""What many layers have in common."""

from __future__ import annotations

from denpa.core.layer import Array, Layer
from denpa.core.shapes import Shape, want
from denpa.core.tree import wide_dtype

__all__ = ["ShapePreserving", "rows", "wide"]


class ShapePreserving(Layer):
    """Base of the layers whose output has the shape of their input, whatever that is."""

    def out_shape(self, in_shape: Shape) -> Shape:
        return want(self, "...", in_shape)


def rows(x: Array) -> Array:
    """All axes but the last as one: (..., size) -> (n, size)."""
    return x.reshape(-1, x.shape[-1])


def wide(x: Array) -> Array:
    """x in float32 at least, for sums over a batch."""
    return x.astype(wide_dtype(x.dtype))

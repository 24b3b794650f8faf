"""What many layers have in common: the output has the shape of the input."""

from __future__ import annotations

from denpa.core.layer import Layer
from denpa.core.shapes import Shape, want

__all__ = ["ShapePreserving"]


class ShapePreserving(Layer):
    """Base of the layers whose output has the shape of their input, whatever that is."""

    def out_shape(self, in_shape: Shape) -> Shape:
        return want(self, "...", in_shape)

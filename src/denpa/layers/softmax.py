"""Softmax as a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from denpa.core.layer import Array, Context, Grads, Params
from denpa.core.shapes import Shape, want
from denpa.kernels import activation as kernels
from denpa.layers.base import ShapePreserving

__all__ = ["Softmax"]


@dataclass(frozen=True)
class Softmax(ShapePreserving):
    """yᵢ = e^uᵢ / Σⱼ e^uⱼ      x (..., classes) -> y (..., classes), positive, with sum 1      saves y

    A function of ALL uⱼ of a sample: ∂yᵣ/∂uₖ = yᵣ (δᵣₖ − yₖ). Backward multiplies by this whole matrix,

        dxₖ = Σᵣ dyᵣ yᵣ (δᵣₖ − yₖ) = yₖ (dyₖ − Σᵣ dyᵣ yᵣ),

    so any loss may follow. A classifier does better to end in `Dense` and to take `SoftmaxCrossEntropy`,
    in which the same function stands together with the logarithm. u is shifted by its maximum, which
    changes nothing, softmax(u + c) = softmax(u), and prevents overflow.

    Raises:
        ShapeError: x has a batch axis only.

    Source: Bridle (1990); Bishop (2006), eq. 4.104-4.106.
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        return want(self, "... classes", in_shape)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch ... classes", x)
        y = kernels.softmax(x)
        return y, {"y": y}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return kernels.softmax_backward(saved["y"], dy), {}  # dxₖ = yₖ (dyₖ − Σᵣ dyᵣ yᵣ)

"""Layers that the processor computes in one go: convolution, ReLU and max-pooling in a single pass.

To the reader they stay three layers, with parameters, names and records of their own: `trace` walks
through them one by one. Only where nobody records does `Sequential` look ahead for such a row of layers
and let one kernel compute it, which saves the large arrays between them. The numbers agree with those of
the single layers to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.errors import ShapeError
from denpa.core.layer import Array, Grads, Layer, Params
from denpa.core.static import Static
from denpa.kernels import fused
from denpa.layers import Conv2d, MaxPool2d, ReLU

__all__ = ["ConvolutionBlock", "block_ahead", "block_of", "length_of_row"]

_WINDOWS = MaxPool2d(2).windows


@dataclass(frozen=True)
class ConvolutionBlock:
    """z = relu(x ⋆ W + b), or its maxima over 2x2 windows; saves x, and where each output came from.

    Attributes:
        layers: how many layers it stands for: 2, or 3 with the pooling.
        padding: zeros around the image: ((top, bottom), (left, right)).
    """

    layers: int
    padding: tuple[tuple[int, int], tuple[int, int]]

    def forward(self, params: Params, x: Array) -> tuple[Array, Any]:
        """The output of the last of the layers, and what `backward` needs."""
        W, b = params["W"], params["b"]
        if self.layers == 2:
            y = fused.conv_relu(x, W, b, self.padding)
            return y, {"block": Static(self), "x": x, "passed": y}
        y, index = fused.conv_relu_pool(x, W, b, self.padding)
        return y, {"block": Static(self), "x": x, "passed": index}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        """∂E/∂x and the gradients of the convolution; δ passes where the ReLU was open, to the place of the maximum."""
        W, x, passed = params["W"], saved["x"], saved["passed"]
        pooled = self.layers == 3
        to_input = fused.conv_relu_pool_input_gradient if pooled else fused.conv_relu_input_gradient
        to_kernel = fused.conv_relu_pool_kernel_gradient if pooled else fused.conv_relu_kernel_gradient
        dW, db = to_kernel(x, dy, passed, W.shape, self.padding)
        return to_input(dy, passed, W, x.shape, self.padding), {"W": dW, "b": db}


def length_of_row(layers: Sequence[tuple[str, Layer]]) -> int:
    """How many layers from the first on could be one block: 3 with pooling, 2 without, 0 where it is no such row."""
    first, second, third = ([layer for _, layer in layers[:3]] + [None] * 3)[:3]
    if not (isinstance(first, Conv2d) and isinstance(second, ReLU)):
        return 0
    return 3 if isinstance(third, MaxPool2d) and third.windows == _WINDOWS and third.padding in (0, "valid") else 2


def block_ahead(layers: Sequence[tuple[str, Layer]], params: Params, x: Any) -> ConvolutionBlock | None:
    """The block with which this row of layers begins, if there is a kernel for it here and now."""
    (name, convolution), count = layers[0], length_of_row(layers)
    if not count or not isinstance(convolution, Conv2d):
        return None
    windows, W = convolution.windows, params[name]["W"]
    tied = convolution.use_bias and not convolution.untied_bias
    unusual = convolution.true_convolution or convolution.padding == "circular"
    plain = tied and not unusual and jnp.shape(x)[3:] == W.shape[2:3]
    if not plain or not fused.serves(x, W, windows.stride, windows.dilation, convolution.groups):
        return None
    try:
        functools.reduce(lambda shape, entry: entry[1].out_shape(shape), layers[:count], x.shape[1:])
    except ShapeError:
        return None  # the layer itself will say what does not fit
    return ConvolutionBlock(count, convolution.paddings(x.shape[1:]))


def block_of(saved: Any) -> ConvolutionBlock | None:
    """The block that saved this, or None where a layer did."""
    mark = saved.get("block") if isinstance(saved, dict) else None
    return mark.value if isinstance(mark, Static) else None

"""The transposed convolution: small image to large image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.keys import key_for
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.shapes import Shape, want
from denpa.init import Constant, Glorot, Initializer
from denpa.kernels import convolution as kernels
from denpa.layers.window import Windows, check_pair, check_windows, paddings_of, pair_of

__all__ = ["ConvTranspose2d"]


@dataclass(frozen=True)
class ConvTranspose2d(Layer):
    """Every pixel lays down the kernel, weighted, at steps of s; where kernels overlap they are ADDED:

        y[s h + d i − P, s w + d j − P, f] = Σ x[h, w, c] W[i, j, c, f] + b_f

    x (batch, height, width, channels) -> y (batch, out height, out width, filters); W (kernel height, kernel width,
    channels, filters / groups), b (filters,); out = s (size − 1) + d (kernel − 1) + 1 − 2P + output_padding; saves x.
    It is the adjoint of the `Conv2d` that leads from y back to x with the same kernel, so that convolution computes
    its backward pass:

        ∂E/∂x[h, w, c]    = Σᵢⱼ𝒻 δ[s h + d i − P, s w + d j − P, f] W[i, j, c, f]
        ∂E/∂W[i, j, c, f] = Σₙₕ𝓌 δ[s h + d i − P, s w + d j − P, f] x[h, w, c]
        ∂E/∂b_f           = Σₙₕ𝓌 δ[h, w, f]

    Args:
        filters: how many output channels.
        kernel_size, stride, dilation: an integer, or a pair (vertical, horizontal).
        padding: what is cut off each side of y, an integer, a pair or pairs ((top, bottom), (left, right)); "valid"
            for nothing, "same" for an output of s · size.
        output_padding: rows and columns more at the bottom and at the right, less than the stride or the dilation: a
            convolution with stride maps several sizes to one, and this says which of them is meant.
        groups: channels and filters are split into so many groups that do not see each other.
        use_bias: whether b is there.
        kernel_init, bias_init: initialisers; fan-in is kernel height · kernel width · channels / groups.

    Raises:
        ConfigError: an option that cannot be.
        ShapeError: an input of another rank or number of channels, or an output without a pixel.

    Source: Dumoulin & Visin (2016), section 4; Zeiler, Krishnan, Taylor & Fergus (2010).
    """

    filters: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    bias_init: Initializer = field(default_factory=Constant)

    def validate(self) -> None:
        want_positive(self, "filters", "groups")
        check_windows(self, "kernel_size", "stride", "dilation")
        check_pair(self, "output_padding", least=0)
        if self.filters % self.groups:
            raise ConfigError(f"{self!r} cannot share {self.filters} filters out among {self.groups} groups equally.")
        more, windows = pair_of(self.output_padding), self.windows
        for one, s, d in zip(more, windows.stride, windows.dilation, strict=True):
            if one >= max(s, d):
                raise ConfigError(
                    f"{type(self).__name__}.output_padding must be less than the stride or the dilation, "
                    f"not {self.output_padding!r} with stride {self.stride!r} and dilation {self.dilation!r}."
                )
        if self.padding == "same" and any(more):
            raise ConfigError('ConvTranspose2d with padding="same" has an output of s · size and no output_padding.')

    @property
    def windows(self) -> Windows:
        """Size, stride and dilation along two axes."""
        return Windows.of(2, self.kernel_size, self.stride, self.dilation)

    def init(self, key: Array, in_shape: Shape) -> Params:
        self.out_shape(in_shape)
        (height, width), channels, filters = self.windows.size, in_shape[-1], self.filters // self.groups
        shape = height, width, channels, filters
        fans = height * width * channels // self.groups, height * width * filters
        params = {"W": self.kernel_init.sample(key_for(key, "W"), shape, fan_in=fans[0], fan_out=fans[1])}
        if self.use_bias:
            params["b"] = self.bias_init.sample(key_for(key, "b"), (self.filters,), fan_in=fans[0], fan_out=fans[1])
        return params

    def out_shape(self, in_shape: Shape) -> Shape:
        want(self, "height width channels", in_shape)
        if in_shape[-1] % self.groups:
            raise ShapeError(f"{self!r} cannot share {in_shape[-1]} channels out among {self.groups} groups equally.")
        windows, sizes = self.windows, in_shape[:2]
        if self.padding == "same":
            out = [s * n for s, n in zip(windows.stride, sizes, strict=True)]
        else:
            cut = paddings_of(self.padding, sizes, windows)
            parts = zip(windows.stride, sizes, windows.reach, cut, pair_of(self.output_padding), strict=True)
            out = [s * (n - 1) + reach - sum(p) + more for s, n, reach, p, more in parts]
        if min(out) < 1:
            raise ShapeError(f"{self!r} makes an image of {tuple(out)} of one of {sizes}: take less padding.")
        return (*out, self.filters)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch height width channels", x, {"channels": params["W"].shape[2]})
        shape = (len(x), *self.out_shape(x.shape[1:]))
        y = kernels.convolve_input_gradient(x, _adjoint(params["W"]), shape, **self._how(shape))
        return y + params["b"] if self.use_bias else y, {"x": x}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x, W, how = saved["x"], _adjoint(params["W"]), self._how(dy.shape)
        # Rows and columns more than a stride leaves over would give a pixel more than x has: what they add at the end
        # takes the place of padding, and goes where there is none.
        ends = [b - more for (_, b), more in zip(how["padding"], pair_of(self.output_padding), strict=True)]
        how["padding"] = tuple((a, max(end, 0)) for (a, _), end in zip(how["padding"], ends, strict=True))
        height, width = (n + min(end, 0) for n, end in zip(dy.shape[1:3], ends, strict=True))
        seen = dy[:, :height, :width]
        grads = {"W": _adjoint(kernels.convolve_kernel_gradient(seen, x, W.shape, **how))}
        if self.use_bias:
            grads["b"] = jnp.sum(dy, axis=(0, 1, 2))  # ∂E/∂b = Σ δ
        return kernels.convolve(seen, W, **how), grads  # the convolution whose adjoint this layer is

    def _how(self, y_shape: Shape) -> dict[str, Any]:
        """The convolution that leads from y back to x."""
        windows = self.windows
        padding = paddings_of(self.padding, y_shape[1:3], windows)
        return {"stride": windows.stride, "padding": padding, "dilation": windows.dilation, "groups": self.groups}


def _adjoint(W: Array) -> Array:
    """The kernel of the convolution that leads from filters back to channels; its own inverse."""
    return W.swapaxes(2, 3)

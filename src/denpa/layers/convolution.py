"""Convolution: one small kernel slides over the image, and every place shares its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.keys import key_for
from denpa.core.layer import Array, Context, Grads, Layer, Params
from denpa.core.padded import silenced
from denpa.core.shapes import Shape, want
from denpa.init import Constant, Glorot, Initializer
from denpa.kernels import convolution as kernels
from denpa.layers.window import Windows, check_windows, paddings_of

__all__ = ["Conv1d", "Conv2d"]


@dataclass(frozen=True)
class _Convolution(Layer):
    """What both have in common; `rank` is the number of axes that the kernel slides along."""

    rank: ClassVar[int]

    filters: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    use_bias: bool = True
    untied_bias: bool = False
    true_convolution: bool = False
    kernel_init: Initializer = field(default_factory=lambda: Glorot(distribution="uniform"))
    bias_init: Initializer = field(default_factory=Constant)

    def validate(self) -> None:
        want_positive(self, "filters", "groups")
        words = "same", "valid", "circular"
        check_windows(self, "kernel_size", "stride", "dilation", rank=self.rank, words=words)
        if self.filters % self.groups:
            raise ConfigError(f"{self!r} cannot share {self.filters} filters out among {self.groups} groups equally.")
        if self.untied_bias and not self.use_bias:
            raise ConfigError(f"{self!r} has no bias to untie: leave out use_bias=False or untied_bias=True.")

    @property
    def windows(self) -> Windows:
        """Size, stride and dilation along two axes; a single axis is the first of them."""
        return Windows.of(self.rank, self.kernel_size, self.stride, self.dilation)

    def paddings(self, in_shape: Shape) -> kernels.Padding:
        """Places added on each side of an example: ((top, bottom), (left, right))."""
        return paddings_of(self.padding, self._flat(in_shape)[:2], self.windows, self.rank)

    def init(self, key: Array, in_shape: Shape) -> Params:
        out_shape = self.out_shape(in_shape)
        shape = (*self.windows.size[: self.rank], in_shape[-1] // self.groups, self.filters)
        places = self.windows.size[0] * self.windows.size[1]
        fan_in, fan_out = places * shape[-2], places * self.filters // self.groups
        params = {"W": self.kernel_init.sample(key_for(key, "W"), shape, fan_in=fan_in, fan_out=fan_out)}
        if self.use_bias:
            of = out_shape if self.untied_bias else (self.filters,)
            params["b"] = self.bias_init.sample(key_for(key, "b"), of, fan_in=fan_in, fan_out=fan_out)
        return params

    def out_shape(self, in_shape: Shape) -> Shape:
        want(self, "height width channels" if self.rank == 2 else "time channels", in_shape)
        if in_shape[-1] % self.groups:
            raise ShapeError(f"{self!r} cannot share {in_shape[-1]} channels out among {self.groups} groups equally.")
        windows, sizes, padding = self.windows, self._flat(in_shape)[:2], self.paddings(in_shape)
        out = kernels.out_sizes(sizes, windows.size, windows.stride, padding, windows.dilation)
        if min(out) < 1:
            raise ShapeError(
                f"{self!r} has a kernel that reaches over {windows.reach[: self.rank]}, more than the padded input of "
                f"{tuple(n + sum(p) for n, p in zip(sizes, padding, strict=True))[: self.rank]}: take a smaller kernel "
                'or more padding, such as padding="same".'
            )
        return (*out[: self.rank], self.filters)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        channels = params["W"].shape[-2] * self.groups
        axes = "height width" if self.rank == 2 else "time"
        want(self, f"batch {axes} channels", x, {"channels": channels})
        shape, W = self.out_shape(x.shape[1:]), self._kernel(params["W"])
        if ctx.lengths is not None and self.padding == "circular":
            raise ShapeError(f"{self!r} joins the ends of whole arrays, not those of padded sequences.")
        x = silenced(x, ctx.lengths)  # like the zeros around it
        b = None if self.untied_bias else params.get("b")
        y = kernels.convolve(self._image(x), W, **self._how(x), b=b).reshape(-1, *shape)  # u = x ⋆ W + b
        return y + params["b"] if self.untied_bias else y, {"x": x, "lengths": ctx.lengths}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x, W = saved["x"], self._kernel(params["W"])
        image, delta, how = self._image(x), self._image(dy), self._how(x)
        dW = kernels.convolve_kernel_gradient(image, delta, W.shape, **how)
        grads = {"W": self._kernel(dW).reshape(params["W"].shape)}
        if self.use_bias:
            grads["b"] = jnp.sum(dy, axis=0 if self.untied_bias else tuple(range(dy.ndim - 1)))  # ∂E/∂b = Σ δ
        dx = kernels.convolve_input_gradient(delta, W, image.shape, **how).reshape(x.shape)
        return silenced(dx, saved["lengths"]), grads

    def _how(self, x: Array) -> dict[str, Any]:
        windows, padding = self.windows, self.paddings(x.shape[1:])
        how = {"stride": windows.stride, "padding": padding, "dilation": windows.dilation, "groups": self.groups}
        return how | {"circular": self.padding == "circular"}

    def _flat(self, in_shape: Shape) -> Shape:
        return in_shape if self.rank == 2 else (in_shape[0], 1, in_shape[1])

    def _image(self, x: Array) -> Array:
        return x if self.rank == 2 else x[:, :, None]

    def _kernel(self, W: Array) -> Array:
        """W as the cross-correlation takes it; for a true convolution turned by half a turn. Its own inverse."""
        W = W.reshape(*self.windows.size, *W.shape[-2:])
        return W[::-1, ::-1] if self.true_convolution else W


@dataclass(frozen=True)
class Conv2d(_Convolution):
    """y_hwf = Σᵢⱼ꜀ x[s h + d i − P, s w + d j − P, c] W[i, j, c, f] + b_f

    x (batch, height, width, channels) -> y (batch, out height, out width, filters); W (kernel height, kernel width,
    channels / groups, filters), b (filters,); out = ⌊(size + 2P − d (kernel − 1) − 1) / s⌋ + 1; saves x. The kernel is
    not turned: it is a cross-correlation, as in every framework. With δ = dy, the delta of the pre-activations,

        ∂E/∂x[a, b, c]    = Σ δ[h, w, f] W[i, j, c, f]     over all places with s h + d i − P = a, s w + d j − P = b
        ∂E/∂W[i, j, c, f] = Σₙₕ𝓌 x[s h + d i − P, s w + d j − P, c] δ[h, w, f]
        ∂E/∂b_f           = Σₙₕ𝓌 δ[h, w, f]                and Σₙ δ[h, w, f] for an untied b[h, w, f]

    Args:
        filters: how many output channels.
        kernel_size, stride, dilation: an integer, or a pair (vertical, horizontal).
        padding: zeros on each side: an integer, a pair (vertical, horizontal), pairs ((top, bottom), (left, right)),
            "valid" for none, or "same", with which the output has ⌈size / s⌉ places; where that takes an odd number
            of zeros, one more stands at the bottom and at the right. "circular": as many, but for the zeros what
            stands at the opposite edge, as if the image were joined there.
        groups: filters and channels are split into so many groups that do not see each other; with as many groups as
            channels the convolution is depthwise.
        use_bias: whether b is there.
        untied_bias: a bias of its own for each place, b (out height, out width, filters).
        true_convolution: turn the kernel by half a turn, as the mathematical convolution does.
        kernel_init, bias_init: initialisers; fan-in is kernel height · kernel width · channels / groups.

    Raises:
        ConfigError: an option that cannot be, such as stride 0 or filters that the groups do not divide.
        ShapeError: an input of another rank or number of channels, or smaller than the kernel.

    Source: LeCun, Bottou, Bengio & Haffner (1998), section II; Dumoulin & Visin (2016), sections 2 and 4.
    """

    rank: ClassVar[int] = 2


@dataclass(frozen=True)
class Conv1d(_Convolution):
    """y_tf = Σᵢ꜀ x[s t + d i − P, c] W[i, c, f] + b_f

    x (batch, time, channels) -> y (batch, out time, filters); W (kernel, channels / groups, filters), b (filters,);
    saves x. `Conv2d` along a single axis: formulas, arguments, errors and source are found there. Padded sequences
    must keep their number of steps, as padding="same" does; behind an end there are the zeros that are around them.
    """

    rank: ClassVar[int] = 1

"""Normalisation of local contrast and brightness, without learned parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from denpa.core.checks import want_not_negative, want_positive
from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Grads, Params
from denpa.core.shapes import Shape, want
from denpa.kernels.neighbours import local_moments, local_sum
from denpa.layers.base import ShapePreserving, wide

__all__ = ["LocalContrastNorm", "LocalResponseNorm"]


@dataclass(frozen=True)
class LocalResponseNorm(ShapePreserving):
    """y_c = x_c D_c^−β,  D_c = k + α Σ_m x_m² over the channels m from c − ⌊N/2⌋ to c + ⌊N/2⌋ that there are

    x (..., channels) -> y (..., channels), all at the same place; saves x and, in float32 at least, D. Every channel is
    in the windows of its neighbours, and these in its own:

        ∂E/∂x_c = dy_c D_c^−β − 2 α β x_c Σ_m dy_m x_m D_m^(−β−1)

    Args:
        size: N.
        alpha, beta, k: the constants; AlexNet's by default. (PyTorch divides `alpha` by `size`.)

    Raises:
        ConfigError: a size below 1, or k, α below 0, or both 0. (With k = 0, zeros among zeros give NaN.)
        ShapeError: an input without channels.

    Source: Krizhevsky, Sutskever & Hinton (2012), section 3.3.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def validate(self) -> None:
        want_positive(self, "size")
        want_not_negative(self, "alpha", "k")
        if self.k == self.alpha == 0:
            raise ConfigError(f"LocalResponseNorm wants k or alpha above 0: {self!r}.")

    def out_shape(self, in_shape: Shape) -> Shape:
        return want(self, "... channels", in_shape)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch ... channels", x)
        bracket = self.k + self.alpha * self._neighbours(jnp.square(wide(x)))  # D
        return (wide(x) * bracket**-self.beta).astype(x.dtype), {"x": x, "D": bracket}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        x, delta, bracket = wide(saved["x"]), wide(dy), saved["D"]
        power = bracket**-self.beta
        others = self._neighbours(delta * x * power / bracket)
        return (delta * power - 2 * self.alpha * self.beta * x * others).astype(dy.dtype), {}

    def _neighbours(self, values: Array) -> Array:
        """The sum over each channel's window."""
        reach, channels = self.size // 2, values.shape[-1]
        padded = jnp.pad(values, ((0, 0),) * (values.ndim - 1) + ((reach, reach),))
        return sum((padded[..., i : i + channels] for i in range(2 * reach + 1)), jnp.zeros((), values.dtype))


@dataclass(frozen=True)
class LocalContrastNorm(ShapePreserving):
    """y = x − x̄ ("subtractive"),  y = (x − x̄) / max(s, c) ("divisive")

    with the local mean and deviation of every place, in its image and channel alone,

        x̄ᵢⱼ = Σ_pq w_pq x_{i+p, j+q}        s²ᵢⱼ = Σ_pq w_pq (x_{i+p, j+q} − x̄ᵢⱼ)²        w ≥ 0, Σ w = 1

    over the window p, q = −r … r, r = ⌊size/2⌋. At the border the part of the window inside the image is used, its
    weights scaled to sum 1: a uniform image gives 0 everywhere. x (batch, height, width, channels) -> y, of the same
    shape; for "divisive" saves x less its mean, x̄ and s, in float32 at least. Let A be the linear map x ↦ x̄. Then

        subtractive:  ∂E/∂x = dy − Aᵀ dy                              with the adjoint Aᵀ of A
        divisive:     ∂E/∂x = v + Aᵀ(−v − 2 x̄ g) + 2 x Aᵀ g
                      with d = max(s, c), v = dy / d, and g = −dy (x − x̄) / (2 d² s) where s > c, else 0

    since s² = A x² − x̄². Forward it is summed up from the differences, of which rounding leaves more.

    Args:
        size: of the window, an odd number of pixels.
        mode: "subtractive" or "divisive".
        window: "gaussian", of standard deviation size/4, or "uniform".
        floor: c, positive: what a deviation counts for at least, so that flat places do not become noise.

    Raises:
        ConfigError: an option that cannot be.
        ShapeError: an input that is no image.

    Source: Jarrett, Kavukcuoglu, Ranzato & LeCun (2009), section 2.
    """

    size: int = 9
    mode: Literal["subtractive", "divisive"] = "divisive"
    window: Literal["gaussian", "uniform"] = "gaussian"
    floor: float = 0.01

    def validate(self) -> None:
        want_positive(self, "size", "floor")
        if self.size % 2 == 0:
            raise ConfigError(f"LocalContrastNorm.size must be odd, so that the window has a centre, not {self.size}.")

    def out_shape(self, in_shape: Shape) -> Shape:
        return want(self, "height width channels", in_shape)

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        want(self, "batch height width channels", x)
        u = wide(x) - jnp.mean(wide(x), axis=(1, 2), keepdims=True)  # changes nothing but the rounding
        mean, variance = local_moments(u, self._weights())
        if self.mode == "subtractive":
            return (u - mean).astype(x.dtype), {}
        # Flat ground has variance 0, where the root has no slope for automatic differentiation to find.
        deviation = jnp.sqrt(jnp.maximum(variance, jnp.finfo(u.dtype).tiny))  # s
        y = (u - mean) / jnp.maximum(deviation, self.floor)
        return y.astype(x.dtype), {"x": u, "mean": mean, "deviation": deviation}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        if self.mode == "subtractive":
            return (wide(dy) - self._adjoint(wide(dy))).astype(dy.dtype), {}
        x, mean, deviation = saved["x"], saved["mean"], saved["deviation"]
        divisor, above = jnp.maximum(deviation, self.floor), deviation > self.floor
        v = wide(dy) / divisor
        g = jnp.where(above, -v * (x - mean) / (2 * divisor * jnp.where(above, deviation, 1)), 0)  # ∂E/∂s²
        return (v + self._adjoint(-v - 2 * mean * g) + 2 * x * self._adjoint(g)).astype(dy.dtype), {}

    def _weights(self) -> np.ndarray:
        """w along one axis; the window is its product with itself."""
        offsets = np.arange(self.size) - self.size // 2
        row = np.exp(-0.5 * (4 * offsets / self.size) ** 2) if self.window == "gaussian" else np.ones(self.size)
        return row / row.sum()

    def _adjoint(self, x: Array) -> Array:
        """Aᵀ x; the window is symmetric."""
        inside = local_sum(jnp.ones((1, *x.shape[1:3], 1), x.dtype), self._weights())
        return local_sum(x / inside, self._weights())

"""Layers that are random in training and deterministic in inference: Dropout, GaussianNoise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from denpa.core.checks import want_not_negative
from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Context, Grads, Params
from denpa.kernels.random import keep_mask
from denpa.layers.base import ShapePreserving, wide

__all__ = ["Dropout", "GaussianNoise"]


@dataclass(frozen=True)
class Dropout(ShapePreserving):
    """y = m x / (1 − p),  m ~ Bernoulli(1 − p)      x (...) -> y (...)      saves m in training, nothing in inference

    p = `rate` is the probability of DROPPING a unit. With a mask m a network is the smaller network of the
    units kept: a step touches only their weights, and all these networks share weights. The expectation
    is the same in training and in inference:

        scaling       training        inference       dx in training     dx in inference
        "inverted"    m x / (1 − p)   x               m dy / (1 − p)     dy
        "classical"   m x             (1 − p) x       m dy               (1 − p) dy

    p = 0 is the identity; p = 1 drops everything, and y = 0. The mode travels in the structure of `saved`.

    Args:
        rate: p, from 0 to 1; taken to the nearest multiple of 2⁻¹⁶ in the mask.
        scaling: "inverted", or "classical" as in the article.
        per: "sample", a mask for each sample, or "batch", one for the whole mini-batch.

    Raises:
        ConfigError: an option that is not one of these.
        DenpaError: training without a random key.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov (2014), section 4 (there p is the
    probability of KEEPING a unit) and section 10 on scaling.
    """

    rate: float = 0.5
    scaling: Literal["inverted", "classical"] = "inverted"
    per: Literal["sample", "batch"] = "sample"

    def validate(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"Dropout.rate is the probability of dropping a unit, from 0 to 1, not {self.rate!r}.")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        if not ctx.train or self.rate == 0:
            return x * self._inference_scale(), {}
        masks = x.shape[0] if self.per == "sample" else 1
        mask = keep_mask(ctx.random_key(self), (masks, *x.shape[1:]), self.rate)
        return jnp.where(mask, x * self._training_scale(), 0), {"mask": mask}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        if "mask" not in saved:  # inference
            return dy * self._inference_scale(), {}
        return jnp.where(saved["mask"], dy * self._training_scale(), 0), {}  # the same mask, the same factor

    def _training_scale(self) -> float:
        return 1 / (1 - self.rate) if self.scaling == "inverted" and self.rate < 1 else 1.0

    def _inference_scale(self) -> float:
        return 1 - self.rate if self.scaling == "classical" else 1.0


@dataclass(frozen=True)
class GaussianNoise(ShapePreserving):
    """y = x + ε,  ε ~ N(0, std²) in training;  y = x in inference      x (...) -> y (...)      saves nothing

    ε does not depend on x, so dx = dy. It is drawn in float32 at least: in bfloat16 it would have no tails.

    Args:
        std: the standard deviation, 0 or more.

    Raises:
        ConfigError: `std` is negative or no number.
        DenpaError: training without a random key.

    Source: Bishop (1995), Training with noise is equivalent to Tikhonov regularization.
    """

    std: float = 0.1

    def validate(self) -> None:
        want_not_negative(self, "std")

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        if not ctx.train or self.std == 0:
            return x, {}
        return x + (self.std * jax.random.normal(ctx.random_key(self), x.shape, wide(x).dtype)).astype(x.dtype), {}

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        return dy, {}  # ∂y/∂x = 1

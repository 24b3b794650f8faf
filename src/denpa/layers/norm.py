"""Batch normalisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

from denpa.core.checks import want_positive
from denpa.core.errors import ConfigError, DenpaError, ShapeError
from denpa.core.layer import Array, Context, Grads, Params, Saved, State
from denpa.core.padded import step_mask
from denpa.core.shapes import Shape, want
from denpa.layers.base import ShapePreserving, wide

__all__ = ["BatchNorm"]


@dataclass(frozen=True)
class BatchNorm(ShapePreserving):
    """y = γ x̂ + β,  x̂ = (x − μ) / √(σ² + ε)      x (..., features) -> y (..., features)      saves x, μ, σ²

    gamma, beta (features,); state mean, var (features,), the running statistics. In training μ and σ² are the mean
    and the variance (divided by N) of the N values of a feature in the mini-batch: its samples, whatever they weigh in
    the loss, and for images (batch, height, width, channels) all places of all samples; of padded sequences the true
    steps alone, with y = 0 on the others. They depend on x, whence two terms more:

        ∂E/∂γ = Σ dy x̂      ∂E/∂β = Σ dy      ∂E/∂x = γ / √(σ² + ε) · (dy − mean(dy) − x̂ mean(dy x̂))

    In inference μ and σ² are the running statistics, constants: ∂E/∂x = γ / √(σ² + ε) · dy. After each
    step of training, with m = `momentum`, the weight of the OLD value,

        mean ← m · mean + (1 − m) μ        var ← m · var + (1 − m) σ² N/(N−1)

    The layer may stand before or after an activation. Statistics are in float32 at least.

    Args:
        momentum: m, from 0 to 1 (PyTorch's `momentum` is 1 − m).
        epsilon: ε, positive; keeps a feature that does not vary finite.
        center: whether β is there.
        scale: whether γ is there.
        unbiased: whether the running variance takes the factor N/(N−1), as the article has it, or not.

    Raises:
        ConfigError: an option outside these bounds.
        ShapeError: the last axis is not what the layer was made for, or N = 1 in training.
        DenpaError: inference without state.

    Source: Ioffe & Szegedy (2015), algorithms 1 and 2 and the equations of section 3.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    center: bool = True
    scale: bool = True
    unbiased: bool = True

    def validate(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ConfigError(f"BatchNorm.momentum, the weight of the old, is from 0 to 1, not {self.momentum!r}.")
        want_positive(self, "epsilon")

    def init(self, key: Array, in_shape: Shape) -> Params:
        features = want(self, "... features", in_shape)[-1:]
        params = {"gamma": jnp.ones(features)} if self.scale else {}
        return params | ({"beta": jnp.zeros(features)} if self.center else {})

    def init_state(self, in_shape: Shape) -> State:
        features = want(self, "... features", in_shape)[-1:]
        return {"mean": jnp.zeros(features), "var": jnp.ones(features)}

    def next_state(self, state: State, saved: Saved) -> State:
        if "batch_mean" not in saved:  # inference
            return state
        count = saved.get("count", _count(saved["x"]))
        correction = count / jnp.maximum(count - 1, 1.0) if self.unbiased else 1.0
        return {
            "mean": self._moved(state["mean"], saved["batch_mean"]),
            "var": self._moved(state["var"], saved["batch_var"] * correction),
        }

    def forward(self, params: Params, x: Array, ctx: Context = Context()) -> tuple[Array, Any]:
        known = next(iter({**params, **ctx.state}.values()), None)
        want(self, "batch ... features", x, {} if known is None else {"features": known.shape[-1]})
        u = wide(x)
        if ctx.train:
            if _count(x) < 2:
                raise ShapeError(
                    f"{self!r} in training wants more than one value of each feature, but a batch of shape {x.shape} "
                    "has one: its variance is 0. Leave out a last batch of one sample, or change the batch size."
                )
            mask = None if ctx.lengths is None or x.ndim < 3 else step_mask(ctx.lengths, x.shape[1], x.ndim)
            mean, var, saved = _moments(u, mask)
            saved |= {"x": x, "batch_mean": mean, "batch_var": var}
        else:
            if not ctx.state:
                raise DenpaError(f"{self!r} in inference wants its running statistics: pass the network's state.")
            mean, var = (ctx.state[name].astype(u.dtype) for name in ("mean", "var"))
            saved = {"x": x, "mean": mean, "var": var}
        y = (u - mean) * self._slope(params, var)
        if self.center:
            y = y + params["beta"].astype(u.dtype)
        return _unpadded(y, saved).astype(x.dtype), saved

    def backward(self, params: Params, saved: Any, dy: Array) -> tuple[Array, Grads]:
        training = "batch_mean" in saved
        mean, var = (saved[name] for name in (("batch_mean", "batch_var") if training else ("mean", "var")))
        delta, axes = _unpadded(wide(dy), saved), _axes(dy)
        centred = _unpadded(wide(saved["x"]) - mean, saved)
        inverse = lax.rsqrt(var + self.epsilon)  # x̂ = centred · inverse
        dgamma = jnp.sum(delta * centred, axis=axes) * inverse  # ∂E/∂γ = Σ dy x̂
        dbeta = jnp.sum(delta, axis=axes)  # ∂E/∂β = Σ dy
        if training:  # through μ and σ²: dy − mean(dy) − x̂ mean(dy x̂)
            count = saved.get("count", _count(dy))
            delta = _unpadded(delta - dbeta / count - centred * (inverse * dgamma / count), saved)
        grads = {"gamma": dgamma, "beta": dbeta}
        dx = self._slope(params, var) * delta  # γ / √(σ² + ε) · ...
        return dx.astype(dy.dtype), {name: grads[name].astype(params[name].dtype) for name in params}

    def _slope(self, params: Params, var: Array) -> Array:
        """γ / √(σ² + ε)"""
        slope = lax.rsqrt(var + self.epsilon)
        return slope * params["gamma"].astype(var.dtype) if self.scale else slope

    def _moved(self, old: Array, new: Array) -> Array:
        return self.momentum * old + (1 - self.momentum) * new.astype(old.dtype)


def _moments(u: Array, mask: Array | None) -> tuple[Array, Array, dict[str, Array]]:
    """μ, σ², and for padded sequences the mask and N."""
    if mask is None:
        mean = jnp.mean(u, axis=_axes(u))  # μ
        return mean, jnp.mean(jnp.square(u - mean), axis=_axes(u)), {}  # σ²: two passes, no cancellation
    count = jnp.sum(mask, dtype=u.dtype) * math.prod(u.shape[2:-1])
    mean = jnp.sum(jnp.where(mask, u, 0), axis=_axes(u)) / count
    var = jnp.sum(jnp.where(mask, jnp.square(u - mean), 0), axis=_axes(u)) / count
    return mean, var, {"mask": mask, "count": count}


def _unpadded(values: Array, saved: Any) -> Array:
    """The values, with 0 on the padding of sequences."""
    return jnp.where(saved["mask"], values, 0) if "mask" in saved else values


def _axes(x: Array) -> tuple[int, ...]:
    """All but the last: what the statistics of a feature run over."""
    return tuple(range(x.ndim - 1))


def _count(x: Array) -> int:
    """N, how many values a feature has."""
    return x.size // x.shape[-1]

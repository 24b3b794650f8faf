"""Activation functions that several layers and losses use, each beside its derivative, on bare arrays.

`f_backward(y, dy)` takes the OUTPUT of f, because these derivatives are cheapest in terms of it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

__all__ = [
    "minus_log_softmax",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]


def sigmoid(u: jax.Array) -> jax.Array:
    """σ(u) = 1 / (1 + e⁻ᵘ), within one unit in the last place and without overflow: e⁻ᵘ = ∞ gives 0."""
    return lax.logistic(u)


def sigmoid_backward(y: jax.Array, dy: jax.Array) -> jax.Array:
    """du = dy σ'(u) = dy y (1 − y)"""
    return dy * (y * (1 - y))


def tanh(u: jax.Array) -> jax.Array:
    """tanh(u) = (eᵘ − e⁻ᵘ) / (eᵘ + e⁻ᵘ)"""
    return jnp.tanh(u)


def tanh_backward(y: jax.Array, dy: jax.Array) -> jax.Array:
    """du = dy tanh'(u) = dy (1 − y²)"""
    return dy * (1 - y * y)


def softmax(u: jax.Array) -> jax.Array:
    """yᵢ = e^(uᵢ − c) / Σⱼ e^(uⱼ − c) along the last axis, with c = max u, which cancels and prevents overflow."""
    powers = jnp.exp(u - jnp.max(u, axis=-1, keepdims=True))
    return powers / jnp.sum(powers, axis=-1, keepdims=True)


def softmax_backward(y: jax.Array, dy: jax.Array) -> jax.Array:
    """duₖ = Σᵣ dyᵣ ∂yᵣ/∂uₖ = Σᵣ dyᵣ yᵣ (δᵣₖ − yₖ) = yₖ (dyₖ − Σᵣ dyᵣ yᵣ)"""
    return y * (dy - jnp.sum(dy * y, axis=-1, keepdims=True))


def minus_log_softmax(u: jax.Array) -> jax.Array:
    """−log yᵢ = log Σⱼ e^(uⱼ − c) − (uᵢ − c) along the last axis, with c = max u: never the logarithm of 0."""
    shifted = u - jnp.max(u, axis=-1, keepdims=True)
    return jnp.log(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)) - shifted

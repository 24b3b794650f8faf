"""Clipping: no gradient may throw the parameters far away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.checks import want_positive
from denpa.optim.base import Transform, each, like

__all__ = ["ClipByNorm", "ClipByValue"]


@dataclass(frozen=True)
class ClipByNorm(Transform):
    """g = g (g0 / |g|)  where |g| >= g0;   |g| is the norm over ALL parameters together          state: nothing

    The direction stays, the length is at most g0. Zero gradients stay zero; NaN stays NaN, to be noticed.

    Args:
        max_norm: g0 > 0.

    Raises:
        ConfigError: `max_norm` is not positive.

    Source: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks,
    Algorithm 1.
    """

    max_norm: float

    def validate(self) -> None:
        want_positive(self, "max_norm")

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # One precision for the whole sum: leaves of several cannot be added under strict promotion.
        dtypes = [tree.wide_dtype(jnp.result_type(leaf)) for leaf in jax.tree.leaves(grads)]
        widest = max(dtypes, key=lambda dtype: dtype.itemsize, default=None)
        norm = _norm(tree.cast(grads, widest))
        factor = self.max_norm / jnp.maximum(norm, self.max_norm)
        return like(each(lambda g, factor: g * factor, grads, factor=factor), grads), state


@dataclass(frozen=True)
class ClipByValue(Transform):
    """g = min(max(g, -limit), limit), entry by entry          state: nothing

    Unlike `ClipByNorm` this turns the gradient: its large components shrink, the small ones do not.

    Args:
        limit: the largest magnitude that is left, > 0.

    Raises:
        ConfigError: `limit` is not positive.

    Source: Mikolov (2012), Statistical language models based on neural networks (thesis).
    """

    limit: float

    def validate(self) -> None:
        want_positive(self, "limit")

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return like(each(lambda g: jnp.clip(g, -self.limit, self.limit), grads), grads), state


def _norm(grads: Any) -> jax.Array:
    """The norm over all parameters, also of gradients whose squares are too large for a number."""
    norm = tree.global_norm(grads)

    def scaled() -> jax.Array:
        largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(grads) if leaf.size]))
        return largest * tree.global_norm(jax.tree.map(lambda leaf: leaf / largest, grads))

    return jax.lax.cond(jnp.isinf(norm), scaled, lambda: norm) if jax.tree.leaves(grads) else norm

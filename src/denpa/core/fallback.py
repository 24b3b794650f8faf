"""The backward pass of a user's own layer that defines `forward` alone, and what JAX sees of the native kernels.

This and `denpa.testing.oracle` are the only places that use automatic differentiation. Every layer
that comes with denpa writes its backward pass out; a test proves it by looking for the mark below.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["uses_fallback", "with_fallback", "with_slopes_of"]


def with_slopes_of(formula: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`; whoever differentiates it by JAX gets the slopes of `formula`, another way to the same values.

    Training never does: this is for those who put `jax.grad` around a network, and for the fallback.
    """
    known = jax.custom_jvp(function)
    known.defjvp(lambda at, along: (known(*at), jax.jvp(formula, at, along)[1]))
    return known


def with_fallback(cls: Any) -> None:
    """Give `cls` a backward pass, keeping in `saved` what is needed to run forward again."""
    own_forward, own_next_state, own_cost = cls.forward, cls.next_state, cls.cost

    @functools.wraps(own_forward)
    def forward(self: Any, params: Any, x: Any, *context: Any, **named: Any) -> tuple[Any, Any]:
        y, saved = own_forward(self, params, x, *context, **named)
        return y, {"x": x, "context": (*context, *named.values()), "saved": saved}

    def backward(self: Any, params: Any, saved: Any, dy: Any) -> tuple[Any, Any]:
        def run(p: Any, x: Any) -> Any:
            y, own_saved = own_forward(self, p, x, *saved["context"])
            return y, jnp.asarray(own_cost(self, own_saved), float)

        (_, cost), pull_back = jax.vjp(run, params, saved["x"])
        grads, dx = pull_back((dy, jnp.ones_like(cost)))
        return dx, grads

    @functools.wraps(own_next_state)
    def next_state(self: Any, state: Any, saved: Any) -> Any:
        return own_next_state(self, state, saved["saved"])

    @functools.wraps(own_cost)
    def cost(self: Any, saved: Any) -> Any:
        return own_cost(self, saved["saved"])

    cls.forward, cls.backward, cls.next_state, cls.cost = forward, backward, next_state, cost
    cls._backward_by_fallback = True


def uses_fallback(layer: Any) -> bool:
    """Whether the backward pass of a layer, or of a class of layers, comes from automatic differentiation."""
    return getattr(layer, "_backward_by_fallback", False)

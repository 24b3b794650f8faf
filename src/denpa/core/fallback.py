"""The backward pass of a user's own layer that defines `forward` alone, from `jax.vjp`.

This and `denpa.testing.oracle` are the only places that use automatic differentiation. Every layer
that comes with denpa writes its backward pass out; a test proves it by looking for the mark below.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["is_differentiated", "uses_fallback", "with_fallback"]

_differentiated: contextvars.ContextVar[bool] = contextvars.ContextVar("differentiated", default=False)


def is_differentiated() -> bool:
    """Whether JAX is differentiating what is traced now, so that kernels it cannot see through must step aside."""
    return _differentiated.get()


def with_fallback(cls: Any) -> None:
    """Give `cls` a backward pass, keeping in `saved` what is needed to run forward again."""
    own_forward, own_next_state, own_cost = cls.forward, cls.next_state, cls.cost

    @functools.wraps(own_forward)
    def forward(self: Any, params: Any, x: Any, ctx: Any) -> tuple[Any, Any]:
        y, saved = own_forward(self, params, x, ctx)
        return y, {"x": x, "ctx": ctx, "saved": saved}

    def backward(self: Any, params: Any, saved: Any, dy: Any) -> tuple[Any, Any]:
        def run(p: Any, x: Any) -> Any:
            y, own_saved = own_forward(self, p, x, saved["ctx"])
            return y, jnp.asarray(own_cost(self, own_saved), float)

        with _differentiating():
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


@contextlib.contextmanager
def _differentiating() -> Iterator[None]:
    token = _differentiated.set(True)
    try:
        yield
    finally:
        _differentiated.reset(token)


def uses_fallback(layer: Any) -> bool:
    """Whether a layer's backward pass comes from automatic differentiation."""
    return getattr(type(layer) if not isinstance(layer, type) else layer, "_backward_by_fallback", False)

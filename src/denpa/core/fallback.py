"""The backward pass of a user's own layer that defines `forward` alone, from `jax.vjp`.

This and `denpa.testing.oracle` are the only places that use automatic differentiation. Every layer
that comes with denpa writes its backward pass out; a test proves it by looking for the mark below.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

__all__ = ["uses_fallback", "with_fallback"]


def with_fallback(cls: Any) -> None:
    """Give `cls` a backward pass, keeping in `saved` what is needed to run forward again."""
    own_forward, own_next_state = cls.forward, cls.next_state

    @functools.wraps(own_forward)
    def forward(self: Any, params: Any, x: Any, ctx: Any) -> tuple[Any, Any]:
        y, saved = own_forward(self, params, x, ctx)
        return y, {"x": x, "ctx": ctx, "saved": saved}

    def backward(self: Any, params: Any, saved: Any, dy: Any) -> tuple[Any, Any]:
        def run(p: Any, x: Any) -> Any:
            return own_forward(self, p, x, saved["ctx"])[0]

        _, pull_back = jax.vjp(run, params, saved["x"])
        grads, dx = pull_back(dy)
        return dx, grads

    @functools.wraps(own_next_state)
    def next_state(self: Any, state: Any, saved: Any) -> Any:
        return own_next_state(self, state, saved["saved"])

    cls.forward, cls.backward, cls.next_state = forward, backward, next_state
    cls._backward_by_fallback = True


def uses_fallback(layer: Any) -> bool:
    """Whether a layer's backward pass comes from automatic differentiation."""
    return getattr(type(layer) if not isinstance(layer, type) else layer, "_backward_by_fallback", False)

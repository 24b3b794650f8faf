"""Two ways to the same numbers, of which the platform takes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from denpa.core.fallback import with_slopes_of

__all__ = ["by_platform"]


def by_platform(on_cpu: Callable[..., Any], elsewhere: Callable[..., Any], *args: Any) -> Any:
    """on_cpu(*args) or elsewhere(*args), chosen while the program is lowered.

    JAX knows no derivative of a native kernel: who differentiates this gets those of `elsewhere`. Both must take all
    arrays as arguments, for a derivative with respect to what a function closes over is refused.
    """

    def chosen(*args: Any) -> Any:
        return lax.platform_dependent(*args, cpu=on_cpu, default=elsewhere)

    return with_slopes_of(elsewhere, chosen)(*args)

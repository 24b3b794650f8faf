"""Constants among arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

__all__ = ["Static"]


@jax.tree_util.register_static
@dataclass(frozen=True)
class Static:
    """A hashable constant that a layer keeps in `saved`, such as the shape of its input.

    To JAX it is structure, not an array: it is known while the backward pass is being compiled and
    takes no memory.
    """

    value: Any

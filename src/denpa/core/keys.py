"""Random keys by name: one key enters, every layer derives its own from its name.

A layer that keeps its name keeps its random numbers when a neighbour is added or taken away.
"""

from __future__ import annotations

import zlib
from typing import overload

import jax

__all__ = ["key_for"]


@overload
def key_for(key: jax.Array, name: str) -> jax.Array: ...
@overload
def key_for(key: None, name: str) -> None: ...
def key_for(key: jax.Array | None, name: str) -> jax.Array | None:
    """`fold_in(key, crc32(name))`; no key gives no key.

    crc32 and not `hash`, which Python salts anew in every process.
    """
    return None if key is None else jax.random.fold_in(key, zlib.crc32(name.encode()))

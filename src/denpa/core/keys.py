"""Random keys by name: one key enters, every layer derives its own from its name.

A layer that keeps its name keeps its random numbers when a neighbour is added or taken away.
"""

from __future__ import annotations

import zlib
from typing import Any

import jax

from denpa.core.errors import ConfigError

__all__ = ["key_for", "want_key"]


def key_for(key: Any, name: str) -> Any:
    """`fold_in(key, crc32(name))`; no key gives no key.

    crc32 and not `hash`, which Python salts anew in every process.
    """
    if key is None:
        return None
    try:
        return jax.random.fold_in(key, zlib.crc32(name.encode()))
    except TypeError:
        raise _no_key(key) from None


def want_key(key: Any) -> Any:
    """The key, which must be there: what is random at the beginning has no value without."""
    if key is None:
        raise _no_key(key)
    return key


def _no_key(key: Any) -> ConfigError:
    return ConfigError(f"A random key is wanted, such as jax.random.key(0), not {key!r}.")

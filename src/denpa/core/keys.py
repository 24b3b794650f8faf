"""Names, and random keys by name: one key enters, every layer derives its own from its name.

A layer that keeps its name keeps its random numbers when a neighbour is added or taken away.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import jax

from denpa.core.errors import ConfigError

__all__ = ["key_for", "numbered", "want_key"]


def numbered(kinds: Sequence[str]) -> list[str]:
    """`{index}_{kind}` for what stands in a row, the index padded with zeros to equal width: `0_dense`, `07_relu`."""
    width = len(str(max(len(kinds) - 1, 0)))
    return [f"{index:0{width}d}_{kind}" for index, kind in enumerate(kinds)]


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

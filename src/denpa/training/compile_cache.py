"""The persistent compilation cache: the second run of the same program need not compile it again."""

from __future__ import annotations

import functools
import os

import jax

__all__ = ["use_compile_cache"]


@functools.cache
def use_compile_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless JAX was told of a folder already.

    Called once, by the first model that compiles. `DENPA_COMPILE_CACHE=0` turns it off, any other
    value is the folder.
    """
    chosen = os.environ.get("DENPA_COMPILE_CACHE", "")
    if chosen == "0" or jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    if not chosen:
        from platformdirs import user_cache_dir

        chosen = os.path.join(user_cache_dir("denpa"), "xla")
    jax.config.update("jax_compilation_cache_dir", chosen)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)

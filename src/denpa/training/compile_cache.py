"""The persistent compilation cache: the second run of the same program need not compile it again."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import jax

__all__ = ["cache_folder", "use_compile_cache"]


def use_compile_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless JAX was told of a folder already.

    The first model that compiles does so for all. `DENPA_COMPILE_CACHE=0` turns it off, any other
    value is the folder.
    """
    cache_folder()


@functools.cache
def cache_folder() -> Path | None:
    """The folder in which compiled programs are kept; None where denpa keeps none."""
    chosen = os.environ.get("DENPA_COMPILE_CACHE", "")
    used = jax.config.values["jax_enable_compilation_cache"]
    if chosen == "0" or not used or jax.config.values["jax_compilation_cache_dir"] is not None:
        return None
    if not chosen:
        from platformdirs import user_cache_dir

        chosen = os.path.join(user_cache_dir("denpa"), "xla")
    jax.config.update("jax_compilation_cache_dir", chosen)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)
    return Path(chosen)

"""The persistent compilation cache: the second run of the same program need not compile it again."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import threading
import warnings
from pathlib import Path

import jax

__all__ = ["cache_folder", "use_compile_cache"]

_LEAST_SECONDS, _JAX_LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs", 1.0
_MOST_BYTES = 1 << 30  # of JAX's programs; those that this package keeps beside them have a limit of their own
_choosing = threading.Lock()


def use_compile_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless JAX was told of a folder already.

    The first model that compiles does so for all. `DENPA_COMPILE_CACHE=0` turns it off, any other
    value is the folder.

    This sets JAX's own options `jax_compilation_cache_dir` and, where it is at its default,
    `jax_persistent_cache_min_compile_time_secs`, so that whatever else the process compiles from then on is kept in
    this folder too. Programs of JAX beyond 1 GiB are removed when a process begins, unless
    `jax_compilation_cache_max_size` was set. What lies in the folder is run: one that others can write to is not used.
    """
    cache_folder()


def cache_folder() -> Path | None:
    """The folder in which compiled programs are kept; None where denpa keeps none."""
    with _choosing:  # a second thread would take the first one's folder for the user's
        return _chosen_folder()


@functools.cache
def _chosen_folder() -> Path | None:
    chosen, settings = os.environ.get("DENPA_COMPILE_CACHE", ""), jax.config.values
    used = settings["jax_enable_compilation_cache"]
    if chosen == "0" or not used or settings["jax_compilation_cache_dir"] is not None:
        return None
    if not chosen:
        from platformdirs import user_cache_dir

        chosen = os.path.join(user_cache_dir("denpa"), "xla")
    folder = Path(chosen)
    if reason := _objection(folder):
        warnings.warn(
            f"No compiled programs are kept in {folder}, nor taken from there: {reason}. Name a folder of your own by "
            "DENPA_COMPILE_CACHE, or set it to 0.",
            UserWarning,
            stacklevel=4,
        )
        return None
    jax.config.update("jax_compilation_cache_dir", chosen)
    if settings[_LEAST_SECONDS] == _JAX_LEAST_SECONDS and _LEAST_SECONDS.upper() not in os.environ:
        jax.config.update(_LEAST_SECONDS, 0.01)
    if settings["jax_compilation_cache_max_size"] == -1:
        _make_room(folder)
    return folder


def _objection(folder: Path) -> str:
    """Why the programs in a folder are not to be run, since others may have put them there; "" if they may be.

    A folder that is missing is made, and one that only its group could write to is closed to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        inside = folder / "programs"
        return _writer(folder) or (_writer(inside) if inside.exists() else "")
    except OSError as error:
        return f"{error.strerror or error}"


def _writer(folder: Path) -> str:
    """Who else may write into a folder, after the group may no more. Not known on Windows, where the profile guards."""
    if not hasattr(os, "geteuid"):
        return ""
    if {folder.stat().st_uid, folder.lstat().st_uid} != {os.geteuid()}:  # a link may be another's too
        return "it belongs to another user"
    if folder.stat().st_mode & stat.S_IWGRP and not folder.stat().st_mode & stat.S_IWOTH:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~stat.S_IWGRP)  # made under a umask of 002
    return "other users may write into it" if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""


def _make_room(folder: Path) -> None:
    """Remove the programs of JAX that have not been used for longest, as far as there are too many.

    JAX would do so itself, but only with a further package, and it stumbles over files from a time without a limit.
    """
    with contextlib.suppress(OSError):
        status = {file: file.stat() for file in folder.glob("*-cache")}
        total = sum(found.st_size for found in status.values())
        for file in sorted(status, key=lambda file: max(status[file].st_atime, status[file].st_mtime)):
            if total <= _MOST_BYTES:
                return
            file.unlink(missing_ok=True)
            total -= status[file].st_size

"""What ends a command early, as a paragraph and an exit status."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from denpa.core.errors import DenpaError, DivergenceError, StorageError

__all__ = ["RunFailed", "explained", "half_written", "unread"]

_OUT_OF_MEMORY = "RESOURCE_EXHAUSTED", "Out of memory allocating"  # as XLA has it
_WRONG_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR)


class RunFailed(DenpaError):
    """A run that had begun did not come to its end: exit status 1."""


@contextlib.contextmanager
def unread(then: str = "; nothing was written.") -> Iterator[None]:
    """Around work that is to write files, not only to print: a pipe that closes early, as of `| head`, ends it.

    Raises:
        RunFailed: whoever read the output has gone; `then` says what there is now.
    """
    try:
        yield
    except BrokenPipeError:
        raise RunFailed(f"whoever read the output has gone{then}") from None


@contextlib.contextmanager
def half_written(folder: Path) -> Iterator[None]:
    """Around the writing of several files into a folder: what ends it early leaves some of them there.

    Raises:
        RunFailed: interrupted, or a file could not be written.
    """
    try:
        yield
    except (KeyboardInterrupt, StorageError) as error:
        why = "interrupted." if isinstance(error, KeyboardInterrupt) else str(error)
        raise RunFailed(f"{why} {folder} holds a part of the files: begin again with --overwrite.") from None


def explained(error: Exception) -> tuple[str, int]:
    """A paragraph about an error, and the exit status."""
    if isinstance(error, (RunFailed, DivergenceError)):
        return str(error), 1
    if isinstance(error, DenpaError):
        return str(error), 2
    if (text := _no_device()) is not None:
        return text, 2
    if isinstance(error, AssertionError) and str(error):
        return str(error), 1
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return "there is not enough memory. Try a smaller batch size or network, or fewer members.", 1
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'the output'}: {error.strerror}.", 1
    if isinstance(error, OSError) and error.filename is not None and error.errno in _WRONG_PATHS:
        return f"{os.fspath(error.filename)}: {error.strerror}.", 2
    return f"{type(error).__name__}: {error}. This should not happen; --debug shows where it did.", 1


def _no_device() -> str | None:
    """What to do where JAX has been told of devices that are not there; None where it has some."""
    from importlib import metadata

    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # the latter where no plugin knows the platform
        wanted = os.environ.get("JAX_PLATFORMS") or "any platform"
        plugins = sorted({point.name for point in metadata.entry_points(group="jax_plugins")})
        gpu = "cuda" in wanted or "gpu" in wanted
        hint = ' What a GPU of NVIDIA needs comes by pip install -U "jax[cuda12]".' if gpu else ""
        return (
            f"JAX finds no device for JAX_PLATFORMS={wanted}. Here it has {' and '.join(['cpu', *plugins])}: set "
            f"JAX_PLATFORMS=cpu, or unset it to let JAX choose.{hint}"
        )
    return None

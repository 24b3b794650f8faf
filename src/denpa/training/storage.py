"""Files that are either whole or not there: written beside their place and moved into it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, FileFormatError, StorageError, nearest
from denpa.data.arguments import as_path

__all__ = ["read_arrays", "write_arrays", "write_bytes", "write_figure", "write_text"]

_KEY, _SHAPES, _SUM = "denpa", "shapes", "crc32"


def write_bytes(path: Any, content: bytes) -> None:
    """Put `content` at `path` in one move: after a crash the old file is there, or the new one.

    A link is followed; a device or a pipe is written into.

    Raises:
        StorageError: the folder is missing, the disk is full, or writing is not allowed. What was at
            `path` before is untouched.
    """
    _atomically(as_path(path), lambda file: file.write(content))


def write_text(path: Any, text: str) -> None:
    """`write_bytes` for text, in UTF-8.

    Raises:
        StorageError: besides, a name of a file in it is no UTF-8.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise StorageError(f"Cannot write {path}: {_no_text(error)}") from None
    write_bytes(path, content)


def _no_text(error: UnicodeEncodeError) -> str:
    """Half a surrogate pair is what Python reads of a file's name in another encoding than that of the locale."""
    before, after = (re.split(r'["\n]', part) for part in (error.object[: error.start], error.object[error.start :]))
    name = before[-1] + after[0]
    return f"{name!r} is no UTF-8. Rename that file or folder; if its name is right, set LC_ALL=C.UTF-8."


def write_figure(path: Any, figure: Any) -> Any:
    """`write_bytes` for a matplotlib figure, which is returned; nowhere for None.

    The format follows the ending of `path`; without one it is PNG.

    Raises:
        ConfigError: matplotlib writes no such format.
    """
    if path is not None:
        path = as_path(path)
        ending, known = path.suffix.lstrip(".").lower() or "png", figure.canvas.get_supported_filetypes()
        if ending not in known:
            hint = nearest(ending, known, plural="formats")
            raise ConfigError(f"{path}: no picture is written as {ending!r}: {hint}")
        _atomically(path, lambda file: figure.savefig(file, format=ending))
    return figure


def _atomically(path: Path, write: Callable[[Any], Any]) -> None:
    temporary = None
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a device or a pipe: never to be replaced
            with path.open("wb") as file:
                return write(file)
        place = Path(os.path.realpath(path))  # a link stays one, and what it leads to is replaced
        handle, temporary = _beside(place)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise StorageError(f"Cannot write {path}: {_reason(error)}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _beside(place: Path) -> tuple[int, Path]:
    """A new file in the same folder, open for writing, and its path.

    Its rights are those that the system gives a new file. `tempfile` would give others none, and to find out what the
    umask says it must be changed for a moment, for the files of all threads.
    """
    temporary = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # the last one is of Windows
    return os.open(temporary, flags, 0o666), temporary


def _reason(error: OSError) -> str:
    reasons = {
        errno.ENOSPC: "the disk is full. What was there before is untouched; free some space and try again.",
        errno.EDQUOT: "your disk quota is used up. What was there before is untouched.",
        errno.EFBIG: "the file would be larger than allowed. What was there before is untouched.",
        errno.ENOENT: "its folder does not exist.",
        errno.ENOTDIR: "a part of the path is a file, not a folder.",
        errno.EACCES: "permission denied.",
        errno.EROFS: "the file system is read-only.",
    }
    return reasons.get(error.errno or 0, f"{error.strerror or error}.")


def write_arrays(path: Any, arrays: Any, description: dict[str, Any]) -> None:
    """A tree of arrays as a safetensors file, by path, with a JSON description in its header.

    Beside the description stand the shapes of the arrays and a sum of all that was written, so that a reader can say
    what other hands have changed.

    Raises:
        StorageError: as for `write_bytes`.
    """
    from safetensors.numpy import save

    flat = {name: _plain(leaf) for name, leaf in tree.flatten(arrays).items()}
    description = {**description, _SHAPES: {name: list(array.shape) for name, array in flat.items()}}
    # In its own order: the columns of a history have one. And all in one entry: the order of several would be random.
    text = json.dumps(description)
    text = f'{text[:-1]}, "{_SUM}": "{_checksum(flat, text)}"}}'
    write_bytes(path, save(flat, metadata={_KEY: text}))


def _checksum(flat: dict[str, np.ndarray], description: str) -> str:
    """CRC-32 of the description and the arrays: a flipped bit would pass for a number otherwise."""
    found = zlib.crc32(description.encode())
    for name in sorted(flat):
        found = zlib.crc32(np.ascontiguousarray(flat[name]).reshape(-1).view(np.uint8).data, found)
    return f"{found:08x}"


def _plain(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf, order="C")  # ascontiguousarray would give a scalar an axis


def read_arrays(path: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays by path, and the description, of a file that `write_arrays` wrote. Runs no code from the file.

    Raises:
        FileFormatError: no such file, not a safetensors file, damaged or cut off, or not denpa's; arrays that are
            missing, extra or misshapen are all listed.
    """
    from safetensors import SafetensorError, safe_open

    if not as_path(path).is_file():
        raise FileFormatError(f"There is no file {path}.")
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if _KEY not in metadata:
                raise FileFormatError(f"{path} is a safetensors file, but not one that denpa wrote.")
            description = json.loads(metadata[_KEY])
            if not isinstance(description, dict):
                kind = type(description).__name__
                raise FileFormatError(f"{path} is damaged: its description is {kind}, not a table.")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        wanted = description.pop(_SUM, None)
        damaged = wanted is not None and wanted != _checksum(arrays, json.dumps(description))
    except FileFormatError:
        raise
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise FileFormatError(f"{path} is damaged, cut off, or not a model file: {error}.") from None
    if _SHAPES in description:  # a file of an earlier version has none, and no sum perhaps
        if problems := _misfits(arrays, description.pop(_SHAPES)):
            raise FileFormatError(f"{path} does not fit its own description: " + "; ".join(problems) + ".")
        damaged = damaged or wanted is None
    if damaged:
        raise FileFormatError(f"{path} is damaged: its numbers are not those that were written.")
    return arrays, description


def _misfits(arrays: dict[str, np.ndarray], shapes: Any) -> list[str]:
    """How the arrays differ from those that were written; nothing where the table of shapes is none itself."""
    try:
        return tree.differences(arrays, {name: np.broadcast_to(0, shape) for name, shape in shapes.items()})
    except (AttributeError, OverflowError, TypeError, ValueError):
        return []

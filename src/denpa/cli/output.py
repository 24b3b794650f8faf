"""Where a command writes: the terminal, or a file or folder that is free or may be replaced."""

from __future__ import annotations

import sys
from pathlib import Path

from denpa.core.errors import ConfigError, StorageError
from denpa.training.storage import write_text

__all__ = ["free_file", "free_folder", "free_table", "made", "put"]

_OTHER_FORMATS = (".npz", ".parquet", ".pq", ".xlsx", ".json")


def free_file(path: str | Path, overwrite: bool) -> Path:
    """The path, where nothing would be lost by writing there; a device or a pipe, such as /dev/stdout, loses nothing.

    Raises:
        StorageError: there is a file or folder, and it may not be replaced; or no folder to write into.
    """
    place = Path(path)
    if not place.parent.is_dir():  # told before the work, not after it
        raise StorageError(f"Cannot write {place}: its folder does not exist.")
    if (place.is_file() or place.is_dir()) and not overwrite:
        raise StorageError(f"{place} exists already: choose another place, or replace it with --overwrite.")
    return place


def free_table(path: str | Path, overwrite: bool, what: str, *, arrays: bool = False) -> Path:
    """`free_file` for rows of CSV, or of an array where `arrays` may be written as .npy.

    Raises:
        ConfigError: the ending is that of another format.
        StorageError: as for `free_file`.
    """
    place = free_file(path, overwrite)
    if (ending := place.suffix.lower()) in _OTHER_FORMATS or (ending == ".npy" and not arrays):
        raise ConfigError(f"{what} are written as CSV{', or as .npy' if arrays else ''}; not as {place.suffix}.")
    return place


def free_folder(path: str | Path, overwrite: bool, option: str) -> Path:
    """The path of a folder that is empty or not there yet, or that may be written into.

    Raises:
        StorageError: there is something, and it may not be written into; `option` is where to name another.
    """
    place = Path(path)
    if place.exists() and any(place.iterdir() if place.is_dir() else [place]) and not overwrite:
        raise StorageError(
            f"{place} exists already: choose another place with --{option}, or write into it with --overwrite."
        )
    return place


def made(folder: Path) -> Path:
    """The folder, made with all those above it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot make the folder {folder}: {error.strerror}.") from None
    return folder


def put(text: str, output: Path | None, what: str) -> int:
    """A text to the terminal, or into a file, which is then told with what is in it. Gives the exit status."""
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(output, text)
        print(f"{what} in {output}")
    return 0

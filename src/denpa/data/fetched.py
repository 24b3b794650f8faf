"""Files that are found in a folder of the user's or fetched once, and proved by SHA-256."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from denpa.core.errors import DataError, FileFormatError, StorageError
from denpa.data.downloads import cache_folder, retrieve

__all__ = ["fetched", "find"]


def find(name: str, folder: str) -> Path | None:
    """The file in `$DENPA_DATA/folder`, `$DENPA_DATA` or the user's cache folder; None where it is in none."""
    own = os.environ.get("DENPA_DATA")
    places = [*([Path(own) / folder, Path(own)] if own else []), cache_folder() / folder]
    return next((place / name for place in places if (place / name).is_file()), None)


def fetched(name: str, folder: str, url: str, sha256: str) -> Path:
    """The file as `find` finds it; what is nowhere is fetched into the user's cache folder.

    Raises:
        FileFormatError: the file there is another one.
        DataError: it is nowhere and cannot be fetched.
        StorageError: the cache folder cannot be written.
    """
    path = find(name, folder)
    if path is None:
        path = _fetch(name, cache_folder() / folder, url, sha256)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise FileFormatError(
            f"{path} is not the file of {url}: its SHA-256 is {digest}, not {sha256}. Delete it to have it fetched "
            "again."
        )
    return path


def _fetch(name: str, folder: Path, url: str, sha256: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{name} cannot be kept in {folder}: {error.strerror}. Put it into another folder and name that in the "
            "variable DENPA_DATA."
        ) from None
    try:
        return retrieve(url, sha256, name, folder)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{name} is neither in $DENPA_DATA/{folder.name} nor in {folder}, and {url} did not give it "
            f"({str(error)[:150]}). Put it there by hand."
        ) from None

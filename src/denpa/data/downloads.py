"""The folder in which fetched files are kept, and the one way in which they are fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["cache_folder", "retrieve"]

TIMEOUT = 30.0  # seconds without an answer before a server is given up


def cache_folder() -> Path:
    """Where denpa keeps what it fetched: `denpa` in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("denpa", appauthor=False))


def retrieve(url: str, sha256: str | None, name: str, folder: Path) -> Path:
    """Fetch what is at `url` into `folder` under `name`; None for a digest that is proved later.

    Raises:
        OSError: no connection, no answer, or the folder cannot be written (requests' errors are of this kind).
        ValueError: another digest.
    """
    import pooch
    import requests

    downloader: Any = pooch.HTTPDownloader(timeout=TIMEOUT)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # it would print each file's digest, with advice for programmers
    try:
        return Path(pooch.retrieve(url, sha256, name, folder, downloader=downloader))
    except requests.Timeout:
        raise TimeoutError(f"no answer in {TIMEOUT:g} seconds") from None
    except requests.ConnectionError as error:  # its own words are the library's insides, at length
        kind = type(error).__name__
        raise ConnectionError("no connection" + f" ({kind})" * (kind != "ConnectionError")) from None
    finally:
        logger.setLevel(level)

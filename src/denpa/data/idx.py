"""The IDX file format: a header in big-endian 32-bit words, then the entries, last axis fastest.

    0 0 type rank | size of each axis (4 bytes each) | entries

Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from denpa.core.errors import DataError, FileFormatError

__all__ = ["parse_idx", "read_bytes"]

_MOST_AXES = 64  # that NumPy can have
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_bytes(path: str | Path) -> bytes:
    """The uncompressed bytes of a file, gzip-compressed (known by its first bytes, not its name) or raw.

    Raises:
        DataError: there is no such file.
        FileFormatError: the compressed stream is cut off or damaged.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise FileFormatError(f"{path} is truncated: its gzip stream ends early. Fetch the file again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"{path} is damaged: {error}. Fetch the file again.") from None


def parse_idx(content: bytes, path: str | Path) -> np.ndarray:
    """The array that the bytes of an IDX file hold, read-only, in the machine's byte order.

    Raises:
        FileFormatError: no IDX header, or more or fewer bytes than the header promises. `path` is named.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or content[3] == 0:
        raise FileFormatError(f"{path} is no IDX file: it begins with the bytes {content[:4].hex(' ') or '(none)'}.")
    dtype, rank = np.dtype(_TYPES[content[2]]), content[3]
    if rank > _MOST_AXES:
        raise FileFormatError(f"{path} is damaged: its IDX header speaks of {rank} axes.")
    start = 4 + 4 * rank
    if len(content) < start:
        raise FileFormatError(f"{path} is truncated: the IDX header wants {start} bytes, the file has {len(content)}.")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", rank, offset=4))
    wanted = dtype.itemsize
    for size in shape:  # Python's integers: the product of damaged sizes must not wrap around
        wanted *= size
    if len(content) - start != wanted:
        fault = "is truncated" if len(content) - start < wanted else "is longer than its header says"
        raise FileFormatError(
            f"{path} {fault}: the IDX header promises {wanted} bytes for shape {shape}, "
            f"but {len(content) - start} follow."
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)

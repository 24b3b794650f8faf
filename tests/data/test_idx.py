from __future__ import annotations

import gzip
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from denpa.core.errors import DataError, FileFormatError
from denpa.data.idx import parse_idx, read_bytes
from tests.data.idx_files import write_idx

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
KINDS = ("u1", "i1", "i2", "i4", "f4", "f8", ">i2", ">f8")


@given(st.sampled_from(KINDS), hnp.array_shapes(max_dims=4, min_side=0, max_side=4), st.booleans(), st.integers(0, 999))
def test_arrays_survive_a_file(tmp_path_factory, kind, shape, compressed, seed):
    path = tmp_path_factory.mktemp("idx") / ("array.gz" if compressed else "array")
    array = (100 * np.random.default_rng(seed).normal(size=shape)).astype(np.int8).astype(kind)
    write_idx(path, array)
    back = parse_idx(read_bytes(path), path)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_the_bytes_are_those_of_the_format():
    content = bytes.fromhex("00000b02 00000002 00000001 0102 fffe")
    assert parse_idx(content, "x").tolist() == [[258], [-2]]


def test_as_many_axes_as_numpy_can_have():
    assert parse_idx(b"\0\0\x08\x40" + b"\0\0\0\1" * 64 + b"\7", "x").shape == (1,) * 64


def test_the_bytes_of_a_compressed_file_do_not_tell_the_time(tmp_path, monkeypatch):
    written = []
    for moment in (1e9, 1.5e9):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        write_idx(tmp_path / "a.gz", PIXELS)
        written.append((tmp_path / "a.gz").read_bytes())
    assert written[0] == written[1]


def damaged(tmp_path, content, message):
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        parse_idx(read_bytes(path), path)
    assert str(path) in str(caught.value)


def test_damage_is_named(tmp_path):
    write_idx(tmp_path / "a", PIXELS)
    good = (tmp_path / "a").read_bytes()
    squeezed = gzip.compress(good)
    damaged(tmp_path, good[:-7], r"is truncated: .* promises 60 bytes for shape \(5, 4, 3\), but 53 follow")
    damaged(tmp_path, good + b"\0", "is longer than its header says")
    for length in (4, 9, 15):
        damaged(tmp_path, good[:length], f"is truncated: the IDX header wants 16 bytes, the file has {length}")
    damaged(tmp_path, b"\0\0\x08\x03" + b"\xff" * 12, "is truncated: .* promises 79228162458924105385300197375 bytes")
    damaged(tmp_path, b"<html>not here</html>", "is no IDX file: it begins with the bytes 3c 68 74 6d")
    damaged(tmp_path, b"", r"is no IDX file: .* \(none\)")
    damaged(tmp_path, b"\0\0\x07\x01\0\0\0\0", "is no IDX file")
    damaged(tmp_path, b"\0\1\x08\x01\0\0\0\0", "is no IDX file")
    damaged(tmp_path, b"\0\0\x08\0\7", "is no IDX file")  # one number without an axis
    damaged(tmp_path, b"\0\0\x08\x46" + b"\0\0\0\1" * 70 + b"\7", "its IDX header speaks of 70 axes")
    damaged(tmp_path, squeezed[:-20], "gzip stream ends early")
    damaged(tmp_path, squeezed[:30] + b"\xa5\x5a" + squeezed[32:], "is damaged")
    damaged(tmp_path, squeezed[:10] + b"\xff" + squeezed[11:], "is damaged: .* invalid block type")
    damaged(tmp_path, squeezed[:-8] + b"\0\0\0\0" + squeezed[-4:], "is damaged: CRC check failed")


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_bytes(tmp_path / "nowhere")

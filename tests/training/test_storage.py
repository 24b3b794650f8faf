"""Files are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.training import storage
from tests.training.common import DATA, QUIET, model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full. What was there before is untouched"),
        (errno.EDQUOT, "your disk quota is used up"),
        (errno.EFBIG, "the file would be larger than allowed"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, number, reason, moment):
    path = tmp_path / "m.bin"
    storage.write_bytes(path, b"old")

    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    if moment == "write":
        real = os.fdopen

        def opened(*arguments):
            file = real(*arguments)

            class Full:
                write = staticmethod(fail)
                __enter__ = lambda self: self  # noqa: E731
                __exit__ = lambda self, *error: file.close()  # noqa: E731

            return Full()

        monkeypatch.setattr(os, "fdopen", opened)
    else:
        monkeypatch.setattr(os, moment, fail)
    with pytest.raises(dp.StorageError, match=f"Cannot write .*m.bin: {reason}") as caught:
        storage.write_bytes(path, b"new, and longer")
    assert isinstance(caught.value, OSError)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["m.bin"]


def test_a_disk_that_is_really_full(tmp_path):
    """A limit on the size of files, in the kernel."""
    resource = pytest.importorskip("resource")
    import signal

    path = tmp_path / "m.bin"
    storage.write_bytes(path, b"old")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(dp.StorageError, match="larger than allowed"):
            storage.write_bytes(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["m.bin"]


def test_a_model_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    trained = model()
    trained.fit(DATA, epochs=1, **QUIET)
    path = tmp_path / "m.safetensors"
    trained.save(path)
    before = path.read_bytes()
    trained.fit(DATA, epochs=1, **QUIET)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(dp.StorageError, match="disk is full"):
        trained.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert dp.load(path).steps == 4
    assert names(tmp_path) == ["m.safetensors"]


def test_a_checkpoint_that_cannot_be_written_ends_training_and_leaves_the_one_before(tmp_path, monkeypatch):
    trained, writes = model(), []
    real = os.replace

    def full(*arguments):
        writes.append(1)
        if len(writes) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(dp.StorageError, match=r"step_0000000012\.safetensors: the disk is full"):
        trained.fit(DATA, epochs=5, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
    assert names(tmp_path / "checkpoint") == ["step_0000000004.safetensors", "step_0000000008.safetensors"]
    assert trained.steps == 12


@pytest.mark.parametrize(
    ("place", "reason"),
    [("missing/m.bin", "its folder does not exist"), ("file/m.bin", "a part of the path is a file, not a folder")],
)
def test_a_place_that_is_none_is_named(tmp_path, place, reason):
    (tmp_path / "file").write_text("")
    with pytest.raises(dp.StorageError, match=reason):
        storage.write_bytes(tmp_path / place, b"x")


def test_files_are_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        storage.write_text(tmp_path / "a.txt", "Größe ∂E/∂W\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
    assert (tmp_path / "a.txt").read_text("utf-8") == "Größe ∂E/∂W\n"


def test_writing_leaves_the_umask_alone(tmp_path, monkeypatch):
    """It is the whole process's: a file that another thread makes meanwhile would be open to all."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    storage.write_text(tmp_path / "a.txt", "text")
    assert names(tmp_path) == ["a.txt"]


def test_a_file_of_somebody_elses_is_never_written_over_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(storage.secrets, "token_hex", lambda size: "guessed")
    (tmp_path / ".a.txt.guessed").symlink_to("other")
    with pytest.raises(dp.StorageError, match="File exists"):
        storage.write_text(tmp_path / "a.txt", "text")
    assert names(tmp_path) == [".a.txt.guessed"]


def test_arrays_of_all_kinds_come_back(tmp_path):
    key = jax.random.key(3)
    arrays = {
        "a": {"W": np.arange(6, dtype=np.float32).reshape(2, 3).T, "n": np.int32(4), "mask": np.array([True, False])},
        "b": (jnp.ones((0, 2)), jnp.asarray([1.5, 2.5], jnp.bfloat16)),
        "key": key,
        "empty": {},
    }
    storage.write_arrays(tmp_path / "x.safetensors", arrays, {"says": "hello", "π": [1.5, None, float("inf")]})
    found, description = storage.read_arrays(tmp_path / "x.safetensors")
    assert description == {"says": "hello", "π": [1.5, None, float("inf")]}
    assert sorted(found) == ["a/W", "a/mask", "a/n", "b/0", "b/1", "key"]
    np.testing.assert_array_equal(found["a/W"], arrays["a"]["W"])
    assert found["a/n"].shape == ()
    assert found["a/mask"].dtype == bool
    assert found["b/0"].shape == (0, 2)
    np.testing.assert_array_equal(found["b/1"].astype(np.float32), [1.5, 2.5])
    np.testing.assert_array_equal(found["key"], jax.random.key_data(key))


def test_a_single_flipped_bit_is_found(tmp_path):
    path = tmp_path / "m.safetensors"
    storage.write_arrays(path, {"a": np.arange(64.0), "b": np.zeros((0, 3))}, {"name": "ü", "rate": 0.1})
    whole = path.read_bytes()
    assert storage.read_arrays(path)[1] == {"name": "ü", "rate": 0.1}
    places = [whole.index(text) + 1 for text in (b"rate", b".1", b"crc32", b"shapes")]
    for place in (*places, len(whole) - 1, len(whole) - 300):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(dp.FileFormatError, match="is damaged"):
            storage.read_arrays(path)
    place = whole.index(b'"b":')  # the name of an array
    path.write_bytes(whole[: place + 1] + b"c" + whole[place + 2 :])
    with pytest.raises(dp.FileFormatError, match="does not fit its own description: b is missing; c is extra"):
        storage.read_arrays(path)


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    """Without the table of shapes, and without the sum."""
    from safetensors.numpy import save

    arrays = {"a": np.arange(4.0)}
    total = storage._checksum(arrays, json.dumps({"name": "old"}))
    for header in ({"name": "old"}, {"name": "old", "crc32": total}):
        (tmp_path / "m.safetensors").write_bytes(save(arrays, {"denpa": json.dumps(header)}))
        found, description = storage.read_arrays(tmp_path / "m.safetensors")
        assert description == {"name": "old"}
        np.testing.assert_array_equal(found["a"], arrays["a"])


@pytest.mark.parametrize("table", [7, None, {"a": "x"}, {"a": [-1]}])
def test_a_table_of_shapes_that_is_none_is_damage(tmp_path, monkeypatch, table):
    path = tmp_path / "m.safetensors"
    monkeypatch.setattr(storage, "_checksum", lambda arrays, description: "never mind")
    storage.write_arrays(path, {"a": np.arange(4.0)}, {})
    whole, written = path.read_bytes(), json.dumps({"a": [4]}).replace('"', '\\"').encode()
    assert whole.count(written) == 1
    other = json.dumps(table).replace('"', '\\"').encode()
    other += b" " * (len(written) - len(other))
    path.write_bytes(whole.replace(written, other))
    monkeypatch.undo()
    with pytest.raises(dp.FileFormatError, match="is damaged"):
        storage.read_arrays(path)


@pytest.mark.parametrize("text", ['{"a":' * 100_000 + "7" + "}" * 100_000, '{"a": ' + "7" * 10_000 + "}"])
def test_a_description_that_json_cannot_be_made_of_is_damage(tmp_path, text):
    """Tables in tables without end, and a number without end."""
    from safetensors.numpy import save

    (tmp_path / "m.safetensors").write_bytes(save({"a": np.arange(4.0)}, {"denpa": text}))
    with pytest.raises(dp.FileFormatError, match=r"m\.safetensors is damaged"):
        storage.read_arrays(tmp_path / "m.safetensors")


def test_a_shape_beyond_all_bounds_is_damage(tmp_path):
    from safetensors.numpy import save

    header = json.dumps({"shapes": {"a": [10**30]}})
    (tmp_path / "m.safetensors").write_bytes(save({"a": np.arange(4.0)}, {"denpa": header}))
    with pytest.raises(dp.FileFormatError, match=r"m\.safetensors is damaged"):
        storage.read_arrays(tmp_path / "m.safetensors")


def test_a_figure_is_written_in_the_format_of_its_ending(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    for name, start in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a", b"\x89PNG")):
        storage.write_figure(tmp_path / name, figure)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(dp.ConfigError, match=r"no picture is written as 'pgn': did you mean 'png'"):
        storage.write_figure(tmp_path / "a.pgn", figure)


def test_a_link_is_followed_and_a_pipe_is_written_into(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    storage.write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"

    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    storage.write_text(tmp_path / "pipe", "through the pipe")
    assert os.read(reader, 100) == b"through the pipe"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_no_text_is_told(tmp_path):
    text = 'x = 1\nsource = "' + os.fsdecode(b"/data/caf\xe9.csv") + '"\ny = 2\n'  # from Windows, or an old archive
    with pytest.raises(
        dp.StorageError, match=r"Cannot write .*config.toml: '/data/caf\\udce9.csv' is no UTF-8. Rename"
    ):
        storage.write_text(tmp_path / "config.toml", text)
    assert not list(tmp_path.iterdir())

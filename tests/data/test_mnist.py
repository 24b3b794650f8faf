from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import socket
import threading
import time

import numpy as np
import pooch
import pytest

from denpa.core.errors import DataError, FileFormatError, StorageError
from denpa.data import datasets, downloads, mnist
from tests.data.idx_files import write_idx

NAMES = tuple(mnist.FILES)
CLOSED = "http://127.0.0.1:9/"  # the discard port: nobody listens


def fake_arrays():
    rng = np.random.default_rng(0)
    sizes = {"train": 12, "t10k": 5}
    arrays = {}
    for part, n in sizes.items():
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, n).astype(np.uint8)
    return arrays


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with four small files that are taken for MNIST's, and a cache folder without any."""
    folder, digests = tmp_path / "somewhere" / "mnist", {}
    folder.mkdir(parents=True)
    for name, array in fake_arrays().items():
        write_idx(folder / name, array)
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(mnist, "FILES", {name: digests[name] for name in NAMES})
    monkeypatch.setattr(mnist, "MIRRORS", (CLOSED,))
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("DENPA_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def serve():
    """Serve folders over HTTP on this machine; counts what was asked for."""
    servers = []

    def start(folder):
        asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                asked.append(self.path)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def compress(folder, target):
    target.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (target / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))


def check_parts(splits):
    arrays = fake_arrays()
    for part, prefix in zip(splits, ("train", "t10k"), strict=True):
        np.testing.assert_array_equal(part.x[..., 0], arrays[f"{prefix}-images-idx3-ubyte"])
        np.testing.assert_array_equal(part.t, arrays[f"{prefix}-labels-idx1-ubyte"])
        assert (part.x.dtype, part.t.dtype, part.task) == (np.uint8, np.int32, "classification")


def test_found_in_a_folder_raw_or_compressed(small, tmp_path, monkeypatch):
    for folder in (small, small.parent):  # directly in DENPA_DATA, or in its subfolder mnist
        monkeypatch.setenv("DENPA_DATA", str(folder))
        check_parts(datasets.load("mnist"))
    compress(small, tmp_path / "squeezed")
    monkeypatch.setenv("DENPA_DATA", str(tmp_path / "squeezed"))
    check_parts(datasets.load("mnist"))
    for name in NAMES:
        (small / name).rename(small / name.replace("-idx", ".idx"))
    monkeypatch.setenv("DENPA_DATA", str(small))
    check_parts(datasets.load("mnist"))
    flat = datasets.load("mnist", flat=True).train.x
    np.testing.assert_array_equal(flat, fake_arrays()["train-images-idx3-ubyte"].reshape(12, 784))


def test_found_in_the_cache_folder(small, tmp_path, monkeypatch):
    monkeypatch.setenv("DENPA_DATA", str(tmp_path / "empty"))
    compress(small, tmp_path / "cache" / "mnist")
    check_parts(datasets.load("mnist"))


def test_ones_own_folder_comes_before_the_cache(small, tmp_path, monkeypatch):
    monkeypatch.setenv("DENPA_DATA", str(small))
    (tmp_path / "cache" / "mnist").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "cache" / "mnist" / name).write_bytes(b"damaged")
    check_parts(datasets.load("mnist"))


def test_a_file_of_mnist_under_the_name_of_another_is_refused(small, monkeypatch):
    monkeypatch.setenv("DENPA_DATA", str(small))
    train, test = small / "train-labels-idx1-ubyte", small / "t10k-labels-idx1-ubyte"
    test.write_bytes(train.read_bytes())
    with pytest.raises(FileFormatError, match="is not MNIST's t10k-labels-idx1-ubyte: the SHA-256"):
        datasets.load("mnist")


def test_a_file_with_other_content_is_refused(small, monkeypatch):
    monkeypatch.setenv("DENPA_DATA", str(small))
    path = small / "t10k-labels-idx1-ubyte"
    write_idx(path, np.zeros(5, np.uint8))
    with pytest.raises(FileFormatError, match="is not MNIST's t10k-labels-idx1-ubyte: the SHA-256") as caught:
        datasets.load("mnist")
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_refused(small, monkeypatch):
    monkeypatch.setenv("DENPA_DATA", str(small))
    path = small / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="train-images-idx3-ubyte is truncated"):
        datasets.load("mnist")


def test_fetched_from_the_first_mirror_that_has_it_and_kept(small, tmp_path, monkeypatch, serve, capfd):
    compress(small, tmp_path / "served")
    (tmp_path / "page").mkdir()
    for name in NAMES:
        (tmp_path / "page" / f"{name}.gz").write_bytes(b"<html>this mirror has moved</html>")
    (page, _), (good, asked) = serve(tmp_path / "page"), serve(tmp_path / "served")
    monkeypatch.setattr(mnist, "MIRRORS", (CLOSED, page, f"{good}nowhere/", good))
    level = pooch.get_logger().level
    check_parts(datasets.load("mnist"))
    assert pooch.get_logger().level == level
    kept = tmp_path / "cache" / "mnist"
    assert sorted(path.name for path in kept.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    asked.clear()
    check_parts(datasets.load("mnist"))
    assert not asked
    assert capfd.readouterr() == ("", "")


def test_when_no_mirror_answers_the_error_says_what_to_do(small, tmp_path):
    with pytest.raises(DataError, match=r"no mirror gave it: http://127\.0\.0\.1:9/: no connection\. .*DENPA_DATA"):
        datasets.load("mnist")
    assert list((tmp_path / "cache" / "mnist").iterdir()) == []


def test_what_is_no_file_of_mnist_is_told_of_each_mirror(small, tmp_path, monkeypatch, serve):
    (tmp_path / "page").mkdir()
    for name in NAMES:
        (tmp_path / "page" / f"{name}.gz").write_bytes(b"<html>this mirror has moved</html>")
    page, _ = serve(tmp_path / "page")
    monkeypatch.setattr(mnist, "MIRRORS", (page,))
    with pytest.raises(DataError, match=f"gave it: {page}: the answer/0.gz is no IDX file: it begins with the bytes"):
        datasets.load("mnist")


def test_a_mirror_that_keeps_silent_is_left(small, tmp_path, monkeypatch, serve):
    compress(small, tmp_path / "served")
    (good, asked), silent = serve(tmp_path / "served"), socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    monkeypatch.setattr(mnist, "MIRRORS", (f"http://127.0.0.1:{silent.getsockname()[1]}/", good))
    ends = threading.Timer(5, silent.close)  # so that who waits for an answer waits no longer
    ends.start()
    began = time.monotonic()
    with silent:
        check_parts(datasets.load("mnist"))
    ends.cancel()
    assert time.monotonic() - began < 5
    for kept in (tmp_path / "cache" / "mnist").iterdir():
        kept.unlink()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(mnist, "MIRRORS", (f"http://127.0.0.1:{silent.getsockname()[1]}/",))
        with pytest.raises(DataError, match=r": no answer in 0\.1 seconds\. Put"):
            datasets.load("mnist")
    assert len(asked) == len(NAMES)


def test_a_cache_that_cannot_be_written(small, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"MNIST cannot be kept in.*DENPA_DATA"):
        datasets.load("mnist")


# The real files, where this machine has them: named in DENPA_DATA.


if os.environ.get("DENPA_DATA"):

    def test_the_real_files():
        train, test = datasets.load("mnist")
        assert train.x.shape == (60000, 28, 28, 1)
        assert test.x.shape == (10000, 28, 28, 1)
        assert np.bincount(train.t).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        assert train.t[:5].tolist() == [5, 0, 4, 1, 9]

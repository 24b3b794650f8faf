"""MNIST: four IDX files, found in a folder or fetched, and proved by SHA-256.

Source: LeCun, Bottou, Bengio & Haffner (1998), "Gradient-based learning applied to document recognition";
files by LeCun, Cortes & Burges.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from denpa.core.errors import DataError, FileFormatError, StorageError
from denpa.data.dataset import Dataset, Splits
from denpa.data.downloads import cache_folder, retrieve
from denpa.data.idx import parse_idx, read_bytes

__all__ = ["load_mnist"]

# SHA-256 of the UNCOMPRESSED bytes: mirrors compress differently, and the files may lie there raw.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


def load_mnist(flat: bool = False) -> Splits:
    """60,000 training and 10,000 test images of handwritten digits: uint8 (n, 28, 28, 1), 0 paper to 255 ink.

    Looked for, in this order, in `$DENPA_DATA`, `$DENPA_DATA/mnist` and the user's cache folder, each file
    raw or as `.gz`; what is nowhere is fetched into the cache folder.

    Args:
        flat: images as rows (n, 784).

    Raises:
        FileFormatError: a file is truncated, damaged, or not MNIST's (the file is named).
        DataError: a file is nowhere and no mirror gave it.
        StorageError: the cache folder cannot be written.
    """
    train_x, train_t, test_x, test_t = (_array(name) for name in FILES)
    return Splits(_part("train", train_x, train_t, flat), _part("test", test_x, test_t, flat))


def _part(part: str, images: np.ndarray, labels: np.ndarray, flat: bool) -> Dataset:
    return Dataset(
        x=images.reshape(len(images), -1) if flat else images[..., None],
        t=labels.astype(np.int32),
        task="classification",
        class_names=tuple("0123456789"),
        name=f"mnist {part}",
        description="Handwritten digits, 28x28 pixels; LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11).",
        licence="By Y. LeCun, C. Cortes and C. J. C. Burges; not part of denpa, fetched from public mirrors.",
    )


def _array(name: str) -> np.ndarray:
    for folder in _folders():
        for path in (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")):
            if path.is_file():
                return _checked(path, name)
    return _fetch(name)


def _folders() -> list[Path]:
    own = os.environ.get("DENPA_DATA")
    return ([Path(own), Path(own) / "mnist"] if own else []) + [cache_folder() / "mnist"]


def _checked(path: Path, name: str) -> np.ndarray:
    content = read_bytes(path)
    array = parse_idx(content, path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != FILES[name]:
        raise FileFormatError(
            f"{path} is not MNIST's {name}: the SHA-256 of its uncompressed bytes is {digest}, not {FILES[name]}. "
            "Delete the file to have it fetched again."
        )
    return array


def _fetch(name: str) -> np.ndarray:
    """Fetch one file; it comes to its final place only once it is proved, and then in one move."""
    folder = cache_folder() / "mnist"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as passing:
            path, array = _from_mirrors(name, Path(passing))
            os.replace(path, folder / f"{name}.gz")
            return array
    except OSError as error:
        raise StorageError(
            f"MNIST cannot be kept in {folder}: {error.strerror or error}. Put its four files into another folder and "
            "name it in the variable DENPA_DATA."
        ) from None


def _from_mirrors(name: str, folder: Path) -> tuple[Path, np.ndarray]:
    faults = []
    for number, mirror in enumerate(MIRRORS):
        try:
            got = retrieve(f"{mirror}{name}.gz", None, f"{number}.gz", folder)
            return got, _checked(got, name)
        except (OSError, ValueError) as error:  # FileFormatError, which is a ValueError, where it is another file
            reason = str(error).replace(str(folder), "the answer")
            faults.append(f"{mirror}: {reason[:150]}")
    raise DataError(
        f"MNIST's file {name} is in none of {', '.join(map(str, _folders()))}, and no mirror gave it: "
        f"{'; '.join(faults)}. Put MNIST's four files into a folder and name it in the variable DENPA_DATA."
    )

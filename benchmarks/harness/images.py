"""The convolutional networks that the contestants train, as rows of words that each of them translates.

    conv F K P   a convolution with F filters, K x K, P zeros on each side, and a ReLU
    pool         the maximum of each 2 x 2 window
    dense U      a dense layer of U units and a ReLU
    dropout R    dropout of the part R
    out U        a dense layer of U units

Both end in a softmax with cross-entropy; Adam(1e-3), batches of 100 images, float32.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["NETWORKS", "ImageNetwork", "images_of", "store_images"]

BATCH = 100


class ImageNetwork(NamedTuple):
    """A network for images of 28 x 28 x 1 and ten classes."""

    title: str
    layers: tuple[tuple[Any, ...], ...]


_DEEP = tuple(
    layer
    for filters in (16, 32, 64)
    for layer in (("conv", filters, 3, 1), ("conv", filters, 3, 1), ("pool",))
)  # fmt: skip

NETWORKS = {
    "simple": ImageNetwork(
        "simple: 30 filters 5x5, pool, 100, 10", (("conv", 30, 5, 0), ("pool",), ("dense", 100), ("out", 10))
    ),
    "deep": ImageNetwork(
        "deep: 16, 16, pool, 32, 32, pool, 64, 64, pool, 50, 10 with dropout",
        (*_DEEP, ("dense", 50), ("dropout", 0.5), ("out", 10)),
    ),
}


def images_of(count: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Images (count, 28, 28, 1) as bytes, labels (count,) int32, and where they come from."""
    if os.environ.get("DENPA_DATA"):
        from denpa.data import datasets

        train = datasets.load("mnist").train
        return np.asarray(train.x[:count]).reshape(-1, 28, 28, 1), np.asarray(train.t[:count], np.int32), "MNIST"
    rng = np.random.default_rng(0)
    t = rng.integers(10, size=count).astype(np.int32)
    shapes = rng.random((10, 28, 28, 1)) < 0.2
    return ((shapes[t] * rng.integers(0, 256, (count, 28, 28, 1))).astype(np.uint8), t, "synthetic, of MNIST's shape")


def store_images(folder: Path, count: int) -> str:
    """Write x.npy and t.npy for the workers; returns where the images come from."""
    x, t, origin = images_of(count)
    np.save(folder / "x.npy", x)
    np.save(folder / "t.npy", t)
    return origin

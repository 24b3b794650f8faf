"""The work that all contestants do: four networks with the same data and the same initial parameters.

Every network ends in a softmax with cross-entropy; Adam(1e-3), batches of 100, float32, a new order of the
examples in every epoch. Batch normalisation stands between a dense layer and its ReLU.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["WORKS", "Work", "as_floats", "data_of", "initial_parameters", "store"]


@dataclass(frozen=True)
class Work:
    """One network and its data.

    Args:
        name, title: for files and for people.
        sizes: units from input to output.
        activation: "relu" or "sigmoid", between the dense layers.
        batch_norm: whether a batch normalisation stands before each activation.
        examples: how many there are.
        epochs: that one call trains.
        batch: examples in a step.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    activation: str
    batch_norm: bool
    examples: int
    epochs: int
    batch: int = 100

    @property
    def steps(self) -> int:
        """Steps of one call."""
        return self.examples // self.batch * self.epochs

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the weights."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        dense = sum(rows * columns + columns for rows, columns in self.shapes)
        return dense + 2 * sum(self.sizes[1:-1]) * self.batch_norm

    @property
    def flops(self) -> int:
        """Floating-point operations of one step's matrix products: y = x W, ∂E/∂W = xᵀ δ, and ∂E/∂x = δ Wᵀ.

        The first layer needs no ∂E/∂x. Activations and the update are left out.
        """
        products = [2 * self.batch * rows * columns for rows, columns in self.shapes]
        return 3 * sum(products) - products[0]

    @property
    def bytes(self) -> int:
        """What one step must read and write at least: parameters and Adam's two moments, each once, and the batch."""
        return 6 * 4 * self.parameters + self.batch * (4 * self.sizes[0] + 4)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Work:
        return cls(**{**fields, "sizes": tuple(fields["sizes"])})

    def smaller(self) -> Work:
        """The same network with little to do, for a smoke run."""
        return replace(self, examples=400, epochs=2)


WORKS = (
    Work("letters", "12-3-2, sigmoid, noisy letters", (12, 3, 2), "sigmoid", False, 4_000, 100),
    Work("mnist", "784-100-10, ReLU", (784, 100, 10), "relu", False, 60_000, 5),
    Work("wide", "784-1024-1024-10, ReLU", (784, 1024, 1024, 10), "relu", False, 12_000, 2),
    Work("deep", "784-100×6-10, batch norm, ReLU", (784, *[100] * 6, 10), "relu", True, 60_000, 3),
)


def data_of(work: Work) -> tuple[np.ndarray, np.ndarray, str]:
    """x (examples, features), t (examples,) int32, and where they come from.

    Images are bytes from 0 to 255, as they come; the networks get them as float32 in [0, 1].
    """
    if work.name == "letters":
        from denpa.data import datasets

        drawn = datasets.load("letters", copies=work.examples // 2, noise=0.5, shift=1, scaled=True, flat=True)
        return np.asarray(drawn.x), np.asarray(drawn.t), "letters C and T, noise 0.5, moved by up to 1 pixel"
    if os.environ.get("DENPA_DATA"):
        from denpa.data import datasets

        train = datasets.load("mnist", flat=True).train
        return np.asarray(train.x[: work.examples]), np.asarray(train.t[: work.examples]), "MNIST"
    return *_like_mnist(work.examples), "synthetic, of MNIST's shape"


def as_floats(x: np.ndarray) -> np.ndarray:
    """x as the networks get it: float32, images scaled to [0, 1]."""
    return x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x


def _like_mnist(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten classes of 784 pixels, four fifths of them 0 as in MNIST; noise makes the classes overlap."""
    rng = np.random.default_rng(0)
    prototypes = (rng.random((10, 784)) < 0.2).astype(np.float32)
    t = rng.integers(10, size=examples).astype(np.int32)
    x = prototypes[t]
    x *= rng.random(x.shape, np.float32) < 0.15
    x += rng.random(x.shape, np.float32) < 0.14
    return (np.minimum(x, 1) * np.float32(230)).astype(np.uint8), t


def initial_parameters(work: Work) -> list[np.ndarray]:
    """Weights (in, out) and biases by turns: Glorot & Bengio (2010), uniform, and 0."""
    rng = np.random.default_rng(1)
    arrays: list[np.ndarray] = []
    for rows, columns in work.shapes:
        bound = (6 / (rows + columns)) ** 0.5
        arrays += [rng.uniform(-bound, bound, (rows, columns)).astype(np.float32), np.zeros(columns, np.float32)]
    return arrays


def store(work: Work, folder: Path) -> str:
    """Write x.npy, t.npy and the initial parameters for the workers; returns where the data come from."""
    x, t, origin = data_of(work)
    np.save(folder / "x.npy", x)
    np.save(folder / "t.npy", t)
    np.savez(folder / "initial.npz", *initial_parameters(work))
    return origin

"""The images that studies learn from: MNIST in a full run, the small embedded digits in a quick one."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from denpa.core.errors import DataError, FileFormatError, StorageError
from denpa.data import datasets
from denpa.lab.studies.study import Plan, Text

__all__ = ["Images", "images"]

_INK = {"digits": 16.0, "mnist": 255.0}


@dataclass(frozen=True, eq=False)
class Images:
    """Handwritten digits with brightness from 0 to 1.

    Args:
        name: "digits" or "mnist".
        x, t: training images (n, pixels, pixels, 1) float32 and their classes (n,) int32.
        test_x, test_t: those set aside.
        missing: why MNIST cannot be had, where it was asked for; empty otherwise.
    """

    name: str
    x: np.ndarray
    t: np.ndarray
    test_x: np.ndarray
    test_t: np.ndarray
    missing: str = ""

    def flat(self) -> Images:
        """The images as rows (n, pixels²)."""
        rows = self.x.reshape(len(self.x), -1), self.test_x.reshape(len(self.test_x), -1)
        return Images(self.name, rows[0], self.t, rows[1], self.test_t, self.missing)

    def few(self, n: int, seed: int, tests: int | None = None) -> Images:
        """The first n training images of an order that the seed decides, and so many of the test."""
        rows = np.random.default_rng((seed, 0xF3)).permutation(len(self.x))[:n]
        return Images(self.name, self.x[rows], self.t[rows], self.test_x[:tests], self.test_t[:tests], self.missing)

    def describe(self) -> Text:
        """In words: which, how many."""
        count, side = f"{len(self.x):,} + {len(self.test_x):,}", self.x.shape[1]
        pixels = f"{side} × {side}" if self.x.ndim == 4 else f"{side}"
        en = f" MNIST is not at hand, so these are the small digits. {self.missing}" if self.missing else ""
        ja = f"MNIST が手元にないため、小さな digits で代用した。{self.missing}" if self.missing else ""
        return Text(
            f"Data: {self.name}, {count} images (training + test), {pixels} pixels.{en}",
            f"データ：{self.name}、訓練＋テスト {count} 枚、{pixels} 画素。{ja}",
        )


def images(plan: Plan) -> Images:
    """MNIST for a full run, digits for a quick one and where MNIST cannot be had; then it says how to get it."""
    return _loaded("mnist" if plan.full else "digits")


@functools.lru_cache(maxsize=2)
def _loaded(name: str) -> Images:
    missing = ""
    try:
        splits = datasets.load(name)
    except (DataError, FileFormatError, StorageError) as error:
        if name == "digits":
            raise
        name, splits = "digits", datasets.load("digits")
        missing = str(error)
    ink = np.float32(_INK[name])
    (x, t), (test_x, test_t) = (
        (part.x.astype(np.float32) / ink, np.asarray(part.t)) for part in (splits.train, splits.test)
    )
    return Images(name, x, t, test_x, test_t, missing)

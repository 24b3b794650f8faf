"""Data filled up to a few sizes, so that folds of nearly the same size share one compiled program.

A program is compiled for the shapes of its arrays. Rows of weight 0 touch neither loss nor gradients of layers
that treat each example by itself; they cost less than another compilation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.training.batches import BatchPlan

__all__ = ["FullBatches", "filled", "roomy"]

_LEAST = 32


@dataclass(frozen=True)
class FullBatches(BatchPlan):
    """The order of the examples, in batches of one size: the last one is filled up with row number `examples`."""

    @property
    def full(self) -> int:
        """Batches in an epoch."""
        return -(-self.examples // self.batch_size)

    @property
    def rest(self) -> int:
        """No smaller last batch."""
        return 0

    def batches(self, epoch: int) -> np.ndarray:
        """The batches of an epoch, (full, batch_size)."""
        rows = np.full(self.full * self.batch_size, self.examples, np.int32)
        rows[: self.examples] = self.order(epoch)
        return rows.reshape(self.full, self.batch_size)


def roomy(n: int) -> int:
    """The smallest size from n on that is a multiple of 32 and has at most four binary digits before its zeros."""
    grain = max(_LEAST, 1 << max((n - 1).bit_length() - 4, 0))
    return -(-n // grain) * grain


def filled(array: Any, rows: int) -> np.ndarray:
    """The array with zeros after its own rows."""
    array = np.asarray(array)
    blank = np.zeros((rows - len(array), *array.shape[1:]), array.dtype)
    return np.concatenate([array, blank]) if len(blank) else array

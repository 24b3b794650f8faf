"""Which examples make up which batch: a function of (seed, epoch) alone, so a run can be taken up anywhere."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BatchPlan"]

# Small data sets get the orders of many epochs from one draw, for a draw has a fixed cost.
_NUMBERS_PER_DRAW = 65_536


@dataclass(frozen=True)
class BatchPlan:
    """The order of examples in every epoch.

    Args:
        examples: how many there are.
        batch_size: examples in a batch; the last batch of an epoch may be smaller.
        seed: draws the orders.
        shuffle: a new order in each epoch; otherwise always that of the data.
        replacement: draw each batch independently with replacement, so that an epoch is just
            as many full batches as all examples would make.
        window: time steps of a window in which each batch is trained; 0 for whole sequences.
        buckets: by how many lengths of sequences batches are sorted; 0 for batches as they are drawn.
    """

    examples: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    replacement: bool = False
    window: int = 0
    buckets: int = 0

    @property
    def full(self) -> int:
        """Batches of full size in an epoch."""
        return self.examples // self.batch_size

    @property
    def rest(self) -> int:
        """Examples in the smaller last batch of an epoch; 0 when there is none."""
        return 0 if self.replacement else self.examples % self.batch_size

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.full + (self.rest > 0)

    def description(self) -> dict[str, Any]:
        """What decides the batches, as plain values."""
        return dict(vars(self))

    def order(self, epoch: int) -> np.ndarray:
        """The examples' indices in the order of `epoch`, int32 (examples,)."""
        if not self.shuffle and not self.replacement:
            return np.arange(self.examples, dtype=np.int32)
        group = max(1, _NUMBERS_PER_DRAW // self.examples)
        return _draw(self, epoch // group, group)[epoch % group]

    def batches(self, epoch: int) -> np.ndarray:
        """The full batches of an epoch, (full, batch_size)."""
        return self.order(epoch)[: self.full * self.batch_size].reshape(self.full, self.batch_size)

    def last(self, epoch: int) -> np.ndarray:
        """The smaller last batch, (1, rest)."""
        return self.order(epoch)[self.full * self.batch_size :].reshape(1, self.rest)


@functools.lru_cache(maxsize=4)
def _draw(plan: BatchPlan, number: int, group: int) -> np.ndarray:
    rng = np.random.default_rng((plan.seed, number))
    if plan.replacement:
        return rng.integers(plan.examples, size=(group, plan.examples), dtype=np.int32)
    return rng.permuted(np.tile(np.arange(plan.examples, dtype=np.int32), (group, 1)), axis=1)

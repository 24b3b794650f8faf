"""Batches of sequences of like length, cut to the longest of them: less padding to compute.

An example's length is that of its longest sequence, as a share of the steps that there are. Buckets hold equally many
examples each, from the shortest to the longest, as far as examples of one length, which stay together, allow. In every
epoch the drawn order is sorted by bucket, cut into batches, and the batches are shuffled; one program is compiled for
each bucket. A smaller last batch stays as it was drawn, uncut. Padding leaves no trace, so a batch gives the same
numbers as it would uncut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from denpa.core.errors import ConfigError
from denpa.core.padded import Padded
from denpa.data.arguments import as_whole
from denpa.training.batches import BatchPlan
from denpa.training.devices import everywhere

__all__ = ["Buckets", "check_buckets"]


def check_buckets(buckets: Any, data: Any, window: int) -> int:
    """The number of buckets; 0 for None.

    Raises:
        ConfigError: not a whole number above 0, windows besides, or no padded sequences to sort.
    """
    if buckets is None:
        return 0
    count = as_whole(buckets, "buckets", 1)
    if window:
        raise ConfigError("Windows cut sequences into pieces of one length: leave either window or buckets out.")
    if not _padded(data):
        raise ConfigError("Buckets sort padded sequences by length, but none of the data are Padded.")
    return count


@dataclass(frozen=True, eq=False)
class Buckets:
    """Which bucket each example is in, and the data by bucket, cut to what its longest sequences need.

    Attributes:
        of_example: (examples,) numbers from 0, the shortest.
        data: for every bucket all examples on the device; those of later buckets are cut off there.
    """

    of_example: np.ndarray
    data: tuple[Any, ...]

    @classmethod
    def of(cls, data: Any, count: int, devices: int = 1) -> Buckets:
        """The examples in `count` buckets, or fewer where many are of one length, on each of the devices."""
        padded = _padded(data)
        share = np.max([np.asarray(part.lengths) / part.values.shape[1] for part in padded], axis=0)
        ends = -(-np.arange(1, count + 1) * len(share) // count)  # a bucket and those before it
        edges = np.unique(np.sort(share)[ends - 1])
        bucket = np.searchsorted(edges, share)
        cut = []
        for number in range(len(edges)):
            here = bucket <= number

            def shorter(part: Any, here: np.ndarray = here) -> Any:
                steps = max(int(np.asarray(part.lengths)[here].max()), 1)
                return Padded(part.values[:, :steps], part.lengths)

            parts = jax.tree.map(
                lambda part, f=shorter: f(part) if _is_padded(part) else part, data, is_leaf=_is_padded
            )
            cut.append(everywhere(_with_weights_cut(parts), devices))
        return cls(bucket, tuple(cut))

    def batches(self, plan: BatchPlan, epoch: int) -> np.ndarray:
        """The full batches of an epoch, (full, batch size), each of examples of like length."""
        drawn = plan.batches(epoch).ravel()
        rows = drawn[np.argsort(self.of_example[drawn], kind="stable")].reshape(-1, plan.batch_size)
        return np.random.default_rng((plan.seed, epoch, 1)).permutation(rows)

    def together(self, rows: np.ndarray) -> tuple[int, Any]:
        """How many of the batches `rows`, from the first on, are of one bucket, and the data cut for it."""
        buckets = self.of_example[rows].max(axis=1)
        others = np.flatnonzero(buckets != buckets[0])
        return int(others[0]) if len(others) else len(rows), self.data[buckets[0]]


def _with_weights_cut(parts: Any) -> Any:
    """(x, t, weight) in which weights of steps, (batch, time), are as long as the targets."""
    if len(parts) < 3 or not _is_padded(parts[1]) or np.ndim(parts[2]) < 2:
        return parts
    return (*parts[:2], parts[2][:, : parts[1].values.shape[1]])


def _padded(data: Any) -> list[Padded]:
    return [part for part in jax.tree.leaves(data, is_leaf=_is_padded) if _is_padded(part)]


def _is_padded(part: Any) -> bool:
    return isinstance(part, Padded)

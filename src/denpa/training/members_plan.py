"""Which examples each member of an ensemble learns from, how often, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from denpa.training.batches import BatchPlan

__all__ = ["Together", "member_steps", "sampled_rows", "shares_of"]

_KEPT_NUMBERS = 65_536


def sampled_rows(examples: int, members: int, seed: int) -> np.ndarray:
    """How often each example is in each member's bootstrap sample, (members, examples); rows add up to examples."""
    rng = np.random.default_rng((seed, 0xBA6))
    return np.stack([np.bincount(rng.integers(examples, size=examples), minlength=examples) for _ in range(members)])


def member_steps(examples: int, batch_size: int, members: int, seed: int, *, bootstrap: bool) -> int:
    """Updates of a member in an epoch: ceil(distinct examples of the member who has most / batch size)."""
    most = int((sampled_rows(examples, members, seed) > 0).sum(axis=1).max()) if bootstrap else examples
    return -(-most // min(batch_size, most))


def shares_of(counts: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The rows that each member goes through, equally many, and what each of them weighs.

    These are the distinct examples of its sample, each weighted by how often it was drawn. Members that have fewer of
    them than others list some of the examples drawn c > 1 times k <= c times, each time with the weight c / k: so all
    make equally many steps, on no example but those of their own samples, and their weights add up alike.

    Args:
        counts: how often each example is in each member's sample, (members, examples).

    Returns:
        For each member its rows (distinct of the member who has most,) int32, and the weights (members, examples).
    """
    most = int((counts > 0).sum(axis=1).max())
    rows, shares = [], counts.astype(np.float32)
    for own, share in zip(counts, shares, strict=True):
        copies = np.arange(1, own.max() + 1)[:, None] <= own  # first all the distinct, then second copies, ...
        listed = np.nonzero(copies)[1][:most].astype(np.int32)
        share /= np.maximum(np.bincount(listed, minlength=len(own)), 1)
        rows.append(np.sort(listed))
    return tuple(rows), shares


@dataclass(frozen=True)
class Together:
    """The batches of all members, side by side.

    Args:
        rows: for each member the examples it goes through, equally many for all.
        plans: each member's order of these.
        bootstrap: whether the rows are of bootstrap samples.
    """

    rows: tuple[np.ndarray, ...]
    plans: tuple[BatchPlan, ...]
    bootstrap: bool = False
    buckets: int = 0
    _drawn: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rows: Any, batch_size: int, seeds: Any, bootstrap: bool = False, **options: Any) -> Together:
        """Options are those of `BatchPlan`."""
        size = min(batch_size, len(rows[0]))
        return cls(tuple(rows), tuple(BatchPlan(len(rows[0]), size, int(s), **options) for s in seeds), bootstrap)

    @property
    def examples(self) -> int:
        """Examples that all members together go through in an epoch."""
        return len(self.plans) * self.plans[0].examples

    @property
    def batch_size(self) -> int:
        """Examples in a step of all members."""
        return len(self.plans) * self.plans[0].batch_size

    @property
    def full(self) -> int:
        """Steps with batches of full size in an epoch."""
        return self.plans[0].full

    @property
    def rest(self) -> int:
        """Examples in the smaller last step of an epoch; 0 when there is none."""
        return len(self.plans) * self.plans[0].rest

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.plans[0].steps

    def batches(self, epoch: int) -> np.ndarray:
        """The full batches of an epoch, (full, members · batch size)."""
        members, size = len(self.plans), self.plans[0].batch_size
        whole = self._order(epoch)[:, : self.full * size]
        return whole.reshape(members, self.full, size).swapaxes(0, 1).reshape(self.full, members * size)

    def last(self, epoch: int) -> np.ndarray:
        """The smaller last batches, (1, members · rest)."""
        return self._order(epoch)[:, self.full * self.plans[0].batch_size :].reshape(1, -1)

    def description(self) -> dict[str, Any]:
        """What decides the batches, as plain values."""
        return {**self.plans[0].description(), "members": len(self.plans), "bootstrap": self.bootstrap}

    def _order(self, epoch: int) -> np.ndarray:
        """The examples in each member's order of an epoch, (members, examples); those of some epochs are kept."""
        if epoch not in self._drawn:
            span = max(1, _KEPT_NUMBERS // self.examples)
            epochs = range(epoch - epoch % span, epoch - epoch % span + span)
            each = [[rows[plan.order(e)] for e in epochs] for rows, plan in zip(self.rows, self.plans, strict=True)]
            self._drawn.clear()
            self._drawn.update(zip(epochs, np.stack(each, axis=1), strict=True))
        return self._drawn[epoch]

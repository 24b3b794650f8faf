"""The one timer of all benchmarks: contestants take turns, medians count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.machine import cores

__all__ = ["Times", "alternate", "compare", "seconds_of", "worth_of_cores"]

# Threads that wait for more work spin for a few milliseconds before they sleep; the next contestant must not feel it.
_PAUSE_SECONDS = 0.05

# What all cores together did of one core's work, before each turn: less than their number where others are at work,
# on this machine or, unseen, on the host of a virtual one.
_worth: list[float] = []


class Times:
    """What one contestant took, round by round.

    Attributes:
        values: one number for each round, in the order of the rounds.
    """

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float64)

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the rounds took less than the first number, a quarter more than the second."""
        low, high = np.percentile(self.values, [25, 75])
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        low, high = self.quartiles
        return {"median": self.median, "quartiles": [low, high], "rounds": self.values.tolist()}


def seconds_of(call: Callable[[], Any]) -> float:
    """Seconds that a call takes. The call must wait for its own result."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def worth_of_cores() -> dict[str, float] | None:
    """How many cores' work all cores did in the benchmarks so far: median, least, most; None where there is one."""
    if not _worth:
        return None
    return {"median": float(np.median(_worth)), "least": min(_worth), "most": max(_worth)}


def _look_at_cores() -> None:
    """Square roots, which keep the one unit that makes them busy, by one thread and then by one for each core."""
    count = cores()
    if count < 2:
        return

    def work() -> None:
        numbers = np.full(1 << 15, 2.0)
        roots = np.empty_like(numbers)
        for _ in range(600):
            np.sqrt(numbers, out=roots)

    def together() -> None:
        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    _worth.append(count * seconds_of(work) / seconds_of(together))


def alternate(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Times]:
    """Let the contestants take turns, A B C A B C ..., so that a slow minute of the machine strikes all.

    Args:
        contestants: functions that do their work once and return what it took.
        rounds: how many turns each has.
    """
    values: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, turn in contestants.items():
            _look_at_cores()
            time.sleep(_PAUSE_SECONDS)
            values[name].append(turn())
    return {name: Times(taken) for name, taken in values.items()}


def compare(other: Times, base: Times) -> dict[str, float]:
    """How many times as long `other` takes: by the medians, and the median over rounds of the two neighbours' ratio."""
    return {
        "ratio_of_medians": other.median / base.median,
        "median_of_paired_ratios": float(np.median(other.values / base.values)),
    }

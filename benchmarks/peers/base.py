"""What every contestant can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness.timing import Times, seconds_of
from harness.work import Work, as_floats

__all__ = ["Peer"]


class Peer:
    """A way to train one network; it lives in a worker.

    Attributes:
        work: what is to be done.
        x, t: the data, as NumPy arrays; images as bytes.
        initial: weights and biases by turns.
        choices: what was chosen by measurement, for the report.
    """

    def __init__(self, folder: str, work: dict[str, Any]) -> None:
        self.work = Work.from_json(work)
        self.x, self.t = (np.load(Path(folder) / name) for name in ("x.npy", "t.npy"))
        with np.load(Path(folder) / "initial.npz") as arrays:
            self.initial = [arrays[name] for name in arrays.files]
        self.choices = ""
        self.prepare()

    @property
    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(W, b) of each dense layer."""
        return list(zip(self.initial[::2], self.initial[1::2], strict=True))

    def floats(self) -> np.ndarray:
        """x as the network gets it: float32, images scaled to [0, 1]."""
        return as_floats(self.x)

    def prepare(self) -> None:
        """What happens once: data to where they stay, functions compiled."""

    def reset(self, seed: int) -> None:
        """Back to the initial parameters; `seed` decides the order of the examples. Not timed."""
        raise NotImplementedError

    def train(self, epochs: int) -> list[float]:
        """Train and return the mean loss of each epoch."""
        raise NotImplementedError

    def turn(self, seed: int, repeats: int) -> dict[str, Any]:
        """Train `repeats` times from the initial parameters; seconds of a call, and losses of the last one."""
        seconds, losses = [], []
        for number in range(repeats):
            self.reset(seed * repeats + number)
            seconds.append(seconds_of(lambda: losses.append(self.train(self.work.epochs))))
        return {"seconds": Times(seconds).median, "losses": losses[-1]}

    def notes(self) -> str:
        """What was chosen by measurement."""
        return self.choices

    def fastest(self, variants: dict[Any, Callable[[], None]], rounds: int = 3) -> Any:
        """The variant whose trial is over first; each is tried once unmeasured, then `rounds` times by turns."""
        for trial in variants.values():
            trial()
        taken: dict[Any, list[float]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, trial in variants.items():
                taken[name].append(seconds_of(trial))
        return min(taken, key=lambda name: min(taken[name]))

"""What keeps a run on disk while it trains: its folder, made when all is known to fit, and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denpa.lab.run_folder import RunFolder
from denpa.training.callbacks import Callback, Session
from denpa.training.checkpoint import Checkpoint, CheckpointSession
from denpa.training.tensorboard import TensorBoard

__all__ = ["Curves", "Keeper"]


@dataclass(frozen=True)
class Keeper(Callback):
    """Writes a checkpoint and metrics.csv after every `seconds`, and at the end.

    It comes before `EarlyStopping` in the list of callbacks, so that its last checkpoint is of training itself and
    not of the parameters that early stopping returns to: whoever resumes from it comes to the same end.

    Args:
        begin_folder: called once before the first step, when the data fit the model; makes the run folder.
        seconds: between checkpoints.
        resumed: called before the first step of a run that is taken up, when its checkpoint fits too.
    """

    begin_folder: Callable[[Any], RunFolder]
    seconds: float
    resumed: Callable[[], None]

    def begin(self, training: Any) -> Session:
        return KeeperSession(training, self.begin_folder(training), self.seconds, self.resumed)


class KeeperSession(CheckpointSession):
    """Writes to a run folder during one call of `fit`."""

    watches_epochs = False  # a checkpoint may fall anywhere, and its time is not to touch how epochs are run

    def __init__(self, training: Any, folder: RunFolder, seconds: float, resumed: Callable[[], None]) -> None:
        super().__init__(training, Checkpoint(str(folder.path)))
        self.run_folder, self.seconds, self.resumed = folder, seconds, resumed
        self.written = time.monotonic()

    def on_start(self) -> None:
        if self.training.resumed:
            self.resumed()

    def on_epoch_end(self) -> None:
        """Nothing: time decides, not epochs."""

    def on_progress(self) -> None:
        if time.monotonic() - self.written >= self.seconds:
            self.write()

    def write(self) -> None:
        super().write()
        self.run_folder.write_history(self.training.history)
        self.written = time.monotonic()


@dataclass(frozen=True)
class Curves(Callback):
    """`TensorBoard` for a run. It comes behind the `Keeper`, which makes the folder.

    Args:
        folder: tells where the event files are to be.
    """

    folder: Callable[[], Path]

    def begin(self, training: Any) -> Session:
        return TensorBoard(str(self.folder())).begin(training)

"""Progress: a bar on a terminal and in a notebook, plain lines when the output goes to a file or pipe."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from denpa.core.errors import ConfigError
from denpa.training.callbacks import Callback, Session
from denpa.training.loop import shown

__all__ = ["Progress"]

_REDRAW_SECONDS = 0.1
_MOST_LINES = 50


@dataclass(frozen=True)
class Progress(Callback):
    """Shows how training goes; `kind` is "auto", "bar", "lines" or "none"."""

    kind: str = "auto"

    def validate(self) -> None:
        if self.kind not in ("auto", "bar", "lines", "none"):
            raise ConfigError(f'verbose must be True, False, "auto", "bar", "lines" or "none", not {self.kind!r}.')

    def begin(self, training: Any) -> Session:
        kind = self.kind
        if kind == "auto":
            kind = "bar" if sys.stdout.isatty() or _in_notebook() else "lines"
        sessions = {"bar": BarSession, "lines": LinesSession, "none": SilentSession}
        return sessions[kind](training)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


class SilentSession(Session):
    """Shows nothing, and lets epochs run together."""

    watches_epochs = False


class LinesSession(SilentSession):
    """One line an epoch; for long runs of short epochs about fifty lines in all."""

    def on_epoch_end(self) -> None:
        training = self.training
        epoch, last = training.row["epoch"], training.epochs
        every = -(-last // _MOST_LINES) if last > 2 * _MOST_LINES else 1
        if epoch % every == 0 or epoch == last or training.stopped:
            seconds = training.history.seconds[-1]
            sys.stdout.write(f"epoch {epoch}/{last}  {shown(training.row)}  ({seconds:.2f} s)\n")
            sys.stdout.flush()

    def on_end(self) -> None:
        if self.training.stopped:
            sys.stdout.write(f"stopped: {self.training.stopped}\n")


class BarSession(SilentSession):
    """A bar over all steps, redrawn at most ten times a second, above it a line an epoch where they take time."""

    def __init__(self, training: Any) -> None:
        super().__init__(training)
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, auto_refresh=False)
        self.drawn = self.printed = 0.0

    def on_start(self) -> None:
        # Not before: the console would stay the bar's if something were refused, and a resumed run begins elsewhere.
        training, steps = self.training, self.training.plan.steps
        done = training.at.epoch * steps + training.at.batch
        self.task = self.bar.add_task("", total=training.epochs * steps, completed=done)
        self.bar.start()
        self.drawn = time.perf_counter()

    def on_epoch_end(self) -> None:
        now = time.perf_counter()
        if now - self.printed > _REDRAW_SECONDS or self.training.row["epoch"] == self.training.epochs:
            self.printed = now
            self.bar.print(f"epoch {self.training.row['epoch']}/{self.training.epochs}  {shown(self.training.row)}")

    def on_progress(self) -> None:
        now = time.perf_counter()
        if now - self.drawn > _REDRAW_SECONDS:
            self.drawn = now
            self._draw()

    def _draw(self) -> None:
        at = self.training.at
        done = at.epoch * self.training.plan.steps + at.batch
        self.bar.update(self.task, completed=done, description=f"epoch {min(at.epoch + 1, self.training.epochs)}")
        self.bar.refresh()

    def on_failure(self, error: BaseException) -> None:
        self.bar.stop()

    def on_end(self) -> None:
        self._draw()
        self.bar.stop()
        if self.training.stopped:
            self.bar.print(f"stopped: {self.training.stopped}")

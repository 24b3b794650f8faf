"""What happened during training, epoch by epoch, and its picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.core.errors import ConfigError, FileFormatError, nearest
from denpa.data.counted import counted
from denpa.data.delimited import csv_text
from denpa.training.plain import are, is_number, is_plain, is_rows, taken

__all__ = ["History"]

# What `to_config` writes, and the checks of it.
_WRITTEN = {
    "epochs": is_rows,
    "steps": is_rows,
    "seconds": are(is_number),
    "stopped": is_plain,
    "best_epoch": is_plain,
}


class History:
    """Rows of numbers, one for each epoch; with `fit(record_steps=True)` also one for each step.

    `loss` is the whole objective, data loss plus penalty; the penalty is listed apart as well.
    Columns that belong to the validation data begin with `validation_`.

    Attributes:
        epochs: rows with `epoch` (1 for the first), `step` (updates made by its end) and the numbers.
        steps: rows with `step`, `loss`, and `penalty` and metrics where there are any.
        seconds: how long each epoch took.
        stopped: why training ended early, or "".
        best_epoch: the epoch whose parameters were kept by `EarlyStopping`, or None.
        retraining: the history of the training on all data that `EarlyStopping(retrain=...)` added, or None.
        updates: of a `fit` that was followed by such a training, and of that training: how many updates it made, those
            of an unfinished epoch too; else None.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.seconds: list[float] = []
        self.stopped = ""
        self.best_epoch: int | None = None
        self.retraining: History | None = None
        self.updates: int | None = None

    def __getitem__(self, column: str) -> list[Any]:
        """A column over the epochs: `history["validation_loss"]`."""
        if column not in self.columns:
            raise KeyError(f"No column {column!r}: {nearest(column, self.columns, plural='columns')}")
        return [row.get(column, float("nan")) for row in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.epochs for name in row))

    @property
    def kept(self) -> dict[str, Any]:
        """The row of the epoch whose parameters were kept by `EarlyStopping`, else the last one; empty before any."""
        last = self.epochs[-1] if self.epochs else {}
        return next((row for row in self.epochs if row["epoch"] == self.best_epoch), last)

    def __repr__(self) -> str:
        if not self.epochs:
            return "History(no epoch yet)"
        last = ", ".join(f"{name}={value:.4g}" for name, value in self.epochs[-1].items() if is_number(value))
        return f"History({counted(len(self), 'epoch')}; last: {last})"

    def csv(self) -> str:
        """The epochs as comma-separated values; numbers in full, arrays (such as a confusion matrix) left out."""
        columns = [name for name in self.columns if any(is_number(row.get(name)) for row in self.epochs)]
        return csv_text([columns, *([row.get(name) for name in columns] for row in self.epochs)])

    def plot(self, path: Any = None, columns: list[str] | None = None) -> Any:
        """Learning curves: one panel for each quantity, training and validation together.

        Args:
            path: where to write the picture (PNG, SVG or PDF by its ending); nowhere when None.
            columns: which quantities; all when None.

        Returns:
            The matplotlib figure.

        Raises:
            ConfigError: there is nothing to plot, or an unknown column.
            StorageError: the picture cannot be written.
        """
        from denpa.training.figures import learning_curves

        if not self.epochs:
            raise ConfigError("There is nothing to plot yet: fit the model first.")
        return learning_curves(self, path, columns)

    def to_config(self) -> dict[str, Any]:
        """The history as plain lists and numbers, for a checkpoint."""
        epochs, steps = (
            [{k: v for k, v in r.items() if is_number(v)} for r in rows] for rows in (self.epochs, self.steps)
        )
        return {
            "epochs": epochs,
            "steps": steps,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "best_epoch": self.best_epoch,
        }

    def arrays(self) -> dict[str, dict[str, Any]]:
        """What the rows of epochs hold besides numbers, such as confusion matrices, by number of the row and name."""
        found = {str(i): {k: v for k, v in row.items() if np.ndim(v)} for i, row in enumerate(self.epochs)}
        return {row: values for row, values in found.items() if values}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Any] | None = None) -> History:
        """The history that `to_config` wrote; `arrays` by path, from what `arrays` gave.

        Raises:
            FileFormatError: it is none.
        """
        history = cls()
        for name, value in taken(config, _WRITTEN, optional=_WRITTEN).items():
            setattr(history, name, value)
        numbered = {str(index): row for index, row in enumerate(history.epochs)}
        for path, array in (arrays or {}).items():
            row, _, name = path.partition("/")
            if row not in numbered:
                raise FileFormatError(f"there is no epoch for the array {path}")
            numbered[row][name] = array
        return history

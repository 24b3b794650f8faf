"""Learning curves for TensorBoard, where they stand beside those of other runs and other libraries."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from denpa.core import tree
from denpa.core.errors import StorageError
from denpa.data.arguments import as_path
from denpa.data.extras import optional
from denpa.training.callbacks import Callback, Session
from denpa.training.plain import is_number

__all__ = ["TensorBoard"]

_BINS = 30
_HELD = "validation_"


@dataclass(frozen=True)
class TensorBoard(Callback):
    """Write what `fit` measures as event files, which `tensorboard --logdir FOLDER` draws while training goes on.

    After every epoch, with its number as the step: the loss, penalty and metrics of training under `FOLDER/training`,
    those of the validation data under `FOLDER/validation` by the same names, so that both share a chart; and with
    `histograms` the distribution of every parameter by its path, such as `0_dense/W`.

    A `fit` that goes on, or is resumed, adds files to the folder, and a new model begins its curves anew there: what
    older files say of the epochs that follow is no longer shown. A folder for each run keeps them all.

    Args:
        folder: made if missing.
        histograms: of the parameters after every epoch too.

    Raises:
        ConfigError: no name of a folder; in `fit`, TensorBoard is not installed (the extra `tensorboard`).
        StorageError: in `fit`, a file cannot be written.
    """

    folder: str
    histograms: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", str(as_path(self.folder)))
        super().__post_init__()

    def begin(self, training: Any) -> Session:
        return TensorBoardSession(training, Path(self.folder), self.histograms)


class TensorBoardSession(Session):
    """Writes event files during one call of `fit`."""

    def __init__(self, training: Any, folder: Path, histograms: bool) -> None:
        super().__init__(training)
        self.folder, self.histograms, self.watches_epochs = folder, histograms, histograms
        self.events = optional("tensorboard.compat.proto.event_pb2", "tensorboard", "A TensorBoard callback")
        self.summaries = optional("tensorboard.compat.proto.summary_pb2", "tensorboard", "A TensorBoard callback")
        self.files: dict[str, _EventFile] = {}

    def on_start(self) -> None:
        names = ["training"] if self.training.validation is None else ["training", "validation"]
        for name in names:
            log = self.events.SessionLog(status=self.events.SessionLog.START)
            file = self.files[name] = _EventFile(self.folder / name)
            file.write(self.events.Event(file_version="brain.Event:2"))
            file.write(self.events.Event(session_log=log, step=self.training.at.epoch + 1))  # nothing older from here

    def on_epoch_end(self) -> None:
        row = {name: value for name, value in self.training.row.items() if is_number(value)}
        epoch = row.pop("epoch")
        ours = {name: value for name, value in row.items() if not name.startswith(_HELD) and name != "step"}
        held = {name.removeprefix(_HELD): value for name, value in row.items() if name.startswith(_HELD)}
        self._add("training", epoch, [self._scalar(*item) for item in ours.items()] + list(self._histograms()))
        if held:
            self._add("validation", epoch, [self._scalar(*item) for item in held.items()])

    def on_failure(self, error: BaseException) -> None:
        self.on_end()

    def on_end(self) -> None:
        for file in self.files.values():
            file.close()

    def _add(self, name: str, epoch: int, values: list[Any]) -> None:
        self.files[name].write(self.events.Event(step=epoch, summary=self.summaries.Summary(value=values)))

    def _scalar(self, name: str, value: float) -> Any:
        return self.summaries.Summary.Value(tag=name, simple_value=value)

    def _histograms(self) -> Iterator[Any]:
        params = self.training.model.variables.params if self.histograms else {}
        for path, array in tree.flatten(params).items():
            numbers = np.asarray(array, np.float64).reshape(-1)
            counts, edges = np.histogram(numbers, _BINS)
            found = self.summaries.HistogramProto(
                min=numbers.min(),
                max=numbers.max(),
                num=numbers.size,
                sum=numbers.sum(),
                sum_squares=np.sum(numbers**2),
                bucket_limit=edges[1:],
                bucket=counts,
            )
            yield self.summaries.Summary.Value(tag=path, histo=found)


class _EventFile:
    """An event file of TensorBoard; every event is in it when `write` returns."""

    def __init__(self, folder: Path) -> None:
        records = optional("tensorboard.summary.writer.record_writer", "tensorboard", "A TensorBoard callback")
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"  # sorted by time
        self.path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("xb")
        except OSError as error:
            raise StorageError(f"Cannot make {self.path}: {error.strerror}.") from error
        self.records = records.RecordWriter(self.file)

    def write(self, event: Any) -> None:
        event.wall_time = time.time()
        try:
            self.records.write(event.SerializeToString())
            self.records.flush()
        except OSError as error:
            raise StorageError(f"Cannot write {self.path}: {error.strerror}.") from error

    def close(self) -> None:
        self.file.close()

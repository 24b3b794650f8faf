"""The folder of a run: what is in it, and how it comes to be in one move.

config.toml          the experiment, complete
environment.json     versions, device, seed, hash of the data, commands
metrics.csv          the numbers of every epoch; the same bits whenever the run is repeated
timing.csv           seconds of every epoch
tensorboard/         the same for TensorBoard, where that is wanted
pretraining.safetensors  as long as a run with pre-training has not finished: the layers that are done
checkpoint/          from which an interrupted run goes on
model.safetensors    the trained model
results.json         the final measurements; when this is there the run has finished
figures/             learning curves and what else there is to see
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from denpa.core.errors import DataError, FileFormatError, StorageError
from denpa.data.delimited import csv_text
from denpa.lab.experiment import Experiment
from denpa.lab.prepared import Prepared
from denpa.training.history import is_number
from denpa.training.pretraining import PRETRAINING
from denpa.training.storage import write_text

__all__ = ["RunFolder", "create", "free_name", "refuse_existing"]


class RunFolder:
    """The files of a run by name."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.environment = self.path / "environment.json"
        self.metrics = self.path / "metrics.csv"
        self.timing = self.path / "timing.csv"
        self.steps = self.path / "steps.csv"
        self.retraining = self.path / "retraining.csv"
        self.pretraining = self.path / PRETRAINING
        self.checkpoint = self.path / "checkpoint"
        self.model = self.path / "model.safetensors"
        self.results = self.path / "results.json"
        self.figures = self.path / "figures"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def existing(cls, path: str | Path) -> RunFolder:
        """The run folder at `path`; a `FileFormatError` where there is none."""
        folder = cls(path)
        if not folder.path.is_dir():
            raise FileFormatError(f"There is no run folder {path}.")
        if not folder.config.is_file() or not folder.environment.is_file():
            raise FileFormatError(f"{path} is no run folder: it has no config.toml with an environment.json.")
        return folder

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self.results.is_file() and self.model.is_file()

    def experiment(self) -> Experiment:
        """The experiment; errors as for `Experiment.from_toml`."""
        return Experiment.from_toml(self.config)

    def read_json(self, path: Path) -> dict[str, Any]:
        """One of the JSON files; a `FileFormatError` where it is damaged."""
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path} cannot be read: {error}.") from None
        if not isinstance(found, dict):
            raise FileFormatError(f"{path} is damaged: it holds {type(found).__name__} in place of an object.")
        return found

    def begun(self) -> dict[str, Any]:
        """What environment.json says of how the run began; a `FileFormatError` where it does not say it."""
        try:
            found = self.read_json(self.environment)
            if not isinstance(found.get("sessions"), list) or not isinstance(found.get("data_sha256"), str):
                raise FileFormatError(f"{self.environment} is damaged: it lacks the sessions or the hash of the data.")
        except FileFormatError as error:
            mend = f"Put a copy in its place, or repeat the run by denpa train {self.config}."
            raise FileFormatError(f"{error} {mend}") from None
        return found

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """One of the JSON files, in one move; a line for each key."""
        lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")

    def check_same_data(self, data: Prepared) -> None:
        """Refuse data that are not those that the run began with: a `DataError`."""
        wanted, got = self.begun()["data_sha256"], data.content_hash()
        if wanted != got:
            raise DataError(
                f"The data of {self.path} have changed since the run began: their SHA-256 was {wanted}, and is {got}."
            )

    def write_history(self, history: Any) -> None:
        """metrics.csv and timing.csv; steps.csv and retraining.csv where there is something to put into them."""
        write_text(self.metrics, history.csv())
        rows = [(row["epoch"], f"{seconds:.6f}") for row, seconds in zip(history.epochs, history.seconds, strict=False)]
        write_text(self.timing, csv_text([("epoch", "seconds"), *rows]))
        if history.steps:
            names = [name for name, value in history.steps[0].items() if is_number(value)]
            write_text(self.steps, csv_text([names, *([row[name] for name in names] for row in history.steps)]))
        if history.retraining is not None:
            write_text(self.retraining, history.retraining.csv())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No other process trains into the folder meanwhile. The hold ends with the process, however that ends.

        Raises:
            StorageError: another process holds it. Where the system knows no locks nobody is kept away.
        """
        with self.config.open("rb") as file:
            if _taken(file):
                raise StorageError(
                    f"Another process is training into {self.path}: wait for its end, or take another folder."
                )
            yield

    def sweep(self) -> None:
        """Remove what a killed process left half-written."""
        for folder in (self.path, self.checkpoint, self.figures):
            for file in folder.glob(".*.????????"):
                with contextlib.suppress(OSError):
                    file.unlink()


def create(
    path: str | Path, experiment: Experiment, environment: dict[str, Any], *, overwrite: bool = False
) -> RunFolder:
    """Make a run folder with its configuration, in one move.

    Raises:
        StorageError: it exists already, or cannot be written. Nothing is left behind, and nothing is lost.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    passing = before = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        passing = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        folder = RunFolder(passing / "run")
        folder.path.mkdir()
        write_text(folder.config, experiment.to_toml())
        folder.write_json(folder.environment, environment)
        if path.exists() and any(path.iterdir()):
            with RunFolder(path).held():
                os.rename(path, passing / "before")
                before = passing / "before"
        os.rename(folder.path, path)
    except StorageError:
        raise
    except OSError as error:
        kept = ""
        if before is not None:  # somebody else has put something there meanwhile
            try:
                os.rename(before, path)
            except OSError:
                passing, kept = None, f" The run that was there is in {before} now."
        raise StorageError(f"Cannot make the run folder {path}: {error.strerror}.{kept}") from None
    finally:
        if passing is not None:
            shutil.rmtree(passing, ignore_errors=True)
    return RunFolder(path)


def _taken(file: BinaryIO) -> bool:
    """Whether another process has locked the file. If not, this one has, where the system knows locks."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # Windows, and some network file systems
        pass
    return False


def refuse_existing(path: Path, overwrite: bool = False) -> None:
    """Refuse a path that is taken: by a run, unless it is to be overwritten, or by anything else.

    Raises:
        StorageError: it is taken.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    folder = RunFolder(path)
    is_run = folder.config.is_file() and folder.environment.is_file()
    if not is_run:
        raise StorageError(f"{path} exists already and is no run folder: choose another place with --run.")
    if not overwrite:
        raise StorageError(
            f"The run folder {path} exists already: choose another with --run, go on with --resume, or replace it "
            "with --overwrite."
        )


def free_name(parent: str | Path, name: str) -> Path:
    """parent/name, or parent/name-2, parent/name-3, ... whichever is not there yet."""
    path, number = Path(parent) / name, 1
    while path.exists():
        number += 1
        path = Path(parent) / f"{name}-{number}"
    return path

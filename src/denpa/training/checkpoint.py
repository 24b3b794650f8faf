"""Checkpoints: a run on disk, whole at any moment, from which training goes on to the same bits."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.errors import ConfigError, FileFormatError, StorageError
from denpa.networks.base import differences
from denpa.training.callbacks import Callback, Session
from denpa.training.history import History
from denpa.training.loop import Position
from denpa.training.program import Run
from denpa.training.storage import read_arrays, write_arrays

__all__ = ["Checkpoint", "latest", "restore"]

_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint(Callback):
    """Write the run to `folder`/checkpoint every so often, and when training ends or is interrupted.

    A checkpoint holds parameters, state, optimiser state, random key, step counter, the place in the
    data, the history so far and what other callbacks remember. `model.fit(..., resume=folder)` ends
    with the same bits as a run that was never interrupted. Each file is written beside its place and
    moved there, so a crash in the middle of writing leaves the one before.

    Args:
        folder: the run folder; made if missing.
        every: epochs between checkpoints.
        every_steps: updates between checkpoints, in place of `every`.
        keep: how many of the latest to keep.
    """

    folder: str
    every: int = 1
    every_steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", str(self.folder))
        self.validate()

    def validate(self) -> None:
        if self.every < 1 or self.keep < 1 or (self.every_steps is not None and self.every_steps < 1):
            raise ConfigError("Checkpoint wants every, every_steps and keep to be 1 or more.")

    def begin(self, training: Any) -> Session:
        return CheckpointSession(training, self)


class CheckpointSession(Session):
    """Writes checkpoints during one call of `fit`."""

    def __init__(self, training: Any, rule: Checkpoint) -> None:
        super().__init__(training)
        self.rule, self.period = rule, rule.every_steps
        self.folder = Path(rule.folder) / "checkpoint"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"Cannot make the folder {self.folder}: {error.strerror}.") from error

    def on_epoch_end(self) -> None:
        if self.period is None and self.training.at.epoch % self.rule.every == 0:
            self.due = True

    def on_period(self) -> None:
        self.due = True

    def on_progress(self) -> None:
        # After all sessions have seen the epoch's end, so that what they remember is of one moment.
        if getattr(self, "due", False):
            self.due = False
            self.write()

    def on_failure(self, error: BaseException) -> None:
        # The error that ended training is the one to report, even if this write fails as well.
        with contextlib.suppress(StorageError):
            self.write()

    def on_end(self) -> None:
        self.write()

    def write(self) -> None:
        """Write the run as it stands, then remove what is older than `keep`."""
        training = self.training
        values, arrays = {}, {}
        for index, session in enumerate(training.sessions):
            remembered, kept = session.memory()
            if remembered or kept:
                values[str(index)] = remembered
                arrays[str(index)] = kept
        at = training.at
        description = {
            "format": _FORMAT,
            "model": training.model.description(),
            "position": {"epoch": at.epoch, "batch": at.batch, "parts": len(at.logs)},
            "plan": vars(training.plan),
            "history": training.history.to_config(),
            "sessions": values,
        }
        logs = {str(index): part for index, part in enumerate(at.logs)}
        contents = {
            "run": vars(training.run),
            "statistics": training.model.statistics or {},
            "sessions": arrays,
            "logs": logs,
        }
        write_arrays(self.folder / f"step_{training.step:010d}.safetensors", contents, description)
        for old in _files(self.folder)[: -self.rule.keep]:
            with contextlib.suppress(OSError):
                old.unlink()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.safetensors"))


def latest(folder: Any) -> Path:
    """The newest checkpoint file of a run folder that can be read.

    Raises:
        FileFormatError: there is none.
    """
    for path in reversed(_files(Path(folder) / "checkpoint")):
        with contextlib.suppress(FileFormatError):
            read_arrays(path)
            return path
    raise FileFormatError(f"There is no checkpoint to resume from in {folder}.")


def restore(training: Any, folder: Any) -> None:
    """Put a training that has just begun to where the newest checkpoint of `folder` left off.

    Raises:
        FileFormatError: no readable checkpoint.
        ConfigError: the checkpoint belongs to another model, or to other data or batches.
    """
    path = latest(folder)
    arrays, description = read_arrays(path)
    model = training.model
    here = model.description()
    for part in ("network", "loss", "optimizer", "penalty", "normalizer", "target_normalizer", "seed", "in_shape"):
        if description["model"].get(part) != here.get(part):
            raise ConfigError(
                f"{path} is of another run: its {part} is {description['model'].get(part)}, not {here.get(part)}."
            )
    if description["plan"] != vars(training.plan):
        raise ConfigError(
            f"{path} was trained on other data or batches: {description['plan']}, not {vars(training.plan)}."
        )
    model.run = _run_like(model.run, _under(arrays, "run"), path)
    model.history = training.history = History.from_config(description["history"])
    position = description["position"]
    logs = tuple(_log(_under(arrays, f"logs/{index}")) for index in range(position["parts"]))
    training.at = Position(position["epoch"], position["batch"], logs)
    model.epochs = position["epoch"]
    model.steps = int(model.run.step)
    training.row = dict(training.history.epochs[-1]) if training.history.epochs else {}
    for index, session in enumerate(training.sessions):
        if str(index) in description["sessions"]:
            session.remember(description["sessions"][str(index)], _under(arrays, f"sessions/{index}"))


def _under(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) + 1 :]: a for name, a in arrays.items() if name.startswith(f"{prefix}/")}


def _log(flat: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": {}, **tree.nested(flat)}  # an empty dict leaves no trace among arrays by path


def _run_like(template: Run, arrays: dict[str, Any], path: Path) -> Run:
    """The run from its arrays, which must be exactly those of the model."""
    wanted = dict(vars(template), key=jax.random.key_data(template.key))
    if problems := differences(arrays, tree.flatten(wanted)):
        raise FileFormatError(f"{path} does not fit the model: " + "; ".join(problems) + ".")
    values = tree.unflatten({name: jnp.asarray(a) for name, a in arrays.items()}, wanted)
    key = jax.random.wrap_key_data(values["key"], impl=jax.random.key_impl(template.key))
    return Run(**dict(values, key=key))

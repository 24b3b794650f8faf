"""Checkpoints: a run on disk, whole at any moment, from which training goes on to the same bits."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, FileFormatError, StorageError
from denpa.data.arguments import as_path
from denpa.training.callbacks import Callback, Session
from denpa.training.history import History
from denpa.training.loop import Position
from denpa.training.plain import is_count, is_plain, is_table, taken
from denpa.training.program import Run
from denpa.training.storage import read_arrays, write_arrays

__all__ = ["Checkpoint", "latest", "restore", "step_of"]

_FORMAT = 1
# What must be as it was for a run to end with the same bits.
_DECISIVE = ("network", "loss", "optimizer", "metrics", "penalty", "normalizer", "target_normalizer")
_DECISIVE += ("compute_dtype", "seed", "in_shape", "frozen", "members")
_PARTS = {"format", "model", "position", "began", "stopped", "plan", "data", "history", "sessions"}
_CHECKS = {"model": is_table, "stopped": is_plain, "sessions": is_table}
_POSITION = {"epoch": is_count, "batch": is_count, "parts": is_count}
_BEGAN = {"epoch": is_count, "step": is_count}


@dataclass(frozen=True)
class Checkpoint(Callback):
    """Write the run to `folder`/checkpoint every so often, and when training ends or is interrupted.

    A checkpoint holds parameters, state, optimiser state, random key, step counter, the place in the
    data, the history so far and what other callbacks remember. `model.fit(..., resume=folder)` ends
    with the same bits as a run that was never interrupted. Each file is written beside its place and
    moved there, so a crash in the middle of writing leaves the one before.

    A folder with checkpoints of a later step than the model's is of another run: it is refused, unless
    the run is resumed.

    Args:
        folder: the run folder; made if missing.
        every: epochs between checkpoints.
        every_steps: updates between checkpoints, in place of `every`.
        keep: how many of the latest to keep.

    Raises:
        ConfigError: what is no whole number from 1, or no name of a folder.
        StorageError: in `fit`, a checkpoint cannot be written, or the folder is that of another run.
    """

    folder: str
    every: int = 1
    every_steps: int | None = None
    keep: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", str(as_path(self.folder)))
        super().__post_init__()

    def validate(self) -> None:
        for name in ("every", "every_steps", "keep"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"Checkpoint.{name} must be 1 or more, not {value!r}.")

    def begin(self, training: Any) -> Session:
        return CheckpointSession(training, self)


class CheckpointSession(Session):
    """Writes checkpoints during one call of `fit`."""

    def __init__(self, training: Any, rule: Checkpoint) -> None:
        super().__init__(training)
        self.rule, self.period = rule, rule.every_steps
        self.due, self.written = False, None
        self.folder = Path(rule.folder) / "checkpoint"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"Cannot make the folder {self.folder}: {error.strerror}.") from error
        for stale in self.folder.glob(".step_*"):  # half written by a run that was killed
            stale.unlink(missing_ok=True)
        if not training.resumed and (found := _newest(self.folder)) and step_of(found) > training.step:
            raise StorageError(
                f"{self.folder} holds checkpoints of another run, up to step {step_of(found)}: choose another folder, "
                f"remove them, or go on with that run by fit(..., resume={rule.folder!r})."
            )

    def on_epoch_end(self) -> None:
        if self.period is None and self.training.at.epoch % self.rule.every == 0:
            self.due = True

    def on_period(self) -> None:
        self.due = True

    def on_progress(self) -> None:
        # After all sessions have seen the epoch's end, so that what they remember is of one moment.
        if self.due:
            self.due = False
            self.write()

    def on_failure(self, error: BaseException) -> None:
        if not self.training.settled or self.training.step == self.training.first_step:
            return  # an error inside a callback: the checkpoint before is whole, this moment is not
        # The error that ended training is the one to report, even if this write fails as well.
        with contextlib.suppress(StorageError):
            self.write()

    def on_end(self) -> None:
        if self.written != (self.training.step, self.training.stopped):
            self.write()

    def write(self) -> None:
        """Write the run as it stands, then remove what is older than `keep`."""
        training = self.training
        values, arrays = {}, {}
        for name, session in _named(training.sessions):
            remembered, kept = session.memory()
            if remembered or kept:
                values[name], arrays[name] = remembered, kept
        at = training.at
        description = {
            "format": _FORMAT,
            "model": training.model.description(),
            "position": {"epoch": at.epoch, "batch": at.batch, "parts": len(at.logs)},
            "began": {"epoch": training.first_epoch, "step": training.first_step},
            "stopped": training.stopped,
            "plan": training.plan.description(),
            "data": self.fingerprint,
            "random": _random_numbers(training),
            "devices": training.programs.recipe.devices,
            "history": training.history.to_config(),
            "sessions": values,
        }
        logs = {str(index): part for index, part in enumerate(at.logs)}
        contents = {
            "run": vars(training.run),
            "statistics": training.model.statistics or {},
            "sessions": arrays,
            "logs": logs,
            "history": training.history.arrays(),
        }
        write_arrays(self.folder / f"step_{training.step:010d}.safetensors", contents, description)
        self.written = training.step, training.stopped
        ours = [file for file in _files(self.folder) if step_of(file) <= training.step]  # a later one was damaged
        for old in {*_files(self.folder)} - {*ours[-self.rule.keep :]}:
            with contextlib.suppress(OSError):
                old.unlink()

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the training and validation data, computed when the first checkpoint is written."""
        return _fingerprint(self.training)


def _files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, by their steps; what else lies there, such as a copy under a name, is none."""
    found = [file for file in folder.glob("step_*.safetensors") if re.fullmatch("step_[0-9]+", file.stem)]
    return sorted(found, key=step_of)


def step_of(file: Path) -> int:
    """The steps behind which a checkpoint was written, from its name."""
    return int(file.stem.removeprefix("step_"))


def _newest(folder: Path) -> Path | None:
    """The newest checkpoint that can be read."""
    for path in reversed(_files(folder)):
        with contextlib.suppress(FileFormatError):
            read_arrays(path)
            return path
    return None


def _named(sessions: list[Session]) -> Iterator[tuple[str, Session]]:
    """Sessions by class and number, so that whoever resumes may list other callbacks in between."""
    counts: Counter[str] = Counter()
    for session in sessions:
        name = type(session).__name__
        yield f"{name}_{counts[name]}", session
        counts[name] += 1


def _fingerprint(training: Any) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((training.data, training.validation)):
        digest.update(f"{leaf.shape}{leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).view(np.uint8).data)
    return digest.hexdigest()


def latest(folder: Any) -> Path:
    """The newest checkpoint file of a run folder that can be read.

    Raises:
        FileFormatError: there is none.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise ConfigError(f"resume must be the path of a run folder, not {folder!r}.")
    if not Path(folder).is_dir():
        raise FileFormatError(f"There is no folder {folder} to resume from.")
    path = _newest(Path(folder) / "checkpoint")
    if path is None:
        raise FileFormatError(
            f"There is no checkpoint to resume from in {folder}. A run that ended before it wrote one begins again in "
            "this folder: call fit without resume."
        )
    return path


def restore(training: Any, folder: Any) -> None:
    """Put a training that has just begun to where the newest checkpoint of `folder` left off.

    Raises:
        FileFormatError: no readable checkpoint.
        ConfigError: no path; the checkpoint belongs to another model, to other data or batches, or to other settings
            of JAX.
    """
    path = latest(folder)
    arrays, description = read_arrays(path)
    _check(training, description, path)
    _check_settings(training, arrays, description, path)
    if description["data"] != _fingerprint(training):
        raise ConfigError(f"{path} was trained on other data: the training or validation data have other values.")
    with _naming(path):
        position, began = taken(description["position"], _POSITION), taken(description["began"], _BEGAN)
        history = History.from_config(description["history"], _under(arrays, "history"))
    model = training.model
    model.run = _run_like(model.run, _under(arrays, "run"), path)
    if statistics := _under(arrays, "statistics"):
        model.statistics = tree.nested({name: jax.device_put(a) for name, a in statistics.items()})
    model.history = training.history = history
    logs = tuple(_log(_under(arrays, f"logs/{index}")) for index in range(position["parts"]))
    training.at = Position(position["epoch"], position["batch"], logs)
    model.epochs = position["epoch"]
    model.steps = step_of(path)  # the run's own count, but members that early stopping has ended stand still
    training.epochs += began["epoch"]  # of a run that had been trained before
    training.first_epoch, training.first_step = began["epoch"], began["step"]
    training.stopped = description["stopped"]
    training.row = dict(training.history.epochs[-1]) if training.history.epochs else {}
    for name, session in _named(training.sessions):
        if name in description["sessions"]:
            with _naming(path):
                session.remember(description["sessions"][name], _under(arrays, f"sessions/{name}"))


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A `FileFormatError` from inside names the file."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"{path} is damaged: {error}.") from None


def _check(training: Any, description: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another model, other data, or a format to come."""
    if missing := _PARTS - set(description):
        raise FileFormatError(f"{path} is no checkpoint: it says nothing about {', '.join(sorted(missing))}.")
    if description["format"] not in range(_FORMAT + 1):
        raise FileFormatError(f"{path} has format {description['format']}, which needs a newer denpa.")
    with _naming(path):
        taken(description, _CHECKS)
    here = training.model.description()
    for part in _DECISIVE:
        if description["model"].get(part) != here.get(part):
            raise ConfigError(
                f"{path} is of another run: its {part} is {description['model'].get(part)}, not {here.get(part)}."
            )
    if description["plan"] != (plan := training.plan.description()):
        raise ConfigError(f"{path} was trained on other data or batches: {description['plan']}, not {plan}.")


def _check_settings(training: Any, arrays: dict[str, Any], description: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint of other settings of JAX: in another precision, or with other random numbers."""
    params = _under(arrays, "run/params").values(), jax.tree.leaves(training.model.run.params)
    there, here = ("float64" if any(a.dtype == np.float64 for a in part) else "float32" for part in params)
    if there != here:
        raise ConfigError(f"{path} was trained in {there}, not {here}: set jax_enable_x64 as it was then.")
    devices, divided = description.get("devices", 1), training.programs.recipe.devices
    if devices != divided:
        raise ConfigError(f"{path} was trained with devices={devices}, not {divided}: sums would round otherwise.")
    known, used = description.get("random"), _random_numbers(training)
    if known is not None and known != used:  # older files do not say it
        raise ConfigError(f"{path} was trained with other random numbers: JAX's settings were {known}, not {used}.")


def _random_numbers(training: Any) -> dict[str, Any]:
    """JAX's settings that decide which random numbers a key gives."""
    return {
        "jax_default_prng_impl": str(jax.random.key_impl(training.model.run.key)),
        "jax_threefry_partitionable": bool(jax.config.values["jax_threefry_partitionable"]),
    }


def _under(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) + 1 :]: a for name, a in arrays.items() if name.startswith(f"{prefix}/")}


def _log(flat: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": {}, **tree.nested(flat)}  # an empty dict leaves no trace among arrays by path


def _run_like(template: Run, arrays: dict[str, Any], path: Path) -> Run:
    """The run from its arrays, which must be exactly those of the model."""
    wanted = dict(vars(template), key=jax.random.key_data(template.key))
    if problems := tree.differences(arrays, tree.flatten(wanted)):
        raise FileFormatError(f"{path} does not fit the model: " + "; ".join(problems) + ".")
    values = tree.unflatten({name: jax.device_put(a) for name, a in arrays.items()}, wanted)
    key = jax.random.wrap_key_data(values["key"], impl=jax.random.key_impl(template.key))
    return Run(**dict(values, key=key))

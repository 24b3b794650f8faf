"""The command `denpa train`: a run from its beginning or from its last checkpoint, and what came of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from denpa.cli.asked import assembled, given
from denpa.cli.errors import RunFailed, unread
from denpa.cli.parse import Places
from denpa.cli.printed import each, numbers, print_measured
from denpa.core.errors import ConfigError, DivergenceError, FileFormatError, StorageError, nearest
from denpa.data.counted import counted
from denpa.lab.closed_form import closed_form
from denpa.lab.describe import heading, seen_shape
from denpa.lab.ensemble import best_epochs, kept
from denpa.lab.generative import generative
from denpa.lab.measure import Measured
from denpa.lab.mistakes import mistakes
from denpa.lab.run import Run
from denpa.lab.run_folder import RunFolder, refuse_existing
from denpa.training.inputs import shape_of_example

__all__ = ["COMMANDS"]


def train(options: Any, places: Places, words: list[str]) -> int:
    """Train and keep the run in a folder, or go on with one."""
    if options.progress not in ("auto", "bar", "lines", "none"):
        hint = nearest(options.progress, ("auto", "bar", "lines", "none"), plural="kinds")
        raise ConfigError(f"Unknown kind of progress {options.progress!r}: {hint}")
    command = shlex.join(words)
    if options.resume:
        _refuse_others(options, places)
        folder = RunFolder.existing(options.resume)
        if folder.finished:
            found = folder.read_json(folder.results).get("test", {})
            if not isinstance(found, dict):
                raise FileFormatError(f"{folder.results} is damaged: its test holds {found!r} in place of an object.")
            print(f"{options.resume} has finished already.\n\n{numbers('test', found)}")
            return 0
        run = Run.resume(options.resume, command)
        with unread(f". Go on with: {_again(folder)}"):
            print(f"Going on after {counted(run.from_step, 'step')}.\n")
            measured = _gone(run, options.progress)
    else:
        with unread():
            run = _begun(options, places, command)
            measured = _gone(run, options.progress)
    _report(run, measured)
    return 0


def _begun(options: Any, places: Places, command: str) -> Run:
    if options.run:
        refuse_existing(Path(options.run), options.overwrite)
    experiment, data = assembled(options, places)
    if data.report:
        print(f"{data.report}\n")
    return Run(experiment, options.run or None, prepared=data, overwrite=options.overwrite, command=command)


def _again(folder: RunFolder) -> str:
    return f"denpa train --resume {shlex.quote(str(folder.path))}"


def _gone(run: Run, progress: str) -> Measured:
    """The run introduced and carried out; what ends it early is told with the way to go on."""
    shape = seen_shape(run.experiment, shape_of_example(run.data.train.x))
    print(f"{heading(run.experiment, run.data)}\n\n{run.experiment.network.summary(shape)}\n", flush=True)
    try:
        return run.go(progress)
    except (KeyboardInterrupt, StorageError, DivergenceError, BrokenPipeError) as error:
        if run.folder is None:
            raise
        again = _again(run.folder)
        if isinstance(error, KeyboardInterrupt):
            text = f"interrupted after {counted(run.model.steps, 'step')}. Go on with: {again}"
            if run.experiment.training.pretrain is not None and not run.model.steps:
                text = f"interrupted in the pre-training; the layers that are done are kept. Go on with: {again}"
        elif isinstance(error, BrokenPipeError):
            text = f"whoever read the output has gone. Go on with: {again}"
        elif isinstance(error, StorageError):
            text = f"{error} Then go on with: {again}"
        else:
            text = f"{error} The run is kept in {run.folder.path}."
        raise RunFailed(text) from error


def _report(run: Run, measured: Measured) -> None:
    rule, again = run.experiment.training.early_stopping, run.history.retraining
    restored = rule is None or rule.restore_best
    best = _best(run) if restored or again is not None else ""
    last = kept(run.model, run.data.validation, restored)
    print()
    if again is not None:
        print(f"{'best':<10}  {best}, before the retraining")
    print(numbers("training", _of_training(last)))
    if held := {k.removeprefix("validation_"): v for k, v in last.items() if k.startswith("validation_")}:
        print(numbers("validation", held))
    if again is not None:
        shown = f": {numbers('', _of_training(again.epochs[-1])).strip()}" if again.epochs else ""
        print(f"{'retrained':<10}  on all data for {counted(again.updates or 0, 'update')}{shown}")
    elif best:
        print(f"{'kept':<10}  {best}")
    print_measured(measured)
    if run.out_of_bag is not None:
        print(f"\n{numbers('out of bag', run.out_of_bag.together)}\n{each('members', run.out_of_bag.apart)}")
    single = run.experiment.training.members is None
    if single and (exact := closed_form(run.experiment, run.model, run.data)) is not None:
        print(f"\n{exact}")
    if single and (line := generative(run.experiment, run.model, run.data)) is not None:
        print(line)
    if single and (line := mistakes(run.experiment, run.history, run.data)) is not None:
        print(f"\n{line}")
    if run.folder is not None:
        print(f"\nkept in {run.folder.path}")


def _best(run: Run) -> str:
    """The measurement that early stopping went back to, or that of each member, if it did."""
    if several := best_epochs(run.model):
        return f"epochs {', '.join(map(str, several))}"
    rule, best = run.experiment.training.early_stopping, run.history.best_epoch
    if rule is None or best is None:
        return ""
    if rule.period is not None:
        return f"the best measurement, after {counted(best, 'epoch')}"
    return f"epoch {best}" if run.history.retraining is not None or best < run.model.epochs else ""


def _of_training(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("validation_")}


def _refuse_others(options: Any, places: Places) -> None:
    others = given(options, places) + [f"--{name}" for name in ("run", "overwrite") if getattr(options, name)]
    if options.experiment or others:
        other = options.experiment or others[0]
        raise ConfigError(f"--resume takes everything from the run's config.toml; leave {other} out.")


COMMANDS = {"train": train}

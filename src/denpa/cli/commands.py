"""What each command does, once its options are understood."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from denpa.cli.errors import RunFailed
from denpa.cli.parse import changes_of
from denpa.core.errors import ConfigError, DivergenceError, StorageError, nearest
from denpa.lab.assemble import assemble
from denpa.lab.closed_form import closed_form
from denpa.lab.describe import KINDS, check_experiment, heading, list_of, seen_shape
from denpa.lab.ensemble import Apart
from denpa.lab.experiment import Experiment
from denpa.lab.generative import generative
from denpa.lab.measure import Measured, confusion_text, measure
from denpa.lab.overrides import read_value
from denpa.lab.pairs import answers_text, is_of_pairs
from denpa.lab.run import Run
from denpa.lab.run_folder import RunFolder, refuse_existing
from denpa.lab.trained import Trained, predictions_csv, predictions_npy
from denpa.training.inputs import shape_of_example
from denpa.training.storage import write_bytes, write_text

__all__ = ["COMMANDS", "Places", "assembled", "short", "wanted"]

Places = list[tuple[str, Any]]


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
            results = folder.read_json(folder.results)
            print(f"{options.resume} has finished already.\n\n{_numbers('test', results.get('test', {}))}")
            return 0
        run = Run.resume(options.resume, command)
    else:
        run = _begun(options, places, command)
    shape = seen_shape(run.experiment, shape_of_example(run.data.train.x))
    print(f"{heading(run.experiment, run.data)}\n\n{run.experiment.network.summary(shape)}\n", flush=True)
    _report(run, _gone(run, options.progress))
    return 0


def _begun(options: Any, places: Places, command: str) -> Run:
    if options.run:
        refuse_existing(Path(options.run), options.overwrite)
    experiment, data = assembled(options, places)
    if data.report:
        print(f"{data.report}\n")
    return Run(experiment, options.run or None, prepared=data, overwrite=options.overwrite, command=command)


def _gone(run: Run, progress: str) -> Measured:
    """The run carried out; what ends it early is told with the way to go on."""
    try:
        return run.go(progress)
    except (KeyboardInterrupt, StorageError, DivergenceError, BrokenPipeError) as error:
        if run.folder is None:
            raise
        again = f"denpa train --resume {shlex.quote(str(run.folder.path))}"
        if isinstance(error, KeyboardInterrupt):
            text = f"interrupted after {run.model.steps:,} steps. Go on with: {again}"
            if run.experiment.training.members is not None:
                text = f"interrupted; members are kept when all of them are trained. Begin again with: {again}"
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
    history = run.history
    last = history.epochs[-1]
    if history.best_epoch:
        last = next((row for row in history.epochs if row["epoch"] == history.best_epoch), last)
    print()
    seen = {name: value for name, value in last.items() if not name.startswith("validation_")}
    held = {name.removeprefix("validation_"): value for name, value in last.items() if name.startswith("validation_")}
    print(_numbers("training", seen))
    if held:
        print(_numbers("validation", held))
    _print_measured(measured)
    if run.out_of_bag is not None:
        print(f"\n{_numbers('out of bag', run.out_of_bag.together)}\n{_each('members', run.out_of_bag.apart)}")
    single = run.experiment.training.members is None
    if single and (exact := closed_form(run.experiment, run.model, run.data)) is not None:
        print(f"\n{exact}")
    if single and (line := generative(run.experiment, run.model, run.data)) is not None:
        print(line)
    if run.folder is not None:
        print(f"\nkept in {run.folder.path}")


def evaluate(options: Any, places: Places, words: list[str]) -> int:
    """Measure a trained model."""
    trained = Trained.of(wanted(options.run, "RUN", "evaluate"), ensembles=True)
    data = trained.labelled(options.data) if options.data else trained.test_part()
    _print_measured(measure(trained.model, data), "data" if options.data else "test")
    return 0


def predict(options: Any, places: Places, words: list[str]) -> int:
    """Predict from new examples, as CSV or .npy; from the lines of a text, line by line."""
    trained = Trained.of(wanted(options.run, "RUN", "predict"), ensembles=True)
    source = wanted(options.input, "--input FILE", "predict")
    output = Path(options.output) if options.output else None
    if output is not None and output.exists() and not options.overwrite:
        raise StorageError(f"{output} exists already: choose another place, or replace it with --overwrite.")
    if output is not None and output.suffix.lower() in (".npz", ".parquet", ".pq", ".xlsx", ".json"):
        raise ConfigError(f"Predictions are written as CSV, or as .npy; not as {output.suffix}.")
    if is_of_pairs(trained.model):
        text = answers_text(trained.model, source)
        return _put(text, output, f"{text.count(chr(10)):,} answers")
    if trained.kind == "series":
        return _written(trained.forecast(source), output)
    x, files = trained.examples(source)
    layer = options.layer or None
    if output is not None and output.suffix.lower() == ".npy":
        write_bytes(output, predictions_npy(trained.model, x, layer))
        print(f"{len(x):,} predictions in {output}")
        return 0
    return _put(predictions_csv(trained.model, x, files, layer), output, f"{len(x):,} predictions")


def _put(text: str, output: Path | None, what: str) -> int:
    """A text to the terminal, or into a file."""
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(output, text)
        print(f"{what} in {output}")
    return 0


def _written(text: str, output: Path | None) -> int:
    """Predictions with a row for each step, on the terminal or in a file."""
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(output, text)
        print(f"{text.count(chr(10)) - 1:,} predictions in {output}")
    return 0


def sample(options: Any, places: Places, words: list[str]) -> int:
    """Let a language model write."""
    trained = Trained.of(wanted(options.run, "RUN", "sample"))
    given = {name: read_value([getattr(options, name)]) for name in ("length", "temperature", "seed")}
    top_k = read_value([options.top_k]) if options.top_k else None
    text = trained.sample(options.prompt or None, given.pop("length"), top_k=top_k, **given)
    print(options.prompt + text)
    return 0


def summary(options: Any, places: Places, words: list[str]) -> int:
    """Show an experiment or a trained model."""
    what = wanted(options.experiment, "PRESET or CONFIG.toml", "summary")
    if Path(what).is_dir() or what.endswith(".safetensors"):
        trained = Trained.of(what, ensembles=True)
        if trained.experiment is not None:
            print(f"{heading(trained.experiment, None)}\n")
        print(trained.model.summary())
        print(f"trained for {trained.model.epochs:,} epochs, {trained.model.steps:,} steps")
        return 0
    experiment, look = assembled(options, places, read=False)
    print(f"{heading(experiment, None)}\n\n{experiment.network.summary(seen_shape(experiment, look.in_shape))}")
    return 0


def check(options: Any, places: Places, words: list[str]) -> int:
    """Compare gradients with both oracles."""
    experiment, data = assembled(options, places)
    report = check_experiment(experiment, data)
    print(report)
    return 0


def list_(options: Any, places: Places, words: list[str]) -> int:
    """List what there is."""
    kinds = [options.kind] if options.kind else list(KINDS)
    found = {kind: list_of(kind) for kind in kinds}
    width = max(len(name) for names in found.values() for name in names)
    for kind, names in found.items():
        if len(found) > 1:
            print(f"{'' if kind == kinds[0] else chr(10)}{kind}")
        for name, line in names.items():
            print(f"{'  ' * (len(found) > 1)}{name:<{width}}  {line}".rstrip())
    return 0


COMMANDS = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "sample": sample,
    "summary": summary,
    "check": check,
    "list": list_,
}


def assembled(
    options: Any, places: Places, read: bool = True, changes: Places | None = None, data: Any = None
) -> tuple[Experiment, Any]:
    """The experiment that the options ask for, and its data, or what these look like.

    Args:
        options: of the command.
        places: changes by place.
        read: False for what the data look like.
        changes: all changes, in place of those that options and places name.
        data: the data, where they have been read already.
    """
    what = wanted(options.experiment, "PRESET or CONFIG.toml", type(options).__name__.lower())
    hidden = read_value(list(options.hidden)) if options.hidden else None
    hidden = [hidden] if hidden is not None and not isinstance(hidden, list) else hidden
    changes = changes_of(options, places) if changes is None else changes
    asked = {"hidden": hidden, "activation": options.activation or None}
    asked["code"] = read_value([options.code]) if options.code else None
    return assemble(what, changes, **asked, read=read, data=data)


def wanted(given: str, what: str, command: str) -> str:
    """The word that a command cannot do without."""
    if not given:
        raise ConfigError(f"denpa {command} wants {what}. See denpa {command} --help.")
    return given


def _refuse_others(options: Any, places: Places) -> None:
    given = [f"--{place}" for place, _ in changes_of(options, places)]
    given += ["--run"] * bool(options.run) + ["--overwrite"] * options.overwrite + ["--hidden"] * bool(options.hidden)
    if options.experiment or given:
        other = options.experiment or given[0]
        raise ConfigError(f"--resume takes everything from the run's config.toml; leave {other} out.")


def _print_measured(measured: Measured, name: str = "test") -> None:
    if not measured.examples:
        return
    print(_numbers(name, measured.numbers) + f"  ({measured.examples:,} examples)")
    if measured.apart is not None:
        if measured.apart.votes is not None:
            print(_numbers("votes", {"accuracy": measured.apart.votes}))
        print(_each("members", measured.apart))
    if measured.confusion is not None:
        print(f"\n{confusion_text(measured.confusion, measured.class_names)}")


def _numbers(name: str, row: dict[str, Any]) -> str:
    numbers = {key: value for key, value in row.items() if isinstance(value, float)}
    return f"{name:<10}  " + "  ".join(f"{key} {short(value)}" for key, value in numbers.items())


def _each(name: str, found: Apart) -> str:
    """Mean and spread over the members."""
    cells = [f"{key} {short(found.mean(key))} ± {short(found.spread(key))}" for key in found.members]
    return f"{name:<10}  " + "  ".join(cells)


def short(value: float) -> str:
    """A number in a few characters."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"

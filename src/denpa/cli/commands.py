"""The commands that look at what there is, or put a finished run to use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from denpa.cli.asked import assembled, is_run, reading, training_examples, wanted
from denpa.cli.output import free_file, free_table, put
from denpa.cli.parse import Places
from denpa.cli.printed import print_measured
from denpa.core.errors import ConfigError
from denpa.core.padded import values_of
from denpa.data.counted import counted
from denpa.lab.answers import answers_text, is_of_pairs
from denpa.lab.configs import check_options
from denpa.lab.describe import KINDS, check_experiment, heading, list_of, seen_shape
from denpa.lab.diagnosis import diagnose as inspect
from denpa.lab.measure import measure
from denpa.lab.overrides import read_value
from denpa.lab.sources import load_data
from denpa.lab.start import begin, model_of
from denpa.lab.trained import Trained, predictions_csv, predictions_npy
from denpa.training.onnx import export_onnx
from denpa.training.storage import write_bytes

__all__ = ["COMMANDS"]


def evaluate(options: Any, places: Places, words: list[str]) -> int:
    """Measure a trained model."""
    trained = Trained.of(wanted(options.run, "RUN", "evaluate"), ensembles=True)
    written = reading(places, options.data, "data")
    data = trained.labelled(options.data, **written) if options.data else trained.test_part()
    print_measured(measure(trained.model, data), "data" if options.data else "test")
    return 0


def predict(options: Any, places: Places, words: list[str]) -> int:
    """Predict from new examples, as CSV or .npy; from the lines of a text, line by line."""
    trained = Trained.of(wanted(options.run, "RUN", "predict"), ensembles=True)
    source = wanted(options.input, "--input FILE", "predict")
    output = free_table(options.output, options.overwrite, "Predictions", arrays=True) if options.output else None
    if output is not None and output.is_file() and Path(source).is_file() and output.samefile(source):
        raise ConfigError(f"--output {output} is the input: predictions in its place would be all that is left.")
    written = reading(places, source, "input")
    _refuse_arrays_of_lines(trained, options.layer, output)
    if is_of_pairs(trained.model):
        check_options(source, written, ())
        text = answers_text(trained.model, source)
        return put(text, output, counted(text.count(chr(10)), "answer"))
    if trained.kind == "series":
        text = trained.forecast(source, **written)
        return put(text, output, counted(text.count(chr(10)) - 1, "prediction"))
    x, files = trained.examples(source, **written)
    layer = options.layer or None
    if output is not None and output.suffix.lower() == ".npy":
        write_bytes(output, predictions_npy(trained.model, x, layer))
        print(f"{counted(len(values_of(x)), 'prediction')} in {output}")
        return 0
    return put(predictions_csv(trained.model, x, files, layer), output, counted(len(values_of(x)), "prediction"))


def _refuse_arrays_of_lines(trained: Trained, layer: str, output: Path | None) -> None:
    """Answers to texts and forecasts of a series are lines, without a layer to choose."""
    if not is_of_pairs(trained.model) and trained.kind != "series":
        return
    what = "Forecasts of a series" if trained.kind == "series" else "Answers to texts"
    if layer:
        raise ConfigError(f"{what} are the output of the whole network: leave --layer out.")
    if output is not None and output.suffix.lower() == ".npy":
        raise ConfigError(f"{what} are written as text, not as .npy.")


def export(options: Any, places: Places, words: list[str]) -> int:
    """Write a trained model as ONNX."""
    trained = Trained.of(wanted(options.run, "RUN", "export"))
    if places:
        raise ConfigError(f"--{places[0][0]} is for reading data, and export reads none: leave it out.")
    beside = Path(options.run) if trained.folder is None else trained.folder.model
    output = free_file(options.output or beside.with_name("model.onnx"), options.overwrite)
    if (ending := output.suffix.lower()) != ".onnx":
        raise ConfigError(
            f"export writes ONNX, into a file such as model.onnx, not {ending or 'one without an ending'}."
        )
    export_onnx(trained.model, output, probabilities=options.probabilities)
    print(
        f"{output}: x {trained.model.in_shape} for each example -> {'probabilities' if options.probabilities else 'y'}"
    )
    if trained.model.encoder is not None:
        print("x are the numbers that the run's encoder makes of a row or a text, not the row or the text itself.")
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
    if is_run(what, options, places):
        trained = Trained.of(what, ensembles=True)
        if trained.experiment is not None:
            print(f"{heading(trained.experiment, None)}\n")
        print(trained.model.summary())
        print(f"trained for {counted(trained.model.epochs, 'epoch')}, {counted(trained.model.steps, 'step')}")
        return 0
    experiment, look = assembled(options, places, read=False)
    print(f"{heading(experiment, None)}\n\n{experiment.network.summary(seen_shape(experiment, look.in_shape))}")
    return 0


def check(options: Any, places: Places, words: list[str]) -> int:
    """Compare gradients with both oracles."""
    what = wanted(options.experiment, "PRESET, CONFIG.toml or RUN", "check")
    if is_run(what, options, places):
        trained = Trained.of(what)
        if trained.experiment is None:
            raise ConfigError("A model file alone has no data to check gradients on: give its run folder.")
        print(check_experiment(trained.experiment, load_data(trained.experiment.data), trained.model))
    else:
        print(check_experiment(*assembled(options, places)))
    return 0


def diagnose(options: Any, places: Places, words: list[str]) -> int:
    """Take one step of training apart."""
    what = wanted(options.experiment, "PRESET, CONFIG.toml or RUN", "diagnose")
    figure = free_file(options.figure, options.overwrite) if options.figure else None
    written = [(place, value) for place, value in places if place.startswith("data.options.")]
    if is_run(what, options, places, "--data.source", *(f"--{place}" for place, _ in written)):
        trained = Trained.of(what)
        model, data = trained.model, training_examples(trained, options.data, written)
    else:
        experiment, prepared = assembled(options, places)
        model, data, plan = model_of(experiment), prepared.train, experiment.training
        model.encoder = prepared.encoder
        if plan.pretrain is None:  # which takes its time, and no step tells of it
            begin(model, plan, data)
    found = inspect(model, data)
    if figure is not None:  # before the text, whose reader may go early
        found.plot(figure)
    print(found)
    if figure is not None:
        print(f"\nkept in {figure}")
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
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "sample": sample,
    "summary": summary,
    "check": check,
    "diagnose": diagnose,
    "list": list_,
}

"""The commands that compare: `denpa cv` and `denpa sweep`."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from denpa.cli.asked import assembled
from denpa.cli.errors import half_written, unread
from denpa.cli.output import free_folder, free_table, made
from denpa.cli.parse import Places, changes_of, whole
from denpa.cli.printed import short
from denpa.core.errors import ConfigError
from denpa.data.counted import counted
from denpa.data.delimited import csv_text
from denpa.lab.describe import heading
from denpa.lab.experiment import Experiment
from denpa.lab.figures import sweep_picture
from denpa.lab.run_folder import free_name
from denpa.lab.selection import CrossValidation, SweepRow, best_of, cross_validate, sweep, values_of
from denpa.lab.sources import Prepared, load_folds
from denpa.training.storage import write_text

__all__ = ["COMMANDS"]

_HELD_BACK = 0.2


def cv(options: Any, places: Places, words: list[str]) -> int:
    """Cross-validate an experiment."""
    output = free_table(options.output, options.overwrite, "Scores") if options.output else None
    experiment, data = assembled(options, places)
    folds = load_folds(experiment.data, whole(options.folds, "folds", 2))
    with contextlib.nullcontext() if output is None else unread():
        print(f"{heading(experiment, data)}\n\n{len(folds)} folds of the training examples, loss without penalty\n")
        found = cross_validate(experiment, folds, lambda index, fold: _line(f"fold {index + 1}", fold.held_out))
        print()
        _line("mean", {name: found.mean(name) for name in found.names})
        _line("spread", {name: found.spread(name) for name in found.names})
        _line("training", {name: found.mean(name, held_out=False) for name in found.names})
    if output is not None:
        rows = [[index + 1, *fold.held_out.values()] for index, fold in enumerate(found.folds)]
        write_text(output, csv_text([["fold", *found.names], *rows]))
        print(f"\nkept in {output}")
    return 0


def sweep_(options: Any, places: Places, words: list[str]) -> int:
    """Train with each of several values of one option."""
    place, values, changes = _swept(options, changes_of(options, places), whole(options.steps, "steps", 2))
    experiment, data = assembled(options, places, changes=[*changes, (place, values[0])])
    folder = _folder(options, experiment.name)
    ours = not options.folds and data.validation is None
    if ours:
        changes = [("data.validation", _HELD_BACK), *changes]
        experiment, data = assembled(options, places, changes=[*changes, (place, values[0])])
    experiments = [(v, assembled(options, places, changes=[*changes, (place, v)], data=data)[0]) for v in values]
    folds = load_folds(experiment.data, whole(options.folds, "folds", 2)) if options.folds else [_hold_out(data)]
    held_out = 0 if data.validation is None else len(data.validation)
    split = f"{len(folds)} folds" if options.folds else f"{counted(held_out, 'example')} held out"
    width = max(len(place), *(len(_text(value)) for value in values))
    with unread():
        print(f"{heading(experiment, data)}\n")
        print(f"{place} over {counted(len(values), 'value')}, {split}, loss without penalty\n")
        print(_head(place, ["loss", *(metric.name for metric in experiment.metrics)], width, len(folds)), flush=True)
        rows = sweep(experiments, folds, lambda row: _row(row, width, len(folds)))
        best = best_of(rows)
        print(f"\nleast loss on what was held out: {place} = {_text(best.value)}")
    chosen = best.experiment
    if ours:  # what was held out here need not be held out when the choice is made
        chosen = chosen.replace(data=chosen.data.replace(validation=0.0))
    _keep(folder, place, rows, chosen)
    print(f"kept in {folder}: sweep.csv, sweep.png, best.toml (denpa train {folder / 'best.toml'})")
    return 0


COMMANDS = {"cv": cv, "sweep": sweep_}


def _swept(options: Any, changes: Places, steps: int) -> tuple[str, list[Any], Places]:
    """The option with several values, these values, and the other changes."""
    several = [(place, values) for place, value in changes if (values := _values(place, value, steps)) is not None]
    if len(several) != 1:
        found = f"{', '.join(place for place, _ in several) or 'none'}.{'' if several else _unswept(options, changes)}"
        raise ConfigError(
            "A sweep wants one option with a range or a list, such as --strength 1e-5..1e-1, --learning-rate "
            f"0.01,0.1,1 or --normalizer.steps.1.degree 1..9; found: {found}"
        )
    place, values = several[0]
    return place, values, [change for change in changes if change[0] != place]


def _unswept(options: Any, changes: Places) -> str:
    """What to do about several values for a preset's network or for the data, which are no sweep."""
    for name in ("hidden", "activation", "code"):
        given = "".join(getattr(options, name))
        if "," in given or ".." in given:
            layer = "--network.layers.2 ReLU,Tanh" if name == "activation" else "--network.layers.1.units 32,64"
            return f" --{name} has one value in a sweep: name a layer by its place instead, such as {layer}."
    data = [place for place, value in changes if place.startswith("data.") and values_of(value) is not None]
    return f" A sweep compares on the same data: give --{data[0]} one value." if data else ""


def _values(place: str, value: Any, steps: int) -> list[Any] | None:
    return None if place.startswith("data.") else values_of(value, steps)


def _hold_out(data: Prepared) -> Prepared:
    """One fold, whose test part is the validation part: the test part itself stays out of the choice."""
    return replace(data, test=None)


def _folder(options: Any, name: str) -> Path:
    return free_folder(options.run, options.overwrite, "run") if options.run else free_name("runs", f"sweep-{name}")


def _keep(folder: Path, place: str, rows: list[SweepRow], best: Experiment) -> None:
    made(folder)
    names = rows[0].scores.names
    head = [place, *(f"{name}{kind}" for name in names for kind in ("_training", "", "_spread"))]
    table = [[_text(row.value), *(n for name in names for n in _three(row.scores, name))] for row in rows]
    with half_written(folder):
        write_text(folder / "sweep.csv", csv_text([head, *table]))
        write_text(folder / "best.toml", best.to_toml())
        sweep_picture(rows, place, folder / "sweep.png")


def _three(scores: CrossValidation, name: str) -> tuple[float, float, float]:
    return scores.mean(name, held_out=False), scores.mean(name), scores.spread(name)


def _line(name: str, numbers: dict[str, float]) -> None:
    print(f"{name:<10}" + "".join(f"  {key} {short(value):>8}" for key, value in numbers.items()), flush=True)


def _head(place: str, names: list[str], width: int, folds: int) -> str:
    cells = "".join(f"  {name:>{_cell(name, folds)}}  {'training':>8}" for name in names)
    return f"{place:<{width}}{cells}"


def _row(row: SweepRow, width: int, folds: int) -> None:
    if math.isnan(row.scores.mean("loss")):
        print(f"{_text(row.value):<{width}}  diverged", flush=True)
        return
    cells = []
    for name in row.scores.names:
        training, mean, spread = _three(row.scores, name)
        held_out = f"{short(mean)} ± {short(spread)}" if folds > 1 else short(mean)
        cells.append(f"  {held_out:>{_cell(name, folds)}}  {short(training):>8}")
    print(f"{_text(row.value):<{width}}" + "".join(cells), flush=True)


def _cell(name: str, folds: int) -> int:
    return max(len(name), 17 if folds > 1 else 8)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

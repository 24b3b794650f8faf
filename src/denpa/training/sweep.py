"""The same model many times over, with other seeds and other numbers, in one compiled program."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.training.arguments import batch_size_of, verbosity
from denpa.training.compile_cache import use_compile_cache
from denpa.training.history import History
from denpa.training.inputs import padded_batches
from denpa.training.interrupts import interrupts_wait
from denpa.training.loop import summarize
from denpa.training.members import Members, Together, member_of, member_programs_for, with_number
from denpa.training.model import Model
from denpa.training.preparation import network_shape, prepared_data, size_of_batches
from denpa.training.progress import Progress

__all__ = ["Sweep", "sweep"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What became of every member of a sweep.

    Attributes:
        rows: for each member its numbers by place, its seed, whether it stayed finite, and its last measurements.
        histories: for each member its history.
        models: for each member its trained model.
    """

    rows: tuple[dict[str, Any], ...]
    histories: tuple[History, ...]
    models: tuple[Model, ...]

    def best(self, column: str = "validation_loss", largest: bool = False) -> int:
        """The member with the smallest (largest) number in a column of `rows`, among those that stayed finite."""
        if column not in self.rows[0]:
            raise ConfigError(f"No column {column!r}: {nearest(column, self.rows[0], plural='columns')}")
        alive = [index for index, row in enumerate(self.rows) if row["finite"]]
        if not alive:
            raise ConfigError("No member of the sweep stayed finite: try smaller learning rates.")
        return (max if largest else min)(alive, key=lambda index: self.rows[index][column])

    def __str__(self) -> str:
        names = list(self.rows[0])
        cells = [names, *([_text(row[name]) for name in names] for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in cells)


def sweep(
    model: Model,
    data: Any,
    over: Mapping[str, Any] | None = None,
    *,
    seeds: Any = None,
    validation: Any = None,
    epochs: int = 10,
    batch_size: int | str | None = None,
    shuffle: bool = True,
    verbose: Any = "auto",
) -> Sweep:
    """Train a model with every combination of numbers and seeds at once; each comes out as if trained alone.

        found = dp.sweep(model, (x, t), {"optimizer.learning_rate": [1e-3, 1e-2]}, seeds=range(5), validation=0.1)
        print(found); best = found.models[found.best()]

    The numbers are arguments of the compiled program: as many values as you like cost one compilation. All members
    must have arrays of the same shapes, so sizes of layers cannot be swept over, nor what decides the program.

    Args:
        model: a model that has not been trained; it is left as it is but for its normaliser's statistics.
        data, validation, epochs, batch_size, shuffle, verbose: as for `Model.fit`.
        over: values by place, such as "optimizer.learning_rate", "penalty.strength", "net.layers.2.strength".
        seeds: the seeds of the members; the model's own when None.

    Raises:
        ConfigError: a place without a number, a value that its description refuses, or one that decides the program.
        DataError, ShapeError: the data do not fit.
    """
    if not isinstance(model, Model) or model.steps:
        raise ConfigError("sweep wants a Model that has not been trained.")
    over = {place: list(values) for place, values in (over or {}).items()}
    chosen = [model.seed] if seeds is None else [int(seed) for seed in seeds]
    grid = [dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())]
    members = [(numbers, seed) for numbers in grid for seed in chosen]
    if not members:
        raise ConfigError("A sweep wants a value or more for each place, and a seed or more.")
    described = [_described(model, numbers, seed) for numbers, seed in members]
    use_compile_cache()
    train, held_out = prepared_data(model, data, validation)
    examples = len(jax.tree.leaves(train[0])[0])
    programs = member_programs_for(model.programs.recipe, tuple(over))
    all_seeds = np.array([seed for _, seed in members], np.uint32)
    runs = programs.init(all_seeds, network_shape(model))
    numbers = {place: jax.device_put(np.array([float(own[place]) for own, _ in members])) for place in over}
    plan = Together.of(examples, batch_size_of(batch_size, examples), all_seeds, shuffle, None)
    training = Members(programs, runs, numbers, model.statistics, train, None, plan)
    held = None if held_out is None else padded_batches(*held_out, size_of_batches(model, len(members)))
    try:
        with interrupts_wait() as interrupted:
            training.go(int(epochs), lambda: _measured(training, held), Progress(verbosity(verbose)), interrupted)
    except jax.errors.JAXTypeError as error:
        raise ConfigError(
            f"Among {', '.join(over)} is a number that decides the compiled program: train one model for each value."
        ) from error
    return _gathered(model, training, members, described)


def _described(model: Model, numbers: dict[str, Any], seed: int) -> Model:
    """The model of one member, its descriptions checked."""
    own = copy.copy(model)
    own.seed, own.history = seed, History()
    recipe = model.programs.recipe
    for place, number in numbers.items():
        recipe = with_number(recipe, place, float(number))
    for name in ("net", "loss", "optimizer", "penalty", "normalizer", "target_normalizer"):
        part = getattr(recipe, name)
        if part is not getattr(model.programs.recipe, name):
            _look(part)
            setattr(own, name, part)
    return own


def _look(part: Any) -> None:
    """What a description refuses, this refuses too."""
    if isinstance(part, tuple):
        for entry in part:
            _look(entry)
    elif hasattr(part, "validate"):
        for value in vars(part).values():
            _look(value)
        part.validate()


def _measured(training: Members, held: Any) -> dict[str, Any]:
    """Validation measurements of every member into its history; their means to be shown."""
    if held is None:
        return {}
    programs, runs, numbers = training.programs, training.runs, training.numbers
    logs = [programs.measure_apart(runs.params, runs.state, numbers, training.statistics, *batch) for batch in held]
    stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *logs)
    for member, history in enumerate(training.histories):
        row = summarize(programs.recipe, jax.tree.map(lambda a, m=member: a[:, m], stacked))
        history.epochs[-1] |= {f"validation_{name}": value for name, value in row.items()}
    rows = [history.epochs[-1] for history in training.histories]
    names = [n for n, value in rows[0].items() if n.startswith("validation_") and isinstance(value, float)]
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _gathered(model: Model, training: Members, members: Any, described: list[Model]) -> Sweep:
    rows = []
    for index, ((numbers, seed), own) in enumerate(zip(members, described, strict=True)):
        history = training.histories[index]
        last = {k: v for k, v in history.epochs[-1].items() if isinstance(v, float)}
        rows.append({**numbers, "seed": seed, "finite": bool(training.finite[index]), **last})
        own.run = member_of(training.runs, index)
        own.history, own.epochs, own.steps = history, training.at.epoch, training.steps
        own.statistics, own.in_shape = model.statistics, model.in_shape
        own.class_names, own.feature_names = model.class_names, model.feature_names
    return Sweep(tuple(rows), tuple(training.histories), tuple(described))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

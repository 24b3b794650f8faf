"""The same model many times over, with other seeds and other numbers, in one compiled program."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from denpa.core.errors import ConfigError, ShapeError, nearest
from denpa.data.arguments import as_flag, as_number
from denpa.training import checkpoint
from denpa.training.arguments import batch_size_of, check_training, verbosity, wanted_seed
from denpa.training.callbacks import as_callbacks
from denpa.training.compile_cache import use_compile_cache
from denpa.training.early_stopping import EarlyStopping
from denpa.training.history import History
from denpa.training.interrupts import interrupts_wait
from denpa.training.members import member_of, member_programs_for, with_number
from denpa.training.members_loop import Members, Stacked, begun, check_options
from denpa.training.members_plan import Together
from denpa.training.model import Model
from denpa.training.preparation import batches_to_measure, network_shape, prepared_data, warn_before_training
from denpa.training.progress import Progress
from denpa.training.windows import check_window

__all__ = ["Sweep", "sweep"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What became of every member of a sweep.

    Attributes:
        rows: for each member its numbers by place, its seed, whether it stayed finite, and its last measurements; with
            `EarlyStopping` the epoch that was kept, and the measurements with its parameters.
        histories: for each member its history.
        models: for each member its trained model.
    """

    rows: tuple[dict[str, Any], ...]
    histories: tuple[History, ...]
    models: tuple[Model, ...]

    def best(self, column: str = "validation_loss", largest: bool = False) -> int:
        """The member with the smallest (largest) number in a column of `rows`, among those that stayed finite.

        A member that was stopped before its first epoch had ended has no `loss` (NaN), and is passed over there.

        Raises:
            ConfigError: an unknown column, one that no member has a number in, or no member that stayed finite.
        """
        as_flag(largest, "largest")
        if column not in self.rows[0]:
            raise ConfigError(f"No column {column!r}: {nearest(column, self.rows[0], plural='columns')}")
        alive = [index for index, row in enumerate(self.rows) if row["finite"]]
        if not alive:
            raise ConfigError("No member of the sweep stayed finite: try smaller learning rates.")
        known = [index for index in alive if not math.isnan(self.rows[index][column])]
        if not known:
            raise ConfigError(f"No member has a number in the column {column!r}: none was trained for an epoch.")
        return (max if largest else min)(known, key=lambda index: self.rows[index][column])

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
    replacement: bool = False,
    callbacks: Any = (),
    verbose: Any = "auto",
    record_steps: bool = False,
    window: int | None = None,
    buckets: int | None = None,
    resume: Any = None,
) -> Sweep:
    """Train a model with every combination of numbers and seeds at once; each comes out as if trained alone.

        found = dp.sweep(model, (x, t), {"optimizer.learning_rate": [1e-3, 1e-2]}, seeds=range(5), validation=0.1)
        print(found); best = found.models[found.best()]

    The numbers are arguments of the compiled program: as many values as you like cost one compilation. All members
    must have arrays of the same shapes, so sizes of layers cannot be swept over, nor what decides the program.

    Args:
        model: a model that has not been trained; it is left as it is. Where it was given weights, all members start
            from these.
        data, validation, epochs, batch_size, shuffle, replacement, verbose, record_steps, window: as for `Model.fit`.
        over: values by place, such as "optimizer.learning_rate", "penalty.strength", "net.layers.2.strength".
        seeds: the seeds of the members; the model's own when None.
        callbacks: `EarlyStopping`, which ends and takes back each member for itself, `Checkpoint`, or functions called
            after each epoch with the training of all members.
        buckets: refused, as is `EarlyStopping(retrain=...)`.
        resume: a folder with a checkpoint of this very sweep.

    Raises:
        ConfigError: a place without a number, a value that its description refuses, or one that decides the program.
        DataError, ShapeError: the data do not fit.
        FileFormatError, StorageError: a checkpoint that cannot be read or written.
    """
    if not isinstance(model, Model) or model.steps:
        raise ConfigError("sweep wants a Model that has not been trained.")
    check_training(model, epochs, shuffle=shuffle, replacement=replacement, record_steps=record_steps)
    over = _lists({} if over is None else over)
    members = _combinations(over, [model.seed] if seeds is None else seeds)
    described = [_described(model, numbers, seed) for numbers, seed in members]
    use_compile_cache()
    rules, given = _checked(callbacks, buckets), model.run is not None
    model = copy.copy(model)  # which the data build, with their statistics and names
    train, held_out = prepared_data(model, data, validation)
    examples = len(jax.tree.leaves(train[0])[0])
    window = check_window(window, model.net, *train[:2])
    programs = member_programs_for(dataclasses.replace(model.programs.recipe, window=window), tuple(over))
    stacked = Grid(model, programs, members)
    order = {"shuffle": shuffle, "replacement": replacement, "window": window}
    rows = [np.arange(examples, dtype=np.int32)] * len(members)
    plan = Together.of(rows, batch_size_of(batch_size, examples), stacked.seeds, **order)
    held = None if held_out is None else batches_to_measure(model, held_out, len(members))
    options = {"validation": held, "record_steps": record_steps, "resumed": resume is not None, "independent": True}
    options["callbacks"] = (*rules, Progress(verbosity(verbose)))
    try:
        stacked.begin(given)
        training = Members(stacked, programs, train, plan, int(epochs), **options)
        if resume is not None:
            checkpoint.restore(training, resume)
        warn_before_training(model, train, plan.plans[0].batch_size)
        with interrupts_wait() as interrupted:
            training.go(interrupted)
    except jax.errors.JAXTypeError as error:
        raise _decisive(over) from error
    return _gathered(training, described, any(isinstance(rule, EarlyStopping) for rule in rules))


class Grid(Stacked):
    """The stacked numbers of a sweep."""

    def __init__(self, model: Model, programs: Any, members: list[tuple[dict[str, Any], int]]) -> None:
        super().__init__(len(members))
        self.model, self.programs, self.members = model, programs, members
        self.statistics = model.statistics
        self.seeds = np.array([seed for _, seed in members], np.uint32)
        columns = {place: [float(own[place]) for own, _ in members] for place in members[0][0]}
        self.numbers = {place: jax.device_put(np.array(column)) for place, column in columns.items()}

    def begin(self, given: bool) -> None:
        """The members before their first step; see `begun`."""
        try:
            self.run = begun(self.programs, self.model, self.seeds, network_shape(self.model), self.numbers, given)
        except ShapeError as error:  # the data fit, so it is of the numbers
            raise _decisive(self.numbers) from error

    def description(self) -> dict[str, Any]:
        """All that describes the members, as plain values for JSON."""
        own = [{**numbers, "seed": seed} for numbers, seed in self.members]
        return {**self.model.description(), "members": own, "epochs": self.epochs, "steps": self.steps}


def _lists(over: Any) -> dict[str, list[Any]]:
    if not isinstance(over, Mapping) or not all(_is_list(values) for values in over.values()):
        raise ConfigError(
            f'over wants a list of values for each place: {{"penalty.strength": [0.1, 1]}}, not {over!r}.'
        )
    lists = {place: list(values) for place, values in over.items()}
    for place, values in lists.items():
        if not isinstance(place, str):
            raise ConfigError(f'A place in over is a text such as "optimizer.learning_rate", not {place!r}.')
        for value in values:
            as_number(value, place, -math.inf)
    return lists


def _is_list(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str) and getattr(values, "ndim", 1) > 0


def _combinations(over: dict[str, list[Any]], seeds: Any) -> list[tuple[dict[str, Any], int]]:
    """The numbers by place and the seed of every member."""
    chosen = list(seeds) if _is_list(seeds) else [seeds]
    chosen = [wanted_seed(seed) for seed in chosen]
    grid = [dict(zip(over, values, strict=True)) for values in itertools.product(*over.values())]
    members = [(numbers, seed) for numbers in grid for seed in chosen]
    if not members:
        raise ConfigError("A sweep wants a value or more for each place, and a seed or more.")
    return members


def _decisive(places: Any) -> ConfigError:
    return ConfigError(
        f"Among {', '.join(places)} is a number that decides the compiled program: train one model for each value."
    )


def _checked(callbacks: Any, buckets: Any) -> tuple[Any, ...]:
    """Callbacks as descriptions; what a sweep cannot do is refused."""
    rules = as_callbacks(callbacks)
    check_options(rules, buckets)
    if any(isinstance(rule, EarlyStopping) and rule.members == "together" for rule in rules):
        raise ConfigError(
            'EarlyStopping(members="together") ends all members at one moment, but every member of a sweep is trained '
            "as if alone: leave members out."
        )
    return rules


def _described(model: Model, numbers: dict[str, Any], seed: int) -> Model:
    """The model of one member, its descriptions checked."""
    own = copy.copy(model)
    own.seed, own.history = seed, History()
    recipe = model.programs.recipe
    for place, number in numbers.items():
        recipe = with_number(recipe, place, number)
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


def _gathered(training: Members, described: list[Model], stopping: bool) -> Sweep:
    stacked: Grid = training.model
    rows, model = [], stacked.model
    if stopping:
        training.measure_apart()  # with the parameters that were returned to
    for index, ((numbers, seed), own) in enumerate(zip(stacked.members, described, strict=True)):
        history = stacked.histories[index]
        last = {**history.kept, **(training.held[index] if training.held else {})}
        last = {name: value for name, value in last.items() if isinstance(value, float)}
        best = {"best_epoch": history.best_epoch} if stopping else {}
        rows.append({**numbers, "seed": seed, "finite": bool(training.finite[index]), **best, **last})
        own.run = member_of(stacked.run, index)
        own.history, own.epochs, own.steps = history, stacked.member_epochs[index], int(own.run.step)
        own.statistics, own.in_shape = stacked.statistics, model.in_shape
        own.class_names, own.feature_names = model.class_names, model.feature_names
    # Who was stopped before its first epoch had ended lacks what is measured on the training data.
    columns = dict.fromkeys((name for row in rows for name in row), float("nan"))
    return Sweep(tuple(columns | row for row in rows), tuple(stacked.histories), tuple(described))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

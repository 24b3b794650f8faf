"""The command `denpa landscape`: paths on a surface of two weights, or the error of a run over a plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from denpa.cli.asked import training_examples, wanted
from denpa.cli.errors import half_written, unread
from denpa.cli.output import free_folder, made
from denpa.cli.parse import Places, number, refuse_options, whole
from denpa.cli.printed import short
from denpa.core.errors import ConfigError, nearest
from denpa.data.counted import counted
from denpa.data.dataset import Dataset
from denpa.data.delimited import csv_text
from denpa.lab.figures import loss_surface_picture, paths_animation, paths_picture
from denpa.lab.landscapes import SURFACES, Surface, contestants, trajectory
from denpa.lab.loss_surface import LossSurface, loss_surface, plane_through, random_direction
from denpa.lab.run_folder import free_name
from denpa.lab.trained import Trained
from denpa.training.inputs import rows_of
from denpa.training.storage import write_bytes, write_text

__all__ = ["COMMANDS"]

_MOST_EXAMPLES = 2000
_OF_SURFACES = ("optimizers", "learning_rate", "start", "steps", "noise")
_OF_RUNS = ("through", "span", "resolution", "data")


def landscape(options: Any, places: Places, words: list[str]) -> int:
    """Paths of optimisers on a surface, or the error of a trained network over a plane of its parameters."""
    what = wanted(options.surface, "a SURFACE or a RUN", "landscape")
    if what in SURFACES:
        if places:
            raise ConfigError(f"--{places[0][0]} is for the data of a RUN: {what} has none.")
        refuse_options(options, _OF_RUNS, f"a RUN, and {what} is a surface")
        return _paths(what, SURFACES[what], options)
    if not Path(what).exists():
        raise ConfigError(f"There is no run {what}, and no such surface: {nearest(what, SURFACES, plural='surfaces')}")
    refuse_options(options, _OF_SURFACES, f"a SURFACE, and {what} is a run or a model file")
    return _plane(what, options, places)


def _paths(name: str, surface: Surface, options: Any) -> int:
    rate = number(options.learning_rate, "learning-rate") if options.learning_rate else None
    known = contestants(surface, rate)
    for optimizer in options.optimizers:
        if optimizer not in known:
            raise ConfigError(f"Unknown optimizer {optimizer!r}: {nearest(optimizer, known, plural='optimizers')}")
    start = [number(text, "start") for text in options.start] or None
    run = {"noise": number(options.noise, "noise"), "seed": whole(options.seed, "seed")}
    steps = whole(options.steps, "steps")
    chosen = {key: known[key] for key in options.optimizers or known}
    folder = _folder(options, f"landscape-{name}")
    paths = {key: trajectory(surface, optimizer, start, steps, **run) for key, optimizer in chosen.items()}
    errors = {key: np.asarray(surface.value(jax.numpy.asarray(path))) for key, path in paths.items()}
    begun = ", ".join(f"{w:g}" for w in paths[next(iter(paths))][0])
    with unread():
        print(f"{surface!r}, {counted(steps, 'step')} from ({begun})\n")
        _tell_ends(errors, chosen)
    made(folder)
    rows = [
        (key, step, *map(float, point), float(E))
        for key, path in paths.items()
        for step, (point, E) in enumerate(zip(path, errors[key], strict=True))
    ]
    with half_written(folder):
        write_text(folder / "paths.csv", csv_text([("optimizer", "step", "w1", "w2", "error"), *rows]))
        paths_picture(surface, paths, folder / "paths.png", title=name)
        write_bytes(folder / "paths.gif", paths_animation(surface, paths, title=name))
    print(f"\nkept in {folder}: paths.png, paths.gif, paths.csv")
    return 0


def _tell_ends(errors: dict[str, np.ndarray], chosen: dict[str, Any]) -> None:
    width = max(map(len, chosen))
    print(f"{'':{width}}  {'E at the end':>12}  {'least E':>10}  optimizer")
    for key, E in errors.items():
        least = float(np.nanmin(np.where(np.isfinite(E), E, np.nan)))
        print(f"{key:{width}}  {short(float(E[-1])):>12}  {short(least):>10}  {chosen[key]!r}")


def _plane(what: str, options: Any, places: Places) -> int:
    if len(options.through) > 2:
        raise ConfigError(f"A plane goes through two other runs at most, not {len(options.through)}.")
    folder, trained = _folder(options, f"landscape-{Path(what).stem}"), Trained.of(what)
    others = [Trained.of(run).model.variables.params for run in options.through]
    model, seed = trained.model, whole(options.seed, "seed")
    data = _examples(training_examples(trained, options.data, places), seed)
    params, directions = model.variables.params, None
    if others:
        aside = others[1] if len(others) == 2 else _beside(params, seed)
        directions = plane_through(params, others[0], aside)
    span = _span(options.span, (-0.5, 1.5) if others else (-1.0, 1.0))
    size = whole(options.resolution, "resolution")
    surface = loss_surface(model, data, directions, span=span, resolution=size, seed=seed)
    names = [Path(run).stem for run in (what, *options.through)]
    marks = dict(zip(names, (surface.project(place) for place in (params, *others)), strict=False))
    with unread():
        _tell(surface, len(jax.tree.leaves(data)[0]))
    made(folder)
    rows = [
        (float(a), float(b), float(surface.errors[row, column]))
        for row, b in enumerate(surface.b)
        for column, a in enumerate(surface.a)
    ]
    with half_written(folder):
        write_text(folder / "surface.csv", csv_text([("a", "b", "error"), *rows]))
        loss_surface_picture(surface, folder / "surface.png", marks=marks)
    print(f"\nkept in {folder}: surface.png, surface.csv")
    return 0


def _tell(surface: LossSurface, examples: int) -> None:
    E = surface.errors
    row, column = np.unravel_index(np.nanargmin(np.where(np.isfinite(E), E, np.nan)), E.shape)
    size = f"{E.shape[0]} x {E.shape[1]}"
    print(f"E over {size} points of a plane, on {counted(examples, 'example')}: loss and penalty\n")
    print(f"least E    {short(float(E[row, column]))} at a = {surface.a[column]:.3g}, b = {surface.b[row]:.3g}")
    print(f"largest E  {short(float(np.nanmax(E)))}")


def _examples(found: Dataset, seed: int) -> tuple[Any, Any]:
    """All examples, or a random part where there are many."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(found))[:_MOST_EXAMPLES])
    x, t, _ = rows_of((found.inputs, found.t, None), rows)
    return x, t


def _span(texts: tuple[str, ...], otherwise: tuple[float, float]) -> tuple[float, float]:
    """The least and the largest coordinate: two numbers, or s for (-s, s)."""
    numbers = [number(text, "span") for text in texts]
    if len(numbers) > 2:
        raise ConfigError(f"--span wants one number or two, not {len(numbers)}.")
    return (-numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1]) if numbers else otherwise


def _beside(params: Any, seed: int) -> Any:
    """A third point, for a plane through two: some way off in a random direction."""
    return jax.tree.map(jax.numpy.add, params, random_direction(params, seed))


def _folder(options: Any, name: str) -> Path:
    return free_folder(options.output or free_name("runs", name), options.overwrite, "output")


COMMANDS = {"landscape": landscape}

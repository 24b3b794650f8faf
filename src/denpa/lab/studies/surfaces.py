"""What studies of error surfaces over two weights have in common: paths from many starts, picture and table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from denpa.lab.figures import paths_animation, paths_picture
from denpa.lab.landscapes import Surface, trajectory
from denpa.lab.studies.study import Check, Picture, Plan, Result, Text

__all__ = ["first_step", "paths_from", "scattered", "shown"]

_CAPTION = Text(
    "Left: the paths on the contours of E; circles are starts, larger marks ends. Right: E above its lowest value.",
    "左：誤差 E の等高線と各手法の軌跡（丸は出発点、大きな印は終点）。右：E の最小値からの差。",
)


def paths_from(surface: Surface, optimizers: dict[str, Any], starts: list[Any], steps: int) -> dict[str, np.ndarray]:
    """For each optimiser its paths from all starts (starts, steps + 1, 2)."""
    return {name: np.stack([trajectory(surface, o, at, steps) for at in starts]) for name, o in optimizers.items()}


def first_step(paths: np.ndarray, reached: Callable[[np.ndarray], Any]) -> np.ndarray:
    """For each path the first step at which it has reached something; the number of all steps where it never does."""
    there = np.asarray(reached(paths))
    return np.where(there.any(axis=1), there.argmax(axis=1), paths.shape[1])


def shown(surface: Surface, paths: dict[str, np.ndarray], checks: tuple[Check, ...], steps: int) -> Result:
    """Checks, with a picture and a table of the first paths up to a step."""
    drawn = {name: points[0, : steps + 1] for name, points in paths.items()}
    picture = Picture("paths", _CAPTION, paths_picture(surface, drawn), paths_animation(surface, drawn))
    rows = [
        {"optimiser": name, "step": step, "w1": w1, "w2": w2, "error": error}
        for name, points in drawn.items()
        for step, ((w1, w2), error) in enumerate(zip(points, np.asarray(surface.value(points)), strict=True))
    ]
    return Result(checks, (picture,), tuple(rows))


def scattered(plan: Plan, low: Any, high: Any) -> list[np.ndarray]:
    """A start for each seed, evenly distributed between two points."""
    return [np.random.default_rng(seed).uniform(low, high) for seed in plan.seeds]

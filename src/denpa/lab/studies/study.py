"""The study: a claim about learning, how it is put to the test, and what the test has shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError

__all__ = ["LANGUAGES", "Check", "Picture", "Plan", "Result", "Study", "Text"]

LANGUAGES = ("en", "ja")


@dataclass(frozen=True)
class Text:
    """The same words in English and Japanese."""

    en: str
    ja: str

    def of(self, language: str) -> str:
        """In one of `LANGUAGES`."""
        return self.ja if language == "ja" else self.en


@dataclass(frozen=True)
class Plan:
    """How a study is run.

    Args:
        full: on MNIST and for as long as the claim was made for; otherwise on small data, in seconds.
        seeds: each gives an independent repetition, of starting weights, order of examples and drawn data.
    """

    full: bool = False
    seeds: tuple[int, ...] = (0, 1, 2)

    def pick(self, quick: Any, full: Any) -> Any:
        """One of two values, by the size of the run."""
        return full if self.full else quick


@dataclass(frozen=True)
class Check:
    """A number that the claim speaks of, measured once for each seed, and the bounds it must lie in.

    Args:
        claim: what is measured, and what that stands for.
        values: one measured number for each seed, or a single one where nothing is random.
        low, high: the bounds, both included.
        contradicts: the bounds say the opposite of what is commonly claimed; the page points that out.

    Raises:
        ConfigError: there are no values.
    """

    claim: Text
    values: Any
    low: float = -math.inf
    high: float = math.inf
    contradicts: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(float(value) for value in np.ravel(np.asarray(self.values))))
        if not self.values:
            raise ConfigError(f"The check {self.claim.en!r} has no values: nothing was measured that could fail.")

    @property
    def passed(self) -> bool:
        """Whether every value lies within the bounds; a value that is not a number never does."""
        return all(self.low <= value <= self.high for value in self.values)

    @property
    def expected(self) -> str:
        """The bounds in signs: ≥ 0.9; ≈ where they are too near each other to be told apart."""
        if f"{self.low:.4g}" == f"{self.high:.4g}":
            return f"{'=' if self.low == self.high else '≈'} {self.low:.4g}"
        if math.isinf(self.high):
            return f"≥ {self.low:.4g}"
        return f"≤ {self.high:.4g}" if math.isinf(self.low) else f"{self.low:.4g} … {self.high:.4g}"

    @property
    def measured(self) -> str:
        """The mean over the seeds and, in brackets, the smallest and the largest value."""
        if len(self.values) == 1:
            return f"{self.values[0]:z.4g}"
        low, high = min(self.values), max(self.values)
        return f"{float(np.mean(self.values)):z.4g} [{low:z.4g} … {high:z.4g}]"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its caption.

    Args:
        name: of its files, such as "accuracy".
        caption: what there is to see.
        figure: a matplotlib figure; its labels are English or mathematical, `terms` knows them in Japanese.
        animation: the bytes of a GIF that shows the same in motion, where there is one.
    """

    name: str
    caption: Text
    figure: Any
    animation: bytes = b""


@dataclass(frozen=True, eq=False)
class Result:
    """What a study has shown.

    Args:
        checks: the claim in numbers.
        pictures: to be looked at.
        rows: the numbers behind the pictures, as rows of a table with equal columns.
        setting: on what it was run, where that was decided by the run: data, sizes, steps.
    """

    checks: tuple[Check, ...]
    pictures: tuple[Picture, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    setting: Text | None = None

    @property
    def passed(self) -> bool:
        """Whether all checks have passed."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, eq=False)
class Study:
    """A claim about learning that can be put to the test.

    Args:
        name: as on the command line, such as "activation-and-initialisation".
        chapter: the heading that it belongs under.
        title: one line.
        claim: what is to be seen, in a sentence or a few.
        formula: what it rests on, each in LaTeX as matplotlib's mathtext reads it.
        setting: networks, data, learning rates: all that it takes to do it again.
        run: puts it to the test.
        remark: a condition, a variant, a pitfall; or where the common claim does not hold up, what holds instead.
        contradicts: the remark is of the latter kind, and the page says so above it.
    """

    name: str
    chapter: Text
    title: Text
    claim: Text
    setting: Text
    run: Callable[[Plan], Result]
    formula: tuple[str, ...] = field(default=())
    remark: Text | None = None
    contradicts: bool = False

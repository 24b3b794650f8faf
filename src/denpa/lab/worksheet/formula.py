r"""Formulas as trees, read from a small part of LaTeX: one source for MathML and for LaTeX.

    read(r"\delta_k^(2) = \blank{y_k^(2) - d_k}", labels)

What is read: letters, numbers, `_` and `^` with one item or braces, `\frac{}{}`, `\sum` and `\lim` with limits,
`\left( \right)`, `\matrix{a & b \\ c & d}`, `\cases{value & condition \\ ...}`, `\mathbf{y}`, `\T` (transposed),
Greek letters, functions and signs by name. Two things are not LaTeX: `^(2)` is the number of a layer in
parentheses, and `\blank{...}` is an answer, which a worksheet may leave out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from denpa.core.errors import ConfigError

__all__ = ["Box", "Cases", "Fenced", "Formula", "Fraction", "Grid", "Group", "Number", "Script", "Sign", "Symbol"]
__all__ += ["FUNCTIONS", "GREEK", "LARGE", "SIGNS", "read"]

GREEK = {"Delta": "Δ", "alpha": "α", "delta": "δ", "eta": "η", "epsilon": "ε"}
FUNCTIONS = ("exp", "log", "max", "min", "tanh")
LARGE = {"sum": "∑", "lim": "lim"}  # their limits stand below and above
SIGNS = {
    "partial": "∂", "cdots": "⋯", "ldots": "…", "vdots": "⋮", "ddots": "⋱", "ge": "≥", "le": "≤",
    "ne": "≠", "to": "→", "gets": "←", "odot": "⊙", "cdot": "⋅", "times": "×", "approx": "≈", "quad": " ", "colon": ":",
}  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    """A letter or the name of a function; `style` is "italic", "bold" or "upright"."""

    name: str
    style: str = "italic"


@dataclass(frozen=True)
class Number:
    """A number; a float is shown with four significant digits."""

    value: float | int


@dataclass(frozen=True)
class Sign:
    """An operator, a parenthesis, dots; by its name in `SIGNS` or `LARGE`, or as it is written."""

    name: str


@dataclass(frozen=True)
class Group:
    """Things in a row."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Script:
    """A base with something below right and above right; large signs have it straight below and above."""

    base: Formula
    below: Formula | None = None
    above: Formula | None = None


@dataclass(frozen=True)
class Fraction:
    """over / under."""

    over: Formula
    under: Formula


@dataclass(frozen=True)
class Fenced:
    """Something between parentheses as tall as it is."""

    body: Formula
    left: str = "("
    right: str = ")"


@dataclass(frozen=True)
class Grid:
    """A matrix between parentheses, by rows."""

    rows: tuple[tuple[Formula, ...], ...]


@dataclass(frozen=True)
class Cases:
    """Values, each with the condition under which it holds."""

    rows: tuple[tuple[Formula, ...], ...]


@dataclass(frozen=True)
class Box:
    """A blank to fill in: its label, and the answer."""

    label: str
    answer: Formula


Formula = Symbol | Number | Sign | Group | Script | Fraction | Fenced | Grid | Cases | Box

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\\\|\d+(?:\.\d+)?|\S")


def read(source: str, labels: Iterator[str] = iter(())) -> Formula:
    """The tree of a formula.

    Args:
        source: the formula, in the part of LaTeX that the module names.
        labels: the labels of its blanks, in their order.

    Raises:
        ConfigError: a command that is not known, a brace that is not closed, a blank without a label.
    """
    reader = _Reader(source, labels)
    tree = reader.row(())
    if reader.tokens:
        raise ConfigError(f"{source!r}: {reader.tokens[0]!r} closes nothing.")
    return tree


class _Reader:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, source: str, labels: Iterator[str]) -> None:
        self.source, self.labels = source, labels
        self.tokens = _TOKEN.findall(source)

    def row(self, stops: tuple[str, ...]) -> Formula:
        """Items up to one of `stops`, which stays."""
        parts: list[Formula] = []
        while self.tokens and self.tokens[0] not in (*stops, "}"):
            parts.append(self.item())
        return parts[0] if len(parts) == 1 else Group(tuple(parts))

    def item(self) -> Formula:
        base, below, above = self.atom(self.take()), None, None
        while self.tokens and self.tokens[0] in "_^":
            if self.take() == "_":
                below = self.argument()
            else:
                above = self.layer() if self.tokens and self.tokens[0] == "(" else self.argument()
        return base if below is above is None else Script(base, below, above)

    def layer(self) -> Formula:
        """The number of a layer, as in y^(2)."""
        self.take("(")
        inside = self.row((")",))
        self.take(")")
        return Group((Sign("("), *(inside.parts if isinstance(inside, Group) else (inside,)), Sign(")")))

    def atom(self, token: str) -> Formula:
        name = token[1:]
        if token == "{":
            return self.closed()
        if not token.startswith("\\"):
            return Symbol(token) if token.isalpha() else Number(_number(token)) if token[0].isdigit() else Sign(token)
        if name in GREEK:
            return Symbol(name)
        if name in FUNCTIONS:
            return Symbol(name, "upright")
        if name in SIGNS or name in LARGE:
            return Sign(name)
        if name == "T":
            return Symbol("T", "upright")
        if name in _COMMANDS:
            return _COMMANDS[name](self)
        raise ConfigError(f"{self.source!r}: unknown command {token!r}.")

    def bold(self) -> Formula:
        inside = self.argument()
        if not isinstance(inside, Symbol):
            raise ConfigError(f"{self.source!r}: \\mathbf wants one letter.")
        return Symbol(inside.name, "bold")

    def blank(self) -> Formula:
        label = next(self.labels, None)
        if label is None:
            raise ConfigError(f"{self.source!r}: there is no label for its blank.")
        return Box(label, self.argument())

    def fenced(self) -> Formula:
        left = self.take()
        body = self.row(("\\right",))
        self.take("\\right")
        return Fenced(body, left, self.take())

    def table(self) -> tuple[tuple[Formula, ...], ...]:
        self.take("{")
        rows: list[list[Formula]] = [[self.row(("&", "\\\\"))]]
        while (sign := self.take()) != "}":
            cell = self.row(("&", "\\\\"))
            if sign == "&":
                rows[-1].append(cell)
            else:
                rows.append([cell])
        return tuple(map(tuple, rows))

    def argument(self) -> Formula:
        return self.atom(self.take())

    def closed(self) -> Formula:
        inside = self.row(())
        self.take("}")
        return inside

    def take(self, wanted: str = "") -> str:
        if not self.tokens or (wanted and self.tokens[0] != wanted):
            found = repr(self.tokens[0]) if self.tokens else "its end"
            raise ConfigError(f"{self.source!r}: {wanted or 'something'!r} is wanted in place of {found}.")
        return self.tokens.pop(0)


_COMMANDS = {
    "frac": lambda reader: Fraction(reader.argument(), reader.argument()),
    "mathbf": _Reader.bold,
    "blank": _Reader.blank,
    "left": _Reader.fenced,
    "matrix": lambda reader: Grid(reader.table()),
    "cases": lambda reader: Cases(reader.table()),
}


def _number(token: str) -> float | int:
    return float(token) if "." in token else int(token)

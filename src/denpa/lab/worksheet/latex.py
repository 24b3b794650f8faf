"""A formula as LaTeX, for packages that every distribution has."""

from __future__ import annotations

from denpa.lab.worksheet.formula import (
    FUNCTIONS,
    GREEK,
    LARGE,
    SIGNS,
    Box,
    Cases,
    Fenced,
    Formula,
    Fraction,
    Grid,
    Group,
    Number,
    Script,
    Sign,
    Symbol,
)
from denpa.lab.worksheet.numbers import digits
from denpa.lab.worksheet.tree import extent

__all__ = ["escaped", "latex"]

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", '"': "''",
}  # fmt: skip


def escaped(text: str) -> str:
    """Plain text, fit to stand in LaTeX."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def latex(tree: Formula, *, answers: bool) -> str:
    r"""A formula without the dollars around it; blanks are `\blank{label}{width}{height}` or `\answer{label}{...}`.

    Args:
        tree: the formula.
        answers: show the answers.
    """
    match tree:
        case Symbol(name, style):
            return _symbol(name, style)
        case Number(value):
            minus, mantissa, exponent = digits(value)
            return "-" * minus + mantissa + (rf" \times 10^{{{exponent}}}" if exponent else "")
        case Sign(name):
            return f"\\{name}" if name in SIGNS or name in LARGE else f"\\{name}" if name in "{}" else name
        case Group(parts):
            return " ".join(latex(part, answers=answers) for part in parts)
        case Script(base, below, above):
            return latex(base, answers=answers) + "".join(
                f"{sign}{{{latex(part, answers=answers)}}}" for sign, part in (("_", below), ("^", above)) if part
            )
        case Fraction(over, under):
            return rf"\frac{{{latex(over, answers=answers)}}}{{{latex(under, answers=answers)}}}"
        case Fenced(body, left, right):
            return rf"\left{left} {latex(body, answers=answers)} \right{right}"
        case Grid(rows):
            return rf"\begin{{pmatrix}} {_rows(rows, answers)} \end{{pmatrix}}"
        case Cases(rows):
            return rf"\begin{{cases}} {_rows(rows, answers)} \end{{cases}}"
        case Box(label, answer):
            if answers:
                return rf"\answer{{{label}}}{{{latex(answer, answers=True)}}}"
            wide, high = extent(answer)
            return rf"\blank{{{label}}}{{{min(0.6 + 0.2 * wide, 7):.1f}em}}{{{1 + 0.6 * high:.1f}em}}"


def _rows(rows: tuple[tuple[Formula, ...], ...], answers: bool) -> str:
    return r" \\ ".join(" & ".join(latex(cell, answers=answers) for cell in row) for row in rows)


def _symbol(name: str, style: str) -> str:
    letter = f"\\{name}" if name in GREEK or name in FUNCTIONS else name
    if style == "bold":
        return rf"\boldsymbol{{{letter}}}" if name in GREEK else rf"\mathbf{{{letter}}}"
    if style == "upright" and name not in FUNCTIONS:
        return rf"\mathsf{{{letter}}}"
    return letter

"""A formula as MathML Core, which browsers show without help: no scripts, no fonts, no network."""

from __future__ import annotations

import itertools
from html import escape

from denpa.lab.worksheet.formula import (
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

__all__ = ["mathml"]

_FENCES = "()|[]"
_THIN = '<mspace width="0.17em"/>'


def mathml(tree: Formula, *, answers: bool, display: bool = False) -> str:
    """The `math` element of a formula.

    Args:
        tree: the formula.
        answers: show the answers; else every blank is an empty box with its label.
        display: on a line of its own.
    """
    kind = ' display="block"' if display else ""
    return f"<math{kind}>{_Writer(answers).node(tree)}</math>"


class _Writer:
    def __init__(self, answers: bool) -> None:
        self.answers = answers

    def node(self, tree: Formula) -> str:
        match tree:
            case Symbol(name, style):
                return _symbol(name, style)
            case Number(value):
                return _number(value)
            case Sign(name):
                return _sign(name)
            case Group(parts):
                return _tag("mrow", *self.row(parts))
            case Fraction(over, under):
                return _tag("mfrac", self.node(over), self.node(under))
            case Fenced(body, left, right):
                return _tag("mrow", _tag("mo", left), self.node(body), _tag("mo", right))
            case Grid(rows):
                return _tag("mrow", _tag("mo", "("), self.table(rows, ""), _tag("mo", ")"))
            case Cases(rows):
                return _tag("mrow", _tag("mo", "{"), self.table(rows, ' class="cases"'))
            case Box(label, answer):
                return self.box(label, answer)
            case Script(base, below, above):
                return self.script(base, below, above)

    def row(self, parts: tuple[Formula, ...]) -> list[str]:
        """A thin space between fractions, whose strokes would touch."""
        near = [isinstance(a, Fraction) and isinstance(b, Fraction) for a, b in itertools.pairwise(parts)]
        return [_THIN * thin + self.node(part) for thin, part in zip([False, *near], parts, strict=True)]

    def table(self, rows: tuple[tuple[Formula, ...], ...], kind: str) -> str:
        lines = [_tag("mtr", *(_tag("mtd", self.node(cell)) for cell in row)) for row in rows]
        return f"<mtable{kind}>{''.join(lines)}</mtable>"

    def box(self, label: str, answer: Formula) -> str:
        if not self.answers:
            wide, high = extent(answer)
            room = f"padding: {0.2 + 0.6 * high:.1f}em {min(0.6 + 0.2 * wide, 7):.1f}em"
            return f'<mtext class="blank" style="{room}">{label}</mtext>'
        return f'<munder><mrow class="answer">{self.node(answer)}</mrow><mtext class="label">{label}</mtext></munder>'

    def script(self, base: Formula, below: Formula | None, above: Formula | None) -> str:
        large = isinstance(base, Sign) and base.name in LARGE
        parts = [self.node(part) for part in (base, below, above) if part is not None]
        if below is None:
            return _tag("mover" if large else "msup", *parts)
        if above is None:
            return _tag("munder" if large else "msub", *parts)
        return _tag("munderover" if large else "msubsup", *parts)


def _tag(name: str, *parts: str) -> str:
    return f"<{name}>{''.join(parts)}</{name}>"


def _symbol(name: str, style: str) -> str:
    if style == "bold":
        return f"<mi>{_bold(GREEK.get(name, name))}</mi>"
    if name in ("log", "max", "min"):
        return _tag("mrow", _THIN, f"<mi>{name}</mi>", _THIN)
    if style == "upright" or name == "Delta":
        return f'<mi mathvariant="normal">{GREEK.get(name, name)}</mi>'
    return f"<mi>{GREEK.get(name, name)}</mi>"


def _bold(letter: str) -> str:
    """The bold letter among the mathematical alphanumeric signs of Unicode."""
    for first, start in (("A", 0x1D400), ("a", 0x1D41A), ("α", 0x1D6C2)):
        if 0 <= ord(letter) - ord(first) < 26:
            return chr(start + ord(letter) - ord(first))
    return letter


def _sign(name: str) -> str:
    if name == "quad":
        return '<mspace width="1em"/>'
    if name == "lim":
        return "<mo>lim</mo>"
    text = LARGE.get(name) or SIGNS.get(name) or {"-": "−", "/": "∕"}.get(name, name)
    plain = ' stretchy="false"' if text in _FENCES else ""  # only `Fenced` is as tall as what it holds
    return f"<mo{plain}>{escape(text)}</mo>"


def _number(value: float | int) -> str:
    minus, mantissa, exponent = digits(value)
    parts = ["<mo>−</mo>"] * minus + [f"<mn>{mantissa}</mn>"]
    if exponent:
        power = f"<mn>{abs(exponent)}</mn>" if exponent > 0 else f"<mrow><mo>−</mo><mn>{-exponent}</mn></mrow>"
        parts += ["<mo>×</mo>", f"<msup><mn>10</mn>{power}</msup>"]
    return parts[0] if len(parts) == 1 else _tag("mrow", *parts)

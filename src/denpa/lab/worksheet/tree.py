"""Walks over the tree of a formula: its blanks, and about how much room it takes."""

from __future__ import annotations

from collections.abc import Iterator

from denpa.lab.worksheet.formula import Box, Cases, Fenced, Formula, Fraction, Grid, Group, Number, Script

__all__ = ["boxes", "extent"]


def boxes(tree: Formula) -> Iterator[Box]:
    """All blanks of a formula, from left to right."""
    if isinstance(tree, Box):
        yield tree
        return
    for part in _parts(tree):
        yield from boxes(part)


def extent(tree: Formula) -> tuple[int, int]:
    """About how many letters wide and how many lines high a formula is, so that its blank has room for a pencil."""
    match tree:
        case Grid(rows) | Cases(rows):
            sizes = [[extent(cell) for cell in row] for row in rows]
            widths = (max(row[place][0] for row in sizes) + 1 for place in range(len(sizes[0])))
            return 2 + sum(widths), sum(max(high for _, high in row) for row in sizes)
        case Fraction(over, under):
            (wide, high), (wider, higher) = extent(over), extent(under)
            return max(wide, wider), high + higher
        case Number():
            return 4, 1
        case Group() | Fenced() | Script():
            inner = [extent(part) for part in _parts(tree)]
            high = max((high for _, high in inner), default=1)
            return sum(wide for wide, _ in inner), high
    return 1, 1


def _parts(tree: Formula) -> tuple[Formula, ...]:
    match tree:
        case Group(parts):
            return parts
        case Script(base, below, above):
            return tuple(part for part in (base, below, above) if part is not None)
        case Fraction(over, under):
            return over, under
        case Fenced(body):
            return (body,)
        case Grid(rows) | Cases(rows):
            return tuple(cell for row in rows for cell in row)
    return ()

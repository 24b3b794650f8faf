"""Numbers in formulas: how they are written, and arrays as matrices of which the middle may be left out."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context
from typing import Any

import numpy as np

from denpa.lab.worksheet.formula import Formula, Grid, Number, Sign

__all__ = ["digits", "shown", "visible"]

_ALL, _FIRST = 6, 4
_BY_HAND = Context(prec=4, rounding=ROUND_HALF_UP)


def digits(value: float | int) -> tuple[bool, str, int]:
    """Whether a number is negative, its four significant digits, and the power of ten behind them (0: none).

    2.1565 is 2.157, as who reckons by hand rounds it; in binary it lies a little below.
    """
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e4):
        return value < 0, str(abs(int(value))), 0
    rounded = float(_BY_HAND.create_decimal(f"{abs(value):.9g}"))
    mantissa, _, exponent = f"{rounded:.4g}".partition("e")
    return value < 0, mantissa, int(exponent or 0)


def visible(size: int) -> list[int]:
    """The places along an axis that are shown: all of a short one, the first four and the last of a long one."""
    return list(range(size)) if size <= _ALL else [*range(_FIRST), size - 1]


def shown(value: Any) -> Formula:
    """A number, a column for a vector, or a matrix; of long axes the middle is dots."""
    array = np.asarray(value, np.float64)
    if array.ndim == 0:
        return Number(float(array))
    table = array[:, None] if array.ndim == 1 else array
    rows = [_row(table[place]) for place in visible(len(table))]
    if len(table) > _ALL:
        rows.insert(_FIRST, tuple(Sign("vdots") for _ in rows[0]))
    return Grid(tuple(rows))


def _row(numbers: np.ndarray) -> tuple[Formula, ...]:
    cells: list[Formula] = [Number(float(numbers[place])) for place in visible(len(numbers))]
    if len(numbers) > _ALL:
        cells.insert(_FIRST, Sign("cdots"))
    return tuple(cells)

"""Shape patterns and their errors.

A pattern is a string of sizes and letters: `"... in"` is any number of axes followed by one called
`in`. A letter may be given a value (`sizes={"in": 784}`); an integer in the pattern stands for itself.
"""

from __future__ import annotations

import numbers
import operator
from typing import Any

from denpa.core.errors import ShapeError

__all__ = ["Shape", "as_shape", "want"]

Shape = tuple[int, ...]


def as_shape(shape: Any, what: str = "in_shape") -> Shape:
    """A shape of one example as a tuple of positive integers; a bare integer n means (n,)."""
    sizes = (shape,) if isinstance(shape, numbers.Integral) else shape
    try:
        if isinstance(sizes, (str, bytes, set, frozenset, dict)) or any(isinstance(size, bool) for size in sizes):
            raise TypeError("no sizes in their order")
        sizes = tuple(map(operator.index, sizes))
    except (TypeError, ValueError):
        raise ShapeError(f"{what} must be a tuple of integers such as (28, 28, 1), not {shape!r}.") from None
    if any(not 0 < size < 2**31 for size in sizes):
        raise ShapeError(f"{what} must hold sizes from 1 to 2**31 - 1 only, not {sizes}.")
    return sizes


def want(owner: Any, pattern: str, shape: Any, sizes: dict[str, int] | None = None) -> Shape:
    """Check a shape against a pattern and return it.

    Args:
        owner: the layer or loss that asks; it opens the message.
        pattern: names or sizes of the axes, with `...` for any number of axes at that place.
        shape: an array or a shape.
        sizes: values of named axes that are already known.

    Raises:
        ShapeError: names the owner, the pattern with its sizes, what came, and a likely mend.
    """
    got: Shape = tuple(getattr(shape, "shape", shape))
    if any(isinstance(size, tuple) or getattr(size, "ndim", 0) for size in got):
        raise ShapeError(f"{owner!r} takes a single input, not a tuple of {len(got)}.")
    known = sizes or {}
    names = pattern.split()
    open_ended = "..." in names
    dots = names.index("...") if open_ended else len(names)
    head, tail = names[:dots], names[dots + 1 :]
    fixed = len(head) + len(tail)
    fits = len(got) >= fixed if open_ended else len(got) == fixed
    if fits:
        pairs = [*zip(head, got, strict=False), *zip(tail, got[len(got) - len(tail) :], strict=False)]
        if all(_wanted(name, known) in (None, size) for name, size in pairs):
            return got
    wanted = " ".join(f"{n}={known[n]}" if n in known else n for n in names)
    raise ShapeError(f"{owner!r} wants shape ({wanted}) but got {got}.{_hint(names, known, got)}")


def _wanted(name: str, known: dict[str, int]) -> int | None:
    return int(name) if name.isdigit() else known.get(name)


def _hint(names: list[str], known: dict[str, int], got: Shape) -> str:
    axes = [name for name in names if name != "..."]
    wanted = [_wanted(name, known) for name in axes]
    if len(got) == len(axes) - 1 and axes[0] != "batch" and axes[-1] in ("channels", "features"):
        return f" Is the axis of {axes[-1]} missing? Give x[..., None] for a single one."
    if len(got) == len(axes) - 1:
        return " Is the batch axis missing? Give one example as x[None]."
    if len(got) == len(axes) == 2 and wanted[-1] == got[0] and wanted[-1] != got[-1]:
        return " Is it transposed? Samples are rows: try x.T."
    if len(axes) == 1 and len(got) > 2 and wanted[-1] is not None:
        return " Put a Flatten() in front to make one axis of them."
    return ""

"""What commands print of measurements: numbers by name, in a few characters each."""

from __future__ import annotations

from typing import Any

from denpa.data.counted import counted
from denpa.lab.ensemble import Apart
from denpa.lab.measure import Measured, confusion_text

__all__ = ["each", "numbers", "print_measured", "short"]


def print_measured(measured: Measured, name: str = "test") -> None:
    """What was measured, if anything was: numbers, those of members one by one, the confusion matrix."""
    if not measured.examples:
        return
    print(numbers(name, measured.numbers) + f"  ({counted(measured.examples, 'example')})")
    if measured.apart is not None:
        if measured.apart.votes is not None:
            print(numbers("votes", {"accuracy": measured.apart.votes}))
        print(each("members", measured.apart))
    if measured.confusion is not None:
        print(f"\n{confusion_text(measured.confusion, measured.class_names)}")


def numbers(name: str, row: dict[str, Any]) -> str:
    """A line of the numbers in a row, under a name."""
    return f"{name:<10}  " + "  ".join(
        f"{key} {short(value)}" for key, value in row.items() if isinstance(value, float)
    )


def each(name: str, found: Apart) -> str:
    """A line of means and spreads over the members."""
    cells = [f"{key} {short(found.mean(key))} ± {short(found.spread(key))}" for key in found.members]
    return f"{name:<10}  " + "  ".join(cells)


def short(value: float) -> str:
    """A number in a few characters."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"

"""How many of something, in words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 example", "2,000 examples", "1 class", "3 classes", "4 entries", "5 epochs"."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{number:,} {noun[:-1]}ies"
    hisses = noun.endswith(("s", "x", "ch")) and noun != "epoch"
    return f"{number:,} {noun}{'es' if hisses else 's'}"

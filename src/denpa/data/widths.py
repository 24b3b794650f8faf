"""Texts in columns of a terminal, where Chinese and Japanese characters are twice as wide as Latin ones."""

from __future__ import annotations

import unicodedata

__all__ = ["cells", "padded"]


def cells(text: str) -> int:
    """How many columns a text takes (Unicode Standard Annex 11): two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def padded(text: str, width: int, right: bool = False) -> str:
    """The text with spaces to `width` columns: after it, or, to stand at the `right`, before it."""
    spaces = " " * (width - cells(text))
    return spaces + text if right else text + spaces

"""Plain values out of the header of a file: taken by name, and only if they are what was written there."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from denpa.core.errors import FileFormatError

__all__ = ["are", "is_count", "is_nested", "is_number", "is_plain", "is_rows", "is_table", "taken"]

Check = Callable[[Any], bool]


def taken(found: Any, checks: Mapping[str, Check], optional: Collection[str] = ()) -> dict[str, Any]:
    """The values of a table by the names in `checks`; other names, whatever they stand for, are left out.

    Raises:
        FileFormatError: no table, a name is missing that is not `optional`, or a value is none of its kind.
    """
    if not isinstance(found, dict):
        raise FileFormatError(f"a table should stand where {reprlib.repr(found)} is")
    if missing := [name for name in checks if name not in found and name not in optional]:
        raise FileFormatError(f"it says nothing about {', '.join(missing)}")
    for name, check in checks.items():
        if name in found and not check(found[name]):
            raise FileFormatError(f"its {name} cannot be {reprlib.repr(found[name])}")
    return {name: found[name] for name in checks if name in found}


def is_number(value: Any) -> bool:
    """Whether a value of a row is a plain number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Whether it is an integer that steps or examples may be counted by, on a device too."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def is_plain(value: Any) -> bool:
    """Whether it is no list and no table."""
    return not isinstance(value, (list, dict))


def is_table(value: Any) -> bool:
    """Whether it has names."""
    return isinstance(value, dict)


def is_rows(value: Any) -> bool:
    """Whether they are the rows of a history."""
    return are(is_table)(value) and all(is_number(entry) for row in value for entry in row.values())


def are(check: Check) -> Check:
    """A check of lists, by that of what is in them."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def is_nested(check: Check) -> Check:
    """A check of what may stand in lists, in lists of those, or be missing."""

    def checked(value: Any) -> bool:
        return all(map(checked, value)) if isinstance(value, list) else value is None or check(value)

    return checked

"""Refusals that many descriptions share. Each message says what came and what is wanted.

That a field holds a number at all, `Description` has seen to by the field's annotation.
"""

from __future__ import annotations

from typing import Any

from denpa.core.errors import ConfigError

__all__ = ["want_fraction", "want_methods", "want_not_negative", "want_pattern", "want_positive"]


def want_positive(owner: Any, *names: str) -> None:
    """Refuse fields that are not greater than 0."""
    for name in names:
        if getattr(owner, name) <= 0:
            raise ConfigError(f"{type(owner).__name__}.{name} must be positive, not {getattr(owner, name)!r}.")


def want_not_negative(owner: Any, *names: str) -> None:
    """Refuse fields below 0."""
    for name in names:
        if getattr(owner, name) < 0:
            raise ConfigError(f"{type(owner).__name__}.{name} must be 0 or more, not {getattr(owner, name)!r}.")


def want_fraction(owner: Any, *names: str) -> None:
    """Refuse a decay or a momentum outside 0 <= x < 1."""
    for name in names:
        if not 0 <= getattr(owner, name) < 1:
            wanted = "from 0 up to, but not including, 1 (it says how much of the past is kept, as in 0.9)"
            raise ConfigError(f"{type(owner).__name__}.{name} must be {wanted}, not {getattr(owner, name)!r}.")


def want_pattern(owner: Any) -> None:
    """Refuse an empty `on`, the pattern of the parameters that something is for."""
    if not owner.on:
        raise ConfigError(f'{type(owner).__name__}.on must be a pattern of parameter names such as "W*".')


def want_methods(part: Any, wish: str, *methods: str, hint: str = "") -> None:
    """Refuse what lacks the methods by which its kind is known, and a class in place of an object.

    The message is "{wish}, not {part}.{hint}", where the hint is a sentence with a space before it.
    """
    if isinstance(part, type):
        hint = f" Did you forget the brackets? {part.__name__}()"
    elif all(hasattr(part, method) for method in methods):
        return
    raise ConfigError(f"{wish}, not {part!r}.{hint}")

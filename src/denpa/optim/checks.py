"""Refusals that the optimisers and schedules share. Each message says what came and what is wanted."""

from __future__ import annotations

from typing import Any

from denpa.core.errors import ConfigError

__all__ = ["want_fraction", "want_not_negative", "want_positive", "want_steps"]


def want_positive(owner: Any, *names: str) -> None:
    """Refuse what is not a number greater than 0."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, float) or value <= 0:
            raise ConfigError(f"{type(owner).__name__}.{name} must be a number greater than 0, not {value!r}.")


def want_not_negative(owner: Any, *names: str) -> None:
    """Refuse what is not a number from 0 up."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, float) or value < 0:
            raise ConfigError(f"{type(owner).__name__}.{name} must be a number that is 0 or more, not {value!r}.")


def want_fraction(owner: Any, *names: str) -> None:
    """Refuse a decay or a momentum outside 0 <= x < 1."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, float) or not 0 <= value < 1:
            raise ConfigError(
                f"{type(owner).__name__}.{name} must be a number from 0 up to, but not including, 1 "
                f"(it says how much of the past is kept, as in 0.9), not {value!r}."
            )


def want_steps(owner: Any, name: str = "steps") -> None:
    """Refuse what is not a positive whole number of parameter updates."""
    value = getattr(owner, name)
    if not isinstance(value, int) or value <= 0:
        raise ConfigError(
            f"{type(owner).__name__}.{name} must be a positive whole number, not {value!r}. It counts parameter "
            "updates: one epoch has as many as there are batches."
        )

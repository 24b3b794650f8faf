"""Initialisers with a spread chosen by hand, and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core.checks import want_not_negative
from denpa.core.errors import ConfigError
from denpa.core.shapes import as_shape
from denpa.init.base import Initializer, precisions

__all__ = ["Constant", "Normal", "Uniform"]


@dataclass(frozen=True)
class Normal(Initializer):
    """w ~ N(mean, sd = std);   Var(w) = std^2

    Args:
        std: the STANDARD DEVIATION, 0 or more. With 1, units of wide layers start far in the flats of a
            sigmoid; 0.01 is a customary choice for small networks.
        mean: the centre.

    Raises:
        ConfigError: `std` is below 0.

    Source: textbook; compare Krizhevsky, Sutskever and Hinton (2012), section 5, std = 0.01.
    """

    std: float = 0.01
    mean: float = 0.0

    def validate(self) -> None:
        want_not_negative(self, "std")

    def sample(
        self, key: jax.Array, shape: Any, *, fan_in: int | None = None, fan_out: int | None = None, dtype: Any = None
    ) -> jax.Array:
        wanted, drawn = precisions(dtype)
        return (self.mean + self.std * jax.random.normal(key, as_shape(shape, "shape"), drawn)).astype(wanted)


@dataclass(frozen=True)
class Uniform(Initializer):
    """w ~ U[low, high);   mean (low + high)/2,   Var(w) = (high - low)^2 / 12, which is a^2/3 for U[-a, a)

    Args:
        low, high: the bounds, low < high.

    Raises:
        ConfigError: `low` is not below `high`.

    Source: textbook.
    """

    low: float
    high: float

    def validate(self) -> None:
        if self.low >= self.high:
            raise ConfigError(f"Uniform wants low < high, as in Uniform(-0.1, 0.1), not {self!r}.")

    def sample(
        self, key: jax.Array, shape: Any, *, fan_in: int | None = None, fan_out: int | None = None, dtype: Any = None
    ) -> jax.Array:
        wanted, drawn = precisions(dtype)
        return jax.random.uniform(key, as_shape(shape, "shape"), drawn, self.low, self.high).astype(wanted)


@dataclass(frozen=True)
class Constant(Initializer):
    """w = value

    For biases: `Constant(0.0)`. Weights that all begin equal stay equal, since their gradients are equal too.

    Args:
        value: what every entry begins at.

    Source: textbook.
    """

    value: float = 0.0

    def sample(
        self, key: jax.Array, shape: Any, *, fan_in: int | None = None, fan_out: int | None = None, dtype: Any = None
    ) -> jax.Array:
        return jnp.full(as_shape(shape, "shape"), self.value, precisions(dtype)[0])

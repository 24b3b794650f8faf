"""Hidden layers by the name of their activation, each with a start that suits it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from denpa.core.errors import ConfigError, nearest
from denpa.init import Glorot, He, LeCun
from denpa.layers import ELU, Dense, Identity, LeakyReLU, PReLU, ReLU, Sigmoid, Tanh

__all__ = ["activation_of", "hidden_layers"]

# Variance-keeping starts: He et al. (2015) for units that are zero on one side, LeCun et al. (1998) and
# Glorot & Bengio (2010) for the others.
_ACTIVATIONS = {
    "relu": (ReLU(), He()),
    "leakyrelu": (LeakyReLU(), He()),
    "prelu": (PReLU(), He()),
    "elu": (ELU(), He()),
    "sigmoid": (Sigmoid(), Glorot()),
    "tanh": (Tanh(), Glorot()),
    "identity": (Identity(), LeCun()),
}


def activation_of(name: Any) -> tuple[Any, Any]:
    """The activation of this name, in any case, also as leaky_relu, and the initialiser for the weights before it.

    Raises:
        ConfigError: unknown; the nearest is named.
    """
    if (known := str(name).lower().replace("_", "")) not in _ACTIVATIONS:
        raise ConfigError(f"Unknown activation {name!r}: {nearest(str(name), _ACTIVATIONS, plural='activations')}")
    return _ACTIVATIONS[known]


def hidden_layers(units: Iterable[int], activation: str) -> list[Any]:
    """`Dense(n)` and the activation, for each number n of units."""
    unit, start = activation_of(activation)
    return [layer for n in units for layer in (Dense(n, kernel_init=start), unit)]

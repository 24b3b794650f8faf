"""Error surfaces over two weights, each a formula with its gradient written out.

Every surface shows one of the troubles that gradient descent meets in networks of many weights. w (..., 2) holds the
points (w1, w2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.checks import want_positive
from denpa.core.description import Description
from denpa.core.errors import ConfigError
from denpa.core.layer import Array

__all__ = ["SURFACES", "Cliff", "ManyMinima", "Plateau", "Saddle", "Surface", "Valley"]

Points = Array | np.ndarray


class Surface(Description):
    """Base of the surfaces: E(w) and its gradient, where to start, and what to show.

    Attributes:
        start: the point (w1, w2) that paths begin from unless told otherwise.
        window: ((least w1, largest w1), (least w2, largest w2)) of a picture.
        rates: learning rates that suit the surface: of gradient descent, and of methods that divide the gradient
            by its size, whose rate is about the length of a step.
        lowest: the infimum of E.
    """

    start: ClassVar[tuple[float, float]]
    window: ClassVar[tuple[tuple[float, float], tuple[float, float]]]
    rates: ClassVar[tuple[float, float]]

    @property
    def lowest(self) -> float:
        return 0.0

    def value(self, w: Points) -> Points:
        """E at the points w (..., 2): (...)."""
        raise NotImplementedError(f"{type(self).__name__} must define value(w).")

    def gradient(self, w: Points) -> Points:
        """∂E/∂w at the points w (..., 2): (..., 2)."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(w).")


@dataclass(frozen=True)
class Valley(Surface):
    """E = (w1² + c w2²) / 2          ∂E/∂w = (w1, c w2)

    A valley whose walls are c times as steep as its floor. Gradient descent needs η < 2/c, or it leaves across the
    walls; near that bound it bounces between them, while along the floor only a factor 1 − η is gained at a step.

    Args:
        steepness: c > 0.

    Source: Polyak (1964), Some methods of speeding up the convergence of iteration methods.
    """

    steepness: float = 25.0

    start = (10.0, 1.0)
    window = ((-4.0, 11.0), (-2.2, 2.2))
    rates = (0.075, 0.4)

    def validate(self) -> None:
        want_positive(self, "steepness")

    def value(self, w: Points) -> Points:
        w1, w2 = w[..., 0], w[..., 1]
        return (w1**2 + self.steepness * w2**2) / 2

    def gradient(self, w: Points) -> Points:
        return jnp.stack([w[..., 0], self.steepness * w[..., 1]], axis=-1)


@dataclass(frozen=True)
class Plateau(Surface):
    """E = (s² + w2²) / 2,   s = σ(w1)          ∂E/∂w = (s² (1 − s), w2)

    The squared error of a sigmoid unit whose target is 0. Where the unit is saturated, w1 ≫ 0, the error is at its
    largest and the slope nearly nothing: 4.5e-5 at w1 = 10.

    Source: Rumelhart, Hinton and Williams (1986), Learning internal representations by error propagation.
    """

    start = (5.0, 1.0)
    window = ((-6.0, 7.0), (-1.6, 1.6))
    rates = (1.0, 0.2)

    def value(self, w: Points) -> Points:
        return (jax.nn.sigmoid(w[..., 0]) ** 2 + w[..., 1] ** 2) / 2

    def gradient(self, w: Points) -> Points:
        s = jax.nn.sigmoid(w[..., 0])
        # 1 − s = σ(−w1), which keeps its digits on the plateau
        return jnp.stack([s**2 * jax.nn.sigmoid(-w[..., 0]), w[..., 1]], axis=-1)


@dataclass(frozen=True)
class Cliff(Surface):
    """E = f(w1) + w2² / 2,   f(w1) = w1² / 2 for w1 ≤ 1,   1/2 + c (w1 − 1) beyond
    ∂E/∂w = (w1 or c, w2)

    A wall of slope c: one step on it throws the weights η c away. Recurrent networks have such walls.

    Args:
        slope: c > 0.

    Source: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks, section 2.3.
    """

    slope: float = 1000.0

    start = (1.001, 1.0)
    window = ((-3.5, 1.6), (-1.6, 1.6))
    rates = (0.1, 0.1)

    def validate(self) -> None:
        want_positive(self, "slope")

    def value(self, w: Points) -> Points:
        w1, w2 = w[..., 0], w[..., 1]
        return jnp.where(w1 <= 1, w1**2 / 2, 0.5 + self.slope * (w1 - 1)) + w2**2 / 2

    def gradient(self, w: Points) -> Points:
        w1, w2 = w[..., 0], w[..., 1]
        return jnp.stack([jnp.where(w1 <= 1, w1, jnp.full_like(w1, self.slope)), w2], axis=-1)


@dataclass(frozen=True)
class Saddle(Surface):
    """E = (w1² − w2²) / 2 + k w2⁴ / 4          ∂E/∂w = (w1, −w2 + k w2³)

    A saddle point at 0, between two minima at w2 = ±1/√k; with k = 0 it falls for ever. Whoever starts beside the
    ridge, at w2 = ε, is drawn to the saddle first and leaves it by a factor 1 + η at a step.

    Args:
        quartic: k, 0 or more.

    Source: Dauphin et al. (2014), Identifying and attacking the saddle point problem.
    """

    quartic: float = 0.25

    start = (2.5, 1e-3)
    window = ((-1.5, 3.0), (-3.0, 3.0))
    rates = (0.1, 0.1)

    def validate(self) -> None:
        if self.quartic < 0:
            raise ConfigError(
                f"Saddle.quartic must not be below 0, not {self.quartic!r}: the ends would fall for ever."
            )

    @property
    def lowest(self) -> float:
        return -1 / (4 * self.quartic) if self.quartic else -math.inf

    def value(self, w: Points) -> Points:
        w1, w2 = w[..., 0], w[..., 1]
        return (w1**2 - w2**2) / 2 + self.quartic * w2**4 / 4

    def gradient(self, w: Points) -> Points:
        w1, w2 = w[..., 0], w[..., 1]
        return jnp.stack([w1, self.quartic * w2**3 - w2], axis=-1)


@dataclass(frozen=True)
class ManyMinima(Surface):
    """E = Σ_i w_i² / 2 + h (1 − cos 2π w_i)          ∂E/∂w_i = w_i + 2π h sin 2π w_i

    A bowl with dents: a local minimum near every point of whole coordinates, as long as h is above |w| / 2π there.
    The lowest is at 0.

    Args:
        height: h > 0, of the ridges between the dents (which rise 2 h above them).

    Source: Rastrigin (1974), Systems of extremal control.
    """

    height: float = 0.5

    start = (2.4, 1.7)
    window = ((-1.8, 3.0), (-1.8, 2.6))
    rates = (0.03, 0.15)

    def validate(self) -> None:
        want_positive(self, "height")

    def value(self, w: Points) -> Points:
        return jnp.sum(w**2 / 2 + self.height * (1 - jnp.cos(2 * jnp.pi * w)), axis=-1)

    def gradient(self, w: Points) -> Points:
        return w + 2 * jnp.pi * self.height * jnp.sin(2 * jnp.pi * w)


SURFACES: Mapping[str, Surface] = {
    "valley": Valley(),
    "plateau": Plateau(),
    "cliff": Cliff(),
    "saddle": Saddle(),
    "many-minima": ManyMinima(),
}

"""Penalties: what is added to the error so that weights stay small, E_reg = E + R(w).

    dp.Model(net, loss, penalty=dp.L2(1e-4))

The reported objective is E_reg, with R listed apart from E. Biases, and everything else whose name does
not fit `on`, are free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core.checks import want_not_negative, want_pattern
from denpa.core.description import Description
from denpa.core.errors import ConfigError
from denpa.core.tree import flatten, inner, map_matching, matches, zeros_like

__all__ = ["L1", "L2", "ElasticNet", "Penalty"]

Array = jax.Array


class Penalty(Description):
    """Base of all penalties, R(w) = Σ r(w) over the arrays whose path fits `on`.

    A penalty of your own is a `@dataclass(frozen=True)` with a field `on: str = "W*"` and the methods
    `array_value` and `array_gradient`.

    Attributes:
        on: a pattern for the last name of an array's path, `W*` for all weights, or for the whole path
            where it holds a slash, as in `0_dense/*`.
    """

    on: str

    def array_value(self, w: Array) -> Array:
        """r(w) of one array, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define array_value(w).")

    def array_gradient(self, w: Array) -> Array:
        """∂r/∂w of one array, like w."""
        raise NotImplementedError(f"{type(self).__name__} must define array_gradient(w).")

    def array_shrink(self, w: Array, step_size: Any) -> Array:
        """The proximal step of the part of r that has no gradient; w itself where there is none."""
        return w

    def value(self, params: Any) -> Array:
        """R(w), a scalar of at least float32.

        Raises:
            ConfigError: there are parameters, but none fits `on`.
        """
        arrays = self._chosen(params)
        dtypes = [jnp.float32, *(w.dtype for w in arrays)]
        dtype = jnp.float64 if jnp.float64 in dtypes else jnp.float32
        return sum((self.array_value(w.astype(dtype)) for w in arrays), start=jnp.zeros((), dtype))

    def gradient(self, params: Any) -> Any:
        """∂R/∂w, a tree like `params`; zeros where `on` does not fit."""
        return self.add_gradient(params, zeros_like(params))

    def add_gradient(self, params: Any, grads: Any) -> Any:
        """grads + ∂R/∂w, one expression per array; the arrays that do not fit `on` come back untouched."""
        self._chosen(params)
        return map_matching(lambda g, w: g + self.array_gradient(w).astype(g.dtype), self.on, grads, params)

    def shrink(self, params: Any, step_size: Any) -> Any:
        """The parameters after the proximal step, to be taken after each update; see `L1`.

        Args:
            params: the updated parameters.
            step_size: the step h, such as the learning rate of gradient descent: a number or a scalar array; or a tree
                like `params` with one for each array, or for each of its entries.
        """
        sizes = step_size if isinstance(step_size, dict) else jax.tree.map(lambda _: step_size, params)
        return map_matching(self.array_shrink, self.on, params, sizes)

    def _chosen(self, params: Any) -> list[Array]:
        arrays = flatten(params)
        chosen = [w for path, w in arrays.items() if matches(path, self.on)]
        if arrays and not chosen:
            raise ConfigError(f"{self!r}: no parameter fits on={self.on!r}; there are {', '.join(arrays)}.")
        return chosen


@dataclass(frozen=True)
class L2(Penalty):
    """half=True:  R = (λ/2) ‖W‖²,  ∂R/∂W = λ W
    half=False: R = λ ‖W‖²,      ∂R/∂W = 2 λ W

    λ is `strength`. Both forms are in use, and λ means twice as much in the second: L2(λ, half=False)
    is L2(2 λ). With plain gradient descent the first is weight decay, W <- (1 - η λ) W - η ∂E/∂W; with
    adaptive step sizes it is not, see `AdamW`. Near a minimum w⁰ of curvature h the penalised minimum is
    w⁰ h / (h + λ): flat directions shrink, none becomes exactly 0.

    Args:
        strength: λ, 0 or more.
        half: whether R has the factor ½.
        on: which arrays, as in `Penalty`.

    Raises:
        ConfigError: a strength below 0; an `on` that is no pattern or, from `value` and `gradient`, fits no array.

    Source: Hoerl & Kennard (1970), "Ridge regression"; Krogh & Hertz (1992), "A simple weight decay can
    improve generalization".
    """

    strength: float
    half: bool = True
    on: str = "W*"

    def validate(self) -> None:
        """Refuse a negative strength, and an `on` that is no pattern."""
        want_not_negative(self, "strength")
        want_pattern(self)

    def array_value(self, w: Array) -> Array:
        """(λ/2) Σ w², or λ Σ w² for half=False."""
        return self._slope() / 2 * inner(w, w)

    def array_gradient(self, w: Array) -> Array:
        """λ w, or 2 λ w for half=False."""
        return self._slope() * w

    def _slope(self) -> float:
        return self.strength if self.half else 2 * self.strength


@dataclass(frozen=True)
class L1(Penalty):
    """R = λ Σ |w|,   sub-gradient ∂R/∂w = λ sign(w), sign(0) = 0
    proximal=True: no gradient, but after each update w <- sign(w) max(|w| - h λ, 0)

    λ is `strength`, h the step that the optimiser makes of a gradient that stays 1: the learning rate η of `SGD`,
    η / (1 - μ) of momentum, each weight's own η / (√v + ε) of `Adam` and its like (`Optimizer.step_sizes`). Steps
    along the sub-gradient jump back and forth around 0; the proximal step (soft threshold) ends there, which makes
    weights exactly 0. At rest the update is -h ∂E/∂w, so that it takes the threshold back where ∂E/∂w = -λ sign(w):
    at the minimum of E + R. `Model` refuses what has no such h: `Nesterov(lookahead=True)`, Optax's optimisers.

    Args:
        strength: λ, 0 or more.
        proximal: whether the soft threshold takes the place of the sub-gradient.
        on: which arrays, as in `Penalty`.

    Raises:
        ConfigError: as for `L2`.

    Source: Tibshirani (1996), "Regression shrinkage and selection via the lasso"; proximal step:
    Daubechies, Defrise & De Mol (2004), "An iterative thresholding algorithm", equation 1.7; with a step for each
    weight: Duchi, Hazan & Singer (2011), "Adaptive subgradient methods", equation 4.
    """

    strength: float
    proximal: bool = False
    on: str = "W*"

    def validate(self) -> None:
        """Refuse a negative strength, and an `on` that is no pattern."""
        want_not_negative(self, "strength")
        want_pattern(self)

    def array_value(self, w: Array) -> Array:
        """λ Σ |w|."""
        return self.strength * jnp.sum(jnp.abs(w))

    def array_gradient(self, w: Array) -> Array:
        """λ sign(w); 0 for proximal=True."""
        return jnp.zeros_like(w) if self.proximal else self.strength * jnp.sign(w)

    def array_shrink(self, w: Array, step_size: Any) -> Array:
        """sign(w) max(|w| - h λ, 0); w itself for proximal=False."""
        return _soft_threshold(w, step_size, self.strength) if self.proximal else w


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """R = λ₁ Σ |w| + (λ₂/2) ‖W‖²,   ∂R/∂w = λ₁ sign(w) + λ₂ w

    With proximal=True the first term acts by the soft threshold, as in `L1`, which says for which optimisers.

    Args:
        l1, l2: λ₁ and λ₂, 0 or more.
        proximal: whether the soft threshold takes the place of the sub-gradient of λ₁ Σ |w|.
        on: which arrays, as in `Penalty`.

    Raises:
        ConfigError: as for `L2`.

    Source: Zou & Hastie (2005), "Regularization and variable selection via the elastic net", equation 3
    (whose λ₂ has no half).
    """

    l1: float
    l2: float
    proximal: bool = False
    on: str = "W*"

    def validate(self) -> None:
        """Refuse a negative strength, and an `on` that is no pattern."""
        want_not_negative(self, "l1", "l2")
        want_pattern(self)

    def array_value(self, w: Array) -> Array:
        """λ₁ Σ |w| + (λ₂/2) Σ w²."""
        return jnp.sum(self.l1 * jnp.abs(w) + self.l2 / 2 * jnp.square(w))

    def array_gradient(self, w: Array) -> Array:
        """λ₁ sign(w) + λ₂ w; λ₂ w for proximal=True."""
        return self.l2 * w if self.proximal else self.l1 * jnp.sign(w) + self.l2 * w

    def array_shrink(self, w: Array, step_size: Any) -> Array:
        """sign(w) max(|w| - h λ₁, 0); w itself for proximal=False."""
        return _soft_threshold(w, step_size, self.l1) if self.proximal else w


def _soft_threshold(w: Array, step_size: Any, strength: float) -> Array:
    threshold = jnp.asarray(step_size).astype(w.dtype) * strength
    return jnp.sign(w) * jnp.maximum(jnp.abs(w) - threshold, 0)

"""Adam and its relative with decoupled weight decay: running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.checks import want_fraction, want_not_negative, want_pattern
from denpa.core.errors import ConfigError
from denpa.optim.base import Optimizer, each, like, moments, over_root, want_rate

__all__ = ["Adam", "AdamW"]


class _Adaptive(Optimizer):
    """What both have in common: m and v, and the step that they make."""

    beta1: float
    beta2: float
    epsilon: float

    def validate(self) -> None:
        want_rate(self)
        want_fraction(self, "beta1", "beta2")
        want_not_negative(self, "epsilon")

    def init(self, params: Any) -> Any:
        step = jnp.zeros((), jnp.int32)
        return {"step": step, "first_moment": moments(params), "second_moment": moments(params)}

    def advance(self, grads: Any, state: Any) -> tuple[Any, Any]:
        """Adam's Dw, in float32 at least, and the next state."""
        b1, b2, step = self.beta1, self.beta2, state["step"] + 1
        m = each(lambda m, g: b1 * m + (1 - b1) * g, state["first_moment"], grads)
        v = each(lambda v, g: b2 * v + (1 - b2) * (g * g), state["second_moment"], grads)
        # Both corrections are scalars: one factor on m, one on v, no further work per entry.
        eta, grow = self.rate(state) / _correction(b1, step), 1 / _correction(b2, step)
        updates = each(lambda m, v, eta, grow: -eta * over_root(m, v * grow, self.epsilon), m, v, eta=eta, grow=grow)
        return updates, {"step": step, "first_moment": m, "second_moment": v}

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        """eta / (sqrt(v / (1 - b2^t)) + epsilon), entry by entry: what Adam multiplies its mean gradient by."""
        grow = 1 / _correction(self.beta2, after["step"])

        def size(v: Any, eta: Any, grow: Any) -> Any:
            return eta * over_root(jnp.ones_like(v), v * grow, self.epsilon)

        return each(size, after["second_moment"], eta=self.rate(before), grow=grow)


@dataclass(frozen=True)
class Adam(_Adaptive):
    """m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2,
    Dw = -eta (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon),   t = 1, 2, ...
    state: step = t - 1, first_moment = m, second_moment = v, all 0 before the first step

    The divisors 1 - b^t make up for the start from 0: after one step the quotient is g / |g|, so the first
    step is -eta sign(g).

    Args:
        learning_rate: eta > 0, or a schedule.
        beta1: b1, 0 <= b1 < 1.
        beta2: b2, 0 <= b2 < 1.
        epsilon: 0 or more; with 0, a coordinate without gradients stays where it is.

    Raises:
        ConfigError: a rate, beta or epsilon out of range.

    Source: Kingma and Ba (2015), Adam: a method for stochastic optimization, Algorithm 1.
    """

    learning_rate: float | Callable[[Any], Any] = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, after = self.advance(grads, state)
        return like(updates, grads), after


@dataclass(frozen=True)
class AdamW(_Adaptive):
    """Dw = Dw of Adam - eta lambda w          state: as Adam's

    Decoupled weight decay: lambda w does not pass through the moments, so every weight shrinks by the same
    fraction eta lambda, however large its gradients are. (`Adam` with an `L2` penalty divides it by their
    root mean square.)

    Args:
        learning_rate: eta > 0, or a schedule; it multiplies the decay too.
        beta1, beta2, epsilon: as in `Adam`.
        weight_decay: lambda, 0 or more.
        on: which parameters decay: a pattern for their names, as in "W*" (all weight matrices and kernels),
            "*" (everything) or "0_dense/*" (one layer). Where nothing fits, nothing decays.

    Raises:
        ConfigError: an option out of range; from `update`, no params.

    Source: Loshchilov and Hutter (2019), Decoupled weight decay regularization, Algorithm 2; as in PyTorch
    and Optax the learning rate multiplies lambda.
    """

    learning_rate: float | Callable[[Any], Any] = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 1e-2
    on: str = "W*"

    def validate(self) -> None:
        super().validate()
        want_not_negative(self, "weight_decay")
        want_pattern(self)

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ConfigError("AdamW decays the parameters and must see them: call update(grads, state, params).")
        updates, after = self.advance(grads, state)
        eta = self.weight_decay * self.rate(state)

        def decay(update: Any, w: Any) -> Any:
            return each(lambda dw, w, eta: dw - eta * w, update, w, eta=eta)

        return like(tree.map_matching(decay, self.on, updates, params), grads), after


def _correction(beta: float, step: jax.Array) -> jax.Array:
    """1 - beta^t, as -expm1(t log beta): in float32, 1 - 0.999 has lost four of seven digits."""
    t = step.astype(float)
    return -jnp.expm1(t * math.log(beta)) if beta > 0 else jnp.ones_like(t)

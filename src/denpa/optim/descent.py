"""Gradient descent, alone and with inertia.

g = gradient of the error, eta = learning rate, mu = momentum, Dw = the step made ("velocity").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from denpa.core.checks import want_fraction
from denpa.core.errors import ConfigError
from denpa.optim.base import Optimizer, each, like, moments, want_rate

__all__ = ["SGD", "Momentum", "Nesterov"]


@dataclass(frozen=True)
class SGD(Optimizer):
    """Dw = -eta g          state: nothing but the step, under a schedule

    Gradient descent; stochastic when g comes from a batch of the examples, whatever its size.

    Args:
        learning_rate: eta > 0, or a schedule.

    Raises:
        ConfigError: a learning rate that is neither a positive number nor a schedule.

    Source: Cauchy (1847), Méthode générale; Robbins and Monro (1951) for random g.
    """

    learning_rate: float | Callable[[Any], Any]

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates = each(lambda g, eta: -eta * g, grads, eta=self.rate(state))
        return like(updates, grads), self.count(state)


class _Inertial(Optimizer):
    """What `Momentum` and `Nesterov` have in common: the velocity Dw."""

    momentum: float
    normalized: bool

    def validate(self) -> None:
        want_rate(self)
        want_fraction(self, "momentum")

    def init(self, params: Any) -> Any:
        return {**self.counter(), "velocity": moments(params)}

    def gain(self, state: Any) -> Any:
        """What a gradient is multiplied by: eta, or (1 - mu) eta."""
        return (1 - self.momentum if self.normalized else 1.0) * self.rate(state)

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        """gain / (1 - mu): where g stays the same, Dw = mu Dw - gain g tends to -gain g / (1 - mu)."""
        size = self.gain(before) / (1 - self.momentum)
        return jax.tree.map(lambda _: size, params)

    def accelerate(self, velocity: Any, grads: Any, state: Any) -> Any:
        """mu Dw - eta g, or mu Dw - (1 - mu) eta g."""
        return each(lambda dw, g, eta: self.momentum * dw - eta * g, velocity, grads, eta=self.gain(state))


@dataclass(frozen=True)
class Momentum(_Inertial):
    """Dw = mu Dw - eta g          state: velocity = Dw, zero before the first step

    A past gradient goes on acting, a factor mu weaker at every step; what oscillates cancels out.

    Args:
        learning_rate: eta > 0, or a schedule. It stands inside Dw, so a change of rate acts on the coming
            gradients and not on the velocity already gained.
        momentum: mu, 0 <= mu < 1.
        normalized: Dw = mu Dw - (1 - mu) eta g instead. Under a constant gradient the steps then tend to
            -eta g; in the usual form they tend to -eta g / (1 - mu), ten times as long for mu = 0.9.

    Raises:
        ConfigError: a learning rate or momentum out of range.

    Source: Polyak (1964), Some methods of speeding up the convergence of iteration methods;
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors, eq. 9.
    """

    learning_rate: float | Callable[[Any], Any]
    momentum: float = 0.9
    normalized: bool = False

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        velocity = self.accelerate(state["velocity"], grads, state)
        return like(velocity, grads), {**self.count(state), "velocity": velocity}


@dataclass(frozen=True)
class Nesterov(_Inertial):
    """Dw = mu Dw - eta g(w + mu Dw)          state: velocity = Dw, zero before the first step

    As `Momentum`, but the gradient is taken at the point to which inertia alone would lead.

    Args:
        learning_rate: eta > 0, or a schedule.
        momentum: mu, 0 <= mu < 1.
        normalized: (1 - mu) eta in the place of eta, as in `Momentum`.
        lookahead: False: the parameters ARE the look-ahead points y = w + mu Dw, and the gradient is taken
            where they are: Dw = mu Dw - eta g(y), y = y + mu Dw - eta g(y). This is what Optax and PyTorch
            do, and it fits any training loop. True: the formula to the letter; the parameters are w, and
            the loop must evaluate the gradient at `gradient_point(params, state)`. From the same start both
            run through the same points, w + mu Dw = y at every step.

    Raises:
        ConfigError: a learning rate or momentum out of range.

    Source: Nesterov (1983), A method of solving a convex programming problem with convergence rate
    O(1/k^2); in this form Sutskever et al. (2013), On the importance of initialization and momentum, eq. 3-4.
    """

    learning_rate: float | Callable[[Any], Any]
    momentum: float = 0.9
    normalized: bool = False
    lookahead: bool = False

    def want_step_sizes(self) -> None:
        """Refuse `lookahead`: at w + mu Dw the weights that a threshold holds at 0 are not 0."""
        if self.lookahead:
            raise ConfigError(
                f"{self!r} takes gradients at points where the weights are not 0 that a proximal step has made 0, and "
                "would end beside the minimum. Take lookahead=False, or SGD."
            )

    def gradient_point(self, params: Any, state: Any) -> Any:
        """w + mu Dw with `lookahead`; else `params`, which are that point already."""
        if not self.lookahead:
            return params
        return like(each(lambda w, dw: w + self.momentum * dw, params, state["velocity"]), params)

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        velocity = self.accelerate(state["velocity"], grads, state)
        updates = velocity if self.lookahead else self.accelerate(velocity, grads, state)
        return like(updates, grads), {**self.count(state), "velocity": velocity}

"""Methods that scale each coordinate by the size of its own past gradients.

Multiply one component of the gradient by a constant, and (epsilon aside) they take the same steps.
g = gradient, eta = learning rate; squares, roots and quotients are taken entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core.checks import want_fraction, want_not_negative, want_positive
from denpa.optim.base import Optimizer, each, like, moments, over_root, want_rate

__all__ = ["AdaGrad", "Adadelta", "RMSprop"]


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """s = s + g^2,   Dw = -eta g / (sqrt(s) + epsilon)          state: sum_of_squares = s

    Each coordinate is divided by the root of all its squared gradients so far, the present one included:
    the first step is -eta sign(g). A large early gradient keeps the steps small for ever.

    Args:
        learning_rate: eta > 0, or a schedule.
        initial_accumulator: s before the first step, 0 or more.
        epsilon: 0 or more; with 0, a coordinate that never had a gradient stays where it is (no 0/0).

    Raises:
        ConfigError: a rate that is not positive, an accumulator or epsilon below 0.

    Source: Duchi, Hazan and Singer (2011), Adaptive subgradient methods, Figure 1 (diagonal form).
    """

    learning_rate: float | Callable[[Any], Any]
    initial_accumulator: float = 0.0
    epsilon: float = 1e-10

    def validate(self) -> None:
        want_rate(self)
        want_not_negative(self, "initial_accumulator", "epsilon")

    def init(self, params: Any) -> Any:
        return {**self.counter(), "sum_of_squares": moments(params, self.initial_accumulator)}

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        s = each(lambda s, g: s + g * g, state["sum_of_squares"], grads)
        updates = each(lambda g, s, eta: -eta * over_root(g, s, self.epsilon), grads, s, eta=self.rate(state))
        return like(updates, grads), {**self.count(state), "sum_of_squares": s}

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        """eta / (sqrt(s) + epsilon), entry by entry: the proximal step of the paper's equation 4."""

        def size(s: Any, eta: Any) -> Any:
            return eta * over_root(jnp.ones_like(s), s, self.epsilon)

        return each(size, after["sum_of_squares"], eta=self.rate(before))


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v = rho v + (1 - rho) g^2,   Dw = -eta g / sqrt(v + epsilon)          state: mean_square = v, velocity

    AdaGrad with a running mean in the place of the sum: old gradients are forgotten, so the steps do not
    die out. v is 0 before the first step, whose length is therefore about eta / sqrt(1 - rho).

    Args:
        learning_rate: eta > 0, or a schedule.
        decay: rho, 0 <= rho < 1.
        epsilon: 0 or more; with 0, a coordinate without gradients stays where it is.
        epsilon_inside: True: sqrt(v + epsilon), as in Keras and Optax; False: sqrt(v) + epsilon, as in PyTorch.
        momentum: mu; above 0 the scaled gradient goes through Dw = mu Dw - eta g / sqrt(v + epsilon), and the
            state holds that velocity too.

    Raises:
        ConfigError: a rate, decay, momentum or epsilon out of range.

    Source: Tieleman and Hinton (2012), Lecture 6.5 of Neural Networks for Machine Learning; with momentum
    Graves (2013), Generating sequences with recurrent neural networks, eq. 38-41 (there v is centred).
    """

    learning_rate: float | Callable[[Any], Any]
    decay: float = 0.9
    epsilon: float = 1e-6
    epsilon_inside: bool = True
    momentum: float = 0.0

    def validate(self) -> None:
        want_rate(self)
        want_fraction(self, "decay", "momentum")
        want_not_negative(self, "epsilon")

    def init(self, params: Any) -> Any:
        velocity = {"velocity": moments(params)} if self.momentum > 0 else {}
        return {**self.counter(), "mean_square": moments(params), **velocity}

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        rho, mu, eta = self.decay, self.momentum, self.rate(state)
        v = each(lambda v, g: rho * v + (1 - rho) * (g * g), state["mean_square"], grads)
        after = {**self.count(state), "mean_square": v}

        def scaled(g: Any, v: Any, eta: Any) -> Any:
            return -eta * over_root(g, v, self.epsilon, self.epsilon_inside)

        if mu > 0:
            velocity = each(lambda dw, g, v, eta: mu * dw + scaled(g, v, eta), state["velocity"], grads, v, eta=eta)
            return like(velocity, grads), {**after, "velocity": velocity}
        return like(each(scaled, grads, v, eta=eta), grads), after

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        """eta / sqrt(v + epsilon), entry by entry; with a velocity 1 / (1 - mu) times as much."""

        def size(v: Any, eta: Any) -> Any:
            return eta * over_root(jnp.ones_like(v), v, self.epsilon, self.epsilon_inside)

        return each(size, after["mean_square"], eta=self.rate(before) / (1 - self.momentum))


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """a = rho a + (1 - rho) g^2,   d = -g sqrt(u + epsilon) / sqrt(a + epsilon),   u = rho u + (1 - rho) d^2,
    Dw = eta d          state: mean_square_gradient = a, mean_square_step = u

    The running mean of past squared steps gives d the unit of the parameters, so eta = 1 serves.

    Args:
        learning_rate: eta > 0, or a schedule; 1 in the paper. It scales Dw but does not enter u.
        decay: rho, 0 <= rho < 1.
        epsilon: greater than 0: it sets the length of the first steps, which would be 0 without it.

    Raises:
        ConfigError: a rate, decay or epsilon out of range.

    Source: Zeiler (2012), ADADELTA: an adaptive learning rate method, Algorithm 1.
    """

    learning_rate: float | Callable[[Any], Any] = 1.0
    decay: float = 0.95
    epsilon: float = 1e-6

    def validate(self) -> None:
        want_rate(self)
        want_fraction(self, "decay")
        want_positive(self, "epsilon")

    def init(self, params: Any) -> Any:
        return {**self.counter(), "mean_square_gradient": moments(params), "mean_square_step": moments(params)}

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        rho, epsilon, u = self.decay, self.epsilon, state["mean_square_step"]
        a = each(lambda a, g: rho * a + (1 - rho) * (g * g), state["mean_square_gradient"], grads)
        d = each(lambda g, a, u: -g * jnp.sqrt((u + epsilon) / (a + epsilon)), grads, a, u)
        u = each(lambda u, d: rho * u + (1 - rho) * (d * d), u, d)
        updates = each(lambda d, eta: eta * d, d, eta=self.rate(state))
        return like(updates, grads), {**self.count(state), "mean_square_gradient": a, "mean_square_step": u}

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        """eta sqrt(u + epsilon) / sqrt(a + epsilon), entry by entry, with the u before this step and the a after it."""

        def size(a: Any, u: Any, eta: Any) -> Any:
            return eta * jnp.sqrt((u + self.epsilon) / (a + self.epsilon))

        return each(size, after["mean_square_gradient"], before["mean_square_step"], eta=self.rate(before))

"""The paths that optimisers take on an error surface of two weights."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Array
from denpa.data.arguments import as_whole
from denpa.lab.landscapes.surfaces import SURFACES, Surface
from denpa.optim import SGD, Adadelta, AdaGrad, Adam, ClipByNorm, Momentum, Nesterov, RMSprop, chain

__all__ = ["contestants", "trajectory"]


def contestants(surface: Surface, rate: float | None = None) -> dict[str, Any]:
    """The optimisers to compare on a surface, by name.

    Args:
        surface: decides the learning rates.
        rate: the learning rate of all of them; None takes one for each that suits it.
    """
    gradient, step = surface.rates
    eta = gradient if rate is None else rate
    return {
        "sgd": SGD(eta),
        "clipped-sgd": chain(ClipByNorm(1.0), SGD(eta)),
        "momentum": Momentum(eta, 0.8),
        "clipped-momentum": chain(ClipByNorm(1.0), Momentum(eta, 0.8)),
        "nesterov": Nesterov(gradient / 2 if rate is None else rate, 0.8, lookahead=True),
        "adagrad": AdaGrad(round(3 * step, 6) if rate is None else rate),
        "rmsprop": RMSprop(step / 2 if rate is None else rate),
        "adadelta": Adadelta(50 * step if rate is None else rate),
        "adam": Adam(step if rate is None else rate),
    }


def trajectory(
    surface: Surface, optimizer: Any, start: Any = None, steps: int = 100, *, noise: float = 0.0, seed: int = 0
) -> np.ndarray:
    """w_0 = start,   w_{t+1} = w_t + Δw(∂E/∂w + ξ_t),   ξ_t ~ N(0, noise²), independent

    The noise stands for what a mini-batch adds to the gradient of the whole error.

    Args:
        surface: one of `SURFACES`, or a `Surface` of your own.
        optimizer: one of denpa's, also a `chain` with clipping, or any of Optax's. The weights are under "W".
        start: (w1, w2); the surface's own when None.
        steps: how many updates.
        noise: standard deviation of what is added to each component of the gradient.
        seed: decides the noise.

    Returns:
        The points w_0 ... w_steps (steps + 1, 2); what diverged is infinite or NaN.

    Raises:
        ConfigError: a name in the place of a surface, no optimiser, or numbers that make no sense.
    """
    if not isinstance(surface, Surface):
        raise ConfigError(f"{surface!r} is no surface: {nearest(str(surface), SURFACES, plural='surfaces')}")
    if not hasattr(optimizer, "update"):
        raise ConfigError(f"{optimizer!r} is no optimiser such as SGD(0.1).")
    steps = as_whole(steps, "steps", 1)
    w = np.asarray(surface.start if start is None else start, jax.dtypes.canonicalize_dtype(float))
    if w.shape != (2,) or not np.isfinite(w).all():
        raise ConfigError(f"A start is two finite numbers (w1, w2), not {start!r}.")
    if not 0 <= noise < math.inf:
        raise ConfigError(f"noise is a standard deviation, 0 or more, not {noise!r}.")
    xi = (noise * np.random.default_rng(seed).standard_normal((steps, 2))).astype(w.dtype)
    return np.concatenate([w[None], _walked(surface, optimizer, w, xi)])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _walked(surface: Surface, optimizer: Any, start: Array, noise: Array) -> Array:
    """All points but the first, by one scan over the noise of each step."""
    look_ahead = getattr(optimizer, "gradient_point", lambda params, state: params)

    def body(carry: Any, xi: Array) -> Any:
        params, state = carry
        grads = {"W": surface.gradient(look_ahead(params, state)["W"]) + xi}
        updates, state = optimizer.update(grads, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        return (params, state), params["W"]

    params = {"W": start}
    return jax.lax.scan(body, (params, optimizer.init(params)), noise)[1]

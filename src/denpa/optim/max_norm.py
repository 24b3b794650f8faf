"""The max-norm constraint: no unit's weights may grow longer than a given length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp

from denpa.core import tree
from denpa.core.checks import want_pattern, want_positive
from denpa.core.errors import ConfigError
from denpa.optim.base import Transform, each, like

__all__ = ["MaxNorm"]


@dataclass(frozen=True)
class MaxNorm(Transform):
    """w = w c / |w|  where |w| > c, after every update;   w are the weights that lead into one unit     state: nothing

    The step ends at the nearest point of the ball |w| <= c (projected gradient descent). Unlike a penalty this leaves
    short weights alone, and holds whatever the learning rate: after each step every unit keeps to it.

        dp.chain(dp.SGD(0.1), dp.MaxNorm(3.0))

    It stands behind the optimiser, whose update it turns into one that ends inside: u' = P(w + u) - w. The weights of
    a unit are all entries of W but for the last axis, which counts units: W[:, j] of `Dense` (in, units), W[..., f]
    of convolutions (of a `ConvTranspose2d` in groups, one unit of each group together). The next step begins inside
    again even where the initial weights were outside.

    Args:
        limit: c > 0, the largest length.
        on: the arrays it is for, as in a penalty; "W*" leaves biases out. Arrays of one axis are left as they are.

    Raises:
        ConfigError: a limit that is not positive; in `chain`, a place before the optimiser.

    Source: Srebro & Shraibman (2005), "Rank, trace-norm and max-norm"; as a constraint on each unit: Hinton et al.
    (2012), "Improving neural networks by preventing co-adaptation of feature detectors", appendix A.1.
    """

    limit: float
    on: str = "W*"

    follows_optimizer: ClassVar[bool] = True

    def validate(self) -> None:
        want_positive(self, "limit")
        want_pattern(self)

    def project(self, params: Any) -> Any:
        """The nearest parameters that keep to the limit."""

        def inside(w: Any) -> Any:
            if w.ndim < 2:
                return w
            unit = {"axis": tuple(range(w.ndim - 1)), "keepdims": True}
            scale = jnp.maximum(jnp.max(jnp.abs(w), initial=0.0, **unit), self.limit)  # no square overflows
            length, limit = jnp.sqrt(jnp.sum(jnp.square(w / scale), **unit)), self.limit / scale
            return w * (limit / jnp.maximum(length, limit))

        return tree.map_matching(inside, self.on, params)

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ConfigError("MaxNorm wants the parameters: update(updates, state, params).")
        reached = each(lambda u, w: w + u, grads, params)
        return like(each(lambda w, r: r - w, params, self.project(reached)), grads), state

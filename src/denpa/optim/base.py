"""The optimiser: what turns gradients into updates, in the protocol of Optax.

    state          = optimizer.init(params)
    updates, state = optimizer.update(grads, state, params)
    params         = params + updates

Every moment and every update is computed in float32 or wider: in bfloat16, 0.999 rounds to 1, and a
running mean with that decay would never forget.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from denpa.core.description import Description
from denpa.core.errors import ConfigError
from denpa.core.tree import wide_dtype
from denpa.optim.schedules import Schedule

__all__ = ["Optimizer", "Transform", "each", "like", "moments", "over_root", "takes_objective", "want_rate"]


class Transform(Description):
    """A map of gradients, such as clipping: what may stand in a chain beside an optimiser."""

    follows_optimizer: ClassVar[bool] = False  # True for a map of updates, which has no sense before there are any

    def init(self, params: Any) -> Any:
        """The state before the first step, made for parameters of this structure."""
        return {}

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        """What becomes of the gradients, and the next state. `grads` has the structure of `params`."""
        raise NotImplementedError(f"{type(self).__name__} must define update(grads, state, params).")


class Optimizer(Transform):
    """Base of all optimisers: `update` returns what is to be ADDED to the parameters.

    The learning rate is a number, or a schedule: one of `denpa.schedules`, or any function from the number
    of updates made so far (an array) to the rate of the coming one. A function of your own cannot be
    written to a file.

    The state is nested dicts of arrays. It holds an int32 counter `"step"` of the updates made so far
    wherever a schedule or a bias correction needs one, so that a rate that varies never recompiles.
    """

    learning_rate: float | Callable[[Any], Any]

    def validate(self) -> None:
        want_rate(self)

    def init(self, params: Any) -> Any:
        return self.counter()

    def rate(self, state: Any) -> Any:
        """The learning rate of the coming step: a number, or an array () where a schedule decides."""
        if callable(self.learning_rate):
            return self.learning_rate(state["step"])
        return self.learning_rate

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        """η of the proximal step, see `denpa.L1`: the step to which a gradient that stays 1 leads, its sign left out.

        Args:
            before, after: the state before and after the update that the proximal step follows.
            params: the parameters.

        Returns:
            A tree like `params`: for each array one number, or one for each of its entries. The learning rate, unless
            the optimiser makes longer or shorter steps of it.

        Raises:
            ConfigError: there is no such number, see `want_step_sizes`.
        """
        rate = self.rate(before)
        return jax.tree.map(lambda _: rate, params)

    def want_step_sizes(self) -> None:
        """Refuse to stand before a proximal step, by `ConfigError`, where no `step_sizes` lead to the minimum."""

    def gradient_point(self, params: Any, state: Any) -> Any:
        """The parameters at which the coming gradient is to be evaluated; `params` unless the method looks ahead."""
        return params

    def counter(self) -> dict[str, Any]:
        """The step counter before the first step; empty where the rate is a number."""
        return {"step": jnp.zeros((), jnp.int32)} if callable(self.learning_rate) else {}

    def count(self, state: Any) -> dict[str, Any]:
        """The step counter after one more update; empty where there is none."""
        return {"step": state["step"] + 1} if "step" in state else {}


def takes_objective(optimizer: Any) -> bool:
    """Whether `update` has room for `value`, `grad` and `value_fn`, which Optax's line searches ask for."""
    try:
        parameters = inspect.signature(optimizer.update).parameters.values()
    except (TypeError, ValueError):  # it does not tell
        return False
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def each(function: Callable[..., Any], *trees: Any, **scalars: Any) -> Any:
    """`function` on the corresponding leaves of `trees`, in float32 or wider.

    `scalars` (rates, corrections) are computed once and brought to each leaf's precision.
    """

    def on_leaves(*leaves: Any) -> Any:
        dtype = wide_dtype(jnp.result_type(leaves[0]))
        return function(
            *[jnp.asarray(leaf, dtype) for leaf in leaves],
            **{name: jnp.asarray(value, dtype) for name, value in scalars.items()},
        )

    return jax.tree.map(on_leaves, *trees)


def like(tree: Any, template: Any) -> Any:
    """`tree` in the precisions of `template`: updates take those of the gradients."""
    return jax.tree.map(lambda leaf, t: leaf.astype(jnp.result_type(t)), tree, template)


def moments(params: Any, value: float = 0.0) -> Any:
    """A tree of the structure of `params` filled with `value`, in float32 or wider."""
    return jax.tree.map(lambda p: jnp.full_like(p, value, dtype=wide_dtype(jnp.result_type(p))), params)


def over_root(g: jax.Array, squares: jax.Array, epsilon: float, inside: bool = False) -> jax.Array:
    """g / (sqrt(squares) + epsilon), or g / sqrt(squares + epsilon); 0 where both are 0."""
    root = jnp.sqrt(squares + epsilon) if inside else jnp.sqrt(squares) + epsilon
    if epsilon > 0:
        return g / root
    return g / jnp.where(root > 0, root, 1.0)


def want_rate(owner: Optimizer) -> None:
    """Refuse a learning rate that is neither a positive number nor a schedule."""
    rate = owner.learning_rate
    if isinstance(rate, Schedule) or (callable(rate) and not isinstance(rate, (type, Description))):
        return
    if not isinstance(rate, float):
        raise ConfigError(
            f"{type(owner).__name__}.learning_rate must be a positive number such as 0.01 or a schedule such as "
            f"schedules.LinearDecay(0.1, 0.001, 1000), not {rate!r}."
        )
    if rate <= 0:
        raise ConfigError(
            f"{type(owner).__name__}.learning_rate must be positive, not {rate!r}: "
            "updates go against the gradient already. Try 0.01."
        )

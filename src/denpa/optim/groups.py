"""Different learning rates for different parts of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.optim.base import Optimizer
from denpa.optim.chain import Chain

__all__ = ["ParameterGroups"]


@dataclass(frozen=True)
class ParameterGroups(Optimizer):
    """The optimiser's updates, times a factor for each part: η of a part is factor · η.

        ParameterGroups(Adam(1e-3), {"0_conv2d/*": 0.1, "2_conv2d/*": 0.3})

    In fine-tuning, early layers that were learned elsewhere may move less than a new head (Howard & Ruder 2018,
    section 3.2, "discriminative fine-tuning"). Every update of the optimiser is proportional to its rate, so the
    factor may be applied to the update; the state is the optimiser's own. Not so what `MaxNorm` makes of it, which has
    the last word: `chain(ParameterGroups(Adam(1e-3), {"b": 2.0}), MaxNorm(3.0))`.

    Args:
        optimizer: what makes updates of gradients.
        factors: from patterns of parameter paths, such as "0_conv2d/*" or "b", to factors not below 0. The first
            pattern that fits counts; what fits none has factor 1.

    Raises:
        ConfigError: not an optimiser, or a chain that ends in `MaxNorm`; a factor below 0, or a pattern that fits no
            parameter.
    """

    optimizer: Optimizer
    factors: Any

    def __post_init__(self) -> None:
        if isinstance(self.factors, Mapping):
            object.__setattr__(self, "factors", tuple(self.factors.items()))
        super().__post_init__()

    def validate(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise ConfigError(f"ParameterGroups wants an optimiser such as Adam(0.001), not {self.optimizer!r}.")
        if behind := _behind(self.optimizer):
            raise ConfigError(
                f"ParameterGroups scales the updates, which {behind[0]!r} must see as they are added: write "
                f"chain(ParameterGroups(...), {behind[0]!r})."
            )
        try:
            factors = tuple((str(pattern), float(factor)) for pattern, factor in self.factors)
        except (TypeError, ValueError):
            wanted = 'from patterns to numbers, such as {"0_conv2d/*": 0.1}'
            raise ConfigError(f"ParameterGroups.factors must be a dict {wanted}, not {self.factors!r}.") from None
        object.__setattr__(self, "factors", factors)
        for pattern, factor in self.factors:
            if not 0 <= factor < float("inf"):
                raise ConfigError(f"ParameterGroups: the factor of {pattern!r} must not be below 0, not {factor!r}.")

    def init(self, params: Any) -> Any:
        paths = tree.flatten(params)
        for pattern, _ in self.factors:
            if not any(tree.matches(path, pattern) for path in paths):
                raise ConfigError(f"ParameterGroups: {pattern!r} fits no parameter; {tree.listing(paths, pattern)}")
        return self.optimizer.init(params)

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = self.optimizer.update(grads, state, params)
        return self._scaled(updates), state

    def factor(self, path: str) -> float:
        """What the rate of the parameter at this path is multiplied by."""
        return next((factor for pattern, factor in self.factors if tree.matches(path, pattern)), 1.0)

    def rate(self, state: Any) -> Any:
        return self.optimizer.rate(state)

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        return self._scaled(self.optimizer.step_sizes(before, after, params))

    def want_step_sizes(self) -> None:
        self.optimizer.want_step_sizes()

    def gradient_point(self, params: Any, state: Any) -> Any:
        ahead = self.optimizer.gradient_point(params, state)
        if ahead is params:
            return params
        step = self._scaled(jax.tree.map(lambda w, point: point - w, params, ahead))  # the way ahead is a step too
        return tree.add(params, step)

    def _scaled(self, steps: Any) -> Any:
        """A tree like the parameters, each array times its factor."""
        return jax.tree_util.tree_map_with_path(lambda path, step: step * self.factor(tree.path_name(path)), steps)


def _behind(optimizer: Any) -> list[Any]:
    """The parts of a chain, and of chains inside, that act on finished updates."""
    if isinstance(optimizer, ParameterGroups):
        return _behind(optimizer.optimizer)
    parts = optimizer.parts if isinstance(optimizer, Chain) else ()
    return [found for part in parts for found in ([part] if part.follows_optimizer else _behind(part))]

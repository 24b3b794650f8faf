"""Several transforms in a row, one optimiser among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from denpa.core.errors import ConfigError
from denpa.optim.base import Optimizer, Transform, each, like

__all__ = ["Chain", "chain"]


@dataclass(frozen=True)
class Chain(Optimizer):
    """The gradients pass through `parts` from left to right: what one part returns, the next receives.

    Exactly one part is an optimiser (or a chain that holds one). What stands before it acts on the
    gradients, what stands after it on the updates. The state has one entry for each part, named as the
    layers of a `Sequential` are: `{"0_clipbynorm": {}, "1_adam": {...}}`.

    Args:
        parts: `Transform`s, one of them an `Optimizer`.

    Raises:
        ConfigError: a part that is neither, no optimiser or several, `MaxNorm` in front of it.
    """

    parts: tuple[Transform, ...]

    def validate(self) -> None:
        if not isinstance(self.parts, tuple):
            raise ConfigError(f"Chain takes a list of parts, not {self.parts!r}; chain(a, b) makes one.")
        for part in self.parts:
            if not isinstance(part, Transform):
                raise ConfigError(
                    f"{part!r} cannot be chained: a part is an optimiser, ClipByNorm, ClipByValue or another "
                    "Transform. Transformations of Optax go into optax.chain, which takes denpa's as well."
                )
        count = sum(isinstance(part, Optimizer) for part in self.parts)
        if count != 1:
            raise ConfigError(
                f"A chain needs exactly one optimiser and has {count}: write chain(ClipByNorm(1.0), Adam(0.001))."
            )
        behind = False
        for part in self.parts:
            behind = behind or isinstance(part, Optimizer)
            if part.follows_optimizer and not behind:
                raise ConfigError(
                    f"{part!r} acts on updates: write it behind the optimiser, chain(SGD(0.1), {part!r})."
                )

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self.parts))})"

    def named(self) -> tuple[tuple[str, Transform], ...]:
        """The parts with the names of their states."""
        width = len(str(len(self.parts) - 1))
        return tuple((f"{i:0{width}d}_{type(part).__name__.lower()}", part) for i, part in enumerate(self.parts))

    def optimizer(self) -> tuple[str, Optimizer]:
        """The one part that is an optimiser, with its name."""
        return next((name, part) for name, part in self.named() if isinstance(part, Optimizer))

    def init(self, params: Any) -> Any:
        return {name: part.init(params) for name, part in self.named()}

    def update(self, grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # Between the parts nothing is rounded to half precision.
        updates, after = each(lambda g: g, grads), {}
        for name, part in self.named():
            updates, after[name] = part.update(updates, state[name], params)
        return like(updates, grads), after

    def rate(self, state: Any) -> Any:
        name, part = self.optimizer()
        return part.rate(state[name])

    def rates(self, state: Any, params: Any) -> Any:
        name, part = self.optimizer()
        return part.rates(state[name], params)

    def gradient_point(self, params: Any, state: Any) -> Any:
        name, part = self.optimizer()
        return part.gradient_point(params, state[name])


def chain(*parts: Transform) -> Chain:
    """`chain(ClipByNorm(1.0), Adam(1e-3))`: clip the gradients, then let Adam make updates of them."""
    return Chain(parts)

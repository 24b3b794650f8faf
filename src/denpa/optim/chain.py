"""Several transforms in a row, one optimiser among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from denpa.core.errors import ConfigError
from denpa.core.keys import numbered
from denpa.optim.base import Optimizer, Transform, each, like, takes_objective

__all__ = ["Chain", "chain"]


@dataclass(frozen=True, repr=False)
class _Foreign(Transform):
    """A transformation of Optax's, or of any library with its protocol, as a part of a chain.

    It is made of functions, which a file cannot keep.

    Args:
        part: what has `init(params)` and `update(grads, state, params)`, whose updates are to be added.
    """

    part: Any

    def __post_init__(self) -> None:
        """Leave the part as it is: Optax's are tuples of a kind of their own."""

    def __repr__(self) -> str:
        return repr(self.part)

    def init(self, params: Any) -> Any:
        return self.part.init(_widened(params))

    def update(self, grads: Any, state: Any, params: Any = None, **objective: Any) -> tuple[Any, Any]:
        known = objective if takes_objective(self.part) else {}
        return self.part.update(_widened(grads), state, _widened(params), **known)


@dataclass(frozen=True)
class Chain(Optimizer):
    """The gradients pass through `parts` from left to right: what one part returns, the next receives.

    Exactly one part is an optimiser (or a chain that holds one). What stands before it acts on the
    gradients, what stands after it on the updates. The state has one entry for each part, named as the
    layers of a `Sequential` are: `{"0_clipbynorm": {}, "1_adam": {...}}`.

    Transformations of Optax may stand among the parts. Whether one of them is an optimiser is not to be seen: in a
    chain without one of denpa's, theirs are taken for it. Such a chain does not know its learning rate.

    Args:
        parts: `Transform`s, one of them an `Optimizer`; `chain(a, b)` takes Optax's transformations as well.

    Raises:
        ConfigError: a part that is none of these, no optimiser or several, `MaxNorm` in front of it.
    """

    parts: tuple[Transform, ...]

    def validate(self) -> None:
        if not isinstance(self.parts, tuple):
            raise ConfigError(f"Chain takes a list of parts, not {self.parts!r}; chain(a, b) makes one.")
        for part in self.parts:
            if not isinstance(part, Transform):
                raise ConfigError(
                    f"{part!r} cannot be chained: a part is an optimiser, ClipByNorm, ClipByValue, another Transform, "
                    "or what Optax makes, with init and update: chain(ClipByNorm(1.0), optax.adam(0.001))."
                )
        count = sum(isinstance(part, Optimizer) for part in self.parts)
        if count > 1 or not self._makers():
            raise ConfigError(
                f"A chain needs exactly one optimiser and has {count}: write chain(ClipByNorm(1.0), Adam(0.001))."
            )
        behind = False
        for part in self.parts:
            behind = behind or part in self._makers()
            if part.follows_optimizer and not behind:
                raise ConfigError(
                    f"{part!r} acts on updates: write it behind the optimiser, chain(SGD(0.1), {part!r})."
                )

    def _makers(self) -> list[Transform]:
        """The optimiser; without one of ours, all that may be one."""
        ours: list[Transform] = [part for part in self.parts if isinstance(part, Optimizer)]
        return ours or [part for part in self.parts if isinstance(part, _Foreign)]

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self.parts))})"

    def named(self) -> tuple[tuple[str, Transform], ...]:
        """The parts with the names of their states."""
        names = numbered([type(part).__name__.lower().lstrip("_") for part in self.parts])
        return tuple(zip(names, self.parts, strict=True))

    def optimizer(self) -> tuple[str, Optimizer]:
        """The one part that is an optimiser of denpa's, with its name.

        Raises:
            ConfigError: there is none, for the step is made by a part of another library.
        """
        for name, part in self.named():
            if isinstance(part, Optimizer):
                return name, part
        raise ConfigError(f"{self!r} does not know its learning rate, which is inside a part of another library.")

    def init(self, params: Any) -> Any:
        return {name: part.init(params) for name, part in self.named()}

    def update(self, grads: Any, state: Any, params: Any = None, **objective: Any) -> tuple[Any, Any]:
        """As every `update`; `objective` is for parts of Optax's that ask for it: `value`, `grad`, `value_fn`."""
        updates, after = _widened(grads), {}
        for name, part in self.named():
            known = objective if takes_objective(part) else {}
            updates, after[name] = part.update(updates, state[name], params, **known)
        return like(updates, grads), after

    def rate(self, state: Any) -> Any:
        name, part = self.optimizer()
        return part.rate(state[name])

    def step_sizes(self, before: Any, after: Any, params: Any) -> Any:
        name, part = self.optimizer()
        return part.step_sizes(before[name], after[name], params)

    def want_step_sizes(self) -> None:
        self.optimizer()[1].want_step_sizes()

    def gradient_point(self, params: Any, state: Any) -> Any:
        if not any(isinstance(part, Optimizer) for part in self.parts):
            return params
        name, part = self.optimizer()
        return part.gradient_point(params, state[name])


def chain(*parts: Any) -> Chain:
    """`chain(ClipByNorm(1.0), Adam(1e-3))`: clip the gradients, then let Adam make updates of them.

    One part is an optimiser; what stands before it acts on gradients, what stands behind it, such as `MaxNorm`, on
    updates. Parts that Optax made stand for themselves: `chain(ClipByNorm(1.0), optax.adam(1e-3))`.

    Raises:
        ConfigError: a part that cannot be chained, no optimiser or several, `MaxNorm` in front of it.
    """
    return Chain(tuple(_Foreign(part) if _is_foreign(part) else part for part in parts))


def _is_foreign(part: Any) -> bool:
    has_protocol = callable(getattr(part, "init", None)) and callable(getattr(part, "update", None))
    return has_protocol and not isinstance(part, (Transform, type))


def _widened(leaves: Any) -> Any:
    """Nothing is rounded to half precision on the way, and moments made of these are not either."""
    return each(lambda leaf: leaf, leaves)

"""Weight sharing by constraint: arrays of a network, or single entries of them, that are one and the same number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from denpa.core import tree
from denpa.core.description import Description
from denpa.core.errors import ConfigError, ShapeError, nearest
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved, State
from denpa.networks.base import Delta, Value
from denpa.networks.walk import Backward, Forward, Stepping

__all__ = ["Tie", "Tied"]


@dataclass(frozen=True)
class Tie(Description):
    """target = source, or target = sourceᵀ, or for single entries target[at] = source[source_at].

        dp.Tie("2_dense/W", "0_dense/W", transpose=True)               # the decoder's weights are the encoder's
        dp.Tie("2_dense/W", "0_dense/W", at=(0, 3), source_at=(1, 2))  # one weight is another

    Args:
        target, source: paths of the array that is tied, and of that to which it is tied, which stays a parameter.
        transpose: the last two axes are exchanged: (in, out) of `Dense`, and channels in and out of convolutions.
        at, source_at: indices of one entry each, such as (0, 3); () for the whole arrays.

    Raises:
        ConfigError: an index for one side only, or that is no tuple, a transposed entry, an array tied to itself.
    """

    target: str
    source: str
    transpose: bool = False
    at: tuple[int, ...] = ()
    source_at: tuple[int, ...] = ()

    def validate(self) -> None:
        named = all(isinstance(at, tuple) and all(isinstance(i, int) for i in at) for at in (self.at, self.source_at))
        if not named or bool(self.at) != bool(self.source_at) or (self.at and self.transpose):
            raise ConfigError(f"{self!r}: entries want both at and source_at, such as (0, 3), and no transpose.")
        if (self.target, self.at) == (self.source, self.source_at):
            raise ConfigError(f"{self!r} ties {self.target} to itself.")

    def turned(self, w: Array) -> Array:
        """The source as the target has it, and a gradient of the target as the source has it."""
        return jnp.swapaxes(w, -1, -2) if self.transpose else w


@dataclass(frozen=True)
class Tied(Stepping):
    """A network in which some weights are the same numbers: w_target = w_source.

        net = dp.Tied(dp.Sequential([dp.Dense(32), dp.Sigmoid(), dp.Dense(784)]),
                      [dp.Tie("2_dense/W", "0_dense/W", transpose=True)])

    A weight that stands in several places has the sum of the gradients of all of them, the total differential:

        ∂E/∂w = ∂E/∂w_source + Σ ∂E/∂w_target

    A whole array that is tied is no parameter any more. A single entry that is tied stays in its array, where it is 0
    and of no account. Layers, names, state and records are those of the network inside; the records of `trace` show
    the gradients of all places apart.

    Args:
        net: the network.
        ties: which arrays are which.

    Raises:
        ConfigError: an unknown array (the nearest is named), one that is tied twice, or to one that is itself tied.
        ShapeError: arrays of unlike shapes.

    Source: Rumelhart, Hinton & Williams (1986), "Learning internal representations by error propagation", on equal
    weights in several places; transposed weights: Vincent et al. (2010), section 2.2.
    """

    net: Stepping
    ties: tuple[Tie, ...]

    def validate(self) -> None:
        if not isinstance(self.net, Stepping):
            raise ConfigError(f"Tied wants a network of layers such as Sequential([...]), not {self.net!r}.")
        if isinstance(self.ties, Tie):
            object.__setattr__(self, "ties", (self.ties,))
        targets: set[Any] = set()
        for tie in self.ties:
            if not isinstance(tie, Tie):
                raise ConfigError(f'Tied wants ties such as Tie("2_dense/W", "0_dense/W"), not {tie!r}.')
            if {(tie.target, tie.at), (tie.target, ())} & targets or (not tie.at and tie.target in _names(targets)):
                raise ConfigError(f"{_place(tie.target, tie.at)} is tied twice.")
            targets.add((tie.target, tie.at))
        for tie in self.ties:
            whole = not tie.source_at and tie.source in _names(targets)
            if whole or {(tie.source, tie.source_at), (tie.source, ())} & targets:
                raise ConfigError(f"{_place(tie.source, tie.source_at)} is itself tied: tie both to a third, free one.")

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        return self.net.inner()

    @property
    def takes_integers(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the network inside takes."""
        return self.net.takes_integers

    def slots(self) -> dict[str, str]:
        return self.net.slots()

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        return self.net.shapes(in_shape)

    def out_shape(self, in_shape: Any) -> Any:
        return self.net.out_shape(in_shape)

    def init_params(self, key: Array, in_shape: Any) -> Params:
        params = self.net.init_params(key, in_shape)
        self._check(tree.flatten(params))
        return self._without_targets(params)

    def init_state(self, in_shape: Any) -> State:
        return self.net.init_state(in_shape)

    def next_state(self, state: State, saved: Saved) -> State:
        return self.net.next_state(state, saved)

    def cost(self, saved: Saved) -> Any:
        return self.net.cost(saved)

    def inside(self, params: Params) -> Params:
        return self.net.inside(self.expanded(params))

    def forward(self, params: Params, x: Any, ctx: Context = Context()) -> tuple[Any, Saved]:
        return self.net.forward(self.expanded(params), x, ctx)

    def backward(self, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads]:
        dx, grads = self.net.backward(self.expanded(params), saved, dy)
        return dx, self.summed(grads)

    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        return self.net.forward_by(step, self.expanded(params), x, ctx)

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        dx, grads, met = self.net.backward_by(step, self.expanded(params), saved, dy)
        return dx, self.summed(grads), met

    def expanded(self, params: Params) -> Params:
        """The parameters of the network inside: every tied weight in its place."""
        for tie in self.ties:
            source = _at(params, tie.source)
            w = _at(params, tie.target).at[tie.at].set(source[tie.source_at]) if tie.at else tie.turned(source)
            params = _put(params, tie.target, w)
        return params

    def summed(self, grads: Grads) -> Grads:
        """From the gradients of all places to those of the parameters: tied places add up."""
        for tie in self.ties:
            dw, part = _at(grads, tie.source), _at(grads, tie.target)
            dw = dw.at[tie.source_at].add(part[tie.at]) if tie.at else dw + tie.turned(part)
            grads = _put(grads, tie.source, dw)
        return self._without_targets(grads)

    def _without_targets(self, arrays: Params) -> Params:
        """The arrays without those that are tied whole, and with 0 where single entries are tied."""
        for tie in self.ties:
            rest = _at(arrays, tie.target).at[tie.at].set(0) if tie.at else None
            arrays = _put(arrays, tie.target, rest)
        return arrays

    def _check(self, arrays: dict[str, Array]) -> None:
        """Raise unless the ties are between arrays of this network that can be the same."""
        for tie in self.ties:
            for name, at in ((tie.target, tie.at), (tie.source, tie.source_at)):
                if name not in arrays:
                    raise ConfigError(f"{tie!r}: no array {name!r}: {nearest(name, arrays, plural='arrays')}")
                shape = arrays[name].shape
                if at and not (len(at) == len(shape) and all(0 <= i < n for i, n in zip(at, shape, strict=True))):
                    raise ConfigError(f"{tie!r}: {name} of shape {shape} has no entry {at}.")
            if tie.transpose and arrays[tie.source].ndim < 2:
                raise ShapeError(f"{tie!r}: {tie.source} of shape {arrays[tie.source].shape} cannot be transposed.")
            wanted = tie.turned(arrays[tie.source]).shape
            if not tie.at and arrays[tie.target].shape != wanted:
                turned = not tie.transpose and wanted[::-1] == arrays[tie.target].shape
                hint = " With transpose=True?" if turned else ""
                raise ShapeError(
                    f"{tie!r}: {tie.target} has shape {arrays[tie.target].shape}, and would have to be {wanted}.{hint}"
                )


def _names(targets: set[Any]) -> set[str]:
    return {name for name, _ in targets}


def _place(name: str, at: tuple[int, ...]) -> str:
    return f"{name}{list(at)}" if at else name


def _at(arrays: Params, path: str) -> Array:
    """The array at a path of nested dicts."""
    for name in path.split("/"):
        arrays = arrays[name]
    return jnp.asarray(arrays)


def _put(arrays: Params, path: str, array: Array | None) -> Params:
    """A copy of nested dicts with this array at the path, or with none there."""
    first, _, rest = path.partition("/")
    if rest:
        return {**arrays, first: _put(arrays[first], rest, array)}
    others = {name: value for name, value in arrays.items() if name != first}
    return others if array is None else {**others, first: array}

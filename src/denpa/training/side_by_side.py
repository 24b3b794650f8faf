"""Members in groups that are computed side by side, one group on each core.

What a step of a small network does is too little to be shared out: XLA goes through it with one core and a bit, and
the longer, the more members wait in line. Groups of members have nothing to do with each other, so that each core
can take one through all steps of a call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from denpa.training.compiled import has_small_products
from denpa.training.kept import cores
from denpa.training.threads import in_threads

__all__ = ["SideBySide", "groups_of"]


class SideBySide:
    """A program of stacked members, called as it is; on a CPU each core computes it for some of the members.

    Members with large products are left together: these keep all cores busy.

    Args:
        program: the compiled program. Its first argument is the members' `Run`.
        in_axes, out_axes: the axis of the members in each argument and result, None where an argument is of all, as
            in `jax.vmap`.
    """

    def __init__(self, program: Callable[..., Any], in_axes: tuple[int | None, ...], out_axes: tuple[int, ...]) -> None:
        self.program, self.in_axes, self.out_axes = program, in_axes, out_axes

    def __call__(self, *args: Any) -> Any:
        apart = has_small_products(args[0]) and not getattr(jax.config, "jax_disable_jit", False)
        groups = groups_of(len(args[0].step), cores() if apart else 1)
        if len(groups.starts) == 1:
            return self.program(*args)
        cut = [_cut(arg, axis, groups) for arg, axis in zip(args, self.in_axes, strict=True)]
        parts = in_threads(lambda given: self.program(*given), list(zip(*cut, strict=True)))
        return _joined(parts, self.out_axes, groups)


class Groups(NamedTuple):
    """Equal groups of members in their order; the last begins so early that it is full.

    Attributes:
        members: how many there are.
        size: members in a group.
    """

    members: int
    size: int

    @property
    def starts(self) -> list[int]:
        """The first member of each group."""
        return [min(start, self.members - self.size) for start in range(0, self.members, self.size)]

    @property
    def overlap(self) -> int:
        """How many members of the last group are those of the one before."""
        return -self.members % self.size


def groups_of(members: int, workers: int) -> Groups:
    """As few groups as let all workers end at the same time."""
    return Groups(members, -(-members // min(workers, members)))


def _cut(arg: Any, axis: int | None, groups: Groups) -> Any:
    """An argument for each of the groups."""
    if axis is None:
        return [arg] * len(groups.starts)
    if isinstance(arg, np.ndarray):
        return [np.take(arg, np.arange(start, start + groups.size), axis) for start in groups.starts]
    return _slices(arg, axis, groups)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _slices(tree: Any, axis: int, groups: Groups) -> list[Any]:
    def part(start: int) -> Any:
        rows = (*[slice(None)] * axis, slice(start, start + groups.size))
        return jax.tree.map(lambda a: a[rows], tree)

    return [part(start) for start in groups.starts]


@functools.partial(jax.jit, static_argnums=(1, 2))
def _joined(parts: list[Any], axes: tuple[int, ...], groups: Groups) -> Any:
    """The results of all members, in their order."""

    def whole(axis: int, *leaves: Any) -> Any:
        rest = (*[slice(None)] * axis, slice(groups.overlap, None))
        return jnp.concatenate([*leaves[:-1], leaves[-1][rest]], axis)

    each = zip(axes, zip(*parts, strict=True), strict=True)
    return tuple(jax.tree.map(functools.partial(whole, axis), *results) for axis, results in each)

"""A cell through time, forward and backward, on time-major arrays (time, batch, ...).

    forward   carryᵗ, keptᵗ = step(dᵗ, carryᵗ⁻¹)                          one scan; d = x Wx is one product before it
    backward  δᵗ, ∂E/∂carryᵗ⁻¹ = backward(slopesᵗ, ∂E/∂carryᵗ + ∂E/∂yᵗ)   one scan that carries deltas alone
              ∂E/∂params, ∂E/∂x from all δ                                one product each behind it

A cell that `runs` whole sequences takes both scans' place on a CPU, if `whole` asks for it and nothing is padded.

A padded step hands the carry on as it is, both ways, and its δ is 0. `reverse` runs time from the end, where the
padding then comes first: every sequence is read backwards from its own last step.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from denpa.core import tree
from denpa.core.layer import Array, Grads, Params
from denpa.kernels.platform import by_platform
from denpa.layers.cell import Carry, Cell, Steps

__all__ = ["Backward", "backward", "backward_in_segments", "forward", "forward_in_segments", "steps_of"]


def _compiled(*constants: str) -> Any:
    """Outside of a compiled step a scan would be compiled anew at every call; so it is once for each cell and shape."""
    return functools.partial(jax.jit, static_argnames=("cell", "reverse", *constants))


class Backward(NamedTuple):
    """What a run backward finds.

    Attributes:
        dx: ∂E/∂x, (time, batch, features).
        dcarry: ∂E/∂ the initial carry.
        grads: ∂E/∂params.
        delta: δ = ∂E/∂u of every step.
        dcarries: ∂E/∂carry behind every step.
    """

    dx: Array
    dcarry: Carry
    grads: Grads
    delta: Array
    dcarries: Carry


def steps_of(x: Array, kept: Any, first: Carry, after: Carry, reverse: bool) -> Steps:
    """All steps of a run; the carry before each is the one behind its neighbour, or the initial one."""
    pairs = zip(first, after, strict=True)
    if reverse:
        before = tuple(jnp.concatenate([a[1:], c[None]]) for c, a in pairs)
    else:
        before = tuple(jnp.concatenate([c[None], a[:-1]]) for c, a in pairs)
    return Steps(x, kept, before, after)


@_compiled("whole")
def forward(
    cell: Cell, params: Params, x: Array, first: Carry, mask: Any, reverse: bool, whole: bool = False
) -> tuple[Carry, Carry, Any]:
    """The final carry, the carries behind every step, and what the cell kept of every step."""

    def scan(params: Params, drive: Array, first: Carry) -> tuple[Carry, Any]:
        def body(carry: Carry, at: Any) -> tuple[Carry, Any]:
            drive, true_step = at
            after, kept = cell.step(params, drive, carry)
            after = _where(true_step, after, carry)
            return after, (after, kept)

        return lax.scan(body, first, (drive, mask), reverse=reverse)[1]

    def run(params: Params, drive: Array, first: Carry) -> tuple[Carry, Any]:
        return cell.run_forward(params, drive, first, reverse)

    given = params, cell.drive(params, x), first
    after, kept = by_platform(run, scan, *given) if whole else scan(*given)
    return tuple(part[0 if reverse else -1] for part in after), after, kept


@_compiled("record", "whole")
def backward(
    cell: Cell, params: Params, x: Array, first: Carry, after: Carry, kept: Any, mask: Any, reverse: bool,
    dy: Array | None, dfinal: Carry, record: bool = False, whole: bool = False,
) -> Backward:  # fmt: skip
    """All deltas and gradients, from ∂E/∂y of every step (None where the steps give nothing out) and of the end."""

    def scan(params: Params, steps: Steps, first: Carry, dy: Any, dfinal: Carry) -> Any:
        slopes = cell.slopes(params, steps)

        def body(dcarry: Carry, at: Any) -> tuple[Carry, Any]:
            slopes, dy, true_step = at
            if dy is not None:
                dcarry = (dcarry[0] + dy, *dcarry[1:])
            delta, earlier = cell.backward(params, slopes, dcarry)
            delta, earlier = _where(true_step, (delta, earlier), (jnp.zeros_like(delta), dcarry))
            return earlier, (delta, dcarry if record else ())

        dfirst, (delta, dcarries) = lax.scan(body, dfinal, (slopes, dy, mask), length=len(x), reverse=not reverse)
        return delta, dfirst, cell.grads(params, steps, delta), dcarries

    def run(params: Params, steps: Steps, first: Carry, dy: Any, dfinal: Carry) -> Any:
        return *cell.run_backward(params, steps, first, dy, dfinal, reverse), ()

    given = params, steps_of(x, kept, first, after, reverse), first, dy, dfinal
    delta, dfirst, grads, dcarries = by_platform(run, scan, *given) if whole else scan(*given)
    grads = {name: grads[name] for name in params}  # of a layer without biases only what is there
    return Backward(cell.input_delta(params, delta), dfirst, grads, delta, dcarries)


@_compiled("length")
def forward_in_segments(
    cell: Cell, params: Params, x: Array, first: Carry, mask: Any, reverse: bool, length: int
) -> tuple[Carry, Array, Carry]:
    """The final carry, the output of every step, and the carry before each segment of `length` steps."""

    def body(carry: Carry, at: Any) -> tuple[Carry, Any]:
        final, after, _ = forward(cell, params, at[0], carry, at[1], reverse)
        return final, (after[0], carry)

    segments = _cut(x, length), _cut(_filled_mask(mask, x, length), length)
    final, (y, starts) = lax.scan(body, first, segments, reverse=reverse)
    return final, y.reshape(-1, *y.shape[2:])[: len(x)], starts


@_compiled("length")
def backward_in_segments(
    cell: Cell, params: Params, x: Array, starts: Carry, mask: Any, reverse: bool, length: int,
    dy: Array | None, dfinal: Carry,
) -> Backward:  # fmt: skip
    """As `backward`, but every segment is run forward once more, so that only one is kept at a time."""

    def body(so_far: Any, at: Any) -> tuple[Any, Array]:
        dcarry, grads = so_far
        start, x, true_steps, dy = at
        _, after, kept = forward(cell, params, x, start, true_steps, reverse)
        found = backward(cell, params, x, start, after, kept, true_steps, reverse, dy, dcarry)
        return (found.dcarry, tree.add(grads, found.grads)), found.dx

    filled = _filled_mask(mask, x, length)
    segments = starts, _cut(x, length), _cut(filled, length), _cut(dy, length)
    (dfirst, grads), dx = lax.scan(body, (dfinal, tree.zeros_like(params)), segments, reverse=not reverse)
    return Backward(dx.reshape(-1, *dx.shape[2:])[: len(x)], dfirst, grads, jnp.zeros(()), ())


def _where(true_step: Any, new: Any, old: Any) -> Any:
    """New where the step is true, old where it is padding; always new where nothing is padded."""
    return new if true_step is None else jax.tree.map(lambda a, b: jnp.where(true_step, a, b), new, old)


def _filled_mask(mask: Any, x: Array, length: int) -> Any:
    """The mask; one that is True where there was none, if steps must be filled up to whole segments."""
    return mask if mask is not None or len(x) % length == 0 else jnp.ones((*x.shape[:2], 1), bool)


def _cut(steps: Any, length: int) -> Any:
    """(time, ...) as (segments, length, ...), filled up with zeros."""
    if steps is None:
        return None
    filling = jnp.zeros((-len(steps) % length, *steps.shape[1:]), steps.dtype)
    return jnp.concatenate([steps, filling]).reshape(-1, length, *steps.shape[1:])

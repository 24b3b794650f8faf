"""Three ways to one gradient: back-propagation against automatic and numerical differentiation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.layer import Array, Variables
from denpa.data.arguments import as_whole
from denpa.data.arrays import read_problem
from denpa.data.counted import counted
from denpa.gradients.backprop import Record, Step, trace
from denpa.networks import Network
from denpa.networks.inputs import paired, readable
from denpa.testing import oracle

__all__ = ["GradientError", "GradientReport", "check_gradients"]

# A jump of the slope, as a share of the largest gradient, that no curvature makes within the step.
_KINK = 1e-4
_MOST_SUSPECTS = 1000  # of an array: a code of zeros puts a whole map on the kink of ReLU


class GradientError(AssertionError):
    """A gradient or delta differs from an oracle; the message names layer, array and index."""


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` compared, with the largest differences found.

    Attributes:
        autodiff: largest difference to automatic differentiation, by `layer.array`, scaled by the
            largest gradient (or delta) in the whole network.
        numerical: the same against central differences, over the entries that were looked at.
        kinks: entries that sit on a kink, where only the sub-gradient's interval could be checked.
    """

    autodiff: dict[str, float]
    numerical: dict[str, float]
    kinks: int

    def __str__(self) -> str:
        width = max(map(len, self.autodiff), default=5)
        lines = [f"{'array':{width}}  to autodiff  to central differences"]
        lines += [
            f"{name:{width}}  {self.autodiff[name]:11.1e}  {self.numerical[name]:22.1e}" for name in self.autodiff
        ]
        lines.append(f"{counted(len(self.autodiff), 'array')} agree; {counted(self.kinks, 'entry')} at kinks.")
        return "\n".join(lines)

    __repr__ = __str__


def check_gradients(
    net: Network,
    loss: Any,
    variables: Variables,
    x: Any,
    t: Any,
    key: Array | None = None,
    train: bool = True,
    sample_weight: Any = None,
    *,
    epsilon: float = 1e-5,
    entries: int = 50,
    autodiff_tolerance: float = 1e-9,
    numerical_tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Compare every gradient and delta of `denpa.trace` with both oracles, in float64.

    Differences are scaled by the largest gradient (delta) in the network: a bias in front of a batch
    normalisation has the true gradient 0, so that relative to itself its error would be noise.

    Args:
        net, loss, variables, x, t, key, train, sample_weight: as for `denpa.trace`.
        epsilon: half the step of the central differences.
        entries: how many entries of each array to differentiate numerically, drawn by `seed`.
        autodiff_tolerance: largest scaled difference to automatic differentiation.
        numerical_tolerance: largest scaled difference to central differences. Where a kink lies
            within the step (ReLU at 0), the gradient must lie between the slopes to either side. Kinks
            too small to be told from curvature are left behind by steps of a tenth and a hundredth.
        seed: draws the entries.

    Raises:
        GradientError: names the first wrong layer on the way back from the loss, array and index; or the first layer
            whose forward automatic differentiation cannot differentiate (it gives NaN), so that nothing is compared.
        ConfigError, DataError, ShapeError: as for `denpa.trace`; an epsilon that is not positive, no entries.
    """
    x, t, train, weight = read_problem(net, loss, x, t, key, train, sample_weight)
    oracle.want_step(epsilon)
    as_whole(entries, "entries", 1)
    net, variables = oracle.within_reach(net, paired(variables))
    with jax.enable_x64(True):
        variables, x, t, weight = oracle.in_float64((variables, readable(net, x, unsaid=True), t, weight))
        case = (net, loss, variables, x, t, key, train, weight)
        met, exactly = trace(*case), oracle.autodiff(*case)
        ours, theirs = _arrays(net, met), _arrays(net, exactly)
        scales = _scales(ours, theirs)
        suspects = {name: ~(np.abs(ours[name] - theirs[name]) <= autodiff_tolerance * scales[name]) for name in ours}
        slopes, jumps = _sampled(case, suspects, ours, scales, numerical_tolerance, epsilon, entries, seed)
    exact, approximate, kinks = {}, {}, 0
    for name, value in ours.items():
        differences = (value - theirs[name], value - slopes[name], jumps[name])
        to_exact, to_slope, jump = (np.abs(array) / scales[name] for array in differences)
        _refuse_without_oracle(name, value, theirs[name], slopes[name])
        # At a kink the slopes to either side differ by the jump, and every sub-gradient lies between them; a slope to
        # one side is known less well, curvature does not cancel.
        kink = (jump > _KINK) & ~((to_exact <= autodiff_tolerance) & (to_slope <= numerical_tolerance))
        to_exact = np.where(kink, 0.0, to_exact)
        to_slope = np.where(
            kink, np.maximum(to_slope - _allowance(jump), 0.0), np.where(np.isnan(slopes[name]), 0.0, to_slope)
        )
        _refuse(name, to_exact, value, theirs[name], autodiff_tolerance, "automatic differentiation")
        _refuse(name, to_slope, value, slopes[name], numerical_tolerance, "central differences")
        exact[name], approximate[name] = (float(np.max(off, initial=0.0)) for off in (to_exact, to_slope))
        kinks += int(kink.sum())
    if not kinks:
        _refuse_sums(_sums(met), _sums(exactly), autodiff_tolerance * max(scales.values()))
    return GradientReport(exact, approximate, kinks)


def _allowance(jump: Any) -> Any:
    """How far from the slope between both sides of a kink a gradient may lie, scaled as the jump is; 0 at no kink."""
    return np.where(jump > _KINK, jump / 2 + _KINK, 0.0)


def _arrays(net: Network, met: Mapping[str, Record]) -> dict[str, Any]:
    """Deltas and gradients by `layer.array`, in the order of the walk backward."""
    arrays: dict[str, Any] = {}
    for path in reversed([path for path, layer in oracle.layers_in_order(net) if not oracle.opened(layer)]):
        record = met[path]
        for array, value in (("dy", record.dy), *((f"grads[{k}]", v) for k, v in tree.flatten(record.grads).items())):
            arrays |= _named(f"{path}.{array}", value)
        arrays |= _named(f"{path}.dx", record.dx)
    return {name: np.asarray(value) for name, value in arrays.items() if jnp.issubdtype(value.dtype, jnp.floating)}


def _sums(met: Step) -> dict[str, Any]:
    """What the network makes of all its layers found: ∂E/∂x, and the gradients of parameters wherever they stand."""
    sums = _named("dx", met.dx) | {f"grads[{name}]": value for name, value in tree.flatten(met.grads).items()}
    return {name: np.asarray(value) for name, value in sums.items() if jnp.issubdtype(value.dtype, jnp.floating)}


def _refuse_sums(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> None:
    for name, value in theirs.items():
        off = np.abs(ours[name] - value)
        if np.any(~(off <= tolerance)):
            index = tuple(int(i) for i in np.argwhere(~(off <= tolerance))[0])
            raise GradientError(
                f"{name}{list(index)} of the network is {ours[name][index]:.9g} by backward but {value[index]:.9g} by "
                "automatic differentiation, though every layer is right: what sums deltas where an input fans out, or "
                "gradients where a weight stands in several places, is wrong."
            )


def _named(name: str, value: Any) -> dict[str, Any]:
    flat = tree.flatten(value)
    return {name if not path else f"{name}[{path}]": leaf for path, leaf in flat.items()}


def _scales(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """The largest gradient for gradients, the largest delta for deltas."""
    largest = {"gradient": 0.0, "delta": 0.0}
    for name, value in theirs.items():
        if name not in ours or ours[name].shape != value.shape:
            raise GradientError(f"{name} has shape {getattr(ours.get(name), 'shape', None)}, not {value.shape}.")
        there = np.abs(value[np.isfinite(value)])  # where the oracle has no value, it is no measure either
        largest[_kind(name)] = max(largest[_kind(name)], float(np.max(there, initial=0.0)))
    if extra := [name for name in ours if name not in theirs]:
        raise GradientError(f"{extra[0]} is a gradient of nothing: the layer has no such parameter.")
    return {name: largest[_kind(name)] or 1.0 for name in theirs}


def _kind(name: str) -> str:
    return "gradient" if ".grads[" in name else "delta"


def _refuse_without_oracle(name: str, ours: Any, theirs: Any, slopes: Any) -> None:
    """Where automatic differentiation has no number and backward has one, backward is not what is wrong."""
    without = ~np.isfinite(theirs) & np.isfinite(ours)
    if not np.any(without):
        return
    index = tuple(int(i) for i in np.argwhere(without)[0])
    layer, _, array = name.rpartition(".")
    place = "what stands behind" if array.startswith("dy") else "the forward of"
    slope = f" Central differences give {slopes[index]:.9g} there." if np.isfinite(slopes[index]) else ""
    raise GradientError(
        f"{name}{list(index)} is {ours[index]:.9g} by backward, but automatic differentiation has no value there: it "
        f"gives {theirs[index]} ({int(without.sum())} of {without.size} entries).{slope} This does not say that "
        f"backward is wrong: {place} layer {layer!r} goes through a point without a derivative, such as a root or a "
        "logarithm of 0. Write it without that point (jnp.where around the argument), or check other examples."
    )


def _refuse(name: str, off: Any, ours: Any, theirs: Any, tolerance: float, oracle_name: str) -> None:
    wrong = ~(off <= tolerance)  # NaN is wrong too
    if not np.any(wrong):
        return
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    layer, _, array = name.rpartition(".")
    culprit = f"The backward pass of layer {layer!r} is the first wrong one on the way back from the loss."
    if array.startswith("dy"):
        culprit = f"It enters layer {layer!r}: the loss, or what sums deltas where a value fans out, is wrong."
    raise GradientError(
        f"{name}{list(index)} is {ours[index]:.9g} by backward but {theirs[index]:.9g} by {oracle_name} "
        f"({int(wrong.sum())} of {wrong.size} entries differ by more than {tolerance:g} of the largest). {culprit}"
    )


def _sampled(
    case: tuple[Any, ...], suspects: Any, ours: Any, scales: Any, tolerance: float, epsilon: float, n: int, seed: int
) -> tuple[Any, Any]:
    """Central slopes and jumps by the names of `_arrays`, NaN where not looked at.

    Looked at are n drawn entries of each array, and those suspected to sit on a kink, as far as they are not too many.
    Entries farther from ours than tolerance and jump explain are looked at again by shorter steps: of the many units of
    a convolution some have their kinks within the step, with small or opposite shares of the slope.
    """
    net, x = case[0], case[3]
    energy, nudged, (_, _, values) = oracle.nudged_energy(*case)

    def by_name(found: Any) -> dict[str, Any]:
        return _arrays(net, oracle.records_of(found, values))

    def looked_at(chosen: list[np.ndarray], step: float) -> list[dict[str, Any]]:
        index = np.unique(np.concatenate(chosen)).astype(int)
        return [by_name(found) for found in oracle.central_differences(lambda at: energy(at, x), nudged, step, index)]

    rng, places = np.random.default_rng(seed), by_name(oracle.numbered(nudged))
    chosen: list[np.ndarray] = [np.zeros(0)]
    for name, numbers in places.items():
        chosen.append(rng.choice(numbers.ravel(), min(n, numbers.size), replace=False))
        chosen.append(numbers[suspects[name]][:_MOST_SUSPECTS])
    slopes, jumps = looked_at(chosen, epsilon)
    for shorter in (epsilon / 10, epsilon / 100):
        far = {}
        for name, slope in slopes.items():
            off, jump = (np.abs(array) / scales[name] for array in (slope - ours[name], jumps[name]))
            far[name] = off - _allowance(jump) > tolerance
        if not any(map(np.any, far.values())):
            break
        again = looked_at([places[name][marked][:_MOST_SUSPECTS] for name, marked in far.items()], shorter)
        slopes, jumps = (
            {name: np.where(np.isnan(new[name]), old[name], new[name]) for name in old}
            for new, old in zip(again, (slopes, jumps), strict=True)
        )
    return slopes, jumps

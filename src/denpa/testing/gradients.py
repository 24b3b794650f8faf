"""Three ways to one gradient: back-propagation against automatic and numerical differentiation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.layer import Array, Variables
from denpa.gradients.backprop import Trace, trace
from denpa.networks import Network
from denpa.testing import oracle

__all__ = ["GradientError", "GradientReport", "check_gradients"]


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
        lines.append(f"{len(self.autodiff)} arrays agree; {self.kinks} entries at kinks.")
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
            within the step (ReLU at 0), the gradient must lie between the slopes to either side.
        seed: draws the entries.

    Raises:
        GradientError: names the first wrong layer on the way back from the loss, array and index.
    """
    with jax.enable_x64(True):
        variables, x, t, sample_weight = oracle.in_float64((variables, x, t, sample_weight))
        ours = trace(net, loss, variables, x, t, key, train, sample_weight)
        theirs = oracle.autodiff(net, loss, variables, x, t, key, train, sample_weight)
        exact = _compare(net, _arrays(net, ours), _arrays(net, theirs), autodiff_tolerance)
        slopes, jumps = _sampled(net, loss, variables, x, t, key, train, sample_weight, epsilon, entries, seed)
        approximate, kinks = _compare_sampled(_arrays(net, ours), slopes, jumps, numerical_tolerance)
    return GradientReport(exact, approximate, kinks)


def _leaf_paths(net: Any, prefix: str = "") -> list[str]:
    paths = []
    for name, layer in net.inner():
        inside = isinstance(layer, Network)
        paths += _leaf_paths(layer, f"{prefix}{name}/") if inside else [f"{prefix}{name}"]
    return paths


def _arrays(net: Network, met: Trace) -> dict[str, Any]:
    """Deltas and gradients by `layer.array`, in the order of the walk home."""
    arrays: dict[str, Any] = {}
    for path in reversed(_leaf_paths(net)):
        record = met[path]
        for array, value in (("dy", record.dy), *((f"grads[{k}]", v) for k, v in tree.flatten(record.grads).items())):
            arrays |= _named(f"{path}.{array}", value)
        arrays |= _named(f"{path}.dx", record.dx)
    return {name: np.asarray(value) for name, value in arrays.items() if jnp.issubdtype(value.dtype, jnp.floating)}


def _named(name: str, value: Any) -> dict[str, Any]:
    flat = tree.flatten(value)
    return {name if not path else f"{name}[{path}]": leaf for path, leaf in flat.items()}


def _scales(arrays: dict[str, Any]) -> dict[str, float]:
    """The largest gradient for gradients, the largest delta for deltas."""
    largest = {True: 0.0, False: 0.0}
    for name, value in arrays.items():
        largest[".grads[" in name] = max(largest[".grads[" in name], float(np.max(np.abs(value), initial=0.0)))
    return {name: largest[".grads[" in name] or 1.0 for name in arrays}


def _compare(net: Network, ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> dict[str, float]:
    scales, found = _scales(theirs), {}
    for name, value in ours.items():
        if name not in theirs or value.shape != theirs[name].shape:
            raise GradientError(f"{name} has shape {value.shape}, not {getattr(theirs.get(name), 'shape', None)}.")
        off = np.abs(value - theirs[name]) / scales[name]
        _refuse(name, off, value, theirs[name], tolerance, "automatic differentiation")
        found[name] = float(np.max(off, initial=0.0))
    return found


def _refuse(name: str, off: Any, ours: Any, theirs: Any, tolerance: float, oracle_name: str) -> None:
    wrong = ~(off <= tolerance)  # NaN is wrong too
    if not np.any(wrong):
        return
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    raise GradientError(
        f"{name}{list(index)} is {ours[index]:.9g} by backward but {theirs[index]:.9g} by {oracle_name} "
        f"({int(wrong.sum())} of {wrong.size} entries differ by more than {tolerance:g} of the largest). "
        f"Its own layer {name.split('.')[0]!r} is the first wrong one on the way back from the loss."
    )


def _sampled(
    net: Any,
    loss: Any,
    variables: Any,
    x: Any,
    t: Any,
    key: Any,
    train: bool,
    weight: Any,
    epsilon: float,
    n: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Central slopes and jumps at drawn entries, by the names of `_arrays`; NaN where not looked at."""
    energy, nudged, values = oracle.nudged_energy(net, loss, variables, x, t, key, train, weight)
    rng = np.random.default_rng(seed)
    entries = {
        path: np.sort(rng.choice(leaf.size, min(n, leaf.size), replace=False))
        for path, leaf in tree.flatten(nudged).items()
    }
    slopes, jumps = oracle.central_differences(lambda at: energy(at, x), nudged, epsilon, entries)
    seen = tree.unflatten(
        {
            path: jnp.full(leaf.size, jnp.nan).at[entries[path]].set(0.0).reshape(leaf.shape)
            for path, leaf in tree.flatten(nudged).items()
        },
        nudged,
    )
    arrays = []
    for found in (slopes, jumps):
        records: dict[str, Any] = {}
        oracle.collect(net, jax.tree.map(jnp.add, found, seen), values, records)
        arrays.append(_arrays(net, Trace(None, None, None, None, None, records)))  # type: ignore[arg-type]
    return arrays[0], arrays[1]


def _compare_sampled(ours: Any, slopes: Any, jumps: Any, tolerance: float) -> tuple[dict[str, float], int]:
    scales, found, kinks = _scales(ours), {}, 0
    for name, value in ours.items():
        seen = ~np.isnan(slopes[name])
        off = np.where(seen, np.abs(value - slopes[name]) / scales[name], 0.0)
        # At a kink the slopes to either side differ by the jump, and every sub-gradient lies between them.
        jump = np.where(seen, np.abs(jumps[name]) / scales[name], 0.0)
        kink = (jump > 1e-3) & (off > tolerance)
        off = np.where(kink, np.maximum(off - jump / 2, 0.0), off)
        kinks += int(kink.sum())
        _refuse(name, off, value, slopes[name], tolerance, "central differences")
        found[name] = float(np.max(off, initial=0.0))
    return found, kinks

"""The error of a trained network over a plane through its parameters.

    E(a, b) = E(θ + a d₁ + b d₂)

θ are all parameters and d₁, d₂ two directions in their space: drawn at random, through other trained parameters, or
along the way that training took.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.core.layer import Array, Params
from denpa.data.arguments import as_whole
from denpa.training import Model
from denpa.training.compile_cache import use_compile_cache
from denpa.training.inputs import Batch
from denpa.training.preparation import batches_to_measure, checked_data

__all__ = ["LossSurface", "loss_surface", "plane_through", "principal_directions", "random_direction"]


@dataclass(frozen=True, eq=False)
class LossSurface:
    """Errors on a grid.

    Args:
        a, b: coordinates along the two directions (resolution,), 0 in the middle.
        errors: E(a, b), with a row for each b (resolution, resolution); infinite or NaN where it is too large.
        centre: θ.
        directions: d₁ and d₂, each like θ.
    """

    a: np.ndarray
    b: np.ndarray
    errors: np.ndarray
    centre: Params
    directions: tuple[Params, Params]

    def project(self, params: Params) -> tuple[float, float]:
        """(a, b) of the point of the plane that is nearest to these parameters, by least squares."""
        basis = np.stack([_flat(direction) for direction in self.directions], axis=1)
        a, b = np.linalg.lstsq(basis, _flat(params) - _flat(self.centre), rcond=None)[0]
        return float(a), float(b)


def loss_surface(
    model: Model,
    data: Any,
    directions: tuple[Params, Params] | None = None,
    *,
    span: float | tuple[float, float] = (-1.0, 1.0),
    resolution: int = 25,
    seed: int = 0,
) -> LossSurface:
    """E(a, b) = loss + penalty at θ + a d₁ + b d₂, in inference mode; the whole grid in one compiled program.

    E is what `Model.evaluate` gives as the loss. Running statistics stay those of the model.

    Args:
        model: a trained model; its parameters are θ.
        data: (x, t), (x, t, sample_weight) or a `Dataset`.
        directions: d₁ and d₂, each like the model's parameters; two of `random_direction` when None.
        span: the least and the largest a and b; one number s means (−s, s).
        resolution: how many values of a and of b, 2 or more.
        seed: decides random directions.

    Raises:
        ConfigError: a model without parameters, directions that are not like them, or an empty grid.
        DataError, ShapeError: data that do not fit the model.

    Source: Goodfellow, Vinyals and Saxe (2015), Qualitatively characterizing neural network optimization problems;
    Li et al. (2018), Visualizing the loss landscape of neural nets, section 3.
    """
    params, state = model.variables
    low, high = _ends(span)
    resolution = as_whole(resolution, "resolution", 2)
    if directions is None:
        directions = random_direction(params, (seed, 0)), random_direction(params, (seed, 1))
    for direction in directions:
        _want_like(params, direction)
    batches = batches_to_measure(model, checked_data(model, data, "the data"))
    use_compile_cache()
    axis = np.linspace(low, high, resolution)
    points = jnp.asarray(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), jnp.float32)
    errors = _errors(model, params, directions, state, points, batches)
    return LossSurface(axis, axis, errors.reshape(resolution, resolution), params, directions)


def random_direction(params: Params, seed: Any) -> Params:
    """d_f = g_f |w_f| / |g_f|,   g ~ N(0, 1),   for each filter f: what leads to one output of a layer

    Of two networks that compute the same, one may have large weights and the other small ones; with directions as
    large as the weights, filter by filter, both have the same surface. Biases and the like (arrays of one axis)
    stay as they are: their direction is 0.

    Args:
        params: θ; an array's last axis numbers its filters, as in `Dense` and `Conv2d`.
        seed: as for `numpy.random.default_rng`.

    Source: Li et al. (2018), section 4.
    """
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda w: _of_filters(w, rng), params)


def plane_through(params: Params, second: Params, third: Params) -> tuple[Params, Params]:
    """d₁ = θ₂ − θ,   d₂ = (θ₃ − θ) − its part along d₁

    The plane through three points: θ₂ lies at a = 1, b = 0, and θ₃ at b = 1.

    Raises:
        ConfigError: other networks, or points on one line.

    Source: Garipov et al. (2018), Loss surfaces, mode connectivity, and fast ensembling of DNNs, section 3.
    """
    for other in (second, third):
        _want_like(params, other)
    start = _flat(params)
    d1, d2 = _flat(second) - start, _flat(third) - start
    length = float(d1 @ d1)
    across = d2 - (d1 @ d2) / length * d1 if length else d2
    if not length or np.linalg.norm(across) <= 1e-6 * np.linalg.norm(d2):
        raise ConfigError("The three sets of parameters lie on one line, and no plane is theirs alone.")
    return _like(params, d1), _like(params, across)


def principal_directions(path: Sequence[Params]) -> tuple[tuple[Params, Params], tuple[float, float]]:
    """The two principal components of θ_t − θ_T over the way θ_0 ... θ_T that training took.

    Each is as long as the way reaches along it, so that its coordinates lie between −1 and 1.

    Returns:
        The directions, and the share of the way's squared length that lies along each.

    Raises:
        ConfigError: fewer than 3 points, or points on one line.

    Source: Li et al. (2018), section 7.
    """
    if len(path) < 3:
        raise ConfigError(f"Principal directions take 3 points of the way or more, not {len(path)}.")
    way = np.stack([_flat(params) for params in path]) - _flat(path[-1])
    # Of the few points' products rather than of the many parameters'.
    values, vectors = np.linalg.eigh(way @ way.T)
    values, vectors = values[:-3:-1], vectors[:, :-3:-1]
    if values[1] <= 1e-12 * values[0]:
        raise ConfigError("The way is a straight line, or a single point: there are no two directions in it.")
    coordinates = vectors * np.sqrt(values)
    components = (way.T @ vectors) / np.sqrt(values)
    longest = np.abs(coordinates).max(axis=0)
    first, second = (_like(path[-1], v) for v in (components * longest).T)
    shares = values / np.sum(way**2)
    return (first, second), (float(shares[0]), float(shares[1]))


def _ends(span: Any) -> tuple[float, float]:
    pair: Any = (-1 * span, span) if isinstance(span, (int, float, np.number)) else span
    ends: list[Any] = list(pair) if isinstance(pair, (tuple, list)) else []
    known = len(ends) == 2 and all(isinstance(end, numbers.Real) and math.isfinite(end) for end in ends)
    if not known or isinstance(span, bool) or ends[0] >= ends[1]:
        raise ConfigError(f"span is a positive number or (least, largest) such as (-0.5, 1.5), not {span!r}.")
    return float(ends[0]), float(ends[1])


def _of_filters(w: Array, rng: np.random.Generator) -> Array:
    if w.ndim < 2:
        return jnp.zeros_like(w)
    size = np.asarray(w, np.float64)
    g = rng.standard_normal(w.shape)
    axes = tuple(range(w.ndim - 1))
    return jnp.asarray(g * np.sqrt(np.sum(size**2, axes) / np.sum(g**2, axes)), w.dtype)


def _errors(
    model: Model, params: Params, directions: Any, state: Any, points: Array, batches: list[Batch]
) -> np.ndarray:
    """The objective at each of the points (n, 2)."""
    sums = [_program(model.programs)(params, directions, points, state, model.statistics, batch) for batch in batches]
    stacked = jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *sums)
    penalties = stacked.pop("penalty")[0]
    total = {name: parts.sum(axis=0) for name, parts in stacked.items()}
    if model.loss.reduction == "sum":
        return total["loss"] + total["cost"] + penalties
    return total["loss"] / total["weight"] + total["cost"] / total["rows"] + penalties


@functools.lru_cache(maxsize=16)
def _program(programs: Any) -> Callable[..., Any]:
    """Sums over a batch of what the objective is made of, and the penalty, one point after another."""

    def measured(params: Any, directions: Any, points: Any, state: Any, statistics: Any, batch: Any) -> Any:
        def at(point: Array) -> Any:
            a, b = point
            here = jax.tree.map(
                lambda p, d1, d2: p + a.astype(p.dtype) * d1 + b.astype(p.dtype) * d2, params, *directions
            )
            sums = programs.measure(here, state, statistics, *batch)
            penalty = programs.recipe.penalty
            return {
                "loss": sums["loss"],
                "weight": sums["weight"],
                "cost": sums.get("cost", jnp.zeros(())),
                "rows": sums.get("rows", jnp.ones(())),
                "penalty": jnp.zeros(()) if penalty is None else penalty.value(here),
            }

        return jax.lax.map(at, points)

    return jax.jit(measured)


def _flat(params: Params) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(params)])


def _like(params: Params, flat: np.ndarray) -> Params:
    """The inverse of `_flat`."""
    leaves, structure = jax.tree.flatten(params)
    parts = np.split(flat, np.cumsum([leaf.size for leaf in leaves])[:-1])
    back = [jnp.asarray(part.reshape(leaf.shape), leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, back)


def _want_like(params: Params, other: Params) -> None:
    ours, theirs = (jax.tree.map(jnp.shape, tree.flatten(part)) for part in (params, other))
    if ours != theirs:
        name = min(name for name in ours | theirs if ours.get(name) != theirs.get(name))
        raise ConfigError(
            f"Directions and other parameters must be like the model's: {name} is {theirs.get(name, 'missing')} there "
            f"and {ours.get(name, 'missing')} here."
        )

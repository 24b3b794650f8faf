"""The pixels around every pixel, weighted by a window w_p w_q that is symmetric: their sum, their mean and variance."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from denpa.kernels.unfolding import views

__all__ = ["local_moments", "local_sum"]

Array = jax.Array


def local_sum(x: Array, weights: np.ndarray) -> Array:
    """Σ_pq w_p w_q x_{i+p, j+q} with zeros around the image (batch, height, width, channels).

    First along columns, then along rows. The window is symmetric, so that this map is its own adjoint.
    """
    for way in _ways(len(weights)):
        x = _weighted(weights, views(x, *way))
    return x


def local_moments(x: Array, weights: np.ndarray) -> tuple[Array, Array]:
    """Mean and variance about it of every pixel's window; at the border of what of the window lies inside the image.

    Both of differences alone, first along columns, then along rows: the mean is the pixel plus the mean difference from
    it, so that flat ground has its own value for a mean, to the last bit; the variance is the mean of the variances
    along columns plus the variance of their means, where Σ w x² − x̄² would lose all digits far from 0.
    """
    variance, ones = jnp.zeros_like(x), jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    for way in _ways(len(weights)):
        seen, spread, inside = (list(views(a, *way)) for a in (x, variance, ones))
        share = 1 / _weighted(weights, inside)
        x = x + share * _weighted(weights, (one * (a - x) for a, one in zip(seen, inside, strict=True)))
        around = (s + one * jnp.square(a - x) for a, s, one in zip(seen, spread, inside, strict=True))
        variance = share * _weighted(weights, around)
    return x, variance


def _ways(size: int) -> tuple:
    """Window, stride and padding along columns, and along rows."""
    reach = size // 2
    return ((size, 1), (1, 1), ((reach, reach), (0, 0))), ((1, size), (1, 1), ((0, 0), (reach, reach)))


def _weighted(weights: np.ndarray, seen: Iterable[Array]) -> Array:
    first, *others = (float(w) * view for w, view in zip(weights, seen, strict=True))
    return sum(others, first)

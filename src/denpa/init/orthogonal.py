"""Orthogonal weights: a random rotation, which changes no length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core.checks import want_positive
from denpa.core.errors import ShapeError
from denpa.core.shapes import as_shape
from denpa.init.base import Initializer, precisions

__all__ = ["Orthogonal"]


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """W = gain Q,   Q^T Q = 1 (at least as many rows as columns) or Q Q^T = 1 (otherwise)

    Q is drawn uniformly from all such matrices: the Q of A = QR for a Gaussian A, with the signs that make
    the diagonal of R positive. All singular values of W are `gain`, so a product of many such matrices
    neither grows nor dies; usual for the recurrent weights of an RNN. A kernel (kh, kw, in, out) counts as
    the matrix (kh kw in, out).

    Args:
        gain: the common singular value, > 0; sqrt(2) makes up for a ReLU.

    Raises:
        ConfigError: a gain that is not positive.
        ShapeError: from `sample`, for a shape of fewer than two axes.

    Source: Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks, section 3; Mezzadri (2007) for the signs.
    """

    gain: float = 1.0

    def validate(self) -> None:
        want_positive(self, "gain")

    def sample(
        self, key: jax.Array, shape: Any, *, fan_in: int | None = None, fan_out: int | None = None, dtype: Any = None
    ) -> jax.Array:
        sizes = as_shape(shape, "shape")
        if len(sizes) < 2:
            raise ShapeError(f"{self!r} makes matrices: shape {sizes} needs an input and an output axis.")
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        wanted, drawn = precisions(dtype)
        q, r = jnp.linalg.qr(jax.random.normal(key, (max(rows, columns), min(rows, columns)), drawn))
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(drawn)
        q = q if rows >= columns else q.T
        return (self.gain * q).reshape(sizes).astype(wanted)

"""Matrix products as each platform computes them best."""

from __future__ import annotations

import jax
from jax import lax

__all__ = ["sum_of_outer_products"]

# Below so many numbers the copy costs more than it saves.
_WORTH_A_COPY = 1 << 14


def sum_of_outer_products(x: jax.Array, delta: jax.Array) -> jax.Array:
    """xᵀ δ = Σ_n xₙᵀ δₙ      x (rows, in), δ (rows, out) -> (in, out)

    On a CPU XLA reads a transposed left factor at half the speed (43 instead of 81 Gflop/s for 2048 rows, 1024 by
    2048, AVX2): there x is first copied into the order in which it is read.
    """
    left = x.T
    if jax.default_backend() == "cpu" and x.size >= _WORTH_A_COPY:
        left = lax.optimization_barrier(left)
    return left @ delta

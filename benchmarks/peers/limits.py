"""What the machine can do at most: matrix products, and moving memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.timing import seconds_of

__all__ = ["Limits"]

_SMALLEST, _LARGEST = 1 << 18, 1 << 28  # bytes that one core works on: above the cost of a call, below the memory
_TRIES = 3


class Limits:
    """The GEMM is the faster of NumPy's and JAX's; the triad is a sum of two vectors into a third, all cores at once.

    Args:
        threads: cores at work.
        resident: bytes that a network keeps at hand from step to step; the triad's vectors take as many, so that
            what fits into a cache is compared with the speed of that cache.
        side: rows and columns of the GEMM's matrices.
    """

    def __init__(self, threads: int, resident: int, side: int) -> None:
        self.pool = ThreadPoolExecutor(threads)
        each = min(max(resident // threads, _SMALLEST), _LARGEST)
        self.vectors = [[np.ones(each // 12, np.float32) for _ in range(3)] for _ in range(threads)]
        self.bytes = 12 * self.vectors[0][0].size * threads
        self.repeats = max(1, (1 << 28) // self.bytes)
        rng = np.random.default_rng(0)
        self.matrix = rng.standard_normal((side, side), np.float32)
        self.on_device = jnp.asarray(self.matrix)
        self.product = jax.jit(jnp.matmul)
        self.measure()

    def measure(self) -> dict[str, Any]:
        """FLOP/s of the matrix product, bytes/s of the triad: the best of three."""
        gemms = [
            lambda: self.matrix @ self.matrix,
            lambda: self.product(self.on_device, self.on_device).block_until_ready(),
        ]
        gemm = min(seconds_of(call) for call in gemms for _ in range(_TRIES))
        triad = min(seconds_of(self._triad) for _ in range(_TRIES))
        return {"gemm_flops": 2 * len(self.matrix) ** 3 / gemm, "triad_bytes": self.bytes * self.repeats / triad}

    def _triad(self) -> None:
        list(self.pool.map(self._add, self.vectors))

    def _add(self, vectors: list[np.ndarray]) -> None:
        a, b, c = vectors
        for _ in range(self.repeats):
            np.add(a, b, out=c)

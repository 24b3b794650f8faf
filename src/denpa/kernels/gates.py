"""What recurrent cells compute at every step, on bare arrays, and whether one call computes all steps.

`scale` is 1/2 where a column of u belongs to a sigmoid and 1 where it belongs to a tanh: one pass over all
gates side by side costs half of what a pass for each gate costs.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from denpa.kernels.choices import native_serves

__all__ = ["columns", "gate_slopes", "gates", "serves", "split"]


def columns(scales: tuple[float, ...], units: int, dtype: jax.typing.DTypeLike) -> jax.Array:
    """The scale of every column of gates that stand side by side, `units` columns each."""
    return jnp.asarray(np.repeat(np.asarray(scales), units), dtype)


def gates(u: jax.Array, scale: jax.Array) -> jax.Array:
    """a = s · tanh(s u) + (1 − s): tanh(u) for s = 1, and for s = 1/2  σ(u) = (1 + tanh(u/2)) / 2."""
    return scale * jnp.tanh(scale * u) + (1 - scale)


def gate_slopes(a: jax.Array, scale: jax.Array) -> jax.Array:
    """∂a/∂u = (1 − a) (a − 1 + 2s):  1 − a² for s = 1, a (1 − a) for s = 1/2."""
    return (1 - a) * (a + (2 * scale - 1))


def serves(x: jax.Array, *params: jax.Array, batch: int = 1) -> bool:
    """Whether the native kernels run x (time, batch, ...): on a CPU, all in float32, `batch` sequences at least.

    A sequence alone cannot be cut into pieces of work; a cell whose scan is faster then asks for two.
    """
    on_cpu = jax.default_backend() == "cpu" and native_serves()
    return on_cpu and x.shape[1] >= batch and all(array.dtype == jnp.float32 for array in (x, *params))


def split(u: jax.Array, parts: int) -> list[jax.Array]:
    """Gates that stand side by side, one by one."""
    return jnp.split(u, parts, axis=-1)

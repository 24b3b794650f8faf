"""Training over several devices of one machine: each works on its share of every batch, with a copy of all numbers.

    E = Σ_d Σ_{n in d} w_n l_n / Σ_n w_n        the batch's mean, whatever device d an example n is on
    ∂E/∂θ = Σ_d ∂E_d/∂θ                         the sum that the devices exchange; the update each makes for itself

JAX divides the work: what is said here is only where arrays lie. The numbers are those of one device within rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from denpa.core.errors import ConfigError
from denpa.data.arguments import as_whole

__all__ = ["check_devices", "copied", "divided", "everywhere", "on_first", "over_devices"]

_BATCH = "batch"


def check_devices(devices: Any, batch_size: int) -> int:
    """How many devices train together: 1 for None, those of this machine for "all".

    Raises:
        ConfigError: no such number, or more than there are; a batch that cannot be divided among them.
    """
    if devices is None:
        return 1
    there = jax.local_device_count()
    count = there if devices == "all" else as_whole(devices, 'devices, if not "all",', 1)
    if count > there:
        kind = jax.default_backend().upper()
        raise ConfigError(f"devices={count}, but JAX sees {there} of kind {kind}: jax.local_devices() lists them.")
    if batch_size % count:
        less, more = batch_size // count * count, -(-batch_size // count) * count
        wanted = f"{less} or {more}" if less else str(more)
        raise ConfigError(f"A batch of {batch_size} examples cannot be divided among {count} devices: take {wanted}.")
    return count


def everywhere(arrays: Any, devices: int) -> Any:
    """The arrays on the device; where there are several, a copy on each."""
    return jax.device_put(arrays) if devices == 1 else jax.device_put(arrays, _placing(devices))


def on_first(arrays: Any) -> Any:
    """Of arrays that lie on every device the copy on the first."""
    return jax.tree.map(lambda array: array.addressable_data(0), arrays)


def divided(arrays: Any, devices: int) -> Any:
    """Inside a program: each device has its share of the examples; all have all, where they are no multiple."""
    if devices == 1 or any(array.shape[0] % devices for array in jax.tree.leaves(arrays)):
        return arrays
    return jax.lax.with_sharding_constraint(arrays, _placing(devices, _BATCH))


def copied(arrays: Any, devices: int) -> Any:
    """Inside a program: each device has all of the arrays."""
    return arrays if devices == 1 else jax.lax.with_sharding_constraint(arrays, _placing(devices))


def over_devices(train: Callable[..., Any], devices: int) -> Callable[..., Any]:
    """A program of training whose run goes to every device and comes back to the first, where all else happens."""
    if devices == 1:
        return train

    @functools.wraps(train)
    def call(run: Any, statistics: Any, *rest: Any) -> Any:
        return on_first(train(everywhere(run, devices), everywhere(statistics, devices), *rest))

    return call


@functools.cache
def _placing(devices: int, *axes: str) -> NamedSharding:
    """Copies on so many devices; with the axis of the batch: its shares."""
    return NamedSharding(Mesh(np.array(jax.local_devices()[:devices]), (_BATCH,)), PartitionSpec(*axes))

"""Where and by what a run was made: what must be alike for the same bits to come out again."""

from __future__ import annotations

import datetime
import platform
from importlib import metadata
from typing import Any

import jax

import denpa

__all__ = ["differences", "environment", "session"]

_PACKAGES = ("jax", "jaxlib", "numpy")


def environment(seed: int, data_hash: str, command: str) -> dict[str, Any]:
    """Versions, machine, seed, hash of the data, and the first session, as plain values for JSON."""
    device = jax.devices()[0]
    return {
        "denpa": denpa.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": device.platform
        if device.platform == device.device_kind
        else f"{device.platform} {device.device_kind}",
        "devices": jax.device_count(),
        "seed": seed,
        "data_sha256": data_hash,
        "sessions": [session(command, 0)],
    }


def session(command: str, step: int) -> dict[str, Any]:
    """One start of the run: when, by which command, and from which step."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"started": now, "command": command, "from_step": step}


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two environments and may change bits: `jax was 0.10.1 and is 0.10.2`."""
    names = ("denpa", *_PACKAGES, "device", "devices")
    return [f"{name} was {before.get(name)} and is {now[name]}" for name in names if before.get(name) != now[name]]

"""Which kernels for convolutions and recurrent layers serve here, and why."""

from __future__ import annotations

import jax

from denpa.kernels import native, settings

__all__ = ["listed", "native_serves", "winograd_serves"]


def native_serves() -> bool:
    """Whether the native kernels compute what they can, where the program runs on a CPU."""
    return settings.current() != "xla" and native.available()


def winograd_serves() -> bool:
    """Whether they may take Winograd's algorithm."""
    return settings.current() in ("auto", "winograd")


def listed() -> dict[str, str]:
    """Each choice with one line about it, and "now": what serves in this process, and why."""
    chosen = settings.current()
    platform = jax.default_backend()
    if platform != "cpu":
        active = f"XLA, since the arrays are on the platform {platform!r}"
    elif chosen == "xla":
        active = "XLA, since DENPA_KERNELS or the program asks for it"
    else:
        active = native.reason() if native.available() else f"XLA: {native.reason()}"
    return {"now": f"{chosen}: {active}"} | settings.CHOICES

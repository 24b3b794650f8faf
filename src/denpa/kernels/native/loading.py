"""Finds the compiled kernels, loads them once, and says why when there are none."""

from __future__ import annotations

import ctypes
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import jax

from denpa.core.errors import ConfigError, nearest

__all__ = ["available", "instruction_set", "instruction_sets", "reason", "use_instruction_set"]

_PATH = Path(__file__).parent / "libdenpa_kernels.so"
_INTERFACE = 5  # one more whenever Python and an older library would misunderstand each other; the build reads it here
_TARGETS = (
    "denpa_forward",
    "denpa_forward_pool",
    "denpa_gru",
    "denpa_gru_backward",
    "denpa_input_gradient",
    "denpa_kernel_gradient",
    "denpa_lstm",
    "denpa_lstm_backward",
    "denpa_recurrent_weights",
    "denpa_rnn",
    "denpa_rnn_backward",
)
_VARIABLE = "DENPA_INSTRUCTION_SET"


@dataclass
class _Loaded:
    handle: ctypes.CDLL | None
    chosen: str
    reason: str


_loaded: _Loaded | None = None


def _load() -> _Loaded:
    global _loaded
    if _loaded is None:
        _loaded = _attempt()
    return _loaded


def _attempt() -> _Loaded:
    """Load, register with XLA, choose; whatever fails is a reason, never an error."""
    if os.environ.get("DENPA_NATIVE") == "0":
        return _Loaded(None, "", "DENPA_NATIVE=0 leaves the native kernels out")
    if not _PATH.is_file():
        return _Loaded(None, "", "no native kernels were compiled when denpa was installed (is there a C++ compiler?)")
    try:
        library = ctypes.CDLL(str(_PATH))
        library.denpa_instruction_set.restype = ctypes.c_char_p
        if library.denpa_interface() != _INTERFACE:
            return _Loaded(None, "", "the native kernels are of another version of denpa: install it again")
        names = _names(library)
        wanted = os.environ.get(_VARIABLE) or next(iter(names), "")
        if not library.denpa_choose(wanted.encode()):
            able = ", ".join(names) or "no set that there are kernels for"
            return _Loaded(None, "", f"this processor does not run {wanted or 'them'}; it runs {able}")
        for target in _TARGETS:
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, target)), platform="cpu")
    except (OSError, AttributeError, RuntimeError, ValueError, TypeError) as error:
        return _Loaded(None, "", f"the native kernels cannot be loaded: {str(error).splitlines()[0]}")
    return _Loaded(library, wanted, f"native kernels, {wanted}")


def _names(library: ctypes.CDLL) -> tuple[str, ...]:
    """The instruction sets that this processor runs, the best first: the library gives none behind the last."""
    found = itertools.takewhile(bool, map(library.denpa_instruction_set, itertools.count()))
    return tuple(name.decode() for name in found)


def available() -> bool:
    """Whether native kernels were compiled and can be used by this process on its CPU."""
    return _load().handle is not None


def reason() -> str:
    """One line: which kernels serve on the CPU, or why there are none and XLA serves."""
    return _load().reason


def instruction_set() -> str:
    """The instruction set whose kernels serve, such as "avx2"; empty where there are none."""
    return _load().chosen


def instruction_sets() -> tuple[str, ...]:
    """All that this processor runs, the best first."""
    handle = _load().handle
    return () if handle is None else _names(handle)


def use_instruction_set(name: str) -> None:
    """Serve with this one from now on, for tests and measurements; DENPA_INSTRUCTION_SET does the same from outside.

    Raises:
        ConfigError: there is none of this name, or this processor does not run it.
    """
    loaded = _load()
    if loaded.handle is None or not loaded.handle.denpa_choose(name.encode()):
        raise ConfigError(f"No kernels for {name!r}: {nearest(name, instruction_sets(), plural='instruction sets')}")
    loaded.chosen = name
    loaded.reason = f"native kernels, {name}"

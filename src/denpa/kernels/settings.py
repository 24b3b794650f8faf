"""Which kernels compute convolutions and recurrent layers: a setting of the process, read while a program is traced.

    with dp.kernels.using("xla"):
        model.fit(...)

`CHOICES` says what there is to choose from. The rounding error of direct sums is some 1e-6 of the largest value, that
of Winograd's algorithm up to some 1e-5.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

from denpa.core.errors import ConfigError, nearest

__all__ = ["CHOICES", "current", "using"]

CHOICES = {
    "auto": "the fastest: native kernels on a CPU, with Winograd's algorithm for 3x3 where it pays; XLA elsewhere",
    "direct": "native kernels on a CPU, every sum taken directly: the smallest rounding error",
    "winograd": "native kernels on a CPU, with Winograd's algorithm for 3x3",
    "xla": "XLA's own convolutions everywhere, recurrent layers step by step",
}
_VARIABLE = "DENPA_KERNELS"

_chosen: contextvars.ContextVar[str | None] = contextvars.ContextVar("kernels", default=None)


def current() -> str:
    """The choice in force here: of the innermost `using`, else of the environment variable DENPA_KERNELS, else "auto".

    Raises:
        ConfigError: the environment variable holds none of the choices.
    """
    return _chosen.get() or _checked(os.environ.get(_VARIABLE) or "auto")


@contextlib.contextmanager
def using(choice: str) -> Iterator[None]:
    """Use these kernels for all that is traced inside the `with`.

    Raises:
        ConfigError: not one of "auto", "direct", "winograd", "xla".
    """
    token = _chosen.set(_checked(choice))
    try:
        yield
    finally:
        _chosen.reset(token)


def _checked(choice: str) -> str:
    if choice not in CHOICES:
        raise ConfigError(f"No kernels {choice!r}: {nearest(choice, CHOICES, plural='kernels')}")
    return choice

"""Ctrl-C waits for the end of the current chunk, so that the model is always in one piece."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["interrupts_wait"]


@contextlib.contextmanager
def interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Hold back the first Ctrl-C; the function given tells whether it came. The second one acts at once.

    One that came when nobody asked any more, such as while the last checkpoint was written, acts at the end. In other
    threads than the main one signals are not to be caught, and the function always says no.
    """
    came: list[Any] = []

    def note(signum: int, frame: Any) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt

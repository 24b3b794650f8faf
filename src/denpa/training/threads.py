"""Programs of several threads at once, under the settings of JAX that the thread has which asks for them."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax

from denpa.training.kept import SETTINGS, cores

__all__ = ["in_threads", "two_at_a_time"]


def two_at_a_time(call: Callable[[Any], Any], batches: Sequence[Any]) -> list[Any]:
    """[call(batch) for batch in batches], the same numbers, with fewer moments in which a core has nothing to do.

    JAX runs what one thread asks for one after the other, and between its operations, and in the small ones, a program
    keeps one core alone busy. The program of a second thread fills these gaps.

    Args:
        call: runs a compiled program; the first batch alone may have it compiled.
        batches: what it is called with, one after the other.
    """
    if (
        len(batches) < 3
        or cores() < 2
        or jax.default_backend() != "cpu"
        or getattr(jax.config, "jax_disable_jit", False)
    ):
        return [call(batch) for batch in batches]
    results = [call(batches[0])]
    lanes = batches[1::2], batches[2::2]
    done = in_threads(lambda lane: [call(batch) for batch in lane], lanes)
    return results + [done[index % 2][index // 2] for index in range(len(batches) - 1)]


def in_threads(call: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
    """What becomes of each part: of the first in this thread, of the others in their own. All results are finished.

    An executor's threads would do as well, but those end with the main thread, even while other threads train on.
    """
    results: list[Any] = [None] * len(parts)
    errors: list[BaseException] = []
    settings = {name: getattr(jax.config, name, None) for name in SETTINGS}  # each thread has its own

    def keep(index: int) -> None:
        try:
            results[index] = _under(settings, call, parts[index])
        except BaseException as error:  # noqa: BLE001, raised again below
            errors.append(error)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(keep, index), daemon=True)
        for index in range(1, len(parts))
    ]
    for thread in threads:
        thread.start()
    keep(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def _under(settings: dict[str, Any], call: Callable[[Any], Any], part: Any) -> Any:
    """The finished result, under the settings of who asks for it."""
    with contextlib.ExitStack() as entered:
        for name, value in settings.items():
            if getattr(jax.config, name, None) != value:
                entered.enter_context(getattr(jax, name.removeprefix("jax_"))(value))
        return jax.block_until_ready(call(part))

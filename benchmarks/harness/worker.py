"""A contestant in a process of its own, so that thread pools and memory do not mix.

The parent writes one JSON object a line: {"call": method, "arguments": {...}}; the worker answers each with
one line, {"value": ...} or {"error": text}. Only the parent decides who works; all others wait in `readline`.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from harness.machine import environment, pin

__all__ = ["Worker", "WorkerError"]

_TIMEOUT_SECONDS = 900.0


class WorkerError(Exception):
    """The contestant failed; the text says why."""


class Worker:
    """A running contestant, as the parent sees it; to be used in a `with`.

    Args:
        target: "module:class" of the contestant.
        threads: that it may use.
        variables: environment variables of its process, beside those of all.
        arguments: of its constructor.
    """

    def __init__(self, target: str, threads: int, variables: Any = None, /, **arguments: Any) -> None:
        command = [sys.executable, "-m", "harness.worker", target, str(threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(threads) | (variables or {}),
            bufsize=0,
        )
        self.call("construct", **arguments)

    def call(self, method: str, **arguments: Any) -> Any:
        """Have the contestant run a method, and wait for what it returns.

        Raises:
            WorkerError: the method raised, the process died, or no answer came in time.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        try:
            stdin.write(json.dumps({"call": method, "arguments": arguments}).encode() + b"\n")
        except BrokenPipeError:
            raise WorkerError(f"ended with status {self.process.wait()}") from None
        ready, _, _ = select.select([stdout], [], [], _TIMEOUT_SECONDS)
        if not ready:
            self.close()
            raise WorkerError(f"no answer to {method} within {_TIMEOUT_SECONDS:g} s")
        line = stdout.readline()
        if not line:
            raise WorkerError(f"ended with status {self.process.wait()} during {method}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def peak_memory_mib() -> float:
    """The largest resident memory that this process has had so far."""
    try:  # what getrusage tells begins, under Linux, with the memory of the parent at the fork
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _serve(target: str) -> None:
    # A library that prints must not disturb the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = target.partition(":")
    contestant: Any = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["call"] == "construct":
                contestant = getattr(importlib.import_module(module), name)(**order["arguments"])
                value = None
            elif order["call"] == "peak_memory_mib":
                value = peak_memory_mib()
            else:
                value = getattr(contestant, order["call"])(**order["arguments"])
            answer = {"value": value}
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent reports it)
            last = traceback.format_exception_only(error)[-1].strip()
            answer = {"error": last[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    pin(int(sys.argv[2]))
    _serve(sys.argv[1])

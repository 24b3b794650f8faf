"""Compiled programs kept on disk, so that a later process need not find out anew what they are.

JAX's compilation cache spares the second process the compiler, but to know which program is meant JAX walks through
the Python code of network, loss and optimiser first: most of the time that the first `fit` of a small network takes.
What a program computes is told by descriptions, which are values. So their text, the kinds of the arguments, the
settings of JAX and the state of denpa's own source name a file, and the program in it is taken without a walk.

Kept are programs of which all that is known: built-in descriptions with plain values in them, functions that nobody
has replaced, on one CPU. Everything else is traced as ever.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import math
import os
import pickle
import platform
import re
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jaxlib.version
import numpy as np
from jax.core import Tracer

from denpa.core.errors import ConfigError, StorageError
from denpa.kernels import native
from denpa.training.compile_cache import cache_folder
from denpa.training.storage import write_bytes

__all__ = ["SETTINGS", "Kept", "cores"]

_STARTED = time.time()
_HOME = Path(__file__).parents[1]
_UPPER = ("denpa.classical", "denpa.cli", "denpa.estimators", "denpa.lab", "denpa.testing")  # no program is of these
_LIBRARIES = {"jax", "numpy", *sys.stdlib_module_names} - {"__main__"}
_MOST_BYTES = 1 << 29  # of all files; beyond, those go that have not been used for longest
_DIGEST = hashlib.sha256().digest_size
_HIT = "/jax/compilation_cache/cache_hits"
# A program that calls what is not its own needs that prepared, which JAX does for LAPACK while it lowers and for our
# kernels is done before a file is read: without it the process dies.
_ELSEWHERE = re.compile(r"custom_call @(?!denpa_)")
_UNWRITABLE = ValueError, NotImplementedError, jax.errors.JaxRuntimeError  # what JAX says of a program it cannot write
# Lines of /proc/cpuinfo, on x86 and on ARM.
_INSTRUCTIONS = "flags", "Features"
_MODEL = "model name", "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"
_LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
# Those of JAX's settings that a program depends on and that may change while a process runs.
SETTINGS = (
    "jax_debug_infs",
    "jax_debug_nans",
    "jax_default_device",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_threefry_partitionable",
)


class Kept:
    """A jitted function that takes its programs from disk where they lie there; called as the function is.

    Args:
        jitted: the function, jitted. What it computes must follow from `told` and the kinds of its arguments alone.
        told: descriptions, dataclasses of them, text and numbers. Where something else is in them, such as a function
            of the user's, nothing is kept.
    """

    def __init__(self, jitted: Any, *told: Any) -> None:
        self._jitted, self._told = jitted, told
        self._programs: dict[Any, Any] = {}
        self._finding = threading.RLock()

    def __call__(self, *args: Any) -> Any:
        signature = _signature(args)
        program = self._programs.get(signature)
        if program is not None:
            return program(*args)
        if signature is None:
            return self._first(signature, args)[1]
        with self._finding:  # who comes second waits for the first one's program
            program = self._programs.get(signature)
            if program is None:
                self._programs[signature], result = self._first(signature, args)
                return result
        return program(*args)

    def lower(self, *args: Any) -> Any:
        """The function traced for these arguments, as `jax.jit` has it."""
        return self._jitted.lower(*args)

    def check(self, *args: Any) -> None:
        """Trace the function for arguments or `jax.ShapeDtypeStruct`s, for the sake of what is refused on the way.

        A later process need not do it again.
        """
        place = self._place(_signature(args), "traced")
        if place is None or not place.is_file():
            jax.eval_shape(self._jitted, *args)
            _write(place, b"")

    def _first(self, signature: Any, args: Any) -> tuple[Any, Any]:
        """The program for these arguments, and what it makes of them."""
        place = self._place(signature, "program")
        if place is None:
            return self._jitted, self._jitted(*args)
        program = _read(place)
        if program is not None:
            with contextlib.suppress(jax.errors.JaxRuntimeError, TypeError):  # it is not what it should be
                return program, jax.block_until_ready(program(*args))
        program = _compiled(self._jitted, args, place)
        return program, program(*args)

    def _place(self, signature: Any, ending: str) -> Path | None:
        """The file of a program; None where it is not to be kept."""
        folder = cache_folder()
        if folder is None or signature is None or not _surroundings() or not self._text or _has_replacements():
            return None
        settings = sorted((k, v) for k, v in os.environ.items() if k.startswith(("XLA_", "JAX_", "DENPA_")))
        values = {name: value for name, value in jax.config.values.items() if name != _LEAST_SECONDS}
        name = str((_surroundings(), self._text, native.reason(), signature, values, settings))
        return folder / "programs" / f"{hashlib.sha256(name.encode()).hexdigest()}.{ending}"

    @functools.cached_property
    def _text(self) -> str:
        """What was told; "" where it is not known by its text."""
        try:
            return str(tuple(map(_plain, self._told)))
        except ConfigError:
            return ""


def _signature(args: Any) -> Any:
    """What decides which program of a function serves; None inside a trace."""
    leaves, form = jax.tree.flatten(args)
    if getattr(jax.config, "jax_disable_jit", False) or any(isinstance(leaf, Tracer) for leaf in leaves):
        return None
    kinds = [(np.shape(a), getattr(a, "dtype", type(a)), getattr(a, "weak_type", False)) for a in leaves]
    return form, *kinds, *(getattr(jax.config, name, None) for name in SETTINGS)


def _plain(part: Any) -> Any:
    """The same of built-in types, which `str` shows in full.

    Raises:
        ConfigError: there is something in it that this cannot be said of.
    """
    if dataclasses.is_dataclass(part) and type(part).__module__.startswith("denpa."):
        fields = {field.name: _plain(getattr(part, field.name)) for field in dataclasses.fields(part)}
        return f"{type(part).__module__}.{type(part).__qualname__}", fields
    if isinstance(part, (tuple, list)):
        return tuple(map(_plain, part))
    if part is None or type(part) in (bool, int, float, str):
        return part
    raise ConfigError(f"{part!r} is not known by its text.")


@functools.cache
def _surroundings() -> str:
    """Machine, versions and source, as text; "" where no programs are kept."""
    if jax.default_backend() != "cpu" or jax.device_count() > 1 or not (processor := _processor()):
        return ""
    source = hashlib.sha256()
    for path in _source():
        if path.stat().st_mtime > _STARTED:  # what runs here may be older than what lies there
            return ""
        source.update(os.fsencode(path) + path.read_bytes())
    versions = jax.__version__, jaxlib.version.__version__, np.__version__, sys.version
    return str((versions, platform.platform(), processor, cores(), source.hexdigest()))


def _processor() -> str:
    """Model and instructions of the processor, as text; "" where they are not known."""
    if sys.platform == "darwin":
        found = _told("/usr/sbin/sysctl", "machdep.cpu", "hw.optional")
        return found if "machdep.cpu.brand_string" in found else ""
    if sys.platform == "win32":
        return platform.processor()
    lines = _lines("/proc/cpuinfo")
    known = any(line.startswith(_INSTRUCTIONS) for line in lines)
    return "".join(line for line in lines if line.startswith(_INSTRUCTIONS + _MODEL)) if known else ""


def _told(*command: str) -> str:
    """What a program of the system writes; nothing where there is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    return ""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _source() -> Iterator[Path]:
    """denpa's own files, but for those of the upper floors."""
    upper = {name.rpartition(".")[2] for name in _UPPER}
    for folder, inside, names in os.walk(_HOME):
        inside[:] = sorted(set(inside) - upper - {"__pycache__"})
        yield from (Path(folder, name) for name in sorted(names) if name.endswith((".py", ".so")))


def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return sorted(set(file))
    return []


def _has_replacements() -> bool:
    """Whether somebody has put a function of his own in the place of one of denpa's, which the source does not show."""
    for name, module in list(sys.modules.items()):
        if name.startswith("denpa.") and not name.startswith(_UPPER) and type(module) is types.ModuleType:
            for value in vars(module).values():
                if isinstance(value, type) and value.__module__ == name:
                    if any(map(_is_foreign, vars(value).values())):
                        return True
                elif _is_foreign(value):
                    return True
    return False


def _is_foreign(value: Any) -> bool:
    if type(value) is not types.FunctionType or value.__module__.startswith("denpa."):
        return False
    return value.__module__.partition(".")[0] not in _LIBRARIES


def _compiled(jitted: Any, args: Any, place: Path) -> Any:
    """The program for these arguments, put in its place.

    What comes out of JAX's own cache cannot be written a second time, so that such a program never goes in there.
    """
    from jax.experimental.serialize_executable import serialize

    lowered = jitted.lower(*args)
    if _ELSEWHERE.search(lowered.as_text()):
        return lowered.compile()
    with _aside:
        hits = _aside.hits
        program = lowered.compile()
        found = _aside.hits > hits
    if not found:
        with contextlib.suppress(*_UNWRITABLE):
            _write(place, pickle.dumps(serialize(program)))
    return program


class Aside:
    """While any thread is inside, JAX puts no program into its own cache.

    What forbids it is a setting of the whole process: the first thread that enters makes it, and the last one that
    leaves puts back what was there before.
    """

    def __init__(self) -> None:
        self._changing, self._inside, self._least = threading.Lock(), 0, 0.0
        self._found: list[int] | None = None

    def __enter__(self) -> None:
        with self._changing:
            if self._found is None:
                self._found = found = []
                jax.monitoring.register_event_listener(
                    lambda event, **_: found.append(threading.get_ident()) if event == _HIT else None
                )
            if not self._inside:
                self._least = jax.config.values[_LEAST_SECONDS]
                jax.config.update(_LEAST_SECONDS, math.inf)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._changing:
            self._inside -= 1
            if not self._inside and jax.config.values[_LEAST_SECONDS] == math.inf:  # nobody has set it meanwhile
                jax.config.update(_LEAST_SECONDS, self._least)

    @property
    def hits(self) -> int:
        """Programs that JAX has found in its own cache for this thread, since the first one came in."""
        return (self._found or []).count(threading.get_ident())


_aside = Aside()


def _read(place: Path) -> Any:
    """The program that lies there; None if it is not whole."""
    from jax.experimental.serialize_executable import deserialize_and_load

    with contextlib.suppress(OSError, ValueError, pickle.UnpicklingError, jax.errors.JaxRuntimeError):
        content = _own_bytes(place)
        if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
            native.available()  # a program names the kernels, which must be known by then
            os.utime(place)
            return deserialize_and_load(*pickle.loads(content[_DIGEST:]), execution_devices=jax.local_devices()[:1])
    return None


def _own_bytes(place: Path) -> bytes:
    """What a file of this user holds; nothing of another's, who may have left it in a folder once open to him."""
    with place.open("rb") as file:
        ours = not hasattr(os, "geteuid") or os.fstat(file.fileno()).st_uid == os.geteuid()
        return file.read() if ours else b""


def _write(place: Path | None, content: bytes) -> None:
    """Put it there, if that can be done, and make room."""
    if place is None:
        return
    with contextlib.suppress(OSError, StorageError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(place, hashlib.sha256(content).digest() + content)
        with os.scandir(place.parent) as entries:
            found = ((entry.path, entry.stat()) for entry in entries if not entry.name.startswith("."))
            files = sorted((about.st_mtime, about.st_size, path) for path, about in found)
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total > _MOST_BYTES:
                os.unlink(path)
                total -= size

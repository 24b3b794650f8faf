"""The machine, the versions, and the environment that all contestants get."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "cores", "describe", "environment", "pin"]

ROOT = Path(__file__).parents[2]

_DISTRIBUTIONS = ("jax", "jaxlib", "numpy", "optax", "torch", "keras", "scikit-learn")
_THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Whatever tunes one contestant's allocator, compiler or threads would make the comparison another one.
_DROPPED = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "XLA_FLAGS", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_",
            "TORCH", "JAX_", "KERAS_", "DENPA_COMPILE_CACHE")  # fmt: skip


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """The environment of a contestant: so many threads, the CPU, and no tuning by variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    paths = [str(ROOT / "benchmarks"), str(ROOT / "src"), kept.get("PYTHONPATH", "")]
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    kept["JAX_PLATFORMS"] = "cpu"
    return kept | dict.fromkeys(_THREADS, str(threads))


def pin(threads: int) -> None:
    """Settle this process, before it imports JAX or PyTorch, as `environment` says, on the first cores it may use."""
    settled = environment(threads)
    for name in [name for name in os.environ if name not in settled]:
        del os.environ[name]
    os.environ.update(settled)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def describe(threads: int) -> dict[str, Any]:
    """Machine, versions, date, threads, and how busy the machine was just before."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "os": platform.platform(),
        "threads": {"each_contestant": threads, "variables": list(_THREADS)},
        "load_before": load,
        "versions": {"python": platform.python_version(), "denpa": _commit(), **_versions()},
    }


def _cpu_model() -> str:
    """Processor's name; under Linux with family and model, since virtual machines shorten names."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.machine()
    if "cpu family" not in facts:
        return name
    vectors = "AVX-512" if "avx512f" in facts["flags"] else "AVX2" if "avx2" in facts["flags"] else "SSE"
    return f"{name} (family {facts['cpu family']}, model {facts['model']}, {vectors})"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """The commit measured, marked where the sources differ from it."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()

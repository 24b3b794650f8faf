"""Settings for all tests. JAX reads its environment when it is imported, so they are made before that."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import jaxlib.version
import numpy as np
import pytest
from hypothesis import settings

_cache = tempfile.mkdtemp(prefix="denpa-tests-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # JAX_PLATFORMS=cuda runs the tests on a GPU
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # a test that compiles must not depend on the last run
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"  # float32 + float64 is a mistake until it is written out
os.environ["MPLBACKEND"] = "Agg"
os.environ["XDG_CACHE_HOME"] = _cache  # the user's cache stays untouched, by subprocesses too

# Thousands of small programs are compiled and run once each, so what LLVM would do to make them fast costs more than
# it saves: without it the suite takes half the time. Flags of the caller's own come last and win.
_flags = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if jaxlib.version.__version_info__ < (0, 11, 1):  # from then on XLA ends the process when it reads of this one
    _flags += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{_flags} --xla_force_host_platform_device_count=2 {os.environ.get('XLA_FLAGS', '')}".strip()

# Compilation makes the first example slow, so there is no deadline. The examples are the same in
# every run; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("denpa", deadline=None, derandomize=True, database=None, max_examples=25)
settings.register_profile("explore", deadline=None, max_examples=300)
settings.load_profile("denpa")


_MAPPED = Path("/proc/self/maps")  # Linux's own list


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs():
    """Linux lets a process map 65,530 pieces of memory; a compiled program takes six and more of them.

    The suite has more programs than that. XLA dies by a segmentation fault where there is no room for another one.
    """
    yield
    if _MAPPED.exists() and _MAPPED.read_bytes().count(b"\n") > 30_000:
        import jax

        jax.clear_caches()


def pytest_runtest_setup(item):
    """A module's RNG begins anew in each test: what a test draws does not depend on which others ran before it."""
    rng = getattr(item.module, "RNG", None)
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = np.random.default_rng(zlib.crc32(item.nodeid.encode())).bit_generator.state


@pytest.fixture
def key():
    """A random key that is the same in every run."""
    import jax

    return jax.random.key(20240229)

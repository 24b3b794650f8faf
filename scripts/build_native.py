"""Compile the native kernels in place: src/denpa/kernels/native/*.cc -> src/denpa/kernels/native/libdenpa_kernels.so.

    python scripts/build_native.py

The build hook does the same when the package is installed. CXX names the compiler (c++, g++ or clang++ otherwise),
DENPA_NATIVE=0 leaves the kernels out. XLA's headers come with jaxlib: from the interpreter that runs this, or from the
environment that the package is being installed into.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["BuildError", "build", "compiler", "headers", "library", "wanted"]

FOLDER = Path(__file__).parents[1] / "src" / "denpa" / "kernels" / "native"

# One object file for each instruction set, with all hot loops in it.
SETS = {
    "x86_64": {
        "sse4": ["-msse4.2"],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
    },
    "aarch64": {"neon": []},
}
OPTIONS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno"]
HOT_OPTIONS = ["-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-U_FORTIFY_SOURCE"]


class BuildError(Exception):
    """The kernels cannot be compiled here; the message says why."""


def library() -> Path:
    """Where the compiled library lies."""
    return FOLDER / "libdenpa_kernels.so"


def wanted() -> bool:
    """False where DENPA_NATIVE=0 leaves the kernels out, or there are none for this kind of machine."""
    return os.environ.get("DENPA_NATIVE") != "0" and os.name == "posix" and _machine() in SETS


def _machine() -> str:
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def _interface() -> str:
    """The number that the library answers with; Python compares it with its own, which stands in loading.py."""
    return re.findall(r"^_INTERFACE = (\d+)", (FOLDER / "loading.py").read_text("utf-8"), re.MULTILINE)[0]


def compiler() -> list[str] | None:
    """The C++ compiler as the beginning of a command line; None where there is none."""
    named = os.environ.get("CXX")
    for name in [named] if named else ["c++", "g++", "clang++"]:
        command = shlex.split(name)
        if command and shutil.which(command[0]):
            return command
    return None


def headers() -> Path | None:
    """The folder with XLA's headers; None where there is no jaxlib."""
    places = [Path(sysconfig.get_path(kind)) / "jaxlib" for kind in ("platlib", "purelib")]
    found = importlib.util.find_spec("jaxlib")
    if found is not None and found.submodule_search_locations:
        places = [Path(place) for place in found.submodule_search_locations] + places
    for place in places:
        if (place / "include" / "xla" / "ffi" / "api" / "ffi.h").is_file():
            return place / "include"
    return None


def build() -> Path:
    """Compile and link, and put the library into its place at one stroke.

    Raises:
        BuildError: no compiler, no headers, an unknown processor, or the compiler failed.
    """
    if not wanted():
        raise BuildError(f"DENPA_NATIVE=0, or there are none for {platform.system()} on {platform.machine()}")
    if (command := compiler()) is None:
        raise BuildError("there is no C++ compiler (CXX names one)")
    if (include := headers()) is None:
        raise BuildError("there is no jaxlib, which brings XLA's headers")
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".build-") as folder:
        jobs = {
            name: [
                *OPTIONS,
                *HOT_OPTIONS,
                *flags,
                f'-DDENPA_NAME="{name}"',
                f"-DDENPA_KERNELS=denpa_kernels_{name}",
                "kernels.cc",
            ]
            for name, flags in SETS[_machine()].items()
        }
        jobs["instruction_set"] = [*OPTIONS, f"-DDENPA_INTERFACE={_interface()}", "instruction_set.cc"]
        for name in ("ffi", "recurrent_ffi"):
            jobs[name] = [*OPTIONS, "-isystem", str(include), f"{name}.cc"]
        objects = [str(Path(folder, f"{name}.o")) for name in jobs]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compiled = zip(jobs.values(), objects, strict=True)
            list(pool.map(lambda job: _run([*command, *job[0], "-c", "-o", job[1]]), compiled))
        linked = Path(folder, library().name)
        _link([*command, "-shared", "-pthread", "-o", str(linked), *objects])
        linked.replace(library())
    return library()


def _link(command: list[str]) -> None:
    """The C++ library is linked in and hidden, if it is there to be: the result then runs beside any other one."""
    if sys.platform == "darwin":
        return _run([*command, "-undefined", "dynamic_lookup"])
    try:
        _run([*command, "-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL", "-s"])
    except BuildError:
        _run(command)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        raise BuildError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise BuildError(f"{shlex.join(command)} failed:\n{done.stdout.strip()[:2000]}")


def main() -> int:
    """Build, and say what came of it. With --optional it is no failure that the kernels cannot be built here."""
    try:
        print(f"Native kernels: {build()}")
    except (BuildError, OSError) as error:
        print(f"No native kernels, XLA serves instead: {error}.", file=sys.stderr)
        return 0 if "--optional" in sys.argv[1:] else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

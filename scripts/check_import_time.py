"""Compare the time of `import denpa` with that of `import jax`: it may cost 1.3 times as much.

    python scripts/check_import_time.py [--limit 1.3] [--rounds 9]

Each import runs in a process of its own, the two in turn, so that a busy machine slows both; the
median of the ratios of the turns counts, with bytecode cached as after an installation. Prints one line of
JSON; exits with 1 where the limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

TIMED = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"


def seconds(module: str) -> float:
    """Seconds that `import module` takes in a new process, its start not included."""
    command = [sys.executable, "-c", TIMED.format(module=module)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=1.3, help="largest allowed ratio (1.3)")
    parser.add_argument("--rounds", type=int, default=9, help="how often each import is timed (9)")
    options = parser.parse_args()
    seconds("denpa")  # reads the files once and writes their bytecode
    turns = [(seconds("jax"), seconds("denpa")) for _ in range(options.rounds)]
    ratio = statistics.median(ours / theirs for theirs, ours in turns)
    jax_seconds, denpa_seconds = map(statistics.median, zip(*turns, strict=True))
    figures = {"import_jax_s": jax_seconds, "import_denpa_s": denpa_seconds, "ratio": ratio, "limit": options.limit}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return int(ratio > options.limit)


if __name__ == "__main__":
    sys.exit(main())

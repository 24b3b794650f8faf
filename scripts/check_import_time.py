"""Compare the time of `import denpa` with that of `import jax`: it may cost 1.3 times as much.

    python scripts/check_import_time.py [--limit 1.3] [--rounds 9]

Every round is a process of its own that imports jax and then denpa, so that a busy machine slows both;
the median of the ratios counts, with bytecode cached as after an installation. Prints one line of JSON;
exits with 1 where the limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

TIMED = """
from time import perf_counter
start = perf_counter()
import jax
between = perf_counter()
import denpa
print(between - start, perf_counter() - start)
"""


def measure() -> tuple[float, float]:
    """Seconds of `import jax`, and of both imports together, in a new process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", TIMED], check=True, stdout=subprocess.PIPE, text=True, env=environment)
    jax_seconds, denpa_seconds = map(float, done.stdout.split())
    return jax_seconds, denpa_seconds


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=1.3, help="largest allowed ratio (1.3)")
    parser.add_argument("--rounds", type=int, default=9, help="how many processes are timed (9)")
    options = parser.parse_args()
    measure()  # reads the files once and writes their bytecode
    rounds = [measure() for _ in range(options.rounds)]
    ratio = statistics.median(both / alone for alone, both in rounds)
    jax_seconds, denpa_seconds = map(statistics.median, zip(*rounds, strict=True))
    figures = {"import_jax_s": jax_seconds, "import_denpa_s": denpa_seconds, "ratio": ratio, "limit": options.limit}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return int(ratio > options.limit)


if __name__ == "__main__":
    sys.exit(main())

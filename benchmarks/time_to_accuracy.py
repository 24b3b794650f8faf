"""Seconds of training until the convolutional MNIST presets reach 90 % and 99 % of the test images.

    python benchmarks/time_to_accuracy.py

Every run is a process of its own, from the end of the import on, compilation included: the first with an empty cache of
compiled programs, one more for each seed with the programs that it left behind. Ten steps are trained at a time, a
hundred once the first level is reached, and then measured, off the clock. The notes report about 90 % after 100 steps
of the deep network, in 30 minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from accuracy_convolution import PRESETS, model
from harness import report
from harness.machine import describe, environment
from harness.options import parser, settle

LEVELS = (0.9, 0.99)
REPORTED = 30 * 60  # seconds
_IMAGES = 1_000, 10_000  # trained on between two measurements, before and behind the first level


def main() -> None:
    made = parser(__doc__, rounds=3)
    made.add_argument("--one", nargs=2, metavar=("PRESET", "SEED"), help="one run, told as JSON")
    made.add_argument("--preset", choices=PRESETS, help="this one alone")
    options = settle(made.parse_args())
    if options.one:
        sys.stdout.write(json.dumps(time_to(options.one[0], int(options.one[1]), options.quick)))
        return
    about = describe(options.threads)
    results: dict[str, Any] = {
        preset: runs(preset, options) for preset in ([options.preset] if options.preset else PRESETS)
    }
    report.write("time_to_accuracy", options, about, results, text(results))


def runs(preset: str, options: Any) -> dict[str, list[dict[str, Any]]]:
    """One run with an empty cache, then one for each seed with what it left there."""
    found: dict[str, list[dict[str, Any]]] = {"empty": [], "filled": []}
    with tempfile.TemporaryDirectory() as cache:
        for cached, seed in (("empty", 0), *(("filled", seed) for seed in range(options.rounds))):
            command = [sys.executable, __file__, "--one", preset, str(seed), *["--quick"] * options.quick]
            settled = environment(options.threads) | {"DENPA_COMPILE_CACHE": cache}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=settled)
            found[cached].append(json.loads(done.stdout))
            report.say(f"{preset}, {cached} cache, seed {seed}: {found[cached][-1]}")
    return found


def time_to(preset: str, seed: int, quick: bool) -> dict[str, Any]:
    """Seconds and steps until a measurement on the test images shows each level."""
    import denpa as dp

    train, test = dp.datasets.load("mnist")
    trained, training = model(preset, seed)
    order, seconds, found = np.random.default_rng(seed).permutation(len(train)), 0.0, {}
    seen, most = 0, 2 * _IMAGES[0] if quick else len(train) * training.epochs
    while seen < most:
        rows = order[seen % len(train) :][: _IMAGES[len(found)]]
        seen += len(rows)
        begun = time.perf_counter()
        trained.fit((train.x[rows], train.t[rows]), epochs=1, batch_size=training.batch_size, verbose=False)
        seconds += time.perf_counter() - begun
        reached = trained.evaluate(test)["accuracy"]
        for level in LEVELS:
            if reached >= level and str(level) not in found:
                found[str(level)] = {"seconds": seconds, "steps": trained.steps}
        if len(found) == len(LEVELS):
            break
    return found


def text(results: dict[str, Any]) -> str:
    """A table for people."""
    rows = []
    for preset, by_cache in results.items():
        for level in LEVELS:
            for cached, several in by_cache.items():
                reached = [run[str(level)] for run in several if str(level) in run]
                if not reached:
                    continue
                seconds, steps = (float(np.median([run[key] for run in reached])) for key in ("seconds", "steps"))
                times = f"{REPORTED / seconds:,.0f}" if level == LEVELS[0] and preset == PRESETS[1] else ""
                rows.append([preset, f"{level:.0%}", cached, f"{report.show(seconds)} s", f"{steps:,.0f}", times])
    head = [
        "preset",
        "test accuracy",
        "cache of programs",
        "training, median",
        "steps",
        "30 minutes / this",
    ]
    return "### Time to accuracy, MNIST\n\n" + report.table(head, rows)


if __name__ == "__main__":
    main()

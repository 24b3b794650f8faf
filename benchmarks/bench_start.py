"""How soon denpa works: the import, the first step, and whether anything is compiled after the first epoch.

    python benchmarks/bench_start.py

Every measurement is made in a new process. The imports of denpa and of JAX take turns. The first step is that of
784-100-10 on arrays of MNIST's shape, from the end of the import to the end of the first update, once with an empty
compilation cache and once with the cache that this left behind.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from typing import Any

from harness import report
from harness.machine import ROOT, describe, environment, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, compare

IMPORT_LIMIT = 1.3  # times the import of JAX
FIRST_STEP_LIMIT = 1.5  # seconds, with a warm compilation cache

# What the processes run. The arrays are made before the clock starts: they are the user's, not denpa's.
MODEL = """
import json, sys, time
import numpy as np
import denpa as dp

def data(examples):
    rng = np.random.default_rng(0)
    return rng.random((examples, 784), np.float32), rng.integers(10, size=examples).astype(np.int32)

def model():
    net = dp.Sequential([dp.Dense(100), dp.ReLU(), dp.Dense(10)])
    return dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(1e-3), metrics=[dp.Accuracy()])
"""
FIRST_STEP = (
    MODEL
    + """
from dataclasses import dataclass
from denpa.training.callbacks import Session

@dataclass(frozen=True)
class OneStep(dp.Callback):
    def begin(self, training):
        session = Session(training)
        session.period = 1
        session.on_period = lambda: stop(training)
        return session

class Done(Exception):
    pass

def stop(training):
    raise Done

examples = data(int(sys.argv[1]))
start = time.perf_counter()
try:
    model().fit(examples, epochs=1, batch_size=100, callbacks=[OneStep()], verbose=False)
except Done:
    print(json.dumps(time.perf_counter() - start))
"""
)
COMPILATIONS = (
    MODEL
    + """
import jax

compiled = 0

def count(event, duration, **_):
    global compiled
    compiled += event == "/jax/core/compile/backend_compile_duration"

jax.monitoring.register_event_duration_secs_listener(count)
by_epoch = []
examples, held_out = data(1050), data(230)
fit = dict(validation=held_out, batch_size=100, verbose=False)
trained = model()
trained.fit(examples, epochs=4, callbacks=[lambda training: by_epoch.append(compiled)], **fit)
print(json.dumps(by_epoch))
"""
)


def main() -> None:
    made = parser(__doc__, rounds=15)
    made.add_argument("--first-steps", type=int, help="how often the first step is timed (5)")
    options = settle(made.parse_args())
    options.first_steps = options.first_steps or (1 if options.quick else 5)
    about = describe(options.threads)
    pin(options.threads)
    results = {
        "import": imports(options),
        "first_step": first_steps(options),
        "compilations": compilations(options),
    }
    results["targets"] = targets(results)
    report.write("start", options, about, results, text(results))


def imports(options: argparse.Namespace) -> dict[str, Any]:
    """Import times, measured as `scripts/check_import_time.py` does."""
    report.say("imports")
    path = ROOT / "scripts" / "check_import_time.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    names = ("jax", "denpa")
    for name in names:  # bytecode and files into the caches
        script.seconds(name)
    times = alternate({name: lambda name=name: script.seconds(name) for name in names}, options.rounds)
    return {**{name: times[name].to_json() for name in names}, **compare(times["denpa"], times["jax"])}


def first_steps(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds to the first finished step, with an empty compilation cache and with a filled one."""
    examples = 1_000 if options.quick else 60_000
    taken: dict[str, list[float]] = {"cold": [], "warm": []}
    for number in range(options.first_steps):
        report.say(f"first step {number + 1} of {options.first_steps}")
        with tempfile.TemporaryDirectory() as cache:
            for kind in taken:
                taken[kind].append(run(FIRST_STEP, options.threads, str(examples), DENPA_COMPILE_CACHE=cache))
    return {kind: Times(seconds).to_json() for kind, seconds in taken.items()}


def compilations(options: argparse.Namespace) -> dict[str, Any]:
    """Programs compiled by the end of each epoch: 10 batches of 100 and a last one of 50, validation, a metric."""
    report.say("compilations")
    by_epoch = run(COMPILATIONS, options.threads, DENPA_COMPILE_CACHE="0")
    return {"by_the_end_of_each_epoch": by_epoch, "after_the_first_epoch": by_epoch[-1] - by_epoch[0]}


def run(code: str, threads: int, *arguments: str, **variables: str) -> Any:
    """What the code prints, in a new process."""
    command = [sys.executable, "-c", code, *arguments]
    settled = environment(threads) | variables
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=settled)
    return json.loads(done.stdout)


def targets(results: dict[str, Any]) -> list[dict[str, Any]]:
    """What was aimed at, and whether it is met."""
    aims = [
        ("import of denpa / import of JAX", results["import"]["ratio_of_medians"], IMPORT_LIMIT),
        ("seconds to the first step, warm cache", results["first_step"]["warm"]["median"], FIRST_STEP_LIMIT),
        ("compilations after the first epoch", results["compilations"]["after_the_first_epoch"], 0),
    ]
    return [{"name": name, "value": value, "limit": limit, "met": value <= limit} for name, value, limit in aims]


def text(results: dict[str, Any]) -> str:
    """The table."""
    taken = {
        "`import jax`, seconds": results["import"]["jax"],
        "`import denpa`, JAX included, seconds": results["import"]["denpa"],
        "first step, warm compilation cache, seconds": results["first_step"]["warm"],
        "first step, empty compilation cache, seconds": results["first_step"]["cold"],
    }
    rows = [
        [name, report.show(times["median"]), " to ".join(map(report.show, times["quartiles"]))]
        for name, times in taken.items()
    ]
    compiled = results["compilations"]
    rows.append(["programs compiled in the first epoch", str(compiled["by_the_end_of_each_epoch"][0]), ""])
    rows.append(["programs compiled after it", str(compiled["after_the_first_epoch"]), ""])
    aims = [
        [aim["name"], report.show(aim["value"]), str(aim["limit"]), "yes" if aim["met"] else "**no**"]
        for aim in results["targets"]
    ]
    return (
        report.table(["", "median", "quartiles"], rows)
        + "\n\n"
        + report.table(["target", "reached", "at most", "met"], aims)
    )


if __name__ == "__main__":
    main()

"""How long denpa's `NeuralNetClassifier` and scikit-learn's `MLPClassifier` take to the same accuracy.

    DENPA_DATA=... python benchmarks/bench_estimators.py

Both get the same arrays, 100 hidden units, batches of one size and Adam(1e-3). MNIST, in batches of 32 to 200: `fit`
for as many epochs as each needs to a test accuracy of 97 %, in a process that has compiled before; without DENPA_DATA
data of MNIST's shape. Images in float32, and in float64 as `X / 255.0` makes them: scikit-learn computes in the
precision of the data, denpa by its own choice in float32. Iris, all examples in a batch: 200 epochs, once in a new
process that finds its programs in the compilation cache, and once more in the same process. Imports are not counted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe
from harness.options import parser, settle
from harness.timing import Times, alternate, compare
from harness.work import WORKS, as_floats, data_of
from harness.worker import Worker

KINDS = {"denpa": "peers.estimators:Denpa", "scikit-learn": "peers.estimators:Scikit"}
ACCURACY, MOST_EPOCHS, IRIS_EPOCHS = 0.97, 20, 200
BATCHES = (32, 100, 200)  # what `Model.fit` takes by itself, the training page's, what both estimators take
PRECISIONS = ("float32", "float64")
LIMITS = {"mnist": 5.0, "iris": 1.0}  # how many times as fast denpa is meant to be


def main() -> None:
    options = settle(parser(__doc__, rounds=7).parse_args())
    about = describe(options.threads)
    results = {"mnist": mnist(options), "iris": iris(options)}
    report.write("estimators", options, about, results, text(results))


def mnist(options: argparse.Namespace) -> dict[str, Any]:
    """Where the data come from, and the times for each size of batch."""
    with tempfile.TemporaryDirectory() as folder:
        origin = store_mnist(Path(folder), options.quick)
        cases = [(batch, precision) for precision in PRECISIONS for batch in BATCHES]
        return {"data": origin, "cases": [in_batches(options, folder, *case) for case in cases]}


def in_batches(options: argparse.Namespace, folder: str, batch: int, precision: str) -> dict[str, Any]:
    """Epochs to the accuracy, and seconds of a `fit` of so many epochs."""
    given = {"folder": folder, "batch": batch, "precision": precision}
    workers = {name: Worker(kind, options.threads, **given) for name, kind in KINDS.items()}
    most = 2 if options.quick else MOST_EPOCHS
    epochs = {name: epochs_needed(worker, most) for name, worker in workers.items()}
    report.say(f"MNIST in batches of {batch}, {precision}: epochs to {ACCURACY}: {epochs}")
    seeds = dict.fromkeys(workers, 0)
    accuracies: dict[str, list[float]] = {name: [] for name in workers}

    def turn(name: str) -> float:
        seeds[name] += 1
        seconds = workers[name].call("turn", epochs=epochs[name], seed=seeds[name])
        accuracies[name].append(workers[name].call("accuracy"))
        return seconds

    for name in workers:
        turn(name)  # the program for so many epochs is compiled, unmeasured
    times = alternate({name: lambda name=name: turn(name) for name in workers}, options.rounds)
    for worker in workers.values():
        worker.close()
    return {
        "batch": batch,
        "precision": precision,
        "epochs": epochs,
        "seconds": {name: taken.to_json() for name, taken in times.items()},
        "accuracy": {name: float(np.median(found)) for name, found in accuracies.items()},
        **compare(times["scikit-learn"], times["denpa"]),
    }


def epochs_needed(worker: Worker, most: int) -> int:
    """The median over three seeds."""
    found = [worker.call("epochs_to", accuracy=ACCURACY, most=most, seed=seed) for seed in range(3)]
    return min(int(np.median(found)), most)


def iris(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the first `fit` of a process and of the second."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        rows = store_iris(Path(folder))
        accuracies: dict[str, list[float]] = {name: [] for name in KINDS}
        later: dict[str, list[float]] = {name: [] for name in KINDS}

        def turn(name: str, seed: int = 0) -> float:
            with Worker(KINDS[name], options.threads, folder=folder, batch=rows, cache=cache) as worker:
                first = worker.call("turn", epochs=IRIS_EPOCHS, seed=seed)
                later[name].append(worker.call("turn", epochs=IRIS_EPOCHS, seed=seed + 1))
                accuracies[name].append(worker.call("accuracy"))
            return first

        report.say("iris")
        empty = turn("denpa")
        for found in (*later.values(), *accuracies.values()):
            found.clear()
        first = alternate({name: lambda name=name: turn(name) for name in KINDS}, options.rounds)
    again = {name: Times(taken) for name, taken in later.items()}
    return {
        "empty_cache": empty,
        "first": {name: taken.to_json() for name, taken in first.items()},
        "later": {name: taken.to_json() for name, taken in again.items()},
        "accuracy": {name: float(np.median(found)) for name, found in accuracies.items()},
        "first_ratio": compare(first["scikit-learn"], first["denpa"])["ratio_of_medians"],
        "later_ratio": compare(again["scikit-learn"], again["denpa"])["ratio_of_medians"],
    }


def store_mnist(folder: Path, quick: bool) -> str:
    """Write MNIST, or what looks like it, for the workers; returns where it comes from."""
    work = next(work for work in WORKS if work.name == "mnist")
    x, t, origin = data_of(work.smaller() if quick else work)
    rest = len(x) * 5 // 6
    x = as_floats(x)
    store(folder, x[:rest], t[:rest], x[rest:], t[rest:])
    return f"{rest:,} examples of {origin} to train, the last {len(x) - rest:,} to test"


def store_iris(folder: Path) -> int:
    """Write iris, standardised, every third flower for the test; returns the number of training examples."""
    from sklearn.datasets import load_iris

    x, t = load_iris(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    held = np.arange(len(x)) % 3 == 2
    store(folder, x[~held], t[~held], x[held], t[held])
    return int((~held).sum())


def store(folder: Path, *arrays: np.ndarray) -> None:
    for name, array in zip(("x", "t", "x_test", "t_test"), arrays, strict=True):
        np.save(folder / f"{name}.npy", array)


def text(results: dict[str, Any]) -> str:
    """The tables."""
    found, small = results["mnist"], results["iris"]
    rows = [
        [
            str(of["batch"]),
            of["precision"],
            name,
            str(of["epochs"][name]),
            f"{100 * of['accuracy'][name]:.1f} %",
            *spread(of["seconds"][name]),
            report.show(of["seconds"][name]["median"] / of["epochs"][name]),
        ]
        for of in found["cases"]
        for name in KINDS
    ]
    iris_rows = [
        [name, f"{100 * small['accuracy'][name]:.1f} %", *spread(small["first"][name]), *spread(small["later"][name])]
        for name in KINDS
    ]
    aims = [
        *(
            (
                f"MNIST to {100 * ACCURACY:g} %, batches of {of['batch']}, {of['precision']}",
                of["ratio_of_medians"],
                LIMITS["mnist"],
            )
            for of in found["cases"]
        ),
        ("iris, first fit of a process, warm compilation cache", small["first_ratio"], LIMITS["iris"]),
        ("iris, later fits", small["later_ratio"], LIMITS["iris"]),
    ]
    aim_rows = [
        [name, report.show(value), f"{limit:g}", "yes" if value >= limit else "**no**"] for name, value, limit in aims
    ]
    parts = [
        f"MNIST ({found['data']}), to {100 * ACCURACY:g} %:",
        report.table(["batches of", "images in", "", "epochs", "accuracy", "seconds", "quartiles", "an epoch"], rows),
        f"Iris, {IRIS_EPOCHS} epochs; with an empty compilation cache denpa's first fit took "
        f"{report.show(small['empty_cache'])} s:",
        report.table(["", "accuracy", "first fit, s", "quartiles", "later, s", "quartiles"], iris_rows),
        report.table(["time of scikit-learn / denpa's", "reached", "wanted", "met"], aim_rows),
    ]
    return "\n\n".join(parts)


def spread(times: dict[str, Any]) -> tuple[str, str]:
    return report.show(times["median"]), " to ".join(map(report.show, times["quartiles"]))


if __name__ == "__main__":
    main()

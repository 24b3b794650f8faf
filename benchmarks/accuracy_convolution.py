"""Test accuracy of the convolutional MNIST presets over seeds, and the time until 90 % and 99 % are reached.

    python benchmarks/accuracy_convolution.py                     # accuracy: seeds 0 to 2, trained on all 60,000
    python benchmarks/accuracy_convolution.py --time              # seconds to 90 % and 99 %, compilation included

The settings of the presets were chosen on a tenth of the training images held back; the test images are looked at here.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import denpa as dp
from denpa.lab import presets
from denpa.lab.start import model_of
from harness import machine, report

PRESETS = ("mnist-conv", "mnist-conv-deep")
_SLICE = 1000  # images trained on between two measurements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", action="store_true", help="seconds to 90 % and 99 %")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS, help="which presets (both)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--out", type=Path, default=machine.ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    options.threads, options.rounds, options.quick = machine.cores(), options.seeds, False
    about = machine.describe(options.threads)
    train, test = dp.datasets.load("mnist")
    measure, name = (time_to, "time_to_accuracy") if options.time else (accuracy, "accuracy_convolution")
    results: dict[str, list[dict[str, Any]]] = {}
    for preset in options.presets:
        results[preset] = []
        for seed in range(options.seeds):
            results[preset].append(measure(preset, seed, train, test))
            report.say(f"{preset}, seed {seed}: {results[preset][-1]}")
    report.write(name, options, about, results, (text_of_time if options.time else text_of_accuracy)(results))


def model(preset: str, seed: int) -> tuple[dp.Model, Any]:
    """The preset's untrained model, and its training."""
    experiment = presets.build(preset)
    training = experiment.training.replace(seed=seed)
    return model_of(experiment.replace(training=training)), training


def accuracy(preset: str, seed: int, train: Any, test: Any) -> dict[str, Any]:
    """Train as the preset does and measure once."""
    trained, training = model(preset, seed)
    start = time.perf_counter()
    trained.fit(train, epochs=training.epochs, batch_size=training.batch_size, verbose=False)
    seconds = time.perf_counter() - start
    return {"accuracy": trained.evaluate(test)["accuracy"], "seconds": seconds, "epochs": training.epochs}


def time_to(preset: str, seed: int, train: Any, test: Any) -> dict[str, Any]:
    """Seconds of training, compilation included, until a measurement on the test images shows 90 % and 99 %."""
    trained, training = model(preset, seed)
    order, seconds, found, steps = np.random.default_rng(seed).permutation(len(train)), 0.0, {}, 0
    for start in range(0, len(train) * training.epochs, _SLICE):
        rows = order[start % len(train) :][:_SLICE]
        begun = time.perf_counter()
        trained.fit((train.x[rows], train.t[rows]), epochs=1, batch_size=training.batch_size, verbose=False)
        seconds, steps = seconds + time.perf_counter() - begun, trained.steps
        reached = trained.evaluate(test)["accuracy"]
        for level in (0.9, 0.99):
            if reached >= level and str(level) not in found:
                found[str(level)] = {"seconds": seconds, "steps": steps}
        if len(found) == 2:
            break
    return found


def text_of_accuracy(results: dict[str, Any]) -> str:
    """A table for people."""
    rows = []
    for preset, runs in results.items():
        reached = np.array([run["accuracy"] for run in runs])
        seconds = np.array([run["seconds"] for run in runs])
        cells = [f"{100 * reached.mean():.2f} %", f"{100 * reached.min():.2f} to {100 * reached.max():.2f} %"]
        rows.append([preset, *cells, str(runs[0]["epochs"]), f"{np.median(seconds):,.0f} s"])
    head = ["preset", "test accuracy, mean", "range over seeds", "epochs", "time, median"]
    return "### MNIST, convolutional presets\n\n" + report.table(head, rows)


def text_of_time(results: dict[str, Any]) -> str:
    """A table for people."""
    rows = []
    for preset, runs in results.items():
        for level in ("0.9", "0.99"):
            seconds = [run[level]["seconds"] for run in runs if level in run]
            steps = [run[level]["steps"] for run in runs if level in run]
            median = report.show(float(np.median(seconds))) if seconds else "–"
            count = f"{np.median(steps):,.0f}" if steps else "–"
            rows.append([preset, f"{100 * float(level):.0f} %", f"{median} s", count])
    head = ["preset", "test accuracy", "seconds, median over seeds", "steps"]
    note = "Training alone, compilation included; measured on the test images every ten steps."
    return f"### Time to accuracy, MNIST\n\n{report.table(head, rows)}\n\n{note}"


if __name__ == "__main__":
    main()

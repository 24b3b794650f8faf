"""Test accuracy of the convolutional MNIST presets over seeds.

    python benchmarks/accuracy_convolution.py                     # seeds 0 to 2, trained on all 60,000

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS, help="which presets (both)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--out", type=Path, default=machine.ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    options.threads, options.rounds, options.quick = machine.cores(), options.seeds, False
    about = machine.describe(options.threads)
    train, test = dp.datasets.load("mnist")
    results: dict[str, list[dict[str, Any]]] = {}
    for preset in options.presets:
        results[preset] = []
        for seed in range(options.seeds):
            results[preset].append(accuracy(preset, seed, train, test))
            report.say(f"{preset}, seed {seed}: {results[preset][-1]}")
    report.write("accuracy_convolution", options, about, results, text(results))


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


def text(results: dict[str, Any]) -> str:
    """A table for people."""
    rows = []
    for preset, runs in results.items():
        reached = np.array([run["accuracy"] for run in runs])
        seconds = np.array([run["seconds"] for run in runs])
        cells = [f"{100 * reached.mean():.2f} %", f"{100 * reached.min():.2f} to {100 * reached.max():.2f} %"]
        rows.append([preset, *cells, str(runs[0]["epochs"]), f"{np.median(seconds):,.0f} s"])
    head = ["preset", "test accuracy, mean", "range over seeds", "epochs", "time, median"]
    return "### MNIST, convolutional presets\n\n" + report.table(head, rows)


if __name__ == "__main__":
    main()

"""Reconstruction error of a 32-unit code on MNIST beside principal components, and the activity of a sparse code.

    python benchmarks/autoencoders.py                                       # all, as long as the presets train
    python benchmarks/autoencoders.py --epochs 10 --works linear deep       # some, for fewer epochs

The error is the mean over the 10,000 test images of half the squared distance, pixels from 0 to 1.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import denpa as dp
from denpa.lab import DataConfig, layer_output, presets
from denpa.lab.sources import load_data
from denpa.lab.start import model_of
from harness import machine, report

UNITS = 32
WORKS = {
    "components": "32 principal components",
    "linear": "linear autoencoder, 784-32-784",
    "autoencoder": "`autoencoder`, 784-32-784, ReLU, sigmoid output",
    "tied-autoencoder": "`tied-autoencoder`, the same with transposed weights",
    "deep-autoencoder": "`deep-autoencoder`, 784-512-256-32-256-512-784",
    "pretrained": "the same, pre-trained layer by layer",
    "sparse-autoencoder": "`sparse-autoencoder`, 784-100-784, KL price, ρ = 0.05",
}
DATA = DataConfig("mnist", task="reconstruction")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=WORKS, help="which of them (all)")
    parser.add_argument("--epochs", type=int, help="in place of the presets' own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=machine.ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    options.threads, options.rounds, options.quick = machine.cores(), 1, False
    about = machine.describe(options.threads)
    data = load_data(DATA)
    results = {}
    for name in options.works:
        results[name] = components(data) if name == "components" else trained(name, data, options)
        report.say(f"{name}: {results[name]}")
    report.write("autoencoders", options, about, results, text(results))


def components(data: Any) -> dict[str, Any]:
    """Principal components of the training images, and what they leave out of the test images."""
    start = time.perf_counter()
    train, test = (np.asarray(part.x, np.float64).reshape(len(part), -1) / 255 for part in (data.train, data.test))
    found = dp.classical.pca(train, UNITS)
    seconds = time.perf_counter() - start
    errors = [float(np.mean(np.sum((found.reconstruct(x) - x) ** 2, axis=1)) / 2) for x in (train, test)]
    return {"training": errors[0], "test": errors[1], "seconds": seconds}


def trained(name: str, data: Any, options: Any) -> dict[str, Any]:
    """A preset trained, and its error."""
    preset = {"linear": "autoencoder", "pretrained": "deep-autoencoder"}.get(name, name)
    code = None if preset == "sparse-autoencoder" else UNITS
    experiment = presets.build(preset, presets.Options(epochs=options.epochs, code=code), DATA, data.look)
    plan = experiment.training.replace(seed=options.seed)
    if name == "linear":
        layers = (("encoder", dp.Sequential([dp.Flatten(), dp.Dense(UNITS)])), dp.Dense(784), dp.Reshape((28, 28, 1)))
        experiment = experiment.replace(network=dp.Sequential(layers))
    model = model_of(experiment.replace(training=plan))
    start = time.perf_counter()
    if name == "pretrained":
        model.build((28, 28, 1))
        each = {"epochs": max(1, plan.epochs // 10), "batch_size": plan.batch_size, "seed": options.seed}
        model.variables = dp.pretrain(model.net, data.train.x, normalizer=experiment.normalizer, **each)
    model.fit(data.train, epochs=plan.epochs, batch_size=plan.batch_size, verbose=False)
    seconds = time.perf_counter() - start
    found = {"test": model.evaluate(data.test)["loss"], "training": model.evaluate(data.train)["loss"]}
    found |= {"seconds": seconds, "epochs": plan.epochs, "first_epoch": model.history["loss"][0]}
    if preset == "sparse-autoencoder":
        means = layer_output(model, data.test.x, "encoder").mean(axis=0)
        found |= {"mean": float(means.mean()), "least": float(means.min()), "largest": float(means.max())}
    return found


def text(results: dict[str, Any]) -> str:
    """A table for people."""
    rows = []
    for name, found in results.items():
        numbers = [report.show(found.get(key)) for key in ("first_epoch", "training", "test")]
        rows.append([WORKS[name], *numbers, str(found.get("epochs", "–")), f"{found['seconds']:,.0f} s"])
    head = ["code", "first epoch", "training", "test", "epochs", "time"]
    said = "### MNIST, half the squared distance between image and reconstruction\n\n" + report.table(head, rows)
    if (sparse := results.get("sparse-autoencoder")) is not None:
        said += (
            f"\n\nMean activation of the sparse code over the test images: {sparse['mean']:.4f}; of single units "
            f"{sparse['least']:.4f} to {sparse['largest']:.4f}."
        )
    return said


if __name__ == "__main__":
    main()

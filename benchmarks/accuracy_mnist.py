"""Test accuracy of the MNIST presets over seeds, and the validation table from which their settings were chosen.

    python benchmarks/accuracy_mnist.py             # the presets: seeds 0 to 2, trained on 60,000, tested once
    python benchmarks/accuracy_mnist.py --search    # candidates on a sixth of the training images held back

The test images are looked at by the first command alone, after the settings were fixed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import denpa as dp
from denpa.lab import presets
from harness import machine, report

PRESETS = ("mnist-mlp", "mnist-deep", "mnist-deep-batchnorm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", action="store_true", help="candidates on held-back training images")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training images (20)")
    parser.add_argument("--out", type=Path, default=machine.ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    options.threads, options.rounds, options.quick = machine.cores(), options.seeds, options.epochs < 20
    about = machine.describe(options.threads)
    train, test = dp.datasets.load("mnist")
    if options.search:
        rest, held_out = train.split(1 / 6, seed=0)
        cases, name, measured_on = candidates(options.epochs, len(rest)), "accuracy_mnist_search", "validation"
    else:
        rest, held_out = train, test
        cases, name, measured_on = of_presets(options.epochs), "accuracy_mnist", "test"
    results = {case: [trained(model, seed, rest, held_out, options.epochs) for seed in range(options.seeds)]
               for case, model in cases.items()}  # fmt: skip
    report.write(name, options, about, results, text(results, measured_on, options.epochs))


def of_presets(epochs: int) -> dict[str, Any]:
    """What each preset is made of, for all 60,000 training images."""
    made = {}
    for name in PRESETS:
        experiment = presets.build(name, presets.Options(epochs=epochs))
        made[name] = (experiment.network, experiment.optimizer, experiment.penalty)
    return made


def candidates(epochs: int, examples: int) -> dict[str, Any]:
    """Settings to choose from: regularisation, by weight or by dropout, under a rate that falls along a cosine."""
    he, steps = dp.init.He(), epochs * -(-examples // 100)

    def mlp(below: float, behind: float) -> list[Any]:
        hidden = [dp.Dense(100, kernel_init=he), dp.ReLU()]
        return [dp.Flatten(), *drop(below), *hidden, *drop(behind), dp.Dense(10)]

    def deep(below: float, behind: float) -> list[Any]:
        block = [dp.Dense(100, use_bias=False, kernel_init=he), dp.BatchNorm(), dp.ReLU(), *drop(behind)]
        return [dp.Flatten(), *drop(below), *block * 6, dp.Dense(10)]

    def drop(rate: float) -> list[Any]:
        return [dp.Dropout(rate)] * (rate > 0)

    def adam(rate: float) -> Any:
        return dp.Adam(dp.schedules.CosineDecay(rate, rate / 100, steps))

    return {
        "784-100-10": (mlp(0, 0), adam(2e-3), None),
        "784-100-10, L2 1e-4": (mlp(0, 0), adam(2e-3), dp.L2(1e-4)),
        "784-100-10, dropout 0.1 on the input": (mlp(0.1, 0), adam(3e-3), None),
        "784-100-10, dropout 0.1 on input and hidden layer": (mlp(0.1, 0.1), adam(3e-3), None),
        "six layers, batch norm": (deep(0, 0), adam(2e-3), None),
        "six layers, batch norm, L2 1e-4": (deep(0, 0), adam(2e-3), dp.L2(1e-4)),
        "six layers, batch norm, dropout 0.1 on the input": (deep(0.1, 0), adam(3e-3), None),
        "six layers, batch norm, dropout 0.1 on the input, 0.05 within": (deep(0.1, 0.05), adam(3e-3), None),
    }


def trained(parts: Any, seed: int, data: Any, held_out: Any, epochs: int) -> dict[str, float]:
    """One training from one seed: accuracy on the data held out, and seconds."""
    net, optimizer, penalty = parts
    loss, metrics, scaled = dp.SoftmaxCrossEntropy(), [dp.Accuracy()], dp.ScaleImages()
    model = dp.Model(net, loss, optimizer, metrics, penalty, normalizer=scaled, seed=seed)
    start = time.perf_counter()
    history = model.fit(data, epochs=epochs, batch_size=100, verbose=False)
    seconds = time.perf_counter() - start
    accuracy = model.evaluate(held_out)["accuracy"]
    report.say(f"  {accuracy:.4f} in {seconds:.1f} s: seed {seed}, {net!r}")
    return {"accuracy": accuracy, "training_accuracy": history["accuracy"][-1], "seconds": seconds}


def text(results: dict[str, Any], measured_on: str, epochs: int) -> str:
    rows = []
    for case, runs in results.items():
        accuracies = [100 * run["accuracy"] for run in runs]
        seconds = np.mean([run["seconds"] for run in runs])
        each = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
        rows.append([case, f"{np.mean(accuracies):.2f}", each, f"{seconds:.0f}"])
    head = ["network", f"mean {measured_on} accuracy, %", "by seed", "seconds"]
    return f"# MNIST: {measured_on} accuracy after {epochs} epochs\n\n{report.table(head, rows)}"


if __name__ == "__main__":
    main()

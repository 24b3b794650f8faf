"""What transfer learning gains on few examples: MNIST digits 0-4 to 5-9, 20 examples of each class.

    python benchmarks/transfer_learning.py

A small convolutional network learns the digits 0 to 4 from all their training images. Its convolutions are then the
start for a network that learns 5 to 9 from 100 images, beside the same network from a fresh start. Test accuracy on all
test images of 5 to 9, over seeds, which draw the 100 images, the heads and the orders.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import denpa as dp
from harness import machine, report

_BODY = ("0_conv2d/*", "3_conv2d/*")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (5)")
    parser.add_argument("--examples", type=int, default=20, help="examples of each class (20)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the few examples (60)")
    parser.add_argument("--out", type=Path, default=machine.ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    options.threads, options.rounds, options.quick = machine.cores(), options.seeds, False
    about = machine.describe(options.threads)
    train, test = dp.datasets.load("mnist")
    source = model(seed=0)
    source.fit((train.x[train.t < 5], train.t[train.t < 5]), epochs=3, batch_size=100, verbose=False)
    held = test.x[test.t >= 5], test.t[test.t >= 5] - 5
    ways: dict[str, Any] = {
        "fresh start": None,
        "convolutions taken over, all learn": (),
        "convolutions taken over and frozen": _BODY,
    }
    results: dict[str, list[float]] = {title: [] for title in ways}
    for seed in range(options.seeds):
        few = chosen(train, options.examples, seed)
        for title, frozen in ways.items():
            target = model(seed=seed + 1)
            target.build((28, 28, 1))
            if frozen is not None:
                target.load_weights(source, only=_BODY)
                target.frozen = frozen
            target.fit(few, epochs=options.epochs, batch_size=20, verbose=False)
            results[title].append(target.evaluate(held)["accuracy"])
            report.say(f"seed {seed}, {title}: {results[title][-1]:.4f}")
    report.write("transfer_learning", options, about, results, text(results, options.examples))


def model(seed: int) -> dp.Model:
    """Two convolutions and a dense head for five classes."""
    he = dp.init.He()
    block = [dp.Conv2d(16, 3, kernel_init=he), dp.ReLU(), dp.MaxPool2d(2)]
    layers = [*block, dp.Conv2d(32, 3, kernel_init=he), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(5)]
    loss, accuracy = dp.SoftmaxCrossEntropy(), [dp.Accuracy()]
    return dp.Model(layers, loss, dp.Adam(2e-3), accuracy, normalizer=dp.ScaleImages(), seed=seed)


def chosen(train: Any, examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many examples of each of the digits 5 to 9."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(train.t == k), examples, replace=False) for k in range(5, 10)])
    return train.x[rows], train.t[rows] - 5


def text(results: dict[str, list[float]], examples: int) -> str:
    """A table for people."""
    rows = []
    for title, found in results.items():
        values = 100 * np.array(found)
        spread = f"{values.min():.1f} to {values.max():.1f} %"
        rows.append([title, f"{values.mean():.1f} %", f"{values.std(ddof=1):.1f}", spread])
    head = [f"{examples} examples of each class", "test accuracy, mean", "standard deviation", "range over seeds"]
    return "### Transfer learning, MNIST 0-4 to 5-9\n\n" + report.table(head, rows)


if __name__ == "__main__":
    main()

"""What a training step costs as the batch, the width and the depth of a network grow.

    python benchmarks/bench_scaling.py

The network is `depth` dense layers of `width` units with ReLU on inputs of `width` features, then 10 outputs, so
that the matrix products grow with the batch, with the square of the width, and with the depth. Each series doubles
one of the three and keeps the other two. The exponent is the slope of log time against log size over the upper half
of a series, where the work outweighs the fixed cost of a step.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, seconds_of

_CHUNK_SECONDS = 0.15
_MOST_STEPS = 256
_COLOURS = ("#0072B2", "#D55E00", "#009E73")  # Okabe and Ito's blue, vermilion and green
_MARKERS = ("o", "s", "^")


@dataclass(frozen=True)
class Series:
    """One quantity that doubles while the others stay.

    Args:
        name: of the quantity: batch, width or depth.
        sizes: its values.
        expected: the exponent that the matrix products have.
    """

    name: str
    sizes: tuple[int, ...]
    expected: int


SERIES = (
    Series("batch", (25, 50, 100, 200, 400, 800, 1600, 3200), 1),
    Series("width", (32, 64, 128, 256, 512, 1024, 2048), 2),
    Series("depth", (1, 2, 4, 8, 16, 32), 1),
)
FIXED = {"batch": 100, "width": 256, "depth": 3}


def main() -> None:
    options = settle(parser(__doc__, rounds=7).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    results = [measure(series, options) for series in SERIES]
    picture = options.out / "scaling.png"
    options.out.mkdir(parents=True, exist_ok=True)
    draw(results, picture)
    report.write("scaling", options, about, {"fixed": FIXED, "series": results}, text(results, picture))


def measure(series: Series, options: argparse.Namespace) -> dict[str, Any]:
    """All sizes of one series by turns, so that a slow minute strikes all of them."""
    turns = {}
    sizes = series.sizes[:3] if options.quick else series.sizes
    for size in sizes:
        report.say(f"{series.name} {size}")
        turns[str(size)] = contestant(**(FIXED | {series.name: size}))
    times = alternate(turns, options.rounds)
    medians = [taken.median for taken in times.values()]
    return {
        "name": series.name,
        "sizes": list(sizes),
        "ms_per_step": [Times(taken.values * 1e3).to_json() for taken in times.values()],
        "exponent": slope(sizes, medians),
        "expected": series.expected,
    }


def contestant(batch: int, width: int, depth: int) -> Callable[[], float]:
    """A warm function that trains for about `_CHUNK_SECONDS` and returns seconds for a step."""
    import jax
    import jax.numpy as jnp

    import denpa as dp
    from denpa.training.program import Programs, Recipe
    from peers.denpa_fit import network

    programs = Programs(
        Recipe(network((width, *[width] * depth, 10), "relu", False), dp.SoftmaxCrossEntropy(), dp.Adam(1e-3))
    )
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((4 * batch, width), np.float32))
    data = x, jnp.asarray(rng.integers(10, size=len(x)).astype(np.int32)), None
    order = rng.integers(0, len(x), (_MOST_STEPS, batch)).astype(np.int32)
    run = programs.init(np.uint32(0), (width,))

    def chunk(steps: int) -> None:
        jax.block_until_ready(programs.train(run, None, data, order, np.int32(steps)))

    chunk(1)
    steps = max(1, min(_MOST_STEPS, int(_CHUNK_SECONDS / (seconds_of(lambda: chunk(2)) / 2))))
    return lambda: seconds_of(lambda: chunk(steps)) / steps


def slope(sizes: Any, seconds: Any) -> float:
    """The exponent p of seconds ~ size^p over the upper half of the sizes, by least squares in the logarithms."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """The three series, each with the line of the exponent that its matrix products have."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(results), figsize=(11, 3.6), layout="constrained", sharey=True)
    for panel, result, colour, marker in zip(panels, results, _COLOURS, _MARKERS, strict=True):
        sizes = np.array(result["sizes"], float)
        taken = np.array([times["median"] for times in result["ms_per_step"]])
        low, high = np.array([times["quartiles"] for times in result["ms_per_step"]]).T
        panel.fill_between(sizes, low, high, color=colour, alpha=0.25, linewidth=0)
        panel.plot(sizes, taken, marker=marker, color=colour, label=f"measured: exponent {result['exponent']:.2f}")
        line = taken[-1] * (sizes / sizes[-1]) ** result["expected"]
        panel.plot(sizes, line, color="0.35", linestyle="--", label=f"exponent {result['expected']}")
        panel.set(xscale="log", yscale="log", xlabel=LABELS[result["name"]])
        panel.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(loc="upper left", frameon=False)
    panels[0].set_ylabel("a training step (ms)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


LABELS = {
    "batch": "batch (examples)",
    "width": "width (units in a layer)",
    "depth": "depth (hidden layers)",
}


def text(results: list[dict[str, Any]], picture: Path) -> str:
    """A table for each series, and the picture."""
    parts = [f"![Time of a training step against batch, width and depth, both axes logarithmic]({picture.name})"]
    for result in results:
        fixed = ", ".join(f"{name} {size}" for name, size in FIXED.items() if name != result["name"])
        head = [result["name"], *map(str, result["sizes"])]
        medians = [report.show(times["median"]) for times in result["ms_per_step"]]
        taken = [times["median"] for times in result["ms_per_step"]]
        doublings = ["", *(report.show(b / a) for a, b in itertools.pairwise(taken))]
        parts.append(
            f"**{result['name'].capitalize()}** ({fixed}): exponent {result['exponent']:.2f} over the upper half, "
            f"{result['expected']} in the matrix products.\n\n"
            + report.table(head, [["ms a step", *medians], ["times the one before", *doublings]])
        )
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()

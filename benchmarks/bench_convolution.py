"""Convolutional networks: a whole training step through `fit`, and prediction, beside PyTorch and plain JAX.

    python benchmarks/bench_convolution.py [--networks simple deep] [--cores 1 2]

Every contestant trains the same network on the same images, one epoch a turn, and takes turns with the others.
PyTorch runs eager and compiled, with channels first and last in memory, as installed and with glibc's allocator
told to keep large blocks ("tuned"), since fresh pages cost it milliseconds a step; the best of all counts.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any

from harness import report
from harness.images import BATCH, NETWORKS, store_images
from harness.machine import describe
from harness.options import parser, settle
from harness.timing import Times, alternate, compare
from harness.worker import Worker, WorkerError

_TUNED = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "268435456",
}


def contestants() -> dict[str, tuple[str, dict[str, str], dict[str, Any]]]:
    """Title -> (worker, environment, choices)."""
    found: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
        "denpa": ("DenpaImages", {}, {"kernels": "auto"}),
        "denpa, direct sums": ("DenpaImages", {}, {"kernels": "direct"}),
        "denpa, XLA's kernels": ("DenpaImages", {}, {"kernels": "xla"}),
        "JAX + Optax, lax.conv and jax.grad": ("JaxImages", {}, {}),
    }
    ways = itertools.product((False, True), (False, True), ({}, _TUNED))
    for compiled, last, variables in ways:
        title = f"PyTorch, {'compiled' if compiled else 'eager'}, channels {'last' if last else 'first'}"
        choices = {"channels_last": last, "compiled": compiled}
        found[title + (", tuned" if variables else "")] = ("TorchImages", variables, choices)
    return found


def main() -> None:
    made = parser(__doc__ or "", rounds=5)
    made.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="networks (all)")
    made.add_argument("--cores", nargs="+", type=int, help="numbers of cores (1 and all)")
    made.add_argument("--without", nargs="+", default=[], metavar="WORDS", help="leave out whoever's title has these")
    options = settle(made.parse_args())
    cores = options.cores or sorted({1, options.threads})
    about, results = describe(options.threads), []
    for network, threads in itertools.product(options.networks, reversed(cores)):
        report.say(f"{NETWORKS[network].title}, {threads} cores")
        results.append(measure(network, threads, options))
        report.write("convolution", options, about, results, "\n\n".join(map(text, results)))


def measure(network: str, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """All contestants on one network; with fewer cores than all, denpa and PyTorch's plain ways alone."""
    entries, left_out = contestants(), {}
    for title in [title for title in entries if any(words in title for words in options.without)]:
        del entries[title]
        left_out[title] = "not asked for"
    if threads < options.threads:
        entries = {title: entry for title, entry in entries.items() if title == "denpa" or "eager" in title}
    count = 500 if options.quick else 5000
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        origin, workers = store_images(Path(folder), count), {}
        for title, (target, variables, choices) in entries.items():
            try:
                given = {"folder": folder, "network": network, **choices}
                worker = stack.enter_context(Worker(f"peers.images:{target}", threads, variables, **given))
                worker.call("turn")
                workers[title] = worker
            except WorkerError as error:
                left_out[title] = str(error)
            report.say(f"  {title}: {left_out.get(title, 'ready')}")
        turns: dict[str, list[dict[str, float]]] = {title: [] for title in workers}

        def turn(title: str) -> float:
            turns[title].append(workers[title].call("turn"))
            return turns[title][-1]["training"]

        alternate({title: lambda title=title: turn(title) for title in workers}, options.rounds)
        memory = {title: worker.call("peak_memory_mib") for title, worker in workers.items()}
    training = {
        title: Times([turn["training"] * 1e3 * BATCH / count for turn in found]) for title, found in turns.items()
    }
    prediction = {title: Times([turn["prediction"] for turn in found]) for title, found in turns.items()}
    rows = {
        title: {
            "ms_per_step": training[title].to_json(),
            "images_per_s": count / prediction[title].median,
            "step_against_denpa": compare(training[title], training["denpa"]),
            "prediction_against_denpa": compare(prediction[title], prediction["denpa"]),
            "peak_memory_mib": memory[title],
            "losses": [turn["loss"] for turn in found],
        }
        for title, found in turns.items()
    }
    head = {"network": network, "threads": threads, "images": count, "data": origin}
    return {**head, "contestants": rows, "left_out": left_out}


def text(result: dict[str, Any]) -> str:
    """One network's table, and denpa's part of the time of the best of each library."""
    rows, cells = result["contestants"], []
    for title, row in rows.items():
        low, high = row["ms_per_step"]["quartiles"]
        times = [row["ms_per_step"]["median"], row["step_against_denpa"]["ratio_of_medians"]]
        cells.append(
            [
                title,
                report.show(times[0]),
                f"{report.show(low)} to {report.show(high)}",
                report.show(times[1]),
                f"{row['images_per_s']:,.0f}",
                f"{row['peak_memory_mib']:,.0f}",
                report.show(row["losses"][-1]),
            ]
        )
    head = ["", "ms a step", "quartiles", "times denpa", "images/s, prediction", "peak MiB", "last loss"]
    parts = [
        f"### {NETWORKS[result['network']].title}; {result['threads']} cores",
        f"{result['images']:,} images ({result['data']}), batches of {BATCH}.",
        report.table(head, cells),
    ]
    for library in ("PyTorch", "JAX"):
        peers = [row for title, row in rows.items() if title.startswith(library)]
        if peers:
            step = 1 / min(row["step_against_denpa"]["ratio_of_medians"] for row in peers)
            use = 1 / min(row["prediction_against_denpa"]["ratio_of_medians"] for row in peers)
            parts.append(
                f"Of the best {library}'s time denpa takes {report.show(step)} for a training step and "
                f"{report.show(use)} for prediction."
            )
    parts += [f"Left out: {title} ({why})." for title, why in result["left_out"].items()]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()

"""Training throughput of denpa and its peers: the same networks, data and steps, by turns.

    python benchmarks/bench_training.py [--works letters mnist wide deep] [--peers denpa torch ...]

A turn is one call that trains several epochs from the initial parameters: shuffling, batching, forward, backward
and update. Short calls are repeated within a turn, and their median counts. Every contestant is warm: it has
trained before, unmeasured, and compiled what it compiles.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any

from harness import report
from harness.machine import describe
from harness.options import parser, settle
from harness.timing import Times, alternate, compare
from harness.work import WORKS, Work, store
from harness.worker import Worker, WorkerError
from peers import PEERS

_TURN_SECONDS = 0.3  # a turn of a fast contestant is repeated until it takes so long
_MOST_REPEATS = 10
_SAME_LOSS = 0.05  # largest difference of the last epoch's loss, in parts of the loss of guessing: orders differ


class Contestant:
    """A worker that takes part: warmed up, with the number of calls that make up a turn.

    Attributes:
        first_seconds: of the first call, with all compilation.
        memory_before: peak memory in MiB before it, with all imports and the data.
        losses: of each epoch in the latest call.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker, self.seed, self.repeats = worker, 0, 1
        self.losses: list[float] = []
        self.memory_before = worker.call("peak_memory_mib")
        self.first_seconds = self.turn()
        self.repeats = min(max(math.ceil(_TURN_SECONDS / self.turn()), 1), _MOST_REPEATS)

    def turn(self) -> float:
        """Seconds of a call."""
        self.seed += 1
        done = self.worker.call("turn", seed=self.seed, repeats=self.repeats)
        self.losses = done["losses"]
        return done["seconds"]

    def to_json(self) -> dict[str, Any]:
        return {
            "first_call_s": self.first_seconds,
            "peak_memory_mib": self.worker.call("peak_memory_mib"),
            "memory_before_training_mib": self.memory_before,
            "losses": self.losses,
            "choices": self.worker.call("notes"),
        }


def main() -> None:
    options = arguments()
    about = describe(options.threads)
    works = [work.smaller() if options.quick else work for work in WORKS if work.name in options.works]
    missing = {name: PEERS[name].missing() for name in options.peers}
    absent = {name: f"not installed: {', '.join(modules)}" for name, modules in missing.items() if modules}
    results = []
    for work in works:
        report.say(f"{work.title}: {work.examples} examples, {work.epochs} epochs a call")
        results.append(measure(work, [name for name in options.peers if name not in absent], options))
        results[-1]["left_out"] |= absent
        # After each network, so that a run that is cut short keeps what it has.
        report.write("training", options, about, results, "\n\n".join([summary(results), *map(text, results)]))


def arguments() -> argparse.Namespace:
    made = parser(__doc__, rounds=7)
    made.add_argument("--works", nargs="+", choices=[work.name for work in WORKS], help="networks (all)")
    made.add_argument("--peers", nargs="+", choices=list(PEERS), help="contestants (all)")
    made.set_defaults(works=[work.name for work in WORKS], peers=list(PEERS))
    return settle(made.parse_args())


def measure(work: Work, peers: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """All contestants on one network."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        origin = store(work, Path(folder))
        contestants, left_out = prepare(work, peers, folder, options.threads, stack)
        sizes = {
            "resident": 12 * work.parameters + 4 * work.batch * work.sizes[0],
            "side": 256 if options.quick else 2048,
        }
        limits = stack.enter_context(Worker("peers.limits:Limits", options.threads, threads=options.threads, **sizes))
        found: list[dict[str, float]] = []

        def measure_limits() -> float:
            found.append(limits.call("measure"))
            return 0.0

        report.say(f"  {options.rounds} rounds")
        turns = {name: contestant.turn for name, contestant in contestants.items()}
        times = alternate({**turns, "limits": measure_limits}, options.rounds)
        rows = {name: {"title": PEERS[name].title, **one.to_json()} for name, one in contestants.items()}
    best = {name: max(limit[name] for limit in found) for name in found[0]}
    shortest = max(work.flops / best["gemm_flops"], work.bytes / best["triad_bytes"])
    for name, row in rows.items():
        row["ms_per_step"] = Times(times[name].values * 1e3 / work.steps).to_json()
        row["part_of_limit"] = shortest * work.steps / times[name].median
        row["against_denpa"] = compare(times[name], times["denpa"]) if "denpa" in times else None
        row["loss_goes_down"] = row["losses"][-1] < row["losses"][0]
        if "denpa" in rows:
            apart = abs(row["losses"][-1] - rows["denpa"]["losses"][-1])
            row["same_loss"] = apart <= _SAME_LOSS * math.log(work.sizes[-1])
    facts = {"steps_per_call": work.steps, "flops_per_step": work.flops, "bytes_per_step": work.bytes, "data": origin}
    return {"work": work.to_json(), "title": work.title, **facts, "limits": best, "peers": rows, "left_out": left_out}


def prepare(
    work: Work, peers: list[str], folder: str, threads: int, stack: contextlib.ExitStack
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Contestants that are ready, and the reasons why others are not."""
    contestants: dict[str, Contestant] = {}
    left_out: dict[str, str] = {}
    for name in peers:
        entry = PEERS[name]
        if entry.works and work.name not in entry.works:
            left_out[name] = entry.why_not
            continue
        try:
            worker = stack.enter_context(Worker(entry.target, threads, folder=folder, work=work.to_json()))
            contestants[name] = Contestant(worker)
        except WorkerError as error:
            left_out[name] = f"failed: {error}"
        report.say(f"  {entry.title}: {left_out.get(name, 'ready')}")
    return contestants, left_out


def summary(results: list[dict[str, Any]]) -> str:
    """How many times as long as denpa each library takes, the better of its contestants."""
    families = [name for name in dict.fromkeys(entry.family for entry in PEERS.values()) if name != "denpa"]
    rows = []
    for result in results:
        best: dict[str, float] = {}
        for name, row in result["peers"].items():
            if row["against_denpa"]:
                family, ratio = PEERS[name].family, row["against_denpa"]["ratio_of_medians"]
                best[family] = min(ratio, best.get(family, ratio))
        rows.append([result["title"], *(report.show(best.get(family)) for family in families)])
    return report.table(["time of a step / denpa's, the better way of each library", *families], rows)


def text(result: dict[str, Any]) -> str:
    """One network's results for people."""
    work, limits = Work.from_json(result["work"]), result["limits"]
    head = ["", "ms a step", "quartiles", "times denpa", "by rounds", "of the limit", "peak MiB", "loss"]
    parts = [
        f"### {result['title']}",
        f"{work.examples:,} examples ({result['data']}), {work.epochs} epochs in batches of {work.batch}, "
        f"{result['steps_per_call']:,} steps a call. A step takes {report.show(work.flops / 1e6)} MFLOP in matrix "
        f"products and must move {report.show(work.bytes / 1e6)} MB. In the same run the machine reached "
        f"{report.show(limits['gemm_flops'] / 1e9)} GFLOP/s in a matrix product and "
        f"{report.show(limits['triad_bytes'] / 1e9)} GB/s in a triad over as much memory as the network keeps at hand.",
        report.table(head, [cells(row) for row in result["peers"].values()]),
    ]
    parts += [f"{row['title']}: {row['choices']}." for row in result["peers"].values() if row["choices"]]
    parts += [f"Left out: {PEERS[name].title} ({why})." for name, why in result["left_out"].items()]
    odd = [
        row["title"] for row in result["peers"].values() if not (row["loss_goes_down"] and row.get("same_loss", True))
    ]
    if odd:
        parts.append(f"**Not the same loss: {', '.join(odd)}.**")
    return "\n\n".join(parts)


def cells(row: dict[str, Any]) -> list[str]:
    """One contestant's row of the table."""
    low, high = row["ms_per_step"]["quartiles"]
    against = row["against_denpa"] or {"ratio_of_medians": None, "median_of_paired_ratios": None}
    return [
        row["title"],
        report.show(row["ms_per_step"]["median"]),
        f"{report.show(low)} to {report.show(high)}",
        report.show(against["ratio_of_medians"]),
        report.show(against["median_of_paired_ratios"]),
        f"{report.show(100 * row['part_of_limit'])} %",
        f"{row['peak_memory_mib']:,.0f}",
        report.show(row["losses"][-1]),
    ]


if __name__ == "__main__":
    main()

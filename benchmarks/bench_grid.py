"""What a whole grid of the lab costs beside one of its runs: activations by initial weights, five seeds of each.

    DENPA_DATA=... python benchmarks/bench_grid.py

The study `activation-and-initialisation` trains five settings from five seeds, 25 members in two compiled programs. One
run is a setting from one seed through the same function, with the same updates and measurements: the mean over the
settings. The digits of the quick study (64-40-20-10, 1,500 updates) and MNIST of the full one (784-40-20-10, 2,000);
without DENPA_DATA the digits alone. Everything is compiled before the time is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, compare, seconds_of

SEEDS, LIMIT = 5, 3.0


def main() -> None:
    options = settle(parser(__doc__, rounds=5).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    found = [measured(full, options.rounds) for full in ([False] if options.quick else [False, True])]
    results = [of for of in found if of is not None]
    report.write("grid", options, about, results, text(results))


def measured(full: bool, rounds: int) -> dict[str, Any] | None:
    """Seconds of the grid and of its runs one by one; None where the data are not at hand."""
    from denpa.lab.studies.images import images
    from denpa.lab.studies.starts import SETTINGS, trained
    from denpa.lab.studies.study import Plan

    data = images(Plan(full)).flat()
    if data.missing:
        report.say(data.missing)
        return None

    def turn(seeds: int, settings: Any) -> Callable[[], float]:
        plan = Plan(full, tuple(range(seeds)))
        return lambda: seconds_of(lambda: trained(plan, data, settings))

    each = {name: {kind: {name: start}} for kind, starts in SETTINGS.items() for name, start in starts.items()}
    turns = {"grid": turn(SEEDS, SETTINGS), **{name: turn(1, alone) for name, alone in each.items()}}
    for once in turns.values():
        once()  # compiled, unmeasured
    times = alternate(turns, rounds)
    grid = times.pop("grid")
    one = Times(sum(alone.values for alone in times.values()) / len(times))
    report.say(f"{data.name}: grid {grid.median:.2f} s, one run {one.median:.2f} s")
    return {
        "data": data.name,
        "members": SEEDS * len(each),
        "seconds": {"grid": grid.to_json(), "one": one.to_json()},
        **compare(grid, one),
    }


def text(results: list[dict[str, Any]]) -> str:
    """The table."""
    rows = [
        [
            of["data"],
            str(of["members"]),
            *(report.show(of["seconds"][what]["median"]) for what in ("grid", "one")),
            report.show(of["ratio_of_medians"]),
            report.show(of["median_of_paired_ratios"]),
            f"{LIMIT:g}",
            "yes" if of["ratio_of_medians"] <= LIMIT else "**no**",
        ]
        for of in results
    ]
    head = ["", "members", "grid, s", "one run, s", "grid / one", "by rounds", "at most", "met"]
    return report.table(head, rows)


if __name__ == "__main__":
    main()

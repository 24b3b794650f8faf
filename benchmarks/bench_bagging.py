"""What ten members trained together cost beside one, and what they gain in accuracy.

    DENPA_DATA=... python benchmarks/bench_bagging.py

784-100-10, ReLU, batches of 100, Adam(1e-3), float32. A training is a call of `fit` with everything in it: bootstrap
samples, shuffling, steps, and the out-of-bag score. A step is one update of all members, in the compiled program
alone. Everything is compiled before the time is taken. The accuracies are of other trainings, one for each seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import alternate, compare, seconds_of
from harness.work import WORKS, data_of

MEMBERS, BATCH, LIMIT = 10, 100, 2.0
TIMED_EPOCHS, STEPS = 2, 100


def main() -> None:
    arguments = parser(__doc__, rounds=9)
    arguments.add_argument("--seeds", type=int, help="trainings whose accuracies are compared (5)")
    arguments.add_argument("--epochs", type=int, help="epochs of these (10)")
    options = settle(arguments.parse_args())
    options.seeds = options.seeds or (2 if options.quick else 5)
    options.epochs = options.epochs or (2 if options.quick else 10)
    about = describe(options.threads)
    pin(options.threads)
    train, test, origin = parts(options.quick)
    counts = {"one": 1, "ten": MEMBERS}
    turns = {name: training_of(members, train) for name, members in counts.items()}
    trainings = times({**turns, "whole": whole_training_of(train)}, options.rounds)
    steps = times({name: step_of(members, train) for name, members in counts.items()}, options.rounds)
    found = [accuracies(train, test, seed, options.epochs) for seed in range(options.seeds)]
    results = {
        "data": f"{len(train[0]):,} examples of {origin} to train, {len(test[0]):,} to test",
        "training": trainings,
        "step": steps,
        "accuracy": {name: [row[name] for row in found] for name in found[0]},
    }
    report.write("bagging", options, about, results, text(results, options))


def parts(quick: bool) -> tuple[Any, Any, str]:
    """(x, t) to train and to test, images as bytes, and where they come from; a sixth is for the test."""
    work = next(work for work in WORKS if work.name == "mnist")
    x, t, origin = data_of(work.smaller() if quick else work)
    rest = len(x) * 5 // 6
    return (x[:rest], t[:rest]), (x[rest:], t[rest:]), origin


def model_of(seed: int) -> Any:
    """One member, before its first step."""
    import denpa as dp

    net = dp.Sequential([dp.Dense(100, kernel_init=dp.init.He()), dp.ReLU(), dp.Dense(10)])
    return dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(1e-3), [dp.Accuracy()], seed=seed, normalizer=scaled())


def scaled() -> Any:
    import denpa as dp

    return dp.ScaleImages()


def times(turns: dict[str, Callable[[], float]], rounds: int) -> dict[str, Any]:
    """Seconds by turns, and how many times those of one member the others take."""
    for turn in turns.values():
        turn()  # compiled, unmeasured
    taken = alternate(turns, rounds)
    ratios = {name: compare(found, taken["one"]) for name, found in taken.items() if name != "one"}
    return {"seconds": {name: found.to_json() for name, found in taken.items()}, "ratios": ratios}


def training_of(members: int, train: Any) -> Callable[[], float]:
    """A whole training of so many members."""
    import denpa as dp

    return lambda: seconds_of(lambda: fitted(dp.Bagging(model_of(0), members=members), train, TIMED_EPOCHS))


def whole_training_of(train: Any) -> Callable[[], float]:
    """A training of one model on all examples, each of which it meets once an epoch; a member meets 0.63 of them."""
    return lambda: seconds_of(lambda: fitted(model_of(0), train, TIMED_EPOCHS))


def fitted(model: Any, train: Any, epochs: int) -> Any:
    """A `Model` or `Bagging` after its training."""
    model.fit(train, epochs=epochs, batch_size=BATCH, verbose=False)
    return model


def step_of(members: int, train: Any) -> Callable[[], float]:
    """A step of so many members: the mean over a call of the compiled program."""
    import jax

    import denpa as dp

    bagging = fitted(dp.Bagging(model_of(0), members=members), train, 1)
    counts, rng = bagging.counts.astype(np.uint16), np.random.default_rng(0)
    drawn = [rng.choice(np.flatnonzero(own), (STEPS, BATCH)) for own in counts]
    order = np.stack(drawn, axis=1).astype(np.int32)
    data, statistics = jax.device_put((*train, None)), bagging.model.statistics
    given = bagging.runs, {}, statistics, data, jax.device_put(counts), jax.device_put(order), np.int32(STEPS)
    return lambda: seconds_of(lambda: jax.block_until_ready(bagging.programs.train(*given))) / STEPS


def accuracies(train: Any, test: Any, seed: int, epochs: int) -> dict[str, float]:
    """On the test data: all members together, the mean of each alone, and a model that learns from all examples."""
    import denpa as dp

    bagging = fitted(dp.Bagging(model_of(1000 * seed), members=MEMBERS), train, epochs)
    whole = fitted(model_of(1000 * seed), train, epochs)
    found = {
        "together": bagging.evaluate(test)["accuracy"],
        "member": float(np.mean([row["accuracy"] for row in bagging.evaluate_members(test)])),
        "whole": whole.evaluate(test)["accuracy"],
        "out_of_bag": bagging.out_of_bag["accuracy"],
    }
    report.say(f"seed {seed}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    return found


def text(results: dict[str, Any], options: argparse.Namespace) -> str:
    """The tables."""
    rows, ratios = [], []
    for name, scale, unit in (("training", 1, "s"), ("step", 1e3, "ms")):
        seconds = results[name]["seconds"]
        cells = []
        for who in ("one", "ten"):
            low, high = (scale * value for value in seconds[who]["quartiles"])
            cells += [report.show(scale * seconds[who]["median"]), f"{report.show(low)} to {report.show(high)}"]
        rows.append([f"{name}, {unit}", *cells])
        ratios.append([name, *reached(results[name]["ratios"]["ten"])])
    whole = results["training"]["seconds"]["whole"]["median"]
    found = {name: 100 * np.array(values) for name, values in results["accuracy"].items()}
    titles = {
        "whole": "one model trained on all examples",
        "member": f"a member, mean of {MEMBERS}",
        "together": f"{MEMBERS} members together",
        "out_of_bag": "the same, out of bag",
    }
    scores = [[title, mean_and_error(found[name])] for name, title in titles.items()]
    scores += [
        ["gain over a member", mean_and_error(found["together"] - found["member"])],
        ["gain over one model trained on all examples", mean_and_error(found["together"] - found["whole"])],
    ]
    head = ["", "one member", "quartiles", f"{MEMBERS} members", "quartiles"]
    return "\n\n".join(
        [
            f"{results['data']}; a training is {TIMED_EPOCHS} epochs, which one model on all examples goes through in "
            f"{report.show(whole)} s.",
            report.table(head, rows),
            report.table([f"time of {MEMBERS} members / of one", "reached", "by rounds", "at most", "met"], ratios),
            f"Test accuracy after {options.epochs} epochs, mean and standard error over {options.seeds} seeds:",
            report.table(["", "%"], scores),
        ]
    )


def reached(ratio: dict[str, float]) -> list[str]:
    """A ratio of times, by both ways to take it, beside its limit."""
    by_medians, by_rounds = ratio["ratio_of_medians"], ratio["median_of_paired_ratios"]
    met = "yes" if by_medians <= LIMIT else "**no**"
    return [report.show(by_medians), report.show(by_rounds), f"{LIMIT:g}", met]


def mean_and_error(values: np.ndarray) -> str:
    """The mean and its standard error."""
    return f"{values.mean():.2f} ± {values.std(ddof=1) / len(values) ** 0.5:.2f}"


if __name__ == "__main__":
    main()

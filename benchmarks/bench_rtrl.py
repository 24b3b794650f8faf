"""What real-time recurrent learning costs a step, and what the ways through a long sequence keep in memory.

    python benchmarks/bench_rtrl.py

The time of a step of RTRL is taken for fully recurrent layers of n units on one input; the exponent is the slope of log
time against log n over the upper half. Memory is what the compiled program allocates besides its inputs and outputs,
as XLA states it, for the gradient of an LSTM of 64 units on T steps.
"""

from __future__ import annotations

import argparse
import functools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, seconds_of

UNITS = (8, 16, 32, 64, 96, 128)
TIMES = (64, 256, 1024, 4096)


def main() -> None:
    options = settle(parser(__doc__, rounds=7).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    results = {"cost": cost(options), "memory": memory(TIMES[:2] if options.quick else TIMES)}
    report.write("rtrl", options, about, results, text(results))


def cost(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds for a step of RTRL and of BPTT, by units."""
    import jax
    import jax.numpy as jnp

    import denpa as dp

    units, steps = (UNITS[:2], 2) if options.quick else (UNITS, 8)
    turns = {}
    for n in units:
        net, loss = dp.RNN(n, return_sequences=True), dp.MeanSquaredError()
        variables = net.init(jax.random.key(0), (steps, 1))
        data = jnp.ones((1, steps, 1)), jnp.zeros((1, steps, n))
        for name, way in (("RTRL", dp.rtrl), ("BPTT", dp.backprop)):
            run = (
                jax.jit(lambda v, x, t, way=way, net=net, loss=loss: way(net, loss, v, x, t).grads)
                .lower(variables, *data)
                .compile()
            )
            repeats = 1 if name == "RTRL" else 50
            call = functools.partial(_finish, run, variables, *data)
            call()
            turns[f"{name} {n}"] = lambda call=call, r=repeats: (
                seconds_of(lambda: [call() for _ in range(r)]) / r / steps
            )
    times = {name: Times(taken.values * 1e3) for name, taken in alternate(turns, options.rounds).items()}
    half = len(units) // 2
    medians = [times[f"RTRL {n}"].median for n in units]
    exponent = (
        float(np.polyfit(np.log(units[half:]), np.log(medians[half:]), 1)[0]) if len(units[half:]) > 1 else math.nan
    )
    return {
        "units": list(units),
        "ms_per_step": {name: taken.to_json() for name, taken in times.items()},
        "exponent": None if math.isnan(exponent) else exponent,
    }


def _finish(run: Any, *given: Any) -> None:
    import jax

    jax.block_until_ready(run(*given))


def memory(times: tuple[int, ...]) -> list[dict[str, Any]]:
    """Mebibytes that a gradient needs besides inputs and outputs, by steps, for each way."""
    import jax
    import jax.numpy as jnp

    import denpa as dp

    loss, rows = dp.MeanSquaredError(), []
    for time in times:
        root = round(math.sqrt(time))
        row = {"time": time}
        ways = {
            "BPTT": (dp.LSTM(64, return_sequences=True), dp.backprop),
            "BPTT in segments of √T": (dp.LSTM(64, return_sequences=True, segment=root), dp.backprop),
            "BPTT, last step only": (dp.LSTM(64), dp.backprop),
            "the same in segments": (dp.LSTM(64, segment=root), dp.backprop),
            "RTRL, online": (dp.LSTM(64, return_sequences=True), online),
        }
        for name, (layer, way) in ways.items():
            net = dp.Sequential([layer, dp.Dense(1)])
            variables = net.init(jax.random.key(0), (time, 1))
            x, t = jnp.zeros((1, time, 1)), jnp.zeros((1, time, 1) if layer.return_sequences else (1, 1))
            program = jax.jit(lambda v, x, t, net=net, way=way: way(net, loss, v, x, t).grads)
            compiled = program.lower(variables, x, t).compile()
            row[name] = compiled.memory_analysis().temp_size_in_bytes / 2**20
        rows.append(row)
    return rows


def online(net: Any, loss: Any, variables: Any, x: Any, t: Any) -> Any:
    """Learning at every step; its answer looks like that of `backprop`."""
    import denpa as dp

    found = dp.learn_online(net, loss, dp.SGD(0.01), variables, x, t)
    return SimpleNamespace(grads=found.variables.params)


def text(results: dict[str, Any]) -> str:
    """Two tables."""
    cost = results["cost"]
    rows = [
        [name, *(report.show(cost["ms_per_step"][f"{name} {n}"]["median"]) for n in cost["units"])]
        for name in ("RTRL", "BPTT")
    ]
    said = f"Exponent of RTRL over the upper half: {report.show(cost['exponent'])}; 4 in the count of operations."
    ways = [name for name in results["memory"][0] if name != "time"]
    kept = [[name, *(report.show(row[name]) for row in results["memory"])] for name in ways]
    return (
        "**A step of an RNN, ms**, by units:\n\n"
        + report.table(["", *map(str, cost["units"])], rows)
        + f"\n\n{said}\n\n**Memory for the gradient of an LSTM of 64 units, MiB**, by steps T:\n\n"
        + report.table(["", *(str(row["time"]) for row in results["memory"])], kept)
    )


if __name__ == "__main__":
    main()

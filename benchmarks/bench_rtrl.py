"""What real-time recurrent learning costs a step, and what the ways through a long sequence keep in memory.

    python benchmarks/bench_rtrl.py

A step of RTRL is taken for fully recurrent layers of n units on one input, its operations as XLA counts them; an
exponent is the slope against n over the upper half, both in logarithms. Memory is what the compiled program allocates
besides its inputs and outputs, as XLA states it, for the gradient of an LSTM of 64 units on T steps.
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

UNITS = (16, 32, 64, 128, 192, 256, 384)
TIMES = (64, 256, 1024, 4096)


def main() -> None:
    options = settle(parser(__doc__, rounds=7).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    results = {"cost": cost(options), "memory": memory(TIMES[:2] if options.quick else TIMES)}
    report.write("rtrl", options, about, results, text(results))


def cost(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds and operations of a step of RTRL, and of BPTT over eight steps, by units."""
    import jax
    import jax.numpy as jnp

    import denpa as dp

    units, steps, loss = UNITS[:2] if options.quick else UNITS, 8, dp.MeanSquaredError()
    turns, operations = {}, {}
    for n in units:
        net = dp.RNN(n, return_sequences=True)
        variables = net.init(jax.random.key(0), (steps, 1))
        x, t = jnp.ones((1, steps, 1)), jnp.zeros((1, steps, n))
        start = dp.rtrl_start(net, variables, 1)
        one = _compiled(
            lambda v, s, x, t, net=net: dp.rtrl_step(net, loss, v, s, x, t), variables, start, x[:, 0], t[:, 0]
        )
        all_ = _compiled(lambda v, x, t, net=net: dp.backprop(net, loss, v, x, t).grads, variables, x, t)
        operations[n] = one.cost_analysis()["flops"]
        turns[f"RTRL {n}"] = functools.partial(_seconds, one, (variables, start, x[:, 0], t[:, 0]), 1)
        turns[f"BPTT {n}"] = functools.partial(_seconds, all_, (variables, x, t), steps)
    times = {name: Times(taken.values * 1e3) for name, taken in alternate(turns, options.rounds).items()}
    return {
        "units": list(units),
        "ms_per_step": {name: taken.to_json() for name, taken in times.items()},
        "operations": list(operations.values()),
        "exponents": {
            "time": _exponent(units, [times[f"RTRL {n}"].median for n in units]),
            "operations": _exponent(units, list(operations.values())),
        },
    }


def _compiled(function: Any, *given: Any) -> Any:
    import jax

    program = jax.jit(function).lower(*given).compile()
    _finish(program, *given)
    return program


def _seconds(program: Any, given: Any, steps: int) -> float:
    """Seconds for one of the steps; short programs run for a while."""
    once = seconds_of(lambda: _finish(program, *given))
    count = max(1, int(0.02 / once))
    return seconds_of(lambda: [_finish(program, *given) for _ in range(count)]) / count / steps


def _exponent(sizes: Any, values: Any) -> float:
    """The exponent p of value ~ size^p over the upper half of the sizes, by least squares in the logarithms."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half - 1 :]), np.log(values[half - 1 :]), 1)[0])


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
        [f"{name}, ms", *(report.show(cost["ms_per_step"][f"{name} {n}"]["median"]) for n in cost["units"])]
        for name in ("RTRL", "BPTT")
    ]
    rows.append(["RTRL, million operations", *(report.show(count / 1e6) for count in cost["operations"])])
    found = {name: report.show(value) for name, value in cost["exponents"].items()}
    said = f"Exponent of RTRL over the upper half: {found['operations']} in operations, {found['time']} in time."
    ways = [name for name in results["memory"][0] if name != "time"]
    kept = [[name, *(report.show(row[name]) for row in results["memory"])] for name in ways]
    return (
        "**A step of an RNN**, by units:\n\n"
        + report.table(["", *map(str, cost["units"])], rows)
        + f"\n\n{said}\n\n**Memory for the gradient of an LSTM of 64 units, MiB**, by steps T:\n\n"
        + report.table(["", *(str(row["time"]) for row in results["memory"])], kept)
    )


if __name__ == "__main__":
    main()

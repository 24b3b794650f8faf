"""Recurrent layers beside PyTorch, Keras and plain JAX: a character model in training, and the layers alone.

    python benchmarks/bench_recurrent.py

The character model is an embedding of 64 characters, a recurrent layer that returns every step, and a dense layer;
each contestant trains it with Adam through its own `fit` or the usual loop, an epoch a turn, on the same random text.
A layer alone is run forward and backward, to the input too. PyTorch's GRU has its reset gate behind the recurrent
product; ours is measured in both forms against it. No allocator is tuned on any side. Beside each stands how long its
matrix products alone take at the speed of the fastest large product that the machine showed by turns with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, compare, seconds_of
from peers.limits import Limits
from peers.recurrent import CHARACTERS, CONTESTANTS, Size, stack_of

CELLS = ("RNN", "LSTM", "GRU", "GRU, reset after")
_TURN_SECONDS = 0.3

STEPS = 40  # of an epoch of the character model

MODEL = Size(32, 64, 128)
LAYERS = (MODEL, Size(32, 64, 128, layers=2), Size(32, 64, 512), Size(100, 20, 64), Size(1, 200, 128))


def main() -> None:
    options = settle(parser(__doc__, rounds=15).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    model, sizes, steps = (Size(2, 8, 16), (Size(2, 4, 16),), 2) if options.quick else (MODEL, LAYERS, STEPS)
    results = {
        "models": [measure(cell, model, model_turns(cell, model, steps), steps, options) for cell in CELLS],
        "layers": [measure(cell, size, layer_turns(cell, size), 1, options) for size in sizes for cell in CELLS],
    }
    report.write("recurrent", options, about, results, text(results))


def measure(
    cell: str, size: Size, calls: dict[str, Callable[[], Any]], steps: int, options: argparse.Namespace
) -> dict[str, Any]:
    """All contestants by turns, each for about the same time; milliseconds of one of the `steps` of a call."""
    report.say(f"{cell} {size}")
    limits, found = Limits(options.threads, resident=1 << 20, side=256 if options.quick else 1024), []

    def measure_limits() -> float:
        found.append(limits.measure()["gemm_flops"])
        return 0.0

    turns = {}
    for name, call in calls.items():
        call()  # compiles
        each = seconds_of(call)
        count = 1 if options.quick else max(1, int(_TURN_SECONDS / each))
        turns[name] = lambda call=call, count=count: seconds_of(lambda: [call() for _ in range(count)]) / count
    times = alternate({**turns, "limits": measure_limits}, options.rounds)
    del times["limits"]
    flops = flops_of(cell, size) + (0 if steps == 1 else 6 * size.batch * size.time * size.units * CHARACTERS)
    return {
        "cell": cell,
        "size": [size.batch, size.time, size.units, size.layers],
        "ms": {name: Times(taken.values * 1e3 / steps).to_json() for name, taken in times.items()},
        "against_denpa": {name: compare(taken, times["denpa"]) for name, taken in times.items() if name != "denpa"},
        "gemm_flops": max(found),
        "limit_ms": flops / max(found) * 1e3,
    }


def flops_of(cell: str, size: Size) -> int:
    """Of the matrix products of the layers: from x and from h to every gate, and twice as many in the backward pass."""
    gates = {"RNN": 1, "LSTM": 4}.get(cell, 3)
    return size.layers * 3 * 2 * size.batch * size.time * 2 * size.units * gates * size.units


# ------------------------------------------------------------------------------------------- layers


def layer_turns(cell: str, size: Size) -> dict[str, Callable[[], Any]]:
    """Forward and backward of one layer, or of a stack."""
    import jax
    import jax.numpy as jnp
    import torch

    layer, rng = stack_of(cell, size), np.random.default_rng(0)
    x, dy = rng.standard_normal((2, size.batch, size.time, size.units), np.float32)
    params = layer.init_params(jax.random.key(0), x.shape[1:])

    @jax.jit
    def ours(params: Any, x: Any, dy: Any) -> Any:
        y, saved = layer.forward(params, x)
        return y, layer.backward(params, saved, dy)

    given = (params, jnp.asarray(x), jnp.asarray(dy))
    module = getattr(torch.nn, cell[:4].strip(", "))(size.units, size.units, size.layers, batch_first=True)
    theirs, delta = torch.tensor(x, requires_grad=True), torch.tensor(dy)

    def pytorch() -> None:
        module.zero_grad(set_to_none=True)
        theirs.grad = None
        module(theirs)[0].backward(delta)

    return {"denpa": lambda: jax.block_until_ready(ours(*given)), "PyTorch": pytorch}


# ----------------------------------------------------------------------------------- character model


def model_turns(cell: str, size: Size, steps: int) -> dict[str, Callable[[], Any]]:
    """An epoch of the character model, for each contestant."""
    text = np.random.default_rng(0).integers(0, CHARACTERS, (steps * size.batch, size.time + 1)).astype(np.int32)
    x, t = text[:, :-1], text[:, 1:]
    return {name: contestant(cell, size, x, t) for name, contestant in CONTESTANTS.items()}


# --------------------------------------------------------------------------------------------- text


def text(results: dict[str, Any]) -> str:
    """Two tables: milliseconds, and how many times as long the others take."""
    speeds = [row["gemm_flops"] / 1e9 for row in results["models"] + results["layers"]]
    return (
        "**A training step of the character model** (batch × steps × units):\n\n"
        + _table(results["models"])
        + "\n\n**A layer alone**, forward and backward:\n\n"
        + _table(results["layers"])
        + "\n\nLimit: the row's matrix products alone, at the fastest speed of a product of two large matrices seen in "
        f"its rounds, {min(speeds):.0f} to {max(speeds):.0f} GFLOP/s."
    )


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0]["ms"])
    head = ["", *(f"{name}, ms" for name in names), "limit, ms", *(f"{name} / denpa" for name in names[1:])]
    cells = []
    for row in rows:
        taken = [report.show(row["ms"][name]["median"]) for name in names]
        ratios = [report.show(row["against_denpa"][name]["median_of_paired_ratios"]) for name in names[1:]]
        cells.append([f"{row['cell']}, {Size(*row['size'])}", *taken, report.show(row["limit_ms"]), *ratios])
    return report.table(head, cells)


if __name__ == "__main__":
    main()

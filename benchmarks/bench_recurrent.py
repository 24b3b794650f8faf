"""Recurrent layers beside PyTorch and plain JAX: a character model in training, and the layers alone.

    python benchmarks/bench_recurrent.py

The character model is an embedding of 64 characters, a recurrent layer that returns every step, and a dense layer;
each contestant trains it with Adam on the same random text. A layer alone is run forward and backward, to the input
too. PyTorch's GRU has its reset gate behind the recurrent product; ours is measured in both forms against it. Plain
JAX is `lax.scan` over a step, differentiated by `jax.grad`. No allocator is tuned on any side.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, compare, seconds_of

CELLS = ("RNN", "LSTM", "GRU", "GRU, reset after")
CHARACTERS = 64
_TURN_SECONDS = 0.3


@dataclass(frozen=True)
class Size:
    """Sequences in a batch, steps of each, units of the layer; as many features come in."""

    batch: int
    time: int
    units: int

    def __str__(self) -> str:
        return f"{self.batch} × {self.time} × {self.units}"


MODEL = Size(32, 64, 128)
LAYERS = (MODEL, Size(32, 64, 512), Size(100, 20, 64), Size(1, 200, 128))


def main() -> None:
    options = settle(parser(__doc__, rounds=15).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    model, sizes = (Size(2, 8, 16), (Size(2, 4, 16),)) if options.quick else (MODEL, LAYERS)
    results = {
        "models": [measure(cell, model, model_turns(cell, model), options) for cell in CELLS],
        "layers": [measure(cell, size, layer_turns(cell, size), options) for size in sizes for cell in CELLS],
    }
    report.write("recurrent", options, about, results, text(results))


def measure(
    cell: str, size: Size, calls: dict[str, Callable[[], Any]], options: argparse.Namespace
) -> dict[str, Any]:  # fmt: skip
    """All contestants by turns, each for about the same time."""
    report.say(f"{cell} {size}")
    turns = {}
    for name, call in calls.items():
        call()  # compiles
        each = seconds_of(call)
        count = 1 if options.quick else max(1, int(_TURN_SECONDS / each))
        turns[name] = lambda call=call, count=count: seconds_of(lambda: [call() for _ in range(count)]) / count
    times = alternate(turns, options.rounds)
    return {
        "cell": cell,
        "size": [size.batch, size.time, size.units],
        "ms": {name: Times(taken.values * 1e3).to_json() for name, taken in times.items()},
        "against_denpa": {name: compare(taken, times["denpa"]) for name, taken in times.items() if name != "denpa"},
    }


# ------------------------------------------------------------------------------------------- layers


def layer_of(cell: str, units: int) -> Any:
    import denpa as dp

    if cell.startswith("GRU"):
        return dp.GRU(units, reset_after="after" in cell, return_sequences=True)
    return getattr(dp, cell)(units, return_sequences=True)


def layer_turns(cell: str, size: Size) -> dict[str, Callable[[], Any]]:
    """Forward and backward of one layer."""
    import jax
    import jax.numpy as jnp
    import torch

    layer, rng = layer_of(cell, size.units), np.random.default_rng(0)
    x, dy = rng.standard_normal((2, size.batch, size.time, size.units), np.float32)
    params = layer.init_params(jax.random.key(0), x.shape[1:])

    @jax.jit
    def ours(params: Any, x: Any, dy: Any) -> Any:
        y, saved = layer.forward(params, x)
        return y, layer.backward(params, saved, dy)

    given = (params, jnp.asarray(x), jnp.asarray(dy))
    module = getattr(torch.nn, cell[:4].strip(", "))(size.units, size.units, batch_first=True)
    theirs, delta = torch.tensor(x, requires_grad=True), torch.tensor(dy)

    def pytorch() -> None:
        module.zero_grad(set_to_none=True)
        theirs.grad = None
        module(theirs)[0].backward(delta)

    return {"denpa": lambda: jax.block_until_ready(ours(*given)), "PyTorch": pytorch}


# ----------------------------------------------------------------------------------- character model


def model_turns(cell: str, size: Size) -> dict[str, Callable[[], Any]]:
    """One training step of the character model."""
    text = np.random.default_rng(0).integers(0, CHARACTERS, (size.batch, size.time + 1)).astype(np.int32)
    return {
        "denpa": denpa_step(cell, size, text),
        "PyTorch": pytorch_step(cell, size, text),
        "plain JAX": jax_step(cell, size, text),
    }


def network_of(cell: str, size: Size) -> Any:
    import denpa as dp

    return dp.Sequential([dp.Embedding(CHARACTERS, size.units), layer_of(cell, size.units), dp.Dense(CHARACTERS)])


def denpa_step(cell: str, size: Size, text: np.ndarray) -> Callable[[], Any]:
    """A step of the program that `fit` runs, among as many as make a turn."""
    import jax
    import jax.numpy as jnp

    import denpa as dp
    from denpa.training.program import Programs, Recipe

    programs = Programs(Recipe(network_of(cell, size), dp.SoftmaxCrossEntropy(), dp.Adam(1e-3)))
    run = programs.init(np.uint32(0), (size.time,))
    data = jnp.asarray(text[:, :-1]), jnp.asarray(text[:, 1:]), None
    order = np.arange(size.batch, dtype=np.int32)[None]
    return lambda: jax.block_until_ready(programs.train(run, None, data, order, np.int32(1)))


def pytorch_step(cell: str, size: Size, text: np.ndarray) -> Callable[[], Any]:
    """Eager PyTorch, its own sequence kernels, fused Adam."""
    import torch
    from torch import nn

    embedding, dense = nn.Embedding(CHARACTERS, size.units), nn.Linear(size.units, CHARACTERS)
    layer = getattr(nn, cell[:4].strip(", "))(size.units, size.units, batch_first=True)
    parameters = [p for module in (embedding, layer, dense) for p in module.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    x, t = (torch.tensor(part, dtype=torch.long) for part in (text[:, :-1], text[:, 1:]))

    def step() -> None:
        y = dense(layer(embedding(x))[0])
        nn.functional.cross_entropy(y.reshape(-1, CHARACTERS), t.reshape(-1)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def jax_step(cell: str, size: Size, text: np.ndarray) -> Callable[[], Any]:
    """`lax.scan` over a step of the textbook, and `jax.value_and_grad` of the loss."""
    import jax
    import jax.numpy as jnp

    import denpa as dp

    params = network_of(cell, size).init(jax.random.key(0), (size.time,)).params
    optimizer = dp.Adam(1e-3)
    advance = {"RNN": plain_rnn, "LSTM": plain_lstm}.get(cell, plain_gru_after if "after" in cell else plain_gru)

    def objective(params: Any, x: Any, t: Any) -> Any:
        words, cell_params, dense = params.values()
        xs = jnp.swapaxes(words["W"][x], 0, 1) @ cell_params["Wx"] + cell_params["b"]
        zero = jnp.zeros((size.batch, size.units))
        _, h = jax.lax.scan(lambda carry, u: advance(cell_params, carry, u), (zero, zero), xs)
        logits = jax.nn.log_softmax(jnp.swapaxes(h, 0, 1) @ dense["W"] + dense["b"])
        return -jnp.mean(jnp.take_along_axis(logits, t[..., None], axis=-1))

    @jax.jit
    def step(params: Any, state: Any, x: Any, t: Any) -> Any:
        loss, grads = jax.value_and_grad(objective)(params, x, t)
        updates, state = optimizer.update(grads, state, params)
        return jax.tree.map(jnp.add, params, updates), state, loss

    given = (params, optimizer.init(params), jnp.asarray(text[:, :-1]), jnp.asarray(text[:, 1:]))
    return lambda: jax.block_until_ready(step(*given))


def plain_rnn(p: Any, carry: Any, u: Any) -> Any:
    import jax.numpy as jnp

    h = jnp.tanh(u + carry[0] @ p["Wh"])
    return (h, carry[1]), h


def plain_lstm(p: Any, carry: Any, u: Any) -> Any:
    import jax
    import jax.numpy as jnp

    i, f, g, o = jnp.split(u + carry[0] @ p["Wh"], 4, axis=-1)
    c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def plain_gru(p: Any, carry: Any, u: Any) -> Any:
    import jax
    import jax.numpy as jnp

    h, n = carry[0], carry[0].shape[-1]
    z, r = jnp.split(jax.nn.sigmoid(u[:, : 2 * n] + h @ p["Wh"][:, : 2 * n]), 2, axis=-1)
    h = z * h + (1 - z) * jnp.tanh(u[:, 2 * n :] + (r * h) @ p["Wh"][:, 2 * n :])
    return (h, carry[1]), h


def plain_gru_after(p: Any, carry: Any, u: Any) -> Any:
    import jax
    import jax.numpy as jnp

    h, n = carry[0], carry[0].shape[-1]
    v = h @ p["Wh"]
    z, r = jnp.split(jax.nn.sigmoid(u[:, : 2 * n] + v[:, : 2 * n]), 2, axis=-1)
    h = z * h + (1 - z) * jnp.tanh(u[:, 2 * n :] + r * (v[:, 2 * n :] + p["bh"]))
    return (h, carry[1]), h


# --------------------------------------------------------------------------------------------- text


def text(results: dict[str, Any]) -> str:
    """Two tables: milliseconds, and how many times as long the others take."""
    return (
        "**A training step of the character model** (batch × steps × units):\n\n"
        + _table(results["models"])
        + "\n\n**A layer alone**, forward and backward:\n\n"
        + _table(results["layers"])
    )


def _table(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0]["ms"])
    head = ["", *(f"{name}, ms" for name in names), *(f"{name} / denpa" for name in names[1:])]
    cells = []
    for row in rows:
        taken = [report.show(row["ms"][name]["median"]) for name in names]
        ratios = [report.show(row["against_denpa"][name]["median_of_paired_ratios"]) for name in names[1:]]
        cells.append([f"{row['cell']}, {Size(*row['size'])}", *taken, *ratios])
    return report.table(head, cells)


if __name__ == "__main__":
    main()

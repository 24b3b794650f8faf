"""The contestants that train a character model: embedding, recurrent layers, a dense layer, cross-entropy, Adam.

Each function gets the cell, the sizes and how many layers, and gives a call that makes one epoch over `x` and `t`, and
how many steps that is. Each imports its library when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["CHARACTERS", "CONTESTANTS", "Size", "stack_of"]

CHARACTERS = 64


@dataclass(frozen=True)
class Size:
    """Sequences in a batch, steps of each, units of a layer, layers; as many features come in as there are units."""

    batch: int
    time: int
    units: int
    layers: int = 1

    def __str__(self) -> str:
        stacked = f", {self.layers} layers" if self.layers > 1 else ""
        return f"{self.batch} × {self.time} × {self.units}{stacked}"


def layer_of(cell: str, units: int) -> Any:
    """denpa's layer of a name such as "GRU, reset after"."""
    import denpa as dp

    if cell.startswith("GRU"):
        return dp.GRU(units, reset_after="after" in cell, return_sequences=True)
    return getattr(dp, cell)(units, return_sequences=True)


def stack_of(cell: str, size: Size) -> Any:
    """denpa's layers, one or a stack."""
    import denpa as dp

    return dp.Sequential([layer_of(cell, size.units) for _ in range(size.layers)])


def network_of(cell: str, size: Size) -> Any:
    """The character model in denpa."""
    import denpa as dp

    hidden = stack_of(cell, size).layers
    return dp.Sequential([dp.Embedding(CHARACTERS, size.units), *hidden, dp.Dense(CHARACTERS)])


def denpa_fit(cell: str, size: Size, x: np.ndarray, t: np.ndarray) -> Callable[[], Any]:
    """`Model.fit`."""
    import denpa as dp

    model = dp.Model(network_of(cell, size), dp.SoftmaxCrossEntropy(), dp.Adam(1e-3))
    return lambda: model.fit((x, t), epochs=1, batch_size=size.batch, verbose=False)


def keras_fit(cell: str, size: Size, x: np.ndarray, t: np.ndarray) -> Callable[[], Any]:
    """`keras.Model.fit` on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    name, options = ("GRU", {"reset_after": "after" in cell}) if cell.startswith("GRU") else (cell, {})
    name = "SimpleRNN" if name == "RNN" else name
    hidden = [getattr(keras.layers, name)(size.units, return_sequences=True, **options) for _ in range(size.layers)]
    layers = [keras.layers.Embedding(CHARACTERS, size.units), *hidden, keras.layers.Dense(CHARACTERS)]
    model = keras.Sequential([keras.Input((size.time,), dtype="int32"), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3, epsilon=1e-8), loss)
    return lambda: model.fit(x, t, batch_size=size.batch, epochs=1, verbose=0)


def pytorch_eager(cell: str, size: Size, x: np.ndarray, t: np.ndarray, compiled: bool = False) -> Callable[[], Any]:
    """The usual loop over batches with PyTorch's own sequence kernels and fused Adam."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.dense = nn.Embedding(CHARACTERS, size.units), nn.Linear(size.units, CHARACTERS)
            kind = getattr(nn, cell[:4].strip(", "))
            self.hidden = kind(size.units, size.units, num_layers=size.layers, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.dense(self.hidden(self.embedding(x))[0])

    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    model = torch.compile(network) if compiled else network
    inputs, targets = torch.tensor(x, dtype=torch.long), torch.tensor(t, dtype=torch.long)

    def epoch() -> None:
        for rows in torch.randperm(len(inputs)).split(size.batch):
            y = model(inputs[rows])
            nn.functional.cross_entropy(y.reshape(-1, CHARACTERS), targets[rows].reshape(-1)).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return epoch


def pytorch_compiled(cell: str, size: Size, x: np.ndarray, t: np.ndarray) -> Callable[[], Any]:
    """The same with `torch.compile`."""
    return pytorch_eager(cell, size, x, t, compiled=True)


def plain_jax(cell: str, size: Size, x: np.ndarray, t: np.ndarray) -> Callable[[], Any]:
    """`lax.scan` over a step of the textbook, `jax.value_and_grad` of the loss, one jitted step a batch."""
    import jax
    import jax.numpy as jnp

    import denpa as dp

    params = list(network_of(cell, size).init(jax.random.key(0), (size.time,)).params.values())
    optimizer = dp.Adam(1e-3)
    advance = {"RNN": plain_rnn, "LSTM": plain_lstm}.get(cell, plain_gru_after if "after" in cell else plain_gru)

    def objective(params: Any, x: Any, t: Any) -> Any:
        words, *cells, dense = params
        values = jnp.swapaxes(words["W"][x], 0, 1)
        zero = jnp.zeros((size.batch, size.units))
        for p in cells:
            _, values = jax.lax.scan(
                lambda carry, u, p=p: advance(p, carry, u), (zero, zero), values @ p["Wx"] + p["b"]
            )
        logits = jax.nn.log_softmax(jnp.swapaxes(values, 0, 1) @ dense["W"] + dense["b"])
        return -jnp.mean(jnp.take_along_axis(logits, t[..., None], axis=-1))

    @jax.jit
    def step(params: Any, state: Any, x: Any, t: Any) -> Any:
        loss, grads = jax.value_and_grad(objective)(params, x, t)
        updates, state = optimizer.update(grads, state, params)
        return jax.tree.map(jnp.add, params, updates), state, loss

    held = [params, optimizer.init(params)]

    def epoch() -> None:
        for rows in np.split(np.random.permutation(len(x)), len(x) // size.batch):
            held[0], held[1], loss = step(*held, x[rows], t[rows])
        jax.block_until_ready(loss)

    return epoch


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


CONTESTANTS = {
    "denpa": denpa_fit,
    "PyTorch": pytorch_eager,
    "PyTorch compiled": pytorch_compiled,
    "Keras": keras_fit,
    "plain JAX": plain_jax,
}

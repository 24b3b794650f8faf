"""Plain JAX with Optax: the same networks as plain functions, differentiated by `jax.grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from peers.base import Peer

__all__ = ["JittedStep", "ScannedEpoch"]

_ADAM = optax.adam(1e-3)


class PlainJax(Peer):
    """What both ways share. The state is (params, running statistics, Adam's state, sum of the losses)."""

    def prepare(self) -> None:
        self.data = jnp.asarray(self.x), jnp.asarray(self.t)
        if self.x.dtype == np.uint8:  # held as bytes or as floats, whatever is faster
            kept = {"bytes": self.data[0], "floats": jnp.asarray(self.floats())}
            form = self.fastest({name: self._trial(x) for name, x in kept.items()}, rounds=2)
            self.data = kept[form], self.data[1]
            self.choices = f"images held as {form}"

    def _trial(self, x: jax.Array) -> Callable[[], None]:
        def trial() -> None:
            self.data = x, self.data[1]
            self.reset(0)
            self.train(1)

        return trial

    def reset(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        params: list[dict[str, Any]] = [{"W": jnp.array(W), "b": jnp.array(b)} for W, b in self.pairs]
        statistics = []
        if self.work.batch_norm:
            for layer in params[:-1]:
                layer |= {"gamma": jnp.ones(layer["b"].shape), "beta": jnp.zeros(layer["b"].shape)}
                statistics.append({"mean": jnp.zeros(layer["b"].shape), "var": jnp.ones(layer["b"].shape)})
        self.state = jax.block_until_ready((params, statistics, _ADAM.init(params), jnp.zeros(())))

    def orders(self) -> np.ndarray:
        """The rows of all batches of an epoch."""
        order = self.rng.permutation(len(self.x)).astype(np.int32)
        return order[: len(order) // self.work.batch * self.work.batch].reshape(-1, self.work.batch)

    def step(self, state: Any, x: jax.Array, t: jax.Array) -> Any:
        """One update."""
        params, statistics, adam, total = state
        if x.dtype == jnp.uint8:
            x = x.astype(jnp.float32) / 255
        objective = jax.value_and_grad(self._objective, has_aux=True)
        (loss, statistics), grads = objective(params, statistics, x, t)
        updates, adam = _ADAM.update(grads, adam, params)
        return optax.apply_updates(params, updates), statistics, adam, total + loss

    def _objective(self, params: Any, statistics: Any, x: jax.Array, t: jax.Array) -> tuple[jax.Array, Any]:
        activation = jax.nn.sigmoid if self.work.activation == "sigmoid" else jax.nn.relu
        moved = []
        for number, layer in enumerate(params[:-1]):
            x = x @ layer["W"] + layer["b"]
            if self.work.batch_norm:
                x, found = _normalised(layer, statistics[number], x)
                moved.append(found)
            x = activation(x)
        y = x @ params[-1]["W"] + params[-1]["b"]
        return optax.softmax_cross_entropy_with_integer_labels(y, t).mean(), moved

    def train(self, epochs: int) -> list[float]:
        losses, before = [], 0.0
        for _ in range(epochs):
            orders = self.orders()
            self.epoch(orders)
            total = float(self.state[-1])
            losses.append((total - before) / len(orders))
            before = total
        return losses

    def epoch(self, orders: np.ndarray) -> None:
        """All batches once."""
        raise NotImplementedError


def _normalised(layer: Any, statistics: Any, x: jax.Array) -> tuple[jax.Array, Any]:
    mean, var = x.mean(axis=0), x.var(axis=0)
    y = layer["gamma"] * (x - mean) * jax.lax.rsqrt(var + 1e-5) + layer["beta"]
    unbiased = var * (len(x) / (len(x) - 1))
    moved = {"mean": 0.9 * statistics["mean"] + 0.1 * mean, "var": 0.9 * statistics["var"] + 0.1 * unbiased}
    return y, jax.lax.stop_gradient(moved)


class JittedStep(PlainJax):
    """One call of a compiled function for each batch, which gathers its rows inside; the state is donated."""

    def prepare(self) -> None:
        def step(state: Any, x: jax.Array, t: jax.Array, rows: jax.Array) -> Any:
            return self.step(state, x[rows], t[rows])

        self.compiled = jax.jit(step, donate_argnums=0)
        super().prepare()

    def epoch(self, orders: np.ndarray) -> None:
        for rows in orders:
            self.state = self.compiled(self.state, *self.data, rows)


class ScannedEpoch(PlainJax):
    """One call for each epoch, a `lax.scan` over its batches; the state is donated."""

    def prepare(self) -> None:
        variants = {"batch": self._by_batch, "epoch": self._by_epoch}
        compiled = {gather: jax.jit(epoch, donate_argnums=0) for gather, epoch in variants.items()}
        self.compiled = compiled["batch"]
        super().prepare()
        gather = self.fastest({gather: self._gathering(epoch) for gather, epoch in compiled.items()}, rounds=2)
        self.compiled = compiled[gather]
        self.choices += f"{', ' if self.choices else ''}rows gathered by {gather}"

    def _gathering(self, compiled: Callable[..., Any]) -> Callable[[], None]:
        def trial() -> None:
            self.compiled = compiled
            self.reset(0)
            self.train(1)

        return trial

    def _by_batch(self, state: Any, x: jax.Array, t: jax.Array, orders: jax.Array) -> Any:
        return jax.lax.scan(lambda state, rows: (self.step(state, x[rows], t[rows]), None), state, orders)[0]

    def _by_epoch(self, state: Any, x: jax.Array, t: jax.Array, orders: jax.Array) -> Any:
        return jax.lax.scan(lambda state, batch: (self.step(state, *batch), None), state, (x[orders], t[orders]))[0]

    def epoch(self, orders: np.ndarray) -> None:
        self.state = self.compiled(self.state, *self.data, orders)

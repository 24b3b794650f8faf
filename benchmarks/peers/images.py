"""The contestants that train convolutional networks. Each imports its library when it is made, in its own worker."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.images import BATCH, NETWORKS
from harness.timing import seconds_of

__all__ = ["DenpaImages", "JaxImages", "TorchImages"]


class Images:
    """A way to train and to use one network. A turn of training is one epoch over all images."""

    def __init__(self, folder: str, network: str, **choices: Any) -> None:
        self.x, self.t = (np.load(Path(folder) / name) for name in ("x.npy", "t.npy"))
        self.layers = NETWORKS[network].layers
        self.prepare(**choices)

    def prepare(self) -> None:
        """Network, data, compiled functions."""

    def train(self) -> float:
        """One epoch; the mean loss."""
        raise NotImplementedError

    def predict(self) -> Any:
        """Outputs for all images, on the host."""
        raise NotImplementedError

    def turn(self) -> dict[str, float]:
        """Seconds of an epoch and of a prediction, and the epoch's loss."""
        losses: list[float] = []
        training = seconds_of(lambda: losses.append(self.train()))
        return {"training": training, "prediction": seconds_of(self.predict), "loss": losses[0]}


class DenpaImages(Images):
    """`Model.fit` and `Model.predict`, images as bytes."""

    def prepare(self, kernels: str = "auto") -> None:
        import jax.numpy as jnp

        import denpa as dp

        he, layers = dp.init.He(), []
        for kind, *sizes in self.layers:
            if kind == "conv":
                layers += [dp.Conv2d(sizes[0], sizes[1], padding=sizes[2], kernel_init=he), dp.ReLU()]
            elif kind == "pool":
                layers.append(dp.MaxPool2d(2))
            elif kind == "dropout":
                layers.append(dp.Dropout(sizes[0]))
            else:
                flat = not any(isinstance(layer, dp.Flatten) for layer in layers)
                layers += [dp.Flatten()] * flat + [dp.Dense(sizes[0], kernel_init=he)] + [dp.ReLU()] * (kind == "dense")
        self.kernels = dp.kernels.using(kernels)
        self.kernels.__enter__()
        self.data = jnp.asarray(self.x), jnp.asarray(self.t)
        self.model = dp.Model(layers, dp.SoftmaxCrossEntropy(), dp.Adam(1e-3), normalizer=dp.ScaleImages())

    def train(self) -> float:
        return float(self.model.fit(self.data, epochs=1, batch_size=BATCH, verbose=False)["loss"][-1])

    def predict(self) -> Any:
        return self.model.predict(self.data[0])


class JaxImages(Images):
    """Plain JAX and Optax: `lax.conv`, `lax.reduce_window`, `jax.grad`, a `lax.scan` over the epoch."""

    def prepare(self) -> None:
        import jax
        import optax

        self.jax, self.adam, self.rng = jax, optax.adam(1e-3), np.random.default_rng(0)
        x = jax.numpy.asarray(self.x, jax.numpy.float32) / 255
        self.data = x, jax.numpy.asarray(self.t)
        params = self._params()
        self.state = params, self.adam.init(params), jax.random.key(0)
        self.epoch = jax.jit(self._epoch, donate_argnums=0)
        self.output = jax.jit(lambda params, x: self._forward(params, x, None))

    def _params(self) -> list[dict[str, Any]]:
        params: list[dict[str, Any]] = []
        size, channels, features = 28, 1, 0
        for kind, *sizes in self.layers:
            shape: tuple[int, ...] = ()
            if kind == "conv":
                shape = (sizes[1], sizes[1], channels, sizes[0])
                size, channels = size + 2 * sizes[2] - sizes[1] + 1, sizes[0]
            elif kind == "pool":
                size //= 2
            elif kind != "dropout":
                shape = (features or size * size * channels, sizes[0])
                features = sizes[0]
            if shape:
                W = self.rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[:-1]))
                params.append({"W": self.jax.numpy.asarray(W, np.float32), "b": self.jax.numpy.zeros(shape[-1])})
        return params

    def _forward(self, params: Any, x: Any, key: Any) -> Any:
        jnp, lax, left = self.jax.numpy, self.jax.lax, iter(params)
        for kind, *sizes in self.layers:
            if kind == "conv":
                p, pads = next(left), ((sizes[2], sizes[2]),) * 2
                x = lax.conv_general_dilated(x, p["W"], (1, 1), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
                x = self.jax.nn.relu(x + p["b"])
            elif kind == "pool":
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            elif kind == "dropout" and key is not None:
                x = jnp.where(self.jax.random.bernoulli(key, 1 - sizes[0], x.shape), x / (1 - sizes[0]), 0)
            elif kind != "dropout":
                p = next(left)
                x = x.reshape(len(x), -1) @ p["W"] + p["b"]
                x = self.jax.nn.relu(x) if kind == "dense" else x
        return x

    def _epoch(self, state: Any, x: Any, t: Any, order: Any) -> Any:
        import optax

        def step(state: Any, rows: Any) -> Any:
            params, adam, key = state
            key, own = self.jax.random.split(key)

            def objective(params: Any) -> Any:
                y = self._forward(params, x[rows], own)
                return optax.softmax_cross_entropy_with_integer_labels(y, t[rows]).mean()

            loss, grads = self.jax.value_and_grad(objective)(params)
            updates, adam = self.adam.update(grads, adam, params)
            return (optax.apply_updates(params, updates), adam, key), loss

        state, losses = self.jax.lax.scan(step, state, order)
        return state, losses.mean()

    def train(self) -> float:
        order = self.rng.permutation(len(self.x)).astype(np.int32).reshape(-1, BATCH)
        self.state, loss = self.epoch(self.state, *self.data, order)
        return float(loss)

    def predict(self) -> Any:
        batches = (self.data[0][i : i + 1000] for i in range(0, len(self.x), 1000))
        return np.concatenate([np.asarray(self.output(self.state[0], x)) for x in batches])


class TorchImages(Images):
    """PyTorch, eager or compiled, channels first or last in memory; Adam in one kernel."""

    def prepare(self, channels_last: bool = False, compiled: bool = False) -> None:
        import torch
        from torch import nn

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.manual_seed(0)
        self.torch, layers, channels, size, features = torch, [], 1, 28, 0
        for kind, *sizes in self.layers:
            if kind == "conv":
                layers += [nn.Conv2d(channels, sizes[0], sizes[1], padding=sizes[2]), nn.ReLU()]
                channels, size = sizes[0], size + 2 * sizes[2] - sizes[1] + 1
            elif kind == "pool":
                layers.append(nn.MaxPool2d(2))
                size //= 2
            elif kind == "dropout":
                layers.append(nn.Dropout(sizes[0]))
            else:
                flat = not any(isinstance(layer, nn.Flatten) for layer in layers)
                inputs = channels * size * size if flat else features
                layers += [nn.Flatten()] * flat + [nn.Linear(inputs, sizes[0])] + [nn.ReLU()] * (kind == "dense")
                features = sizes[0]
        self.net = nn.Sequential(*layers)
        for module in self.net:
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        x = torch.from_numpy(self.x.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(255))
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.net, self.x = self.net.to(memory_format=layout), x.contiguous(memory_format=layout)
        self.t = torch.from_numpy(self.t).long()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)
        self.objective: Callable[..., Any] = lambda x, t: nn.functional.cross_entropy(self.net(x), t)
        self.infer: Callable[..., Any] = self.net
        if compiled:
            self.objective = torch.compile(self.objective, dynamic=False)
            self.infer = torch.compile(self.net, dynamic=False)

    def _batches(self) -> Iterator[Any]:
        for rows in self.torch.randperm(len(self.x)).split(BATCH):
            yield self.x[rows], self.t[rows]

    def train(self) -> float:
        self.net.train()
        total = self.torch.zeros(())
        for x, t in self._batches():
            loss = self.objective(x, t)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            total += loss.detach()
        return total.item() / (len(self.x) // BATCH)

    def predict(self) -> Any:
        self.net.eval()
        with self.torch.inference_mode():
            return np.concatenate([self.infer(x).numpy() for x in self.x.split(1000)])

"""denpa as its users have it: one call of `Model.fit`."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

import denpa as dp
from peers.base import Peer

__all__ = ["DenpaFit", "network"]


def network(sizes: tuple[int, ...], activation: str, batch_norm: bool) -> dp.Sequential:
    """Dense layers with activations, and batch normalisation before these where wanted."""
    layers: list[dp.Layer] = []
    for units in sizes[1:-1]:
        layers.append(dp.Dense(units))
        if batch_norm:
            layers.append(dp.BatchNorm())
        layers.append(dp.Sigmoid() if activation == "sigmoid" else dp.ReLU())
    return dp.Sequential((*layers, dp.Dense(sizes[-1])))


class DenpaFit(Peer):
    """The data stay on the device, images as bytes that the program scales; `fit` checks them anew in every call."""

    def prepare(self) -> None:
        self.normalizer = dp.ScaleImages() if self.x.dtype == np.uint8 else None
        self.x, self.t = jnp.asarray(self.x), jnp.asarray(self.t)
        self.net = network(self.work.sizes, self.work.activation, self.work.batch_norm)

    def reset(self, seed: int) -> None:
        shape = (self.work.sizes[0],)
        self.model = dp.Model(
            self.net,
            dp.SoftmaxCrossEntropy(),
            dp.Adam(1e-3),
            normalizer=self.normalizer,
            seed=seed,
            in_shape=shape,
        )
        params, state = self.model.variables
        dense = [name for name, layer in self.net.inner() if isinstance(layer, dp.Dense)]
        given = {
            name: {"W": jnp.asarray(W), "b": jnp.asarray(b)} for name, (W, b) in zip(dense, self.pairs, strict=True)
        }
        self.model.variables = dp.Variables(params | given, state)

    def train(self, epochs: int) -> list[float]:
        history = self.model.fit((self.x, self.t), epochs=epochs, batch_size=self.work.batch, verbose=False)
        return [float(loss) for loss in history["loss"]]

"""Keras on JAX as its users have it: one call of `Model.fit` on NumPy arrays."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

from peers.base import Peer

__all__ = ["KerasFit"]


class KerasFit(Peer):
    """The default settings, except that epsilon of Adam and of the normalisation are those of the others."""

    def prepare(self) -> None:
        self.x = self.floats()
        layers: list[keras.Layer] = [keras.Input((self.work.sizes[0],))]
        for units in self.work.sizes[1:-1]:
            layers.append(keras.layers.Dense(units))
            if self.work.batch_norm:
                layers.append(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
            layers.append(keras.layers.Activation(self.work.activation))
        self.model = keras.Sequential([*layers, keras.layers.Dense(self.work.sizes[-1])])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8)
        self.model.compile(self.optimizer, loss)
        self.optimizer.build(self.model.trainable_variables)
        self.fresh = self.model.get_weights()

    def reset(self, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.model.set_weights(self.fresh)
        dense = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dense)]
        for layer, (W, b) in zip(dense, self.pairs, strict=True):
            layer.set_weights([W, b])
        # A new optimiser would mean a new compilation; this one starts over.
        for variable in self.optimizer.variables:
            if variable is not self.optimizer._learning_rate:
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def train(self, epochs: int) -> list[float]:
        history = self.model.fit(self.x, self.t, batch_size=self.work.batch, epochs=epochs, verbose=0)
        return [float(loss) for loss in history.history["loss"]]

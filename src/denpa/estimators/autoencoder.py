"""The autoencoder as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from denpa.core.errors import ConfigError
from denpa.estimators.checked import FLOATS, checked_weight, examples, want_unmasked
from denpa.estimators.network import NeuralNetEstimator, sizes
from denpa.layers import Dense
from denpa.losses import MeanSquaredError
from denpa.networks import Network, Sequential
from denpa.training.hidden import hidden_layers

__all__ = ["NeuralNetAutoencoder"]


class NeuralNetAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuralNetEstimator):
    """h = f(x),   y = g(h),   E = (1/2N) Σ_n ‖y(x_n) - x_n‖² + (λ/2) Σ ‖W‖²

    f and g are networks of dense layers, g with the hidden layers of f in reverse; code and output are linear, so
    that without hidden layers the code spans the principal components.

    Args:
        code_units: units of the code.
        hidden_units: units of each hidden layer between input and code.
        network: in place of these, a `Sequential([("encoder", f), ("decoder", g)])` whose parts are networks.

    The other arguments, attributes and errors are those of `NeuralNetClassifier`.

    Source: Hinton & Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks"; linear codes:
    Baldi & Hornik (1989), "Neural networks and principal component analysis".
    """

    loss = MeanSquaredError()

    def __init__(
        self,
        code_units: int = 32,
        hidden_units: Any = (),
        *,
        activation: str = "relu",
        network: Any = None,
        optimizer: Any = "adam",
        learning_rate: Any = 1e-3,
        strength: float = 0.0,
        epochs: int = 200,
        batch_size: Any = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        warm_start: bool = False,
        precision: str = "auto",
        random_state: Any = None,
        verbose: Any = False,
    ) -> None:
        super().__init__(
            hidden_units,
            activation=activation,
            network=network,
            optimizer=optimizer,
            learning_rate=learning_rate,
            strength=strength,
            epochs=epochs,
            batch_size=batch_size,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            warm_start=warm_start,
            precision=precision,
            random_state=random_state,
            verbose=verbose,
        )
        self.code_units = code_units

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NeuralNetAutoencoder:
        """Train on X (n, d), with weights (n,) if given; y is ignored."""
        goes_on = self._goes_on()
        X = examples(self, X, reset=not goes_on, dtype=FLOATS)
        weight = checked_weight(sample_weight, X)
        if not goes_on:
            self._begin(X, X.shape[1])
        self._train(X, X, weight, self.epochs)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NeuralNetAutoencoder:
        """Train for one epoch on X; arguments as for `fit`."""
        first = not hasattr(self, "model_")
        X = examples(self, X, reset=first, dtype=FLOATS)
        weight = checked_weight(sample_weight, X)
        if first:
            self._begin(X, X.shape[1])
        self._train(X, X, weight, 1)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The code h (n, code_units) of X (n, d)."""
        check_is_fitted(self)
        return self._outputs(examples(self, X, dtype=FLOATS), "encoder")

    def inverse_transform(self, X: Any) -> np.ndarray:
        """The reconstructions (n, d) of codes X (n, code_units)."""
        check_is_fitted(self)
        want_unmasked(X)
        codes = check_array(X)
        if codes.shape[1] != self._n_features_out:
            raise ConfigError(f"Each code has {self._n_features_out} units, not {codes.shape[1]}.")
        return self._outputs(codes, "decoder")

    def score(self, X: Any, y: Any = None) -> float:
        """-(1/N) Σ_n ‖y(x_n) - x_n‖²: the larger, the better; y is ignored."""
        check_is_fitted(self)
        X = examples(self, X, dtype=FLOATS)
        return -float(np.mean(np.sum((self._outputs(X) - X) ** 2, axis=1)))

    @property
    def _n_features_out(self) -> int:
        return dict(self.model_.net.inner())["encoder"].out_shape(self.model_.in_shape)[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _network(self, features: int, outputs: int) -> Network:
        if self.network is not None:
            net = super()._network(features, outputs)
            if not isinstance(net, Sequential) or [name for name, _ in net.inner()] != ["encoder", "decoder"]:
                raise ConfigError('network must be Sequential([("encoder", ...), ("decoder", ...)]).')
            return net
        hidden = sizes(self.hidden_units)
        encoder = (*hidden_layers(hidden, self.activation), Dense(self.code_units))
        decoder = (*hidden_layers(hidden[::-1], self.activation), Dense(outputs))
        return Sequential((("encoder", Sequential(encoder)), ("decoder", Sequential(decoder))))

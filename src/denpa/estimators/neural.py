"""Neural networks as scikit-learn's classifiers and regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from denpa.core.errors import ConfigError
from denpa.estimators.checked import (
    FLOATS,
    LogProbabilityMixin,
    checked_weight,
    encoded,
    examples,
    labelled,
    valued,
)
from denpa.estimators.network import NeuralNetEstimator
from denpa.losses import MeanSquaredError, SoftmaxCrossEntropy

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]


class NeuralNetClassifier(LogProbabilityMixin, ClassifierMixin, NeuralNetEstimator):
    """P(C_k|x) = softmax_k(u(x)),   E = -(1/N) Σ_n log P(C_{t_n}|x_n) + (λ/2) Σ ‖W‖²

    u is a network of dense layers, or one of your own. With the same `random_state` the same bits come out on the
    same machine.

    Args:
        hidden_units: units of each hidden layer.
        activation: "relu", "leakyrelu", "prelu", "elu", "sigmoid", "tanh" or "identity".
        network: a network of denpa or a list of layers in place of hidden layers; it takes examples (d,), so that
            images begin with a `Reshape`, and gives as many outputs as there are classes.
        optimizer: "adam", "adamw", "sgd", "momentum", "nesterov", "rmsprop", "adagrad" or "adadelta", or an
            optimiser such as `Momentum(0.1)`, which brings its own rate.
        learning_rate: η, a number or a schedule.
        strength: λ >= 0. In `MLPClassifier` it is alpha / batch_size.
        epochs: passes over the examples.
        batch_size: "auto" for 200 or all examples if they are fewer, "full" for all, or a number.
        early_stopping: hold back `validation_fraction` of the examples, stop when their loss has not fallen for
            `patience` epochs, and return to the parameters of the best epoch.
        warm_start: `fit` goes on with the parameters of the last one, for `epochs` more. An optimizer, learning_rate
            or strength set anew acts from then on; another network is refused.
        precision: "float32" or "float64", in which everything is computed; "auto" for float32, which mini-batches
            need no more than, and for the precision of X where one batch holds all of it. It stays what it was when
            training began. Results come in the precision of the X they are asked of.
        random_state: decides initial parameters, order of examples, and what is held back.
        verbose: a line for each epoch.

    Attributes:
        model_: the `Model`, with everything that denpa can show of it.
        classes_: the labels, sorted.
        n_features_in_, feature_names_in_: the columns of X.
        loss_curve_: E of each epoch.
        n_iter_: epochs trained.

    Raises:
        ValueError: from `fit`, for data and parameters that make no sense.

    Source: Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs"; Rumelhart,
    Hinton & Williams (1986), "Learning representations by back-propagating errors".
    """

    loss = SoftmaxCrossEntropy()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetClassifier:
        """Train on X (n, d) and the labels y (n,), numbers or text, with weights (n,) if given."""
        goes_on = self._goes_on()
        X, y = labelled(self, X, y, reset=not goes_on, dtype=FLOATS)
        weight = checked_weight(sample_weight, X)
        if not goes_on:
            self.classes_ = np.unique(y)
        t = encoded(y, self.classes_, weight)
        if not goes_on:
            self._begin(X, len(self.classes_))
        self._train(X, t, weight, self.epochs)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> NeuralNetClassifier:
        """Train for one epoch on X and y.

        Args:
            X, y, sample_weight: as for `fit`.
            classes: all labels that will ever come; wanted by the first call alone.
        """
        first = not hasattr(self, "model_")
        X, y = labelled(self, X, y, reset=first, dtype=FLOATS)
        if first and classes is None:
            raise ConfigError("The first call of partial_fit must be told of all classes: partial_fit(X, y, classes).")
        if classes is not None:
            if not first and not np.array_equal(np.unique(classes), self.classes_):
                raise ConfigError(f"classes must stay {self.classes_.tolist()}, not become {list(classes)!r}.")
            self.classes_ = np.unique(classes)
        weight = checked_weight(sample_weight, X)
        t = encoded(y, self.classes_)
        if first:
            self._begin(X, len(self.classes_))
        self._train(X, t, weight, 1)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """P(C_k|x), (n, K), in the order of `classes_`."""
        check_is_fitted(self)
        u = self._outputs(examples(self, X, dtype=FLOATS))
        e = np.exp(u - u.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label (n,)."""
        winners = self.predict_proba(X).argmax(axis=1)
        return self.classes_[winners]


class NeuralNetRegressor(RegressorMixin, NeuralNetEstimator):
    """E = (1/2N) Σ_n ‖y(x_n) - t_n‖² + (λ/2) Σ ‖W‖²

    y is a network of dense layers, or one of your own. Targets are best of about unit variance, which
    `sklearn.compose.TransformedTargetRegressor` sees to. Arguments, attributes (but for `classes_`) and errors are
    those of `NeuralNetClassifier`.

    Source: Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors".
    """

    loss = MeanSquaredError()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetRegressor:
        """Train on X (n, d) and the values y (n,) or (n, k), with weights (n,) if given."""
        goes_on = self._goes_on()
        X, t, weight = self._checked(X, y, sample_weight, reset=not goes_on)
        if not goes_on:
            self._begin(X, t.shape[1])
        self._train(X, t, weight, self.epochs)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeuralNetRegressor:
        """Train for one epoch on X and y; arguments as for `fit`."""
        first = not hasattr(self, "model_")
        X, t, weight = self._checked(X, y, sample_weight, reset=first)
        if first:
            self._begin(X, t.shape[1])
        self._train(X, t, weight, 1)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The values y (n,) or (n, k)."""
        check_is_fitted(self)
        y = self._outputs(examples(self, X, dtype=FLOATS))
        return y[:, 0] if self._one_column else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Any, Any, Any]:
        X, y = valued(self, X, y, reset=reset, dtype=FLOATS)
        t = y.reshape(len(y), -1).astype(X.dtype)
        if not reset and t.shape[1:] != self.model_.net.out_shape(X.shape[1:]):
            raise ConfigError(f"y has {t.shape[1]} columns, but the network was made for another number.")
        self._one_column = y.ndim == 1
        return X, t, checked_weight(sample_weight, X)

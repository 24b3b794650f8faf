"""denpa's and scikit-learn's classifier with the same interface and the same settings."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from harness.timing import seconds_of

__all__ = ["Denpa", "Estimator", "Scikit"]


class Estimator:
    """A classifier with 100 hidden units and Adam(1e-3); it lives in a worker.

    Args:
        folder: where x, t, x_test and t_test lie.
        batch: examples in a step.
        precision: dtype of x as the estimator is given it; "" for that of the file.
        cache: the folder of denpa's compilation cache; "" for the user's.
    """

    def __init__(self, folder: str, batch: int, precision: str = "", cache: str = "") -> None:
        os.environ["DENPA_COMPILE_CACHE"] = cache
        names = ("x", "t", "x_test", "t_test")
        self.x, self.t, self.x_test, self.t_test = (np.load(Path(folder) / f"{name}.npy") for name in names)
        if precision:
            self.x, self.x_test = self.x.astype(precision), self.x_test.astype(precision)
        self.batch = batch
        warnings.simplefilter("ignore")  # so few epochs never converge
        self.prepare()

    def prepare(self) -> None:
        """Import the library."""
        raise NotImplementedError

    def make(self, epochs: int, seed: int) -> Any:
        """The estimator before `fit`."""
        raise NotImplementedError

    def epochs_to(self, accuracy: float, most: int, seed: int) -> int:
        """How many epochs it takes until the test data are classified so well; `most` + 1 if it does not get there."""
        model = self.make(1, seed)
        for epoch in range(1, most + 1):
            model.partial_fit(self.x, self.t, classes=np.unique(self.t))
            if model.score(self.x_test, self.t_test) >= accuracy:
                return epoch
        return most + 1

    def turn(self, epochs: int, seed: int) -> float:
        """Seconds of a `fit`."""
        self.model = self.make(epochs, seed)
        return seconds_of(lambda: self.model.fit(self.x, self.t))

    def accuracy(self) -> float:
        """Of the latest fit, on the test data."""
        return float(self.model.score(self.x_test, self.t_test))


class Denpa(Estimator):
    """λ is alpha / batch: scikit-learn divides the penalty by the size of the batch."""

    def prepare(self) -> None:
        from denpa.estimators import NeuralNetClassifier

        self.kind = NeuralNetClassifier

    def make(self, epochs: int, seed: int) -> Any:
        return self.kind((100,), strength=1e-4 / self.batch, batch_size=self.batch, epochs=epochs, random_state=seed)


class Scikit(Estimator):
    """It would stop when its loss stands still; here it trains as long as the other."""

    def prepare(self) -> None:
        from sklearn.neural_network import MLPClassifier

        self.kind = MLPClassifier

    def make(self, epochs: int, seed: int) -> Any:
        settings = {"alpha": 1e-4, "batch_size": self.batch, "tol": 0.0, "n_iter_no_change": 10**9}
        return self.kind((100,), max_iter=epochs, random_state=seed, **settings)

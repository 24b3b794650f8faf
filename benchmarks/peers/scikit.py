"""scikit-learn as its users have it: one call of `MLPClassifier.fit` on NumPy arrays."""

from __future__ import annotations

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from peers.base import Peer

__all__ = ["ScikitFit"]


class ScikitFit(Peer):
    """Its own initial parameters, of the same distribution: `fit` takes no others."""

    def prepare(self) -> None:
        self.x = self.floats()

    def reset(self, seed: int) -> None:
        self.model = MLPClassifier(
            self.work.sizes[1:-1],
            activation=self.work.activation,
            solver="adam",
            alpha=0.0,
            batch_size=self.work.batch,
            learning_rate_init=1e-3,
            epsilon=1e-8,
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=seed,
        )

    def train(self, epochs: int) -> list[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so few epochs never converge
            self.model.set_params(max_iter=epochs).fit(self.x, self.t)
        return [float(loss) for loss in self.model.loss_curve_]

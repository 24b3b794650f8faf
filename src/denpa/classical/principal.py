"""Principal components: the linear code that reconstructs best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.classical.arrays import examples
from denpa.core.errors import ConfigError
from denpa.data.arguments import as_whole

__all__ = ["PrincipalComponents", "pca"]


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """z = (x - m) V,   x̂ = z Vᵀ + m

    Args:
        mean: m (d,).
        components: V (d, k), orthonormal columns, the largest variance first; in each the entry of the
            largest magnitude is positive.
        variances: (k,), of each code unit, with divisor N.
        total_variance: of all d directions together.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    total_variance: float

    def encode(self, x: Any) -> np.ndarray:
        """x (n, d) -> z (n, k)."""
        return (examples(x, len(self.mean)) - self.mean) @ self.components

    def decode(self, z: Any) -> np.ndarray:
        """z (n, k) -> x̂ (n, d)."""
        return examples(z, self.components.shape[1]) @ self.components.T + self.mean

    def reconstruct(self, x: Any) -> np.ndarray:
        """x (n, d) -> x̂ (n, d): the nearest point of the plane."""
        return self.decode(self.encode(x))

    @property
    def explained(self) -> float:
        """The part of the variance that the code keeps, from 0 to 1."""
        return float(self.variances.sum() / self.total_variance) if self.total_variance else 1.0


def pca(x: Any, components: int) -> PrincipalComponents:
    """V = argmin_{VᵀV = I} (1/N) Σ_n ‖x_n - m - (x_n - m) V Vᵀ‖²,   V the first right singular vectors of x - m

    Of all linear codes with k units none reconstructs the training examples with a smaller squared error,
    which is Σ_{i>k} λ_i, the variance left out: the yardstick of an autoencoder with k code units. A linear
    autoencoder ends in the same plane.

    Args:
        x: examples (n, d).
        components: k, from 1 to min(n, d).

    Raises:
        DataError, ShapeError: data that cannot be learned from.
        ConfigError: k out of range.

    Source: Pearson (1901), "On lines and planes of closest fit"; Eckart & Young (1936); linear autoencoder:
    Baldi & Hornik (1989), "Neural networks and principal component analysis".
    """
    x = examples(x)
    if as_whole(components, "components", 1) > min(x.shape):
        raise ConfigError(f"components must be at most {min(x.shape)} for x of shape {x.shape}, not {components}.")
    mean = x.mean(axis=0)
    if len(x) > 4 * x.shape[1]:
        # The d×d covariance in place of an SVD of many rows; its squared condition number costs digits only in
        # directions of (almost) no variance.
        squares, V = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        squares, V = np.maximum(squares[::-1], 0), V[:, ::-1]
    else:
        _, s, Vt = np.linalg.svd(x - mean, full_matrices=False)
        squares, V = s**2 / len(x), Vt.T
    V = V[:, :components]
    V = V * np.where(V[np.abs(V).argmax(axis=0), np.arange(components)] < 0, -1.0, 1.0)
    return PrincipalComponents(mean, V, squares[:components], float(squares.sum()))

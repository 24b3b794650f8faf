"""The generative classifier: a Gaussian density for each class, and Bayes' rule.

P(C_k|x) = P(x|C_k) P(C_k) / Σ_j P(x|C_j) P(C_j),   P(x|C_k) = N(x; μ_k, Σ_k),   P(C_k) = N_k / N
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.classical.arrays import examples, labels_of, numbers_of, weights
from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.data.arguments import as_flag
from denpa.data.counted import counted

__all__ = ["GaussianClassifier", "linear_discriminant", "quadratic_discriminant"]


@dataclass(frozen=True, eq=False)
class GaussianClassifier:
    """log P(x, C_k) = log π_k - ½ (x - μ_k)ᵀ Σ_k⁻¹ (x - μ_k) - ½ log |Σ_k| - (d/2) log 2π

    Args:
        means: μ (K, d).
        covariances: Σ (K, d, d), or (d, d) where the classes share one.
        priors: π (K,).

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 4.57 to 4.65.
    """

    means: np.ndarray
    covariances: np.ndarray
    priors: np.ndarray

    @property
    def shared(self) -> bool:
        """Whether the classes share one covariance: the log-odds are then linear in x, else quadratic."""
        return self.covariances.ndim == 2

    def log_joint(self, x: Any) -> np.ndarray:
        """log P(x, C_k), (n, K)."""
        x = examples(x, self.means.shape[1])
        found = np.empty((len(x), len(self.priors)))
        for k, mean in enumerate(self.means):
            # Σ = L Lᵀ: the quadratic form is ‖L⁻¹ (x - μ)‖², the determinant Π L_ii².
            L = np.linalg.cholesky(self.covariances if self.shared else self.covariances[k])
            squares = np.sum(np.linalg.solve(L, (x - mean).T) ** 2, axis=0)
            found[:, k] = -0.5 * squares - np.log(np.diag(L)).sum()
        with np.errstate(divide="ignore"):  # a prior of 0 is meant as such
            return found + np.log(self.priors) - 0.5 * x.shape[1] * np.log(2 * np.pi)

    def probabilities(self, x: Any) -> np.ndarray:
        """P(C_k|x), (n, K), by Bayes' rule."""
        u = self.log_joint(x)
        e = np.exp(u - u.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def predict(self, x: Any) -> np.ndarray:
        """The most probable class (n,)."""
        return self.log_joint(x).argmax(axis=1).astype(np.int32)

    def linear(self) -> tuple[np.ndarray, np.ndarray]:
        """W = Σ⁻¹ μ_kᵀ (d, K),   b_k = log π_k - ½ μ_kᵀ Σ⁻¹ μ_k: softmax(x W + b) are the probabilities.

        With a shared covariance the generative classifier is thus a softmax regression, its weights found
        in another way (Bishop 2006, equations 4.68 to 4.70).

        Raises:
            ConfigError: each class has a covariance of its own.
        """
        if not self.shared:
            raise ConfigError("With a covariance for each class the log-odds are quadratic in x: there is no W, b.")
        W = np.linalg.solve(self.covariances, self.means.T)
        with np.errstate(divide="ignore"):  # a prior of 0 is meant as such
            return W, np.log(self.priors) - 0.5 * np.sum(self.means.T * W, axis=0)

    def quadratic(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A_k = -½ Σ_k⁻¹ (K, d, d),   W = (Σ_k⁻¹ μ_k)ᵀ (d, K),   b_k = log π_k - ½ μ_kᵀ Σ_k⁻¹ μ_k - ½ log |Σ_k| (K,)

        The softmax of xᵀ A_k x + (x W)_k + b_k over the classes gives the probabilities: a softmax regression on the
        features and their products (Hastie, Tibshirani & Friedman 2009, section 4.3).
        """
        d, K = self.means.shape[1], len(self.priors)
        covariances = np.broadcast_to(self.covariances, (K, d, d))
        W = np.linalg.solve(covariances, self.means[..., None])[..., 0].T
        with np.errstate(divide="ignore"):  # a prior of 0 is meant as such
            b = np.log(self.priors) - 0.5 * np.sum(self.means.T * W, axis=0) - 0.5 * np.linalg.slogdet(covariances)[1]
        return -0.5 * np.linalg.inv(covariances), W, b


def linear_discriminant(
    x: Any,
    t: Any,
    sample_weight: Any = None,
    *,
    classes: int | None = None,
    priors: Any = None,
    shrinkage: float = 0.0,
    unbiased: bool = False,
) -> GaussianClassifier:
    """μ_k = (1/N_k) Σ_{n∈k} x_n,   Σ = (1/N) Σ_k Σ_{n∈k} (x_n - μ_k)(x_n - μ_k)ᵀ,   π_k = N_k / N

    Maximum likelihood with one covariance for all classes (LDA): boundaries are hyperplanes.

    Args:
        x: examples (n, d).
        t: class indices (n,) or one-hot rows (n, K).
        sample_weight: (n,), 0 or more.
        classes: K, where it is known.
        priors: π (K,) that sum to 1, in place of the shares of the classes.
        shrinkage: s in Σ <- (1 - s) Σ + s (tr Σ / d) I, from 0 to 1.
        unbiased: divide by N - K in place of N. With weights N is (Σ s)² / Σ s².

    Raises:
        DataError, ShapeError: bad data; a class without examples; a singular covariance (a feature that is constant
            within the classes, linearly dependent features, too few examples), where shrinkage is 0; no feature that
            varies at all.
        ConfigError: priors, shrinkage or a number of classes out of range.

    Source: Fisher (1936), "The use of multiple measurements in taxonomic problems"; Bishop (2006), "Pattern
    Recognition and Machine Learning", equations 4.73 to 4.80; shrinkage: Friedman (1989), "Regularized
    discriminant analysis", equation 18.
    """
    x, labels, p, means, shares = _groups(x, t, sample_weight, classes, shrinkage)
    deviations = x - means[labels]
    covariance = (deviations.T * p) @ deviations
    if as_flag(unbiased, "unbiased"):
        covariance = _unbiased(covariance, p, len(shares))
    covariance = _regular(covariance, x, shrinkage, "the classes")
    return GaussianClassifier(means, covariance, _priors(priors, shares))


def quadratic_discriminant(
    x: Any,
    t: Any,
    sample_weight: Any = None,
    *,
    classes: int | None = None,
    priors: Any = None,
    shrinkage: float = 0.0,
    unbiased: bool = False,
) -> GaussianClassifier:
    """Σ_k = (1/N_k) Σ_{n∈k} (x_n - μ_k)(x_n - μ_k)ᵀ;   μ_k and π_k as for `linear_discriminant`

    Maximum likelihood with a covariance for each class (QDA): boundaries are conic sections. Arguments and
    errors are those of `linear_discriminant`; unbiased=True divides by N_k - 1.

    Source: Hastie, Tibshirani & Friedman (2009), "The Elements of Statistical Learning", equation 4.12.
    """
    x, labels, p, means, shares = _groups(x, t, sample_weight, classes, shrinkage)
    covariances = []
    for k, mean in enumerate(means):
        q = np.where(labels == k, p, 0) / shares[k]
        covariance = ((x - mean).T * q) @ (x - mean)
        if as_flag(unbiased, "unbiased"):
            covariance = _unbiased(covariance, q, 1)
        covariances.append(_regular(covariance, x[labels == k], shrinkage, f"class {k}"))
    return GaussianClassifier(means, np.stack(covariances), _priors(priors, shares))


def _groups(x: Any, t: Any, sample_weight: Any, classes: int | None, shrinkage: Any) -> tuple[Any, ...]:
    real = isinstance(shrinkage, numbers.Real) and not isinstance(shrinkage, bool)
    if not real or not 0 <= float(shrinkage) <= 1:
        raise ConfigError(f"shrinkage must lie between 0 and 1, not be {shrinkage!r}.")
    x = examples(x)
    labels, K = labels_of(x, t, classes)
    p = weights(x, sample_weight)
    shares = np.bincount(labels, weights=p, minlength=K)
    if (shares == 0).any():
        raise DataError(f"Class {int(shares.argmin())} has no examples (of weight above 0): it has no density.")
    means = np.stack([np.bincount(labels, weights=p * column, minlength=K) for column in x.T], axis=1)
    return x, labels, p, means / shares[:, None], shares


def _priors(priors: Any, shares: np.ndarray) -> np.ndarray:
    if priors is None:
        return shares
    priors = numbers_of(priors, "priors")
    if priors.shape != shares.shape:
        raise ShapeError(f"priors must have the shape {shares.shape}, one for each class, not {priors.shape}.")
    if not (priors >= 0).all() or not np.isclose(priors.sum(), 1):
        raise ConfigError(f"priors must be 0 or more and sum to 1, not {priors.tolist()}.")
    return priors


def _unbiased(covariance: np.ndarray, p: np.ndarray, means: int) -> np.ndarray:
    """Σ n/(n - means) with the number of examples n = 1/Σ p², or infinity where that is no number."""
    n = 1 / float(p @ p)
    return covariance * (n / (n - means)) if n - means > 1e-9 * n else np.full_like(covariance, np.inf)


def _regular(covariance: np.ndarray, x: np.ndarray, shrinkage: float, where: str) -> np.ndarray:
    """The covariance, shrunk; refused where it has no inverse. Judged without the units of the features."""
    d, mend = len(covariance), "Leave features out, reduce them by pca, or give a shrinkage such as 0.1."
    if not np.isfinite(covariance).all():
        raise DataError(
            f"The covariance within {where} has no unbiased estimate from {counted(len(x), 'example')}: "
            "unbiased=False has one."
        )
    if shrinkage:
        covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
    variances = np.diag(covariance)
    # What is left of a constant is the rounding of its mean.
    constant = variances <= (len(x) * np.finfo(np.float64).eps * np.abs(x).max(axis=0)) ** 2
    if constant.all():
        raise DataError(
            f"No feature varies within {where} ({counted(len(x), 'example')}): a Gaussian has no width there, however "
            "it is shrunk. Add examples, or leave these out."
        )
    if constant.any():
        raise DataError(f"Feature {int(constant.argmax())} is constant within {where}: no covariance inverse. {mend}")
    scale = np.sqrt(variances)
    smallest = float(np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0])
    if smallest <= 10 * d * np.finfo(np.float64).eps:
        raise DataError(
            f"The covariance within {where} is singular: {d} features are linearly dependent on its {len(x)} examples. "
            f"{mend}"
        )
    return covariance

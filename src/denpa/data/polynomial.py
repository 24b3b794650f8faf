"""Powers and products of the features, with which a linear network fits polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.checks import want_positive
from denpa.core.shapes import want
from denpa.data.checks import check_x, unmasked
from denpa.data.normalise import Normalizer

__all__ = ["PolynomialFeatures"]


@dataclass(frozen=True)
class PolynomialFeatures(Normalizer):
    """y = (x_1, x_1², ..., x_1^M, x_2, ..., x_d^M)      x (batch, d) -> y (batch, d M); needs no statistics

    Behind it one `Dense` fits b + Σ_i Σ_j w_ij x_i^j; there are no products of different features, but for
    products=True: then all of 1 to M factors, as a rule far more,

        y = (x_1, ..., x_d, x_1², x_1 x_2, ..., x_d², x_1³, x_1² x_2, ...)      (batch, (d+M choose M) - 1)

    Bring x to [-1, 1] before, by `MinMax(-1, 1)`, and standardise after: powers of large numbers differ too much in
    size for gradient descent.

    Args:
        degree: M, 1 or more.
        products: whether different features are multiplied too.

    Raises:
        ConfigError: a degree that is no whole number from 1.
        DataError (fit): no examples, NaN or infinity.
        ShapeError: x is not (batch, d).

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 1.1.
    """

    degree: int
    products: bool = False

    def validate(self) -> None:
        """Refuse a degree below 1."""
        want_positive(self, "degree")

    def fit(self, x: Any) -> dict[str, Any]:
        x = unmasked(x, "x", "the training examples")
        check_x(x, where="the training examples")
        want(self, "n d", x)
        return {}

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        x = x if hasattr(x, "astype") else np.asarray(x)
        want(self, "n d", x)
        x = x.astype(np.float32) if x.dtype.kind in "biu" else x
        if self.products:
            return _monomials(x, self.degree)
        powers = x[:, :, None] ** np.arange(1, self.degree + 1).astype(x.dtype)
        return powers.reshape(len(x), -1)


def _monomials(x: Any, degree: int) -> Any:
    """All products of 1 to M features: those of m + 1 are those of m, times each feature from the last factor on."""
    d = x.shape[1]
    last = np.arange(d)  # the last factor of every product so far
    products = [x]
    for _ in range(degree - 1):
        before, factor = np.nonzero(last[:, None] <= np.arange(d))
        products.append(products[-1][:, before] * x[:, factor])
        last = factor
    return x.__array_namespace__().concat(products, axis=1)

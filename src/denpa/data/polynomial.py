"""Powers of the features, with which a linear network fits polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError
from denpa.core.shapes import want
from denpa.data.checks import check_x
from denpa.data.normalise import Normalizer

__all__ = ["PolynomialFeatures"]


@dataclass(frozen=True)
class PolynomialFeatures(Normalizer):
    """y = (x_1, x_1², ..., x_1^M, x_2, ..., x_d^M)      x (batch, d) -> y (batch, d M); needs no statistics

    Behind it one `Dense` fits b + Σ_i Σ_j w_ij x_i^j; there are no products of different features. Bring x
    to [-1, 1] before, by `MinMax(-1, 1)`, and standardise after: powers of large numbers differ too much in
    size for gradient descent.

    Args:
        degree: M, 1 or more.

    Raises:
        ConfigError: a degree that is no whole number from 1.
        ShapeError (apply): x is not (batch, d).

    Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 1.1.
    """

    degree: int

    def validate(self) -> None:
        """Refuse a degree below 1."""
        if isinstance(self.degree, bool) or not isinstance(self.degree, int) or self.degree < 1:
            raise ConfigError(f"PolynomialFeatures.degree must be a whole number, 1 or more, not {self.degree!r}.")

    def fit(self, x: Any) -> dict[str, Any]:
        x = np.asarray(x)
        check_x(x, where="the training examples")
        want(self, "n d", x)
        return {}

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        x = x if hasattr(x, "astype") else np.asarray(x)
        want(self, "n d", x)
        x = x.astype(np.float32) if x.dtype.kind in "biu" else x
        powers = x[:, :, None] ** np.arange(1, self.degree + 1).astype(x.dtype)
        return powers.reshape(len(x), -1)

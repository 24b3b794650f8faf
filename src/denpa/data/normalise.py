"""Normalisers: bring the components of x to a common scale with statistics of the TRAINING examples.

A normaliser is a description. `fit(x)` computes its statistics, a dict of arrays that is kept beside
the parameters of the network; `apply(arrays, x)` and `invert(arrays, y)` use them. `apply` is made of
operators alone, so that one text serves NumPy arrays and JAX arrays, inside and outside of `jit`.

Source of centring and scaling: LeCun, Bottou, Orr & Müller (1998), "Efficient BackProp", section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from denpa.core.checks import want_not_negative
from denpa.core.description import Description
from denpa.core.errors import ConfigError, DataError
from denpa.core.keys import numbered
from denpa.core.shapes import want
from denpa.data.checks import check_x, unmasked
from denpa.data.statistics import inverse, kept, mean_and_variance, minimum_and_maximum

__all__ = ["MinMax", "Normalizer", "Pipeline", "ScaleImages", "Standardize"]


class Normalizer(Description):
    """Base of all normalisers: `fit(x) -> arrays`, `apply(arrays, x) -> y`, `invert(arrays, y) -> x`.

    Attributes:
        learns: whether it needs the statistics of training examples.
    """

    learns: ClassVar[Any] = True

    def fit(self, x: Any) -> dict[str, Any]:
        """Statistics of the training examples x (batch, ...), computed in float64, kept in float32."""
        raise NotImplementedError(f"{type(self).__name__} must define fit(x) -> arrays.")

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        """The normalised examples, in the precision of x (float32 where x holds integers)."""
        raise NotImplementedError(f"{type(self).__name__} must define apply(arrays, x).")

    def invert(self, arrays: dict[str, Any], y: Any) -> Any:
        """The examples that `apply` would have turned into y, up to rounding."""
        raise ConfigError(f"{self!r} cannot be inverted.")


@dataclass(frozen=True)
class Standardize(Normalizer):
    """y_i = (x_i - m_i) / s_i,   m_i = (1/N) sum_n x_ni,   s_i^2 = (1/N) sum_n (x_ni - m_i)^2 + epsilon

    x (batch, ...) -> y of the same shape. On the training examples every component of y has mean 0 and
    variance 1; a component that is constant there gives y_i = 0, without any division.

    arrays: `mean`, `scale` (s, 0 where constant), `inverse_scale` (1/s, 0 where constant).

    Args:
        epsilon: added to the variance; 0 gives variance 1 exactly.
        per: "feature": one mean and scale for every entry of an example; "channel": one for every
            entry of the last axis, over all other axes (images NHWC, sequences).

    Raises:
        ConfigError: an epsilon below 0.
        DataError (fit): no examples, NaN, infinity, or statistics beyond the range of float32.
        ShapeError (apply): examples of another shape than those of the fit.
    """

    epsilon: float = 0.0
    per: Literal["feature", "channel"] = "feature"

    def validate(self) -> None:
        """Refuse a negative epsilon."""
        want_not_negative(self, "epsilon")

    def fit(self, x: Any) -> dict[str, Any]:
        mean, variance = mean_and_variance(_training_examples(x), self.per)
        scale = np.where(variance > 0, np.sqrt(variance + self.epsilon), 0.0)
        return kept(self, mean=mean, scale=scale, inverse_scale=inverse(scale))

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        x = _checked(self, arrays["mean"], x)
        return (x - _like(arrays["mean"], x)) * _like(arrays["inverse_scale"], x)

    def invert(self, arrays: dict[str, Any], y: Any) -> Any:
        y = _checked(self, arrays["mean"], y)
        return y * _like(arrays["scale"], y) + _like(arrays["mean"], y)


@dataclass(frozen=True)
class MinMax(Normalizer):
    """y_i = low + (high - low) (x_i - min_i) / (max_i - min_i)

    x (batch, ...) -> y of the same shape, inside [low, high] on the training examples. Other examples may
    lie outside; they are not clipped. A component that is constant in training gives y_i = low.

    arrays: `minimum`, `range` (max - min), `inverse_range` (1 / range, 0 where constant).

    Args:
        low, high: the interval.
        per: as in `Standardize`.

    Raises:
        ConfigError: a `low` that is not below `high`.
        DataError (fit): no examples, NaN, infinity, or statistics beyond the range of float32.
        ShapeError (apply): examples of another shape than those of the fit.
    """

    low: float = 0.0
    high: float = 1.0
    per: Literal["feature", "channel"] = "feature"

    def validate(self) -> None:
        """Refuse an empty interval."""
        if not self.low < self.high:
            raise ConfigError(f"MinMax wants low < high, not low={self.low}, high={self.high}.")

    def fit(self, x: Any) -> dict[str, Any]:
        lowest, highest = minimum_and_maximum(_training_examples(x), self.per)
        span = highest - lowest
        return kept(self, minimum=lowest, range=span, inverse_range=inverse(span))

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        x = _checked(self, arrays["minimum"], x)
        portion = (x - _like(arrays["minimum"], x)) * _like(arrays["inverse_range"], x)
        return portion * (self.high - self.low) + self.low

    def invert(self, arrays: dict[str, Any], y: Any) -> Any:
        y = _checked(self, arrays["minimum"], y)
        portion = (y - self.low) / (self.high - self.low)
        return portion * _like(arrays["range"], y) + _like(arrays["minimum"], y)


@dataclass(frozen=True)
class ScaleImages(Normalizer):
    """y = x / maximum: pixel values 0..maximum become 0..1. Any shape; needs no statistics.

    Args:
        maximum: the largest value a pixel can take: 255 for 8-bit images, 16 for the data set digits.

    Raises:
        ConfigError: a maximum that is not positive.
        DataError (fit): a pixel below 0 or above `maximum`.
    """

    maximum: float = 255.0
    learns: ClassVar[Any] = False

    def validate(self) -> None:
        """Refuse a maximum that is not positive."""
        if self.maximum <= 0:
            raise ConfigError(f"ScaleImages.maximum must be positive, not {self.maximum}.")

    def fit(self, x: Any) -> dict[str, Any]:
        x = _training_examples(x)
        low, high = np.min(x), np.max(x)
        if low < 0 or high > self.maximum:
            raise DataError(
                f"{self!r} wants pixels from 0 to {self.maximum:g}, but they go from {low:g} to {high:g}. "
                f"Give the largest value as ScaleImages(maximum=...), or use Standardize()."
            )
        return {}

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        return _as_float(x) / self.maximum

    def invert(self, arrays: dict[str, Any], y: Any) -> Any:
        return _as_float(y) * self.maximum


@dataclass(frozen=True)
class Pipeline(Normalizer):
    """y = n_K(... n_2(n_1(x))): several normalisers in order, each fitted to what the ones before make.

    arrays: a dict by position and class, `0_scaleimages`, `1_standardize`, of each one's arrays.

    Args:
        steps: n_1, n_2, ..., n_K.

    Raises:
        ConfigError: no step, or one that is no normaliser.
    """

    steps: tuple[Normalizer, ...]

    @property
    def learns(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one of the steps does."""
        return any(step.learns for step in self.steps)

    def validate(self) -> None:
        """Refuse an empty pipeline and steps that are no normalisers."""
        if not isinstance(self.steps, tuple) or not self.steps:
            raise ConfigError("Pipeline wants a list of one normaliser or more: Pipeline([ScaleImages(), ...]).")
        for step in self.steps:
            if not isinstance(step, Normalizer):
                raise ConfigError(f"Pipeline wants normalisers such as Standardize(), not {step!r}.")

    def _named(self) -> Iterator[tuple[str, Normalizer]]:
        yield from zip(numbered([type(step).__name__.lower() for step in self.steps]), self.steps, strict=True)

    def fit(self, x: Any) -> dict[str, Any]:
        arrays = {}
        for name, step in self._named():
            arrays[name] = step.fit(x)
            x = step.apply(arrays[name], x)
        return arrays

    def apply(self, arrays: dict[str, Any], x: Any) -> Any:
        # A step without statistics has no arrays, and an empty dict may be lost when arrays are stored by path.
        for name, step in self._named():
            x = step.apply(arrays.get(name, {}), x)
        return x

    def invert(self, arrays: dict[str, Any], y: Any) -> Any:
        for name, step in reversed(list(self._named())):
            y = step.invert(arrays.get(name, {}), y)
        return y


def _training_examples(x: Any) -> np.ndarray:
    x = unmasked(x, "x", "the training examples")
    check_x(x, where="the training examples")
    return x


def _as_float(x: Any) -> Any:
    x = x if hasattr(x, "astype") else np.asarray(x)
    return x.astype(np.float32) if x.dtype.kind in "biu" else x


def _like(statistic: Any, x: Any) -> Any:
    return statistic.astype(x.dtype)


def _checked(owner: Any, statistic: Any, x: Any) -> Any:
    x = _as_float(x)
    if owner.per == "feature":
        want(owner, " ".join(["n", *map(str, statistic.shape)]), x)
    elif statistic.shape:
        want(owner, "... c", x, {"c": statistic.shape[0]})
    return x

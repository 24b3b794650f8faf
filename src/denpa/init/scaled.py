"""Initialisers whose variance is set by the number of connections.

A pre-activation sums fan_in products, so Var(u) = fan_in Var(w) E[z^2]: it keeps its size from layer to
layer only if Var(w) shrinks as 1/fan_in. Formulas give STANDARD DEVIATIONS sd; Var(w) = sd^2. (Some texts
write N(0, 1/sqrt(n)) and mean the standard deviation by it.) A uniform draw from [-a, a] has variance
a^2/3; its bound is chosen so that the variance is that of the normal form.

| name   | Var(w)                 | for                                             |
|--------|------------------------|-------------------------------------------------|
| LeCun  | 1 / fan_in             | sigmoid, tanh, linear units                     |
| Glorot | 2 / (fan_in + fan_out) | tanh and other functions symmetric about 0      |
| He     | 2 / fan_in             | ReLU, which lets half of its inputs pass        |

"Xavier" names two of these: Glorot (Xavier is Glorot's first name; so in Keras and PyTorch) and, in several
textbooks and in Caffe, 1/sqrt(fan_in), which is LeCun. The two agree only where fan_in = fan_out. denpa has
no Xavier: say which you mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax

from denpa.core.errors import ShapeError
from denpa.core.shapes import as_shape
from denpa.init.base import Initializer, fans, precisions

__all__ = ["Glorot", "He", "LeCun"]


class _Scaled(Initializer):
    """Zero mean and the variance that `variance(fan_in, fan_out)` names."""

    distribution: Literal["normal", "uniform"]
    reads_fan_out: ClassVar[bool] = False

    def variance(self, fan_in: int, fan_out: int) -> float:
        """The variance of each entry."""
        raise NotImplementedError

    def sample(
        self, key: jax.Array, shape: Any, *, fan_in: int | None = None, fan_out: int | None = None, dtype: Any = None
    ) -> jax.Array:
        sizes = as_shape(shape, "shape")
        if fan_in is None or (fan_out is None and self.reads_fan_out):
            own_in, own_out = fans(sizes)
            fan_in = own_in if fan_in is None else fan_in
            fan_out = own_out if fan_out is None else fan_out
        fan_out = fan_in if fan_out is None else fan_out  # `variance` does not read it then
        if fan_in < 1 or fan_out < 1:
            raise ShapeError(f"{self!r} needs positive fans, not fan_in={fan_in}, fan_out={fan_out}.")
        wanted, drawn = precisions(dtype)
        sd = math.sqrt(self.variance(fan_in, fan_out))
        if self.distribution == "normal":
            return (sd * jax.random.normal(key, sizes, drawn)).astype(wanted)
        bound = math.sqrt(3) * sd
        return jax.random.uniform(key, sizes, drawn, -bound, bound).astype(wanted)


@dataclass(frozen=True)
class LeCun(_Scaled):
    """normal: w ~ N(0, sd = sqrt(1/fan_in));   uniform: w ~ U(-a, a), a = sqrt(3/fan_in);   Var(w) = 1/fan_in

    A unit that sums fan_in inputs of variance 1 has variance 1. This is what several texts call "Xavier".

    Args:
        distribution: "normal" or "uniform".

    Source: LeCun, Bottou, Orr and Müller (1998), Efficient BackProp, eq. 16.
    """

    distribution: Literal["normal", "uniform"] = "normal"

    def variance(self, fan_in: int, fan_out: int) -> float:
        return 1 / fan_in


@dataclass(frozen=True)
class Glorot(_Scaled):
    """normal: w ~ N(0, sd = sqrt(2/(fan_in + fan_out)));   uniform: w ~ U(-a, a), a = sqrt(6/(fan_in + fan_out));
    Var(w) = 2/(fan_in + fan_out)

    The mean of two wishes: 1/fan_in keeps the variance of the values going forward, 1/fan_out that of the
    deltas going back. Derived for linear units; meant for activations symmetric about 0. Xavier is Glorot's
    first name, but "Xavier" is used for `LeCun` as well: the two differ unless fan_in = fan_out.

    Args:
        distribution: "normal" or "uniform".

    Source: Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural
    networks, eq. 12 (variance) and 16 (uniform).
    """

    distribution: Literal["normal", "uniform"] = "normal"
    reads_fan_out: ClassVar[bool] = True

    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / (fan_in + fan_out)


@dataclass(frozen=True)
class He(_Scaled):
    """normal: w ~ N(0, sd = sqrt(2/fan_in));   uniform: w ~ U(-a, a), a = sqrt(6/fan_in);   Var(w) = 2/fan_in

    Twice the variance of `LeCun`: a ReLU passes half of its inputs, so E[z^2] is half of Var(u) below.

    Args:
        distribution: "normal" or "uniform".

    Source: He, Zhang, Ren and Sun (2015), Delving deep into rectifiers, eq. 10.
    """

    distribution: Literal["normal", "uniform"] = "normal"

    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / fan_in

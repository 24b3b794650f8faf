"""The numbers of a worksheet: one example through `denpa.trace`, and the same gradients by central differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.layer import Context, Variables
from denpa.gradients import Trace, trace
from denpa.lab.worksheet.document import Text
from denpa.lab.worksheet.network import DenseNetwork
from denpa.lab.worksheet.numbers import visible
from denpa.layers import LeakyReLU, ReLU
from denpa.losses import CrossEntropy
from denpa.testing import oracle

__all__ = ["Example"]

_FEW_INPUTS = 16
_STEP = 1e-5
_KINK = 1e-3  # |u| from which on both sides of a difference lie on one piece of a rectifier, deep down as well


@dataclass(frozen=True, eq=False)
class Example:
    """One example in float64.

    Attributes:
        x: (inputs,).
        d: (outputs,), the teacher signal.
        params: W and b under the names of `DenseNetwork.network`.
        met: what back-propagation met: met["u1"].y is u^(1), met["u1"].dy its delta.
        slopes: (E(w + h) - E(w - h)) / 2h like `params`; NaN at places that a worksheet does not show.
        learning_rate: of the update.
        after: E for the same example after one step of gradient descent.
        origin: where the numbers come from.
    """

    x: np.ndarray
    d: np.ndarray
    params: dict[str, Any]
    met: Trace
    slopes: dict[str, Any]
    learning_rate: float
    after: float
    origin: Text

    @classmethod
    def of(cls, net: DenseNetwork, x: Any, d: Any, params: Any, origin: Text, learning_rate: float = 0.1) -> Example:
        """The walk forward and backward of one example, as it is outside training.

        Args:
            net: the network.
            x: (inputs,).
            d: (outputs,).
            params: W (in, units) and b (units,) under the names of `DenseNetwork.network`.
            origin: where the numbers come from, in words.
            learning_rate: of the update; a tenth of it, or less, where the error would rise by the step.
        """
        with jax.enable_x64(True):
            x, d, params = (oracle.in_float64(part) for part in (np.asarray(x), np.asarray(d, np.float64), params))
            params |= {f"y{level}": {} for level in range(1, net.depth + 1)}
            met = trace(net.network, net.loss, Variables(params, {}), x[None], d[None], train=False)
            rate, after = _descended(net, x[None], d[None], params, met, learning_rate)
            slopes = _slopes(net, x[None], d[None], params)
            return cls(x, d, params, met, slopes, rate, after, origin)

    @classmethod
    def drawn(cls, net: DenseNetwork, seed: int = 0) -> Example:
        """Numbers with one decimal, easy to reckon with by hand: x, W and b from ±0.1, ±0.2, ..., ±0.9.

        W of a layer with many inputs is a tenth or a hundredth of that, so that u does not grow with their number:
        a softmax of large u is so near to 0 and 1 that the loss cuts it off, and its slope with it.

        A bias that brings a rectifier's u to 0, or so near that a difference of the error would see the kink, has the
        other sign.
        """
        rng = np.random.default_rng(seed)

        def tenths(*shape: int) -> np.ndarray:
            return rng.integers(1, 10, shape) * rng.choice([-1, 1], shape) / 10

        sizes = zip(net.sizes, net.sizes[1:], strict=False)
        params = {
            f"u{level}": {"W": tenths(*pair) / 10 ** _more_decimals(pair[0]), "b": tenths(pair[1])}
            for level, pair in enumerate(sizes, 1)
        }
        outputs = net.sizes[-1]
        if isinstance(net.loss, CrossEntropy):
            d = np.eye(outputs)[rng.integers(outputs)]
        else:
            d = tenths(outputs) if net.loss.expects == "values" else rng.integers(0, 2, outputs)
        text = _of_drawn(seed, 1 + max(_more_decimals(size) for size in net.sizes[:-1]))
        x = tenths(net.sizes[0])
        _leave_kinks(net, x, params)
        return cls.of(net, x, d, params, text)

    def u(self, level: int) -> np.ndarray:
        """u^(level), (units,)."""
        return np.asarray(self.met[f"u{level}"].y)[0]

    def y(self, level: int) -> np.ndarray:
        """y^(level), (units,); x for level 0."""
        return self.x if level == 0 else np.asarray(self.met[f"y{level}"].y)[0]

    def delta(self, level: int) -> np.ndarray:
        """∂E/∂u^(level), (units,)."""
        return np.asarray(self.met[f"u{level}"].dy)[0]

    def back(self, level: int) -> np.ndarray:
        """∂E/∂y^(level), (units,)."""
        return np.asarray(self.met[f"y{level}"].dy)[0]

    def gradient(self, level: int, name: str) -> np.ndarray:
        """∂E/∂W^(level) (units, inputs) or ∂E/∂b^(level) (units,), in the order of textbooks."""
        return np.asarray(self.met[f"u{level}"].grads[name]).T

    def slope(self, level: int, name: str) -> np.ndarray:
        """The same by central differences."""
        return np.asarray(self.slopes[f"u{level}"][name]).T


def _descended(
    net: DenseNetwork, x: np.ndarray, d: np.ndarray, params: dict[str, Any], met: Trace, rate: float
) -> tuple[float, float]:
    """The learning rate, and E after one step of gradient descent, which is too long in wide layers at times."""

    def after(rate: float) -> float:
        moved = jax.tree.map(lambda w, slope: w - rate * np.asarray(slope), params, met.grads)
        return float(trace(net.network, net.loss, Variables(moved, {}), x, d, train=False).loss)

    rates = (rate / 10**tenths for tenths in range(6))
    rate = next((shorter for shorter in rates if after(shorter) <= float(met.loss)), rate)
    return rate, after(rate)


def _more_decimals(inputs: int) -> int:
    """0 for up to 16 inputs, 1 for up to 1,600, and so on: the spread of u grows with the root of their number."""
    return max(0, math.ceil(math.log10(inputs / _FEW_INPUTS) / 2))


def _of_drawn(seed: int, decimals: int) -> Text:
    if decimals == 1:
        return Text(
            f"The numbers are drawn with seed {seed}: inputs, weights and biases with one decimal.",
            f"数値はシード{seed}の乱数で、入力・重み・バイアスは小数第1位までの数である。",
        )
    return Text(
        f"The numbers are drawn with seed {seed}: inputs and biases with one decimal, weights with up to {decimals}.",
        f"数値はシード{seed}の乱数で、入力・バイアスは小数第1位まで、重みは小数第{decimals}位までの数である。",
    )


def _leave_kinks(net: DenseNetwork, x: np.ndarray, params: dict[str, Any]) -> None:
    """Turn the sign of biases that bring a rectifier to its kink; u is then off by twice the bias, 0.2 or more."""
    y = x[None]
    for level, layer in enumerate(net.activations, 1):
        W, b = params[f"u{level}"].values()
        if isinstance(layer, (ReLU, LeakyReLU)):
            b *= np.where(np.abs(y @ W + b)[0] < _KINK, -1, 1)
        y = np.asarray(layer.forward({}, y @ W + b, Context(train=False))[0])


def _slopes(net: DenseNetwork, x: Any, d: Any, params: Any) -> Any:
    """Central differences at the places that a worksheet shows: those of a large matrix would take long."""
    network = net.network

    def energy(at: Any) -> Any:
        return net.loss.value(network.forward(at, x, Context(False, None, {}))[0], d)

    chosen = []
    for places in tree.flatten(oracle.numbered(params)).values():
        seen = places[visible(len(places))]
        chosen.append((seen if seen.ndim == 1 else seen[:, visible(seen.shape[1])]).ravel())
    return oracle.central_differences(energy, params, _STEP, np.concatenate(chosen).astype(int))[0]

"""Which networks a worksheet is for: dense layers in a row, each with its activation, and a loss that fits the last."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from denpa.core.errors import ConfigError, nearest
from denpa.core.layer import Layer
from denpa.data.counted import counted
from denpa.layers import Dense, Dropout, Flatten, GaussianNoise, Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from denpa.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from denpa.networks import Sequential

__all__ = ["DenseNetwork", "is_short"]

_ACTIVATIONS = {
    "identity": Identity(),
    "leakyrelu": LeakyReLU(),
    "relu": ReLU(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
}
_OUTPUTS = {
    "identity": (Identity(), MeanSquaredError()),
    "sigmoid": (Sigmoid(), BinaryCrossEntropy()),
    "softmax": (Softmax(), CrossEntropy()),
}
_ELEMENTWISE = tuple(type(layer) for layer in _ACTIVATIONS.values())
_SUPPORTED = (
    "A worksheet is for Dense layers in a row, each followed by Sigmoid, Tanh, ReLU, LeakyReLU or Identity; Softmax "
    "may stand at the end, Flatten in front, and Dropout and GaussianNoise are left out."
)
_SHORT = re.compile(r"\d+(-\d+)+(:.*)?")


@dataclass(frozen=True)
class DenseNetwork:
    """y^(l) = h^(l)(u^(l)),  u^(l) = W^(l) y^(l-1) + b^(l),  l = 1..L,  y^(0) = x, and an error E(y^(L), d).

    Args:
        sizes: units of every layer, the inputs first.
        activations: h^(1), ..., h^(L).
        biases: whether each layer has one.
        loss: E, on values (`MeanSquaredError`) or on probabilities (`BinaryCrossEntropy`, `CrossEntropy`).
        places: where the parameters of each layer stand in the network that this was taken from.
        left_out: layers that do nothing outside training.
    """

    sizes: tuple[int, ...]
    activations: tuple[Layer, ...]
    biases: tuple[bool, ...]
    loss: Loss
    places: tuple[tuple[str, ...], ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, network: Any, loss: Loss, in_shape: tuple[int, ...]) -> DenseNetwork:
        """The layers of a network, numbered as in textbooks.

        Raises:
            ConfigError: a layer or a loss that a worksheet does not know; it is named with what is supported.
        """
        denses: list[Dense] = []
        activations: list[Layer | None] = []
        places, left_out, flat = [], [], len(in_shape) == 1
        for place, layer in _rows(network):
            name = "/".join(place)
            if isinstance(layer, Flatten) and not denses:
                flat = True
            elif isinstance(layer, (Dropout, GaussianNoise)):
                left_out.append(name)
            elif isinstance(layer, Dense) and flat:
                denses.append(layer)
                activations.append(None)
                places.append(place)
            elif isinstance(layer, (*_ELEMENTWISE, Softmax)) and denses and activations[-1] is None:
                activations[-1] = layer
            else:
                raise ConfigError(f"Layer {name!r} is {layer!r}, which a worksheet cannot derive here. {_SUPPORTED}")
        if not denses:
            raise ConfigError(f"The network has no Dense layer. {_SUPPORTED}")
        *hidden, last = (Identity() if layer is None else layer for layer in activations)
        if any(isinstance(layer, Softmax) for layer in hidden):
            raise ConfigError(f"Softmax stands before the last layer. {_SUPPORTED}")
        last, loss = _output(last, loss)
        return cls(
            (math.prod(in_shape), *(dense.units for dense in denses)),
            (*hidden, last),
            tuple(dense.use_bias for dense in denses),
            loss,
            tuple(places),
            tuple(left_out),
        )

    @classmethod
    def short(cls, text: str) -> DenseNetwork:
        """The network of a short description: SIZES, SIZES:HIDDEN or SIZES:HIDDEN:OUTPUT.

            3-4-2:sigmoid:softmax        3 inputs, 4 sigmoid units, 2 softmax units with cross-entropy
            2-5-5-1:tanh,relu:identity   an activation for each hidden layer; identity means the squared error

        Hidden layers are sigmoid where nothing is said, the output is softmax, or sigmoid for a single unit.

        Raises:
            ConfigError: no such description, or an unknown activation (the nearest is named).
        """
        numbers, _, names = text.partition(":")
        if not is_short(text) or "0" in numbers.split("-"):
            raise ConfigError(f"{text!r} describes no network: write 3-4-2, 3-4-2:relu or 3-4-2:sigmoid:softmax.")
        sizes = tuple(map(int, numbers.split("-")))
        inner = len(sizes) - 2
        named, _, output = names.partition(":")
        if inner == 0 and not output:
            named, output = "", named  # 3-2:softmax
        hidden = [_known(name, _ACTIVATIONS) for name in named.split(",")] if named else [Sigmoid()] * inner
        hidden = hidden * inner if len(hidden) == 1 and inner else hidden
        if len(hidden) != inner:
            named, layers = counted(len(hidden), "activation"), counted(inner, "hidden layer")
            raise ConfigError(f"{text!r} names {named} for {layers}.")
        last, loss = _known(output or ("softmax" if sizes[-1] > 1 else "sigmoid"), _OUTPUTS)
        if isinstance(last, Softmax) and sizes[-1] == 1:
            raise ConfigError(f"{text!r}: softmax wants two units or more; for a single one take sigmoid.")
        return cls(sizes, (*hidden, last), (True,) * (len(sizes) - 1), loss)

    @property
    def depth(self) -> int:
        """L, the number of layers that compute."""
        return len(self.activations)

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        pairs = zip(self.sizes, self.sizes[1:], self.biases, strict=False)
        return sum(after * (before + bias) for before, after, bias in pairs)

    @property
    def network(self) -> Sequential:
        """The same as a `Sequential`, whose layers are called u1, y1, u2, y2, ... after their outputs."""
        layers: list[tuple[str, Layer]] = []
        for level, activation in enumerate(self.activations, 1):
            layers.append((f"u{level}", Dense(self.sizes[level], use_bias=self.biases[level - 1])))
            layers.append((f"y{level}", activation))
        return Sequential(tuple(layers))

    def params_of(self, params: Any) -> dict[str, Any]:
        """The parameters of the network that this was taken from, under the names of `network`."""
        found: dict[str, Any] = {}
        for level, place in enumerate(self.places, 1):
            inside = params
            for name in place:
                inside = inside[name]
            found[f"u{level}"] = dict(inside)
        return found


def is_short(text: str) -> bool:
    """Whether a text has the form of a short description."""
    return _SHORT.fullmatch(text) is not None


def _rows(network: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Layer]]:
    """The layers of rows within rows, with the names on the way to each."""
    if not isinstance(network, Sequential):
        raise ConfigError(f"The network is a {type(network).__name__}, not a Sequential. {_SUPPORTED}")
    for name, layer in network.inner():
        if isinstance(layer, Sequential):
            yield from _rows(layer, (*above, name))
        else:
            yield (*above, name), layer


def _output(last: Layer, loss: Loss) -> tuple[Layer, Loss]:
    """The output's activation and an error on what it gives: a loss on logits holds its activation within."""
    if isinstance(loss, SigmoidCrossEntropy) and isinstance(last, Identity):
        return Sigmoid(), BinaryCrossEntropy()
    if isinstance(loss, BinaryCrossEntropy) and isinstance(last, Sigmoid):
        return last, BinaryCrossEntropy()
    if isinstance(loss, (SoftmaxCrossEntropy, CrossEntropy)):
        plain = replace(loss, reduction="mean") in (SoftmaxCrossEntropy(), CrossEntropy())
        if plain and isinstance(last, Identity if isinstance(loss, SoftmaxCrossEntropy) else Softmax):
            return Softmax(), CrossEntropy()
    if isinstance(loss, MeanSquaredError) and loss.half and not isinstance(last, Softmax):
        return last, MeanSquaredError()
    raise ConfigError(
        f"{loss!r} behind {last!r} is not derived in a worksheet: take MeanSquaredError() behind an activation, "
        "SigmoidCrossEntropy() or SoftmaxCrossEntropy() without class weights and smoothing behind Dense, "
        "BinaryCrossEntropy() behind Sigmoid, or CrossEntropy() behind Softmax."
    )


def _known(name: str, among: dict[str, Any]) -> Any:
    if name not in among:
        raise ConfigError(f"Unknown activation {name!r}: {nearest(name, among, plural='activations')}")
    return among[name]

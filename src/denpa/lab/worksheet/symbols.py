r"""The letters of a derivation, and what depends on an activation, as sources for `formula.read`.

A unit of the output layer is k, one of a hidden layer j, one of the layer below i (below the output layer j): in a
network of three layers these are the indices i, j, k of inputs, hidden units and outputs.
"""

from __future__ import annotations

from denpa.core.layer import Layer
from denpa.lab.worksheet.document import Text
from denpa.lab.worksheet.network import DenseNetwork
from denpa.layers import Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh

__all__ = ["Level", "derivative", "derivative_matrix", "function", "named", "slope"]


class Level:
    """The letters of one layer of a network."""

    def __init__(self, net: DenseNetwork, level: int) -> None:
        self.number, self.size, self.inputs = level, net.sizes[level], net.sizes[level - 1]
        self.unit = "k" if level == net.depth else "j"
        self.source = "j" if level == net.depth > 1 else "i"
        self.activation, self.bias = net.activations[level - 1], net.biases[level - 1]

    def u(self, unit: str = "") -> str:
        """u of a unit of this layer."""
        return f"u_{unit or self.unit}^({self.number})"

    def y(self, unit: str = "") -> str:
        """y of a unit of this layer."""
        return f"y_{unit or self.unit}^({self.number})"

    def w(self, unit: str = "", source: str = "") -> str:
        """The weight from a unit below to a unit of this layer."""
        return f"w_{{{unit or self.unit}{source or self.source}}}^({self.number})"

    def b(self, unit: str = "") -> str:
        """The bias of a unit of this layer."""
        return f"b_{unit or self.unit}^({self.number})"

    def delta(self, unit: str = "") -> str:
        """∂E/∂u of a unit of this layer."""
        return rf"\delta_{unit or self.unit}^({self.number})"

    def below(self, source: str = "") -> str:
        """The output of a unit of the layer below."""
        source = source or self.source
        return f"x_{source}" if self.number == 1 else f"y_{source}^({self.number - 1})"

    def whole(self, letter: str) -> str:
        """An array of this layer: W, B, U or Y."""
        return f"{letter}^({self.number})"

    @property
    def deltas(self) -> str:
        """The column of all deltas."""
        return rf"\mathbf{{\delta}}^({self.number})"

    @property
    def all_below(self) -> str:
        """The column of all outputs of the layer below."""
        return "X" if self.number == 1 else f"Y^({self.number - 1})"


def slope(above: str, below: str) -> str:
    """A partial derivative."""
    return rf"\frac{{\partial {above}}}{{\partial {below}}}"


def named(activation: Layer) -> Text:
    """What an activation is called."""
    names = {
        Identity: Text("identity", "恒等関数"),
        Sigmoid: Text("sigmoid", "シグモイド関数"),
        Tanh: Text("tanh", "双曲線正接関数"),
        ReLU: Text("ReLU", "ReLU"),
        LeakyReLU: Text("leaky ReLU", "Leaky ReLU"),
        Softmax: Text("softmax", "ソフトマックス関数"),
    }
    return names[type(activation)]


def function(level: Level) -> str:
    """h(u) of a unit."""
    u, activation = level.u(), level.activation
    match activation:
        case Sigmoid():
            return rf"\frac{{1}}{{1 + \exp(-{u})}}"
        case Tanh():
            return rf"\frac{{\exp({u}) - \exp(-{u})}}{{\exp({u}) + \exp(-{u})}}"
        case Softmax():
            return rf"\frac{{\exp({u})}}{{\sum_{{r=1}}^{{{level.size}}} \exp({level.u('r')})}}"
        case ReLU() | LeakyReLU():
            return _sides(activation, u, u, "0" if isinstance(activation, ReLU) else f"{activation.slope} {u}")
    return u


def derivative(level: Level) -> str:
    """h'(u) of a unit: by its output where that is enough."""
    y, activation = level.y(), level.activation
    match activation:
        case Sigmoid():
            return f"{y} (1 - {y})"
        case Tanh():
            return f"1 - ({y})^2"
        case ReLU() | LeakyReLU():
            return _sides(activation, level.u(), "1", "0" if isinstance(activation, ReLU) else f"{activation.slope}")
    return "1"


def derivative_matrix(level: Level) -> str:
    r"""What the column of deltas is multiplied with, unit by unit: `\odot ...`, or nothing."""
    y = level.whole("Y")
    match level.activation:
        case Sigmoid():
            return rf" \odot {y} \odot (1 - {y})"
        case Tanh():
            return rf" \odot (1 - {y} \odot {y})"
        case ReLU() | LeakyReLU():
            return rf" \odot {slope(y, level.whole('U'))}"
    return ""


def _sides(activation: ReLU | LeakyReLU, u: str, right: str, left: str) -> str:
    """Two cases; the kink belongs to the side that the layer takes."""
    at_zero = isinstance(activation, ReLU) and activation.derivative_at_zero == 1
    conditions = (rf"{u} \ge 0", f"{u} < 0") if at_zero else (f"{u} > 0", rf"{u} \le 0")
    return rf"\cases{{{right} & {conditions[0]} \\ {left} & {conditions[1]}}}"

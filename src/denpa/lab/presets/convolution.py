"""Presets of convolutional networks, for images of any size and of the user's own."""

from __future__ import annotations

from typing import Any

from denpa.core.errors import ConfigError
from denpa.core.symbolic import Input, Node
from denpa.data.normalise import ScaleImages
from denpa.init import Constant, He, LeCun, Normal
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.presets.blueprint import Options, Preset, brightest, cosine, fitting, refuse
from denpa.lab.sources import Look
from denpa.layers import (
    Add,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2d,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Tanh,
)
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Graph, Network, Sequential
from denpa.optim import Adam, Momentum, Transform
from denpa.penalties import L2, Penalty

__all__ = ["PRESETS"]


def digits_conv(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads handwritten digits of 8x8 pixels with two convolutions of 16 and 32 filters. Embedded data, seconds."""
    layers = [*_convolution(16), *_convolution(32), MaxPool2d(2), Dropout(0.25), *_head(options, look, (64,), 0.5)]
    return _experiment(name, options, look, data, layers, epochs=40, batch=32, rate=3e-3, largest=16.0)


def mnist_conv(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads MNIST with one convolution: 30 filters 5x5, pooling, 100 units; ReLU, a little dropout."""
    layers = [Conv2d(30, 5, kernel_init=He()), ReLU(), MaxPool2d(2), Dropout(0.25), *_head(options, look, (100,), 0.5)]
    return _experiment(name, options, look, data, layers, epochs=12)


def mnist_conv_deep(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Reads MNIST with six convolutions 3x3 of 16 to 64 filters, three poolings, 50 units with dropout; He start."""
    layers: list[Any] = []
    for filters in (16, 32, 64):
        layers += [*_convolution(filters), *_convolution(filters), MaxPool2d(2)]
    return _experiment(name, options, look, data, [*layers, *_head(options, look, (50,), 0.5)], epochs=15)


def lenet5(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """LeNet-5 of 1998: convolutions of 6, 16 and 120 filters 5x5, average pooling, tanh, 84 units."""
    refuse(name, options, hidden="layers")
    _at_least(name, look, 28)
    around = 2 if min(look.in_shape[:2]) < 32 else 0  # LeCun's images were MNIST's in a frame of 32 x 32
    layers: list[Any] = []
    for filters, padding in ((6, around), (16, 0)):
        layers += [Conv2d(filters, 5, padding=padding, kernel_init=LeCun()), Tanh(), AveragePool2d(2)]
    layers += [Conv2d(120, 5, kernel_init=LeCun()), Tanh(), Flatten()]
    layers += [Dense(84, kernel_init=LeCun()), Tanh(), Dense(look.outputs, kernel_init=LeCun())]
    return _experiment(name, options, look, data, layers, epochs=15)


def alexnet(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """AlexNet of 2012 for images of 227x227x3, such as --data FOLDER --data.options.size 227."""
    refuse(name, options, hidden="layers")
    _at_least(name, look, 67)
    optimizer = Momentum(options.learning_rate or 0.01, momentum=0.9)
    network = Sequential(tuple(alexnet_layers(look.outputs)))
    parts = {"optimizer": optimizer, "penalty": L2(5e-4)}
    return _experiment(name, options, look, data, network, epochs=90, batch=128, **parts)


def alexnet_layers(classes: int) -> list[Any]:
    """The layers of AlexNet (Krizhevsky, Sutskever & Hinton 2012, section 3.5); convolutions 2, 4, 5 in two groups."""

    def convolution(filters: int, size: int, bias: float, **options: Any) -> list[Any]:
        init = {"kernel_init": Normal(0.01), "bias_init": Constant(bias)}
        return [Conv2d(filters, size, **options, **init), ReLU()]

    def dense(units: int) -> list[Any]:
        return [Dense(units, kernel_init=Normal(0.01), bias_init=Constant(1.0)), ReLU(), Dropout(0.5)]

    return [
        *convolution(96, 11, 0.0, stride=4),
        LocalResponseNorm(),
        MaxPool2d(3, 2),
        *convolution(256, 5, 1.0, padding=2, groups=2),
        LocalResponseNorm(),
        MaxPool2d(3, 2),
        *convolution(384, 3, 0.0, padding=1),
        *convolution(384, 3, 1.0, padding=1, groups=2),
        *convolution(256, 3, 1.0, padding=1, groups=2),
        MaxPool2d(3, 2),
        Flatten(),
        *dense(4096),
        *dense(4096),
        Dense(classes, kernel_init=Normal(0.01)),
    ]


def residual(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """A small residual network: three blocks of 16, 32 and 64 filters with skips, batch norm, a global average."""
    refuse(name, options, hidden="layers")
    x = Input()
    h = ReLU()(BatchNorm()(_plain(16)(x)))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        h = _block(h, filters, stride)
    network = Graph(x, Dense(look.outputs)(GlobalAveragePool2d()(h)))
    return _experiment(name, options, look, data, network, epochs=15)


def _block(x: Node, filters: int, stride: int) -> Node:
    """y = relu(F(x) + x); where the size changes, the skip is a convolution 1x1 (He, Zhang, Ren & Sun 2016, eq. 2)."""
    h = ReLU()(BatchNorm()(_plain(filters, stride)(x)))
    h = BatchNorm()(_plain(filters)(h))
    skip = x if stride == 1 else BatchNorm()(_plain(filters, stride, size=1)(x))
    return ReLU()(Add()(h, skip))


def _plain(filters: int, stride: int = 1, size: int = 3) -> Conv2d:
    return Conv2d(filters, size, stride, padding=size // 2, use_bias=False, kernel_init=He())


def _convolution(filters: int) -> list[Any]:
    return [Conv2d(filters, 3, padding=1, kernel_init=He()), ReLU()]


def _head(options: Options, look: Look, hidden: tuple[int, ...], dropout: float) -> list[Any]:
    """Flat, dense layers of ReLU units with dropout, an output for each class."""
    layers: list[Any] = [Flatten()]
    for units in hidden if options.hidden is None else options.hidden:
        layers += [Dense(units, kernel_init=He()), ReLU(), Dropout(dropout)]
    return [*layers, Dense(look.outputs)]


def _experiment(
    name: str,
    options: Options,
    look: Look,
    data: DataConfig,
    network: Network | list[Any],
    *,
    epochs: int,
    batch: int = 100,
    rate: float = 2e-3,
    largest: float = 255.0,
    optimizer: Transform | None = None,
    penalty: Penalty | None = None,
) -> Experiment:
    """A classifier of images: softmax and cross-entropy, pixels from 0 to 1, Adam with a falling rate unless told."""
    if len(look.in_shape) != 3:
        raise ConfigError(
            f"The preset {name!r} is for images (height, width, channels), but examples of {data.source} have shape "
            f"{look.in_shape}: give a folder of images by class, or try 'mlp'."
        )
    refuse(name, options, activation="activations")
    training = options.training(TrainingConfig(epochs=epochs, batch_size=fitting(batch, look)))
    return Experiment(
        network=network if isinstance(network, Network) else Sequential(tuple(network)),
        loss=SoftmaxCrossEntropy(),
        data=data,
        optimizer=optimizer or Adam(cosine(options.learning_rate or rate, training, look)),
        metrics=(Accuracy(),),
        penalty=penalty,
        normalizer=ScaleImages(brightest(data, largest)),
        training=training,
        name=name,
    )


def _at_least(name: str, look: Look, size: int) -> None:
    if len(look.in_shape) == 3 and min(look.in_shape[:2]) < size:
        raise ConfigError(
            f"The preset {name!r} wants images of at least {size} x {size} pixels, not {look.in_shape[:2]}: scale them "
            "by --data.options.size, or take a smaller network such as 'digits-conv'."
        )


PRESETS: dict[str, Preset] = {
    "digits-conv": Preset(digits_conv, DataConfig("digits", validation=0.1)),
    "mnist-conv": Preset(mnist_conv, DataConfig("mnist")),
    "mnist-conv-deep": Preset(mnist_conv_deep, DataConfig("mnist")),
    "lenet5": Preset(lenet5, DataConfig("mnist")),
    "residual": Preset(residual, DataConfig("mnist")),
    "alexnet": Preset(
        alexnet,
        DataConfig("images/", validation=0.1),
        wants_data="--data FOLDER --data.options.size 227",
        usual=Look("classification", (227, 227, 3), 1000, 1_200_000),
    ),
}

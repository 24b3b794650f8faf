"""Presets of autoencoders: a code h = f(x), and a reconstruction x̂ = g(h) of the input from it alone."""

from __future__ import annotations

import math
from typing import Any

from denpa.core.errors import ConfigError
from denpa.data.normalise import MinMax, Standardize
from denpa.init import Constant, Glorot, He
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.presets.blueprint import Options, Preset, cosine, fitting, unit_of
from denpa.lab.sources import Look
from denpa.layers import (
    ActivityL1,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    GaussianNoise,
    KLSparsity,
    Reshape,
    Sigmoid,
)
from denpa.losses import MeanSquaredError
from denpa.metrics import RootMeanSquaredError
from denpa.networks import Network, Sequential, Tie, Tied
from denpa.optim import Adam
from denpa.penalties import L2, Penalty
from denpa.training.hidden import activation_of

__all__ = ["PRESETS"]


def autoencoder(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Undercomplete autoencoder: a code of fewer units than the input has values; --code 32."""
    return _experiment(name, options, look, data, Sequential(_halves(options, look, (), _bottleneck(options, look))))


def deep_autoencoder(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Deep autoencoder, an hourglass of several layers on each side of the code; --hidden 512 256 --code 32."""
    halves = _halves(options, look, _wide(look), _bottleneck(options, look))
    return _experiment(name, options, look, data, Sequential(halves), epochs=40)


def tied_autoencoder(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Undercomplete autoencoder whose decoder has the transposed weights of the encoder; --code 32."""
    halves = _halves(options, look, (), _bottleneck(options, look))
    (_, encoder), (_, decoder) = halves
    there, back = ([n for n, layer in half.inner() if isinstance(layer, Dense)] for half in (encoder, decoder))
    pairs = zip(there, reversed(back), strict=True)
    ties = tuple(Tie(f"decoder/{two}/W", f"encoder/{one}/W", transpose=True) for one, two in pairs)
    return _experiment(name, options, look, data, Tied(Sequential(halves), ties))


def sparse_autoencoder(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Sparse autoencoder: many sigmoid code units, each active with the mean rho = 0.05, by a KL price."""
    if not options.hidden and not isinstance(unit_of(options, "sigmoid")[0], Sigmoid):
        raise ConfigError(
            f"The code units of {name!r} are sigmoid, since the KL price is on means between 0 and 1: --activation is "
            "for the layers of --hidden. Leave it out, or try 'sparse-autoencoder-l1'."
        )
    price = KLSparsity(0.05, _price(look, 1 / 32))
    halves = _halves(options, look, (), options.code or 100, "sigmoid", price, of_code="sigmoid")
    return _experiment(name, options, look, data, Sequential(halves), epochs=40, penalty=L2(1e-4))


def sparse_autoencoder_l1(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Sparse autoencoder: many code units, an L1 price on their activity; most of them are 0 at a time."""
    halves = _halves(options, look, (), options.code or 100, "relu", ActivityL1(_price(look, 1 / 3200)))
    # Without a price on weights the code would shrink and the decoder grow, for the same reconstruction.
    return _experiment(name, options, look, data, Sequential(halves), epochs=40, penalty=L2(1e-3))


def denoising_autoencoder(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Denoising autoencoder: noise on the input while it learns, the clean input as target."""
    halves = _halves(options, look, (), options.code or 100)
    return _experiment(name, options, look, data, Sequential((("noise", GaussianNoise(0.3)), *halves)), epochs=40)


def convolutional_autoencoder(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """Convolutional autoencoder: strides lead to a small map, transposed convolutions back; --hidden 16 --code 4."""
    halves = _convolutional_halves(name, options, look, data, (16,), 4)
    return _experiment(name, options, look, data, Sequential(halves), epochs=30)


def denoise_convolution(name: str, options: Options, look: Look, data: DataConfig) -> Experiment:
    """From noisy images to clean ones by strided and transposed convolutions; for any pairs of images of one size."""
    halves = _convolutional_halves(name, options, look, data, (32,), 64)
    if look.target_shape[:2] != look.in_shape[:2]:
        raise ConfigError(
            f"The preset {name!r} is for pairs of images of one size, not for {look.in_shape} and {look.target_shape}: "
            "scale both by --data.options.size."
        )
    return _experiment(name, options, look, data, Sequential(halves), epochs=8)


def _halves(
    options: Options,
    look: Look,
    hidden: tuple[int, ...],
    code: int,
    activation: str = "relu",
    price: Any = None,
    of_code: str | None = None,
) -> Any:
    """("encoder", ...), ("decoder", ...): dense layers to the code, and the same sizes back.

    `activation` is the default of all units; `of_code` that of the code, whatever the options ask for.
    """
    unit, start = unit_of(options, activation)
    last, begin = (unit, start) if of_code is None else activation_of(of_code)
    hidden, values = (hidden if options.hidden is None else options.hidden), math.prod(look.in_shape)
    encoder: list[Any] = [Flatten()] if len(look.in_shape) > 1 else []
    for units in hidden:
        encoder += [Dense(units, kernel_init=start), unit]
    encoder += [Dense(code, kernel_init=begin), last]
    encoder += [price] * (price is not None)
    decoder: list[Any] = []
    for units in reversed(hidden):
        decoder += [Dense(units, kernel_init=start), unit]
    decoder += [Dense(values, kernel_init=Glorot()), *([Sigmoid()] * _are_images(look))]
    decoder += [Reshape(look.in_shape)] * (len(look.in_shape) > 1)
    return ("encoder", Sequential(tuple(encoder))), ("decoder", Sequential(tuple(decoder)))


def _convolutional_halves(
    name: str, options: Options, look: Look, data: DataConfig, filters: tuple[int, ...], code: int
) -> Any:
    """The same of convolutions 3x3, each of which halves height and width, or doubles them: no dense layer at all."""
    if len(look.in_shape) != 3:
        raise ConfigError(
            f"The preset {name!r} is for images (height, width, channels), but examples of {data.source} have shape "
            f"{look.in_shape}: try 'autoencoder'."
        )
    unit, _ = unit_of(options, "relu")
    filters = filters if options.hidden is None else options.hidden
    size, channels = look.in_shape[:2], look.target_shape[-1] if look.target_shape else look.in_shape[-1]
    # A bias above 0: over empty paper, and where a code is all 0, units would otherwise begin on the kink of ReLU.
    start = {"kernel_init": He(), "bias_init": Constant(0.01)}
    encoder: list[Any] = []
    decoder: list[Any] = []
    for wanted, given in zip((*filters, options.code or code), (channels, *filters), strict=True):
        encoder += [Conv2d(wanted, 3, stride=2, padding=1, **start), unit]
        # An even size is that of twice as many pixels, an odd one of one pixel less.
        more = tuple(1 - n % 2 for n in size)
        back = ConvTranspose2d(given, 3, stride=2, padding=1, output_padding=more, **start)
        decoder = [back, unit if decoder else Sigmoid(), *decoder]
        size = tuple(-(-n // 2) for n in size)
    return ("encoder", Sequential(tuple(encoder))), ("decoder", Sequential(tuple(decoder)))


def _price(look: Look, each: float) -> float:
    """A strength that grows with the number of values, as the squared distance does."""
    return float(f"{each * math.prod(look.in_shape):.3g}")


def _bottleneck(options: Options, look: Look) -> int:
    """Units of the code: fewer than there are values, or the network could copy what it is given."""
    values = math.prod(look.in_shape)
    code = options.code or (32 if values >= 128 else max(1, values // 4))
    if code >= values:
        raise ConfigError(
            f"A code of {code} units for {values} value{'s' * (values > 1)} is no bottleneck: the network could copy "
            "its input. Give a smaller --code, or try 'sparse-autoencoder' or 'denoising-autoencoder'."
        )
    return code


def _wide(look: Look) -> tuple[int, ...]:
    values = math.prod(look.in_shape)
    return (512, 256) if values >= 256 else (2 * values, values)


def _are_images(look: Look) -> bool:
    return len(look.in_shape) == 3


def _experiment(
    name: str,
    options: Options,
    look: Look,
    data: DataConfig,
    network: Network,
    *,
    epochs: int = 30,
    penalty: Penalty | None = None,
) -> Experiment:
    """Half the squared distance; pixels from 0 to 1, other values standardised, as input and as target."""
    few = look.examples < 10_000  # then more passes over them, in smaller batches
    plan = TrainingConfig(epochs=4 * epochs if few else epochs, batch_size=fitting(32 if few else 100, look))
    training = options.training(plan)
    scale = None if look.encoded else MinMax(per="channel") if _are_images(look) else Standardize()
    return Experiment(
        network=network,
        loss=MeanSquaredError(),
        data=data,
        optimizer=Adam(cosine(options.learning_rate or 2e-3, training, look)),
        metrics=(RootMeanSquaredError(),),
        penalty=penalty,
        normalizer=scale,
        target_normalizer=scale,
        training=training,
        name=name,
    )


_DIGITS = DataConfig("digits", task="reconstruction")

PRESETS: dict[str, Preset] = {
    "autoencoder": Preset(autoencoder, _DIGITS, "reconstruction", coded=True),
    "deep-autoencoder": Preset(deep_autoencoder, _DIGITS, "reconstruction", coded=True),
    "tied-autoencoder": Preset(tied_autoencoder, _DIGITS, "reconstruction", coded=True),
    "sparse-autoencoder": Preset(sparse_autoencoder, _DIGITS, "reconstruction", coded=True),
    "sparse-autoencoder-l1": Preset(sparse_autoencoder_l1, _DIGITS, "reconstruction", coded=True),
    "denoising-autoencoder": Preset(denoising_autoencoder, _DIGITS, "reconstruction", coded=True),
    "convolutional-autoencoder": Preset(convolutional_autoencoder, _DIGITS, "reconstruction", coded=True),
    "denoise-convolution": Preset(
        denoise_convolution, DataConfig("noisy-digits", task="regression"), "regression", coded=True
    ),
}

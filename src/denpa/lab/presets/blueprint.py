"""What presets are built of: the options that all of them know, hidden layers, a rate that falls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denpa.core.description import Description
from denpa.core.errors import ConfigError
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.sources import Look
from denpa.layers import BatchNorm, Dense, Dropout, Flatten
from denpa.metrics import R2, MeanAbsoluteError
from denpa.networks import Sequential
from denpa.optim import schedules
from denpa.training.hidden import activation_of
from denpa.training.members_plan import member_steps

__all__ = [
    "A_TABLE",
    "Options",
    "Preset",
    "brightest",
    "cosine",
    "fitting",
    "layers_of",
    "refuse",
    "regression_metrics",
    "unit_of",
]

A_TABLE = "--data my.csv --target COLUMN"


@dataclass(frozen=True)
class Options(Description):
    """What may be asked of any preset; None leaves it to the preset.

    Args:
        hidden: units of each hidden layer.
        activation: of the hidden layers: "relu", "tanh", "sigmoid", "leakyrelu", "prelu", "elu", "identity".
        epochs: passes over the training examples; a learning rate that falls in time falls over these.
        batch_size: examples in a mini-batch.
        learning_rate: of the optimiser; the largest one where it changes in time.
        code: units of an autoencoder's code; of a convolutional one its channels.
        seed, members, bootstrap: of the training; how many steps a member makes hangs on all three.
        rtrl: of the training of a series.
    """

    hidden: tuple[int, ...] | None = None
    activation: str | None = None
    # What these may be is checked in the places that they go to, which messages then name.
    epochs: int | Any = None
    batch_size: int | str | None = None
    learning_rate: float | Any = None
    code: int | Any = None
    seed: int | Any = None
    members: int | Any = None
    bootstrap: bool | Any = None
    rtrl: bool | Any = None

    def validate(self) -> None:
        for units in self.hidden or ():
            if isinstance(units, bool) or not isinstance(units, int) or units < 1:
                raise ConfigError(f"hidden wants whole numbers of units, such as 100 100; not {units!r}.")
        if self.code is not None and (isinstance(self.code, bool) or not isinstance(self.code, int) or self.code < 1):
            raise ConfigError(f"code wants a whole number of units, such as 32; not {self.code!r}.")
        if self.activation is not None:
            activation_of(self.activation)  # refuses an unknown one
        if self.learning_rate is not None and not (isinstance(self.learning_rate, float) and self.learning_rate > 0):
            raise ConfigError(f"The learning rate must be a number greater than 0, not {self.learning_rate!r}.")
        self.training(TrainingConfig())  # refuses epochs and batch sizes that make no sense

    def training(self, default: TrainingConfig) -> TrainingConfig:
        """A preset's training with what was asked for."""
        names = ("epochs", "batch_size", "seed", "members", "bootstrap", "rtrl")
        asked = {name: getattr(self, name) for name in names}
        return default.replace(**{name: value for name, value in asked.items() if value is not None})


@dataclass(frozen=True)
class Preset:
    """An experiment to be: the data it is for, and what makes it of options and the look of the data.

    Args:
        make: the function; the first line of its docstring says what the preset is.
        data: the preset's own data.
        task: what it is for: "classification", "regression", "reconstruction", "text", "series", "pairs", or None for
            the first two.
        wants_data: what the user must say of the data, as on the command line; "" where the preset has its own.
        usual: what the data of a published network look like, to show the network without any.
        coded: whether it has a code, whose units may be asked for.
    """

    make: Callable[[str, Options, Look, DataConfig], Experiment]
    data: DataConfig
    task: str | None = "classification"
    wants_data: str = ""
    usual: Look | None = None
    coded: bool = False

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return (inspect.getdoc(self.make) or "").splitlines()[0]


def refuse(name: str, options: Options, **own: str) -> None:
    """Refuse options that a preset has no use for: `own` says by option what of its own the preset has."""
    for option, what in own.items():
        if getattr(options, option) is not None:
            raise ConfigError(f"The preset {name!r} has its own {what}: leave --{option} out.")


def unit_of(options: Options, default: str) -> tuple[Any, Any]:
    """The activation asked for, or the preset's own, and the initialiser that goes with it."""
    return activation_of(options.activation or default)


def layers_of(
    options: Options,
    look: Look,
    hidden: tuple[int, ...],
    activation: str,
    *,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    batch_norm: bool = False,
) -> Sequential:
    """Dense hidden layers, and an output of as many units as there are classes or values."""
    unit, start = unit_of(options, activation)
    layers: list[Any] = [Flatten()] if len(look.in_shape) > 1 else []
    layers += [Dropout(input_dropout)] * (input_dropout > 0)
    for units in hidden if options.hidden is None else options.hidden:
        # The shift of a batch normalisation takes the place of the bias.
        layers += [Dense(units, use_bias=not batch_norm, kernel_init=start), *([BatchNorm()] * batch_norm), unit]
        layers += [Dropout(dropout)] * (dropout > 0)
    return Sequential((*layers, Dense(look.outputs)))


def cosine(rate: float, training: TrainingConfig, look: Look) -> schedules.Schedule:
    """A rate that falls to a hundredth over the whole training along half a cosine: in steps of one member."""
    batch = int(look.examples if training.batch_size == "full" else training.batch_size or 32)
    members = training.members or 1
    bootstrap = training.bootstrap and members > 1
    steps = member_steps(look.examples, batch, members, training.seed, bootstrap=bootstrap)
    return schedules.CosineDecay(rate, rate / 100, training.epochs * steps)


def fitting(batch_size: int, look: Look) -> int:
    """A batch size that few examples do not exceed."""
    return min(batch_size, look.examples)


def brightest(data: DataConfig, usual: float) -> float:
    """The largest value of a pixel: 16 of the embedded digits, 255 of image files; `usual` of other data."""
    if data.source == "digits":
        return 16.0
    return 255.0 if Path(data.source).is_dir() else usual


def regression_metrics(look: Look) -> tuple[Any, ...]:
    """What is reported of predicted values."""
    return MeanAbsoluteError(), R2(float(f"{look.center:.3g}"))

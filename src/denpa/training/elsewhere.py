"""What other libraries call a thing that denpa calls otherwise. Only asked for a name that is not known here."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from denpa.core.errors import ConfigError, nearest

__all__ = ["called_here", "data_as_one"]

P = ParamSpec("P")
R = TypeVar("R")

# Names of PyTorch, Keras and scikit-learn, in lower case and without underscores.
_HERE = {
    "linear": "Dense",
    "conv2dtranspose": "ConvTranspose2d",
    "maxpooling2d": "MaxPool2d",
    "averagepooling2d": "AveragePool2d",
    "avgpool2d": "AveragePool2d",
    "globalaveragepooling2d": "GlobalAveragePool2d",
    "adaptiveavgpool2d": "GlobalAveragePool2d",
    "upsample": "Unpool2d",
    "upsampling2d": "Unpool2d",
    "batchnormalization": "BatchNorm",
    "batchnorm1d": "BatchNorm",
    "batchnorm2d": "BatchNorm",
    "simplernn": "RNN",
    "unflatten": "Reshape",
    "attention": "DotAttention",
    "functional": "Graph",
    "module": "Layer",
    "crossentropyloss": "SoftmaxCrossEntropy",
    "categoricalcrossentropy": "CrossEntropy",  # of probabilities, as theirs are where nothing is said
    "sparsecategoricalcrossentropy": "CrossEntropy",
    "bceloss": "BinaryCrossEntropy",
    "bcewithlogitsloss": "SigmoidCrossEntropy",
    "mseloss": "MeanSquaredError",
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "rmse": "RootMeanSquaredError",
    "clipgradnorm": "ClipByNorm",
    "cosineannealinglr": "schedules.CosineDecay",
    "steplr": "schedules.StepDecay",
    "exponentiallr": "schedules.ExponentialDecay",
    "modelcheckpoint": "Checkpoint",
    "standardscaler": "Standardize",
    "minmaxscaler": "MinMax",
    "normalization": "Standardize",
    "rescaling": "ScaleImages",
    "dataloader": "Dataset",
    "tensordataset": "Dataset",
    "grad": "backprop",
    "valueandgrad": "backprop",
    "gradcheck": "testing.check_gradients",
    "glorotuniform": "init.Glorot",
    "xavieruniform": "init.Glorot",
    "glorotnormal": "init.Glorot",
    "xaviernormal": "init.Glorot",
    "heuniform": "init.He",
    "henormal": "init.He",
    "kaiminguniform": "init.He",
    "kaimingnormal": "init.He",
}


def data_as_one(method: Callable[P, R]) -> Callable[P, R]:
    """A method that takes data as one thing; called with x and t apart or with options it lacks, it says what it wants.

    Raises:
        ConfigError: two things by position, as scikit-learn and Keras take them, or an unknown option.
    """
    name, known = method.__name__, list(inspect.signature(method).parameters)

    @functools.wraps(method)
    def called(*values: P.args, **options: P.kwargs) -> R:
        if len(values) > 2 or not {"x", "y", "t"}.isdisjoint(options):
            raise ConfigError(f"{name} takes the data as ONE pair, and options by name: {name}((x, t), ...).")
        for option in options:
            if option not in known:
                raise ConfigError(f"{name} has no option {option!r}: {nearest(option, known[1:], plural='options')}")
        return method(*values, **options)

    return called


def called_here(name: str) -> str | None:
    """What PyTorch's or Keras's `name` is called here, "Dense" for "Linear"; None where nothing is known of it.

    Case and underscores do not count: "adam" and "binary_crossentropy" are found too.
    """
    plain = name.lower().replace("_", "")
    face = sys.modules["denpa"]
    shelves = {"": face.__all__, "init.": face.init.__all__, "schedules.": face.schedules.__all__}
    own = {known.lower(): shelf + known for shelf, names in shelves.items() for known in names if known[0].isupper()}
    return _HERE.get(plain) or own.get(plain)

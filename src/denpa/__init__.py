"""denpa: deep learning with every backward pass written out and every delta in view.

    import denpa as dp, jax

    net = dp.Sequential([dp.Dense(100), dp.ReLU(), dp.Dense(10)])
    variables = net.init(jax.random.key(0), (784,))  # shape of ONE example
    step = dp.backprop(net, dp.SoftmaxCrossEntropy(), variables, x, t)
    step.loss, step.grads["0_dense"]["W"], step.dx

This module is the only face of the library: whatever is not listed here may change without notice.
"""

import importlib as _importlib
import typing as _typing

from denpa import init
from denpa.core.description import Description, from_config, to_config
from denpa.core.errors import (
    ConfigError,
    DataError,
    DenpaError,
    DivergenceError,
    FileFormatError,
    ShapeError,
    StorageError,
)
from denpa.core.layer import Context, Layer, Variables
from denpa.core.padded import Padded
from denpa.core.symbolic import Input
from denpa.data import datasets
from denpa.data.dataset import Dataset, Splits
from denpa.data.encoder import TableEncoder
from denpa.data.images import read_images
from denpa.data.normalise import MinMax, Normalizer, Pipeline, ScaleImages, Standardize
from denpa.data.pairs import Pairs, PairSplits
from denpa.data.parallel import read_parallel
from denpa.data.polynomial import PolynomialFeatures
from denpa.data.readers import read_table
from denpa.data.text import next_token_rows, read_text
from denpa.data.text_encoder import TextEncoder
from denpa.data.vocabulary import Vocabulary
from denpa.gradients import backprop, learn_online, rtrl, rtrl_start, rtrl_step, trace
from denpa.kernels import settings as kernels
from denpa.kernels.unfolding import col2im, im2col
from denpa.layers import (
    ELU,
    ActivityL1,
    Add,
    AdditiveAttention,
    AveragePool2d,
    BatchNorm,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    DotAttention,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalAveragePool2d,
    Identity,
    KLSparsity,
    LeakyReLU,
    LocalContrastNorm,
    LocalResponseNorm,
    LpPool2d,
    Maxout,
    MaxPool2d,
    MaxUnpool2d,
    Part,
    PReLU,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
    ThresholdDense,
    Unpool2d,
)
from denpa.layers.activation import inactive_units
from denpa.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    PerceptronLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from denpa.metrics import (
    R2,
    Accuracy,
    ConfusionMatrix,
    ExactMatch,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    RootMeanSquaredError,
    TopK,
)
from denpa.networks import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    EncoderDecoder,
    Graph,
    Network,
    OutputFeedbackRNN,
    Recurrent,
    Sequential,
    Tie,
    Tied,
    Vertex,
)
from denpa.optim import (
    SGD,
    Adadelta,
    AdaGrad,
    Adam,
    AdamW,
    ClipByNorm,
    ClipByValue,
    MaxNorm,
    Momentum,
    Nesterov,
    Optimizer,
    ParameterGroups,
    RMSprop,
    chain,
    schedules,
)
from denpa.penalties import L1, L2, ElasticNet, Penalty
from denpa.training import (
    Bagging,
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    Model,
    Sweep,
    TensorBoard,
    beam_search,
    export_onnx,
    greedy,
    load,
    pretrain,
    sweep,
)
from denpa.training.sampling import sample

if _typing.TYPE_CHECKING:
    from denpa import classical, testing

__version__ = "0.1.0"

__all__ = [
    "ELU",
    "GRU",
    "L1",
    "L2",
    "LSTM",
    "R2",
    "RNN",
    "SGD",
    "Accuracy",
    "ActivityL1",
    "AdaGrad",
    "Adadelta",
    "Adam",
    "AdamW",
    "Add",
    "AdditiveAttention",
    "AveragePool2d",
    "Bagging",
    "BatchNorm",
    "Bidirectional",
    "BinaryCrossEntropy",
    "Callback",
    "Checkpoint",
    "ClipByNorm",
    "ClipByValue",
    "Concatenate",
    "ConfigError",
    "ConfusionMatrix",
    "Context",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropy",
    "DataError",
    "Dataset",
    "DenpaError",
    "Dense",
    "Description",
    "DivergenceError",
    "DotAttention",
    "Dropout",
    "EarlyStopping",
    "ElasticNet",
    "Embedding",
    "EncoderDecoder",
    "ExactMatch",
    "FileFormatError",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePool2d",
    "Graph",
    "History",
    "Identity",
    "Input",
    "KLSparsity",
    "Layer",
    "LeakyReLU",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "Loss",
    "LpPool2d",
    "MaxNorm",
    "MaxPool2d",
    "MaxUnpool2d",
    "Maxout",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "MinMax",
    "Model",
    "Momentum",
    "Nesterov",
    "Network",
    "Normalizer",
    "Optimizer",
    "OutputFeedbackRNN",
    "PReLU",
    "Padded",
    "PairSplits",
    "Pairs",
    "ParameterGroups",
    "Part",
    "Penalty",
    "PerceptronLoss",
    "Perplexity",
    "Pipeline",
    "PolynomialFeatures",
    "RMSprop",
    "ReLU",
    "Recurrent",
    "Reshape",
    "RootMeanSquaredError",
    "ScaleImages",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Splits",
    "Standardize",
    "Step",
    "StorageError",
    "Sweep",
    "TableEncoder",
    "Tanh",
    "TensorBoard",
    "TextEncoder",
    "ThresholdDense",
    "Tie",
    "Tied",
    "TopK",
    "Unpool2d",
    "Variables",
    "Vertex",
    "Vocabulary",
    "__version__",
    "backprop",
    "beam_search",
    "chain",
    "classical",
    "col2im",
    "datasets",
    "export_onnx",
    "from_config",
    "greedy",
    "im2col",
    "inactive_units",
    "init",
    "kernels",
    "learn_online",
    "load",
    "next_token_rows",
    "pretrain",
    "read_images",
    "read_parallel",
    "read_table",
    "read_text",
    "rtrl",
    "rtrl_start",
    "rtrl_step",
    "sample",
    "schedules",
    "sweep",
    "testing",
    "to_config",
    "trace",
]

_LATER = ("classical", "testing")  # loaded when first asked for: most programs never do


def __getattr__(name: str) -> _typing.Any:
    if name in _LATER:
        return _importlib.import_module(f"denpa.{name}")
    fault = f"module {__name__!r} has no attribute {name!r}"
    if not name.startswith("_"):
        from denpa.training.elsewhere import called_here

        here = called_here(name)
        fault += "" if here is None else f": it is dp.{here} here (docs/coming_from.md)"
    raise AttributeError(fault)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})

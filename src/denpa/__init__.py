"""denpa: deep learning with every backward pass written out and every delta in view.

    import denpa as dp, jax

    net = dp.Sequential([dp.Dense(100), dp.ReLU(), dp.Dense(10)])
    variables = net.init(jax.random.key(0), (784,))  # shape of ONE example
    step = dp.backprop(net, dp.SoftmaxCrossEntropy(), variables, x, t)
    step.loss, step.grads["0_dense"]["W"], step.dx

This module is the only face of the library: whatever is not listed here may change without notice.
"""

from denpa import init, testing
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
from denpa.data.readers import read_table
from denpa.gradients import backprop, trace
from denpa.kernels import settings as kernels
from denpa.kernels.unfolding import col2im, im2col
from denpa.layers import (
    ELU,
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
    LeakyReLU,
    LocalContrastNorm,
    LocalResponseNorm,
    LpPool2d,
    Maxout,
    MaxPool2d,
    MaxUnpool2d,
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
from denpa.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from denpa.metrics import (
    R2,
    Accuracy,
    ConfusionMatrix,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    RootMeanSquaredError,
    TopK,
)
from denpa.networks import GRU, LSTM, RNN, Bidirectional, Graph, Network, OutputFeedbackRNN, Recurrent, Sequential
from denpa.optim import (
    SGD,
    Adadelta,
    AdaGrad,
    Adam,
    AdamW,
    ClipByNorm,
    ClipByValue,
    Momentum,
    Nesterov,
    Optimizer,
    RMSprop,
    chain,
    schedules,
)
from denpa.penalties import L1, L2, ElasticNet, Penalty
from denpa.training import Callback, Checkpoint, EarlyStopping, History, Model, load

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
    "AdaGrad",
    "Adadelta",
    "Adam",
    "AdamW",
    "Add",
    "AdditiveAttention",
    "AveragePool2d",
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
    "FileFormatError",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePool2d",
    "Graph",
    "History",
    "Identity",
    "Input",
    "Layer",
    "LeakyReLU",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "Loss",
    "LpPool2d",
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
    "Penalty",
    "Perplexity",
    "Pipeline",
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
    "TableEncoder",
    "Tanh",
    "ThresholdDense",
    "TopK",
    "Unpool2d",
    "Variables",
    "__version__",
    "backprop",
    "chain",
    "col2im",
    "datasets",
    "from_config",
    "im2col",
    "init",
    "kernels",
    "load",
    "read_images",
    "read_table",
    "schedules",
    "testing",
    "to_config",
    "trace",
]

"""Floor 2: layers, each with its forward and backward formula side by side."""

from denpa.layers.activation import ELU, Identity, LeakyReLU, ReLU, Sigmoid, Step, Tanh
from denpa.layers.attention import AdditiveAttention, DotAttention
from denpa.layers.contrast import LocalContrastNorm, LocalResponseNorm
from denpa.layers.convolution import Conv1d, Conv2d
from denpa.layers.dense import Dense
from denpa.layers.dropout import Dropout, GaussianNoise
from denpa.layers.embedding import Embedding
from denpa.layers.maxout import Maxout
from denpa.layers.merge import Add, Concatenate, Part
from denpa.layers.norm import BatchNorm
from denpa.layers.pooling import AveragePool2d, GlobalAveragePool2d, LpPool2d, MaxPool2d
from denpa.layers.prelu import PReLU
from denpa.layers.reshape import Flatten, Reshape
from denpa.layers.softmax import Softmax
from denpa.layers.sparsity import ActivityL1, KLSparsity
from denpa.layers.threshold import ThresholdDense
from denpa.layers.transposed import ConvTranspose2d
from denpa.layers.unpooling import MaxUnpool2d, Unpool2d

__all__ = [
    "ELU",
    "ActivityL1",
    "Add",
    "AdditiveAttention",
    "AveragePool2d",
    "BatchNorm",
    "Concatenate",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "DotAttention",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePool2d",
    "Identity",
    "KLSparsity",
    "LeakyReLU",
    "LocalContrastNorm",
    "LocalResponseNorm",
    "LpPool2d",
    "MaxPool2d",
    "MaxUnpool2d",
    "Maxout",
    "PReLU",
    "Part",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Step",
    "Tanh",
    "ThresholdDense",
    "Unpool2d",
]

"""Floor 2: layers, each with its forward and backward formula side by side."""

from denpa.layers.activation import ELU, Identity, LeakyReLU, ReLU, Sigmoid, Step, Tanh
from denpa.layers.attention import AdditiveAttention, DotAttention
from denpa.layers.dense import Dense
from denpa.layers.dropout import Dropout, GaussianNoise
from denpa.layers.embedding import Embedding
from denpa.layers.maxout import Maxout
from denpa.layers.merge import Add, Concatenate
from denpa.layers.norm import BatchNorm
from denpa.layers.prelu import PReLU
from denpa.layers.reshape import Flatten, Reshape
from denpa.layers.softmax import Softmax
from denpa.layers.threshold import ThresholdDense

__all__ = [
    "ELU",
    "Add",
    "AdditiveAttention",
    "BatchNorm",
    "Concatenate",
    "Dense",
    "DotAttention",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "Identity",
    "LeakyReLU",
    "Maxout",
    "PReLU",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Step",
    "Tanh",
    "ThresholdDense",
]

"""Floor 2: losses. Each gives its value and its delta, the first of the walk back."""

from denpa.losses.base import Loss
from denpa.losses.cross_entropy import BinaryCrossEntropy, CrossEntropy, SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.losses.perceptron import PerceptronLoss
from denpa.losses.squared_error import MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Loss",
    "MeanSquaredError",
    "PerceptronLoss",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
]

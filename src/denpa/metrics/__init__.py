"""Floor 2: metrics, which report how good a network is beside the loss."""

from denpa.metrics.base import Metric
from denpa.metrics.classification import Accuracy, ConfusionMatrix, ExactMatch, Perplexity, TopK
from denpa.metrics.regression import R2, MeanAbsoluteError, RootMeanSquaredError

__all__ = [
    "R2",
    "Accuracy",
    "ConfusionMatrix",
    "ExactMatch",
    "MeanAbsoluteError",
    "Metric",
    "Perplexity",
    "RootMeanSquaredError",
    "TopK",
]

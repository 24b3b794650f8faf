"""Floor 1: optimisers, clipping and learning-rate schedules. They know trees of arrays, never layers."""

from denpa.optim import schedules
from denpa.optim.adam import Adam, AdamW
from denpa.optim.adaptive import Adadelta, AdaGrad, RMSprop
from denpa.optim.base import Optimizer, Transform
from denpa.optim.chain import Chain, chain
from denpa.optim.clip import ClipByNorm, ClipByValue
from denpa.optim.descent import SGD, Momentum, Nesterov
from denpa.optim.groups import ParameterGroups
from denpa.optim.max_norm import MaxNorm
from denpa.optim.schedules import Schedule

__all__ = [
    "SGD",
    "AdaGrad",
    "Adadelta",
    "Adam",
    "AdamW",
    "Chain",
    "ClipByNorm",
    "ClipByValue",
    "MaxNorm",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "ParameterGroups",
    "RMSprop",
    "Schedule",
    "Transform",
    "chain",
    "schedules",
]

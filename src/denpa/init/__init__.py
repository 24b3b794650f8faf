"""Floor 1: initialisers, the random starting values of weights."""

from denpa.init.base import Initializer, fans
from denpa.init.orthogonal import Orthogonal
from denpa.init.plain import Constant, Normal, Uniform
from denpa.init.scaled import Glorot, He, LeCun

__all__ = ["Constant", "Glorot", "He", "Initializer", "LeCun", "Normal", "Orthogonal", "Uniform", "fans"]

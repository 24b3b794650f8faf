"""Floor 4: oracles for gradients and the laws of layers. The only home of automatic differentiation."""

from denpa.testing.gradients import GradientError, GradientReport, check_gradients
from denpa.testing.laws import LawError, check_layer
from denpa.testing.oracle import autodiff, numerical

__all__ = [
    "GradientError",
    "GradientReport",
    "LawError",
    "autodiff",
    "check_gradients",
    "check_layer",
    "numerical",
]

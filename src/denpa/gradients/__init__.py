"""Floor 4: gradient algorithms."""

from denpa.gradients.backprop import Record, Step, Trace, backprop, propagate, trace
from denpa.gradients.rtrl import Online, Sensitivities, learn_online, rtrl, rtrl_start, rtrl_step

__all__ = [
    "Online",
    "Record",
    "Sensitivities",
    "Step",
    "Trace",
    "backprop",
    "learn_online",
    "propagate",
    "rtrl",
    "rtrl_start",
    "rtrl_step",
    "trace",
]

"""Floor 4: gradient algorithms."""

from denpa.gradients.backprop import Record, Step, Trace, backprop, trace, walk

__all__ = ["Record", "Step", "Trace", "backprop", "trace", "walk"]

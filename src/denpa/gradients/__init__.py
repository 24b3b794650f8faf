"""Floor 4: gradient algorithms."""

from denpa.gradients.backprop import Record, Step, Trace, backprop, descend, trace, walk

__all__ = ["Record", "Step", "Trace", "backprop", "descend", "trace", "walk"]

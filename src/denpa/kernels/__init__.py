"""Floor 1: how operations are computed, as functions of bare arrays."""

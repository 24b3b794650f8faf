"""denpa: deep learning with every backward pass written out and every delta in view.

    import denpa as dp, jax

    net = dp.Sequential([dp.Dense(100), dp.Dense(10)])
    variables = net.init(jax.random.key(0), (784,))  # shape of ONE example
    y = net.apply(variables, x)

This module is the only face of the library: whatever is not listed here may change without notice.
"""

from denpa.core.description import Description, from_config, to_config
from denpa.core.errors import (
    ConfigError,
    DataError,
    DenpaError,
    DivergenceError,
    FileFormatError,
    ShapeError,
    StorageError,
)
from denpa.core.layer import Context, Layer, Variables
from denpa.core.symbolic import Input
from denpa.networks import Graph, Sequential

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "Context",
    "DataError",
    "DenpaError",
    "Description",
    "DivergenceError",
    "FileFormatError",
    "Graph",
    "Input",
    "Layer",
    "Sequential",
    "ShapeError",
    "StorageError",
    "Variables",
    "__version__",
    "from_config",
    "to_config",
]

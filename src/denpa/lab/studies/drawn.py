"""Parameters drawn by NumPy: where a net is tiny, compiling its initialisers would take longest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from denpa.core.layer import Variables

__all__ = ["variables_of"]


def variables_of(net: Any, in_shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], np.ndarray]) -> Variables:
    """Variables of a net without state, every array of its parameters by `draw(shape)`.

    Args:
        net: a network.
        in_shape: the shape of one example.
        draw: such as `numpy.random.default_rng(0).random`; called in the order of the parameters' names.
    """
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), in_shape)).params
    return Variables(jax.tree.map(lambda leaf: np.asarray(draw(leaf.shape)), shapes), {})

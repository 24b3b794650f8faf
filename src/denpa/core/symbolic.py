"""Symbolic values: what stands for an array while a `Graph` is being written down.

    x = dp.Input()
    h = dp.Dense(10)(x)
    net = dp.Graph(x, dp.Add()(h, x))

Calling a layer on such values makes the next one; nothing is computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from denpa.core.errors import ConfigError

__all__ = ["Input", "Node"]

_order = itertools.count()


class Node:
    """The value that `layer` makes of `inputs`. Compared by identity: two calls are two values.

    Args:
        layer: the layer applied, or None for an input of the graph.
        inputs: the symbolic values that go in.
        name: a name of the user's own. Two calls under one name share their parameters.
    """

    def __init__(self, layer: Any, inputs: tuple[Node, ...] = (), name: str | None = None) -> None:
        for value in inputs:
            if not isinstance(value, Node):
                raise ConfigError(
                    f"{layer!r} was called with {type(value).__name__}, not with a symbolic value. Calling a layer "
                    "writes down a graph (start from dp.Input()); to compute, use forward(params, x) or a network."
                )
        if layer is not None and not inputs:
            raise ConfigError(f"{layer!r} was called without an input.")
        self.layer: Any = layer
        self.inputs, self.name = inputs, name
        self.order = next(_order)

    def __iter__(self) -> Iterator[Node]:
        if self.layer is None:
            raise ConfigError("An input of a graph is one value, which cannot be unpacked: write dp.Input() for each.")
        return self.layer.unpacked(self)

    def __repr__(self) -> str:
        return f"<value {self.name or self.layer!r}>"


class Input(Node):
    """An input of a `Graph`; `name` matters only where there are several."""

    def __init__(self, name: str | None = None) -> None:
        if not isinstance(name, (str, type(None))):
            raise ConfigError(f"Input takes a name, not {name!r}: the data bring the shape.")
        super().__init__(None, (), name)

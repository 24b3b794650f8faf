"""The layers of a network by their paths, those of the networks inside it among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from denpa.networks import Network

__all__ = ["every_layer"]


def every_layer(net: Network, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and layer in the order of the walk forward; a network comes before the layers inside it."""
    for name, layer in net.inner():
        yield f"{prefix}{name}", layer
        if isinstance(layer, Network):
            yield from every_layer(layer, f"{prefix}{name}/")

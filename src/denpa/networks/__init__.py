"""Floor 3: containers of layers."""

from denpa.networks.base import Delta, Network, Value
from denpa.networks.graph import Graph, Vertex
from denpa.networks.sequential import Sequential
from denpa.networks.summary import Summary

__all__ = ["Delta", "Graph", "Network", "Sequential", "Summary", "Value", "Vertex"]

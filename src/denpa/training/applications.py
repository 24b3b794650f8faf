"""A network as one list of the layers that it applies, for following numbers through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

import jax

from denpa.core.layer import Layer
from denpa.core.shapes import Shape
from denpa.layers import (
    Add,
    BatchNorm,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Embedding,
    Flatten,
    LocalResponseNorm,
    Part,
    PReLU,
    Reshape,
)
from denpa.networks import Graph, Network, Sequential, Tied
from denpa.training.pytorch_recurrent import GATES

__all__ = ["Applications", "Node"]

# What becomes of an order in a layer. "place": each number comes from those in its own place. "own": arrays that
# PyTorch does not fill, so that their order is the user's. "bare": no arrays, and not number by number.
Role = Literal["place", "dense", "shape", "join", "torch", "network", "own", "bare"]

# Layers whose arrays may come from PyTorch, and whose outputs are mixtures of all that enters.
_FILLED = (Dense, Conv1d, Conv2d, ConvTranspose2d, Embedding, *GATES)


class Node(NamedTuple):
    """One application of a layer: the path of its arrays, and the numbers of the values that enter and leave."""

    path: str
    layer: Layer
    role: Role
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass
class Applications:
    """All applications of layers in a network, in their order; Sequentials, Graphs and Parts are only wires.

    Attributes:
        shapes: of one example of each value.
        ties: arrays that are one: the path of the target, that of the source, and whether it is transposed.
        entering, leaving: the numbers of the values that enter and leave the network, in its structure.
    """

    nodes: list[Node] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    ties: list[tuple[str, str, bool]] = field(default_factory=list)
    entering: Any = None
    leaving: Any = None

    @classmethod
    def of(cls, net: Network, in_shape: Any) -> Self:
        """Those of a network, for one example of this shape."""
        made = cls()
        made.entering = made._new(in_shape)
        made.leaving = made._put(net, made.entering, "")
        return made

    def flat(self, value: int) -> bool:
        return len(self.shapes[value]) == 1

    def _new(self, shape: Any) -> Any:
        """The number of a new value, or a tuple of them for a tuple of shapes."""
        if not all(isinstance(size, int) for size in shape):
            return tuple(self._new(part) for part in shape)
        self.shapes.append(tuple(shape))
        return len(self.shapes) - 1

    def _put(self, layer: Layer, entering: Any, path: str) -> Any:
        """Put the nodes of a layer, or of all layers inside, on the list; the number of the value that leaves."""
        prefix = f"{path}/" if path else ""
        if isinstance(layer, Tied):
            self.ties += [(f"{prefix}{tie.target}", f"{prefix}{tie.source}", tie.transpose) for tie in layer.ties]
            return self._put(layer.net, entering, path)
        if isinstance(layer, Sequential):
            for name, inner in layer.inner():
                entering = self._put(inner, entering, f"{prefix}{name}")
            return entering
        if isinstance(layer, Graph):
            several = isinstance(layer.inputs, tuple)
            values = dict(zip(layer.inputs, entering, strict=True)) if several else {layer.inputs: entering}
            for vertex in layer.vertices:
                reads: Any = tuple(values[name] for name in vertex.inputs)
                reads = reads if len(reads) > 1 else reads[0]
                values[vertex.name] = self._put(vertex.layer, reads, f"{prefix}{vertex.slot}")
            several = isinstance(layer.outputs, tuple)
            return tuple(values[name] for name in layer.outputs) if several else values[layer.outputs]
        if isinstance(layer, Part):
            return entering[layer.index]
        in_shape = jax.tree.map(lambda value: self.shapes[value], entering)
        leaving = self._new(layer.out_shape(in_shape))
        inputs, outputs = tuple(jax.tree.leaves(entering)), tuple(jax.tree.leaves(leaving))
        shapes = {self.shapes[value] for value in (*inputs, *outputs)}
        self.nodes.append(Node(path, layer, _role(layer, in_shape, shapes, len(inputs)), inputs, outputs))
        return leaving


def _role(layer: Layer, in_shape: Any, shapes: set[Shape], inputs: int) -> Role:
    """What becomes of an order in this layer, where `shapes` are those of all that enters and leaves."""
    if isinstance(layer, (Flatten, Reshape)):
        return "shape"
    if isinstance(layer, (Add, BatchNorm, PReLU)):
        return "place"
    if isinstance(layer, Concatenate):
        return "join"
    if type(layer) in _FILLED:
        return "dense" if type(layer) is Dense else "torch"
    if isinstance(layer, Network):
        return "network"
    if jax.tree.leaves(jax.eval_shape(lambda: layer.init_params(jax.random.key(0), in_shape))):
        return "own"
    flat = all(len(shape) == 1 for shape in shapes)
    beside = isinstance(layer, LocalResponseNorm) and flat  # it looks at the neighbours of a number
    return "place" if len(shapes) == 1 and (inputs == 1 or flat) and not beside else "bare"

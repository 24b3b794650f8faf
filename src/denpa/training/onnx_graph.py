"""A graph of ONNX as it is written: values that know their shape, and the nodes that make them.

The batch stands in front of every shape as 0, which to ONNX's Reshape means "as it was". A `Value` computes by the
operators of NumPy, as far as normalisers use them, so that their `apply` and `invert` write themselves down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from denpa.data.extras import optional

__all__ = ["OPERATORS", "Arrays", "OnnxGraph", "Value", "onnx"]

Arrays = dict[str, Any]

OPERATORS = 17  # the set of ONNX 1.12 (2022), which every runtime in use knows


def onnx(module: str = "onnx") -> Any:
    """The package, or a module of it; a `ConfigError` where it is not installed."""
    return optional(module, "onnx", "Writing ONNX")


@dataclass(eq=False)
class Value:
    """What a node makes: its name, its shape with the batch as 0, and the transposition that made it, if one did."""

    graph: OnnxGraph
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    transposed: tuple[Value, tuple[int, ...]] | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __add__(self, other: Any) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Any) -> Value:
        return self._with("Sub", other)

    def __mul__(self, other: Any) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Any) -> Value:
        return self._with("Div", other)

    def __pow__(self, other: Any) -> Value:
        return self._with("Pow", other)

    def __getitem__(self, places: Any) -> Value:
        """x[:, columns] or x[..., None], which is all that is asked for."""
        *_, last = places
        if last is None:
            return self.reshape(*self.shape, 1)
        columns = self.graph.array(np.asarray(last, np.int64))
        return self.graph.apply("Gather", self, columns, shape=(0, len(last)), axis=1, dtype=self.dtype)

    def astype(self, dtype: Any) -> Value:
        if np.dtype(dtype) == self.dtype:
            return self
        kind = onnx("onnx.helper").np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.graph.apply("Cast", self, shape=self.shape, to=kind, dtype=np.dtype(dtype))

    def reshape(self, *shape: int) -> Value:
        """In another shape of an example; a -1 is filled in."""
        size, known = int(np.prod(self.shape[1:])), int(np.prod([n for n in shape[1:] if n != -1]))
        full = (0, *(size // known if n == -1 else n for n in shape[1:]))
        if full == self.shape:
            return self
        return self.graph.apply(
            "Reshape", self, self.graph.array(np.array(full, np.int64)), shape=full, dtype=self.dtype
        )

    def transpose(self, *order: int) -> Value:
        """With its axes in this order; what turns a transposition back adds no node."""
        if self.transposed is not None:
            before, first = self.transposed
            if tuple(first[axis] for axis in order) == tuple(range(self.ndim)):
                return before
        shape = tuple(self.shape[axis] for axis in order)
        made = self.graph.apply("Transpose", self, shape=shape, perm=list(order), dtype=self.dtype)
        made.transposed = self, order
        return made

    def __array_namespace__(self, api_version: str | None = None) -> OnnxGraph:
        return self.graph

    def _with(self, kind: str, other: Any) -> Value:
        if isinstance(other, Value):
            return self.graph.apply(kind, self, other, shape=self.shape)
        operand = np.asarray(other, self.dtype)
        shape = (0, *np.broadcast_shapes((1, *self.shape[1:]), operand.shape)[1:])
        return self.graph.apply(kind, self, self.graph.array(operand), shape=shape)


@dataclass
class OnnxGraph:
    """Nodes and arrays in the order in which they were written.

    Attributes:
        place: the path of the layer that is being written, after which nodes are named.
    """

    nodes: list[Any] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    place: str = ""
    names: Counter[str] = field(default_factory=Counter)

    def array(self, values: Any, name: str | None = None) -> Value:
        """A constant, such as the parameter `name` of the layer at `place`."""
        values = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
        known = self._new("constant") if name is None else f"{self.place}/{name}".removeprefix("/")
        self.arrays.setdefault(known, values)
        if not np.array_equal(self.arrays[known], values):  # weights that stand in several places, in two layouts
            known = self._new(name or "constant")
            self.arrays[known] = values
        return Value(self, known, values.shape, values.dtype)

    def apply(
        self, kind: str, *inputs: Value | None, shape: Sequence[int], dtype: Any = None, **attributes: Any
    ) -> Value:
        """A node with one output of this shape."""
        (made,) = self.apply_several(kind, *inputs, shapes=[shape], **attributes)
        made.dtype = np.dtype(np.float32 if dtype is None else dtype)
        return made

    def apply_several(
        self, kind: str, *inputs: Value | None, shapes: Sequence[Sequence[int]], **attributes: Any
    ) -> list[Value]:
        """A node with several outputs. An input that is None is left out."""
        name = self._new(kind)
        outputs = [Value(self, name if len(shapes) == 1 else f"{name}:{i}", tuple(s)) for i, s in enumerate(shapes)]
        given = ["" if value is None else value.name for value in inputs]
        made = [value.name for value in outputs]
        self.nodes.append(onnx("onnx.helper").make_node(kind, given, made, name=name, **attributes))
        return outputs

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        """Several values side by side."""
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.apply("Concat", *parts, shape=shape, axis=axis)

    def needed(self, outputs: Sequence[Value]) -> tuple[list[Any], Arrays]:
        """The nodes and the arrays that these values are made of."""
        read, nodes = {value.name for value in outputs}, []
        for node in reversed(self.nodes):
            if read.intersection(node.output):
                nodes.append(node)
                read.update(node.input)
        return nodes[::-1], {name: array for name, array in self.arrays.items() if name in read}

    def _new(self, kind: str) -> str:
        """A name that no value has yet: the layer's path and what it is."""
        name = f"{self.place}/{kind}" if self.place else kind
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name}_{self.names[name]}"

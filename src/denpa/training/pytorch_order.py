"""The order in which PyTorch has the numbers of an example, followed through a network.

Channels stand in front there, (channel, height, width) and (channel, time), and behind here, (height, width, channel)
and (time, channel). What a Flatten makes of them is then the same numbers in two orders, and so is what a Reshape
takes. An order is written as `places`:

    ours[i] = PyTorch's[places[i]]      over all numbers of an example, row by row; None where the orders agree

Of three axes the last is always that of channels. Of two it is where a Conv1d wrote them, or will read them: what
recurrent layers read and write is (time, features) on both sides.

Orders come from two sides. Backwards from what a Reshape makes: the dense layer in front has to give its outputs in
that order (its columns, its bias). Forwards from there and from images: BatchNorm and PReLU, the rows of dense layers.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from denpa.core.layer import Layer
from denpa.core.shapes import Shape
from denpa.layers import BatchNorm, Conv1d, PReLU, ThresholdDense
from denpa.networks import Network
from denpa.training.applications import Applications, Node

__all__ = ["LayerOrder", "Unknown", "orders"]


@dataclass(frozen=True)
class Unknown:
    """An order that cannot be told, and why; with `in_steps` what stands in each step of a sequence is not in doubt."""

    why: str
    in_steps: bool = False


Order = np.ndarray | Unknown | None


class LayerOrder(NamedTuple):
    """The orders of what enters a layer and of what leaves it; None where PyTorch's is ours."""

    entering: Order = None
    leaving: Order = None


@dataclass
class _Walk(Applications):
    """What is known of the values of a network.

    Attributes:
        wanted: the order in which a flat value is wanted by what reads it.
        read: how the next layers that are not elementwise read a sequence: as "channels", as "steps".
        order: of each value.
        users: values that are the user's own data, in any order.
    """

    wanted: dict[int, Order] = field(default_factory=dict)
    read: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    order: dict[int, Order] = field(default_factory=dict)
    users: set[int] = field(default_factory=set)


def orders(net: Network, in_shape: Any) -> dict[str, LayerOrder]:
    """What enters and leaves the layers in an order other than PyTorch's, by their paths.

    Args:
        net: the network that receives PyTorch's arrays.
        in_shape: the shape of one example as the network sees it.
    """
    walk = _Walk.of(net, in_shape)
    _backwards(walk, jax.tree.leaves(walk.leaving))
    columns = _columns(walk)
    for value in jax.tree.leaves(walk.entering):
        walk.users.add(value)
        walk.order[value] = _given(walk, value)
    found: dict[str, Order] = {}
    for node in walk.nodes:
        for path, order in _inside(walk, node):
            why = f"{path} is used for numbers in different orders"
            found[path] = _agreed(found[path], order, why) if path in found else order
        for value in node.outputs:
            walk.order[value] = _leaving(walk, node, value, columns)
        if node.role in ("place", "shape") and walk.users.issuperset(node.inputs):
            walk.users.update(node.outputs)
    sides = {path: LayerOrder(_short(order), _short(columns.get(path))) for path, order in found.items()}
    return sides | dict(_untied(walk, sides))


def _untied(walk: _Walk, sides: dict[str, LayerOrder]) -> Iterator[tuple[str, LayerOrder]]:
    """The layers whose weights cannot be those that they are tied to, since these stand in other orders."""
    ends = [(target.rsplit("/", 1), source.rsplit("/", 1), transpose) for target, source, transpose in walk.ties]
    for (target, array), (source, _), transpose in ends:
        if array == "W" and target in sides and source in sides:
            theirs = sides[source][::-1] if transpose else sides[source]
            if not all(_same(a, b) for a, b in zip(sides[target], theirs, strict=True)):
                yield target, LayerOrder(Unknown(f"it is tied to {source}, whose numbers stand in another order"))


def _backwards(walk: _Walk, outputs: list[int]) -> None:
    """Find in which order flat values are wanted, and how sequences are read."""
    for value in filter(walk.flat, outputs):
        _want(walk, value, _plain(walk, value))  # the user reads them as PyTorch gives them
    for node in reversed(walk.nodes):
        for value, places in _asked(walk, node):
            _want(walk, value, places)
        for value in node.inputs:
            walk.read[value] |= _reads(walk, node)


def _want(walk: _Walk, value: int, places: Order) -> None:
    why = "what stands behind it wants its numbers in different orders"
    walk.wanted[value] = _agreed(walk.wanted[value], places, why) if value in walk.wanted else places


def _asked(walk: _Walk, node: Node) -> Iterator[tuple[int, Order]]:
    """The flat values that a node wants in a certain order."""
    leaving = node.outputs[0]
    places = walk.wanted.get(leaving)
    if node.role == "shape" and not walk.flat(leaving):
        order = _made(walk, node)
        yield from ((v, _plain(walk, v) if order is None else order) for v in node.inputs if walk.flat(v))
    elif places is not None and node.role in ("place", "shape"):
        yield from ((value, places) for value in node.inputs if walk.flat(value))
    elif isinstance(places, np.ndarray) and node.role == "join":
        start = 0
        for value in node.inputs:
            size = walk.shapes[value][0]
            part, start = places[start : start + size] - start, start + size
            if np.all((part >= 0) & (part < size)):  # its numbers stay in its block
                yield value, part


def _reads(walk: _Walk, node: Node) -> set[str]:
    """How a node reads a sequence: whatever keeps its axes reads it as the layers behind do."""
    if node.role in ("shape", "join", "place", "bare"):
        keeps = node.role != "shape" and len(node.outputs) == 1 and len(walk.shapes[node.outputs[0]]) == 2
        return walk.read[node.outputs[0]] if keeps else set()
    return {"channels" if isinstance(node.layer, Conv1d) else "steps"}


def _columns(walk: _Walk) -> dict[str, Order]:
    """The order in which each dense layer has to give its outputs, in all of its uses."""
    found: dict[str, Order] = {}
    for node in walk.nodes:
        if node.role == "dense":
            (value,) = node.outputs
            places = walk.wanted.get(value) if walk.flat(value) else np.arange(walk.shapes[value][-1])
            if places is not None:
                why = f"the outputs of {node.path} are wanted in different orders"
                places = Unknown(why) if isinstance(places, Unknown) else places
                found[node.path] = _agreed(found[node.path], places, why) if node.path in found else places
    return found


def _given(walk: _Walk, value: int) -> Order:
    """The order of the network's input: the user's own data stand as they are wanted."""
    if walk.flat(value):
        return walk.wanted.get(value)
    order = _sequence(walk, value, "the input")
    return dataclasses.replace(order, in_steps=True) if isinstance(order, Unknown) else order


def _inside(walk: _Walk, node: Node) -> Iterator[tuple[str, Order]]:
    """The order in which numbers enter the arrays of a node, by the paths of all layers inside."""
    value = node.inputs[0]
    if node.role == "dense" or isinstance(node.layer, (BatchNorm, PReLU)):
        order = walk.order[value]
        yield node.path, order if walk.flat(value) else _lost(walk, node)
    elif node.role == "network":
        lost = _lost(walk, node)
        yield from ((path, lost) for path in _paths(node.layer, node.path))
    elif node.role == "torch":
        yield node.path, _lost(walk, node)


def _paths(layer: Layer, path: str) -> Iterator[str]:
    for name, inner in layer.inner():
        yield f"{path}/{name}"
        yield from _paths(inner, f"{path}/{name}")


def _lost(walk: _Walk, node: Node) -> Unknown | None:
    """Why a layer that takes no order into account cannot take what enters it; None if it can."""
    for value in node.inputs:
        order = walk.order[value]
        if isinstance(order, Unknown) and (walk.flat(value) or not order.in_steps):
            return order
        if walk.flat(value) and not _same(order, None):
            return Unknown(f"{node.path} cannot follow numbers that stand in another order there")
    return None


def _leaving(walk: _Walk, node: Node, value: int, columns: dict[str, Order]) -> Order:
    """The order of a value that a node gives."""
    if node.role == "place":
        return _united(walk, node)
    if node.role == "join":
        return _joined(walk, node, value)
    if node.role == "shape":
        return _reshaped(walk, node, value)
    if node.role == "dense" and walk.flat(value):
        return columns.get(node.path)
    if node.role in ("dense", "torch"):
        return _fresh(walk, node, value)
    lost, first = _lost(walk, node), node.inputs[0]
    if node.role == "own":  # sizes that change are numbers that mix: what comes out is in the order of its arrays
        broken = any(isinstance(walk.order[v], Unknown) for v in node.inputs)
        mixes = isinstance(node.layer, ThresholdDense) or walk.shapes[first] != walk.shapes[value]
        if lost and (broken or not mixes):
            return lost
        return walk.wanted.get(value) if walk.flat(value) else _fresh(walk, node, value)
    if lost or node.role == "network":
        return lost or _fresh(walk, node, value)
    order, axes = walk.order[first], (len(walk.shapes[first]), len(walk.shapes[value]))
    if len(node.inputs) == 1 and axes == (2, 2):  # such as Maxout: channels stay channels
        return _channels_first(walk.shapes[value]) if isinstance(order, np.ndarray) else order
    return _fresh(walk, node, value)


def _united(walk: _Walk, node: Node) -> Order:
    """The order that all inputs of an elementwise layer have."""
    order, *others = (walk.order[value] for value in node.inputs)
    for other in others:
        why = f"{node.path} puts numbers together that stand in different orders there"
        order = _agreed(order, other, why, in_steps=not walk.flat(node.inputs[0]))
    return order


def _joined(walk: _Walk, node: Node, value: int) -> Order:
    """The orders of flat values one after the other; of images and sequences that which all have."""
    parts = [walk.order[v] for v in node.inputs]
    if unknown := [order for order in parts if isinstance(order, Unknown)]:
        return min(unknown, key=lambda order: order.in_steps)
    if not walk.flat(value):
        order = _channels_first(walk.shapes[value])
        if _same(order, None) or all(part is not None for part in parts):
            return order
        if any(part is not None for part in parts):
            return Unknown(f"{node.path} joins sequences of different orders", in_steps=True)
        return None
    pieces, start = [], 0
    for v, order in zip(node.inputs, parts, strict=True):
        pieces.append(start + (order if isinstance(order, np.ndarray) else _plain(walk, v)))
        start += walk.shapes[v][0]
    return np.concatenate(pieces)


def _reshaped(walk: _Walk, node: Node, value: int) -> Order:
    """The order behind a Flatten or Reshape: the same numbers one after the other, there as here."""
    (source,) = node.inputs
    order = walk.order[source]
    if walk.flat(value):
        return dataclasses.replace(order, in_steps=False) if isinstance(order, Unknown) else order
    made = _made(walk, node)
    if source in walk.users:
        return made
    if isinstance(order, Unknown) and not order.in_steps:
        return order
    if not walk.flat(source) and walk.shapes[source][-1] == walk.shapes[value][-1]:  # places are counted anew
        if isinstance(order, np.ndarray) and "steps" not in walk.read[value]:
            return _channels_first(walk.shapes[value])
        if isinstance(order, Unknown):
            return order
        return None if isinstance(made, Unknown) else made
    if isinstance(order, Unknown):
        return dataclasses.replace(order, in_steps=False)
    why = f"{node.path} makes {walk.shapes[value]} of numbers whose order there is not that of such a shape"
    return made if isinstance(made, Unknown) or _same(order, made) else Unknown(why)


def _made(walk: _Walk, node: Node) -> Order:
    """The order in which PyTorch has what a Reshape into several axes makes."""
    return _sequence(walk, node.outputs[0], node.path)


def _sequence(walk: _Walk, value: int, name: str) -> Order:
    """Channels first for an image, and for a sequence that a Conv1d reads."""
    shape, read = walk.shapes[value], walk.read[value]
    if len(shape) == 2 and read == {"channels", "steps"} and not _same(_channels_first(shape), None):
        return Unknown(f"{name} is read by a Conv1d and by layers that want (time, features)")
    return _channels_first(shape) if len(shape) == 3 or (len(shape) == 2 and "channels" in read) else None


def _fresh(walk: _Walk, node: Node, value: int) -> Order:
    """The order of what a layer computes anew, whatever entered."""
    shape = walk.shapes[value]
    return _channels_first(shape) if len(shape) == 3 or isinstance(node.layer, Conv1d) else None


def _channels_first(shape: Shape) -> np.ndarray:
    """The places where PyTorch has the last axis in front."""
    *space, channels = shape
    return np.moveaxis(np.arange(int(np.prod(shape))).reshape(channels, *space), 0, -1).ravel()


def _plain(walk: _Walk, value: int) -> np.ndarray:
    """The places of a flat value whose order is PyTorch's."""
    return np.arange(walk.shapes[value][0])


def _same(a: Order, b: Order) -> bool:
    """Whether two orders are known and one."""
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return False
    if a is None or b is None:
        known = b if a is None else a
        return known is None or np.array_equal(known, np.arange(len(known)))
    return np.array_equal(a, b)


def _agreed(a: Order, b: Order, why: str, in_steps: bool = False) -> Order:
    """The order that both are, or the unknown one."""
    if unknown := [order for order in (a, b) if isinstance(order, Unknown)]:
        return min(unknown, key=lambda order: order.in_steps)  # what is in doubt in its steps too goes before
    return (b if a is None else a) if _same(a, b) else Unknown(why, in_steps)


def _short(order: Order) -> Order:
    """None for an order that is PyTorch's own."""
    return order if isinstance(order, Unknown) or not _same(order, None) else None

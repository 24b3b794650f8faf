"""Directed acyclic graphs of layers: branches, skips, several inputs and outputs, shared weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from denpa.core import tree
from denpa.core.description import Description
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.keys import key_for, numbered
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved, State
from denpa.core.padded import Padded
from denpa.core.symbolic import Node
from denpa.networks.base import Delta, Value, init_state_of
from denpa.networks.walk import Backward, Forward, Stepping, behind, naming

__all__ = ["Graph", "Vertex"]


@dataclass(frozen=True)
class Vertex(Description):
    """One application of a layer in a graph.

    Args:
        name: unique in the graph.
        layer: what is applied.
        inputs: names of the earlier vertices or graph inputs that go in.
        shares: the earlier vertex whose parameters it uses; "" for its own.

    Raises:
        ConfigError: no input, or no layer.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    shares: str = ""

    def validate(self) -> None:
        if isinstance(self.inputs, str):
            object.__setattr__(self, "inputs", (self.inputs,))
        if not isinstance(self.layer, Layer):
            raise ConfigError(f"Vertex {self.name!r} wants a layer, not {self.layer!r}.")
        if not isinstance(self.inputs, tuple) or not self.inputs:
            raise ConfigError(f"Vertex {self.name!r} has no input by name: {self.inputs!r}.")

    @property
    def slot(self) -> str:
        """The name under which its parameters and state stand."""
        return self.shares or self.name


@dataclass(frozen=True)
class Graph(Stepping):
    """Values flow along edges; deltas flow back and are SUMMED where a value fans out.

        x = dp.Input()
        h = dp.Dense(64)(x)
        net = dp.Graph(x, dp.Add()(h, x))

    At a value z that is read by several layers r,  ∂E/∂z = Σ_r ∂E/∂x_r,  and for parameters that
    several vertices share,  ∂E/∂W = Σ_v ∂E/∂W_v: the total differential, both times.

    A layer is called `{index}_{class}` in the order of writing, or by the user's `layer(x, name="encoder")`.
    Two calls under ONE name must be of equal layers and share their parameters; the second is listed
    as `encoder@2`. Two calls without a name never share, even of equal layers.

    Args:
        inputs: a symbolic input, or a tuple of them (then x is a tuple of arrays, of one input too).
        outputs: a symbolic value, or a tuple of them (then y is a tuple of arrays, of one output too).
        vertices: the graph in canonical form, as a saved description has it; with it, inputs and
            outputs are names. Leave it out when writing a graph down.

    Raises:
        ConfigError: an input or layer that leads nowhere, a value that depends on an input not listed,
            different layers or values under one name.
    """

    inputs: Any
    outputs: Any
    vertices: tuple[Vertex, ...] = ()

    def validate(self) -> None:
        if not self.vertices and not all(isinstance(name, str) for name in (*_many(self.inputs), *_many(self.outputs))):
            parts = _canonical(self.inputs, self.outputs)
            for name, part in zip(("inputs", "outputs", "vertices"), parts, strict=True):
                object.__setattr__(self, name, part)
        _check(_many(self.inputs), _many(self.outputs), self.vertices)

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        return tuple((vertex.name, vertex.layer) for vertex in self.vertices)

    @property
    def takes_integers(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """For every input, whether some layer that reads it takes integers; None where one does not say."""

        def reads(vertex: Vertex, name: str) -> set[Any]:
            takes = vertex.layer.takes_integers
            several = takes if isinstance(takes, tuple) else (takes,) * len(vertex.inputs)
            return {flag for flag, source in zip(several, vertex.inputs, strict=True) if source == name}

        met = [set[Any]().union(*(reads(v, name) for v in self.vertices)) for name in _many(self.inputs)]
        return _like(self.inputs, [True if True in flags else None if None in flags else False for flags in met])

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        """The shape of one example of every value, by name."""
        shapes = dict(zip(_many(self.inputs), self._inputs(in_shape, "shape"), strict=True))
        for vertex in self.vertices:
            with naming(vertex.name):
                shapes[vertex.name] = vertex.layer.out_shape(_gathered(vertex, shapes))
        return shapes

    def out_shape(self, in_shape: Any) -> Any:
        shapes = self.shapes(in_shape)
        return _like(self.outputs, [shapes[name] for name in _many(self.outputs)])

    def init_params(self, key: Array, in_shape: Any) -> Params:
        shapes = self.shapes(in_shape)
        params: Params = {}
        for vertex in self.vertices:
            fresh = vertex.layer.init_params(key_for(key, vertex.slot), _gathered(vertex, shapes))
            known = params.setdefault(vertex.slot, fresh)
            if jax.tree.map(jnp.shape, known) != jax.tree.map(jnp.shape, fresh):
                both = f"{vertex.name!r} shares the parameters of {vertex.slot!r}"
                raise ShapeError(f"{both} but has another input shape.")
        return params

    def init_state(self, in_shape: Any) -> State:
        shapes = self.shapes(in_shape)
        owners = [vertex for vertex in self.vertices if not vertex.shares]
        return init_state_of({v.name: v.layer for v in owners}, {v.name: _gathered(v, shapes) for v in owners})

    def next_state(self, state: State, saved: Saved) -> State:
        state = dict(state)
        for vertex in self.vertices:  # a shared layer advances once for each of its uses
            if vertex.slot in state:
                state[vertex.slot] = vertex.layer.next_state(state[vertex.slot], saved[vertex.name])
        return state

    def slots(self) -> dict[str, str]:
        return {vertex.name: vertex.slot for vertex in self.vertices}

    @property
    def parts(self) -> int:
        return len(self.outputs) if isinstance(self.outputs, tuple) else 0

    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        values = dict(zip(_many(self.inputs), self._inputs(x, "array"), strict=True))
        saved, met, contexts = {}, {}, dict.fromkeys(values, ctx)
        for vertex in self.vertices:
            x, there = _gathered(vertex, values), contexts[vertex.inputs[0]]
            known = params[vertex.slot], x, _context(vertex, there)
            values[vertex.name], saved[vertex.name], seen = step(vertex.layer, vertex.name, *known)
            contexts[vertex.name] = behind(vertex.name, x, values[vertex.name], there)
            met |= seen
        return _like(self.outputs, [values[name] for name in _many(self.outputs)]), saved, met

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        grads: Grads = {}
        met: dict[str, Delta] = {}
        deltas: dict[str, Any] = {}
        for name, delta in zip(_many(self.outputs), dy if isinstance(self.outputs, tuple) else (dy,), strict=True):
            _accumulate(deltas, name, delta)
        for vertex in reversed(self.vertices):
            known = params[vertex.slot], saved[vertex.name], deltas.pop(vertex.name)
            dx, fresh, seen = step(vertex.layer, vertex.name, *known)
            _accumulate(grads, vertex.slot, fresh)  # shared weights: sum of gradients
            for name, delta in zip(vertex.inputs, dx if len(vertex.inputs) > 1 else (dx,), strict=True):
                _accumulate(deltas, name, delta)  # fan-out: sum of deltas
            met |= seen
        return _like(self.inputs, [deltas[name] for name in _many(self.inputs)]), grads, met

    def _inputs(self, given: Any, what: str) -> tuple[Any, ...]:
        if not isinstance(self.inputs, tuple):
            return (given,)
        wrong = not isinstance(given, (tuple, list)) or len(given) != len(self.inputs)
        if wrong or (what == "shape" and not all(isinstance(part, (tuple, list)) for part in given)):
            hint = " To give one by itself write Graph(x, y), not Graph([x], y)." * (len(self.inputs) == 1)
            wanted = f"a tuple of {len(self.inputs)} {what}{'s' * (len(self.inputs) > 1)}"
            raise ShapeError(f"This graph wants {wanted}, for {', '.join(self.inputs)}.{hint}")
        if any(isinstance(part, Padded) for part in given):
            raise ShapeError("Each input of a graph of several is an array, not Padded: use EncoderDecoder for pairs.")
        return tuple(given)


def _accumulate(sums: dict[str, Any], name: str, term: Any) -> None:
    sums[name] = tree.add(sums[name], term) if name in sums else term


def _many(names: Any) -> tuple[Any, ...]:
    return names if isinstance(names, tuple) else (names,)


def _like(names: Any, values: Iterable[Any]) -> Any:
    """The values as a tuple where the names are one, else the single value."""
    listed = list(values)
    return tuple(listed) if isinstance(names, tuple) else listed[0]


def _gathered(vertex: Vertex, values: dict[str, Any]) -> Any:
    """The value that goes into a vertex, or a tuple where several do."""
    found = [values[name] for name in vertex.inputs]
    return tuple(found) if len(found) > 1 else found[0]


def _context(vertex: Vertex, ctx: Context) -> Context:
    """A vertex that shares reads the state of its slot under its own name, and is still where that is."""
    if not vertex.shares:
        return ctx
    own, slot = (f"{ctx.name}/{name}" if ctx.name else name for name in (vertex.name, vertex.slot))
    still = ctx.still | {own + path.removeprefix(slot) for path in ctx.still if f"{path}/".startswith(f"{slot}/")}
    return dataclasses.replace(ctx, state=ctx.state | {vertex.name: ctx.state.get(vertex.slot, {})}, still=still)


def _check(inputs: tuple[str, ...], outputs: tuple[str, ...], vertices: tuple[Vertex, ...]) -> None:
    """Raise `ConfigError` where names and edges make no graph."""
    if not inputs or not outputs:
        raise ConfigError("A graph wants an input and an output at least: Graph(x, y).")
    if len(set(inputs)) < len(inputs):
        raise ConfigError(f"Inputs must have different names, not {inputs}.")
    known, layers = set(inputs), {}
    for vertex in vertices:
        if not isinstance(vertex, Vertex):
            raise ConfigError(f"A graph's vertices are Vertex(name, layer, inputs), not {vertex!r}.")
        if vertex.name in known:
            raise ConfigError(f"{vertex.name!r} is the name of two values of the graph: choose another.")
        if missing := [name for name in vertex.inputs if name not in known]:
            raise ConfigError(f"{vertex.name!r} reads {missing[0]!r}, which is not an earlier value of the graph.")
        if vertex.shares and vertex.shares not in layers:
            raise ConfigError(f"{vertex.name!r} shares {vertex.shares!r}, which is no earlier layer with its own.")
        if layers.setdefault(vertex.slot, vertex.layer) != vertex.layer:
            both = f"{layers[vertex.slot]!r} and {vertex.layer!r}"
            raise ConfigError(f"Two layers are called {vertex.slot!r}, {both}: one name means one set of parameters.")
        known.add(vertex.name)
    if missing := [name for name in outputs if name not in known]:
        raise ConfigError(f"Output {missing[0]!r} is not a value of the graph.")
    read = {name for vertex in vertices for name in vertex.inputs} | set(outputs)
    if unread := [name for name in inputs if name not in read]:
        raise ConfigError(f"Input {unread[0]!r} leads to no output: leave it out or connect it.")
    if unread := [vertex.name for vertex in vertices if vertex.name not in read]:
        raise ConfigError(f"Layer {unread[0]!r} leads to no output: leave it out or connect it.")


def _canonical(inputs: Any, outputs: Any) -> tuple[Any, Any, tuple[Vertex, ...]]:
    """Names for symbolic values, and the vertices they need, in the order of writing."""
    for value in (*_many(inputs), *_many(outputs)):
        if not isinstance(value, Node):
            raise ConfigError(f"Graph wants symbolic values, from dp.Input() and layers called on them, not {value!r}.")
    needed: dict[int, Node] = {}
    pending = list(_many(outputs))
    while pending:
        node = pending.pop()
        if node.order not in needed:
            needed[node.order] = node
            pending += node.inputs
    names: dict[int, str] = {}
    for index, node in enumerate(_many(inputs)):
        names[node.order] = node.name or (f"input_{index}" if isinstance(inputs, tuple) else "input")
    applied = [needed[order] for order in sorted(needed) if order not in names]
    if stray := [node for node in applied if node.layer is None]:
        raise ConfigError(
            f"The output depends on input {stray[0]!r}, which is not among the graph's inputs: these are what "
            "dp.Input() gives, not what a layer makes of it."
        )
    vertices: list[Vertex] = []
    uses: dict[str, int] = {}
    automatic = numbered([type(node.layer).__name__.lower() for node in applied])
    unnamed = {own for own, node in zip(automatic, applied, strict=True) if not node.name}
    for own, node in zip(automatic, applied, strict=True):
        slot = node.name or own
        if node.name in unnamed:
            raise ConfigError(f"{node.name!r} is also the automatic name of another layer: choose another.")
        if "/" in slot or "@" in slot:
            raise ConfigError(f"A layer's name must be without '/' and '@', not {slot!r}.")
        uses[slot] = uses.get(slot, 0) + 1
        names[node.order] = slot if uses[slot] == 1 else f"{slot}@{uses[slot]}"
        shares = "" if uses[slot] == 1 else slot
        vertices.append(Vertex(names[node.order], node.layer, tuple(names[i.order] for i in node.inputs), shares))
    return (
        _like(inputs, [names[node.order] for node in _many(inputs)]),
        _like(outputs, [names[node.order] for node in _many(outputs)]),
        tuple(vertices),
    )

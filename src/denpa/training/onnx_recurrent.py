"""Recurrent layers in ONNX, whose arrays there are, with a first axis for the direction,

    W (gates · units, in) = Wxᵀ      R (gates · units, units) = Whᵀ      B = (b, 0), or with a bias of its own (b, bh)

with time in front of x and y. An LSTM has its gates in the order i o f g there, its peepholes in i o f; a GRU has ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.core.errors import ConfigError
from denpa.layers import ReLU, Sigmoid, Tanh
from denpa.layers.cell import activation_of
from denpa.networks import GRU, LSTM, Bidirectional
from denpa.training.onnx_graph import Arrays, OnnxGraph, Value

__all__ = ["bidirectional", "recurrent"]

_ACTIVATIONS = {Tanh(): "Tanh", ReLU(): "Relu", Sigmoid(): "Sigmoid"}
_GATES = {LSTM: (0, 3, 1, 2), GRU: (0, 1, 2)}  # there, by their places here


def recurrent(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value, *carry: Value) -> list[Value]:
    """An RNN, LSTM or GRU: y, and behind it the carry where the layer gives it out."""
    units, time = layer.units, x.shape[1]
    order = _GATES.get(type(layer), (0,))
    if isinstance(layer, LSTM) and layer.peepholes and layer.output_peephole == "previous":
        raise ConfigError(
            f"Layer {graph.place!r}: in ONNX an LSTM's output gate sees the new memory, not the previous."
        )
    options, sizes = _options(graph, layer), layer.cell.sizes()
    initial = [_in_front(graph, part) for part in carry] or [None] * len(sizes)
    peepholes = [graph.array(arrays["p"][[0, 2, 1]].reshape(1, -1), "P")] if "p" in arrays else []
    y, *final = graph.apply_several(
        type(layer).__name__,
        x.transpose(1, 0, 2),
        graph.array(_rows(arrays["Wx"], order), "W"),
        graph.array(_rows(arrays["Wh"], order), "R"),
        _bias(graph, arrays, order) if "b" in arrays else None,
        None,  # lengths: all steps
        *initial,
        *peepholes,
        shapes=[(time, 1, 0, units), *((1, 0, size) for size in sizes)],
        hidden_size=units,
        direction="reverse" if layer.reverse else "forward",
        **options,
    )
    final = [_squeezed(graph, part, 0, (0, size)) for part, size in zip(final, sizes, strict=True)]
    if layer.return_sequences:
        outputs = [_squeezed(graph, y, 1, (time, 0, units)).transpose(1, 0, 2)]
    else:
        outputs = final[:1]
    return [*outputs, *final] if layer.return_carry else outputs


def bidirectional(graph: OnnxGraph, layer: Bidirectional, arrays: Arrays, x: Value, *carry: Value) -> list[Value]:
    """Both directions as layers of their own, joined."""
    path, half, found = graph.place, len(carry) // 2, []
    for (name, inner), part in zip(layer.inner(), (carry[:half], carry[half:]), strict=True):
        graph.place = f"{path}/{name}"
        own = {array.split("/")[1]: values for array, values in arrays.items() if array.startswith(f"{name}/")}
        found.append(recurrent(graph, inner, own, x, *part))
    graph.place = path
    (one, *ahead), (two, *behind) = found
    return [graph.concat([one, two], -1) if layer.merge == "concat" else one + two, *ahead, *behind]


def _options(graph: OnnxGraph, layer: Any) -> dict[str, Any]:
    if isinstance(layer, GRU):
        return {"linear_before_reset": int(layer.reset_after)}
    squash = activation_of(layer, layer.activation)
    if squash not in _ACTIVATIONS:
        raise ConfigError(
            f"Layer {graph.place!r}: {type(layer).__name__} is written as ONNX with the activations tanh, relu and "
            f"sigmoid, not with {squash!r}."
        )
    name = _ACTIVATIONS[squash]
    return {"activations": ["Sigmoid", name, name] if isinstance(layer, LSTM) else [name]}


def _rows(W: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """W (in, gates · units) as (1, gates · units, in), its gates in this order."""
    gates = np.split(W, len(order), axis=-1)
    return np.concatenate([gates[place] for place in order], axis=-1).T[None]


def _bias(graph: OnnxGraph, arrays: Arrays, order: tuple[int, ...]) -> Value:
    """(1, 2 · gates · units): what stands beside the input product, then beside the recurrent one."""
    b = _rows(arrays["b"][None], order)[..., 0]
    beside = np.zeros_like(b)
    if "bh" in arrays:
        beside[:, -arrays["bh"].size :] = arrays["bh"]  # of the candidate alone
    return graph.array(np.concatenate([b, beside], axis=1), "B")


def _in_front(graph: OnnxGraph, part: Value) -> Value:
    """(batch, units) as (1, batch, units)."""
    return graph.apply("Unsqueeze", part, graph.array(np.array([0], np.int64)), shape=(1, *part.shape))


def _squeezed(graph: OnnxGraph, value: Value, axis: int, shape: tuple[int, ...]) -> Value:
    return graph.apply("Squeeze", value, graph.array(np.array([axis], np.int64)), shape=shape)

"""What layers are in ONNX, in inference. Images are (batch, channels, height, width) there."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from denpa.core.errors import ConfigError
from denpa.core.layer import Layer
from denpa.layers import (
    ELU,
    ActivityL1,
    Add,
    AveragePool2d,
    BatchNorm,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    GlobalAveragePool2d,
    Identity,
    KLSparsity,
    LeakyReLU,
    LocalResponseNorm,
    LpPool2d,
    Maxout,
    MaxPool2d,
    PReLU,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
    ThresholdDense,
    Unpool2d,
)
from denpa.layers.window import paddings_of, pair_of
from denpa.networks import GRU, LSTM, RNN, Bidirectional
from denpa.training.onnx_graph import Arrays, OnnxGraph, Value
from denpa.training.onnx_recurrent import bidirectional, recurrent

__all__ = ["written"]


def written(graph: OnnxGraph, path: str, layer: Layer, arrays: Arrays, inputs: list[Value]) -> list[Value]:
    """The outputs of a layer as values of the graph.

    Args:
        graph: where its nodes go.
        path: of the layer, after which its nodes and arrays are named.
        layer: the layer.
        arrays: its parameters and its state, by their paths inside it.
        inputs: the values that enter.

    Raises:
        ConfigError: ONNX has no such layer, or not with these options.
    """
    graph.place = path
    write = _WRITERS.get(type(layer))
    if write is None:
        raise ConfigError(
            f"{f'Layer {path!r}: ' * bool(path)}{layer!r} is not written as ONNX. Written are "
            f"{', '.join(sorted(kind.__name__ for kind in _WRITERS))}, and Sequential, Graph and Tied of them."
        )
    made = write(graph, layer, {name: np.asarray(array, np.float32) for name, array in arrays.items()}, *inputs)
    return made if isinstance(made, list) else [made]


def _dense(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
    y = graph.apply("MatMul", x, graph.array(arrays["W"], "W"), shape=(*x.shape[:-1], layer.units))
    return _plus(graph, y, "Add", arrays, "b")


def _threshold_dense(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
    y = graph.apply("MatMul", x, graph.array(arrays["W"], "W"), shape=(*x.shape[:-1], layer.units))
    return _plus(graph, y, "Sub", arrays, "theta")


def _plus(graph: OnnxGraph, y: Value, kind: str, arrays: Arrays, name: str) -> Value:
    return graph.apply(kind, y, graph.array(arrays[name], name), shape=y.shape) if name in arrays else y


def _as_it_is(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
    return x


def _dropout(graph: OnnxGraph, layer: Dropout, arrays: Arrays, x: Value) -> Value:
    return x * (1 - layer.rate) if layer.scaling == "classical" else x


def _elementwise(kind: str, **options: str) -> Callable[..., Value]:
    """A writer for what ONNX has under this name; options by their names there and here."""

    def write(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
        return graph.apply(kind, x, shape=x.shape, **{there: getattr(layer, here) for there, here in options.items()})

    return write


def _step(graph: OnnxGraph, layer: Step, arrays: Arrays, x: Value) -> Value:
    above = graph.apply("Greater", x, graph.array(np.float32(0)), shape=x.shape, dtype=np.bool_)
    return above.astype(np.float32)


def _softmax(graph: OnnxGraph, layer: Softmax, arrays: Arrays, x: Value) -> Value:
    return graph.apply("Softmax", x, shape=x.shape, axis=-1)


def _prelu(graph: OnnxGraph, layer: PReLU, arrays: Arrays, x: Value) -> Value:
    return graph.apply("PRelu", x, graph.array(arrays["alpha"].reshape(-1), "alpha"), shape=x.shape)


def _maxout(graph: OnnxGraph, layer: Maxout, arrays: Arrays, x: Value) -> Value:
    pieces = x.reshape(*x.shape[:-1], -1, layer.pieces)
    return graph.apply("ReduceMax", pieces, shape=pieces.shape[:-1], axes=[-1], keepdims=0)


def _batch_norm(graph: OnnxGraph, layer: BatchNorm, arrays: Arrays, x: Value) -> Value:
    """(x - mean) · slope + beta, slope = gamma / sqrt(var + epsilon), as in training but with fixed statistics."""
    slope = arrays.get("gamma", 1.0) / np.sqrt(arrays["var"].astype(np.float64) + layer.epsilon)
    y = graph.apply("Sub", x, graph.array(arrays["mean"], "mean"), shape=x.shape)
    y = graph.apply("Mul", y, graph.array(slope.astype(np.float32), "slope"), shape=x.shape)
    return _plus(graph, y, "Add", arrays, "beta")


def _reshape(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
    return x.reshape(0, *layer.out_shape(x.shape[1:]))


def _add(graph: OnnxGraph, layer: Add, arrays: Arrays, *parts: Value) -> Value:
    return functools.reduce(operator.add, parts)


def _concatenate(graph: OnnxGraph, layer: Concatenate, arrays: Arrays, *parts: Value) -> Value:
    return graph.concat(parts, layer.axis)


def _embedding(graph: OnnxGraph, layer: Embedding, arrays: Arrays, x: Value) -> Value:
    W = arrays["W"].copy()
    if layer.padding is not None:
        W[layer.padding] = 0
    return graph.apply("Gather", graph.array(W, "W"), x, shape=(*x.shape, layer.units), axis=0)


def _convolution(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
    rank, windows = layer.rank, layer.windows
    sides = layer.paddings(x.shape[1:])[:rank]
    if layer.padding == "circular":
        x, sides = _joined_ends(graph, x, sides), ((0, 0),) * rank
    W = arrays["W"][tuple(slice(None, None, -1) for _ in range(rank))] if layer.true_convolution else arrays["W"]
    tied = [] if layer.untied_bias or "b" not in arrays else [graph.array(arrays["b"], "b")]
    shape = (0, *layer.out_shape(x.shape[1:])) if layer.padding != "circular" else _reached(layer, x)
    y = graph.apply(
        "Conv",
        _channels_first(x),
        graph.array(np.moveaxis(W, (-1, -2), (0, 1)), "W"),  # (filters, channels / groups, ...)
        *tied,
        shape=(0, shape[-1], *shape[1:-1]),
        strides=windows.stride[:rank],
        dilations=windows.dilation[:rank],
        pads=[before for before, _ in sides] + [after for _, after in sides],
        group=layer.groups,
    )
    y = _channels_last(y)
    return _plus(graph, y, "Add", arrays, "b") if layer.untied_bias else y


def _reached(layer: Any, x: Value) -> tuple[int, ...]:
    """The shape of a convolution without padding."""
    return (0, *layer.replace(padding=0, untied_bias=False).out_shape(x.shape[1:]))


def _joined_ends(graph: OnnxGraph, x: Value, sides: Any) -> Value:
    """x with as much of its other end before and behind it, axis by axis."""
    for axis, (before, after) in enumerate(sides, 1):
        n = x.shape[axis]
        places = np.arange(-before, n + after, dtype=np.int64) % n
        shape = [*x.shape[:axis], len(places), *x.shape[axis + 1 :]]
        x = graph.apply("Gather", x, graph.array(places), shape=shape, axis=axis)
    return x


def _transposed(graph: OnnxGraph, layer: ConvTranspose2d, arrays: Arrays, x: Value) -> Value:
    windows, (height, width, filters) = layer.windows, layer.out_shape(x.shape[1:])
    sides = paddings_of(layer.padding, (height, width), windows)
    spans = zip((height, width), windows.stride, x.shape[1:3], windows.reach, sides, strict=True)
    # How much is left over behind what the kernels reach: runtimes differ in the output_padding that they allow.
    ends = [out - (s * (n - 1) + reach - before) for out, s, n, reach, (before, _) in spans]
    beyond = [max(end, 0) for end in ends]
    y = graph.apply(
        "ConvTranspose",
        _channels_first(x),
        graph.array(arrays["W"].transpose(2, 3, 0, 1), "W"),  # (channels, filters / groups, height, width)
        shape=(0, filters, height - beyond[0], width - beyond[1]),
        strides=windows.stride,
        dilations=windows.dilation,
        pads=[before for before, _ in sides] + [max(-end, 0) for end in ends],
        group=layer.groups,
    )
    if any(beyond):
        y = graph.apply("Pad", y, graph.array(np.array([0] * 6 + beyond, np.int64)), shape=(0, filters, height, width))
    return _plus(graph, _channels_last(y), "Add", arrays, "b")


def _pooled(graph: OnnxGraph, kind: str, layer: Any, x: Value, **options: Any) -> Value:
    size, stride, sides = layer.how(x.shape[1:])
    shape = layer.out_shape(x.shape[1:])
    pads = [before for before, _ in sides] + [after for _, after in sides]
    options |= {"kernel_shape": size, "strides": stride, "pads": pads}
    return _channels_last(graph.apply(kind, _channels_first(x), shape=(0, shape[2], *shape[:2]), **options))


def _max_pool(graph: OnnxGraph, layer: MaxPool2d, arrays: Arrays, x: Value) -> Value:
    return _pooled(graph, "MaxPool", layer, x)


def _average_pool(graph: OnnxGraph, layer: AveragePool2d, arrays: Arrays, x: Value) -> Value:
    return _pooled(graph, "AveragePool", layer, x, count_include_pad=int(layer.count_padding))


def _lp_pool(graph: OnnxGraph, layer: LpPool2d, arrays: Arrays, x: Value) -> Value:
    powers = graph.apply("Abs", x, shape=x.shape) ** layer.p  # ONNX's LpPool leaves out the 1/n
    return _pooled(graph, "AveragePool", layer, powers, count_include_pad=1) ** (1 / layer.p)


def _global_average(graph: OnnxGraph, layer: Any, arrays: Arrays, x: Value) -> Value:
    return graph.apply("ReduceMean", x, shape=(0, x.shape[3]), axes=[1, 2], keepdims=0)


def _unpool(graph: OnnxGraph, layer: Unpool2d, arrays: Arrays, x: Value) -> Value:
    (_, height, width, channels), (down, across) = x.shape, pair_of(layer.size)
    x, shape = x.reshape(0, height, 1, width, 1, channels), (0, height, down, width, across, channels)
    if layer.mode == "nearest":
        blocks = graph.apply("Expand", x, graph.array(np.array([1, 1, down, 1, across, 1], np.int64)), shape=shape)
    else:
        ends = np.array([0, 0, 0, 0, 0, 0, 0, 0, down - 1, 0, across - 1, 0], np.int64)
        blocks = graph.apply("Pad", x, graph.array(ends), shape=shape)
    return blocks.reshape(0, height * down, width * across, channels)


def _response_norm(graph: OnnxGraph, layer: LocalResponseNorm, arrays: Arrays, x: Value) -> Value:
    if x.ndim != 4:
        raise ConfigError(f"{layer!r} is written as ONNX for images alone, not for examples of shape {x.shape[1:]}.")
    size = 2 * (layer.size // 2) + 1
    options = {"size": size, "alpha": layer.alpha * size, "beta": layer.beta, "bias": layer.k}  # divides alpha by size
    first = _channels_first(x)
    return _channels_last(graph.apply("LRN", first, shape=first.shape, **options))


def _channels_first(x: Value) -> Value:
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _channels_last(y: Value) -> Value:
    return y.transpose(0, *range(2, y.ndim), 1)


_WRITERS: dict[type[Layer], Callable[..., Any]] = {
    **dict.fromkeys((Identity, GaussianNoise, ActivityL1, KLSparsity), _as_it_is),
    **dict.fromkeys((Flatten, Reshape), _reshape),
    **dict.fromkeys((Conv1d, Conv2d), _convolution),
    **dict.fromkeys((RNN, LSTM, GRU), recurrent),
    Add: _add,
    AveragePool2d: _average_pool,
    BatchNorm: _batch_norm,
    Bidirectional: bidirectional,
    Concatenate: _concatenate,
    ConvTranspose2d: _transposed,
    Dense: _dense,
    Dropout: _dropout,
    ELU: _elementwise("Elu", alpha="alpha"),
    Embedding: _embedding,
    GlobalAveragePool2d: _global_average,
    LeakyReLU: _elementwise("LeakyRelu", alpha="slope"),
    LocalResponseNorm: _response_norm,
    LpPool2d: _lp_pool,
    MaxPool2d: _max_pool,
    Maxout: _maxout,
    PReLU: _prelu,
    ReLU: _elementwise("Relu"),
    Sigmoid: _elementwise("Sigmoid"),
    Softmax: _softmax,
    Step: _step,
    Tanh: _elementwise("Tanh"),
    ThresholdDense: _threshold_dense,
    Unpool2d: _unpool,
}

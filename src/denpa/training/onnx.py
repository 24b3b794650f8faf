"""A trained model as a file of ONNX, which runtimes in other languages and on other devices compute with."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.data.arguments import as_flag, as_path
from denpa.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.training.applications import Applications
from denpa.training.model import Model
from denpa.training.onnx_graph import OPERATORS, OnnxGraph, Value, onnx
from denpa.training.onnx_layers import written
from denpa.training.preparation import network_shape
from denpa.training.storage import write_bytes

__all__ = ["export_onnx"]

_LINKS = {SoftmaxCrossEntropy: "Softmax", SigmoidCrossEntropy: "Sigmoid"}
_IR = 8  # the form of files of ONNX 1.12


def export_onnx(model: Model, path: Any, *, probabilities: bool = False) -> None:
    """Write what `model.predict` computes as ONNX, for any number of examples at a time.

    The input `x` is what `predict` takes, (batch, ...), and the output `y` what it gives: normalisers are part of the
    graph, images stay (batch, height, width, channels). Sequences have as many steps as `model.in_shape` says.
    Arrays and nodes are named by the paths of their layers, and class names and feature names stand in the file's
    metadata as JSON. Of a table's model x are the numbers that its encoder makes of a row.

    Args:
        model: a trained `Model`.
        path: the file, such as "model.onnx".
        probabilities: y are the probabilities of the classes, as `predict_probabilities` gives them.

    Raises:
        ConfigError: ONNX is not installed (the extra `onnx`); no model, or none that has parameters; a layer that ONNX
            does not have, which is named; probabilities of values.
        StorageError: the file cannot be written.
    """
    as_flag(probabilities, "probabilities")
    path = as_path(path)
    if not isinstance(model, Model):
        raise ConfigError(f"export_onnx writes a Model, such as dp.load(RUN), not {type(model).__name__}.")
    helper, checker = onnx("onnx.helper"), onnx("onnx.checker")
    graph = OnnxGraph()
    params, state = (tree.flatten(part) for part in model.variables)
    entering = _inputs(model, graph)
    outputs = _run(model, graph, entering, params, state)
    graph.place = "loss"
    outputs = [_linked(model, graph, y) for y in outputs] if probabilities else outputs
    names = [f"y_{i}" if len(outputs) > 1 else "y" for i in range(len(outputs))]
    nodes, arrays = graph.needed(outputs)
    nodes += [helper.make_node("Identity", [v.name], [n], name=n) for v, n in zip(outputs, names, strict=True)]
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "denpa",
            [_described(value.name, value) for value in entering],
            [_described(name, value) for name, value in zip(names, outputs, strict=True)],
            [onnx("onnx.numpy_helper").from_array(array, name) for name, array in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPERATORS)],
        ir_version=_IR,
        producer_name="denpa",
    )
    helper.set_model_props(made, _told(model))
    checker.check_model(made, full_check=True)
    write_bytes(path, made.SerializeToString())


def _inputs(model: Model, graph: OnnxGraph) -> list[Value]:
    """What enters: numbers, or whole ones where the network reads words."""
    shapes, several = model.in_shape, bool(model.in_shape) and isinstance(model.in_shape[0], tuple)
    shapes, takes = shapes if several else [shapes], model.net.takes_integers
    each = takes if isinstance(takes, tuple) else (takes,) * len(shapes)
    kinds = [np.dtype(np.int64 if whole else np.float32) for whole in each]
    names = [f"x_{i}" if several else "x" for i in range(len(shapes))]
    return [Value(graph, n, (0, *shape), kind) for n, shape, kind in zip(names, shapes, kinds, strict=True)]


def _run(
    model: Model, graph: OnnxGraph, entering: list[Value], params: dict[str, Any], state: dict[str, Any]
) -> list[Value]:
    """The network's outputs for raw inputs, from arrays by path."""
    statistics, graph.place = jax.tree.map(np.asarray, model.statistics), "normalizer"
    seen = entering if model.normalizer is None else [model.normalizer.apply(statistics, value) for value in entering]
    walk = Applications.of(model.net, network_shape(model))
    for target, source, transpose in walk.ties:
        params[target] = params[source].T if transpose else params[source]
    values = dict(zip(jax.tree.leaves(walk.entering), seen, strict=True))
    for node in walk.nodes:
        arrays = _below(params, node.path) | _below(state, node.path)
        made = written(graph, node.path, node.layer, arrays, [values[number] for number in node.inputs])
        values |= dict(zip(node.outputs, made, strict=True))
    graph.place = "target_normalizer"
    found = [values[number] for number in jax.tree.leaves(walk.leaving)]
    if model.target_normalizer is None:
        return found
    return [model.target_normalizer.invert((statistics or {})["targets"], value) for value in found]


def _below(arrays: dict[str, Any], path: str) -> dict[str, Any]:
    """The arrays of the layer at this path, by their paths inside it."""
    if not path:  # a layer that is the whole network
        return arrays
    return {name[len(path) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{path}/")}


def _linked(model: Model, graph: OnnxGraph, y: Value) -> Value:
    """The output as probabilities."""
    if model.loss.expects == "probabilities":
        return y
    link = _LINKS.get(type(model.loss))
    if link is None:
        raise ConfigError(f"{model.loss!r} reads outputs as {model.loss.expects}: leave probabilities=True out.")
    return graph.apply(link, y, shape=y.shape, **({"axis": -1} if link == "Softmax" else {}))


def _described(name: str, value: Value) -> Any:
    """An input or output of the whole graph."""
    kind = onnx("onnx.helper").np_dtype_to_tensor_dtype(value.dtype)
    return onnx("onnx.helper").make_tensor_value_info(name, kind, ["batch", *value.shape[1:]])


def _told(model: Model) -> dict[str, str]:
    """What the file says of itself, as JSON: the names of classes and features where the model has them."""
    known = {"class_names": model.class_names, "feature_names": model.feature_names}
    return {name: json.dumps(list(names), ensure_ascii=False) for name, names in known.items() if names}

"""Weights of PyTorch, which names and lays out its arrays in its own way. By layer, with what becomes of them here:

    Linear           weight (out, in)                  W (in, out), transposed
    Conv1d           weight (out, in, kernel)          W (kernel, in, out)
    Conv2d           weight (out, in, kh, kw)          W (kh, kw, in, out)
    ConvTranspose2d  weight (in, out / groups, kh, kw) W (kh, kw, in, out / groups)
    BatchNorm        weight, bias                      gamma, beta;  running_mean, running_var: state mean, var
    Embedding        weight (vocabulary, units)        W
    PReLU            weight                            alpha
    RNN, LSTM, GRU   weight_ih_l{k}, ...               Wx, Wh, b of as many layers: `denpa.training.pytorch_recurrent`
    bias of the others                                 b

A recurrent module of several layers is as many layers here, each of them `Bidirectional` where the module reads both
ways; its GRU is the one with `reset_after=True`.
Images and what a Conv1d reads and writes have their channels in front there: (channel, height, width) and (channel,
time). Where a Flatten or a Reshape stands between those and a row of numbers, the rows and columns of dense layers are
put in order, and the arrays of batch normalisations and PReLUs between: `denpa.training.pytorch_order`. A convolution
that turns its kernel around gets it turned around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from denpa.core import tree
from denpa.core.errors import FileFormatError, ShapeError, nearest
from denpa.core.layer import Layer
from denpa.data.arguments import as_texts
from denpa.layers import BatchNorm, Conv1d, Conv2d, ConvTranspose2d, Dense, Embedding, PReLU
from denpa.networks import Graph, Network, Tied
from denpa.training.pytorch_order import LayerOrder, Unknown, orders
from denpa.training.pytorch_recurrent import GATES, Part, natural, parts_by_module, recurrent_arrays
from denpa.training.transfer import below

__all__ = ["from_pytorch"]

_LAYOUTS = {Dense: (1, 0), Conv1d: (2, 1, 0), Conv2d: (2, 3, 1, 0), ConvTranspose2d: (2, 3, 0, 1)}
# By the name there, the place here.
_NAMES = {
    **{kind: {"weight": "params/{}/W", "bias": "params/{}/b"} for kind in _LAYOUTS},
    BatchNorm: {
        "weight": "params/{}/gamma",
        "bias": "params/{}/beta",
        "running_mean": "state/{}/mean",
        "running_var": "state/{}/var",
    },
    Embedding: {"weight": "params/{}/W"},
    PReLU: {"weight": "params/{}/alpha"},
}


def from_pytorch(
    net: Network, in_shape: Any, source: Any, names: Mapping[str, str] | None = None, only: Any = None
) -> tuple[dict[str, Any], list[str]]:
    """The arrays of PyTorch's modules by the paths of this network, in its layout; and what is wrong with them.

    Args:
        net: the network that receives.
        in_shape: the shape of one example as the network sees it.
        source: a safetensors file, or a dict like a module's `state_dict()` with arrays of NumPy.
        names: from layers of ours to modules of PyTorch's: {"0_conv2d": "features.0"}. A recurrent module belongs to
            all layers that name it, or to those inside of one that does: {"0_lstm": "rnn", "1_lstm": "rnn"}. None: the
            layers that have arrays get the modules that have any, in their order: that of a `state_dict()`, or, as a
            file does not keep it, that of the names, where the numbers in names count as numbers.
        only: patterns of the arrays that will be taken; None for all. What cannot be put in order is wrong there alone.

    Raises:
        FileFormatError: the file cannot be read.
        ShapeError: layers and modules do not pair, with both lists, or the names in a file do not tell the order.
    """
    layers = {path: layer for path, layer in _layers(net) if type(layer) in (*_NAMES, *GATES)}
    arrays, ordered = _read(source), isinstance(source, Mapping)
    modules = parts_by_module(arrays if ordered else {name: arrays[name] for name in sorted(arrays, key=natural)})
    if names is None and not ordered:
        _want_order(modules)
    found: dict[str, Any] = {}
    problems: list[str] = []
    known = orders(net, in_shape)
    for path, part in _in_order(layers, modules) if names is None else _named(layers, modules, names):
        layer, order = layers[path], known.get(path, LayerOrder())
        problems += _out_of_order(path, layer, part, order, only)
        if type(layer) in GATES:
            laid_out, wrong = recurrent_arrays(path, layer, part)
            found |= laid_out
            problems += wrong
            continue
        for name, array in part.arrays.items():
            place, wrong = _place(path, layer, name, array)
            if wrong:
                problems.append(f"{part.module}.{name}".lstrip(".") + f" {wrong}")
            else:
                found[place] = _laid_out(layer, name, array, order)
    return found, problems


def _want_order(modules: dict[str, list[Part]]) -> None:
    """Refuse modules whose order neither their names tell nor the shapes of their arrays show."""
    kinds: dict[Any, str] = {}
    for module, parts in modules.items():
        shapes = frozenset((name, array.shape) for part in parts for name, array in part.arrays.items())
        like = kinds.setdefault(shapes, module)
        if re.sub(r"\d+", "", like) != re.sub(r"\d+", "", module):
            raise ShapeError(
                f"A file does not keep the order of PyTorch's modules, and {like!r} and {module!r} have arrays of the "
                "same shapes: pair them by names={layer: module}, or give the state_dict() itself."
            )


def _in_order(layers: dict[str, Layer], modules: dict[str, list[Part]]) -> list[tuple[str, Part]]:
    """Layers and parts of modules, the first with the first."""
    parts = [part for own in modules.values() for part in own]
    if len(layers) != len(parts):
        raise ShapeError(
            f"{len(parts)} modules of PyTorch, or layers of them ({', '.join(map(str, parts))}) for {len(layers)} "
            f"layers with arrays ({', '.join(layers)}): pair them by names={{layer: module}}."
        )
    return list(zip(layers, parts, strict=True))


def _named(
    layers: dict[str, Layer], modules: dict[str, list[Part]], names: Mapping[str, str]
) -> list[tuple[str, Part]]:
    """Layers and the parts of the modules that are named for them, or for what they are inside of."""
    pairs = []
    for path, module in names.items():
        if not any(below(layer, path) for layer in layers):
            hint = nearest(path, layers, plural="layers")
            raise ShapeError(f"names: there is no layer {path!r} whose arrays PyTorch has too; {hint}")
        if module not in modules:
            raise ShapeError(f"names: PyTorch has no module {module!r}; {nearest(module, modules, plural='modules')}")
    for module in dict.fromkeys(names.values()):
        ours = [path for path, theirs in names.items() if theirs == module]
        inside = [layer for layer in layers if any(below(layer, path) for path in ours)]
        parts = modules[module] * (len(ours) if len(modules[module]) == 1 else 1)  # several layers may start alike
        if len(inside) != len(parts):
            raise ShapeError(
                f"names: {module!r} of PyTorch is {len(parts)} layers ({', '.join(map(str, parts))}), but is named for "
                f"{len(inside)} ({', '.join(inside)})."
            )
        pairs += zip(inside, parts, strict=True)
    return pairs


def _place(path: str, layer: Layer, name: str, array: Any) -> tuple[str, str]:
    """Where an array of a module belongs, and why it belongs nowhere."""
    kind, names = type(layer), _NAMES[type(layer)]
    if name not in names:
        return "", f"has no counterpart in {path}, which is a {kind.__name__}"
    if name == "weight" and kind in _LAYOUTS and array.ndim != len(_LAYOUTS[kind]):
        return "", f"has shape {array.shape}, but {path} is a {kind.__name__}"
    return names[name].format(path), ""


def _out_of_order(path: str, layer: Layer, part: Part, order: LayerOrder, only: Any) -> list[str]:
    """What is wrong where arrays are wanted that would have to be put in an order that is not known."""
    unknown = next((side for side in order if isinstance(side, Unknown)), None)
    if unknown is None or (isinstance(layer, PReLU) and layer.shared):
        return []
    names = {name: place.format(path).partition("/")[2] for name, place in _NAMES.get(type(layer), {}).items()}
    places = [names[name] for name in part.arrays if name in names] or [f"{path}/{name}" for name in ("Wx", "Wh", "b")]
    patterns = ("*",) if only is None else as_texts(only, "only")
    if not any(tree.matches(place, pattern) for place in places for pattern in patterns):
        return []
    return [
        f"{path} cannot be put in order, since {unknown.why}: set its arrays by hand, and load the others by only= or "
        "names= without it"
    ]


def _laid_out(layer: Layer, name: str, array: Any, order: LayerOrder) -> Any:
    """One array of a module as the layer has it."""
    if isinstance(layer, PReLU) and layer.shared and array.size == 1:
        return array.reshape(())
    if name == "weight" and type(layer) in _LAYOUTS:
        array = np.transpose(array, _LAYOUTS[type(layer)])
        if getattr(layer, "true_convolution", False):
            array = np.flip(array, axis=tuple(range(array.ndim - 2)))
    if not isinstance(layer, Dense):
        return _placed(array, 0, order.entering) if isinstance(layer, (BatchNorm, PReLU)) else array
    return _placed(_placed(array, 0, order.entering) if name == "weight" else array, -1, order.leaving)


def _placed(array: Any, axis: int, places: Any) -> Any:
    """An array with one axis in our order; as it is where that has another size, which is told later."""
    fits = isinstance(places, np.ndarray) and array.ndim and array.shape[axis] == len(places)
    return np.take(array, places, axis) if fits else array


def _read(source: Any) -> dict[str, np.ndarray]:
    """Arrays by name, without the counters of batches that PyTorch keeps beside statistics."""
    if isinstance(source, Mapping):
        arrays = {name: np.asarray(array) for name, array in source.items()}
    else:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(source)
        except (SafetensorError, OSError, TypeError) as error:
            raise FileFormatError(f"{source} cannot be read as a safetensors file: {error}.") from None
    return {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}


def _layers(net: Network, prefix: str = "") -> list[tuple[str, Layer]]:
    """Layers with their paths, in the order of the walk forward; of those that share parameters only the first."""
    found: list[tuple[str, Layer]] = []
    while isinstance(net, Tied):
        net = net.net
    shared = {v.name for v in net.vertices if v.shares} if isinstance(net, Graph) else set()
    for name, layer in net.inner():
        if name not in shared:
            found.append((f"{prefix}{name}", layer))
            found += _layers(layer, f"{prefix}{name}/") if isinstance(layer, Network) else []
    return found

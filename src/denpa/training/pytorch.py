"""Weights of PyTorch, which names and lays out its arrays in its own way. By layer, with what becomes of them here:

    Linear           weight (out, in)                  W (in, out), transposed
    Conv1d           weight (out, in, kernel)          W (kernel, in, out)
    Conv2d           weight (out, in, kh, kw)          W (kh, kw, in, out)
    ConvTranspose2d  weight (in, out / groups, kh, kw) W (kh, kw, in, out / groups)
    BatchNorm        weight, bias                      gamma, beta;  running_mean, running_var: state mean, var
    Embedding        weight (vocabulary, units)        W
    PReLU            weight                            alpha
    RNN, LSTM, GRU   weight_ih_l0 (gates, in)          Wx (in, gates), transposed, a GRU's gates r z n as z r n
                     weight_hh_l0, bias_*_l0           Wh likewise; b, the sum of both biases, of a GRU's n alone bh
    bias of the others                                 b

Of a recurrent module there may be one layer and one direction; its GRU is the one with `reset_after=True`.
Behind a Flatten the numbers of an example stand in another order, since images have their channels in front there:
(channel, height, width) become (height, width, channel) in the rows of a dense layer, and in the arrays of a batch
normalisation or PReLU that stands between. A convolution that turns its kernel around gets it turned around.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from denpa.core.errors import FileFormatError, ShapeError, nearest
from denpa.core.layer import Layer
from denpa.layers import BatchNorm, Conv1d, Conv2d, ConvTranspose2d, Dense, Embedding, Flatten, PReLU, Reshape
from denpa.networks import GRU, LSTM, RNN, Graph, Network, Sequential, Tied

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

_GATES = {RNN: (0,), LSTM: (0, 1, 2, 3), GRU: (1, 0, 2)}  # ours in the order of theirs
_RECURRENT = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def from_pytorch(
    net: Network, in_shape: Any, source: Any, names: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The arrays of PyTorch's modules by the paths of this network, in its layout; and what is wrong with them.

    Args:
        net: the network that receives.
        in_shape: the shape of one example as the network sees it.
        source: a safetensors file, or a dict like a module's `state_dict()` with arrays of NumPy.
        names: from layers of ours to modules of PyTorch's: {"0_conv2d": "features.0"}. None: the layers that have
            arrays get the modules that have any, in their order, where the numbers in names count as numbers.

    Raises:
        FileFormatError: the file cannot be read.
        ShapeError: layers and modules do not pair, with both lists.
    """
    arrays = _read(source)
    layers = {path: layer for path, layer in _layers(net) if type(layer) in (*_NAMES, *_GATES)}
    modules = sorted({name.rpartition(".")[0] for name in arrays}, key=_natural)
    if names is None:
        if len(layers) != len(modules):
            raise ShapeError(
                f"{len(modules)} modules of PyTorch ({', '.join(modules)}) for {len(layers)} layers with arrays "
                f"({', '.join(layers)}): pair them by names={{layer: module}}."
            )
        names = dict(zip(layers, modules, strict=True))
    found: dict[str, Any] = {}
    problems: list[str] = []
    images, _ = _images(net, in_shape)
    for path, module in names.items():
        if path not in layers:
            hint = nearest(path, layers, plural="layers")
            raise ShapeError(f"names: there is no layer {path!r} whose arrays PyTorch has too; {hint}")
        if module not in modules:
            raise ShapeError(f"names: PyTorch has no module {module!r}; {nearest(module, modules, plural='modules')}")
        own = {name: array for name, array in arrays.items() if name.rpartition(".")[0] == module}
        if type(layers[path]) in _GATES:
            laid_out, wrong = _recurrent(path, layers[path], {name.rpartition(".")[2]: a for name, a in own.items()})
            found |= laid_out
            problems += [f"{module}: {text}" for text in wrong]
            continue
        for name, array in own.items():
            place, wrong = _place(path, layers[path], name.rpartition(".")[2], array)
            if wrong:
                problems.append(f"{name} {wrong}")
            else:
                found[place] = _laid_out(layers[path], name.rpartition(".")[2], array, images.get(path))
    return found, problems


def _place(path: str, layer: Layer, name: str, array: Any) -> tuple[str, str]:
    """Where an array of a module belongs, and why it belongs nowhere."""
    kind, names = type(layer), _NAMES[type(layer)]
    if name not in names:
        return "", f"has no counterpart in {path}, which is a {kind.__name__}"
    if name == "weight" and kind in _LAYOUTS and array.ndim != len(_LAYOUTS[kind]):
        return "", f"has shape {array.shape}, but {path} is a {kind.__name__}"
    return names[name].format(path), ""


def _recurrent(path: str, layer: Any, own: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arrays of a recurrent layer from those of a module, and what is wrong with them."""
    order, kind, units = _GATES[type(layer)], type(layer).__name__, layer.units
    problems = [f"{name} has no counterpart in {path}, which is a {kind}" for name in own if name not in _RECURRENT]
    problems += [f"{name} is missing for {path}" for name in _RECURRENT[:2] if name not in own]
    rows = {name: array.shape[0] for name, array in own.items() if array.shape[0] != len(order) * units}
    problems += [f"{name} has {n} rows, but {path} wants {len(order)} times {units}" for name, n in rows.items()]
    if isinstance(layer, GRU) and not layer.reset_after:
        problems.append(f"PyTorch's GRU is another form than {path}, which wants reset_after=True for it")
    if problems:
        return {}, problems

    def columns(name: str) -> Any:
        parts = np.split(own[name], len(order))
        return np.concatenate([parts[gate] for gate in order]).T

    found = {"Wx": columns("weight_ih_l0"), "Wh": columns("weight_hh_l0")}
    if "bias_ih_l0" in own:
        outer, inner = columns("bias_ih_l0"), columns("bias_hh_l0")
        if isinstance(layer, GRU):  # the candidate's inner bias stands behind the reset gate
            found["bh"], inner = inner[-units:], np.concatenate([inner[:-units], np.zeros_like(inner[-units:])])
        found["b"] = outer + inner
    return {f"params/{path}/{name}": array for name, array in found.items()}, []


def _laid_out(layer: Layer, name: str, array: Any, image: Any) -> Any:
    """One array of a module as the layer has it; `image` is the shape before a Flatten in front of it."""
    if isinstance(layer, PReLU) and layer.shared and array.size == 1:
        return array.reshape(())
    if name == "weight" and type(layer) in _LAYOUTS:
        array = np.transpose(array, _LAYOUTS[type(layer)])
        if getattr(layer, "true_convolution", False):
            array = np.flip(array, axis=tuple(range(array.ndim - 2)))
    moved = name == "weight" if isinstance(layer, Dense) else isinstance(layer, (BatchNorm, PReLU))
    if moved and image is not None and array.shape[0] == math.prod(image):
        height, width, channels = image
        places = np.arange(array.shape[0]).reshape(channels, height, width).transpose(1, 2, 0).ravel()
        array = array[places]
    return array


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
    shared = {v.name for v in net.vertices if v.shares} if isinstance(net, Graph) else set()
    for name, layer in net.inner():
        if name not in shared:
            found.append((f"{prefix}{name}", layer))
            found += _layers(layer, f"{prefix}{name}/") if isinstance(layer, Network) else []
    return found


def _images(net: Layer, in_shape: Any, image: Any = None, prefix: str = "") -> tuple[dict[str, Any], Any]:
    """By layer, the shape of the image whose numbers enter it flat and in their order, or None; and of what leaves."""
    if isinstance(net, Tied):
        return _images(net.net, in_shape, image, prefix)
    if not isinstance(net, (Sequential, Graph)):
        return {}, _passed_on(net, in_shape, image)
    found: dict[str, Any] = {}
    shapes, leaving = net.shapes(in_shape), {}
    for name, layer in net.inner():
        if isinstance(net, Sequential):
            shape, entering = shapes[name], image
        else:
            vertex = next(vertex for vertex in net.vertices if vertex.name == name)
            shape, entering = shapes[vertex.inputs[0]], leaving.get(vertex.inputs[0])
            entering = entering if len(vertex.inputs) == 1 else None
        inside, image = _images(layer, shape, entering, f"{prefix}{name}/")
        found |= {f"{prefix}{name}": entering, **inside}
        leaving[name] = image
    return found, image if isinstance(net, Sequential) else leaving.get(net.outputs)


def _passed_on(layer: Layer, shape: Any, image: Any) -> Any:
    """The image of a layer's output, where each number comes from the one in its place: activations, normalisation."""
    if isinstance(layer, (Flatten, Reshape)) and len(layer.out_shape(shape)) == 1:
        return shape if len(shape) == 3 else image
    if image is None or isinstance(layer, (Network, Reshape)) or layer.out_shape(shape) != shape:
        return None
    arrays = jax.eval_shape(lambda: layer.init_params(jax.random.key(0), shape))
    return image if not jax.tree.leaves(arrays) or isinstance(layer, (BatchNorm, PReLU)) else None


def _natural(name: str) -> list[Any]:
    """A key that sorts "10.conv" behind "2.conv"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

"""Weights from elsewhere: another run, a model file, another model, or a file of PyTorch's.

PyTorch names and lays out its arrays in its own way. By layer, with what becomes of them here:

    Linear           weight (out, in)                  W (in, out), transposed
    Conv1d           weight (out, in, kernel)          W (kernel, in, out)
    Conv2d           weight (out, in, kh, kw)          W (kh, kw, in, out)
    ConvTranspose2d  weight (in, out / groups, kh, kw) W (kh, kw, in, out)
    BatchNorm        weight, bias                      gamma, beta;  running_mean, running_var: state mean, var
    Embedding        weight (vocabulary, units)        W
    PReLU            weight                            alpha
    bias of the others                                 b

Behind a Flatten the inputs of a dense layer stand in another order, since images have their channels in front
there: rows (channel, height, width) become (height, width, channel).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, FileFormatError, ShapeError
from denpa.core.layer import Layer, Variables
from denpa.layers import (
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Identity,
    PReLU,
    ReLU,
)
from denpa.networks import Graph, Network, Sequential
from denpa.training.storage import read_arrays

__all__ = ["from_pytorch", "transferred", "weights_of"]

_LAYOUTS = {
    Dense: (1, 0),
    Conv1d: (2, 1, 0),
    Conv2d: (2, 3, 1, 0),
    ConvTranspose2d: (2, 3, 0, 1),
}
_WHOLE = (BatchNorm, Embedding, PReLU)
_PASSING = (Dropout, GaussianNoise, Identity, ReLU)  # what may stand between a Flatten and a dense layer


def transferred(variables: Variables, arrays: dict[str, Any], only: Any, where: str) -> Variables:
    """The variables with those that fit `only` taken from `arrays`, by path.

    Args:
        variables: of the network that receives.
        arrays: by path, such as "params/0_conv2d/W" and "state/1_batchnorm/mean".
        only: patterns of paths, such as "0_conv2d/*"; None for all.
        where: they come from, for messages.

    Raises:
        ShapeError: arrays that are missing or misshapen, all of them listed, or a pattern that fits none.
    """
    ours = tree.flatten(variables._asdict())
    wanted = {path: path.partition("/")[2] for path in ours}
    patterns = ("*",) if only is None else (only,) if isinstance(only, str) else tuple(only)
    for pattern in patterns:
        if not any(tree.matches(name, pattern) for name in wanted.values()):
            raise ShapeError(f"{pattern!r} fits none of the network's arrays: {', '.join(wanted.values())}.")
    chosen = [path for path, name in wanted.items() if any(tree.matches(name, pattern) for pattern in patterns)]
    problems = [f"{wanted[path]} is missing" for path in chosen if path not in arrays]
    problems += [
        f"{wanted[path]} has shape {tuple(arrays[path].shape)} instead of {tuple(ours[path].shape)}"
        for path in chosen
        if path in arrays and tuple(arrays[path].shape) != tuple(ours[path].shape)
    ]
    if problems:
        raise ShapeError(
            f"The weights of {where} do not fit: {'; '.join(problems)}. Nothing was changed. Where a part is to stay "
            'new, say what to take: only (in a config initial_only), such as "0_conv2d/*".'
        )
    taken = {path: jnp.asarray(arrays[path], ours[path].dtype) for path in chosen}
    return Variables(**tree.unflatten(ours | taken, variables._asdict()))


def weights_of(source: Any) -> tuple[dict[str, Any], str]:
    """The arrays of a run folder, a model file, a model or variables, by path, and what to call them.

    Raises:
        FileFormatError: no such file, or not one of denpa's.
        ConfigError: none of these.
    """
    if hasattr(source, "variables"):
        return tree.flatten(source.variables._asdict()), "the model"
    if isinstance(source, Variables):
        return tree.flatten(source._asdict()), "the variables"
    if not isinstance(source, (str, Path)):
        raise ConfigError(f"Weights come from a run folder, a model file or a model, not {type(source).__name__}.")
    path = Path(source)
    path = path / "model.safetensors" if path.is_dir() else path
    return read_arrays(path)[0], str(path)


def from_pytorch(net: Network, in_shape: Any, source: Any, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The arrays of PyTorch's modules by the paths of this network, in its layout.

    Args:
        net: the network that receives.
        in_shape: the shape of one example as the network sees it.
        source: a safetensors file, or a dict like a module's `state_dict()` with arrays of NumPy.
        names: from layers of ours to modules of PyTorch's: {"0_conv2d": "features.0"}. None: the layers that have
            arrays get the modules that have any, in their order, where the numbers in names count as numbers.

    Raises:
        FileFormatError: the file cannot be read.
        ShapeError: layers and modules do not pair, with both lists; or a layer whose layout is not known.
    """
    arrays = _read(source)
    layers = {path: layer for path, layer in _layers(net) if isinstance(layer, (*_LAYOUTS, *_WHOLE))}
    modules = sorted({name.rpartition(".")[0] for name in arrays}, key=_natural)
    if names is None:
        if len(layers) != len(modules):
            raise ShapeError(
                f"{len(modules)} modules of PyTorch ({', '.join(modules)}) for {len(layers)} layers with arrays "
                f"({', '.join(layers)}): pair them by names={{layer: module}}."
            )
        names = dict(zip(layers, modules, strict=True))
    found: dict[str, Any] = {}
    for path, module in names.items():
        if path not in layers:
            raise ShapeError(f"There is no layer {path!r} whose arrays PyTorch has too; there are {', '.join(layers)}.")
        if module not in modules:
            raise ShapeError(f"There is no module {module!r}; there are {', '.join(modules)}.")
        own = {name.rpartition(".")[2]: array for name, array in arrays.items() if name.rpartition(".")[0] == module}
        found |= _converted(path, layers[path], own, _flattened(net, in_shape, path))
    return found


def _converted(path: str, layer: Layer, own: dict[str, Any], image: Any) -> dict[str, Any]:
    """One module's arrays as those of the layer at `path`; `image` is the shape before a Flatten in front of it."""
    if isinstance(layer, BatchNorm):
        places = {"weight": "params/{}/gamma", "bias": "params/{}/beta"}
        places |= {"running_mean": "state/{}/mean", "running_var": "state/{}/var"}
        return {place.format(path): own[name] for name, place in places.items() if name in own}
    if isinstance(layer, (Embedding, PReLU)):
        return {f"params/{path}/{'W' if isinstance(layer, Embedding) else 'alpha'}": own["weight"]}
    W = np.transpose(own["weight"], _LAYOUTS[type(layer)])
    if image is not None and W.shape[0] == np.prod(image):
        height, width, channels = image
        W = W.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(W.shape)
    return {f"params/{path}/W": W} | ({f"params/{path}/b": own["bias"]} if "bias" in own else {})


def _read(source: Any) -> dict[str, np.ndarray]:
    if isinstance(source, Mapping):
        return {name: np.asarray(array) for name, array in source.items() if "." in name and np.ndim(array) > 0}
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(source)
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{source} cannot be read as a safetensors file: {error}.") from None
    return {name: array for name, array in arrays.items() if "." in name and array.ndim > 0}


def _layers(net: Network, prefix: str = "") -> list[tuple[str, Layer]]:
    """Layers with their paths, in the order of the walk forward; of those that share parameters only the first."""
    found: list[tuple[str, Layer]] = []
    shared = {v.name for v in net.vertices if v.shares} if isinstance(net, Graph) else set()
    for name, layer in net.inner():
        if name not in shared:
            found.append((f"{prefix}{name}", layer))
            found += _layers(layer, f"{prefix}{name}/") if isinstance(layer, Network) else []
    return found


def _flattened(net: Network, in_shape: Any, path: str) -> Any:
    """The shape of the image that a Flatten in front of this layer made flat, looking past layers without arrays."""
    first, _, rest = path.partition("/")
    if not isinstance(net, (Sequential, Graph)):
        return None
    shapes = net.shapes(in_shape)
    layers = dict(net.inner())
    if isinstance(net, Graph):
        before = {vertex.name: vertex.inputs[0] for vertex in net.vertices}
        entrance = {name: shapes[source] for name, source in before.items()}
    else:
        before = dict(zip([*layers][1:], layers, strict=False))
        entrance = shapes
    inside = layers[first]
    if isinstance(inside, Network):
        return _flattened(inside, entrance[first], rest)
    at = before.get(first, "")
    while isinstance(layers.get(at), _PASSING):
        at = before.get(at, "")
    shape = entrance[at] if isinstance(layers.get(at), Flatten) else None
    return shape if shape is not None and len(shape) == 3 else None


def _natural(name: str) -> list[Any]:
    """A key that sorts "10.conv" behind "2.conv"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

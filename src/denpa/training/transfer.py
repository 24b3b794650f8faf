"""Weights from elsewhere: another run, a model file, another model, or a file of PyTorch's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from denpa.core import tree
from denpa.core.errors import ConfigError, ShapeError, nearest
from denpa.core.layer import Variables
from denpa.data.arguments import as_texts
from denpa.training.storage import read_arrays

__all__ = ["renamed", "transferred", "weights_of"]


def weights_of(source: Any) -> tuple[dict[str, Any], str]:
    """The arrays of a run folder, a model file, a model or variables, by path, and what to call them.

    Raises:
        FileFormatError: no such file, or not one of denpa's.
        ConfigError: none of these, or an ensemble.
    """
    if hasattr(source, "member"):
        raise ConfigError("An ensemble has as many weights as members: give one of them, member(0).")
    if hasattr(source, "variables"):
        return tree.flatten(source.variables._asdict()), "the model"
    if isinstance(source, Variables):
        return tree.flatten(source._asdict()), "the variables"
    if not isinstance(source, (str, Path)):
        raise ConfigError(f"Weights come from a run folder, a model file or a model, not {type(source).__name__}.")
    path = Path(source)
    path = path / "model.safetensors" if path.is_dir() else path
    arrays, description = read_arrays(path)
    if description.get("kind") == "bagging":
        raise ConfigError(f"{path} holds an ensemble: save one of its members, dp.load(...).member(0).save(FILE).")
    return {name: a for name, a in arrays.items() if name.startswith(("params/", "state/"))}, str(path)


def renamed(arrays: dict[str, Any], names: Mapping[str, str], where: str) -> dict[str, Any]:
    """The arrays of the layers of `names`, by the paths of the network that receives.

    Args:
        arrays: by path, such as "params/encoder/0_conv2d/W".
        names: from layers that receive, or networks inside, to those of the source; "" is the whole network.
        where: they come from, for messages.

    Raises:
        ShapeError: the source has no layer of such a name.
    """
    if not isinstance(names, Mapping) or not all(isinstance(text, str) for pair in names.items() for text in pair):
        raise ConfigError(
            f'names must lead from layers here to those of the source, such as {{"a": "b"}}, not {names!r}.'
        )
    found: dict[str, Any] = {}
    for ours, theirs in names.items():
        inside = {}
        for name, array in arrays.items():
            kind, _, path = name.partition("/")
            if below(path, theirs):
                rest = path[len(theirs) :].strip("/")
                inside["/".join(part for part in (kind, ours, rest) if part)] = array
        if not inside:
            layers = list(dict.fromkeys(name.split("/", 1)[1].rpartition("/")[0] for name in arrays))
            hint = nearest(theirs, layers, plural="layers")
            raise ShapeError(f"names: there is no layer {theirs!r} with arrays in {where}; {hint}")
        found |= inside
    return found


def below(path: str, layer: str) -> bool:
    """Whether an array belongs to a layer, or to one inside it."""
    return not layer or path == layer or path.startswith(f"{layer}/")


def transferred(
    variables: Variables,
    arrays: dict[str, Any],
    where: str,
    *,
    only: Any = None,
    names: Mapping[str, str] | None = None,
    strict: bool = True,
    problems: Sequence[str] = (),
) -> Variables:
    """The variables with those that are wanted taken from `arrays`, by path.

    Args:
        variables: of the network that receives.
        arrays: by path, such as "params/0_conv2d/W" and "state/1_batchnorm/mean".
        where: they come from, for messages.
        only: patterns of paths, such as "0_conv2d/*"; None for all.
        names: its keys are the only layers that receive; None for all.
        strict: arrays that are missing, or that nothing here is for while `only` is None, are errors.
        problems: what is wrong with `arrays` already, to be listed with the rest.

    Raises:
        ShapeError: arrays that are missing, extra or misshapen, all of them listed, or a pattern that fits none.
    """
    ours = tree.flatten(variables._asdict())
    wanted = {path: path.partition("/")[2] for path in ours}
    chosen = _chosen(wanted, only, names)
    found = [*problems]
    if strict:
        found += [f"{wanted[path]} is missing" for path in chosen if path not in arrays]
        found += [f"{path.partition('/')[2]} is extra" for path in arrays if only is None and path not in ours]
    taken = [path for path in chosen if path in arrays]
    found += [
        f"{wanted[path]} has shape {tuple(arrays[path].shape)} instead of {tuple(ours[path].shape)}"
        for path in taken
        if tuple(arrays[path].shape) != tuple(ours[path].shape)
    ]
    if found:
        raise ShapeError(
            f"The weights of {where} do not fit: {'; '.join(found)}. Nothing was changed. Where a part is to stay "
            'new, say what to take: only (in a config initial_only), such as "0_conv2d/*".'
        )
    if not taken:
        raise ShapeError(f"The weights of {where} hold none of {', '.join(wanted[path] for path in chosen)}.")
    values = {path: jax.device_put(np.asarray(arrays[path], ours[path].dtype)) for path in taken}
    return Variables(**tree.unflatten(ours | values, variables._asdict()))


def _chosen(wanted: dict[str, str], only: Any, names: Mapping[str, str] | None) -> list[str]:
    """The paths that are to receive."""
    patterns = ("*",) if only is None else as_texts(only, "only")
    for pattern in patterns:
        if not any(tree.matches(name, pattern) for name in wanted.values()):
            raise ShapeError(f"{pattern!r} fits none of the network's arrays; {tree.listing(wanted.values(), pattern)}")
    layers = ("",) if names is None else tuple(names)
    for layer in layers:
        if not any(below(name, layer) for name in wanted.values()):
            known = list(dict.fromkeys(name.rpartition("/")[0] for name in wanted.values()))
            hint = nearest(layer, known, plural="layers")
            raise ShapeError(f"names: there is no layer {layer!r} with arrays here; {hint}")
    return [
        path
        for path, name in wanted.items()
        if any(tree.matches(name, pattern) for pattern in patterns) and any(below(name, layer) for layer in layers)
    ]

"""PyTorch's recurrent modules, of which one holds several layers and both directions, part by part:

    weight_ih_l{k} (gates, in)     Wx (in, gates) of the k-th layer, transposed, a GRU's gates r z n as z r n
    weight_hh_l{k}                 Wh likewise
    bias_ih_l{k}, bias_hh_l{k}     b, the sum of both, of a GRU's n the first alone; there the second is bh
    ..._reverse                    of a layer that reads from the last step: `backward` of a `Bidirectional`

The parts of a module stand in the order l0, l0_reverse, l1, l1_reverse, and so do the layers that receive them. A
cell's arrays have names without _l{k}: it is one part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from denpa.networks import GRU, LSTM, RNN

__all__ = ["GATES", "Part", "natural", "parts_by_module", "recurrent_arrays"]

GATES = {RNN: (0,), LSTM: (0, 1, 2, 3), GRU: (1, 0, 2)}  # ours in the order of theirs
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_NAME = re.compile(rf"(?:{'|'.join(_KINDS)})(_l(\d+)(_reverse)?)?")


class Part(NamedTuple):
    """What belongs to one layer of ours.

    Attributes:
        module: the name of PyTorch's module.
        ending: "_l1_reverse" of a recurrent module's second layer read backwards; "" of a module of one part.
        reverse: whether the part reads from the last step; None where the module has only one direction, or no time.
        arrays: by their names in the module.
    """

    module: str
    ending: str
    reverse: bool | None
    arrays: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.module} {self.ending[1:]}".strip()


def parts_by_module(arrays: Mapping[str, Any]) -> dict[str, list[Part]]:
    """The parts of every module, in the order in which their first arrays come."""
    modules: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        module, _, own = name.rpartition(".")
        modules.setdefault(module, {})[own] = array
    return {module: _parts(module, own) for module, own in modules.items()}


def natural(name: str) -> list[Any]:
    """A key that sorts "10.conv" behind "2.conv"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def recurrent_arrays(path: str, layer: Any, part: Part) -> tuple[dict[str, Any], list[str]]:
    """The arrays of a recurrent layer by their paths, from those of a part, and what is wrong with them."""
    order, units = GATES[type(layer)], layer.units
    own = {kind: part.arrays[kind + part.ending] for kind in _KINDS if kind + part.ending in part.arrays}
    needed = _KINDS if any(kind.startswith("bias") for kind in own) else _KINDS[:2]
    known = [kind + part.ending for kind in _KINDS]
    problems = [f"{name} has no counterpart in {path}, which is {layer!r}" for name in part.arrays if name not in known]
    problems += [f"{kind}{part.ending} is missing for {path}" for kind in needed if kind not in own]
    problems += [
        f"{kind}{part.ending} has shape {array.shape}, but {path} wants {len(order)} times {units} rows"
        for kind, array in own.items()
        if array.ndim != (2 if kind.startswith("weight") else 1) or len(array) != len(order) * units
    ]
    if part.reverse is not None and part.reverse != layer.reverse:
        way = "the last step to the first" if part.reverse else "the first step to the last"
        problems.append(f"{part.ending[1:]} reads from {way}, but {path} the other way round")
    if isinstance(layer, GRU) and not layer.reset_after:
        problems.append(f"PyTorch's GRU is another form than {path}, which wants reset_after=True for it")
    if problems:
        return {}, [f"{part.module}: {text}" for text in problems]
    columns = {kind: _columns(array, order) for kind, array in own.items()}
    found = {"Wx": columns["weight_ih"], "Wh": columns["weight_hh"]}
    if "bias_ih" in columns:
        outer, inner = columns["bias_ih"], columns["bias_hh"]
        if isinstance(layer, GRU):  # the candidate's inner bias stands behind the reset gate
            found["bh"], inner = inner[-units:], np.concatenate([inner[:-units], np.zeros_like(inner[-units:])])
        found["b"] = outer + inner
    return {f"params/{path}/{name}": array for name, array in found.items()}, []


def _parts(module: str, own: dict[str, Any]) -> list[Part]:
    """The parts of one module; arrays of no part's name are left to the first, which refuses them."""
    found = [match for match in map(_NAME.fullmatch, own) if match]
    layers = sorted({int(match[2]) for match in found if match[1]})
    both = any(match[3] for match in found)
    endings = [f"_l{layer}{way}" for layer in layers for way in (("", "_reverse") if both else ("",))] or [""]
    parts = [Part(module, ending, ending.endswith("_reverse") if both else None, {}) for ending in endings]
    known = {kind + part.ending: part for part in parts for kind in _KINDS}
    for name, array in own.items():
        known.get(name, parts[0]).arrays[name] = array
    return parts


def _columns(array: Any, order: tuple[int, ...]) -> Any:
    """Their rows, gate by gate, as our columns."""
    gates = np.split(array, len(order))
    return np.concatenate([gates[gate] for gate in order]).T

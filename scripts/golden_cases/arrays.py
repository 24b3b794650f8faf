"""A case, and the arrays of which cases are made: PyTorch's numbers in float64, in denpa's layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

__all__ = [
    "Case",
    "Maker",
    "as_arrays",
    "assigned",
    "float32",
    "in_our_layout",
    "leaf",
    "normal",
    "sent_back",
    "tensor",
]

Case = dict[str, Any]
Maker = Callable[[np.random.Generator], Case]


def float32(array: np.ndarray) -> np.ndarray:
    """The nearest numbers that float32 holds exactly, in float64."""
    return array.astype(np.float32).astype(np.float64)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """N(0, 1) in float64, of numbers that float32 holds exactly."""
    return float32(rng.normal(size=shape))


def tensor(array: np.ndarray) -> torch.Tensor:
    """The array as a tensor of float64."""
    return torch.tensor(array, dtype=torch.float64)


def leaf(array: np.ndarray) -> torch.Tensor:
    """The same, with a gradient to be asked for."""
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def assigned(parameter: torch.Tensor, array: np.ndarray) -> torch.Tensor:
    """Puts the array into a parameter of PyTorch, and gives a copy."""
    with torch.no_grad():
        parameter.copy_(tensor(array))
    return parameter.detach().clone()


def sent_back(rng: np.random.Generator, y: torch.Tensor) -> torch.Tensor:
    """A random delta dE/dy, sent back from y."""
    dy = tensor(normal(rng, *y.shape))
    y.backward(dy)
    return dy


def in_our_layout(parameter: torch.Tensor) -> torch.Tensor:
    """A copy in denpa's layout: PyTorch's weight matrices are (out, in)."""
    copy = parameter.detach().clone()
    return copy.T if copy.ndim == 2 else copy


def as_arrays(case: Case) -> dict[str, np.ndarray]:
    """The case as its file holds it."""
    arrays = {"settings": np.asarray(json.dumps(case["settings"]))}
    for name, value in case.items():
        if name != "settings":
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return arrays

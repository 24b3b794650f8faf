"""What PyTorch computes, in small files made by scripts/make_golden.py, which says how arrays are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def names(group: str) -> list[str]:
    """The cases of a group, sorted: `names("losses")` gives `["losses/binary_cross_entropy_mean", ...]`."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in (FOLDER / group).glob("*.npz"))


def load(case: str, dtype: Any = np.float64) -> dict[str, Any]:
    """A case's arrays, nested by the slashes in their names: `load("layers/dense")["params"]["W"]`.

    Floating-point arrays come in `dtype`; `settings` and `versions` come as dicts.
    """
    result: dict[str, Any] = {}
    with np.load(FOLDER / f"{case}.npz", allow_pickle=False) as arrays:
        for name, array in arrays.items():
            *path, last = name.split("/")
            place = result
            for part in path:
                place = place.setdefault(part, {})
            if name in ("settings", "versions"):
                place[last] = json.loads(str(array))
            else:
                place[last] = array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array
    return result

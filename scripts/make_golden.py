"""Write tests/golden: what PyTorch computes, in small files, so that the tests need no PyTorch.

    python scripts/make_golden.py            # needs PyTorch: pip install 'denpa[bench]'

One .npz file per case. Inputs are random numbers that float32 holds exactly, everything is computed and
stored in float64. Arrays have denpa's layout, not PyTorch's: channels last, `W` (in, out). Names:

    settings                  JSON: what was computed, with the names that PyTorch gives its options
    versions                  JSON: the versions of PyTorch and NumPy
    losses/*                  y, t, [sample_weight], value, delta = dE/dy; settings["loss"] is denpa's description
    layers/*                  x, dy, [params/NAME], [state/NAME], y, dx = dE/dx, [grads/NAME]
    layers/batch_norm*_train  xs (3, ...): three steps; y, dy, dx, grads belong to the last of them,
                              state_after/mean and state_after/var to the end (var is unbiased, N - 1)
    recurrent/*               x, carry/h [carry/c], dy, dcarry/...: deltas of all steps and of the final carry;
                              y, final/..., dx, dfirst/...: of the initial carry; params/NAME, grads/NAME
    weights/*                 x, y; state/NAME: PyTorch's own arrays, in its layout
    optimizers/*              x, t, values (5,): E before each step of 0_dense, 1_tanh, 2_dense, softmax + CE;
                              params/LAYER/NAME (6, ...): initial and after each step; grads/LAYER/NAME (5, ...)

`tests/golden/__init__.py` reads them. `make test-peers` makes them anew in memory and compares.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

from golden_cases import layers, losses, optimizers, recurrent
from golden_cases.arrays import Case, as_arrays

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"


def make_cases() -> dict[str, Case]:
    """Every case by name, its arrays by their names in the file."""
    makers = losses.makers() | layers.makers() | recurrent.makers() | optimizers.makers()
    # A seed of each case's own: adding a case changes no other.
    cases = {name: make(np.random.default_rng(zlib.crc32(name.encode()))) for name, make in makers.items()}
    versions = json.dumps({"torch": torch.__version__, "numpy": np.__version__})
    return {name: {**as_arrays(case), "versions": np.asarray(versions)} for name, case in cases.items()}


def main() -> None:
    """Write all files; name those that are there but belong to no case."""
    cases = make_cases()
    for name, case in cases.items():
        path = GOLDEN / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **case)
    size = sum((GOLDEN / f"{name}.npz").stat().st_size for name in cases)
    print(f"{len(cases)} cases, {size / 1024:.0f} KiB, in {GOLDEN}")
    strays = set(GOLDEN.rglob("*.npz")) - {GOLDEN / f"{name}.npz" for name in cases}
    if strays:
        sys.exit("Not made by this script: " + ", ".join(str(path) for path in sorted(strays)))


if __name__ == "__main__":
    main()

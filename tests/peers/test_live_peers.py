"""PyTorch, live: the golden files made anew by the version that is installed. Run by `make test-peers`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def _fresh_cases():
    sys.path.insert(0, str(ROOT / "scripts"))  # as for the script itself
    try:
        return importlib.import_module("make_golden").make_cases()
    finally:
        sys.path.pop(0)


FRESH = _fresh_cases()


def test_there_is_a_file_for_every_case_and_no_other():
    assert {path.relative_to(GOLDEN).with_suffix("").as_posix() for path in GOLDEN.rglob("*.npz")} == set(FRESH)


@pytest.mark.parametrize("case", sorted(FRESH))
def test_pytorch_still_computes_what_the_file_holds(case):
    with np.load(GOLDEN / f"{case}.npz") as stored:
        assert set(stored.files) == set(FRESH[case])
        for name, fresh in FRESH[case].items():
            if name == "settings":
                assert json.loads(str(stored[name])) == json.loads(str(fresh))
            elif name != "versions":
                np.testing.assert_allclose(stored[name], fresh, rtol=1e-9, atol=1e-11, err_msg=name)

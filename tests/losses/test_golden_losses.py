"""Every loss against PyTorch, by the golden files: values and deltas, in float64 and float32."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from denpa.core.description import from_config, registered
from denpa.losses import Loss
from tests.golden import load, names

CASES = names("losses")
SETTINGS = {case: load(case)["settings"]["loss"] for case in CASES}


@functools.cache
def computed(dtype):
    """Value and delta of every case, in one program: a program for each would take ten times longer."""
    losses = {case: from_config(SETTINGS[case], Loss) for case in CASES}

    @jax.jit
    def run(cases):
        return {
            case: (losses[case].value(*arguments), losses[case].delta(*arguments)) for case, arguments in cases.items()
        }

    with jax.enable_x64(dtype == "float64"):
        arrays = {case: load(case, dtype) for case in CASES}
        return run({case: (a["y"], a["t"], a.get("sample_weight")) for case, a in arrays.items()})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_agrees_with_pytorch(case, dtype, tolerance):
    golden = load(case)
    value, delta = computed(dtype)[case]
    assert value.dtype == delta.dtype == dtype
    np.testing.assert_allclose(value, golden["value"], rtol=tolerance)
    scale = np.abs(golden["delta"]).max()
    np.testing.assert_allclose(delta, golden["delta"], rtol=tolerance, atol=tolerance * scale)


def test_every_loss_has_golden_cases():
    own = {name for name, cls in registered(Loss).items() if cls.__module__.startswith("denpa.")}
    elsewhere = {"PerceptronLoss"}  # PyTorch has none; its rule is tested against Rosenblatt's
    assert {settings["type"] for settings in SETTINGS.values()} | elsewhere == own

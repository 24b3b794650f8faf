"""Several devices from the command line: conftest.py makes two of the processor."""

from __future__ import annotations

import jax
import pytest

from denpa.lab import Experiment

FAST = ["--epochs", "2", "--hidden", "4", "--progress", "none"]


def test_a_run_on_all_devices_says_so_and_goes_on(said, empty_folder):
    assert jax.local_device_count() == 2
    status, out, err = said("train", "digits-mlp", *FAST, "--training.devices", "all", "--run", "r")
    assert (status, err) == (0, "")
    assert "test" in out
    assert Experiment.from_toml("r/config.toml").training.devices == "all"
    assert said("train", "--resume", "r")[0] == 0
    assert said("evaluate", "r")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train digits-mlp --training.devices 3", "JAX sees 2"),
        ("train digits-mlp --training.devices two", 'training.devices, if not "all", must be a whole number'),
        ("train digits-mlp --training.devices 2 --batch-size 31", "divided among 2 devices: take 30 or 32"),
        ("train digits-mlp --members 2 --training.devices 2", "does not go with training.devices"),
    ],
)
def test_devices_that_cannot_be_are_refused(refused, words, message):
    refused(words, message)

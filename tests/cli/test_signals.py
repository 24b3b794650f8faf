"""Real processes, really killed: nothing is lost, and the end is the same to the last bit."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import denpa as dp

# Dropout, batch statistics, moments, a falling rate and early stopping: all that a checkpoint must hold.
CONFIG = """
name = "long"
metrics = [{ type = "Accuracy" }]
[network]
type = "Sequential"
layers = [
  { type = "Dense", units = 16 }, { type = "BatchNorm" }, { type = "ReLU" }, { type = "Dropout", rate = 0.1 },
  { type = "Dense", units = 2 },
]
[loss]
type = "SoftmaxCrossEntropy"
[optimizer]
type = "Adam"
learning_rate = { type = "CosineDecay", initial = 0.01, final = 1e-5, steps = 60000 }
[data]
source = "moons"
validation = 0.2
options = { n = 500, noise = 0.3 }
[training]
epochs = 1500
batch_size = 8
checkpoint_seconds = 0.05
early_stopping = { type = "EarlyStopping", patience = 1000 }
"""


@pytest.fixture
def denpa(tmp_path):
    """Starts `denpa` in a process of its own."""
    (tmp_path / "long.toml").write_text(CONFIG)
    environment = os.environ | {"PYTHONPATH": str(Path(dp.__file__).parents[1])}
    started = []

    def start(*words, **options):
        process = subprocess.Popen(
            [sys.executable, "-m", "denpa.cli.main", *words],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def training(folder, least=1):
    """Wait until a run has written checkpoints."""
    for _ in range(6000):
        if len(list(folder.glob("checkpoint/step_*"))) >= least:
            return
        time.sleep(0.01)
    raise AssertionError(f"{folder} was not begun")


def test_killed_again_and_again(denpa, tmp_path):
    whole = denpa("train", "long.toml", "--run", "whole")
    moments = random.Random(2)
    for attempt in range(3):
        words = ("long.toml", "--run", "killed") if attempt == 0 else ("--resume", "killed")
        process = denpa("train", *words)
        training(tmp_path / "killed")
        time.sleep(moments.uniform(0, 0.6) + (0 if attempt == 0 else 1.0))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "results.json").exists()
    last = denpa("train", "--resume", "killed")
    for process in (whole, last):
        out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, ""), out
    for name in ("model.safetensors", "metrics.csv", "config.toml", "results.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not list((tmp_path / "killed").rglob(".*"))


def test_control_c_keeps_the_run_and_says_how_to_go_on(denpa, tmp_path):
    process = denpa("train", "long.toml", "--run", "a run")
    training(tmp_path / "a run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("denpa: interrupted after ")
    assert err.endswith(" steps. Go on with: denpa train --resume 'a run'\n")
    steps = int(err.split()[3].replace(",", ""))
    kept = sorted((tmp_path / "a run" / "checkpoint").glob("step_*"))[-1]
    assert int(kept.stem.removeprefix("step_")) == steps > 0
    assert not (tmp_path / "a run" / "results.json").exists()


def test_a_disk_that_fills_up_while_training(denpa, tmp_path):
    """The limit on the size of files stands for the full disk: the config fits, a checkpoint does not."""
    limits = (4000, resource.RLIM_INFINITY)
    process = denpa(
        "train", "long.toml", "--run", "run", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("denpa: Cannot write run/checkpoint/step_")
    assert err.endswith("Then go on with: denpa train --resume run\n")
    assert sorted(entry.name for entry in (tmp_path / "run").rglob("*")) == [
        "checkpoint", "config.toml", "environment.json",
    ]  # fmt: skip

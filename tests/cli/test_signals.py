"""Real processes, really killed: nothing is lost, and the end is the same to the last bit."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.lab.keeper import KeeperSession

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
learning_rate = { type = "CosineDecay", initial = 0.01, final = 1e-5, steps = 40000 }
[data]
source = "moons"
validation = 0.2
options = { n = 500, noise = 0.3 }
[training]
epochs = 1000
batch_size = 8
checkpoint_seconds = 0.05
early_stopping = { type = "EarlyStopping", patience = 1000 }
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Compiled programs that the processes of this file share, as those of a user do."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def denpa(tmp_path, cache):
    """Starts `denpa` in a process of its own."""
    (tmp_path / "long.toml").write_text(CONFIG)
    environment = os.environ | {
        "PYTHONPATH": str(Path(dp.__file__).parents[1]),
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "DENPA_COMPILE_CACHE": str(cache),
    }
    started = []

    def start(*words, limit="unlimited"):
        command = shlex.join([sys.executable, "-m", "denpa.cli.main", *words])
        process = subprocess.Popen(
            ["bash", "-c", f"ulimit -f {limit}; exec {command}"],  # KiB
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def newest(folder):
    """The step of a run's newest checkpoint, 0 where there is none."""
    return max((int(file.stem.removeprefix("step_")) for file in folder.glob("checkpoint/step_*")), default=0)


def goes_on(folder, after=0):
    """Wait until a run has written a checkpoint of a later step."""
    for _ in range(6000):
        if newest(folder) > after:
            return
        time.sleep(0.01)
    raise AssertionError(f"{folder} does not go on")


def test_killed_again_and_again(denpa, tmp_path):
    whole, folder, moments = denpa("train", "long.toml", "--run", "whole"), tmp_path / "killed", random.Random(2)
    for attempt in range(2):
        before = newest(folder)
        process = denpa("train", *(("--resume", "killed") if attempt else ("long.toml", "--run", "killed")))
        goes_on(folder, before)
        time.sleep(moments.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (folder / "results.json").exists()
    last = denpa("train", "--resume", "killed")
    for process in (whole, last):
        out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, ""), out
    for name in ("model.safetensors", "metrics.csv", "config.toml", "results.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not list(folder.rglob(".*"))


def test_control_c_keeps_the_run_and_says_how_to_go_on(denpa, tmp_path):
    process = denpa("train", "long.toml", "--run", "a run")
    goes_on(tmp_path / "a run")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("denpa: interrupted after ")
    assert err.endswith(" steps. Go on with: denpa train --resume 'a run'\n")
    steps = int(err.split()[3].replace(",", ""))
    assert newest(tmp_path / "a run") == steps > 0
    assert not (tmp_path / "a run" / "results.json").exists()


def test_a_disk_that_fills_up_while_training(denpa, tmp_path):
    """The limit on the size of files stands for the full disk: the config fits, a checkpoint does not."""
    process = denpa("train", "long.toml", "--run", "run", limit=4)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("denpa: Cannot write run/checkpoint/step_")
    assert err.endswith("Then go on with: denpa train --resume run\n")
    assert sorted(entry.name for entry in (tmp_path / "run").rglob("*")) == [
        "checkpoint", "config.toml", "environment.json",
    ]  # fmt: skip


SMALL = ["train", "xor", "--hidden", "3", "2", "--epochs", "2", "--progress", "none"]


def test_a_batch_system_that_ends_the_process_loses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(KeeperSession, "on_progress", lambda _: signal.raise_signal(signal.SIGTERM))
    assert main([*SMALL, "--run", "run"]) == 1
    assert capsys.readouterr().err.endswith(" steps. Go on with: denpa train --resume run\n")
    assert newest(tmp_path / "run") > 0
    assert signal.getsignal(signal.SIGTERM) == before


def test_control_c_in_the_pretraining_keeps_the_layers_that_are_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [*SMALL, "--pretrain", "3"]
    assert main([*words, "--run", "whole"]) == 0

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as between_layers:
        between_layers.setattr("denpa.training.pretraining._coded", interrupted)
        assert main([*words, "--run", "run"]) == 1
    assert capsys.readouterr().err.endswith("that are done are kept. Go on with: denpa train --resume run\n")
    assert (tmp_path / "run" / "pretraining.safetensors").is_file()
    assert main(["train", "--resume", "run", "--progress", "none"]) == 0
    assert sorted(os.listdir("run")) == sorted(os.listdir("whole"))
    for name in ("model.safetensors", "metrics.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

"""Runs that learn at every time step: a series by real-time recurrent learning."""

from __future__ import annotations

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.lab import TrainingConfig
from denpa.lab.assemble import assemble
from denpa.lab.real_time import RealTime
from denpa.lab.run import Run
from denpa.lab.selection import train_once
from denpa.lab.trained import Trained

SERIES = [("data.source", "sine-wave"), ("data.options", {"n": 600, "length": 50}), ("training.rtrl", True)]


def begun(folder, *changes, name="sine-wave", hidden=(4,)):
    experiment, data = assemble(name, [*SERIES, *changes], hidden=list(hidden))
    return Run(experiment, folder / "run", prepared=data)


def test_each_epoch_is_learn_online_over_the_whole_series(tmp_path):
    run = begun(tmp_path, ("training.epochs", 2), ("optimizer", {"type": "Momentum", "learning_rate": 0.01}))
    fresh = begun(tmp_path / "other", ("training.epochs", 2)).model
    run.go(verbose=False)
    model, train = run.model, run.data.train
    fresh.build(train.x.shape[1:])
    x = model.normalizer.apply(model.statistics, jnp.asarray(train.x)).reshape(1, -1, 1)
    t = model.target_normalizer.apply(model.statistics["targets"], jnp.asarray(train.t)).reshape(1, -1, 1)
    variables, state, met = fresh.variables, (), []
    for _ in range(2):
        found = dp.learn_online(model.net, model.loss, model.optimizer, variables, x, t, jax.random.key(0), state)
        variables, state = found.variables, found.optimizer
        met.append(float(found.losses.mean()))
    for ours, theirs in zip(jax.tree.leaves(model.variables), jax.tree.leaves(variables), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert run.history["online_loss"] == pytest.approx(met, rel=1e-5)
    assert run.history["step"] == [x.shape[1], 2 * x.shape[1]]
    assert run.history["loss"][-1] == pytest.approx(model.evaluate(train)["loss"])


@pytest.mark.parametrize("name", ["sine-wave", "series"])
def test_it_foretells_a_series_of_ones_own(tmp_path, capsys, name):
    values = np.sin(np.arange(700) / 5) * 30 + 100
    (tmp_path / "my.csv").write_text("wave\n" + "\n".join(f"{v:.3f}" for v in values) + "\n")
    words = ["--data", str(tmp_path / "my.csv"), "--target", "wave", "--hidden", "8", "--training.rtrl", "true"]
    assert main(["train", name, *words, "--run", str(tmp_path / "run"), "--epochs", "8"]) == 0
    said = capsys.readouterr().out
    assert "real-time recurrent learning" in said
    assert "online_loss" in said
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["test"]["r2"] > 0.9
    assert main(["predict", str(tmp_path / "run"), "--input", str(tmp_path / "my.csv")]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert np.corrcoef([float(row["predicted_next"]) for row in rows[:-1]], values[1:])[0, 1] > 0.95


def test_what_is_compared_learns_in_real_time_too(tmp_path):
    run = begun(tmp_path, ("training.epochs", 2))
    run.go(verbose=False)
    alone = train_once(run.experiment, run.data)
    jax.tree.map(np.testing.assert_array_equal, alone.variables, run.model.variables)
    assert alone.history["online_loss"] == run.history["online_loss"]


def test_what_ends_early_keeps_the_last_good_epoch(tmp_path, monkeypatch):
    run = begun(tmp_path, ("training.epochs", 5), ("optimizer", {"type": "SGD", "learning_rate": 0.01}))
    learn_once, lost = RealTime._learn_once, []

    def interrupted(self, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        learn_once(self, epoch)
        lost.append(self.model.history["loss"][-1])

    monkeypatch.setattr(RealTime, "_learn_once", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.go(verbose=False)
    monkeypatch.undo()
    kept = Trained.of(run.folder.path).model
    assert kept.epochs == 2
    assert kept.evaluate(run.data.train)["loss"] == pytest.approx(lost[1])
    again = Run.resume(run.folder.path)
    straight = begun(tmp_path / "other", ("training.epochs", 5), ("optimizer", {"type": "SGD", "learning_rate": 0.01}))
    assert again.go(verbose=False).numbers == straight.go(verbose=False).numbers


def test_a_diverging_run_keeps_what_was_good(tmp_path):
    run = begun(tmp_path, ("training.epochs", 9), ("optimizer", {"type": "SGD", "learning_rate": 1e9}))
    with pytest.raises(dp.DivergenceError, match=r"stopped at step \d+: the error is not finite.* after 0 steps"):
        run.go(verbose=False)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.model.variables))


@pytest.mark.parametrize("name", ["window", "buckets", "members", "pretrain"])
def test_what_does_not_go_with_it(name):
    with pytest.raises(dp.ConfigError, match=f"does not go with training.{name}"):
        TrainingConfig(rtrl=True, **{name: 2})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits-mlp"], "data.task is to be series"),
        (["sine-wave", "--penalty", "{type = 'L2', strength = 0.1}"], "leave the penalty out"),
        (["sine-wave", "--training.rtrl", "perhaps"], "training.rtrl must be true or false"),
    ],
)
def test_what_is_no_series_is_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    given = words if "--training.rtrl" in words else [*words, "--training.rtrl", "true"]
    assert main(["train", *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_sweep_knows_that_it_is_a_series(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [
        "--training.rtrl",
        "true",
        "--epochs",
        "1",
        "--data.options.n",
        "400",
        "--data.options.length",
        "40",
        "--hidden",
        "3",
    ]
    assert main(["sweep", "sine-wave", *words, "--learning-rate", "1e-4,1e-2"]) == 0
    assert "least loss on what was held out" in capsys.readouterr().out

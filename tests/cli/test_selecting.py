"""`denpa cv` and `denpa sweep`: what they print and keep, and what they refuse."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from denpa.lab import Experiment

FAST = ["--data.options.features", "3", "--data.options.informative", "2", "--epochs", "30"]


pytestmark = pytest.mark.usefixtures("empty_folder")


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_cross_validation_prints_each_fold_mean_and_spread(said, tmp_path):
    status, out, err = said("cv", "ridge", *FAST, "--folds", "3", "--output", "scores.csv")
    assert (status, err) == (0, "")
    lines = [line.split()[0] for line in out.splitlines() if "r2" in line]
    assert lines == ["fold", "fold", "fold", "mean", "spread", "training"]
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "scores.csv")]
    mean = next(line for line in out.splitlines() if line.startswith("mean"))
    assert f"loss   {np.mean(losses):.4f}" in mean
    assert said("cv", "ridge", *FAST, "--output", "scores.csv")[0] == 2


def test_a_sweep_keeps_table_picture_and_best(said, tmp_path):
    words = ["sweep", "linear-regression", *FAST, "--penalty", "l2", "--strength", "1e-3..1e1", "--steps", "3"]
    status, out, err = said(*words)
    assert (status, err) == (0, "")
    folder = tmp_path / "runs" / "sweep-linear-regression"
    rows = rows_of(folder / "sweep.csv")
    assert [row["penalty.strength"] for row in rows] == ["0.001", "0.1", "10"]
    best = min(rows, key=lambda row: float(row["loss"]))["penalty.strength"]
    assert f"penalty.strength = {best}" in out
    experiment = Experiment.from_toml(folder / "best.toml")
    assert experiment.penalty.strength == float(best)
    assert experiment.data.validation == 0  # what was held out for the choice may train
    assert (folder / "sweep.png").stat().st_size > 5000
    assert float(rows[2]["loss_training"]) > float(rows[0]["loss_training"])


def test_a_sweep_by_folds(said, tmp_path):
    status, out, _ = said("sweep", "ridge", *FAST, "--learning-rate", "0.1,500", "--folds", "2", "--run", "s")
    assert status == 0
    assert " ± " in out
    assert "500                      diverged" in out
    assert "optimizer.learning_rate = 0.1" in out
    assert said("sweep", "ridge", *FAST, "--strength", "1..2", "--run", "s")[0] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cv", "denpa cv wants PRESET"),
        ("cv xor --folds 9", "Cannot make 9 folds of 4 examples"),
        ("cv xor --folds one", "--folds wants a whole number, 2 or more"),
        ("sweep ridge", "one option with a range or a list"),
        ("sweep ridge --strength 0.1", "found: none"),
        ("sweep xor --activation relu,tanh", "--activation has one value in a sweep: name a layer by its place"),
        ("sweep xor --hidden 4,8", "such as --network.layers.1.units 32,64"),
        ("sweep autoencoder --code 2..8", "--code has one value in a sweep"),
        ("sweep xor --data.seed 1,2", "on the same data: give --data.seed one value"),
        ("sweep ridge --strength 1..2 --learning-rate 0.1,0.2", "found: optimizer.learning_rate, penalty.strength"),
        ("sweep ridge --strength 2..1", "from a smaller to a larger"),
        ("sweep ridge --strength 1..2 --steps 1", "--steps wants"),
        ("sweep ridge --strenght 1..2", "did you mean '--strength'"),
        ("sweep linear-regression --strength 1..2 --penalty l3", "l3"),
    ],
)
def test_bad_usage(refused, words, message):
    refused(words, message)


def test_training_prints_the_closed_form(said):
    status, out, _ = said("train", "ridge", *FAST, "--progress", "none", "--strength", "0.2")
    assert status == 0
    assert "L2(0.2)" in out
    assert "closed form: loss" in out


def test_the_summary_counts_the_powers(said):
    status, out, _ = said("summary", "polynomial-regression", "--normalizer.steps.1.degree", "5")
    assert status == 0
    assert "6 parameters" in out

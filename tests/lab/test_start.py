"""Where training starts: weights of another run, taken over as the command line is told to."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.lab.experiment import TrainingConfig
from denpa.lab.start import begin


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Writes a table whose classes have these names; the words that train on it."""
    monkeypatch.chdir(tmp_path)

    def written(name, *classes):
        rng = np.random.default_rng(0)
        rows = [f"{p:.3f},{q:.3f},{classes[int(p > 0)]}\n" for p, q in rng.normal(size=(40, 2))]
        (tmp_path / name).write_text("p,q,t\n" + "".join(rows))
        return ["train", "mlp", "--data", name, "--target", "t", "--epochs", "1", "--hidden", "4"]

    return written


def warned_of_classes(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if "other classes" in line]


def test_weights_of_other_classes_are_told_of(table, capsys):
    assert main([*table("a.csv", "blue", "red"), "--run", "first"]) == 0
    assert warned_of_classes(capsys) == []
    assert main([*table("b.csv", "cold", "hot"), "--run", "other", "--initial-weights", "first"]) == 0
    (told,) = warned_of_classes(capsys)
    assert "what spoke for 'blue', class 0 there, begins as 'cold' here" in told
    assert told.endswith("take the others: --initial-only, such as '0_dense/*'.")


def test_weights_of_the_same_classes_or_of_lower_layers_alone_are_not(table, capsys):
    assert main([*table("a.csv", "blue", "red"), "--run", "first"]) == 0
    assert main([*table("a.csv", "blue", "red"), "--run", "again", "--initial-weights", "first"]) == 0
    words = [
        "--seed",
        "1",
        "--run",
        "other",
        "--initial-weights",
        "first",
        "--initial-only",
        "0_dense/*",
        "--frozen",
        "0_dense/*",
    ]
    assert main([*table("b.csv", "cold", "hot"), *words]) == 0
    assert warned_of_classes(capsys) == []
    first, other = (dp.load(name).variables.params for name in ("first", "other"))
    np.testing.assert_array_equal(first["0_dense"]["W"], other["0_dense"]["W"])
    assert not np.array_equal(first["2_dense"]["W"], other["2_dense"]["W"])


def test_classes_in_another_order_are_told_of_too(tmp_path):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 3)).astype("f"), rng.integers(0, 2, 20)

    def made(*names):
        return dp.Model(dp.Sequential([dp.Dense(2)]), dp.SoftmaxCrossEntropy(), dp.SGD(0.1), class_names=names)

    ours = dp.Dataset(x, t, task="classification", class_names=("no", "yes"), name="answers")
    source = made("yes", "no")
    source.fit((x, t), epochs=1, verbose=False)
    source.save(tmp_path / "answers.safetensors")
    with pytest.warns(UserWarning, match="what spoke for 'yes', class 0 there, begins as 'no' here"):
        begin(made("no", "yes"), TrainingConfig(initial_weights=str(tmp_path / "answers.safetensors")), ours)

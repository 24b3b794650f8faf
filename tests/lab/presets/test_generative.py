"""Generative classifiers as runs: networks whose parameters are maximum likelihood's, kept and used like any other."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sklearn import discriminant_analysis

import denpa as dp
from denpa import classical
from denpa.cli.main import main
from denpa.lab import DataConfig, TrainingConfig, presets
from denpa.lab.assemble import assemble
from denpa.lab.run import Run
from denpa.lab.selection import cross_validate
from denpa.lab.sources import Look, load_folds
from denpa.lab.trained import Trained

RNG = np.random.default_rng(0)
N = 200
T = np.arange(N) % 3
X = RNG.normal(size=(N, 4)) * (1 + T[:, None]) + np.eye(3)[T] @ RNG.normal(size=(3, 4)) * 2 + 5


@pytest.fixture
def table(tmp_path):
    rows = [",".join([*(f"{value:.6f}" for value in x), "abc"[t]]) for x, t in zip(X, T, strict=True)]
    (tmp_path / "my.csv").write_text("\n".join(["p,q,r,s,kind", *rows]) + "\n")
    return tmp_path / "my.csv"


@pytest.mark.parametrize(
    ("name", "fit", "theirs"),
    [
        ("linear-discriminant", classical.linear_discriminant, discriminant_analysis.LinearDiscriminantAnalysis),
        (
            "quadratic-discriminant",
            classical.quadratic_discriminant,
            discriminant_analysis.QuadraticDiscriminantAnalysis,
        ),
    ],
)
def test_a_run_keeps_the_classifier_that_maximum_likelihood_gives(table, tmp_path, capsys, name, fit, theirs):
    words = ["train", name, "--data", str(table), "--target", "kind", "--data.test", "0", "--training.shrinkage", "0"]
    assert main([*words, "--run", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"training +none: Gaussian classes of", said)
    assert "discriminative, softmax regression: 0." in said
    model = Trained.of(tmp_path / "run").model
    x, _ = Trained.of(tmp_path / "run").examples(str(table))
    probabilities = model.predict_probabilities(x)
    np.testing.assert_allclose(probabilities, fit(X, T).probabilities(X), atol=2e-5)
    # scikit-learn divides a class's covariance by N_k - 1, so that its probabilities differ a little.
    assert np.mean(theirs().fit(X, T).predict(X) == probabilities.argmax(axis=1)) > 0.97
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (results["epochs"], results["last_epoch"]["epoch"]) == (0, 0)
    assert results["last_epoch"]["loss"] == pytest.approx(-np.mean(np.log(probabilities[np.arange(N), T])), rel=1e-4)
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(table)]) == 0
    assert f"accuracy {np.mean(probabilities.argmax(axis=1) == T):.4f}" in capsys.readouterr().out


def test_with_epochs_it_is_where_softmax_regression_starts(tmp_path):
    changes = [("data.source", "moons"), ("data.options", {"n": 300, "noise": 0.3})]
    start, data = assemble("linear-discriminant", changes)
    longer, _ = assemble("linear-discriminant", [*changes, ("training.epochs", 200)])
    runs = [Run(e, tmp_path / f"{i}", prepared=data) for i, e in enumerate((start, longer))]
    for run in runs:
        run.go(verbose=False)
    first, last = (run.history.epochs[-1]["loss"] for run in runs)
    assert runs[1].history.epochs[0]["loss"] == pytest.approx(first, rel=1e-5)
    assert last < first
    model = classical.softmax_regression(*_normalised(runs[1]), 0.0)
    best = -np.mean(np.log(model.probabilities(_normalised(runs[1])[0])[np.arange(len(data.train)), data.train.t]))
    assert last == pytest.approx(best, rel=1e-3)


def _normalised(run):
    statistics = {name: np.asarray(array) for name, array in run.model.statistics.items()}
    return run.model.normalizer.apply(statistics, run.data.train.x).astype(np.float64), run.data.train.t


def test_folds_and_their_examples(table):
    config = DataConfig(str(table), "kind")
    experiment, _ = assemble("quadratic-discriminant", [("data.source", str(table)), ("data.target", "kind")])
    scores = cross_validate(experiment, load_folds(config, 4))
    assert scores.mean("accuracy") > 0.6
    assert [fold.examples for fold in scores.folds] == [120] * 4


def test_validation_examples_are_measured_too(tmp_path):
    experiment, data = assemble("linear-discriminant", [("data.validation", 0.2)])
    run = Run(experiment, tmp_path / "run", prepared=data)
    run.go(verbose=False)
    row = run.history.epochs[0]
    assert row["validation_accuracy"] == pytest.approx(run.model.evaluate(data.validation)["accuracy"])
    assert not (tmp_path / "run" / "figures" / "learning_curves.png").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "training.epochs must be a whole number, 1 or more"),
        ({"shrinkage": 0.1}, "training.shrinkage is for the covariances of training.generative"),
        ({"generative": "common"}, '"shared" or "separate", as the covariances are to be, not \'common\''),
        ({"generative": "shared", "shrinkage": 1.5}, "shrinkage must lie between 0 and 1, not be 1.5"),
        ({"generative": "shared", "pretrain": 1}, "both set where to start"),
        (
            {"generative": "shared", "members": 2},
            "from their own seeds .* does not go with training.generative: set it",
        ),
        (
            {"generative": "shared", "epochs": 0, "early_stopping": dp.EarlyStopping(monitor="loss")},
            "early_stopping has nothing to stop",
        ),
    ],
)
def test_what_goes_with_it_and_what_does_not(changes, message):
    with pytest.raises(dp.ConfigError, match=message):
        TrainingConfig(**changes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlp", "--data", "my.csv", "--target", "kind", "--training.generative", "shared"], "a network of one Dense"),
        (["softmax-regression", "--training.generative", "separate"], r"PolynomialFeatures\(2, products=True\)"),
        (["quadratic-discriminant", "--data", "digits"], "for tables and points"),
        (["linear-discriminant", "--training.shrinkage", "0"], "Feature 0 is constant within the classes"),
        (["linear-discriminant", "--training.shrinkage", "0"], "pca, or give --training.shrinkage 0.1"),
        (["linear-discriminant", "--hidden", "3"], "has one layer and no hidden units"),
    ],
)
def test_what_has_no_such_start(table, monkeypatch, capsys, words, message):
    monkeypatch.chdir(table.parent)
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (table.parent / "runs").exists()


def test_pairs_of_very_many_features_are_refused():
    with pytest.raises(dp.ConfigError, match="101 of them make too many: try 'linear-discriminant'"):
        presets.build("quadratic-discriminant", look=Look("classification", (101,), 3, 50))


def test_a_run_that_was_ended_before_its_results_is_taken_up(tmp_path):
    experiment, data = assemble("linear-discriminant", [("data.source", "moons")])
    run = Run(experiment, tmp_path / "run", prepared=data)
    measured = run.go(verbose=False)
    (tmp_path / "run" / "results.json").unlink()
    again = Run.resume(tmp_path / "run")
    assert again.go(verbose=False).numbers == measured.numbers
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())["sessions"]) == 2


def test_the_diagnosis_begins_where_training_would(table, capsys):
    assert main(["diagnose", "linear-discriminant", "--data", str(table), "--target", "kind"]) == 0
    begun = capsys.readouterr().out.splitlines()[0]
    experiment, data = assemble("linear-discriminant", [("data.source", str(table)), ("data.target", "kind")])
    run = Run(experiment, table.parent / "diagnosed", prepared=data)
    run.go(verbose=False)
    assert main(["diagnose", str(run.folder.path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == begun

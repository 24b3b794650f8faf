"""`denpa train --members`: what it prints and keeps, and that the whole ensemble evaluates and predicts."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.lab import Experiment, Run
from denpa.lab.assemble import assemble
from denpa.lab.ensemble import apart, out_of_bag
from denpa.lab.start import model_of
from denpa.lab.trained import Trained
from denpa.training.members_loop import Members

MEMBERS, ROWS = 3, 70
OPTIONS = ["--members", f"{MEMBERS}", "--early-stopping", "none", "--validation", "0", "--progress", "none"]
OPTIONS += ["--hidden", "6", "--epochs", "6", "--learning-rate", "0.05", "--penalty", "l2", "--strength", "0.01"]


pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder, ensemble, experiment's data and results of a run on a table of two classes that overlap."""
    folder = tmp_path_factory.mktemp("members")
    rng = np.random.default_rng(4)
    x = rng.normal(size=(ROWS, 2))
    lines = [f"{a:.4f},{b:.4f},{'in' if a + b + rng.normal() > 0 else 'out'}" for a, b in x]
    (folder / "t.csv").write_text("a,b,where\n" + "\n".join(lines) + "\n")
    words = ["train", "mlp", "--data", str(folder / "t.csv"), "--target", "where", "--run", str(folder / "run")]
    assert main([*words, *OPTIONS]) == 0
    experiment = Experiment.from_toml(folder / "run" / "config.toml")
    results = json.loads((folder / "run" / "results.json").read_text())
    return folder, dp.load(folder / "run"), Run(experiment, folder / "again"), results


def line(out, name):
    found = next(row for row in out.splitlines() if row.startswith(name))
    words = found.removeprefix(name).split("(")[0].split()
    return found, words


def test_the_folder_holds_all_members_and_how_they_did(trained):
    folder, bagging, run, results = trained
    assert isinstance(bagging, dp.Bagging)
    assert run.experiment.training.members == bagging.members == MEMBERS
    assert run.model.members == MEMBERS
    test = run.data.test
    assert results["test"]["accuracy"] == pytest.approx(np.mean(bagging.predict_classes(test.x) == test.t))
    right = np.mean(bagging.predict_classes(test.x, vote="majority") == test.t)
    assert results["test_votes"] == pytest.approx(right)
    alone = [bagging.member(m).evaluate(test) for m in range(MEMBERS)]
    np.testing.assert_allclose(results["test_members"]["accuracy"], [row["accuracy"] for row in alone], rtol=1e-6)
    losses = [row["loss"] - row["penalty"] for row in alone]
    np.testing.assert_allclose(results["test_members"]["loss"], losses, rtol=1e-4)
    assert set(results["test_members"]) == {"loss", "accuracy"}
    assert results["test"]["loss"] <= np.mean(losses)  # -ln of a mean is at most the mean of -ln: Jensen
    assert {file.name for file in (folder / "run" / "figures").iterdir()} >= {"learning_curves.png"}


def test_every_member_is_stopped_for_itself(trained, said):
    """What is printed is of the members as they are kept."""
    folder, *_ = trained
    options = ["--early-stopping", "2", "--validation", "0.2", "--epochs", "12", "--learning-rate", "0.3"]
    status, out, err = said("train", str(folder / "run" / "config.toml"), "--run", "s", "--progress", "lines", *options)
    assert (status, err) == (0, "")
    bagging, run = dp.load("s"), Run(Experiment.from_toml("s/config.toml"), "nowhere")
    results = json.loads(Path("s/results.json").read_text())
    best = results["best_epochs"]
    assert len(best) == MEMBERS
    assert len({bagging.member(m).epochs for m in range(MEMBERS)}) > 1
    assert all(bagging.member(m).epochs in (epoch + 2, 12) for m, epoch in enumerate(best))
    assert line(out, "validation")[1][1] == f"{bagging.evaluate(run.data.validation)['loss']:.4f}"
    assert line(out, "kept")[0].split("epochs ")[1] == ", ".join(map(str, best))


def test_the_out_of_bag_score_is_of_those_who_never_saw_the_example(trained):
    _, bagging, run, results = trained
    x, t, unseen = run.data.train.x, run.data.train.t, bagging.counts == 0
    chosen = np.asarray(bagging.model.loss.decide(bagging.predict_members(x)))
    assert chosen.shape == (MEMBERS, len(t))
    each = [np.mean(chosen[m, own] == t[own]) for m, own in enumerate(unseen)]
    np.testing.assert_allclose(results["out_of_bag_members"]["accuracy"], each, rtol=1e-6)
    assert results["out_of_bag"] == pytest.approx(bagging.out_of_bag)
    assert len(set(each)) > 1


def test_it_prints_the_common_answer_the_votes_and_the_members(trained, said):
    folder, _, _, results = trained
    status, out, err = said("evaluate", str(folder / "run"))
    assert (status, err) == (0, "")
    assert line(out, "test")[1][3] == f"{results['test']['accuracy']:.4f}"
    assert line(out, "votes")[1] == ["accuracy", f"{results['test_votes']:.4f}"]
    scores = results["test_members"]["accuracy"]
    assert line(out, "members")[0].endswith(f"accuracy {np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}")
    status, out, _ = said("summary", str(folder / "run"))
    assert f"{MEMBERS} members on bootstrap samples" in out
    status, out, _ = said("train", "--resume", str(folder / "run"))
    assert (status, "has finished already" in out) == (0, True)


def test_members_that_stop_by_themselves_have_no_common_epoch(trained, said):
    folder = trained[0]
    words = ["--data", str(folder / "t.csv"), "--target", "where", "--members", "2", "--epochs", "2", "--hidden", "4"]
    status, out, _ = said("train", "mlp", *words, "--early-stopping", "1", "--run", str(folder / "stopped"))
    assert status == 0
    assert line(out, "training    ")[1][::2] == ["loss", "accuracy"]


def test_it_predicts_by_the_mean_of_the_probabilities(trained, said):
    folder, bagging, _, _ = trained
    status, out, err = said("predict", str(folder / "run"), "--input", str(folder / "t.csv"))
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == ROWS
    found = np.array([[float(row[f"probability_{name}"]) for name in bagging.class_names] for row in rows])
    x, _ = Trained.of(folder / "run", ensembles=True).examples(str(folder / "t.csv"))
    each = np.asarray(bagging.model.loss.probabilities(bagging.predict_members(x)))
    each = np.concatenate([1 - each, each], axis=-1) if each.shape[-1] == 1 else each
    np.testing.assert_allclose(found, each.mean(axis=0), atol=1e-5)
    for words, message in (
        (["predict", str(folder / "run"), "--input", str(folder / "t.csv"), "--layer", "0_dense"], "layers of its own"),
        (["landscape", str(folder / "run")], f"ensemble of {MEMBERS} members"),
        (["train", "xor", "--initial-weights", str(folder / "run")], "holds an ensemble"),
    ):
        status, _, err = said(*words)
        assert (status, message in err) == (2, True), err


@pytest.mark.parametrize("at", [3, 0])
def test_an_interrupted_ensemble_is_resumed_and_ends_with_the_same_bits(trained, said, monkeypatch, at):
    """By Ctrl-C, and as after kill -9: before anything was written it begins again."""
    folder, *_ = trained
    chunk, done = Members._chunk, []

    def interrupted(self):
        chunk(self)  # a step, for every other batch is smaller
        done.append(1)
        if len(done) >= at:
            if not at:
                self.sessions = []
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Members, "_chunk", interrupted)
        status, _, err = said("train", str(folder / "run" / "config.toml"), "--run", "r", "--progress", "none")
    assert status == 1
    assert f"interrupted after {'3 steps' if at else '1 step'}. Go on with: denpa train --resume r" in err
    written = [file.name for file in Path("r/checkpoint").iterdir()]
    assert written == (["step_0000000003.safetensors"] if at else [])
    status, out, _ = said("train", "--resume", "r", "--progress", "none")
    assert status == 0
    assert line(out, "out of bag")[1][:1] == ["loss"]
    for name in ("model.safetensors", "metrics.csv", "config.toml"):
        assert Path("r", name).read_bytes() == (folder / "run" / name).read_bytes(), name
    assert len(json.loads(Path("r/environment.json").read_text())["sessions"]) == 2


@pytest.mark.parametrize("bootstrap", [True, False])
def test_the_rate_of_a_preset_falls_over_the_steps_of_a_member(bootstrap):
    places = {"members": MEMBERS, "bootstrap": bootstrap, "epochs": 7, "seed": 2, "batch_size": 20}
    experiment, look = assemble("digits-mlp", [(f"training.{name}", v) for name, v in places.items()], read=False)
    assert all(getattr(experiment.training, name) == value for name, value in places.items())
    bagging = dp.Bagging(model_of(experiment), members=MEMBERS, bootstrap=bootstrap)
    assert experiment.optimizer.learning_rate.steps == 7 * bagging.steps_per_epoch(look.examples, 20)
    assert (experiment.optimizer.learning_rate.steps < 7 * look.examples // 20) == bootstrap


def of_three_examples():
    data = dp.Dataset(np.eye(3, dtype="float32"), np.array([0, 1, 0], np.int32), "classification", ("a", "b"))
    bagging = dp.Bagging(dp.Model([dp.Dense(2)], dp.SoftmaxCrossEntropy(), seed=2), 4)
    bagging.fit(data, epochs=1, verbose=False)
    return bagging, data


def test_a_member_that_saw_all_examples_has_no_out_of_bag_score():
    bagging, data = of_three_examples()
    unseen = [not own.all() for own in bagging.counts]
    assert 0 < sum(unseen) < 4
    assert len(out_of_bag(bagging, data).apart.members["loss"]) == sum(unseen)


def test_votes_count_members_and_not_how_sure_they_are(monkeypatch):
    bagging, data = of_three_examples()
    logits = np.float32([[[9, 0]] * 3, [[0, 1]] * 3, [[0, 1]] * 3])  # one is sure of class 0, two lean to class 1
    monkeypatch.setattr(bagging, "predict_members", lambda x: logits)
    monkeypatch.setattr(bagging, "predict", lambda x: logits.mean(axis=0))
    assert apart(bagging, data, classes=True).votes == pytest.approx(1 / 3)


def test_members_with_all_examples_and_data_without_a_mean_answer(trained):
    _, bagging, run, _ = trained
    found = apart(bagging, run.data.test, classes=False)
    assert found.votes is None
    assert found.spread("loss") > 0
    experiment = run.experiment
    training = experiment.training.replace(bootstrap=False, members=2)
    assert Run(experiment.replace(training=training), "nowhere", prepared=run.data).model.counts is None
    with pytest.raises(dp.ConfigError, match="the data are for 'series'"):
        Run(experiment, "nowhere", prepared=replace(run.data, task="series"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train digits-mlp --members 1", "training.members must be a whole number, 2 or more, not 1"),
        ("train digits-mlp --members 2 --pretrain 3", "does not go with training.pretrain: set it to none"),
        ("train digits-mlp --members 2 --training.window 3", "training.window"),
        ("train digits-mlp --training.bootstrap false", "give training.members too"),
        ("cv xor --folds 2 --members 2", "leave training.members out"),
    ],
)
def test_what_cannot_be_combined_is_named(refused, words, message):
    refused(words, message)


def test_weights_that_batches_of_one_undo_are_a_warning_of_one_line(said, trained):
    words = ["train", "mlp", "--data", str(trained[0] / "t.csv"), "--target", "where", *OPTIONS, "--epochs", "1"]
    status, _, err = said(*words, "--batch-size", "1")
    assert status == 0
    assert err.startswith(
        "denpa: warning: With batch_size=1 how often the bootstrap drew an example can have no effect"
    )
    assert len(err.splitlines()) == 1

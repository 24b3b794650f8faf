"""Runs: what they leave behind, and that an interrupted one ends with the same bits."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest

import denpa as dp
from denpa.lab import DataConfig, Experiment, Run, TrainingConfig
from denpa.lab.keeper import KeeperSession
from denpa.lab.run_folder import RunFolder
from denpa.training import EarlyStopping, load

NETWORK = dp.Sequential([dp.Dense(8), dp.BatchNorm(), dp.ReLU(), dp.Dropout(0.2), dp.Dense(2)])


def experiment(**training):
    """Everything that a resumed run must remember: optimiser, batch statistics, dropout, early stopping."""
    rule = EarlyStopping(patience=6, monitor="validation_accuracy")
    settings = {"epochs": 30, "batch_size": 16, "early_stopping": rule, "checkpoint_seconds": 1e-9, "seed": 5}
    return Experiment(
        NETWORK,
        dp.SoftmaxCrossEntropy(),
        DataConfig("moons", validation=0.25, options={"n": 160, "noise": 0.4}),
        dp.Adam(dp.schedules.LinearDecay(0.03, 0.001, 150)),
        (dp.Accuracy(),),
        training=TrainingConfig(**settings | training),
        name="moons",
    )


def bits(folder):
    return [(folder / name).read_bytes() for name in ("model.safetensors", "metrics.csv", "config.toml")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    run = Run(experiment(), path, command="denpa train moons")
    run.measured = run.go(verbose=False)
    return run


def test_a_run_leaves_everything_in_its_folder(whole):
    path = whole.folder.path
    found = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert {file for file in found if not file.startswith("checkpoint")} == {
        "config.toml", "environment.json", "figures/confusion_matrix.png", "figures/learning_curves.png",
        "metrics.csv", "model.safetensors", "results.json", "timing.csv",
    }  # fmt: skip
    assert any(file.startswith("checkpoint/step_") for file in found)
    results = json.loads((path / "results.json").read_text())
    assert results["test"] == whole.measured.numbers
    assert results["test_examples"] == 32
    assert np.sum(results["confusion_matrix"]) == 32
    assert np.trace(results["confusion_matrix"]) / 32 == results["test"]["accuracy"]
    environment = json.loads((path / "environment.json").read_text())
    assert environment["data_sha256"] == whole.data.content_hash()
    assert environment["sessions"][0]["command"] == "denpa train moons"
    assert whole.folder.experiment() == whole.experiment


def test_the_saved_model_is_the_measured_one(whole):
    model = load(whole.folder.model)
    measured = model.evaluate(whole.data.test)
    assert {name: measured[name] for name in whole.measured.numbers} == whole.measured.numbers
    assert model.class_names == ("0", "1")


def test_the_same_experiment_ends_with_the_same_bits(whole, tmp_path):
    Run(experiment(checkpoint_seconds=1e-9), tmp_path / "run").go(verbose=False)
    assert bits(tmp_path / "run") == bits(whole.folder.path)


class Killed(BaseException):
    pass


def killed_after(monkeypatch, folder, writes):
    """Train until the given number of checkpoints, then die at once: nothing can be tidied up."""
    write, done = KeeperSession.write, []

    def counted(self):
        if len(done) == writes:
            raise Killed
        write(self)
        done.append(1)

    with monkeypatch.context() as patch:
        patch.setattr(KeeperSession, "write", counted)
        run = Run.resume(folder) if folder.exists() else Run(experiment(), folder)
        with pytest.raises(Killed):
            run.go(verbose=False)


@pytest.mark.parametrize("writes", [0, 1, 4])
def test_a_killed_run_ends_with_the_same_bits(whole, tmp_path, monkeypatch, writes):
    folder = tmp_path / "run"
    killed_after(monkeypatch, folder, writes)
    killed_after(monkeypatch, folder, 2)
    assert not RunFolder(folder).finished
    Run.resume(folder, command="again").go(verbose=False)
    assert bits(folder) == bits(whole.folder.path)
    sessions = json.loads((folder / "environment.json").read_text())["sessions"]
    assert [session["command"] for session in sessions] == ["", "", "again"]
    assert sessions[2]["from_step"] > 0


def test_a_run_that_goes_on_is_not_taken_up_a_second_time(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    folder, write = tmp_path / "run", KeeperSession.write

    def meanwhile(self):
        write(self)
        second = Run.resume(folder)
        assert second.from_step == self.training.step > 0
        with pytest.raises(dp.StorageError, match="Another process is training into"):
            second.go(verbose=False)
        raise Killed

    monkeypatch.setattr(KeeperSession, "write", meanwhile)
    with pytest.raises(Killed):
        Run(experiment(), folder).go(verbose=False)
    assert list(folder.glob("checkpoint/step_*"))


def test_a_run_killed_after_training_but_before_its_results(whole, tmp_path, monkeypatch):
    """Early stopping has returned to the best parameters by then; the last checkpoint must not hold those."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_finish", lambda self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            Run(experiment(), folder).go(verbose=False)
    assert whole.history.stopped
    assert whole.history.best_epoch < len(whole.history)
    Run.resume(folder).go(verbose=False)
    assert bits(folder) == bits(whole.folder.path)


def test_a_damaged_checkpoint_is_passed_over(whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    killed_after(monkeypatch, folder, 4)
    newest = sorted((folder / "checkpoint").glob("step_*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-20])
    Run.resume(folder).go(verbose=False)
    assert bits(folder) == bits(whole.folder.path)


def test_data_that_changed_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    killed_after(monkeypatch, folder, 1)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("n = 160", "n = 162"))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(dp.DataError, match="have changed since the run began"):
        Run.resume(folder)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_checkpoint_of_another_run_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    killed_after(monkeypatch, folder, 1)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("rate = 0.2", "rate = 0.3"))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(dp.ConfigError, match="is of another run: its network is"):
        Run.resume(folder).go(verbose=False)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "text", ["", "{}", '{"sessions": [], "data_sha256": 5}', '{"sessions": {}, "data_sha256": "5"}']
)
def test_a_damaged_account_of_the_beginning_is_told_with_how_to_mend_it(tmp_path, monkeypatch, text):
    folder = tmp_path / "run"
    killed_after(monkeypatch, folder, 1)
    (folder / "environment.json").write_text(text)
    with pytest.raises(
        dp.FileFormatError, match=r"environment\.json (cannot be read|is damaged): .* repeat the run by denpa"
    ):
        Run.resume(folder)


def test_another_version_is_told(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    killed_after(monkeypatch, folder, 1)
    path = folder / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"jax": "0.0.1"}))
    with pytest.warns(UserWarning, match=r"jax was 0\.0\.1"):
        Run.resume(folder)


def test_a_finished_run_is_not_resumed(whole):
    with pytest.raises(dp.ConfigError, match="has finished"):
        Run.resume(whole.folder.path)


def test_a_full_disk_while_training_keeps_the_checkpoint_before(whole, tmp_path, monkeypatch):
    folder, calls = tmp_path / "run", []

    def full(handle):
        calls.append(1)
        if len(calls) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(dp.StorageError, match="disk is full"):
            Run(experiment(), folder).go(verbose=False)
    assert list((folder / "checkpoint").glob("step_*"))
    assert not list(folder.rglob(".*"))
    Run.resume(folder).go(verbose=False)
    assert bits(folder) == bits(whole.folder.path)


BAD = {
    "batch": ({"training": TrainingConfig(batch_size=1000)}, "larger than the 96 examples"),
    "outputs": ({"network": dp.Sequential([dp.Dense(1)])}, "labels go from 0 to 0|one output per class"),
    "shape": ({"network": dp.Sequential([dp.Reshape((3, 3)), dp.Dense(2)])}, "0_reshape"),
    "metric": ({"metrics": (dp.TopK(9),)}, "TopK"),
    "penalty": ({"penalty": dp.L2(0.1, on="V*")}, "V"),
    "labels": (
        {"network": dp.Sequential([dp.Dense(2)]), "data": DataConfig("spirals", options={"classes": 3, "n": 90})},
        "labels go from 0 to 1",
    ),
    "values": ({"loss": dp.MeanSquaredError()}, "targets"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_before_anything_is_written(case, tmp_path):
    changes, message = BAD[case]
    bad = experiment(early_stopping=None, epochs=2).replace(**changes)
    with pytest.raises(dp.DenpaError, match=message):
        Run(bad, tmp_path / "runs" / "run").go(verbose=False)
    assert not (tmp_path / "runs").exists()


def test_a_label_out_of_range_in_the_test_part_is_found_before_training(tmp_path):
    x, t = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x=x, t=t, x_test=x, t_test=np.where(np.arange(40) == 7, 2, t))
    bad = experiment(early_stopping=None).replace(data=DataConfig(str(tmp_path / "a.npz")))
    with pytest.raises(dp.DataError, match="row 7 of the test part"):
        Run(bad, tmp_path / "run").go(verbose=False)
    assert not (tmp_path / "run").exists()


def test_divergence_keeps_the_last_good_state(tmp_path):
    bad = experiment(early_stopping=None).replace(
        network=dp.Sequential([dp.Dense(1)]),
        loss=dp.MeanSquaredError(),
        data=DataConfig("sine"),
        optimizer=dp.SGD(1e6),
        metrics=(),
    )
    run = Run(bad, tmp_path / "run")
    with pytest.raises(dp.DivergenceError, match="last good state"):
        run.go(verbose=False)
    assert not run.folder.finished
    assert all(np.isfinite(a).all() for a in run.model.variables.params["0_dense"].values())


def test_values_of_a_table_keep_their_units(tmp_path, with_figures):
    rng = np.random.default_rng(2)
    x = rng.normal(50, 10, 200)
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "\n".join(f"{a:.4f},{3e5 + 2e3 * a:.2f}" for a in x))
    regression = Experiment(
        dp.Sequential([dp.Dense(1)]),
        dp.MeanSquaredError(),
        DataConfig(str(path), "y"),
        dp.Adam(0.05),
        (dp.RootMeanSquaredError(),),
        target_normalizer=dp.Standardize(),
        training=TrainingConfig(20, 20),
    )
    measured = Run(regression, tmp_path / "run").go(verbose=False)
    assert measured.numbers["root_mean_squared_error"] < 0.05 * 2e4
    assert (tmp_path / "run" / "figures" / "predictions.png").is_file()


def test_a_run_finds_a_name_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = {"network": dp.Sequential([dp.Dense(2)]), "optimizer": dp.SGD(0.1), "data": DataConfig("moons", test=0)}
    parts["metrics"] = (dp.Accuracy(), dp.ConfusionMatrix())  # an array each step, which no table has room for
    small = experiment(early_stopping=None, epochs=1, record_steps=True).replace(**parts)
    for name in ("moons", "moons-2"):
        run = Run(small)
        assert run.go(verbose=False).examples == 0
        assert run.folder.path.name == name
    steps = (tmp_path / "runs" / "moons" / "steps.csv").read_text().splitlines()
    assert steps[0] == "step,loss,accuracy"
    assert len(steps) == run.model.steps + 1

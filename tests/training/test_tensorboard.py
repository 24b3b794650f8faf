"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import HISTOGRAMS, EventAccumulator

import denpa as dp
from denpa.cli.main import main

RNG = np.random.default_rng(5)
X, T = RNG.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3


def made(**options):
    net = [("hidden", dp.Dense(5)), dp.Tanh(), dp.Dense(3)]
    return dp.Model(net, dp.SoftmaxCrossEntropy(), dp.SGD(0.1), [dp.Accuracy(), dp.ConfusionMatrix()], **options)


def read(folder):
    found = EventAccumulator(str(folder), size_guidance={HISTOGRAMS: 0})
    found.Reload()
    return found


def curve(folder, name):
    return [(event.step, event.value) for event in read(folder).Scalars(name)]


def expected(history, name):
    return list(zip(history["epoch"], np.float32(history[name]).tolist(), strict=True))


def test_curves_are_those_of_the_history(tmp_path):
    model = made(penalty=dp.L2(0.01))
    history = model.fit((X, T), validation=0.2, epochs=4, callbacks=[dp.TensorBoard(tmp_path)], verbose=False)
    assert read(tmp_path / "training").Tags()["scalars"] == ["loss", "penalty", "accuracy"]
    for name in ("loss", "penalty", "accuracy"):
        assert curve(tmp_path / "training", name) == expected(history, name)
        assert curve(tmp_path / "validation", name) == expected(history, f"validation_{name}")


def test_watching_does_not_touch_a_bit(tmp_path):
    alone, watched = made(), made()
    options = {"epochs": 5, "batch_size": 20, "verbose": False}
    alone.fit((X, T), **options)
    watched.fit((X, T), callbacks=[dp.TensorBoard(tmp_path, histograms=True)], **options)
    np.testing.assert_array_equal(alone.predict(X), watched.predict(X))
    assert not (tmp_path / "validation").exists()


def test_histograms_count_every_parameter(tmp_path):
    model, seen = made(), []

    def look(training):
        seen.append(np.asarray(training.model.variables.params["hidden"]["W"], np.float64))

    model.fit((X, T), epochs=3, callbacks=[dp.TensorBoard(tmp_path, histograms=True), look], verbose=False)
    found = read(tmp_path / "training")
    assert set(found.Tags()["histograms"]) == {"hidden/W", "hidden/b", "2_dense/W", "2_dense/b"}
    for event, W in zip(found.Histograms("hidden/W"), seen, strict=True):
        shown = event.histogram_value
        assert (shown.num, shown.min, shown.max) == (20, W.min(), W.max())
        np.testing.assert_allclose([shown.sum, shown.sum_squares], [W.sum(), np.sum(W**2)], rtol=1e-12)
        for limit, count in zip(shown.bucket_limit[:-1], np.cumsum(shown.bucket), strict=False):
            assert count == np.sum(limit > W)


def test_going_on_goes_on_and_beginning_anew_begins_anew(tmp_path):
    model, keep = made(), dp.TensorBoard(tmp_path)
    for epochs in (3, 2):
        model.fit((X, T), epochs=epochs, callbacks=[keep], verbose=False)
    assert curve(tmp_path / "training", "loss") == expected(model.history, "loss")
    other = made(seed=7)
    other.fit((X, T), epochs=2, callbacks=[keep], verbose=False)
    assert curve(tmp_path / "training", "loss") == expected(other.history, "loss")


def test_members_have_the_curves_of_their_history(tmp_path):
    bagging = dp.Bagging(made(), 3)
    history = bagging.fit((X, T), epochs=2, callbacks=[dp.TensorBoard(tmp_path, histograms=True)], verbose=False)
    assert curve(tmp_path / "training", "loss") == expected(history, "loss")
    (shown, _) = read(tmp_path / "training").Histograms("hidden/W")
    assert shown.histogram_value.num == 3 * 20


def test_a_run_that_is_taken_up_shows_every_epoch_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=X, t=T)
    words = ["train", "mlp", "--data", "a.npz", "--epochs", "6", "--validation", "0.2", "--hidden", "4"]
    words += ["--training.tensorboard", "true", "--training.checkpoint_seconds", "0.000001", "--progress", "none"]

    def killed(session):
        if session.training.at.epoch == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("denpa.training.tensorboard.TensorBoardSession.on_progress", killed, raising=False)
        assert main([*words, "--run", "killed"]) == 1
    assert main(["train", "--resume", "killed", "--progress", "none"]) == 0
    assert main([*words, "--run", "straight"]) == 0
    for part in ("training", "validation"):
        steps = curve(tmp_path / "killed" / "tensorboard" / part, "loss")
        assert steps == curve(tmp_path / "straight" / "tensorboard" / part, "loss")
        assert [step for step, _ in steps] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("words", [["sine-wave", "--training.rtrl", "true"], ["linear-discriminant"]])
def test_what_writes_no_curves_refuses_to(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words, "--training.tensorboard", "true"]) == 2
    assert list(tmp_path.iterdir()) == []
    assert "training.tensorboard" in capsys.readouterr().err


def test_what_cannot_be_written_or_is_not_installed_is_told_before_training(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(dp.StorageError, match="file/training"):
        made().fit((X, T), callbacks=[dp.TensorBoard(tmp_path / "file")], verbose=False)
    found = builtins.__import__
    monkeypatch.setattr("importlib.import_module", lambda name: found(f"no_such_{name}"))
    with pytest.raises(dp.ConfigError, match=r'pip install "denpa\[tensorboard\]"'):
        made().fit((X, T), callbacks=[dp.TensorBoard(tmp_path)], verbose=False)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "xor", "--training.tensorboard", "true"]) == 2
    assert 'training.tensorboard needs tensorboard: pip install "denpa[tensorboard]"' in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()

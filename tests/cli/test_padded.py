"""Sequences of unlike length through the command line: what stands on the padding of an .npz changes nothing."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import denpa as dp

RNG = np.random.default_rng(4)
N, TIME = 60, 6
LENGTHS = RNG.integers(2, TIME + 1, N)
T = np.arange(N) % 2
VALUES = (RNG.normal(size=(N, TIME, 2)) + T[:, None, None]).astype(np.float32)
TRUE = np.arange(TIME) < LENGTHS[:, None]
CONFIG = """
[network]
type = "Sequential"
layers = [{ type = "GRU", units = 4%s }, { type = "Dense", units = 2 }]
[loss]
type = "%s"
[normalizer]
type = "Standardize"
per = "channel"
[data]
source = "a.npz"
validation = 0.2
[training]
epochs = 3
batch_size = 16
"""


def arrays(padding):
    return {"x": np.where(TRUE[..., None], VALUES, padding).astype(np.float32), "t": T, "lengths": LENGTHS}


def answers(said, folder, padding, config, **others):
    """What a run on such a file measures and predicts, by file of the run and command."""
    folder.mkdir()
    found = arrays(padding) | others
    np.savez(folder / "a.npz", **found)
    np.savez(folder / "new.npz", x=found["x"], lengths=LENGTHS)
    (folder / "c.toml").write_text(config.replace("a.npz", str(folder / "a.npz")))
    run = str(folder / "run")
    told = {}
    for name, words in {
        "train": ("train", str(folder / "c.toml"), "--run", run, "--progress", "none"),
        "evaluate": ("evaluate", run),
        "other": ("evaluate", run, "--data", str(folder / "a.npz")),
        "predict": ("predict", run, "--input", str(folder / "new.npz")),
        "array": ("predict", run, "--input", str(folder / "new.npz"), "--output", str(folder / "y.npy")),
        "layer": ("predict", run, "--input", str(folder / "new.npz"), "--layer", "0_gru"),
        "diagnose": ("diagnose", run),
        "landscape": ("landscape", run, "--resolution", "3", "--output", str(folder / "landscape")),
        "check": ("check", str(folder / "c.toml")),
    }.items():
        status, out, err = said(*words)
        assert status == 0, err
        told[name] = out.replace(str(folder), "")
    told["results"] = json.loads((folder / "run" / "results.json").read_text())
    told["model"] = dp.load(folder / "run" / "model.safetensors")
    told["environment"] = json.loads((folder / "run" / "environment.json").read_text())
    told["y"] = np.load(folder / "y.npy").tolist()
    return told


def assert_same(one, two):
    for name in set(one) - {"train", "model", "environment", "array"}:
        assert one[name] == two[name], name


def test_what_stands_on_the_padding_changes_nothing(said, tmp_path):
    config = CONFIG % ("", "SoftmaxCrossEntropy")
    told = answers(said, tmp_path / "0", 0.0, config)
    for folder, padding in (("1", 1e4), ("2", np.nan)):
        other = answers(said, tmp_path / folder, padding, config)
        assert_same(told, other)
        assert told["environment"]["data_sha256"] == other["environment"]["data_sha256"]
    rows = list(csv.DictReader(io.StringIO(told["predict"])))
    model = told["model"]
    expected = model.predict_probabilities(dp.Padded(VALUES, LENGTHS))
    np.testing.assert_allclose([float(row["probability_1"]) for row in rows], expected[:, 1], rtol=1e-6)
    measured = model.evaluate((dp.Padded(VALUES, LENGTHS), T))
    assert f"{measured['loss']:.4g}"[:5] in told["other"]


def test_nor_do_the_targets_of_padded_steps(said, tmp_path, with_figures):
    config = CONFIG % (", return_sequences = true", "MeanSquaredError")
    t = np.stack([VALUES.sum(axis=-1), VALUES[..., 0]], axis=-1)
    told = [
        answers(said, tmp_path / str(padding), padding, config, t=np.where(TRUE[..., None], t, padding))
        for padding in (0.0, 50.0)
    ]
    assert_same(*told)


def test_a_fixed_test_part_has_lengths_of_its_own(said, tmp_path):
    config = (CONFIG % ("", "SoftmaxCrossEntropy")).replace("validation = 0.2\n", "")
    part = {f"{name}_test": array[:20] for name, array in arrays(7.0).items()}
    told = answers(said, tmp_path / "0", 0.0, config, **part)
    assert told["results"]["test_examples"] == 20


@pytest.mark.parametrize("command", ["train", "predict"])
def test_an_array_that_nobody_reads_is_refused(said, tmp_path, command):
    np.savez(tmp_path / "a.npz", x=VALUES, t=T, length=LENGTHS)
    words = ["train", "mlp", "--data", str(tmp_path / "a.npz"), "--run", str(tmp_path / "run")]
    if command == "predict":
        model = dp.Model([dp.Flatten(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), in_shape=(TIME, 2))
        model.save(tmp_path / "m.safetensors")
        words = ["predict", str(tmp_path / "m.safetensors"), "--input", str(tmp_path / "a.npz")]
    status, _, err = said(*words)
    assert status == 2
    assert "holds an array 'length', which nobody would read: did you mean 'lengths'?" in err


def test_a_test_part_may_be_longer(said, tmp_path):
    longer = np.concatenate([VALUES, VALUES + 9], axis=1)
    config = (CONFIG % ("", "SoftmaxCrossEntropy")).replace("a.npz", str(tmp_path / "a.npz"))
    (tmp_path / "c.toml").write_text(config)
    found = {"x_test": longer, "t_test": T, "lengths_test": LENGTHS}
    told = []
    for more in (found, found | {"x_test": VALUES}):
        np.savez(tmp_path / "a.npz", **arrays(0.0), **more)
        assert said("train", str(tmp_path / "c.toml"), "--run", str(tmp_path / "run"), "--overwrite")[0] == 0
        told.append(json.loads((tmp_path / "run" / "results.json").read_text())["test"])
    assert told[0] == pytest.approx(told[1], rel=1e-6)

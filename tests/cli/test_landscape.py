"""`denpa landscape`: what it prints and keeps, and what it refuses."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import denpa as dp


@pytest.fixture
def said(said, empty_folder, monkeypatch):
    for name in ("paths_picture", "loss_surface_picture"):
        monkeypatch.setattr(f"denpa.cli.landscape.{name}", lambda *_, **__: None)
    monkeypatch.setattr("denpa.cli.landscape.paths_animation", lambda *_, **__: b"GIF")
    return lambda *words: said("landscape", *words)


def rows_of(path):
    with path.open() as file:
        return [
            {name: float(value) if name != "optimizer" else value for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def test_paths_of_optimizers(said, tmp_path):
    words = ["cliff", "--optimizers", "sgd", "clipped-sgd", "--start", "1.001", "-0.5", "--learning-rate", "0.1"]
    status, out, err = said(*words, "--steps", "3")
    assert (status, err) == (0, "")
    assert "chain(ClipByNorm(1.0), SGD(0.1))" in out
    rows = rows_of(tmp_path / "runs" / "landscape-cliff" / "paths.csv")
    assert [(row["optimizer"], row["step"]) for row in rows] == [
        (o, s) for o in ("sgd", "clipped-sgd") for s in range(4)
    ]
    assert rows[1]["w1"] == pytest.approx(-98.999, abs=1e-3)
    assert rows[5]["w1"] == pytest.approx(0.901, abs=1e-3)
    assert rows[1]["w2"] == pytest.approx(-0.45, abs=1e-3)
    assert rows[1]["error"] == pytest.approx(98.999**2 / 2 + 0.45**2 / 2, rel=1e-4)


def test_the_error_around_a_model_and_between_two(said, tmp_path, monkeypatch):
    x, t = [[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]], [0, 1, 1]
    for seed in (0, 1):
        model = dp.Model([dp.Dense(2)], dp.SoftmaxCrossEntropy(), dp.SGD(0.1), seed=seed, in_shape=(2,))
        model.save(tmp_path / f"{seed}.safetensors")
    np.savez(tmp_path / "data.npz", x=np.array(x, np.float32), t=np.array(t))
    words = ["0.safetensors", "--data", "data.npz", "--resolution", "3"]
    status, out, err = said(*words, "--through", "1.safetensors", "--span", "-1", "1", "--output", "plane")
    assert (status, err) == (0, "")
    assert "3 x 3 points of a plane, on 3 examples" in out
    rows = rows_of(tmp_path / "plane" / "surface.csv")
    at = {(row["a"], row["b"]): row["error"] for row in rows}
    for a, seed in ((0.0, 0), (1.0, 1)):
        loss = dp.load(tmp_path / f"{seed}.safetensors").evaluate((np.array(x, np.float32), np.array(t)))["loss"]
        assert at[a, 0.0] == pytest.approx(loss, rel=1e-4)
    with monkeypatch.context() as patch:  # there is something in it, which is said before anything is computed
        patch.setattr("denpa.cli.landscape.loss_surface", None)
        assert "plane exists already" in said(*words, "--output", "plane")[2]
    assert "data" in said("0.safetensors")[2]
    assert "two other runs" in said(*words, "--through", *["1.safetensors"] * 3)[2]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["vally"], "did you mean 'valley'"),
        (["valley", "--optimizers", "adm"], "did you mean 'adam'"),
        (["valley", "--start", "1"], "two finite numbers"),
        (["valley", "--steps", "1.5"], "whole number"),
        (["valley", "--noise", "much"], "wants numbers"),
        (["valley", "--noise", "inf"], "wants numbers"),
        ([], "SURFACE"),
    ],
)
def test_what_is_refused(said, tmp_path, words, answer):
    status, out, err = said(*words)
    assert (status, out) == (2, "")
    assert answer in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("valley --resolution 5", "--resolution is for a RUN, and valley is a surface: leave it out"),
        ("valley --data a.csv", "--data is for a RUN"),
        (
            "a.safetensors --optimizers adam",
            "--optimizers is for a SURFACE, and a.safetensors is a run",
        ),
        ("a.safetensors --learning-rate 1", "--learning-rate is for a SURFACE"),
    ],
)
def test_options_that_would_change_nothing_are_refused(said, tmp_path, words, message):
    (tmp_path / "a.safetensors").write_bytes(b"")
    status, _, err = said(*words.split())
    assert status == 2
    assert message in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), dp.StorageError("Cannot write paths.gif: the disk is full.")])
def test_what_ends_the_writing_early_tells_what_is_there(said, tmp_path, monkeypatch, error):
    def ended(*_, **__):
        raise error

    monkeypatch.setattr("denpa.cli.landscape.paths_animation", ended)
    status, _, err = said("valley", "--steps", "3", "--output", "paths")
    assert status == 1
    assert "paths holds a part of the files: begin again with --overwrite" in err
    assert "nothing was written" not in err
    assert (tmp_path / "paths" / "paths.csv").is_file()

"""Run folders come to be in one move, and nothing is lost for them."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

import denpa as dp
from denpa.lab import DataConfig, Experiment
from denpa.lab.run_folder import RunFolder, create, free_name, refuse_existing

EXPERIMENT = Experiment(dp.Sequential([dp.Dense(2)]), dp.SoftmaxCrossEntropy(), DataConfig("moons"), name="one")


def made(path, **options):
    return create(path, EXPERIMENT, {"seed": 0}, **options)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_folder_holds_its_experiment(tmp_path):
    folder = made(tmp_path / "runs" / "deep" / "one")
    assert names(folder.path) == ["config.toml", "environment.json"]
    assert RunFolder.existing(folder.path).experiment() == EXPERIMENT
    assert folder.read_json(folder.environment) == {"seed": 0}
    assert names(folder.path.parent) == ["one"]
    (tmp_path / "usual").mkdir()
    assert folder.path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_that_is_trained_into_is_neither_replaced_nor_taken_up_by_another(tmp_path):
    pytest.importorskip("fcntl")
    folder = made(tmp_path / "one")
    with folder.held():
        for intrusion in (folder.held, lambda: contextlib.nullcontext(made(folder.path, overwrite=True))):
            with pytest.raises(dp.StorageError, match="Another process is training into"), intrusion():
                pass
        assert names(tmp_path) == ["one"]
    made(folder.path, overwrite=True)


def test_an_empty_folder_may_be_there(tmp_path):
    (tmp_path / "one").mkdir()
    assert names(made(tmp_path / "one").path) == ["config.toml", "environment.json"]


def test_a_run_is_replaced_only_when_asked(tmp_path):
    folder = made(tmp_path / "one")
    folder.results.write_text("{}")
    assert not folder.finished  # without a model
    folder.model.touch()
    with pytest.raises(dp.StorageError, match="--overwrite"):
        made(tmp_path / "one")
    assert folder.finished
    made(tmp_path / "one", overwrite=True)
    assert not folder.finished
    assert names(tmp_path) == ["one"]


def test_what_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("all I have")
    (tmp_path / "file").write_text("x")
    for name in ("home", "file"):
        with pytest.raises(dp.StorageError, match="no run folder"):
            made(tmp_path / name, overwrite=True)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "all I have"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_when_the_disk_is_full_nothing_is_lost(tmp_path, monkeypatch, code):
    folder = made(tmp_path / "one")
    folder.results.write_text("{}")
    folder.model.touch()

    def full(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", full)
    for place in ("one", "two"):
        with pytest.raises(dp.StorageError, match=r"disk is full|permission"):
            made(tmp_path / place, overwrite=True)
    assert folder.finished
    assert names(tmp_path) == ["one"]


@pytest.mark.parametrize("taken", [False, True])
def test_a_run_outlives_its_failed_replacement(tmp_path, monkeypatch, taken):
    """The old run is out of the way when the new one cannot come: it goes back, or to a place that is told."""
    path, rename, failed = tmp_path / "one", os.rename, []
    made(path).results.write_text("old")

    def fail_once(source, target):
        if Path(source).name == "run" and not failed:
            failed.append(target)
            if taken:  # by another process
                path.mkdir()
                (path / "other").touch()
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        rename(source, target)

    monkeypatch.setattr("os.rename", fail_once)
    with pytest.raises(dp.StorageError, match="Directory not empty") as told:
        made(path, overwrite=True)
    where = Path(str(told.value).rpartition(" is in ")[2].removesuffix(" now.")) if taken else path
    assert (where / "results.json").read_text() == "old"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(dp.StorageError, match="Cannot make the run folder"):
        made(tmp_path / "file" / "one")


def test_a_free_name(tmp_path):
    assert free_name(tmp_path, "one") == tmp_path / "one"
    for expected in ("one", "one-2", "one-3"):
        path = free_name(tmp_path, "one")
        assert path.name == expected
        path.mkdir()


def test_what_is_no_run_folder_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(dp.FileFormatError, match="run folder"):
            RunFolder.existing(path)
    refuse_existing(tmp_path / "none")


def test_what_a_killed_process_left_is_swept(tmp_path):
    folder = made(tmp_path / "one")
    folder.checkpoint.mkdir()
    left = [folder.path / ".metrics.csv.a1b2c3d4", folder.checkpoint / ".step_0000000005.safetensors.abcd1234"]
    kept = [folder.path / ".gitignore", folder.path / "notes.txt.a1b2c3d4"]
    for file in left + kept:
        file.write_text("x")
    folder.sweep()
    assert [file.exists() for file in left + kept] == [False, False, True, True]

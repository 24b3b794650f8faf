"""What a command writes to: nothing is lost, and what loses nothing is let through."""

from __future__ import annotations

import os

import pytest

from denpa.cli.output import free_file, free_folder, free_table, made
from denpa.core.errors import ConfigError, StorageError


def test_a_file_is_refused_unless_it_may_be_replaced(tmp_path):
    taken = tmp_path / "taken.csv"
    assert free_file(str(taken), overwrite=False) == taken
    taken.write_text("precious")
    for path in (taken, tmp_path):
        with pytest.raises(StorageError, match=r"exists already: .* --overwrite"):
            free_file(path, overwrite=False)
    assert free_file(taken, overwrite=True) == taken
    assert taken.read_text() == "precious"


def test_a_file_wants_a_folder_before_the_work_begins(tmp_path):
    with pytest.raises(StorageError, match="its folder does not exist"):
        free_file(tmp_path / "nowhere" / "a.csv", overwrite=True)


def test_rows_are_not_written_under_the_name_of_another_format(tmp_path):
    for name in ("a.csv", "a.txt", "a"):
        assert free_table(tmp_path / name, False, "Scores") == tmp_path / name
    assert free_table(tmp_path / "a.npy", False, "Predictions", arrays=True) == tmp_path / "a.npy"
    with pytest.raises(ConfigError, match=r"Scores are written as CSV; not as \.npy"):
        free_table(tmp_path / "a.npy", False, "Scores")
    with pytest.raises(ConfigError, match=r"Predictions are written as CSV, or as \.npy; not as \.XLSX"):
        free_table(tmp_path / "a.XLSX", False, "Predictions", arrays=True)


def test_a_device_has_nothing_to_lose():
    assert str(free_file(os.devnull, overwrite=False)) == os.devnull


def test_a_folder_is_free_where_nothing_is_in_it(tmp_path):
    for folder in (tmp_path, tmp_path / "new"):
        assert free_folder(folder, overwrite=False, option="run") == folder
    (tmp_path / "one").write_text("precious")
    for path in (tmp_path, tmp_path / "one"):
        with pytest.raises(StorageError, match="another place with --run"):
            free_folder(path, overwrite=False, option="run")
    assert free_folder(tmp_path, overwrite=True, option="run") == tmp_path


def test_a_folder_is_made_with_those_above_it_or_refused(tmp_path):
    assert made(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot make the folder"):
        made(tmp_path / "file" / "inside")

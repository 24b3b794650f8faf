"""`denpa worksheet`: files in two formats, refusals that write nothing."""

from __future__ import annotations

import pytest

from denpa.cli.main import main


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_worksheet_is_written_and_not_written_over(inside, capsys):
    assert main(["worksheet", "notes"]) == 0
    assert capsys.readouterr().out == "59 steps with 181 blanks in worksheet-notes.html\n"
    page = (inside / "worksheet-notes.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert main(["worksheet", "notes", "--language", "ja"]) == 2
    assert "worksheet-notes.html exists already" in capsys.readouterr().err
    assert (inside / "worksheet-notes.html").read_text("utf-8") == page
    assert main(["worksheet", "notes", "--language", "ja", "--overwrite"]) == 0
    assert 'lang="ja"' in (inside / "worksheet-notes.html").read_text("utf-8")


def test_latex_with_answers_in_a_file_of_ones_own(inside):
    words = ["worksheet", "3-2-2:relu", "--no-numbers", "--answers", "--format", "latex", "--language", "ja"]
    assert main(words) == 0
    assert main([*words, "--output", "mine.tex"]) == 0
    source = (inside / "mine.tex").read_text("utf-8")
    assert source == (inside / "worksheet-3-2-2-relu-answers.tex").read_text("utf-8")
    assert r"\answer{" in source
    assert "シード" not in source  # no numbers, and no word on where they come from


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["leters"], "did you mean 'letters'"),
        ([], "denpa worksheet wants NETWORK"),
        (["notes", "--format", "pdf"], "Unknown format 'pdf'"),
        (["notes", "--language", "de"], "Unknown language 'de'"),
        (["notes", "--seed", "-1"], "0 or more"),
        (["notes", "--answer"], "did you mean '--answers'"),
        (["xor", "--example", "100000"], "but no 100000"),
        (["digits-conv"], "Layer '00_conv2d' is Conv2d"),
        (["nowhere.toml"], "nowhere.toml"),
        (["notes", "--output", "no/such/folder.html"], "its folder does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(words, complaint, inside, capsys):
    assert main(["worksheet", *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(inside.iterdir())

"""`denpa lab`: list, run and report, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from denpa.cli.main import main
from denpa.lab.studies.registry import STUDIES


def test_list_shows_every_study_in_the_language_asked_for(capsys):
    assert main(["lab", "list"]) == 0
    said = capsys.readouterr().out
    assert "activation-and-initialisation" in said
    assert "Polynomials and noise" in said
    assert main(["lab", "list", "polynomial", "--language", "ja"]) == 0
    assert "多項式の過学習" in capsys.readouterr().out


def test_run_keeps_results_and_pages_and_overwrites_nothing(tmp_path, capsys):
    words = ["lab", "run", "lasso-and-ridge", "--seeds", "1", "--output", str(tmp_path)]
    assert main(words) == 0
    assert "ok     lasso: weights left at the strongest penalty: 0, expected = 0" in capsys.readouterr().out
    assert (tmp_path / "lasso-and-ridge" / "paths.svg").is_file()
    assert (tmp_path / "report.html").is_file()
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["lab", "report", "--output", str(tmp_path), "--language", "ja"]) == 0
    assert f"report.ja.html：{len(STUDIES)} 件の実験のうち 1 件" in capsys.readouterr().out
    assert "正則化の強さ" in (tmp_path / "report.ja.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lab"], "list, run NAME or report"),
        (["lab", "rum"], "did you mean 'run'"),
        (["lab", "run", "polynomal"], "did you mean 'polynomial'"),
        (["lab", "run", "all", "polynomail"], "did you mean 'polynomial'"),
        (["lab", "run", "polynomial", "--quick", "--full"], "not both"),
        (["lab", "report", "--seeds", "3"], "--seeds is for denpa lab run, not for report: leave it out"),
        (["lab", "list", "--full"], "--full is for denpa lab run, not for list: leave it out"),
        (["lab", "run", "polynomial", "--seeds", "none"], "1 or more"),
        (["lab", "run", "polynomial", "--language", "fr"], "Unknown language"),
        (["lab", "report", "polynomial"], "One word too many"),
        (["lab", "report"], "There are no results"),
    ],
)
def test_bad_words_are_named_and_nothing_is_written(words, message, tmp_path, capsys):
    assert main([*words, "--output", str(tmp_path / "none")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("error", "why"), [(KeyboardInterrupt, "interrupted"), (BrokenPipeError, "whoever read the output has gone")]
)
def test_a_run_that_ends_early_says_what_is_kept_and_what_is_left(error, why, tmp_path, capsys, monkeypatch):
    def study(name, run):
        return SimpleNamespace(name=name, title=SimpleNamespace(of=str), run=run)

    def interrupted(plan):
        raise error

    kept = SimpleNamespace(setting=None, checks=(), seconds=1.0, folder="kept", passed=True)
    studies = [study("one", lambda plan: None), study("two", interrupted), study("three", interrupted)]
    monkeypatch.setattr("denpa.cli.lab.chosen", lambda names: studies)
    monkeypatch.setattr("denpa.cli.lab.store.write", lambda *arguments: kept)
    assert main(["lab", "run", "all", "--output", str(tmp_path / "lab")]) == 1
    told = f"denpa: {why}; what was finished is kept in {tmp_path / 'lab'}. Still to run: two three.\n"
    assert capsys.readouterr().err == told
    studies.pop(0)
    assert main(["lab", "run", "all", "--output", str(tmp_path / "lab")]) == 1
    assert capsys.readouterr().err == f"denpa: {why}; nothing was written.\n"

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
        (["notes", "--output", "notes.pdf"], "Unknown format 'pdf'"),
        (["notes", "--language", "de"], "Unknown language 'de'"),
        (["notes", "--seed", "-1"], "0 or more"),
        (["notes", "--answer"], "did you mean '--answers'"),
        (["xor", "--example", "100000"], "but no 100000"),
        (["notes", "--example", "3"], "notes is in letters alone: leave the example 3 out"),
        (["notes", "--seed", "3"], "notes is in letters alone: leave the seed 3 out"),
        (["3-2", "--example", "3"], "3-2 has one example, which the seed draws: leave the example 3 out"),
        (["digits-conv"], "Layer '00_conv2d' is Conv2d"),
        (["nowhere.toml"], "nowhere.toml"),
        (["notes", "--output", "no/such/folder.html"], "its folder does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(words, complaint, inside, capsys):
    assert main(["worksheet", *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(inside.iterdir())


def test_the_ending_of_the_output_tells_the_format(tmp_path):
    for name, begins in (("a.tex", "\\documentclass"), ("b.html", "<!DOCTYPE html>"), ("c.txt", "<!DOCTYPE html>")):
        assert main(["worksheet", "2-2", "--output", str(tmp_path / name)]) == 0
        assert begins in (tmp_path / name).read_text().splitlines()[0] + (tmp_path / name).read_text()[:400]
    assert main(["worksheet", "2-2", "--format", "html", "--output", str(tmp_path / "d.tex")]) == 0
    assert (tmp_path / "d.tex").read_text().startswith("<!DOCTYPE html>")


def test_parameters_of_gaussian_classes_are_told_as_such_in_a_preset_and_in_its_run(tmp_path, capsys):
    assert main(["train", "linear-discriminant", "--run", str(tmp_path / "run"), "--progress", "none"]) == 0
    pages = []
    for name, what in (("preset", "linear-discriminant"), ("run", str(tmp_path / "run"))):
        page = tmp_path / f"{name}.tex"
        assert main(["worksheet", what, "--answers", "--output", str(page)]) == 0
        pages.append(page.read_text())
    assert pages[0] == pages[1]
    run = str(tmp_path / "run")
    assert main(["worksheet", run, "--seed", "3", "--output", str(tmp_path / "seed.tex")]) == 2
    assert f"{run} has parameters of its own: leave the seed 3 out" in capsys.readouterr().err
    assert not (tmp_path / "seed.tex").exists()
    assert "digits, as the network is given it; parameters of Gaussian classes by maximum likelihood." in pages[0]
    page = tmp_path / "ja.tex"
    assert main(["worksheet", str(tmp_path / "run"), "--language", "ja", "--output", str(page)]) == 0
    assert (
        "digitsの訓練データの例0（0から数える。前処理後の値）。パラメータは各クラスを正規分布とする最尤推定による"
        in page.read_text()
    )

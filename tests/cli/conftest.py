"""Pictures are drawn only for the tests that look at them: each takes longer than the training it shows."""

from __future__ import annotations

import pytest

from denpa.cli.main import main


@pytest.fixture
def with_figures():
    """Asked for by a test that looks at pictures."""


@pytest.fixture(autouse=True)
def without_figures(request, monkeypatch):
    if "with_figures" not in request.fixturenames:
        monkeypatch.setattr("denpa.lab.run.figures.write_all", lambda *_: None)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Commands run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(capsys):
    """Runs a command; gives exit status, what it printed, and what it complained of."""

    def run(*words):
        status = main(list(words))
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def refused(said, empty_folder):
    """Runs a command that is refused in one line with these words in it, and writes nothing."""

    def run(words, message):
        status, _, err = said(*words.split())
        assert status == 2
        assert message in err
        assert len(err.splitlines()) == 1
        assert not list(empty_folder.iterdir())

    return run

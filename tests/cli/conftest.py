"""Pictures are drawn only for the tests that look at them: each takes longer than the training it shows."""

from __future__ import annotations

import pytest


@pytest.fixture
def with_figures():
    """Asked for by a test that looks at pictures."""


@pytest.fixture(autouse=True)
def without_figures(request, monkeypatch):
    if "with_figures" not in request.fixturenames:
        monkeypatch.setattr("denpa.lab.run.figures.write_all", lambda *_: None)

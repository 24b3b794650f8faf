"""The studies of error surfaces: their checks hold for the first seed; pictures are drawn elsewhere."""

from __future__ import annotations

import re

import pytest

from denpa.lab.studies import Plan, registry, surfaces, surfaces_many


@pytest.mark.parametrize("name", ["valley", "plateau", "cliff", "saddle", "many-minima"])
def test_a_surface_shows_what_is_claimed_of_it(name, monkeypatch):
    for module in (surfaces, surfaces_many):
        monkeypatch.setattr(module, "paths_picture", lambda *_: None)
        monkeypatch.setattr(module, "paths_animation", lambda *_: b"")
    result = registry.find(name).run(Plan(seeds=(0,)))
    failed = [
        f"{check.claim.en}: {check.measured}, not {check.expected}" for check in result.checks if not check.passed
    ]
    assert not failed
    assert not [check.claim.ja for check in result.checks if re.search("[a-z]{3} [a-z]{3}", check.claim.ja)]
    assert {"optimiser", "error"} <= set(result.rows[0])

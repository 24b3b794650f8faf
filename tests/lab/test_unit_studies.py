"""Studies of units and of gradients: each comes out as expected, and its checks can fail."""

from __future__ import annotations

import re

import numpy as np
import pytest

from denpa.lab.studies import activations, by_hand, gates
from denpa.lab.studies.study import Plan
from denpa.lab.studies.terms import in_japanese

ONE = Plan(False, (0,))
ALL = [study for module in (activations, gates, by_hand) for study in module.STUDIES]


@pytest.mark.parametrize("study", ALL, ids=lambda study: study.name)
def test_it_comes_out_as_expected(study):
    result = study.run(ONE)
    assert result.passed, [check.claim.en for check in result.checks if not check.passed]
    assert len({tuple(row) for row in result.rows}) == 1  # equal columns
    assert result.pictures
    for picture in result.pictures:  # no English word stands in the titles and axes of the Japanese pictures
        for axes in picture.figure.axes:
            for text in (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()):
                assert not re.search("[a-z]{4}", in_japanese(text).replace("tanh", "").replace("$", "")), text


def test_a_wrong_activation_and_a_wrong_threshold_are_noticed(monkeypatch):
    wrong = activations._ALL["sigmoid"]._replace(layer=activations.Tanh())
    monkeypatch.setitem(activations._ALL, "sigmoid", wrong)
    assert not activations.STUDIES[0].run(ONE).passed
    W, theta = gates.classical.GATES["and"]
    monkeypatch.setattr(gates.classical, "GATES", {**gates.classical.GATES, "and": (W, theta - 1)})
    corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert gates._by_hand("and", corners).tolist() == [0, 1, 1, 1]


def test_by_hand_and_by_layers_differ_where_a_number_differs():
    found = by_hand._passes(0)
    p = {name: dict(own) for name, own in found.params[0].items()}
    p["u2"]["b"] = p["u2"]["b"] + 0.1
    assert np.max(np.abs(by_hand._reckoned(p, found.x)[1] - found.values["z2"].y)) > 0.09

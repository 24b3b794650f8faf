"""The studies of exact statements: they hold for one seed, and the checks notice when they do not."""

from __future__ import annotations

import pytest

from denpa.lab.studies import Plan, adaptive, pieces, registry, subnetworks
from denpa.layers import Dropout
from denpa.networks import Sequential
from denpa.optim import AdaGrad, RMSprop

ONE = Plan(seeds=(3,))
NAMES = (
    "anisotropy",
    "adagrad-starvation",
    "standardisation",
    "weight-decay",
    "dropout-subnetworks",
    "conditional-mean",
    "generative-or-discriminative",
)


def failed(result):
    return [f"{c.claim.en}: {c.measured}, not {c.expected}" for c in result.checks if not c.passed]


@pytest.mark.parametrize("name", NAMES)
def test_the_statement_holds(name):
    result = registry.find(name).run(ONE)
    assert not failed(result)
    assert len({tuple(row) for row in result.rows}) == 1  # equal columns


def test_maxout_comes_to_the_least_error_of_its_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "_PIECES", (2, 8))
    result = registry.find("maxout").run(ONE)
    assert not failed(result)
    errors = {(row["start"], row["pieces"]): row["error"] for row in result.rows}
    assert errors["tangents", 8] < errors["plain", 8] < errors["plain", 2]


def test_a_method_that_starts_elsewhere_is_noticed(monkeypatch):
    monkeypatch.setattr(adaptive, "AdaGrad", lambda rate, epsilon: AdaGrad(rate, 50.0, epsilon))
    monkeypatch.setattr(adaptive, "RMSprop", lambda rate, decay=0.9, epsilon=0.0: RMSprop(rate, 0.95, epsilon))
    assert len(failed(registry.find("adagrad-starvation").run(ONE))) == 4


def test_a_factor_in_training_is_noticed(monkeypatch):
    layers = list(subnetworks._NET.layers)
    layers[2] = Dropout(0.5, scaling="inverted", per="batch")
    monkeypatch.setattr(subnetworks, "_NET", Sequential(tuple(layers)))
    monkeypatch.setattr(subnetworks, "_UPDATES", 8)
    found = failed(registry.find("dropout-subnetworks").run(ONE))
    assert any("network of the kept units" in line for line in found)

"""The studies of exact statements: they hold for one seed, and the checks notice when they do not."""

from __future__ import annotations

import numpy as np
import pytest

from denpa.lab.studies import Plan, adaptive, halting, images, pieces, rates, registry, signals, sparse, subnetworks
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


def test_the_plateau_of_online_learning_is_that_of_the_formula_for_every_seed():
    noise, predicted = rates._noise(Plan(seeds=tuple(range(20))))
    ratios = np.mean(noise / np.array(list(predicted.values()))[:, None], axis=0)
    assert np.abs(ratios - 1).max() < 0.06


def test_a_single_unit_that_is_not_sparse_is_noticed():
    """Means of 0.05 in the mean are not enough: every unit's is to be near."""
    even, uneven = np.full((1, 10), 0.05), np.array([[0.25, 0.25, *[0.0] * 8]])
    none = sparse._Learned(np.full((1, 10), 0.5), np.ones(1), np.ones(1), even)
    for means, passed in ((even, True), (uneven, False)):
        found = {"none": none, "KL": none._replace(means=means, errors=np.full(1, 2.0)), "L1": none}
        assert sparse._sparse_checks(Plan(), found)[0].passed == passed


def test_xaviers_weights_that_saturate_are_noticed():
    names, ends = list(signals._SETTINGS), {name: np.ones(1) for name in signals._SETTINGS}
    flat = {names[0]: np.array([0.75]), names[1]: np.array([0.75])}
    checks = signals._saturation_checks(flat, ends)
    assert [check.passed for check in checks[:2]] == [True, False]
    assert [check.claim.en.split(":")[0] for check in checks[:2]] == names[:2]


def test_committees_differ_by_what_they_are_told_to():
    """Bootstrap samples make members differ that start alike; without either they are one and the same network."""
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    t = (x[:, 0] > 0).astype(np.int32)
    data = images.Images("toy", x[:40], t[:40], x[40:], t[40:])
    drawn, alike = (halting._committees(data, (0,), bootstrap, starts=False) for bootstrap in (True, False))
    assert np.ptp(alike[0]) == 0
    assert alike[0][-1] == pytest.approx(alike[1])
    assert np.ptp(drawn[0]) > 0 or drawn[0][-1] != pytest.approx(drawn[1])


def test_a_committee_that_gains_by_its_starts_alone_is_noticed():
    """Without bootstrap samples members from starts of their own gain 0.06 at most over their mean."""
    starts, alike = (np.full((10, 1), 0.85), np.full(1, 0.8)), (np.full((10, 1), 0.8), np.full(1, 0.8))
    found = {"samples and starts": starts, "samples alone": alike, "starts alone": starts}
    assert [check.passed for check in halting._committee_checks(found)] == [False, False, True, True]

"""The studies of convolution and pooling: their checks hold for the first seed, and fail for a layer that is wrong."""

from __future__ import annotations

import re

import pytest

from denpa.lab.studies import Plan, convolving, patches, poolings, unpoolings
from denpa.lab.studies.terms import in_japanese

STUDIES = {study.name: study for module in (convolving, patches, poolings, unpoolings) for study in module.STUDIES}


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_the_studies_of_convolution_come_out_as_expected(study):
    result = study.run(Plan(seeds=(0,)))
    failed = [
        f"{check.claim.en}: {check.measured}, not {check.expected}" for check in result.checks if not check.passed
    ]
    assert not failed
    assert len({tuple(row) for row in result.rows}) == 1  # equal columns
    for picture in result.pictures:
        for axes in picture.figure.axes:
            for words in (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()):
                assert words == "im2col" or not re.search("[a-z]{3}", in_japanese(words)), words


def test_a_layer_that_is_wrong_fails_its_study(monkeypatch):
    plan = Plan(seeds=(0,))
    monkeypatch.setattr(convolving, "_WINDOW", convolving._TURNED)  # turns its filter
    assert [check.passed for check in STUDIES["convolution-by-hand"].run(plan).checks].count(False) == 2
    monkeypatch.setitem(poolings._POOLS, "maximum", poolings._POOLS["average"])
    assert [check.passed for check in STUDIES["pooling-by-hand"].run(plan).checks] == [False, False, *(True,) * 5]

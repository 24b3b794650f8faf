"""The studies of convolution and pooling: their checks hold for the first seed, and fail for a layer that is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest

from denpa.lab.studies import Plan, contrasts, convolving, fields, patches, poolings, shifts, transfers, unpoolings
from denpa.lab.studies.terms import in_japanese

MODULES = (convolving, patches, poolings, unpoolings, shifts, fields, contrasts)
STUDIES = {study.name: study for module in MODULES for study in module.STUDIES}


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
    monkeypatch.setitem(contrasts._LAYERS, "subtractive", contrasts._LAYERS["responses"])
    assert not contrasts._subtractive_checks(contrasts._row())[0].passed
    delta, field = fields._delta(fields.Sequential(fields._STACKS["3 × 3"]), (8, 8)), fields._STACKS["dilation 2"]
    assert (
        fields._outside(delta, fields.receptive_field(fields.Sequential(field), (16, 16, 1), "0_conv2d", (8, 8))) == 4
    )


def test_no_curve_leaves_the_picture_of_shifts():
    figure = STUDIES["translation-equivariance"].run(Plan(seeds=(0,))).pictures[0].figure
    for axes in figure.axes:
        heights = np.concatenate([line.get_ydata() for line in axes.get_lines()])
        assert heights.max() < axes.get_ylim()[1], axes.get_title()


def test_hidden_layers_are_taken_over_and_the_last_is_not():
    source = transfers._started("ReLU", 1, 9, None)
    taken, fresh = (transfers._started("ReLU", 2, 9, start).variables.params for start in (source, None))
    for name, arrays in source.variables.params.items():
        for key, array in arrays.items():
            expected = fresh[name][key] if name == "8_dense" else array
            np.testing.assert_array_equal(taken[name][key], expected)
    assert not np.array_equal(taken["0_dense"]["W"], fresh["0_dense"]["W"])

"""Names of other libraries lead to names that are there."""

from __future__ import annotations

import operator
import types

import pytest

import denpa as dp
from denpa.training.elsewhere import _HERE, called_here


def test_every_answer_is_a_name_of_denpa():
    for name in [*_HERE, "ADAM", "softmax_cross_entropy", "He", "cosinedecay"]:
        assert isinstance(operator.attrgetter(called_here(name))(dp), (type, types.FunctionType)), name
    assert not [name for name in _HERE if name.lower().replace("_", "") != name]


@pytest.mark.parametrize(
    ("there", "here"),
    [("Linear", "dp.Dense "), ("BCEWithLogitsLoss", "dp.SigmoidCrossEntropy "), ("clip_grad_norm_", "dp.ClipByNorm ")],
)
def test_a_name_of_another_library_is_translated(there, here):
    with pytest.raises(AttributeError, match=f"no attribute '{there}': it is {here}here"):
        getattr(dp, there)


@pytest.mark.parametrize("name", ["Dence", "_private", "Experiment"])
def test_nothing_is_said_of_others(name):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'$"):
        getattr(dp, name)


@pytest.mark.parametrize(
    ("parts", "here"),
    [
        ({"loss": "binary_crossentropy"}, "dp.BinaryCrossEntropy()"),
        ({"loss": "sparse_categorical_crossentropy"}, "dp.CrossEntropy()"),
        ({"loss": dp.MeanSquaredError(), "optimizer": "adam"}, "dp.Adam()"),
        ({"loss": dp.MeanSquaredError(), "metrics": ["mae"]}, "dp.MeanAbsoluteError()"),
    ],
)
def test_a_name_in_the_place_of_an_object_is_refused_with_the_object(parts, here):
    with pytest.raises(dp.ConfigError) as refused:
        dp.Model([dp.Dense(1)], **parts)
    assert str(refused.value).endswith(f"Give an object, not its name: {here}.")

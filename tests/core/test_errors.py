"""What all errors of denpa have in common."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import denpa as dp

X = np.random.default_rng(0).normal(size=(300, 40))


@pytest.mark.parametrize("given", [X, X.astype(np.float32), X.tolist(), (X, X)])
@pytest.mark.parametrize("make", [dp.Dense, dp.SGD, dp.MaxPool2d, dp.Reshape, dp.Sequential, dp.load])
def test_an_array_in_the_wrong_place_is_not_shown_whole(make, given):
    with pytest.raises(dp.DenpaError) as caught:
        make(given)
    assert "0.1257302" in str(caught.value)  # its first number
    assert len(str(caught.value)) < 600


def test_words_and_a_few_numbers_are_shown_whole():
    names = " ".join(f"block/{i}_dense/W (784, 100)" for i in range(100))
    shape = ", ".join(["28"] * 40)
    assert str(dp.ShapeError(f"{names} do not fit ({shape}).")) == f"{names} do not fit ({shape})."


@pytest.mark.parametrize("kind", [dp.ConfigError, dp.StorageError])
def test_an_error_is_pickled(kind):
    """As it is when a process of a pool hands it on."""
    error = pickle.loads(pickle.dumps(kind(f"not {list(range(1000))}: too many")))
    assert isinstance(error, kind)
    assert str(error) == str(kind(f"not {list(range(1000))}: too many"))
    assert str(error).endswith("998, 999]: too many")

from __future__ import annotations

import numpy as np
import pytest

from denpa.core.errors import DataError
from denpa.data.labels import class_indices, encode_labels, one_hot


def test_one_hot_puts_a_1_at_the_label():
    assert one_hot([2, 0], 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot([2, 0], 3).dtype == np.float32
    steps = one_hot(np.array([[1, 0, 1], [0, 0, 1]]), 2, np.int8)
    assert steps.shape == (2, 3, 2)
    assert steps[1, 2].tolist() == [0, 1]


def test_argmax_inverts_it():
    labels = np.random.default_rng(0).integers(0, 7, 50)
    np.testing.assert_array_equal(class_indices(one_hot(labels, 7)), labels)


def test_labels_out_of_range_are_refused():
    with pytest.raises(DataError, match="label at 1 is 3, but labels go from 0 to 2"):
        one_hot([0, 3], 3)
    with pytest.raises(DataError, match=r"label at \(0, 1\) is -1"):
        one_hot([[0, -1]], 3)
    with pytest.raises(DataError, match="integer labels"):
        one_hot([0.0, 1.0], 2)
    with pytest.raises(DataError, match="one-hot rows"):
        class_indices([[0.5, 0.5]])


def test_names_become_indices_in_sorted_order():
    indices, names = encode_labels(["dog", "cat", "emu", "cat"])
    assert names == ("cat", "dog", "emu")
    assert indices.tolist() == [1, 0, 2, 0]
    assert indices.dtype == np.int32
    indices, names = encode_labels([10, 2, 10])  # labels counted from 1, or with gaps
    assert names == ("2", "10")
    assert indices.tolist() == [1, 0, 1]
    assert encode_labels(np.array(["b", "a"], object))[0].tolist() == [1, 0]


def test_missing_and_nested_labels_are_refused():
    with pytest.raises(DataError, match="label at 1 is missing"):
        encode_labels(["a", None])
    with pytest.raises(DataError, match="label at 0 is missing"):
        encode_labels([float("nan"), 1.0])
    with pytest.raises(DataError, match="one label per example"):
        encode_labels([["a"], ["b"]])

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.core.errors import DataError
from denpa.data.labels import class_indices, encode_labels, one_hot, true_classes
from denpa.lab.measure import measure


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


def test_the_class_that_targets_speak_for():
    indices = np.array([0, 2, 1], np.int32)
    assert true_classes(indices) is indices
    assert true_classes(np.array([[0.0, 0.9, 0.1], [0.7, 0.2, 0.1]])).tolist() == [1, 0]
    assert true_classes(np.array([[1], [0], [1]])).tolist() == [1, 0, 1]  # one unit: not the only column's place


def test_targets_of_one_unit_are_counted_in_the_confusion_matrix():
    x = np.array([[-2.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [2.0, 0.0]], np.float32)
    model = dp.Model([dp.Dense(1)], dp.SigmoidCrossEntropy(), in_shape=(2,))
    model.load_weights(dp.Variables({"0_dense": {"W": np.ones((2, 1), np.float32), "b": np.zeros(1, np.float32)}}, {}))
    data = dp.Dataset(x, np.array([[0], [1], [1], [1]]), "classification")
    assert measure(model, data).confusion.tolist() == [[1, 0], [1, 2]]

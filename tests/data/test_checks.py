from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core.errors import ConfigError, DataError
from denpa.data.checks import check_batch_size, check_data, check_features, is_one_hot
from denpa.data.dataset import Dataset


def examples(**holes):
    x = np.random.default_rng(0).normal(size=(6, 3))
    for place, value in holes.values():
        x[place] = value
    return x


LABELS = np.array([0, 2, 1, 0, 2, 1])


@pytest.mark.parametrize(
    ("x", "t", "task"),
    [
        (examples(), LABELS, "classification"),
        (examples().astype(np.float32), np.eye(3)[LABELS], "classification"),
        (examples(), np.eye(3, dtype=np.int32)[LABELS], "classification"),
        (examples(), np.full((6, 3), 1 / 3, np.float32), "classification"),
        (np.arange(6, dtype=np.uint8)[:, None, None, None], LABELS, "classification"),
        (np.arange(12).reshape(6, 2), np.stack([LABELS, LABELS], axis=1), "classification"),
        (examples(), examples(), "regression"),
        (examples(), [0.0, 1.0, 0.5, 0.0, 1.0, 1.0], "binary"),
        (jnp.ones((6, 2), jnp.bfloat16), jnp.asarray(LABELS), "classification"),
        (examples(), None, None),
    ],
)
def test_good_data_pass(x, t, task):
    check_data(x, t, task=task, classes=3)


def refused(message, x, t=None, **options):
    with pytest.raises(DataError, match=message):
        check_data(x, t, **options)


def test_nothing_to_learn_from():
    refused("x has no examples in the validation data", np.zeros((0, 4)), where="the validation data")
    refused(r"examples of shape \(0,\), which hold no numbers", np.zeros((4, 0)))
    refused("a single number", 3.0)


def test_lengths_differ():
    refused("x has 6 examples but t has 5 targets", examples(), LABELS[:5])
    refused("t has a single number", examples(), 1)


def test_nan_and_infinity_are_named_by_row_and_column():
    x = examples(a=((4, 1), np.nan))
    refused("x holds NaN at row 4, column 1 in the data", x)
    refused(r"x holds NaN at row 4, column 1 \('age'\)", x, feature_names=("height", "age", "weight"))
    x[5, 0] = -np.inf
    refused("NaN at row 4, column 1 and 1 more such entry", x)
    x[2, 2] = np.inf
    refused("x holds infinity at row 2, column 2 and 2 more such entries", x)
    refused(r"x holds infinity at row 2, entry \(2, 0\)", x[..., None])
    refused("t holds NaN at row 3 in", examples(), [0.0, 1, 2, np.nan, 0, 1], task="regression")


def test_a_hole_far_down_a_long_array_is_found():
    x = np.zeros((1000, 1000), np.float32)
    x[999, 998] = np.nan
    refused("row 999, column 998", x)


def test_labels_out_of_range_are_named():
    refused(
        "label in row 1 of the data is 2, but labels go from 0 to 1 for 2 classes",
        examples(),
        LABELS,
        task=C,
        classes=2,
    )
    refused("Labels start at 0, not 1", examples(), LABELS + 1, task=C, classes=3)
    refused("label in row 0 of the data is -1, but labels go from 0, 1, 2", examples(), LABELS - 1, task=C)
    refused(
        r"row 3, entry \(1,\) of the data is 9",
        examples(),
        _with(np.stack([LABELS] * 2, 1), (3, 1), 9),
        task=C,
        classes=3,
    )


def test_labels_that_are_no_integers():
    refused("row 2 of the data is 1.5, not an integer", examples(), [0, 1, 1.5, 0, 1, 0], task=C)
    refused(r"dtype float64.*astype\('int32'\)", examples(), LABELS.astype(float), task=C)


def test_one_class_only():
    for t in (np.full(6, 2), np.eye(3)[np.full(6, 2)], np.eye(3, dtype=int)[np.full(6, 2)]):
        refused("one class only in the data: the label is 2", examples(), t, task=C, classes=3)
    refused("the label is 1 everywhere", examples(), np.ones((6, 1)), task="binary")


def test_rows_that_are_no_probabilities():
    t = np.eye(3)[LABELS]
    refused("Row 4 of t .* sum is 2, not 1", examples(), _with(t, (4, 0), 1), task=C)
    refused("Row 4 of t .* smallest entry is -1", examples(), _with(_with(t, (4, 0), -1), (4, 1), 1), task=C)
    refused("t has 3 columns in the data, but there are 4 classes", examples(), t, task=C, classes=4)


def test_binary_targets_outside_0_and_1():
    refused("row 3 of the data is 2, but", examples(), [0, 1, 0, 2, 1, 0], task="binary")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([["a", "b"], ["c", "d"]]), "dtype <U1 .* TableEncoder"),
        (np.array([b"a", b"b"]), "turn text into numbers"),
        (np.array([[1.0, None]]), "dtype object .* equally long"),
        (np.array(["2024-01-01"], "datetime64[D]"), "dates as numbers"),
        (np.array([1], "timedelta64[s]"), "durations as numbers"),
        (np.array([1j]), "real and imaginary"),
    ],
)
def test_what_is_no_number_is_refused_with_advice(x, message):
    refused(message, x)


def test_masked_entries_are_refused():
    masked = np.ma.masked_array(np.ones((6, 2)), np.arange(12).reshape(6, 2) == 7)
    refused("x is masked at 3, 1 in the data: fill such entries", masked)
    refused("t is masked at 2 in the data", np.ones((6, 2)), np.ma.masked_array(LABELS, np.arange(6) == 2))
    with pytest.raises(DataError, match="x is masked at 3, 1 in mine"):
        Dataset(masked, name="mine")
    assert type(Dataset(np.ma.masked_array(np.ones((6, 2)))).x) is np.ndarray  # nothing masked


def test_text_labels_are_refused_with_advice():
    refused("t has dtype <U3 .* np.unique", examples(), np.array(["cat", "dog"] * 3), task=C)


def test_an_unknown_task():
    with pytest.raises(ConfigError, match="known tasks: classification, binary, regression"):
        check_data(examples(), task="ranking")


def test_features_must_be_those_of_the_training():
    check_features(np.zeros((2, 3)), (3,), feature_names=("a", "b", "c"), trained_names=("a", "b", "c"))
    with pytest.raises(DataError, match="Each example has 4 features, but the network was made for 3"):
        check_features(np.zeros((2, 4)), (3,))
    with pytest.raises(DataError, match=r"Each example has shape \(28, 28\), .* for \(28, 28, 1\)"):
        check_features(np.zeros((2, 28, 28)), (28, 28, 1))
    with pytest.raises(DataError, match="missing: c; not known: d"):
        check_features(np.zeros((2, 3)), (3,), feature_names=("a", "b", "d"), trained_names=("a", "b", "c"))
    with pytest.raises(DataError, match="in the order a, b"):
        check_features(np.zeros((2, 2)), (2,), feature_names=("b", "a"), trained_names=("a", "b"))


def test_batch_sizes():
    check_batch_size(100, 100)
    check_batch_size(np.int64(1), 1)
    with pytest.raises(DataError, match="batch_size 101 is larger than the 100 examples"):
        check_batch_size(101, 100)
    for wrong in (0, -3, 2.0, True, "all"):
        with pytest.raises(ConfigError, match="a whole number, 1 or more"):
            check_batch_size(wrong, 100)


def test_one_hot_rows_are_known_from_others():
    assert is_one_hot(np.eye(4)[[0, 3, 3]])
    assert not is_one_hot(np.array([[0, 1], [1, 1]]))
    assert not is_one_hot(np.array([[0.5, 0.5]]))
    assert not is_one_hot(np.array([0, 1]))


C = "classification"


def _with(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("entries", "hint"),
    [
        (["cat", "dog"], r"turn text into numbers first, by names, t = np\.unique"),
        ([1, 2.5], r"t\.astype\('float32'\) makes an array of numbers of it"),
        ([[1], [2, 3]], "make all rows equally long"),
    ],
)
def test_objects_are_answered_by_what_they_hold(entries, hint):
    t = np.empty(2, object)
    t[:] = entries
    with pytest.raises(DataError, match=rf"t has dtype object in the data, which is not numeric: {hint}"):
        check_data(np.zeros((2, 3)), t)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (None, "x must be an array of numbers in the data, not None"),
        ((row for row in examples()), r"not generator\. Try np.array\(list\(x\)\)"),
        ({"a": [1, 2]}, r"not dict\. Try np.array\(list\(x.values\(\)\)\)"),
        ([[1.0], [1.0, 2.0]], "x has rows of unlike length"),
    ],
    ids=["None", "generator", "dict", "rows"],
)
def test_what_is_no_array_is_told_what_makes_one_of_it(thing, message):
    refused(message, thing)


def test_a_sparse_matrix_is_told_how_it_becomes_an_array():
    sparse = pytest.importorskip("scipy.sparse")
    refused(r"not a sparse csr_array: give x.toarray\(\)", sparse.csr_array(examples()))

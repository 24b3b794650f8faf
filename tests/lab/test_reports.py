"""What people look at: tables of confusions, lists, pictures."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.lab import describe, presets
from denpa.lab.measure import confusion_text, measure
from denpa.lab.sources import load_data
from denpa.training import Model


def test_rows_are_true_classes_and_columns_predicted_ones():
    text = confusion_text(np.array([[5, 0], [12, 3]]), ("cat", "a very long name"))
    assert text.splitlines() == [
        "true           predicted",
        "               cat  a very long…",
        "         cat     5             ·",
        "a very long…    12             3",
    ]


def test_names_in_japanese_stand_above_their_columns():
    assert confusion_text(np.array([[5, 0], [12, 3]]), ("猫", "いぬ")).splitlines()[1:] == [
        "       猫  いぬ",
        "  猫    5     ·",
        "いぬ   12     3",
    ]


def test_a_line_end_in_a_label_does_not_break_the_table():
    lines = confusion_text(np.array([[1, 0], [0, 2]]), ("a\nb", "c")).splitlines()
    assert [line.split() for line in lines[1:]] == [["a", "b", "c"], ["a", "b", "1", "·"], ["c", "·", "2"]]


def test_many_classes_show_the_most_frequent_confusions():
    counts = np.diag(np.full(40, 9))
    counts[3, 7], counts[8, 1] = 5, 2
    names = tuple(f"c{i}" for i in range(40))
    assert confusion_text(counts, names).splitlines() == [
        "most frequent confusions", "  c3 taken for c7: 5", "  c8 taken for c1: 2",
    ]  # fmt: skip
    assert confusion_text(np.diag(np.full(40, 9)), names) == "no confusions"


def test_the_confusion_matrix_counts_what_the_model_decides():
    data = dp.datasets.load("spirals", n=90, classes=3)
    model = Model([dp.Dense(3)], dp.SoftmaxCrossEntropy(), metrics=[dp.Accuracy()], in_shape=(2,))
    measured = measure(model, data)
    decided = model.predict_classes(data.x)
    for true in range(3):
        for predicted in range(3):
            count = int(((data.t == true) & (decided == predicted)).sum())
            assert measured.confusion[true, predicted] == count
    assert measured.numbers["accuracy"] == pytest.approx(np.trace(measured.confusion) / 90)
    assert measured.class_names == ("0", "1", "2")


def test_two_classes_of_a_single_output():
    data = dp.datasets.load("moons", n=60)
    model = Model([dp.Dense(1)], dp.SigmoidCrossEntropy(), in_shape=(2,))
    measured = measure(model, data)
    assert measured.confusion.shape == (2, 2)
    assert measured.confusion.sum() == 60


def test_a_heading_is_aligned():
    experiment = presets.build("sine")
    lines = describe.heading(experiment, load_data(experiment.data)).splitlines()
    assert "160 training and 40 test examples of 1, 1 value" in lines[0]
    assert {line.index(line[10:].strip()[0], 10) for line in lines if line} >= {12}


def test_lists_know_only_what_users_can_name():
    assert "Nudged" not in describe.list_of("layers")
    assert "Sequential" not in describe.list_of("layers")
    assert set(describe.list_of("transforms")) == {"ClipByNorm", "ClipByValue", "MaxNorm"}
    assert set(describe.list_of("presets")) == set(presets.PRESETS)
    assert all(line for kind in describe.KINDS for line in describe.list_of(kind).values())

"""Answers beside what was asked for, as pictures."""

from __future__ import annotations

import numpy as np
import pytest

from denpa.lab.figures import answers


def pixels(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_pictures_are_drawn(tmp_path):
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, 2))
    answers.predictions(true, true + 0.1, tmp_path / "p.png")
    images = rng.integers(0, 255, (9, 4, 4, 1))
    figure = answers.mistakes(images, np.zeros(9, int), np.arange(9) % 3, ("a", "b", "c"), tmp_path / "m.png")
    assert figure.get_suptitle() == "true class → predicted class"
    assert [axes.get_title() for axes in figure.axes[:2]] == ["a → b", "a → c"]
    for name in ("p.png", "m.png"):
        assert pixels(tmp_path / name).std() > 5
    assert answers.mistakes(images, np.zeros(9, int), np.zeros(9, int), ("a",), tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()


def test_true_values_are_below_and_predicted_ones_at_the_side(tmp_path):
    true, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.5, 1.0, 7.0])
    (axes,) = answers.predictions(true, predicted, tmp_path / "p.png").axes
    np.testing.assert_array_equal(np.transpose(axes.lines[1].get_data()), np.stack([true, predicted], axis=1))
    np.testing.assert_array_equal(axes.lines[0].get_data(), [[1, 7], [1, 7]])


def test_large_values_are_ink_or_light(tmp_path):
    images = np.arange(8).reshape(2, 2, 2, 1)
    for ink, colours in ((True, "gray_r"), (False, "gray")):
        figure = answers.mistakes(images, np.zeros(2, int), np.ones(2, int), ("a", "b"), tmp_path / "m.png", ink=ink)
        shown = figure.axes[1].images[0]
        assert shown.get_cmap().name == colours
        np.testing.assert_allclose(shown.get_array(), images[1, ..., 0] / 7)

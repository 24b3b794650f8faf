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

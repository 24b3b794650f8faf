"""What is drawn of a convolution: its filters before and after training, its maps, the images mistaken most."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.lab.figures import images


@pytest.fixture(scope="module")
def trained():
    x, t = dp.datasets.load("digits").train
    model = dp.Model(
        [dp.Sequential([dp.Conv2d(4, 3), dp.ReLU()]), dp.Flatten(), dp.Dense(10)],
        dp.SoftmaxCrossEntropy(),
        normalizer=dp.ScaleImages(16),
    )
    model.fit((x[:300], t[:300]), epochs=3, verbose=False)
    return model, x[300:500], t[300:500]


def test_the_first_convolution_and_its_filters_before_training_are_found(trained, tmp_path):
    model, _, _ = trained
    path = images.first_convolution(model.net)
    assert path == "0_sequential/0_conv2d"
    assert images.first_convolution(dp.Sequential([dp.Flatten(), dp.Dense(2)])) is None
    decoder = [dp.Dense(16), dp.Reshape((4, 4, 1)), dp.Conv2d(2, 3)]
    assert images.first_convolution(dp.Sequential([dp.Sequential([dp.Flatten()]), dp.Sequential(decoder)])) is None
    net = dp.Sequential([dp.Sequential([dp.ReLU()]), dp.Conv2d(2, 3)])
    assert images.first_convolution(net) == "1_conv2d"
    before = images.initial_filters(model, path)
    twin = dp.Model(model.net, model.loss, in_shape=(8, 8, 1))
    np.testing.assert_array_equal(before, twin.variables.params["0_sequential"]["0_conv2d"]["W"])
    after = model.variables.params["0_sequential"]["0_conv2d"]["W"]
    assert not np.array_equal(before, after)
    figure = images.filters(before, after, tmp_path / "filters.png")
    shown = [part.axes[1].images[0].get_array() for part in figure.subfigs]
    np.testing.assert_allclose(shown, [np.asarray(W)[..., 0, 1] for W in (before, after)])
    assert (tmp_path / "filters.png").stat().st_size > 1000


def test_maps_are_shown_layer_by_layer(trained, tmp_path):
    model, x, _ = trained
    figure = images.feature_maps(model, x[0], tmp_path / "maps.png")
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["input\n8×8×1", "0_sequential/0_conv2d\n6×6×4", "0_sequential/1_relu\n6×6×4"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), x[0, ..., 0] / 16)


def test_the_most_wrong_come_first(trained):
    model, x, t = trained
    worst = images.most_wrong(model, x, t)
    outputs = model.predict(x)
    assert set(worst) == set(np.flatnonzero(outputs.argmax(-1) != t))
    probability = np.exp(outputs - outputs.max(-1, keepdims=True))
    probability /= probability.sum(-1, keepdims=True)
    of_truth = probability[worst, t[worst]]
    assert np.all(np.diff(of_truth) >= -1e-7)

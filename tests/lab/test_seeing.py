"""What a network sees: receptive fields against the Jacobian, pictures of filters, maps and mistakes."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import denpa as dp
from denpa.lab import figures_images, receptive_field

SHAPE = (12, 11, 1)


@settings(max_examples=8)
@given(
    st.integers(1, 3), st.integers(1, 2), st.sampled_from([0, 1, "same"]), st.integers(1, 2), st.integers(0, 3)
)  # fmt: skip
def test_a_unit_sees_the_pixels_that_its_delta_reaches(size, stride, padding, dilation, seed):
    net = dp.Sequential(
        [
            dp.Conv2d(1, (size, 3), stride, padding, dilation, kernel_init=dp.init.Constant(0.5)),
            dp.Identity(),
            dp.AveragePool2d(2, 1),
            dp.Conv2d(1, 2, kernel_init=dp.init.Constant(0.5)),
        ]
    )
    rng = np.random.default_rng(seed)
    out = net.out_shape(SHAPE)
    unit = int(rng.integers(out[0])), int(rng.integers(out[1]))
    with jax.disable_jit():
        params = net.init_params(jax.random.key(0), SHAPE)
        _, saved = net.forward(params, np.ones((1, *SHAPE), np.float32))
        dy = np.zeros((1, *out), np.float32)
        dy[0, *unit, 0] = 1
        dx, _ = net.backward(params, saved, dy)
    seen = np.argwhere(np.asarray(dx)[0, ..., 0])
    field = receptive_field(net, SHAPE, "3_conv2d", unit)
    for (first, last), size, low, high in zip(field[:2], field.size, seen.min(0), seen.max(0), strict=True):
        assert first <= low <= high <= last
        if last - first + 1 == size:  # else the border cuts, and with gaps between the pixels perhaps beyond them
            assert (first, last) == (low, high)


def test_sizes_and_steps_of_alexnets_first_layers():
    from denpa.lab.presets_convolution import alexnet_layers

    net = dp.Sequential(alexnet_layers(1000))
    fields = {name: receptive_field(net, (227, 227, 3), name, (5, 5)) for name, _ in net.inner()[:7]}
    convolutions = [name for name in fields if "conv2d" in name]
    assert [fields[name].size[0] for name in convolutions] == [11, 51]
    assert [fields[name].step[0] for name in convolutions] == [4, 8]


def test_what_has_no_receptive_field_is_refused():
    net = dp.Sequential([dp.Conv2d(2, 3), dp.Flatten(), dp.Dense(3)])
    with pytest.raises(dp.ConfigError, match="did you mean '0_conv2d'"):
        receptive_field(net, SHAPE, "0_conv")
    with pytest.raises(dp.ConfigError, match="no unit"):
        receptive_field(net, SHAPE, "0_conv2d", (10, 0))
    with pytest.raises(dp.ConfigError, match="whole image"):
        receptive_field(net, SHAPE, "2_dense")


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
    path = figures_images.first_convolution(model.net)
    assert path == "0_sequential/0_conv2d"
    assert figures_images.first_convolution(dp.Sequential([dp.Flatten(), dp.Dense(2)])) is None
    before = figures_images.initial_filters(model, path)
    twin = dp.Model(model.net, model.loss, in_shape=(8, 8, 1))
    np.testing.assert_array_equal(before, twin.variables.params["0_sequential"]["0_conv2d"]["W"])
    after = model.variables.params["0_sequential"]["0_conv2d"]["W"]
    assert not np.array_equal(before, after)
    figure = figures_images.filters(before, after, tmp_path / "filters.png")
    shown = [part.axes[1].images[0].get_array() for part in figure.subfigs]
    np.testing.assert_allclose(shown, [np.asarray(W)[..., 0, 1] for W in (before, after)])
    assert (tmp_path / "filters.png").stat().st_size > 1000


def test_maps_are_shown_layer_by_layer(trained, tmp_path):
    model, x, _ = trained
    figure = figures_images.feature_maps(model, x[0], tmp_path / "maps.png")
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["input\n8×8×1", "0_sequential/0_conv2d\n6×6×4", "0_sequential/1_relu\n6×6×4"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), x[0, ..., 0] / 16)


def test_the_most_wrong_come_first(trained):
    model, x, t = trained
    worst = figures_images.most_wrong(model, x, t)
    outputs = model.predict(x)
    assert set(worst) == set(np.flatnonzero(outputs.argmax(-1) != t))
    probability = np.exp(outputs - outputs.max(-1, keepdims=True))
    probability /= probability.sum(-1, keepdims=True)
    of_truth = probability[worst, t[worst]]
    assert np.all(np.diff(of_truth) >= -1e-7)

"""What a unit of a network sees: receptive fields against the Jacobian."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import denpa as dp
from denpa.lab import receptive_field

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
    assert list(zip(seen.min(0), seen.max(0), strict=True)) == [field.rows, field.columns]


def test_what_stands_behind_the_border_of_a_map_in_between_is_no_pixel():
    pooled = dp.Sequential([dp.MaxPool2d(3), dp.Conv2d(1, 3, padding=1)])  # 11 pixels: the last two are in no window
    assert receptive_field(pooled, (11, 11, 1), "1_conv2d", (2, 0)) == ((3, 8), (0, 5), (9, 9), (3, 3))
    dilated = dp.Sequential([dp.Conv2d(1, 2, padding=1, dilation=2)])  # looks at the rows -1 and 1, not at 0
    assert receptive_field(dilated, (8, 8, 1), "0_conv2d", (0, 3)).rows == (1, 1)


def test_a_unit_over_zeros_alone_sees_no_pixel():
    with pytest.raises(dp.ConfigError, match=r"unit \(0, 4\) of '0_conv2d' sees no pixel"):
        receptive_field(dp.Sequential([dp.Conv2d(1, 2, padding=3)]), (8, 8, 1), "0_conv2d", (0, 4))


def test_sizes_and_steps_of_alexnets_first_layers():
    from denpa.lab.presets.convolution import alexnet_layers

    net = dp.Sequential(alexnet_layers(1000))
    fields = {name: receptive_field(net, (227, 227, 3), name, (5, 5)) for name, _ in net.inner()[:7]}
    convolutions = [name for name in fields if "conv2d" in name]
    assert [fields[name].size[0] for name in convolutions] == [11, 51]
    assert [fields[name].step[0] for name in convolutions] == [4, 8]


def test_a_unit_behind_local_contrast_sees_a_window_around_it():
    net = dp.Sequential([dp.LocalContrastNorm(5), dp.Conv2d(1, 3)])
    field = receptive_field(net, SHAPE, "0_localcontrastnorm", (6, 1))
    assert field == ((4, 8), (0, 3), (5, 5), (1, 1))
    assert receptive_field(net, SHAPE, "1_conv2d", (4, 4)) == ((2, 8), (2, 8), (7, 7), (1, 1))


def test_what_has_no_receptive_field_is_refused():
    net = dp.Sequential([dp.Conv2d(2, 3), dp.Flatten(), dp.Dense(3)])
    with pytest.raises(dp.ConfigError, match="did you mean '0_conv2d'"):
        receptive_field(net, SHAPE, "0_conv")
    with pytest.raises(dp.ConfigError, match="no unit"):
        receptive_field(net, SHAPE, "0_conv2d", (10, 0))
    with pytest.raises(dp.ConfigError, match="whole image"):
        receptive_field(net, SHAPE, "2_dense")
    with pytest.raises(dp.ConfigError, match="is not known"):
        receptive_field(dp.Sequential([dp.Conv2d(2, 3, padding="circular")]), SHAPE, "0_conv2d")


@pytest.mark.parametrize("unit", [3, None, (0,), (0, 0, 0), (0.5, 0), (-1, 0), "ab"])
def test_a_unit_is_a_pair_of_places(unit):
    with pytest.raises(dp.ConfigError, match="unit"):
        receptive_field(dp.Sequential([dp.Conv2d(2, 3)]), SHAPE, "0_conv2d", unit)


def test_only_a_row_of_layers_has_receptive_fields():
    with pytest.raises(dp.ConfigError, match="wants a Sequential"):
        receptive_field(dp.Conv2d(2, 3), SHAPE, "0_conv2d")

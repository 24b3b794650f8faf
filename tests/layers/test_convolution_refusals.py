"""Options and images that convolution layers refuse."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import denpa as dp
from denpa.core.errors import ConfigError, ShapeError

# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("kind", [dp.Conv1d, dp.Conv2d, dp.ConvTranspose2d])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stride": 0}, "stride"),
        ({"stride": 1.5}, "stride"),
        ({"stride": None}, "stride"),
        ({"dilation": [1, 2, 3]}, "dilation"),
        ({"dilation": 0}, "dilation"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size"),
        ({"kernel_size": ()}, "kernel_size"),
        ({"kernel_size": "3"}, "kernel_size"),
        ({"filters": 0}, "filters"),
        ({"padding": -1}, "padding"),
        ({"padding": 2**31}, "padding"),
        ({"padding": "sane"}, "padding"),
        ({"padding": (1, 2, 3)}, "padding"),
        ({"padding": ((1, 2, 3), 0)}, "padding"),
        ({"padding": (((1, 1), 1), (1, 1))}, "padding must be"),
    ],
    ids=str,
)
def test_options_that_cannot_be(kind, options, named):
    with pytest.raises(ConfigError, match=named):
        kind(**{"filters": 4, "kernel_size": 3, **options})


@pytest.mark.parametrize("kind", [dp.Conv2d, dp.ConvTranspose2d])
def test_groups_that_do_not_divide(kind):
    with pytest.raises(ConfigError, match=r"4 filters .* 3 groups"):
        kind(4, 3, groups=3)
    with pytest.raises(ShapeError, match=r"4 channels .* 3 groups"):
        kind(6, 3, groups=3).init(jax.random.key(0), (8, 8, 4))


def test_output_padding_that_another_size_would_explain():
    with pytest.raises(ConfigError, match="output_padding"):
        dp.ConvTranspose2d(4, 3, stride=2, output_padding=2)
    with pytest.raises(ConfigError, match="output_padding must be an integer of at least 0, or a pair"):
        dp.ConvTranspose2d(4, 3, stride=2, output_padding=(1, 1, 1))
    with pytest.raises(ConfigError, match="no output_padding"):
        dp.ConvTranspose2d(4, 3, stride=2, padding="same", output_padding=1)
    assert dp.ConvTranspose2d(4, 3, dilation=2, output_padding=1).out_shape((4, 4, 1)) == (9, 9, 4)


@pytest.mark.parametrize(
    ("layer", "in_shape", "message"),
    [
        (dp.Conv2d(4, 5), (4, 9, 1), r"reaches over \(5, 5\), more than the padded input of \(4, 9\)"),
        (dp.Conv2d(4, 3, dilation=3, padding=1), (4, 9, 1), r"\(7, 7\).*\(6, 11\)"),
        (dp.Conv1d(4, 5), (4, 1), r"\(5,\).*\(4,\)"),
        (dp.Conv2d(4, 3), (28, 28), "height width channels"),
        (dp.Conv1d(4, 3), (28, 28, 1), "time channels"),
        (dp.ConvTranspose2d(4, 3, padding=4), (3, 3, 1), "less padding"),
        (dp.ConvTranspose2d(4, 2, padding=1), (1, 3, 1), r"\(0, 2\).*less padding"),
    ],
    ids=str,
)
def test_images_that_do_not_fit(layer, in_shape, message):
    for call in (layer.out_shape, lambda shape: layer.init(jax.random.key(0), shape)):
        with pytest.raises(ShapeError, match=message):
            call(in_shape)


def test_an_image_with_other_channels_is_refused():
    layer = dp.Conv2d(4, 3, groups=2)
    params = layer.init(jax.random.key(0), (8, 8, 4))
    with pytest.raises(ShapeError, match="channels=4"):
        layer.forward(params, jnp.ones((1, 8, 8, 6)))
    with pytest.raises(ShapeError, match="batch axis"):
        layer.forward(params, jnp.ones((8, 8, 4)))

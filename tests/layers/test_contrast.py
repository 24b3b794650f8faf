"""Normalisation of contrast in half precision: squares overflow in float16, and differences cancel in bfloat16."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.layers import LocalContrastNorm, LocalResponseNorm

# Brightness that rises by far more across the image than it differs from place to place.
RAMP = np.linspace(0, 255, 16)[:, None] * np.ones(16)
IMAGES = (RAMP + np.random.default_rng(0).normal(0, 4, (2, 16, 16)))[..., None]
CHANNELS = 255 * np.random.default_rng(1).uniform(size=(2, 4, 4, 6))
DY = np.random.default_rng(2).normal(size=IMAGES.shape)

LAYERS = [
    (LocalResponseNorm(), CHANNELS),
    (LocalContrastNorm(size=5), IMAGES),
    (LocalContrastNorm(size=5, mode="subtractive"), IMAGES),
]


def there_and_back(layer, x, dy):
    y, saved = layer.forward({}, x)
    return y, layer.backward({}, saved, dy)[0]


@pytest.mark.parametrize(("dtype", "digits"), [(jnp.bfloat16, 2**-7), (jnp.float16, 2**-10)])
@pytest.mark.parametrize(("layer", "x"), LAYERS)
def test_pixels_from_0_to_255_in_half_precision(layer, x, dtype, digits):
    half = jnp.asarray(x, dtype), jnp.asarray(np.resize(DY, x.shape), dtype)
    got = there_and_back(layer, *half)
    wanted = there_and_back(layer, *(a.astype(jnp.float32) for a in half))
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(np.asarray(a, np.float32), b, rtol=digits, atol=1e-6)  # rounded once, at the end


def local_contrast(image, i, j, reach, floor):
    """(x − x̄) / max(s, c) at one place, by the formula, with a uniform window."""
    window = image[max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
    return (image[i, j] - window.mean()) / max(window.std(), floor)


def test_a_faint_texture_far_from_the_mean_of_the_image():
    """16 bits a pixel, half of them dark: x̄² has lost every digit of s² = A x² − x̄² in float32."""
    image = np.zeros((12, 16))
    image[:, 8:] = 60_000 + np.random.default_rng(3).integers(-12, 13, (12, 8))
    layer = LocalContrastNorm(size=5, window="uniform")
    y, saved = layer.forward({}, jnp.asarray(image[None, ..., None], jnp.float32))
    wanted = [[local_contrast(image, i, j, 2, layer.floor) for j in range(16)] for i in range(12)]
    np.testing.assert_allclose(y[0, ..., 0], wanted, atol=5e-3)
    dy = np.random.default_rng(4).normal(size=(1, 12, 16, 1))
    dx, _ = layer.backward({}, saved, jnp.asarray(dy, jnp.float32))
    with jax.enable_x64(True):
        _, exact = there_and_back(layer, jnp.asarray(image[None, ..., None]), jnp.asarray(dy))
    np.testing.assert_allclose(dx, exact, atol=5e-3)

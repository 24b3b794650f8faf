"""Initialisers: moments and bounds against their formulas, fans, rotations, precision, refusals."""

from __future__ import annotations

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from denpa import init
from denpa.core.description import from_config, registered, to_config
from denpa.core.errors import ConfigError, ShapeError

SHAPE = (300, 200)
FAN_IN, FAN_OUT = SHAPE

# Each with the standard deviation that its formula promises for SHAPE.
SCALED = [
    (init.LeCun(), FAN_IN**-0.5),
    (init.LeCun("uniform"), FAN_IN**-0.5),
    (init.Glorot(), (2 / (FAN_IN + FAN_OUT)) ** 0.5),
    (init.Glorot("uniform"), (2 / (FAN_IN + FAN_OUT)) ** 0.5),
    (init.He(), (2 / FAN_IN) ** 0.5),
    (init.He("uniform"), (2 / FAN_IN) ** 0.5),
]
BOUNDS = [
    (init.LeCun("uniform"), (3 / FAN_IN) ** 0.5),
    (init.Glorot("uniform"), (6 / (FAN_IN + FAN_OUT)) ** 0.5),
    (init.He("uniform"), (6 / FAN_IN) ** 0.5),
]
ALL = [
    *(initializer for initializer, _ in SCALED),
    init.Normal(),
    init.Normal(0.3, mean=-1.0),
    init.Uniform(-0.2, 0.7),
    init.Constant(),
    init.Constant(-1.5),
    init.Orthogonal(),
    init.Orthogonal(2.0),
]


def check_moments(sample, mean, sd):
    """Mean and variance within 4.5 standard errors of what is promised: a right formula fails once in 10^5 keys.

    Over n independent values the mean has standard error sd/sqrt(n), the sample variance
    sd^2 sqrt((kurtosis - 1)/n), with kurtosis 3 for a normal distribution and less for a uniform one.
    """
    sample = np.asarray(sample, np.float64).ravel()
    assert abs(sample.mean() - mean) < 4.5 * sd / np.sqrt(sample.size)
    assert abs(sample.var() - sd**2) < 4.5 * sd**2 * np.sqrt(2 / sample.size)


@pytest.mark.parametrize(("initializer", "sd"), SCALED, ids=repr)
def test_variance_and_distribution(initializer, sd, key):
    w = initializer.sample(key, SHAPE)
    check_moments(w, 0.0, sd)
    law = stats.norm(0, sd) if initializer.distribution == "normal" else stats.uniform(-(3**0.5) * sd, 2 * 3**0.5 * sd)
    assert stats.kstest(np.ravel(w), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("initializer", "bound"), BOUNDS, ids=repr)
def test_uniform_forms_fill_their_interval(initializer, bound, key):
    """60000 values: the largest lies below the bound, and within 1/1000 of it."""
    w = np.abs(initializer.sample(key, SHAPE))
    assert 0.999 * bound < w.max() <= bound * (1 + 1e-6)


def test_plain_distributions(key):
    check_moments(init.Normal(0.3, mean=-1.0).sample(key, SHAPE), -1.0, 0.3)
    w = init.Uniform(-0.2, 0.7).sample(key, SHAPE)
    check_moments(w, 0.25, 0.9 / 12**0.5)
    assert -0.2 <= w.min() < -0.199
    assert 0.699 < w.max() <= 0.7
    np.testing.assert_array_equal(init.Constant(-1.5).sample(key, (3, 2)), np.full((3, 2), -1.5))
    assert not np.any(init.Constant().sample(key, 7))
    assert not np.any(init.Normal(0.0).sample(key, 7))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((7, 3), (7, 3)), ((5, 7, 3), (35, 15)), ((5, 4, 7, 3), (140, 60)), ([2, 9], (2, 9))],
)
def test_fans_of_dense_weights_and_kernels(shape, expected):
    """A kernel's unit sums kh kw in values, and each value goes to kh kw out units."""
    assert init.fans(shape) == expected


def test_a_kernel_is_scaled_by_its_fans(key):
    shape = (5, 3, 20, 100)
    check_moments(init.He().sample(key, shape), 0.0, (2 / 300) ** 0.5)
    check_moments(init.Glorot().sample(key, shape), 0.0, (2 / (300 + 1500)) ** 0.5)


@given(
    fan_in=st.integers(1, 10_000),
    fan_out=st.integers(1, 10_000),
    kind=st.sampled_from([init.LeCun, init.He, init.Glorot]),
)
def test_given_fans_rescale_the_same_draw(fan_in, fan_out, kind):
    key = jax.random.key(1)
    ratio = {
        init.LeCun: 6 / fan_in,
        init.He: 6 / fan_in,
        init.Glorot: 10 / (fan_in + fan_out),
    }[kind]
    w = kind().sample(key, (6, 4), fan_in=fan_in, fan_out=fan_out)
    np.testing.assert_allclose(w, np.sqrt(ratio) * kind().sample(key, (6, 4)), rtol=1e-5)


def test_xavier_means_two_things(key):
    """1/sqrt(fan_in) is LeCun; it is Glorot only where fan_in = fan_out."""
    square, oblong = (200, 200), SHAPE
    np.testing.assert_allclose(init.LeCun().sample(key, square), init.Glorot().sample(key, square), rtol=1e-6)
    lecun, glorot = init.LeCun().sample(key, oblong), init.Glorot().sample(key, oblong)
    np.testing.assert_allclose(glorot / lecun, np.full(oblong, (600 / 500) ** 0.5), rtol=1e-5)
    np.testing.assert_allclose(init.He().sample(key, oblong), 2**0.5 * lecun, rtol=1e-5)


def test_lecun_keeps_the_variance_of_what_it_sums(key):
    """Var(u) = fan_in sd^2 E[z^2]; with sd = 1 it grows as fan_in, with 1/sqrt(fan_in) it stays E[z^2]."""
    k1, k2 = jax.random.split(key)
    z = jax.random.uniform(k1, (2000, FAN_IN))  # E[z^2] = 1/3
    u = z @ init.LeCun().sample(k2, SHAPE)
    assert float(jnp.var(u)) == pytest.approx(1 / 3, rel=0.1)
    u = z @ init.Normal(1.0).sample(k2, SHAPE)
    assert float(jnp.var(u)) == pytest.approx(FAN_IN / 3, rel=0.1)


def test_he_keeps_the_size_of_values_through_relu_layers(key):
    """Ten ReLU layers: with He the mean square of u stays, with LeCun it halves at every layer."""

    def mean_square(initializer):
        z = jax.random.normal(key, (400, 200))
        for k in jax.random.split(key, 10):
            u = z @ initializer.sample(k, (200, 200))
            z = jnp.maximum(u, 0)
        return float(jnp.mean(u**2))

    assert 0.5 < mean_square(init.He()) / 2 < 2.0  # E[z^2] = 1 of the data counts twice: they pass no ReLU
    assert 0.5 < mean_square(init.LeCun()) * 2**9 < 2.0


@pytest.mark.parametrize("shape", [(6, 6), (6, 4), (4, 6), (3, 1, 2, 4)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_has_one_singular_value(shape, gain, key):
    w = init.Orthogonal(gain).sample(key, shape)
    assert w.shape == shape
    singular = np.linalg.svd(np.reshape(w, (-1, shape[-1])), compute_uv=False)
    np.testing.assert_allclose(singular, gain, rtol=1e-5)


def test_orthogonal_matrices_are_drawn_evenly():
    """Haar measure: both signs of the determinant, and each entry has mean 0 and variance 1/n."""
    n, draws = 3, 4000
    sample = jax.jit(jax.vmap(lambda key: init.Orthogonal().sample(key, (n, n))))
    q = np.asarray(sample(jax.random.split(jax.random.key(5), draws)))
    error = 4.5 / np.sqrt(draws)
    assert np.all(np.abs(q.mean(0)) < error * n**-0.5)
    assert np.all(np.abs((q**2).mean(0) - 1 / n) < error * np.sqrt(3 / (n * (n + 2)) - 1 / n**2))
    assert abs(np.mean(np.linalg.det(q))) < error


@pytest.mark.parametrize("initializer", ALL, ids=repr)
def test_shape_precision_and_reproducibility(initializer, key):
    w = initializer.sample(key, (6, 4))
    assert (w.shape, w.dtype) == ((6, 4), jnp.float32)
    np.testing.assert_array_equal(w, initializer.sample(key, [6, 4]))
    half = initializer.sample(key, (6, 4), dtype=jnp.bfloat16)
    np.testing.assert_array_equal(half, w.astype(jnp.bfloat16))  # drawn in float32, so its tails are there
    if not isinstance(initializer, init.Constant):
        assert np.any(initializer.sample(jax.random.key(9), (6, 4)) != w)
    with jax.enable_x64(True):
        for asked, made in ((None, jnp.float64), (jnp.float32, jnp.float32)):
            sample = functools.partial(initializer.sample, shape=(6, 4), dtype=asked)
            assert jax.eval_shape(sample, key).dtype == made


@pytest.mark.parametrize("initializer", ALL, ids=repr)
def test_survives_json_and_prints_as_code(initializer):
    again = from_config(json.loads(json.dumps(to_config(initializer))), init.Initializer)
    assert again == initializer
    assert eval(repr(initializer), {"init": init}) == initializer
    assert repr(initializer).startswith(f"init.{type(initializer).__name__}(")


def test_the_table_holds_every_initializer():
    assert {type(initializer).__name__ for initializer in ALL} == set(registered(init.Initializer)) & set(init.__all__)


def test_one_axis_has_no_fans(key):
    for kind in (init.LeCun, init.Glorot, init.He):
        with pytest.raises(ShapeError, match=r"Shape \(5,\) has no input and output axis .* pass fan_in="):
            kind().sample(key, (5,))
        assert kind().sample(key, 5, fan_in=4, fan_out=3).shape == (5,)
    with pytest.raises(ShapeError, match="pass fan_in="):
        init.Glorot().sample(key, (5,), fan_in=4)
    assert init.LeCun().sample(key, (5,), fan_in=4).shape == (5,)
    with pytest.raises(ShapeError, match="needs an input and an output axis"):
        init.Orthogonal().sample(key, (5,))
    for plain in (init.Normal(), init.Uniform(-1, 1), init.Constant(2.0)):
        assert plain.sample(key, (5,)).shape == (5,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: init.He("gaussian"), 'He.distribution must be "normal" or "uniform", not .gaussian.'),
        (lambda: init.LeCun("unifrom"), "LeCun.distribution must be"),
        (lambda: init.Normal(-0.1), "Normal.std must be 0 or more, not -0.1"),
        (lambda: init.Uniform(1.0, 1.0), "Uniform wants low < high"),
        (lambda: init.Constant("zero"), "Constant.value must be a number"),
        (lambda: init.Orthogonal(0.0), "Orthogonal.gain must be positive"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("fans", [{"fan_in": 0}, {"fan_in": -3}, {"fan_out": 0}])
def test_fans_are_positive(fans, key):
    with pytest.raises(ShapeError, match="needs positive fans"):
        init.Glorot().sample(key, (4, 5), **fans)

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core import tree
from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.data.normalise import MinMax, Normalizer, Pipeline, ScaleImages, Standardize
from denpa.data.statistics import _CHUNK

SCALES = np.array([1e-3, 1.0, 30.0, 4e4])


def columns(seed=0, n=200):
    """Components of very different sizes and centres, as float32 can hold them."""
    rng = np.random.default_rng(seed)
    return (rng.gamma(2.0, 1.0, (n, 4)) * SCALES + 10 * SCALES * rng.normal(size=4)).astype(np.float32)


@given(st.integers(0, 2**32), st.integers(2, 60))
def test_standardised_training_data_have_mean_0_and_biased_variance_1(seed, n):
    x = columns(seed, n)
    arrays = Standardize().fit(x)
    y = Standardize().apply(arrays, x).astype(np.float64)
    rounding = 2**-23 * (1 + np.abs(arrays["mean"]) / arrays["scale"])  # of a mean in float32, in units of the spread
    assert (np.abs(y.mean(axis=0)) <= rounding).all()
    np.testing.assert_allclose((y**2).mean(axis=0), 1, rtol=1e-5)
    x = x.astype(np.float64)
    np.testing.assert_allclose(arrays["mean"], x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(arrays["scale"], np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=0) / n), rtol=1e-6)
    assert all(array.dtype == np.float32 for array in arrays.values())


def test_the_statistics_of_training_are_used_for_every_other_example():
    arrays = Standardize().fit(np.array([[1.0], [5.0]]))
    np.testing.assert_allclose(Standardize().apply(arrays, np.array([[9.0], [3.0]])), [[3.0], [0.0]])


def test_truth_values_are_numbers_too():
    x = np.array([[True], [False], [False], [True]])
    y = Standardize().apply(Standardize().fit(x), x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [[1], [-1], [-1], [1]])


@pytest.mark.parametrize("value", [0.0, 0.1, -7e5, 1e-30])
def test_a_constant_component_gives_0_and_its_own_value_back(value):
    x = columns()
    x[:, 2] = value
    for normalizer, rest in [(Standardize(), 0.0), (Standardize(epsilon=1e-3), 0.0), (MinMax(-1, 3), -1.0)]:
        arrays = normalizer.fit(x)
        with np.errstate(all="raise"):
            y = normalizer.apply(arrays, x)
            back = normalizer.invert(arrays, y)
        assert (y[:, 2] == rest).all()
        assert (back[:, 2] == np.float32(value)).all()
        assert (normalizer.apply(arrays, x + 1)[:, 2] == rest).all()


def test_a_constant_whose_mean_is_rounded_is_still_constant():
    x = np.full((1000, 2), 0.1)
    arrays = Standardize().fit(x)
    assert arrays["scale"].tolist() == arrays["inverse_scale"].tolist() == [0, 0]


def test_epsilon_is_added_to_the_variance():
    arrays = Standardize(epsilon=5.0).fit(np.array([[1.0], [5.0]]))
    np.testing.assert_allclose(arrays["scale"], [3.0])


def test_minmax_fills_the_interval():
    x = columns()
    arrays = MinMax(-1, 3).fit(x)
    y = MinMax(-1, 3).apply(arrays, x)
    np.testing.assert_allclose(y.min(axis=0), -1, atol=1e-6)
    np.testing.assert_allclose(y.max(axis=0), 3, atol=1e-6)
    lowest, highest = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    np.testing.assert_allclose(y, -1 + 4 * (x - lowest) / (highest - lowest), atol=1e-5)
    assert MinMax().apply(MinMax().fit(x), 2 * x[:1] - x[1:2]).shape == (1, 4)


def test_images_are_divided_by_their_maximum():
    pixels = np.array([[0, 51, 255]], np.uint8)
    assert ScaleImages().apply({}, pixels).tolist() == np.array([[0, 0.2, 1]], np.float32).tolist()
    assert ScaleImages(16).apply({}, np.array([4, 16], np.uint8)).tolist() == [0.25, 1.0]
    assert ScaleImages(2).apply({}, np.array([True, False])).tolist() == [0.5, 0]
    assert ScaleImages().fit(pixels) == {}
    with pytest.raises(DataError, match=r"pixels from 0 to 16, but they go from 0 to 255"):
        ScaleImages(16).fit(pixels)
    with pytest.raises(DataError, match="from -1 to"):
        ScaleImages().fit(np.array([-1.0, 2.0]))


EVERY = [
    Standardize(),
    Standardize(per="channel"),
    MinMax(),
    MinMax(-1, 1, per="channel"),
    ScaleImages(200),
    Pipeline([ScaleImages(200), Standardize()]),
]


@pytest.mark.parametrize("normalizer", EVERY, ids=repr)
def test_numpy_and_jax_agree_and_the_inverse_leads_back(normalizer):
    x = np.random.default_rng(3).integers(0, 200, (20, 4, 5, 3)).astype(np.uint8)
    arrays = normalizer.fit(x)
    y = normalizer.apply(arrays, x)
    assert y.dtype == np.float32
    jitted = jax.jit(normalizer.apply)(arrays, jnp.asarray(x))
    assert jitted.dtype == jnp.float32
    np.testing.assert_allclose(jitted, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(normalizer.invert(arrays, y), x, atol=1e-3)
    np.testing.assert_allclose(jax.jit(normalizer.invert)(arrays, jitted), x, atol=1e-3)


@pytest.mark.parametrize("normalizer", EVERY, ids=repr)
def test_the_precision_of_x_is_kept(normalizer):
    x = np.random.default_rng(3).uniform(0, 200, (20, 4, 5, 3))
    arrays = normalizer.fit(x)
    assert normalizer.apply(arrays, x).dtype == np.float64
    half = normalizer.apply(arrays, jnp.asarray(x, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(half, np.float64), normalizer.apply(arrays, x), atol=0.05)
    with jax.enable_x64(True):
        double = normalizer.apply(arrays, jnp.asarray(x))
        assert double.dtype == jnp.float64
        np.testing.assert_allclose(double, normalizer.apply(arrays, x), rtol=1e-12)


def test_a_channel_has_one_mean_and_scale():
    x = np.random.default_rng(0).normal(size=(6, 4, 5, 3)) * [1, 2, 9] + [5, -3, 0]
    arrays = Standardize(per="channel").fit(x)
    flat = x.reshape(-1, 3)
    np.testing.assert_allclose(arrays["mean"], flat.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(arrays["scale"], flat.std(axis=0), rtol=1e-5)
    assert Standardize().fit(x)["mean"].shape == (4, 5, 3)
    assert Standardize(per="channel").apply(arrays, x[:2, :1]).shape == (2, 1, 5, 3)


@pytest.mark.parametrize("normalizer", [Standardize(per="channel"), MinMax(per="channel")], ids=repr)
def test_numbers_without_further_axes_are_one_channel(normalizer):
    x, of_columns = np.array([1.0, 2.0, 3.0, 6.0]), type(normalizer)()
    np.testing.assert_allclose(
        normalizer.apply(normalizer.fit(x), x), of_columns.apply(of_columns.fit(x), x), rtol=1e-6
    )


def test_data_larger_than_a_chunk_give_the_same_statistics():
    x = np.random.default_rng(0).integers(0, 255, (9, _CHUNK // 4)).astype(np.uint8)
    arrays = Standardize().fit(x)
    np.testing.assert_allclose(arrays["mean"], x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(arrays["scale"], x.std(axis=0), rtol=1e-5)


def test_examples_larger_than_a_chunk_are_read_one_by_one(monkeypatch):
    monkeypatch.setattr("denpa.data.statistics._CHUNK", 3)
    x = columns(n=7)
    np.testing.assert_allclose(Standardize().fit(x)["mean"], x.astype(np.float64).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(Standardize().fit(x)["scale"], x.astype(np.float64).std(axis=0), rtol=1e-5)


def test_a_pipeline_fits_each_step_to_what_comes_out_before():
    x = columns()
    pipeline = Pipeline([MinMax(0, 2), Standardize()])
    arrays = pipeline.fit(x)
    assert list(arrays) == ["0_minmax", "1_standardize"]
    middle = MinMax(0, 2).apply(arrays["0_minmax"], x)
    np.testing.assert_allclose(arrays["1_standardize"]["mean"], middle.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(pipeline.apply(arrays, x).std(axis=0), 1, rtol=1e-4)


def test_a_pipeline_learns_where_one_of_its_steps_does():
    assert Pipeline([ScaleImages(), Standardize()]).learns
    assert Pipeline([Standardize(), ScaleImages()]).learns
    assert not Pipeline([ScaleImages(16), ScaleImages()]).learns


def test_arrays_stored_by_path_and_read_back_serve():
    x = np.random.default_rng(3).integers(0, 200, (20, 3)).astype(np.uint8)
    pipeline = Pipeline([ScaleImages(), Standardize()])
    arrays = pipeline.fit(x)
    stored = tree.flatten(arrays)
    assert sorted(stored) == ["1_standardize/inverse_scale", "1_standardize/mean", "1_standardize/scale"]
    back = {"1_standardize": {path.split("/")[1]: array for path, array in stored.items()}}
    np.testing.assert_array_equal(pipeline.apply(back, x), pipeline.apply(arrays, x))


@pytest.mark.parametrize("normalizer", EVERY, ids=repr)
def test_descriptions_survive_json(normalizer):
    config = json.loads(json.dumps(to_config(normalizer)))
    assert from_config(config, Normalizer) == normalizer
    assert eval(repr(normalizer)) == normalizer


def test_other_shapes_than_those_of_the_fit_are_refused():
    arrays = Standardize().fit(columns())
    with pytest.raises(ShapeError, match=r"Standardize\(\) wants shape \(n 4\) but got \(7, 3\)"):
        Standardize().apply(arrays, np.zeros((7, 3)))
    arrays = MinMax(per="channel").fit(columns())
    with pytest.raises(ShapeError, match="c=4"):
        MinMax(per="channel").apply(arrays, np.zeros((7, 3)))


def test_bad_training_examples_are_refused():
    x = columns()
    x[3, 1] = np.nan
    for normalizer in EVERY:
        with pytest.raises(DataError, match="NaN at row 3, column 1 in the training examples"):
            normalizer.fit(x)
    with pytest.raises(DataError, match="no examples"):
        Standardize().fit(np.zeros((0, 4)))
    with pytest.raises(DataError, match=r"mean of component 1 is 1e[+]60, beyond the range of float32"):
        Standardize().fit(np.array([[1.0, 1e60], [2.0, 1e60]]))
    with pytest.raises(DataError, match="inverse_scale of component 0 is"):
        Standardize().fit(np.array([[0.0], [1e-50]]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Standardize(epsilon=-1),
        lambda: Standardize(per="row"),
        lambda: MinMax(2, 2),
        lambda: MinMax(per="pixel"),
        lambda: ScaleImages(0),
        lambda: Pipeline([]),
        lambda: Pipeline(["standardize"]),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def steps_of_descent(x, t):
    """How many steps gradient descent on the mean squared error of t = x w + b takes, at its best rate."""
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    curvature = np.linalg.eigvalsh(design.T @ design / len(x))
    rate, w = 2 / (curvature[0] + curvature[-1]), np.zeros(design.shape[1])
    best = np.linalg.lstsq(design, t, rcond=None)[0]
    lowest = np.mean((design @ best - t) ** 2)
    for step in range(2000):
        if np.mean((design @ w - t) ** 2) - lowest < 1e-6:
            return step
        w -= rate * design.T @ (design @ w - t) / len(x)
    return 2000


def test_descent_on_standardised_data_takes_far_fewer_steps():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) * [0.1, 1.0, 20.0] + [0.0, 5.0, 60.0]
    t = x @ [10.0, 1.0, 0.05] + 0.1 * rng.normal(size=200)
    standard = Standardize().apply(Standardize().fit(x), x)
    assert steps_of_descent(standard, t) < 30
    assert steps_of_descent(x, t) == 2000

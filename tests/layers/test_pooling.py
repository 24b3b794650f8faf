"""Pooling, unpooling and local normalisation: worked numbers, ONNX, limits, borders, what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import denpa as dp
from denpa.kernels.pooling import max_pool, spread, sum_pool, take_from
from denpa.kernels.unfolding import NO_PADDING
from denpa.testing import check_layer

Z = np.array([[5, 1, 0, 1], [1, 6, 1, 7], [4, 1, 6, 3], [1, 8, 0, 1]], float)
RNG = np.random.default_rng(2)
IMAGES = RNG.standard_normal((2, 7, 6, 3))


def apply(layer, *inputs):
    """The output for one image, or for images (batch, height, width, channels), in float64."""
    with jax.enable_x64(True):
        arrays = [jnp.asarray(x if x.ndim == 4 else x[None, :, :, None]) for x in map(np.asarray, inputs)]
        y, _ = layer.forward({}, arrays[0] if len(arrays) == 1 else tuple(arrays))
    return np.asarray(y) if np.ndim(inputs[0]) == 4 else np.asarray(y)[0, ..., 0]


def delta(layer, x, dy):
    with jax.enable_x64(True):
        _, saved = layer.forward({}, jnp.asarray(x)[None, :, :, None])
        dx, _ = layer.backward({}, saved, jnp.asarray(dy)[None, :, :, None])
    return np.asarray(dx)[0, ..., 0]


# --------------------------------------------------------------------------------------- worked numbers


def test_worked_examples():
    np.testing.assert_array_equal(apply(dp.MaxPool2d(2), Z), [[6, 7], [8, 6]])
    np.testing.assert_array_equal(apply(dp.AveragePool2d(2), Z), [[3.25, 2.25], [3.5, 2.5]])
    np.testing.assert_allclose(apply(dp.LpPool2d(2), Z), [[3.9686, 3.5707], [4.5277, 3.3912]], atol=5e-5)
    np.testing.assert_allclose(apply(dp.LpPool2d(100), Z), [[5.917, 6.904], [7.890, 5.917]], atol=5e-4)


def test_the_delta_goes_to_the_place_of_the_maximum():
    expected = [[0, 0, 0, 0], [0, 1, 0, 2], [0, 0, 4, 0], [0, 3, 0, 0]]
    np.testing.assert_array_equal(delta(dp.MaxPool2d(2), Z, np.array([[1.0, 2], [3, 4]])), expected)


def test_of_equal_maxima_the_first_in_reading_order_gets_the_delta():
    for pool in (dp.MaxPool2d(2), dp.MaxPool2d(2, 1)):
        dx = delta(pool, np.full((2, 2), 3.0), np.array([[1.0]]))
        np.testing.assert_array_equal(dx, [[1, 0], [0, 0]])


@pytest.mark.parametrize(("size", "kind"), [((16, 16), np.uint8), ((17, 16), np.int32)])
def test_the_last_place_of_a_large_window_has_a_number_too(size, kind):
    x = jnp.arange(float(np.prod(size))).reshape(1, *size, 1)
    y, place = max_pool(x, size, size, NO_PADDING)
    assert place.dtype == kind
    assert int(place[0, 0, 0, 0]) == float(y[0, 0, 0, 0]) == np.prod(size) - 1
    dx = spread(jnp.ones(y.shape), x.shape, size, size, NO_PADDING, place)
    np.testing.assert_array_equal(dx, np.asarray(x) == np.prod(size) - 1)


@pytest.mark.parametrize("size", [(2, 2), (3, 2)])
@pytest.mark.parametrize("stride", [(2, 2), (3, 2), (1, 2)])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 0), (1, 1)), ((0, 1), (0, 0))])
def test_spreading_is_the_adjoint_of_pooling(size, stride, padding):
    """Σ pool(x) · dy = Σ x · spread(dy), of sums and of the entries at given places; side by side, too."""
    with jax.enable_x64(True):
        x = jnp.asarray(IMAGES)
        _, place = max_pool(x, size, stride, padding)
        dy = jnp.asarray(np.random.default_rng(3).normal(size=place.shape))
        for pooled, places in (
            (sum_pool(x, size, stride, padding), None),
            (take_from(x, place, size, stride, padding), place),
        ):
            dx = spread(dy, x.shape, size, stride, padding, places)
            assert dx.shape == x.shape
            np.testing.assert_allclose(jnp.sum(dx * x), jnp.sum(dy * pooled), rtol=1e-12)


def test_the_deltas_of_overlapping_windows_are_added():
    x = np.array([[0.0, 0, 0], [0, 9, 0], [0, 0, 0]])
    assert delta(dp.MaxPool2d(2, 1), x, np.array([[1.0, 2], [3, 4]]))[1, 1] == 10


def test_of_several_nan_the_first_in_reading_order_is_named():
    x = jnp.asarray([[3.0, np.nan], [np.nan, 5.0]], jnp.float32)[None, :, :, None]
    y, place = max_pool(x, (2, 2), (2, 2), NO_PADDING)
    assert np.isnan(y[0, 0, 0, 0])
    assert int(place[0, 0, 0, 0]) == 1


def test_nan_does_not_go_unnoticed():
    x = Z.copy()
    x[1, 1] = np.nan
    for layer in (dp.MaxPool2d(2), dp.AveragePool2d(2), dp.LpPool2d(2)):
        np.testing.assert_array_equal(np.isnan(apply(layer, x)), [[True, False], [False, False]])


# --------------------------------------------------------------------------------------- the ONNX standard


def onnx_op(op, *inputs, outputs=1, kinds=None, **attributes):
    """One operator of ONNX by its reference implementation, channels behind; in float64."""
    labels = [f"i{k}" for k in range(len(inputs))]
    fronted = [np.moveaxis(a, -1, 1).copy() if a.ndim == 4 else a for a in inputs]
    kinds = kinds or [TensorProto.DOUBLE] * len(inputs)
    graph = helper.make_graph(
        [helper.make_node(op, labels, [f"y{k}" for k in range(outputs)], **attributes)],
        op,
        [helper.make_tensor_value_info(n, k, a.shape) for n, k, a in zip(labels, kinds, fronted, strict=True)],
        [helper.make_tensor_value_info(f"y{k}", TensorProto.DOUBLE, None) for k in range(outputs)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return ReferenceEvaluator(model).run(None, dict(zip(labels, fronted, strict=True)))


def onnx_image(op, *inputs, **attributes):
    return np.moveaxis(onnx_op(op, *inputs, **attributes)[0], 1, -1)


ASYMMETRIC = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}  # top, left, bottom, right
WINDOWS = {"pool_size": (3, 2), "stride": (2, 1), "padding": ((1, 0), (0, 1))}


def test_max_and_average_agree_with_the_onnx_standard():
    np.testing.assert_array_equal(apply(dp.MaxPool2d(**WINDOWS), IMAGES), onnx_image("MaxPool", IMAGES, **ASYMMETRIC))
    for counted in (True, False):
        ours = apply(dp.AveragePool2d(**WINDOWS, count_padding=counted), IMAGES)
        theirs = onnx_image("AveragePool", IMAGES, **ASYMMETRIC, count_include_pad=int(counted))
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pooling_is_that_of_onnx_but_for_the_number_of_entries(p):
    ours = apply(dp.LpPool2d(p, **WINDOWS), IMAGES)
    theirs = onnx_image("LpPool", IMAGES, **ASYMMETRIC, p=p)
    np.testing.assert_allclose(ours, theirs / 6 ** (1 / p), rtol=1e-6)


def test_local_response_norm_agrees_with_the_onnx_standard():
    images = IMAGES[..., :2]  # the reference forgets channels beyond the number of samples
    ours = apply(dp.LocalResponseNorm(3, alpha=0.25, beta=0.5, k=1.5), images)
    theirs = onnx_image("LRN", images, size=3, alpha=0.75, beta=0.5, bias=1.5)  # ONNX divides alpha by the size
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_max_unpooling_agrees_with_the_onnx_standard():
    image = IMAGES[:, :6]
    pooled, places = onnx_op("MaxPool", image, outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    back = onnx_op(
        "MaxUnpool",
        np.moveaxis(pooled, 1, -1),
        np.moveaxis(places, 1, -1),
        kinds=[TensorProto.DOUBLE, TensorProto.INT64],
        kernel_shape=[2, 2],
        strides=[2, 2],
    )[0]
    ours = apply(dp.MaxUnpool2d(2), apply(dp.MaxPool2d(2), image), image)
    np.testing.assert_array_equal(ours, np.moveaxis(back, 1, -1))


# --------------------------------------------------------------------------------------- what the formulas promise


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["valid", "same", 0, 1]),
)
def test_every_window_is_pooled(size, stride, padding):
    if padding == 1 and min(size) == 1:
        padding = 0
    layer = dp.MaxPool2d(size, stride, padding)
    (top, bottom), (left, right) = layer.how(IMAGES.shape[1:])[2]
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    low, zeros = np.pad(IMAGES, sides, constant_values=-np.inf), np.pad(IMAGES, sides)
    rows, columns = ((low.shape[a] - size[a - 1]) // stride[a - 1] + 1 for a in (1, 2))
    assert layer.out_shape(IMAGES.shape[1:]) == (rows, columns, 3)
    expected = np.zeros((3, 2, rows, columns, 3))
    for h in range(rows):
        for w in range(columns):
            at = np.s_[:, h * stride[0] : h * stride[0] + size[0], w * stride[1] : w * stride[1] + size[1]]
            expected[0][:, h, w] = low[at].max(axis=(1, 2))
            expected[1][:, h, w] = zeros[at].mean(axis=(1, 2))
            expected[2][:, h, w] = (np.abs(zeros[at]) ** 3).mean(axis=(1, 2)) ** (1 / 3)
    kinds = dp.MaxPool2d, dp.AveragePool2d, lambda *how: dp.LpPool2d(3, *how)
    with jax.disable_jit():
        for kind, wanted in zip(kinds, expected, strict=True):
            np.testing.assert_allclose(apply(kind(size, stride, padding), IMAGES), wanted, rtol=1e-12, atol=1e-15)


def test_lp_pooling_lies_between_the_average_and_the_maximum():
    size = np.abs(IMAGES)
    average, largest = apply(dp.AveragePool2d(2), size), apply(dp.MaxPool2d(2), size)
    np.testing.assert_allclose(apply(dp.LpPool2d(1), IMAGES), average, rtol=1e-12)
    before = average
    for p in (1.5, 2.0, 4.0, 30.0, 1e3, 1e6):
        after = apply(dp.LpPool2d(p), IMAGES)
        assert np.all(after >= before * (1 - 1e-12))
        assert np.all(after <= largest)
        before = after
    np.testing.assert_allclose(before, largest, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_large_exponent_neither_overflows_nor_loses_the_small(scale):
    x = jnp.asarray(scale * Z[None, :, :, None], jnp.float32)
    layer = dp.LpPool2d(100)
    y, saved = layer.forward({}, x)
    dx, _ = layer.backward({}, saved, jnp.ones_like(y))
    np.testing.assert_allclose(y[0, ..., 0] / scale, apply(layer, Z), rtol=1e-5)
    np.testing.assert_allclose(dx[0, ..., 0], delta(layer, Z, np.ones((2, 2))), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("p", [1e4, 1e6, 1e8])
def test_the_largest_exponents_do_not_magnify_rounding(p):
    """With the only maximum of a window of n at I,  y = m n^(−1/p)  and  ∂y/∂x_I = n^(−1/p)."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0.1, 0.5, (1, 8, 8, 2)).astype(np.float32)
    x[:, ::2, 1::2] = rng.uniform(1, 9, (1, 4, 4, 2))
    layer = dp.LpPool2d(p)
    y, saved = layer.forward({}, jnp.asarray(x))
    dx, _ = layer.backward({}, saved, jnp.ones_like(y))
    np.testing.assert_allclose(dx[:, ::2, 1::2], 4 ** (-1 / p), rtol=1e-5)
    assert np.count_nonzero(dx) == y.size


def test_a_window_of_zeros_hands_no_delta_down():
    for p in (1, 2, 7.5):
        np.testing.assert_array_equal(delta(dp.LpPool2d(p), np.zeros((2, 2)), np.ones((1, 1))), np.zeros((2, 2)))


@pytest.mark.parametrize("layer", [dp.LpPool2d(), dp.LpPool2d(1), dp.LpPool2d(3.5, 3, 2, 1)], ids=str)
def test_windows_of_zeros_keep_the_laws_too(layer):
    """Automatic differentiation has a number there as well, the same one."""
    assert "autodiff, training" in check_layer(layer, (6, 6, 2), inputs=half_of_zeros)


def half_of_zeros(rng, shape):
    """Images whose left half is black; of the first nothing is to be seen at all."""
    x = rng.standard_normal(shape)
    x[:, :, : shape[2] // 2] = 0
    x[0] = 0
    return x


def test_a_network_that_pools_rectified_maps_passes_the_gradient_check():
    net = dp.Sequential([dp.Conv2d(3, 3), dp.ReLU(), dp.LpPool2d(2), dp.Flatten(), dp.Dense(2)])
    variables = net.init(jax.random.key(1), (8, 8, 1))
    x, t = RNG.standard_normal((4, 8, 8, 1)), RNG.standard_normal((4, 2))
    zeros = dp.trace(net, dp.MeanSquaredError(), variables, x, t)["2_lppool2d"].y == 0
    assert zeros.any()
    assert not zeros.all()
    report = dp.testing.check_gradients(net, dp.MeanSquaredError(), variables, x, t)
    assert max(report.autodiff.values()) < 1e-12


def test_pooling_alone_forgets_the_place_that_the_switches_remember():
    pooled = apply(dp.MaxPool2d(2), Z)
    np.testing.assert_array_equal(
        apply(dp.MaxUnpool2d(2), pooled, Z), [[0, 0, 0, 0], [0, 6, 0, 7], [0, 0, 6, 0], [0, 8, 0, 0]]
    )
    np.testing.assert_array_equal(apply(dp.Unpool2d(2), pooled), np.kron(pooled, np.ones((2, 2))))
    np.testing.assert_array_equal(apply(dp.Unpool2d(2, "top_left"), pooled), np.kron(pooled, [[1, 0], [0, 0]]))


def test_unpooling_in_a_graph_gets_the_places_from_the_image_that_was_pooled():
    x = dp.Input()
    h = dp.Conv2d(2, 3, padding=1)(x)
    net = dp.Graph(x, dp.MaxUnpool2d(2)(dp.MaxPool2d(2)(h), h))
    variables = net.init(jax.random.key(0), (5, 4, 1))
    x, t = RNG.standard_normal((2, 5, 4, 1)), RNG.standard_normal((2, 5, 4, 2))
    dp.testing.check_gradients(net, dp.MeanSquaredError(), variables, x, t)


def test_global_average_of_every_channel():
    y, _ = dp.GlobalAveragePool2d().forward({}, jnp.asarray(IMAGES, jnp.float32))
    np.testing.assert_allclose(y, IMAGES.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_local_response_norm_looks_at_the_channels_that_there_are():
    x = np.array([[[[3.0, 4.0, 5.0, 6.0]]]])
    y = apply(dp.LocalResponseNorm(3, alpha=1.0, beta=1.0, k=1.0), x)
    np.testing.assert_allclose(y[0, 0, 0], [3 / 26, 4 / 51, 5 / 78, 6 / 62], rtol=1e-12)


def local_contrast(x, size, mode, window, floor):
    """One image by loops: the window's part inside the image, its weights scaled to sum 1."""
    reach, out = size // 2, np.zeros_like(x)
    offsets = np.arange(-reach, reach + 1)
    row = np.exp(-0.5 * (4 * offsets / size) ** 2) if window == "gaussian" else np.ones(size)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            places = [(p, q) for p in offsets for q in offsets if 0 <= i + p < x.shape[0] and 0 <= j + q < x.shape[1]]
            w = np.array([row[p + reach] * row[q + reach] for p, q in places])
            values, w = np.array([x[i + p, j + q] for p, q in places]), w / w.sum()
            mean = (w * values).sum()
            deviation = np.sqrt((w * (values - mean) ** 2).sum())
            out[i, j] = (x[i, j] - mean) / (max(deviation, floor) if mode == "divisive" else 1)
    return out


@pytest.mark.parametrize("mode", ["subtractive", "divisive"])
@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_local_contrast_is_the_published_formula(mode, window):
    x = IMAGES[0, :, :, 0]
    for size, floor in ((3, 0.01), (5, 0.9)):
        expected = local_contrast(x, size, mode, window, floor)
        np.testing.assert_allclose(apply(dp.LocalContrastNorm(size, mode, window, floor), x), expected, atol=1e-12)


@pytest.mark.parametrize("mode", ["subtractive", "divisive"])
def test_a_uniform_image_has_no_contrast_and_brightness_does_not_count(mode):
    layer = dp.LocalContrastNorm(5, mode)
    assert not np.any(np.abs(apply(layer, np.full((6, 7), 3.5))) > 1e-10)
    np.testing.assert_allclose(apply(layer, IMAGES + 100.0), apply(layer, IMAGES), atol=1e-9)
    x = jnp.asarray(RNG.integers(0, 64, (1, 8, 8, 1)) / 64, jnp.float32)  # sums with 4096 are exact
    np.testing.assert_allclose(layer.forward({}, x + 4096)[0], layer.forward({}, x)[0], atol=1e-3)


def test_flat_places_of_an_image_give_no_nan():
    x = np.zeros((8, 24, 24, 1), np.float32)
    x[:, :, :12] = np.random.default_rng(0).uniform(0, 9, (8, 1, 1, 1))
    y, saved = dp.LocalContrastNorm(5).forward({}, jnp.asarray(x))
    assert jnp.isfinite(y).all()
    assert jnp.isfinite(saved["deviation"]).all()


@pytest.mark.parametrize("layer", [dp.LocalContrastNorm(3), dp.LocalContrastNorm(3, floor=0.8)], ids=str)
@pytest.mark.parametrize("ground", [0.0, 3.5])
def test_flat_ground_keeps_the_laws_too(layer, ground):
    """Automatic differentiation has a number there as well, the same one."""
    in_shape = (6, 6, 2)
    assert "autodiff, training" in check_layer(layer, in_shape, inputs=lambda *to: half_of_zeros(*to) + ground)


# --------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dp.MaxPool2d(0), "pool_size must be an integer of at least 1"),
        (lambda: dp.MaxPool2d(2, 0), "stride must be an integer of at least 1"),
        (lambda: dp.AveragePool2d((2, 2, 2)), "pool_size must be an integer of at least 1, or a pair"),
        (lambda: dp.MaxPool2d(3, padding=2), "half of the window"),
        (lambda: dp.MaxPool2d(3, padding="full"), 'must be "same", "valid", an integer'),
        (lambda: dp.MaxPool2d(3, padding=(((1, 1), 1), (1, 1))), 'must be "same", "valid", an integer'),
        (lambda: dp.AveragePool2d(3, padding="circular"), 'must be "same", "valid", an integer'),
        (lambda: dp.LpPool2d(0.5), "at least 1"),
        (lambda: dp.LpPool2d(float("inf")), "MaxPool2d|finite"),
        (lambda: dp.Unpool2d(0), "size must be an integer of at least 1"),
        (lambda: dp.Unpool2d((1, 2, 3)), "size must be an integer of at least 1, or a pair"),
        (lambda: dp.Unpool2d(2, "bilinear"), "nearest"),
        (lambda: dp.LocalResponseNorm(0), "size must be positive"),
        (lambda: dp.LocalResponseNorm(k=0.0, alpha=0.0), "k or alpha above 0"),
        (lambda: dp.LocalResponseNorm(alpha=-1e-4), "alpha must be 0 or more"),
        (lambda: dp.LocalContrastNorm(4), "must be odd"),
        (lambda: dp.LocalContrastNorm(3, "both"), "subtractive"),
        (lambda: dp.LocalContrastNorm(3, floor=0.0), "positive"),
    ],
)
def test_options_that_cannot_be(make, message):
    with pytest.raises(dp.ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "in_shape", "message"),
    [
        (dp.MaxPool2d(4), (3, 9, 1), "take smaller ones"),
        (dp.MaxPool2d(), (8, 8), "height width channels"),
        (dp.GlobalAveragePool2d(), (8,), "height width channels"),
        (dp.MaxUnpool2d(), (4, 4, 1), r"wants \(values, image\)"),
        (dp.MaxUnpool2d(), ((2, 2, 1), (6, 6, 1)), r"wants values \(3, 3, 1\)"),
    ],
)
def test_images_that_do_not_fit(layer, in_shape, message):
    with pytest.raises(dp.ShapeError, match=message):
        layer.out_shape(in_shape)

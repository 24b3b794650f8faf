"""Convolution layers: worked numbers, PyTorch and ONNX, and what sharing one kernel among all places means."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

import denpa as dp
from denpa.init import Initializer

Z = np.array([[5, 1, 0, 1, 9], [1, 6, 1, 7, 0], [4, 1, 6, 3, 5], [1, 8, 0, 1, 0], [2, 2, 8, 0, 4]], float)
ONE_TO_NINE = np.arange(1.0, 10).reshape(3, 3)
CROSS = np.array([[2, 0, -2], [0, 2, 0], [-2, 0, 2]], float)


def conv(image, kernel, layer=None, **options):
    """One image and one kernel through a Conv2d without bias."""
    layer = layer or dp.Conv2d(1, kernel.shape, use_bias=False, **options)
    y, _ = layer.forward({"W": jnp.asarray(kernel)[:, :, None, None]}, jnp.asarray(image)[None, :, :, None])
    return np.asarray(y)[0, :, :, 0]


def drawn(layer, in_shape, batch=2):
    """Random parameters and inputs, of JAX's default precision."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda key: layer.init(key, in_shape), jax.random.key(0))
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), a.dtype), shapes)
    return params, jnp.asarray(rng.normal(size=(batch, *in_shape)), params["W"].dtype)


# --------------------------------------------------------------------------------------- worked numbers


def test_worked_example():
    np.testing.assert_array_equal(conv(Z, CROSS), [[26, 6, -6], [0, -4, 8], [24, -8, -4]])


def test_the_kernel_is_turned_only_for_the_true_convolution():
    correlation = [[137, 157, 179], [144, 146, 92], [170, 138, 124]]
    convolution = [[113, 103, 141], [136, 184, 138], [150, 152, 146]]
    np.testing.assert_array_equal(conv(Z, ONE_TO_NINE), correlation)
    np.testing.assert_array_equal(conv(Z, ONE_TO_NINE, true_convolution=True), convolution)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"padding": 2, "dilation": 2}])
def test_stride_takes_every_second_entry(options):
    np.testing.assert_array_equal(conv(Z, CROSS, stride=2), [[26, -6], [24, -4]])
    np.testing.assert_array_equal(conv(Z, CROSS, stride=(2, 3), **options), conv(Z, CROSS, **options)[::2, ::3])


def test_one_axis():
    x, W = jnp.arange(1.0, 6)[None, :, None], jnp.array([1.0, 10, 100])[:, None, None]

    def run(**options):
        return dp.Conv1d(1, 3, padding=1, use_bias=False, **options).forward({"W": W}, x)[0][0, :, 0].tolist()

    assert run(true_convolution=True) == [12, 123, 234, 345, 450]
    assert run(true_convolution=True, stride=2) == [12, 234, 450]
    assert run() == [210, 321, 432, 543, 54]
    signal = np.random.default_rng(0).normal(size=7)
    W = jnp.asarray([0.5, -1.0, 2.0])
    smooth, _ = dp.Conv1d(1, 3, padding="same", use_bias=False, true_convolution=True).forward(
        {"W": W[:, None, None]}, jnp.asarray(signal, jnp.float32)[None, :, None]
    )
    np.testing.assert_allclose(smooth[0, :, 0], np.convolve(signal, W, mode="same"), atol=1e-6)


def test_transposed_adds_where_kernels_overlap():
    expected = [[1, 1, 3, 2, 2], [1, 1, 3, 2, 2], [4, 4, 10, 6, 6], [3, 3, 7, 4, 4], [3, 3, 7, 4, 4]]
    layer = dp.ConvTranspose2d(1, 3, stride=2, use_bias=False)
    np.testing.assert_array_equal(conv(np.array([[1.0, 2], [3, 4]]), np.ones((3, 3)), layer), expected)


@pytest.mark.parametrize(
    ("size", "kernel", "options", "out"),
    [
        (5, 3, {}, 3),  # W - H + 1
        (5, 3, {"stride": 2, "padding": 1}, 3),
        (9, 4, {"padding": 3}, 12),  # 16 - H
        (6, 3, {"stride": 2}, 2),  # what is left over at the end is not seen
        (7, 3, {"dilation": 3}, 1),
        (7, 3, {"padding": "same", "stride": 2}, 4),
        (8, 3, {"padding": "same", "stride": 3}, 3),
        (4, 2, {"padding": "same"}, 4),
        (5, 3, {"padding": "valid"}, 3),
    ],
)
def test_output_sizes(size, kernel, options, out):
    assert dp.Conv1d(2, kernel, **options).out_shape((size, 1)) == (out, 2)
    assert dp.Conv2d(2, kernel, **options).out_shape((size, size, 1)) == (out, out, 2)
    options = {name: value for name, value in options.items() if name != "dilation"}
    if isinstance(options.get("padding", 0), int) and "dilation" not in options:
        stride, padding = options.get("stride", 1), options.get("padding", 0)
        up = dp.ConvTranspose2d(2, kernel, **options).out_shape((size, size, 1))
        assert up == (stride * (size - 1) + kernel - 2 * padding,) * 2 + (2,)


def test_same_padding_puts_the_odd_zero_at_the_end():
    """As TensorFlow and Keras have it; PyTorch allows "same" for stride 1 only."""
    x = jnp.arange(1.0, 5)[None, :, None]
    sums = dp.Conv1d(1, 2, padding="same", use_bias=False)
    assert sums.forward({"W": jnp.ones((2, 1, 1))}, x)[0].ravel().tolist() == [3, 5, 7, 4]
    # size 4, kernel 3, stride 2 needs a single zero: windows begin at the first pixel
    thirds = dp.Conv1d(1, 3, stride=2, padding="same", use_bias=False)
    assert thirds.forward({"W": jnp.ones((3, 1, 1))}, x)[0].ravel().tolist() == [6, 7]


# ------------------------------------------------------------------------------- adjoints and other oracles


def test_backward_is_what_jax_derives_from_its_own_convolution():
    layer = dp.Conv2d(6, (3, 2), stride=(2, 1), padding=((0, 1), (2, 1)), dilation=(2, 1), groups=2)
    with jax.enable_x64(True):
        params, x = drawn(layer, (7, 6, 4))

        def plain(params, x):
            y = lax.conv_general_dilated(
                x,
                params["W"],
                (2, 1),
                ((0, 1), (2, 1)),
                rhs_dilation=(2, 1),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=2,
            )
            return y + params["b"]

        expected, pull_back = jax.vjp(plain, params, x)
        y, saved = layer.forward(params, x)
        dy = jnp.asarray(np.random.default_rng(1).normal(size=y.shape))
        dx, grads = layer.backward(params, saved, dy)
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-12 * np.abs(theirs).max()),
            (y, grads, dx),
            (expected, *pull_back(dy)),
        )


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_same_padding_is_that_of_xla(size, kernel, stride, dilation):
    layer = dp.Conv1d(1, kernel, stride=stride, padding="same", dilation=dilation)
    assert (
        layer.paddings((size, 1))[0]
        == lax.padtype_to_pads((size,), (dilation * (kernel - 1) + 1,), (stride,), "SAME")[0]
    )
    assert layer.out_shape((size, 1)) == (-(-size // stride), 1)


def test_transposed_convolution_is_the_adjoint():
    """<conv(x), c> = <x, convT(c)>, with the same kernel, its inputs and outputs exchanged."""
    with jax.enable_x64(True):
        options = {"stride": (2, 3), "padding": ((1, 0), (2, 1)), "dilation": (1, 2)}
        down = dp.Conv2d(3, (3, 2), use_bias=False, **options)
        params, x = drawn(down, (9, 10, 2))
        y, saved = down.forward(params, x)
        c = jnp.asarray(np.random.default_rng(1).normal(size=y.shape))
        rest = (9 + 1 - 3) % 2, (10 + 3 - 3) % 3  # rows and columns that the stride leaves over
        up = dp.ConvTranspose2d(2, (3, 2), use_bias=False, output_padding=rest, **options)
        back, _ = up.forward({"W": params["W"].swapaxes(2, 3)}, c)
        assert back.shape == x.shape
        np.testing.assert_allclose(jnp.vdot(y, c), jnp.vdot(x, back), rtol=1e-12)
        np.testing.assert_allclose(back, down.backward(params, saved, c)[0], atol=1e-12)


def test_same_padding_of_the_transposed_convolution_undoes_a_stride():
    with jax.enable_x64(True):
        down = dp.Conv2d(3, 3, stride=2, padding="same", use_bias=False)
        params, x = drawn(down, (8, 6, 2))
        y, saved = down.forward(params, x)
        up = dp.ConvTranspose2d(2, 3, stride=2, padding="same", use_bias=False)
        back, _ = up.forward({"W": params["W"].swapaxes(2, 3)}, y)
        np.testing.assert_allclose(back, down.backward(params, saved, y)[0], atol=1e-12)


def test_the_oracle_differentiates_in_float32_too():
    """The native kernels have no derivative that JAX knows, so it takes XLA's."""
    net = dp.Sequential([dp.Conv2d(4, 3), dp.Flatten(), dp.Dense(2)])
    variables = net.init(jax.random.key(0), (4, 4, 1))
    x, t = jax.random.normal(jax.random.key(1), (2, 4, 4, 1)), jnp.array([0, 1])
    ours, theirs = (run(net, dp.SoftmaxCrossEntropy(), variables, x, t) for run in (dp.trace, dp.testing.autodiff))
    np.testing.assert_allclose(ours["0_conv2d"].grads["W"], theirs["0_conv2d"].grads["W"], atol=1e-6)


@dataclass(frozen=True)
class ConvTanhOfMyOwn(dp.Layer):
    def init(self, key, in_shape):
        return dp.Conv2d(3, 3).init(key, in_shape)

    def forward(self, params, x, ctx=dp.Context()):
        return jnp.tanh(dp.Conv2d(3, 3).forward(params, x)[0]), {}


def test_a_layer_of_ones_own_may_hold_a_convolution():
    """Its backward pass comes from JAX, in float32 too."""
    both = dp.Sequential([("conv", dp.Conv2d(3, 3)), dp.Tanh()])
    variables, x = both.init(jax.random.key(0), (4, 4, 2)), jax.random.normal(jax.random.key(1), (2, 4, 4, 2))
    y, saved = ConvTanhOfMyOwn().forward(variables.params["conv"], x, dp.Context())
    dx, grads = ConvTanhOfMyOwn().backward(variables.params["conv"], saved, y)
    expected, saved = both.forward(variables.params, x)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    expected, gradients = both.backward(variables.params, saved, y)
    np.testing.assert_allclose(dx, expected, atol=1e-5)
    np.testing.assert_allclose(grads["W"], gradients["conv"]["W"], atol=1e-5)
    assert dp.kernels.current() == "auto"


# ------------------------------------------------------------------------------------- what it means


def dense_matrix(layer, params, in_shape):
    """T with y = x T + b, a row for each input: outputs of the unit images."""
    units = jnp.eye(int(np.prod(in_shape))).reshape(-1, *in_shape)
    without = {name: jnp.zeros_like(a) if name == "b" else a for name, a in params.items()}
    return rows(layer.forward(without, units)[0])


def rows(a):
    return np.asarray(a).reshape(len(a), -1)


@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [
        (dp.Conv1d(1, 3), (8, 1)),
        (dp.Conv2d(2, 3, stride=2, padding=1), (4, 5, 3)),
        (dp.ConvTranspose2d(2, 2, stride=2), (3, 2, 3)),
    ],
    ids=str,
)
def test_it_is_a_dense_layer_with_zeros_and_shared_weights(layer, in_shape):
    params, x = drawn(layer, in_shape, batch=4)
    T = dense_matrix(layer, params, in_shape)
    y, saved = layer.forward(params, x)
    np.testing.assert_allclose(y.reshape(4, -1), rows(x) @ T + np.resize(params["b"], T.shape[1]), atol=2e-5)
    dy = jnp.asarray(np.random.default_rng(1).normal(size=y.shape), x.dtype)
    dx, grads = layer.backward(params, saved, dy)
    np.testing.assert_allclose(rows(dx), rows(dy) @ T.T, atol=2e-5)
    # the gradient of a shared weight is the sum over the places of T where it stands
    dT = rows(x).T @ rows(dy)
    expected = [(dT * (w == T)).sum() for w in np.asarray(params["W"]).ravel()]
    np.testing.assert_allclose(grads["W"].ravel(), expected, atol=1e-4)


def test_a_row_of_pixels_makes_a_toeplitz_matrix():
    params = {"W": jnp.array([2.0, 3.0, 5.0])[:, None, None], "b": jnp.zeros(1)}
    T = dense_matrix(dp.Conv1d(1, 3, padding=1), params, (5, 1)).T
    np.testing.assert_array_equal(T, 3 * np.eye(5) + 5 * np.eye(5, k=1) + 2 * np.eye(5, k=-1))


def test_receptive_field():
    """∂y_3/∂x is zero but for x_2, x_3, x_4, and two layers see five inputs."""

    def seen(layers):
        net = dp.Sequential(layers)
        params = net.init(jax.random.key(0), (9, 1)).params
        _, saved = net.forward(params, jnp.ones((9, 9, 1)))
        jacobian, _ = net.backward(params, saved, jnp.eye(9)[:, :, None])  # row n: the delta of output n alone
        return np.abs(jacobian[:, :, 0]) > 0

    layer = dp.Conv1d(1, 3, padding=1)
    np.testing.assert_array_equal(seen([layer]), np.abs(np.subtract.outer(np.arange(9), np.arange(9))) <= 1)
    np.testing.assert_array_equal(seen([layer, layer]), np.abs(np.subtract.outer(np.arange(9), np.arange(9))) <= 2)
    dilated = seen([dp.Conv1d(1, 3, padding=2, dilation=2)])
    np.testing.assert_array_equal(np.flatnonzero(dilated[4]), [2, 4, 6])


@pytest.mark.parametrize("stride", [1, 2])
def test_shift_in_shift_out(stride):
    """Away from the border; with stride s, a shift by s moves the output by 1."""
    x = np.zeros((1, 14, 14, 2), np.float32)
    x[:, 3:8, 4:9] = np.random.default_rng(0).normal(size=(5, 5, 2))
    layer = dp.Conv2d(3, 3, stride=stride, padding=1)
    params, _ = drawn(layer, x.shape[1:])
    moved = np.roll(x, (2 * stride, -stride), axis=(1, 2))
    y, expected = (layer.forward(params, jnp.asarray(a))[0] for a in (moved, x))
    np.testing.assert_allclose(y, np.roll(expected, (2, -1), axis=(1, 2)), atol=1e-5)


def test_an_image_joined_at_its_edges_may_move_over_them():
    """With stride 1 exactly; it is what an image with its opposite edges around it gives without padding."""
    x = np.random.default_rng(1).normal(size=(2, 5, 6, 2)).astype(np.float32)
    layer = dp.Conv2d(3, (3, 4), padding="circular")
    params, _ = drawn(layer, x.shape[1:])
    y, moved = (np.asarray(layer.forward(params, jnp.asarray(a))[0]) for a in (x, np.roll(x, (3, -2), axis=(1, 2))))
    np.testing.assert_allclose(moved, np.roll(y, (3, -2), axis=(1, 2)), atol=1e-5)
    around = np.pad(x, ((0, 0), (1, 1), (1, 2), (0, 0)), mode="wrap")
    np.testing.assert_allclose(y, layer.replace(padding=0).forward(params, jnp.asarray(around))[0], atol=1e-5)


def test_a_kernel_that_sums_to_one_keeps_a_constant():
    W = np.random.default_rng(0).uniform(size=(3, 3))
    np.testing.assert_allclose(conv(np.full((6, 6), 2.5), W / W.sum()), 2.5, rtol=1e-6)


def test_groups_do_not_see_each_other():
    layer, half = dp.Conv2d(6, 3, groups=2), dp.Conv2d(3, 3)
    params, x = drawn(layer, (5, 5, 4))
    y, _ = layer.forward(params, x)
    for g in range(2):
        filters, channels = slice(3 * g, 3 * g + 3), slice(2 * g, 2 * g + 2)
        alone, _ = half.forward({"W": params["W"][..., filters], "b": params["b"][filters]}, x[..., channels])
        np.testing.assert_allclose(y[..., filters], alone, atol=1e-5)


@dataclass(frozen=True)
class _ToldFans(Initializer):
    """Every entry fan_in + fan_out / 1000."""

    def sample(self, key, shape, *, fan_in=None, fan_out=None, dtype=None):
        return np.full(shape, fan_in + fan_out / 1000)


@pytest.mark.parametrize(
    ("layer", "in_shape", "W_shape", "fan_in", "fan_out"),
    [
        (dp.Conv2d(30, 5), (28, 28, 2), (5, 5, 2, 30), 50, 750),
        (dp.Conv2d(32, 3, groups=4), (9, 9, 16), (3, 3, 4, 32), 36, 72),
        (dp.Conv2d(64, 3, groups=32), (9, 9, 32), (3, 3, 1, 64), 9, 18),  # depthwise
        (dp.Conv1d(64, 5, groups=2), (9, 8), (5, 4, 64), 20, 160),
        (dp.ConvTranspose2d(32, (3, 2)), (9, 9, 16), (3, 2, 16, 32), 96, 192),
        (dp.ConvTranspose2d(32, 3, groups=4), (9, 9, 16), (3, 3, 16, 8), 36, 72),
    ],
    ids=str,
)
def test_initialisers_are_told_how_many_values_a_unit_sums_up(layer, in_shape, W_shape, fan_in, fan_out):
    params = layer.replace(kernel_init=_ToldFans(), bias_init=_ToldFans()).init(jax.random.key(1), in_shape)
    assert params["W"].shape == W_shape
    assert params["b"].shape == (layer.filters,)
    for array in params.values():
        np.testing.assert_allclose(array, fan_in + fan_out / 1000)


def test_dx_that_nobody_asks_for_is_not_computed():
    layer = dp.Conv2d(8, 3, padding=1, use_bias=False)
    params, x = {"W": jnp.ones((3, 3, 8, 8))}, jnp.ones((2, 6, 6, 8))

    @jax.jit
    def grads_alone(params, x):
        y, saved = layer.forward(params, x)
        return layer.backward(params, saved, y)[1]

    with dp.kernels.using("xla"):
        flops = grads_alone.lower(params, x).compile().cost_analysis()["flops"]
    one = 2 * x.size * params["W"][..., 0].size  # y; dW takes as many, and dx would
    assert flops < 2.5 * one


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_no_examples_give_no_output_and_no_gradient(groups):
    layer = dp.Conv2d(4, 3, groups=groups)
    params, _ = drawn(layer, (5, 5, 4))
    x = jnp.zeros((0, 5, 5, 4), jnp.float32)
    y, saved = layer.forward(params, x)
    dx, grads = layer.backward(params, saved, y)
    assert (y.shape, dx.shape) == ((0, 3, 3, 4), x.shape)
    assert all(not np.any(g) for g in grads.values())

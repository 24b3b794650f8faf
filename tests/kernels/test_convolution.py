"""Convolution and its adjoints against the sums of the formulas, written out in NumPy."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denpa.core.errors import ConfigError, DenpaError, ShapeError
from denpa.kernels import convolution as kernels
from denpa.kernels import settings as choice
from denpa.kernels.unfolding import col2im, im2col


def places(x, W_shape, stride, padding, dilation):
    """(i, j, what place (i, j) of the kernel sees): writable views of the padded image, and that image."""
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(padded.shape[1:3], W_shape[:2], stride, dilation, strict=True)
    ]
    views = [
        (
            i,
            j,
            padded[:, i * dilation[0] :, j * dilation[1] :][:, :: stride[0], :: stride[1]][:, : sizes[0], : sizes[1]],
        )
        for i in range(W_shape[0])
        for j in range(W_shape[1])
    ]
    return padded, views


def by_the_sums(x, W, dy, stride, padding, dilation, groups):
    """(y, dx, dW), or y alone without dy."""
    _, views = places(x, W.shape, stride, padding, dilation)
    spread, into = places(np.zeros_like(x), W.shape, stride, padding, dilation)
    y, dW = 0.0, np.zeros_like(W)
    channels, filters = W.shape[2], W.shape[3] // groups
    for (i, j, seen), (_, _, hit) in zip(views, into, strict=True):
        parts = []
        for g in range(groups):
            mine, out = slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters)
            parts.append(seen[..., mine] @ W[i, j][:, out])
            if dy is not None:
                hit[..., mine] += dy[..., out] @ W[i, j][:, out].T
                dW[i, j][:, out] = np.einsum("nhwc,nhwf->cf", seen[..., mine], dy[..., out])
        y = y + np.concatenate(parts, axis=-1)
    (top, _), (left, _) = padding
    return y, spread[:, top : top + x.shape[1], left : left + x.shape[2]], dW


@st.composite
def problems(draw):
    """Shapes and options that fit together: (x shape, W shape, stride, padding, dilation, groups)."""
    few = st.integers(1, 3)
    kernel = draw(few), draw(few)
    stride, dilation = (draw(few), draw(few)), (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(2))
    sizes = [
        max(d * (k - 1) + 1 - sum(p), 1) + draw(st.integers(0, 4))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    groups = draw(few)
    channels, filters = draw(few), draw(few)
    return (
        (draw(st.integers(1, 2)), *sizes, channels * groups),
        (*kernel, channels, filters * groups),
        stride,
        padding,
        dilation,
        groups,
    )


def drawn(problem, seed=0):
    x_shape, W_shape, *how = problem
    rng = np.random.default_rng(seed)
    x, W = rng.normal(size=x_shape), rng.normal(size=W_shape)
    dy = rng.normal(size=by_the_sums(x, W, None, *how)[0].shape)
    return x, W, dy, how


def off(ours, theirs):
    """The largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape
    return np.abs(np.asarray(ours, np.float64) - theirs).max() / max(np.abs(theirs).max(), 1e-300)


@given(problems())
@settings(max_examples=20)
def test_all_three_are_the_sums_of_their_formulas(problem):
    x, W, dy, how = drawn(problem)
    y, dx, dW = by_the_sums(x, W, dy, *how)
    with jax.enable_x64(True):

        @jax.jit
        def ours(x, W, dy):
            return (
                kernels.convolve(x, W, *how),
                kernels.convolve_input_gradient(dy, W, x.shape, *how),
                kernels.convolve_kernel_gradient(x, dy, W.shape, *how),
            )

        for got, wanted in zip(ours(x, W, dy), (y, dx, dW), strict=True):
            assert off(got, wanted) < 1e-13


@pytest.mark.parametrize(
    ("kernels_chosen", "bound"), [("xla", 3e-6), ("direct", 3e-6), ("winograd", 5e-5), ("auto", 5e-5)]
)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_every_choice_of_kernels_gives_the_same_numbers(kernels_chosen, bound, kernel_size):
    x, W, dy, how = drawn(((3, 10, 9, 16), (kernel_size, kernel_size, 16, 32), (1, 1), ((1, 1), (2, 0)), (1, 1), 1))
    expected = by_the_sums(x, W, dy, *how)
    b = np.random.default_rng(1).normal(size=32)
    x, W, dy, bias = (jnp.asarray(a, jnp.float32) for a in (x, W, dy, b))
    with choice.using(kernels_chosen):
        got = (
            kernels.convolve(x, W, *how, b=bias),
            kernels.convolve_input_gradient(dy, W, x.shape, *how),
            kernels.convolve_kernel_gradient(x, dy, W.shape, *how),
        )
    for ours, theirs in zip(got, (expected[0] + b, *expected[1:]), strict=True):
        assert ours.dtype == jnp.float32
        assert off(ours, theirs) < bound


@pytest.mark.parametrize("kernels_chosen", ["xla", "auto"])
@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (1, 1)), ((1, 3), (1, 1)), ((2, 1), (2, 3))])
def test_padding_may_be_wider_than_the_kernel_reaches(kernels_chosen, kernel, stride):
    """Pixels of dx that only the padding's windows would see are left out: a negative padding, one might say."""
    sides = [(2, 0), (0, 3), (3, 2), (1, 4)]
    for padding in itertools.product(sides, sides):
        x, W, dy, how = drawn(((2, 5, 6, 3), (*kernel, 3, 16), stride, padding, (1, 1), 1))
        _, dx, dW = by_the_sums(x, W, dy, *how)
        x, W, dy = (jnp.asarray(a, jnp.float32) for a in (x, W, dy))
        with choice.using(kernels_chosen):
            assert off(kernels.convolve_input_gradient(dy, W, x.shape, *how), dx) < 3e-6
            assert off(kernels.convolve_kernel_gradient(x, dy, W.shape, *how), dW) < 3e-6


def test_the_choice_is_read_while_tracing_and_ends_with_its_block():
    assert choice.current() == "auto"
    with choice.using("winograd"):
        with choice.using("xla"):
            assert choice.current() == "xla"
        assert choice.current() == "winograd"
    assert choice.current() == "auto"


def test_an_unknown_choice_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"'winogard'.*'winograd'"), choice.using("winogard"):
        pass


def test_the_environment_sets_the_choice(monkeypatch):
    monkeypatch.setenv("DENPA_KERNELS", "direct")
    assert choice.current() == "direct"
    with choice.using("auto"):
        assert choice.current() == "auto"
    monkeypatch.setenv("DENPA_KERNELS", "fast")
    with pytest.raises(ConfigError, match="fast"):
        choice.current()


# ------------------------------------------------------------------------------------ im2col, col2im

NCHW = np.array(
    [
        [[[1, 12, 75, 6], [19, 34, 80, 67], [66, 83, 41, 91], [82, 18, 24, 74]]],
        [[[61, 6, 38, 5], [62, 71, 75, 2], [19, 5, 26, 61], [80, 96, 84, 5]]],
    ]
)
ROWS = [
    [1, 12, 75, 19, 34, 80, 66, 83, 41],
    [12, 75, 6, 34, 80, 67, 83, 41, 91],
    [19, 34, 80, 66, 83, 41, 82, 18, 24],
    [34, 80, 67, 83, 41, 91, 18, 24, 74],
    [61, 6, 38, 62, 71, 75, 19, 5, 26],
    [6, 38, 5, 71, 75, 2, 5, 26, 61],
    [62, 71, 75, 19, 5, 26, 80, 96, 84],
    [71, 75, 2, 5, 26, 61, 96, 84, 5],
]


def test_im2col_of_the_worked_example():
    np.testing.assert_array_equal(im2col(NCHW.transpose(0, 2, 3, 1), 3), ROWS)


def test_col2im_counts_the_windows_that_see_each_pixel():
    ones = np.ones((1, 4, 4, 1), np.float32)
    counts = [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    np.testing.assert_array_equal(col2im(im2col(ones, 3), ones.shape, 3)[0, :, :, 0], counts)


@given(problems())
@settings(max_examples=10)
def test_im2col_makes_a_product_of_the_convolution_and_col2im_is_its_adjoint(problem):
    x, W, _, (stride, padding, dilation, _) = drawn((problem[0], (*problem[1][:2], problem[0][3], 2), *problem[2:5], 1))
    how = W.shape[:2], stride, padding, dilation
    with jax.enable_x64(True):
        columns = np.asarray(jax.jit(lambda x: im2col(x, *how))(x))
        product = columns @ W.transpose(2, 0, 1, 3).reshape(-1, 2)  # columns run over channel, row, column
        y = by_the_sums(x, W, None, stride, padding, dilation, 1)[0]
        assert off(product.reshape(y.shape), y) < 1e-13
        c = np.random.default_rng(2).normal(size=columns.shape)
        back = np.asarray(jax.jit(lambda c: col2im(c, x.shape, *how))(c))
        assert back.shape == x.shape
        np.testing.assert_allclose(np.sum(columns * c), np.sum(x * back), atol=1e-11)


def test_im2col_and_col2im_say_what_does_not_fit():
    with pytest.raises(ShapeError, match="batch, height, width, channels"):
        im2col(np.ones((4, 4)), 3)
    with pytest.raises(ShapeError, match="do not fit"):
        im2col(np.ones((1, 4, 4, 1)), 5)
    with pytest.raises(ShapeError, match=r"\(4, 9\).*\(4, 8\)"):
        col2im(np.ones((4, 8)), (1, 4, 4, 1), 3)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": "3"}, "kernel_size"),
        ({"stride": 0}, "stride"),
        ({"dilation": 1.5}, "dilation"),
        ({"padding": -1}, "padding"),
        ({"padding": 2**31}, "padding"),
        ({"padding": "same"}, "padding"),
        ({"padding": ((0, 1), (0, -1))}, "padding"),
    ],
)
def test_windows_that_are_none_are_refused_by_name(given, named):
    how = {"kernel_size": 2} | given
    with pytest.raises(ConfigError, match=f"im2col: {named}"):
        im2col(np.ones((1, 4, 4, 1)), **how)
    with pytest.raises(ConfigError, match=f"col2im: {named}"):
        col2im(np.ones((9, 4)), (1, 4, 4, 1), **how)


def test_what_is_no_image_is_refused_by_im2col_and_col2im():
    for x in ("text", None, [[1, 2], [3]], {}):
        with pytest.raises(DenpaError):
            im2col(x, 2)
        with pytest.raises(DenpaError):
            col2im(x, (1, 4, 4, 1), 2)
    columns = im2col(np.ones((1, 4, 4, 1), np.float32), 2)
    for shape in (None, 3, (4, 4), (1, 4, 4, 0), (1, 4.0, 4, 1), "abcd"):
        with pytest.raises(ShapeError, match="x_shape"):
            col2im(columns, shape, 2)

"""The native kernels against sums in float64, each way with its own bound; and what they promise besides."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from numpy.lib.stride_tricks import sliding_window_view

import denpa as dp
from denpa.core.errors import ConfigError
from denpa.kernels import choices, fused, native, settings
from denpa.kernels.convolution import convolve
from denpa.kernels.native import loading

needs_library = pytest.mark.skipif(not native.available(), reason=native.reason())

# Relative to the largest value of the array.
DIRECT, WINOGRAD = 2e-6, 2e-5

# batch, height, width, channels, kernel height and width, filters, padding
SHAPES = [
    (1, 5, 6, 1, 3, 2, 1, ((0, 0), (0, 0))),
    (3, 9, 11, 5, 3, 3, 30, ((1, 1), (1, 1))),
    (2, 8, 9, 1, 5, 5, 30, ((0, 0), (0, 0))),
    (5, 7, 6, 16, 3, 3, 17, ((2, 0), (0, 3))),
    (1, 12, 10, 3, 2, 4, 8, ((0, 1), (2, 1))),
    (2, 4, 5, 2, 1, 1, 3, ((2, 2), (1, 2))),
    (1, 3, 3, 4, 5, 5, 6, ((2, 2), (2, 2))),
    (13, 7, 7, 16, 3, 3, 32, ((1, 1), (1, 1))),
    (2, 13, 14, 16, 3, 3, 17, ((1, 1), (1, 1))),  # rows of a kibibyte, and strips of seven and of six rows
]
# 3x3, and channels in whole vectors of every instruction set: here Winograd's algorithm serves. Where there are 8 or 4
# channels it does if so many are one vector.
WINOGRAD_SHAPES = [
    (1, 6, 6, 16, 3, 3, 16, ((1, 1), (1, 1))),
    (7, 9, 5, 16, 3, 3, 48, ((0, 2), (1, 0))),
    (2, 30, 33, 16, 3, 3, 16, ((1, 1), (1, 1))),
    (27, 7, 7, 32, 3, 3, 16, ((1, 1), (1, 1))),
    (2, 6, 7, 32, 3, 3, 208, ((1, 1), (1, 1))),
    (9, 10, 13, 8, 3, 3, 8, ((1, 1), (1, 1))),
    (9, 6, 11, 4, 3, 3, 4, ((1, 1), (1, 1))),
    (2, 6, 16, 128, 3, 3, 16, ((1, 1), (1, 1))),  # rows of whole kibibytes, with a border and without
]
SETS = native.instruction_sets()


@pytest.fixture
def restore():
    before = native.instruction_set()
    yield
    native.use_instruction_set(before)


def problem(shape, seed=0):
    batch, height, width, channels, rows, columns, filters, padding = shape
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, height, width, channels), np.float32)
    W = rng.standard_normal((rows, columns, channels, filters), np.float32)
    b = rng.standard_normal(filters, np.float32)
    u = forward(x, W, b, padding)
    z, index = pooled(u)
    dy, dz = (rng.standard_normal(a.shape, np.float32) for a in (u, z))
    return SimpleNamespace(x=x, W=W, b=b, padding=padding, u=u, z=z, index=index, dy=dy, dz=dz)


def windows_of(x, W, padding):
    x = np.pad(np.float64(x), ((0, 0), *padding, (0, 0)))
    return sliding_window_view(x, W.shape[:2], axis=(1, 2))  # batch, out height, out width, channels, i, j


def forward(x, W, b, padding):
    return np.einsum("nhwcij,ijcf->nhwf", windows_of(x, W, padding), np.float64(W), optimize=True) + b


def pooled(u):
    """Maxima of 2x2 windows of max(0, u), and the place of each: 4 where nothing is positive."""
    batch, height, width, filters = u.shape
    rows, columns = height // 2, width // 2
    cut = u[:, : 2 * rows, : 2 * columns].reshape(batch, rows, 2, columns, 2, filters)
    places = cut.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, 4, filters)
    z = np.maximum(places.max(3), 0)
    return z, np.where(z > 0, places.argmax(3), 4).astype(np.uint8)


def spread(dz, index, shape):
    du = np.zeros(shape)
    for place in range(4):
        part = du[:, place // 2 : shape[1] // 2 * 2 : 2, place % 2 : shape[2] // 2 * 2 : 2]
        part += np.where(index == place, dz, 0)
    return du


def backward(p, du):
    """dx, dW, db for a delta at u."""
    du = np.float64(du)
    dW = np.einsum("nhwcij,nhwf->ijcf", windows_of(p.x, p.W, p.padding), du, optimize=True)
    (top, bottom), (left, right) = p.padding
    _, height, width, _ = p.x.shape
    dx = np.zeros((len(p.x), height + top + bottom, width + left + right, p.x.shape[3]))
    for i in range(p.W.shape[0]):
        for j in range(p.W.shape[1]):
            dx[:, i : i + du.shape[1], j : j + du.shape[2]] += du @ np.float64(p.W[i, j]).T
    return dx[:, top : top + height, left : left + width], dW, du.sum((0, 1, 2))


def close(actual, wanted, bound):
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    assert actual.shape == wanted.shape
    assert actual.dtype == np.float32
    if wanted.size:
        assert np.max(np.abs(actual - wanted)) <= bound * max(np.max(np.abs(wanted)), 1e-30)


def computed(p, winograd=False):
    """Every operation of the native kernels on this problem."""
    y = np.float32(np.maximum(p.u, 0))
    shape, kernel = p.x.shape, p.W.shape
    return {
        "conv": native.conv(p.x, p.W, p.b, p.padding, winograd),
        "conv_relu": native.conv_relu(p.x, p.W, p.b, p.padding, winograd),
        "conv_relu_pool": native.conv_relu_pool(p.x, p.W, p.b, p.padding, winograd),
        "plain": (
            native.conv_input_gradient(p.dy, p.W, shape, p.padding, winograd),
            *native.conv_kernel_gradient(p.x, p.dy, kernel, p.padding, winograd),
        ),
        "relu": (
            native.conv_relu_input_gradient(p.dy, y, p.W, shape, p.padding, winograd),
            *native.conv_relu_kernel_gradient(p.x, p.dy, y, kernel, p.padding, winograd),
        ),
        "pool": (
            native.conv_relu_pool_input_gradient(p.dz, p.index, p.W, shape, p.padding, winograd),
            *native.conv_relu_pool_kernel_gradient(p.x, p.dz, p.index, kernel, p.padding, winograd),
        ),
    }


def check(p, winograd, bound):
    found = computed(p, winograd)
    close(found["conv"], p.u, bound)
    close(found["conv_relu"], np.maximum(p.u, 0), bound)
    z, index = found["conv_relu_pool"]
    close(z, p.z, bound)
    assert index.dtype == jnp.uint8
    doubtful = np.count_nonzero(np.asarray(index) != p.index)  # two values that rounding cannot tell apart
    assert doubtful <= p.index.size * 1e-4
    deltas = {"plain": p.dy, "relu": np.where(p.u > 0, p.dy, 0), "pool": spread(p.dz, p.index, p.u.shape)}
    for kind, du in deltas.items():
        for actual, wanted in zip(found[kind], backward(p, du), strict=True):
            close(actual, wanted, bound)


@needs_library
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_direct_sums(shape, restore):
    p = problem(shape)
    for name in SETS:
        native.use_instruction_set(name)
        check(p, False, DIRECT)


@needs_library
@pytest.mark.parametrize("shape", WINOGRAD_SHAPES, ids=str)
def test_winograd(shape, restore):
    p = problem(shape)
    for name in SETS:
        native.use_instruction_set(name)
        check(p, True, WINOGRAD)


@needs_library
def test_winograd_is_another_algorithm():
    p = problem(WINOGRAD_SHAPES[0])
    assert np.any(native.conv(p.x, p.W, p.b, p.padding, True) != native.conv(p.x, p.W, p.b, p.padding, False))


@needs_library
def test_a_kernel_larger_than_the_padding_allows_gives_nothing():
    x, W, padding = jnp.ones((2, 2, 3, 8)), jnp.ones((3, 3, 8, 8)), ((0, 0), (0, 0))
    assert native.conv(x, W, None, padding).shape == (2, 0, 1, 8)
    assert not np.any(native.conv_input_gradient(jnp.zeros((2, 0, 1, 8)), W, x.shape, padding))
    dW, db = native.conv_kernel_gradient(x, jnp.zeros((2, 0, 1, 8)), W.shape, padding)
    assert not np.any(dW)
    assert not np.any(db)


@needs_library
def test_what_is_not_a_number_is_seen():
    p = problem(SHAPES[1])
    p.x[1, 4, 4, 2] = np.nan
    assert np.isnan(native.conv_relu(p.x, p.W, p.b, p.padding)[1, 4, 4]).all()
    # It is a pixel of each of these windows, and in each of them another one comes first.
    assert np.isnan(native.conv_relu_pool(p.x, p.W, p.b, p.padding)[0][1, 1:3, 1:3]).all()


@needs_library
def test_pooling_takes_the_first_of_equals_and_marks_what_is_blocked():
    x = np.array([[2, 2, 1, 3], [2, 2, 3, 3], [-1, -2, 0, 0], [-3, -1, 0, 0]], np.float32)[None, :, :, None]
    z, index = native.conv_relu_pool(x, np.ones((1, 1, 1, 1), np.float32), None, ((0, 0), (0, 0)))
    np.testing.assert_array_equal(z[0, :, :, 0], [[2, 3], [0, 0]])
    np.testing.assert_array_equal(index[0, :, :, 0], [[0, 1], [4, 4]])


# One vector of channels and of filters, and nine tiles an image, which threads group by four or by five images.
SQUARES = [(10, 9, 10, lanes, 3, 3, lanes, ((1, 1), (1, 1))) for lanes in (4, 8, 16)]


def digest(winograd):
    """One number for the bits of all results, on batches, and filters, that are cut into many pieces."""
    leaves = [
        leaf
        for shape in (SHAPES[7], *WINOGRAD_SHAPES[3:5], *SQUARES)
        for leaf in jax.tree.leaves(computed(problem(shape), winograd))
    ]
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


@needs_library
def test_the_same_bits_with_any_number_of_threads():
    code = "from tests.kernels.test_native import digest; print(digest(False), digest(True))"
    here = f"{digest(False)} {digest(True)}"
    for threads in "1", "3":
        own = {"JAX_PLATFORMS": "cpu", "DENPA_INSTRUCTION_SET": native.instruction_set()}
        environment = os.environ | own | {"NPROC": threads}
        path = os.pathsep.join(filter(None, ["src", ".", os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here.split()


@needs_library
def test_calls_from_many_threads_do_not_disturb_each_other():
    problems = [problem(shape, seed) for seed, shape in enumerate(SHAPES[1:5])]
    alone = [computed(p) for p in problems]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(computed, problems * 3))
    for i, found in enumerate(together):
        jax.tree.map(np.testing.assert_array_equal, found, alone[i % len(problems)])


@needs_library
def test_programs_that_run_at_once_do_not_disturb_each_other():
    """Hundreds of calls in each, so that those of several threads are under way together."""

    @jax.jit
    def program(x, W):
        return lax.fori_loop(0, 500, lambda _, x: jnp.tanh(native.conv(x, W, None, ((1, 1), (1, 1)))), x)

    problems = [problem(shape, seed) for seed, shape in enumerate(SQUARES)]
    alone = [np.asarray(program(p.x, p.W)) for p in problems]
    with ThreadPoolExecutor(len(problems)) as pool:
        together = list(pool.map(lambda p: np.asarray(program(p.x, p.W)), problems * 2))
    for i, found in enumerate(together):
        np.testing.assert_array_equal(found, alone[i % len(problems)])


def fused_of(x, W, b, dy, dz, padding):
    y = fused.conv_relu(x, W, b, padding)
    z, index = fused.conv_relu_pool(x, W, b, padding)
    return {
        "y": y,
        "z": (z, index),
        "relu": (
            fused.conv_relu_input_gradient(dy, y, W, x.shape, padding),
            fused.conv_relu_kernel_gradient(x, dy, y, W.shape, padding),
        ),
        "pool": (
            fused.conv_relu_pool_input_gradient(dz, index, W, x.shape, padding),
            fused.conv_relu_pool_kernel_gradient(x, dz, index, W.shape, padding),
        ),
    }


def arguments(p):
    return p.x, p.W, p.b, p.dy, p.dz


@pytest.mark.parametrize("choice", ["direct", "winograd"])
def test_fused_equals_unfused(choice):
    p = problem(WINOGRAD_SHAPES[1])
    with settings.using("xla"):
        wanted = jax.jit(lambda *args: fused_of(*args, p.padding))(*arguments(p))
    with settings.using(choice):
        found = jax.jit(lambda *args: fused_of(*args, p.padding))(*arguments(p))
    np.testing.assert_array_equal(found["z"][1], wanted["z"][1])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=WINOGRAD * np.max(np.abs(b))), found, wanted
    )


@needs_library
def test_under_vmap_and_in_a_loop():
    p, q = problem(WINOGRAD_SHAPES[0], 1), problem(WINOGRAD_SHAPES[0], 2)
    one = jax.jit(lambda *args: fused_of(*args, p.padding))
    members = jax.vmap(one)(*(jnp.stack(pair) for pair in zip(arguments(p), arguments(q), strict=True)))
    both = one(*arguments(p)), one(*arguments(q))
    jax.tree.map(lambda *t: np.testing.assert_array_equal(t[0], np.stack(t[1:])), members, *both)
    shared = jax.vmap(lambda x: native.conv(x, p.W, p.b, p.padding))(jnp.stack([p.x, q.x]))
    np.testing.assert_array_equal(shared[1], native.conv(q.x, p.W, p.b, p.padding))
    again = lax.fori_loop(0, 3, lambda _, x: jnp.tanh(native.conv(x, p.W, p.b, p.padding)), jnp.asarray(p.x))
    wanted = jnp.asarray(p.x)
    for _ in range(3):
        wanted = jnp.tanh(native.conv(wanted, p.W, p.b, p.padding))
    np.testing.assert_allclose(again, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "layers", [(dp.Conv2d(2, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten()), (dp.Reshape((6, 6)), dp.LSTM(3))]
)
def test_jax_differentiates_a_network_of_them(layers):
    net, loss, t = dp.Sequential([*layers, dp.Dense(2)]), dp.SoftmaxCrossEntropy(), np.array([1, 0, 1])
    x = np.random.default_rng(2).standard_normal((3, 6, 6, 1), np.float32)
    variables = net.init(jax.random.key(0), (6, 6, 1))
    slopes = jax.grad(lambda v, x: loss.value(net.apply(v, x), t), argnums=(0, 1))(variables, jnp.asarray(x))
    step = dp.backprop(net, loss, variables, x, t)
    wanted = dp.Variables(step.grads, {}), step.dx
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6), slopes, wanted)


def test_float64_goes_to_xla():
    p = problem(SHAPES[1])
    with jax.enable_x64(True):
        x, W, b = (jnp.asarray(a, jnp.float64) for a in (p.x, p.W, p.b))
        assert not fused.serves(x, W)
        y = convolve(x, W, (1, 1), p.padding, b=b)
    np.testing.assert_allclose(y, p.u, rtol=0, atol=1e-12 * np.max(np.abs(p.u)))


@needs_library
def test_what_the_fused_forms_serve():
    x, W = jnp.zeros((1, 8, 8, 8)), jnp.zeros((3, 3, 8, 8))
    assert fused.serves(x, W)
    assert not fused.serves(x, W, stride=(2, 1))
    assert not fused.serves(x, W, dilation=(1, 2))
    assert not fused.serves(x, W, groups=2)
    assert not fused.serves(x.astype(jnp.bfloat16), W.astype(jnp.bfloat16))
    with settings.using("xla"):
        assert not fused.serves(x, W)


@pytest.fixture
def unloaded(monkeypatch):
    """As in a process that has not asked for the kernels yet."""
    monkeypatch.setattr(loading, "_loaded", None)
    return monkeypatch


@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_without_a_library_xla_serves_and_one_line_says_why(unloaded, tmp_path, content):
    path = tmp_path / "libdenpa_kernels.so"
    if content is not None:
        path.write_bytes(content)
    unloaded.setattr(loading, "_PATH", path)
    assert not native.available()
    assert native.reason()
    assert "\n" not in native.reason()
    assert choices.listed()["now"] == f"{settings.current()}: XLA: {native.reason()}"
    p = problem(SHAPES[1])
    y = fused.conv_relu(p.x, p.W, p.b, p.padding)
    np.testing.assert_allclose(y, np.maximum(p.u, 0), rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="no native kernels"):
        native.conv(p.x, p.W, p.b, p.padding)


@needs_library
def test_an_instruction_set_that_this_processor_lacks(unloaded):
    unloaded.setenv("DENPA_INSTRUCTION_SET", "z80")
    assert not native.available()
    assert "z80" in native.reason()
    assert SETS[0] in native.reason()


@pytest.mark.skipif(not {"sse4", "avx2"} <= set(SETS), reason="this processor does not run both SSE4.2 and AVX2")
def test_the_chosen_instruction_set_serves(restore):
    """1 + 2 e + e² is 1 + 2 e where a product is rounded before it is added: SSE4.2 does that, the others do not."""
    e, left = np.float32(2.0**-12), {}
    x = np.full((1, 1, 1, 1), 1 + e)
    for name in SETS:
        native.use_instruction_set(name)
        left[name] = float(native.conv(x, x, np.full(1, -1 - 2 * e), ((0, 0), (0, 0)))[0, 0, 0, 0])
    assert list(left) == [name for name in ("avx512", "avx2", "sse4") if name in SETS]  # the best comes first
    assert left == {name: 0 if name == "sse4" else e * e for name in SETS}


@needs_library
def test_choosing_an_unknown_instruction_set():
    with pytest.raises(ConfigError, match="No kernels for 'avx3'"):
        native.use_instruction_set("avx3")

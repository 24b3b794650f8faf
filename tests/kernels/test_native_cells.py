"""Whole sequences of a GRU and of a plain recurrent layer in one call, against the scan step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.kernels import native, settings

needs_library = pytest.mark.skipif(not native.available(), reason=native.reason())
CARRIED = {"return_sequences": True, "return_carry": True, "takes_carry": True}
LAYERS = {
    "GRU": dp.GRU(131, reverse=True, **CARRIED),
    "GRU, reset after": dp.GRU(131, reset_after=True, **CARRIED),
    "tanh": dp.RNN(131, **CARRIED),
    "relu": dp.RNN(131, "relu", reverse=True, **CARRIED),
}
BATCH, TIME, FEATURES = 67, 3, 5  # more sequences than a piece of work, more units than a panel, and nothing even
BOUND = 4e-6  # relative to the largest value; both sides round


@pytest.fixture
def restore():
    before = native.instruction_set()
    yield
    native.use_instruction_set(before)


def drawn(layer, seed=0):
    rng = np.random.default_rng(seed)

    def random(*shape):
        return jnp.asarray(rng.standard_normal(shape, np.float32))

    params = layer.init_params(jax.random.key(seed), ((TIME, FEATURES), *((size,) for size in layer.cell.sizes())))
    params = {name: value + 0.1 * random(*value.shape) for name, value in params.items()}
    x, dy = ((random(BATCH, TIME, size), random(BATCH, layer.units)) for size in (FEATURES, layer.units))
    return params, x, dy


def program(layer):
    """Forward and backward in a program of its own: the kernels are chosen while it is traced."""

    def both(params, x, dy):
        y, saved = layer.forward(params, x)
        return y, layer.backward(params, saved, dy)

    return jax.jit(both)


def close(actual, wanted):
    assert actual.shape == wanted.shape
    assert actual.dtype == np.float32
    assert np.max(np.abs(actual - wanted)) <= BOUND * np.max(np.abs(wanted))


@needs_library
@pytest.mark.parametrize("name", LAYERS)
def test_the_numbers_of_the_scan_with_every_instruction_set(name, restore):
    given = drawn(LAYERS[name])
    with settings.using("xla"):
        wanted = program(LAYERS[name])(*given)
    run = program(LAYERS[name])
    assert "denpa_" in run.lower(*given).as_text()
    for instruction_set in native.instruction_sets():
        native.use_instruction_set(instruction_set)
        found = run(*given)
        jax.tree.map(close, found, wanted)
        jax.tree.map(np.testing.assert_array_equal, found, run(*given))


BARE = {
    "LSTM": dp.LSTM(9, use_bias=False, **CARRIED),
    "GRU": dp.GRU(9, reset_after=True, use_bias=False, **CARRIED),
    "RNN": dp.RNN(9, use_bias=False, **CARRIED),
}


@needs_library
@pytest.mark.parametrize("name", BARE)
def test_without_biases_the_kernels_get_zeros(name):
    """Alone and as a member of several that train together, whose weights have an axis more."""
    layer = BARE[name]
    params, (x, h), (dy, dh) = drawn(layer)
    carry, dcarry = ((h, 0.5 * h), (dh, 0.5 * dh)) if name == "LSTM" else ((h,), (dh,))
    assert set(params) == {"Wx", "Wh"}
    given = (x, *carry), (dy, *dcarry)
    with settings.using("xla"):
        wanted = program(layer)(params, *given)
    run = program(layer)
    assert "denpa_" in run.lower(params, *given).as_text()
    jax.tree.map(close, run(params, *given), wanted)
    both = jax.vmap(lambda p: program(layer)(p, *given))(jax.tree.map(lambda a: jnp.stack([2 * a, a]), params))
    jax.tree.map(lambda a, b: close(a[1], b), both, wanted)


def computed(layer, params, x, h, dy, dh):
    """What the kernels give, in the order of time."""
    drive, reverse = x @ params["Wx"], layer.reverse
    if isinstance(layer, dp.RNN):
        relu = layer.activation == "relu"
        after = native.rnn(drive, params["b"], params["Wh"], h, relu, reverse)
        return after, *native.rnn_backward(after, params["Wh"], dy, dh, relu, reverse)
    gates, m, after = native.gru(drive, params["b"], params.get("bh"), params["Wh"], h, layer.reset_after, reverse)
    m = m if layer.reset_after else None
    return gates, after, *native.gru_backward(gates, m, after, h, params["Wh"], dy, dh, reverse)


@needs_library
@pytest.mark.parametrize("name", LAYERS)
def test_a_sequence_has_the_same_bits_alone(name):
    layer = LAYERS[name]
    params, (x, h), (dy, dh) = drawn(layer)
    x, dy = np.swapaxes(x, 0, 1), np.swapaxes(dy, 0, 1)
    row = slice(41, 42)
    together = computed(layer, params, x, h, dy, dh)
    alone = computed(layer, params, x[:, row], h[row], dy[:, row], dh[row])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[..., row, :], b), together, alone)
    silent = computed(layer, params, x[:, row], h[row], None, dh[row])
    zero = computed(layer, params, x[:, row], h[row], 0 * dy[:, row], dh[row])
    jax.tree.map(np.testing.assert_array_equal, silent, zero)


@pytest.mark.parametrize(
    ("layer", "batch", "serves"),
    [
        (dp.GRU(4), 1, True),
        (dp.GRU(4, reset_after=True), 1, True),
        (dp.RNN(4), 2, True),
        (dp.RNN(4, dp.ReLU()), 2, True),
        (dp.RNN(4), 1, False),
        (dp.LSTM(4), 1, False),
        (dp.RNN(4, "sigmoid"), 2, False),
        (dp.RNN(4, dp.ReLU(derivative_at_zero=1.0)), 2, False),
    ],
    ids=str,
)
def test_which_form_serves(layer, batch, serves):
    x = np.ones((2, batch, 3), np.float32)  # with time in front
    params = {"Wx": np.ones((3, 4), np.float32)}
    assert layer.cell.runs(params, x) == (serves and native.available())
    assert not layer.cell.runs(params, np.float64(x))
    with settings.using("xla"):
        assert not layer.cell.runs(params, x)

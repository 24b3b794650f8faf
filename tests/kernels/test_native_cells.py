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


@needs_library
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("inputs", [700, 0])
def test_gradients_of_weights_from_many_sequences_of_wide_inputs_and_of_none(after, reverse, inputs):
    """More sequences than are summed at once; and the columns that want x take longer than those that do not.

    Sums of whole numbers are exact in any order.
    """
    rng, (time, batch, units) = np.random.default_rng(0), (3, 140, 17)
    sizes = {"x": inputs, "h": units, "delta": 3 * units, "inner": units}
    p = {name: rng.integers(-2, 3, (time, batch, size)).astype(np.float32) for name, size in sizes.items()}
    x, h, delta, inner = p.values()
    first = rng.integers(-2, 3, (batch, units)).astype(np.float32)
    before = np.concatenate([h[1:], first[None]] if reverse else [first[None], h[:-1]])
    others, last = delta[..., : 2 * units], delta[..., 2 * units :]
    wanted = {
        "Wx": np.einsum("tbi,tbg->ig", x, delta),
        "Wh": np.einsum("tbi,tbg->ig", before, np.concatenate([others, inner if after else last], axis=-1)),
        "b": delta.sum((0, 1)),
        "bh": inner.sum((0, 1)),
    }
    if not after:
        del wanted["bh"]
        wanted["Wh"][:, 2 * units :] = np.einsum("tbi,tbg->ig", inner, last)
    for _ in range(10):  # whoever writes last must have the same to write
        found = native.gru_weights(x, first, h, delta, inner, after, reverse)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


@needs_library
@pytest.mark.parametrize("size", [(0, 2), (4, 0)])
def test_no_steps_hand_on_what_comes_from_the_end_and_no_sequences_give_nothing(size):
    rng = np.random.default_rng(0)
    h, c, dh, dc = (jnp.asarray(rng.standard_normal((size[1], 3), np.float32)) for _ in range(4))
    none = [jnp.zeros((*size, 3 * gates)) for gates in range(5)]
    Wh = [jnp.ones((3, 3 * gates)) for gates in range(5)]
    given = [
        native.lstm_backward(none[4], none[1], c, Wh[4], None, dh, dc, False)[1:],
        native.gru_backward(none[3], None, none[1], h, Wh[3], None, dh, False)[2:],
        native.gru_backward(none[3], none[1], none[1], h, Wh[3], none[1], dh, True)[2:],
        native.rnn_backward(none[1], Wh[1], None, dh, False, False)[1:],
    ]
    jax.tree.map(np.testing.assert_array_equal, given, [(dh, dc), (dh,), (dh,), (dh,)])
    forward = [
        native.lstm(none[4], None, Wh[4], h, c, False)[1],
        native.gru(none[3], None, None, Wh[3], h, True, False)[2],
        native.rnn(none[1], None, Wh[1], h, False, False),
    ]
    assert {after.shape for after in forward} == {(*size, 3)}
    sums = native.gru_weights(none[1], h, none[1], none[3], none[1], True, False)
    assert not any(np.any(array) for array in sums.values())


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

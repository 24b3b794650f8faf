"""Whole sequences of an LSTM in one call, against the formulas in float64; and where the pure form serves instead."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.layer import Context
from denpa.kernels import native, settings
from denpa.kernels.native import loading
from denpa.layers.cell_lstm import LSTMCell

needs_library = pytest.mark.skipif(not native.available(), reason=native.reason())
SETS = native.instruction_sets()

# batch, time, features, units, reverse
SHAPES = [
    (5, 4, 3, 7, False),
    (1, 1, 2, 1, True),
    (70, 3, 5, 17, True),
    (3, 5, 140, 150, False),
    (2, 2, 320, 384, True),  # the sums of a gate's gradients are cut
]
BOUND = 2e-6  # relative to the largest value


@pytest.fixture
def restore():
    before = native.instruction_set()
    yield
    native.use_instruction_set(before)


def problem(batch, time, features, units, reverse, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (time, batch, features),
        "Wx": (features, 4 * units),
        "Wh": (units, 4 * units),
        "b": (4 * units,),
        **dict.fromkeys(("h", "c", "dh", "dc"), (batch, units)),
        "dy": (time, batch, units),
    }
    drawn = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    drawn["Wx"] /= np.float32(np.sqrt(features))
    drawn["Wh"] /= np.float32(np.sqrt(units))
    return SimpleNamespace(**drawn, drive=drawn["x"] @ drawn["Wx"], reverse=reverse, units=units)


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def textbook(p, dy):
    """Gates, h and c of every step, then δ, ∂E/∂h⁰, ∂E/∂c⁰ and the gradients, step by step in float64."""
    order = range(len(p.x))[:: -1 if p.reverse else 1]
    h, c, Wh = np.float64(p.h), np.float64(p.c), np.float64(p.Wh)
    gates, hs, cs = (np.zeros((*p.x.shape[:2], width)) for width in (4 * p.units, p.units, p.units))
    before = {}
    for t in order:
        before[t] = h, c
        i, f, g, o = np.split(np.float64(p.x[t]) @ p.Wx + p.b + h @ Wh, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        gates[t], hs[t], cs[t] = np.concatenate([i, f, g, o], axis=-1), h, c
    dh, dc, delta = np.float64(p.dh), np.float64(p.dc), np.zeros_like(gates)
    for t in reversed(order):
        (_, c), (i, f, g, o), squashed = before[t], np.split(gates[t], 4, axis=-1), np.tanh(cs[t])
        dh = dh + (0 if dy is None else dy[t])
        dc = dc + dh * o * (1 - squashed**2)
        parts = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * squashed * o * (1 - o)
        delta[t] = np.concatenate(parts, axis=-1)
        dh, dc = delta[t] @ Wh.T, dc * f
    dWx = sum(np.float64(p.x[t]).T @ delta[t] for t in order)
    dWh = sum(before[t][0].T @ delta[t] for t in order)
    return (gates, hs, cs), (delta, dh, dc), (dWx, dWh, delta.sum((0, 1)))


def computed(p, dy):
    """The same by the native kernels."""
    gates, h, c = native.lstm(p.drive, p.b, p.Wh, p.h, p.c, p.reverse)
    delta, dh, dc = native.lstm_backward(gates, c, p.c, p.Wh, dy, p.dh, p.dc, p.reverse)
    grads = native.recurrent_weights(p.x, p.h, h, delta, p.reverse)
    return (gates, h, c), (delta, dh, dc), (grads["Wx"], grads["Wh"], grads["b"])


def close(actual, wanted, bound=BOUND):
    assert actual.shape == wanted.shape
    assert actual.dtype == np.float32
    assert np.max(np.abs(actual - wanted)) <= bound * np.max(np.abs(wanted))


@needs_library
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_formulas(shape, restore):
    p = problem(*shape)
    for dy in (p.dy, None):
        wanted = textbook(p, dy)
        for name in SETS if dy is not None else SETS[:1]:
            native.use_instruction_set(name)
            jax.tree.map(close, computed(p, dy), wanted)


@needs_library
def test_tanh_and_sigmoid_to_a_few_units_of_the_last_place(restore):
    grid = np.concatenate([np.linspace(-12, 12, 4000), np.geomspace(1e-7, 12, 2000), -np.geomspace(1e-7, 12, 2000)])
    x = np.float32(np.concatenate([grid, [0.0, np.inf, -np.inf, np.nan]]))
    drive, zeros = np.tile(x, 4)[None, None], np.zeros((1, len(x)), np.float32)
    last_place = np.spacing(np.abs(np.tanh(x[:-1])))
    for name in SETS:
        native.use_instruction_set(name)
        # Without recurrent weights the gates are functions of the drive alone; four units at a time keep Wh small.
        shape = -1, 1, 4
        u = drive.reshape(4, *shape).transpose(1, 2, 0, 3).reshape(len(x) // 4, 1, 16)
        gates, _, _ = native.lstm(u, zeros[0, :16], np.zeros((4, 16), np.float32), zeros[:, :4], zeros[:, :4], False)
        i, f, g, o = (np.asarray(gate).ravel() for gate in np.split(np.asarray(gates), 4, axis=-1))
        wanted = np.tanh(np.float64(x[:-1]))
        assert np.all(np.abs(g[:-1] - wanted) <= 8 * last_place)
        assert np.max(np.abs(g[:-1])) == 1
        assert np.isnan(g[-1])
        for gate in (i, f, o):
            assert np.max(np.abs(gate[:-1] - (1 + np.tanh(np.float64(x[:-1]) / 2)) / 2)) <= 3e-7
            assert np.isnan(gate[-1])


@needs_library
def test_no_bit_depends_on_the_cut_of_the_batch_or_of_the_columns():
    p = problem(*SHAPES[2])
    first, backward, (dWx, dWh, db) = computed(p, p.dy)
    jax.tree.map(np.testing.assert_array_equal, (first, backward, (dWx, dWh, db)), computed(p, p.dy))
    for row in (0, 41, 69):
        one = slice(row, row + 1)
        parts = {name: getattr(p, name)[:, one] for name in ("x", "drive", "dy")}
        parts |= {name: getattr(p, name)[one] for name in ("h", "c", "dh", "dc")}
        alone = computed(SimpleNamespace(**{**vars(p), **parts}), parts["dy"])
        own = jax.tree.map(lambda a, one=one: a[..., one, :], (first, backward))
        jax.tree.map(np.testing.assert_array_equal, own, alone[:2])
    grads = native.recurrent_weights(p.x, p.h, first[1], backward[0][..., :34], p.reverse)
    fewer = grads["Wx"], grads["Wh"], grads["b"]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[..., :34], b), (dWx, dWh, db), fewer)


LAYER = dp.LSTM(9, return_sequences=True, return_carry=True, takes_carry=True, reverse=True)


def through(layer, params, x, dy):
    """Forward and backward in a program of its own: the kernels are chosen while it is traced."""

    def both(params, x, dy):
        y, saved = layer.forward(params, x)
        return y, layer.backward(params, saved, dy)

    return jax.jit(both)(params, x, dy)


def layer_problem():
    p = problem(6, 5, 4, 9, True)
    params = {name: jnp.asarray(getattr(p, name)) for name in ("Wx", "Wh", "b")}
    x, dy = ((np.swapaxes(a, 0, 1), *carry) for a, carry in ((p.x, (p.h, p.c)), (p.dy, (p.dh, p.dc))))
    return params, *jax.tree.map(jnp.asarray, (x, dy))


def test_a_layer_gives_what_the_pure_form_gives():
    given = layer_problem()
    with settings.using("xla"):
        assert not LAYER.cell.runs(given[0], given[1][0])
        wanted = through(LAYER, *given)
    assert LAYER.cell.runs(given[0], given[1][0]) == native.available()
    jax.tree.map(lambda a, b: close(a, np.asarray(b)), through(LAYER, *given), wanted)
    last = dp.LSTM(9)
    params, (x, *_), (dy, *_) = given
    with settings.using("xla"):
        wanted = through(last, params, x, dy[:, 0])
    found = through(last, params, x, dy[:, 0])
    jax.tree.map(lambda a, b: close(a, np.asarray(b)), found, wanted)


def test_members_of_a_sweep():
    params, x, dy = layer_problem()
    both = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    found = jax.vmap(lambda p: through(LAYER, p, x, dy))(both)
    jax.tree.map(lambda a, b: close(a[0], np.asarray(b)), found, through(LAYER, params, x, dy))


def test_where_the_pure_form_serves():
    params, (x, *_), _ = layer_problem()

    def text(layer, params=params, ctx=Context(), x=x):
        return jax.jit(lambda params, x: layer.forward(params, x, ctx)[0]).lower(params, x).as_text()

    assert ("denpa_lstm" in text(dp.LSTM(9))) == native.available()
    assert "denpa_lstm" not in text(dp.LSTM(9), ctx=Context(lengths=jnp.array([5, 4, 3, 2, 1, 5])))
    assert "denpa_lstm" not in text(dp.LSTM(9, segment=2))
    assert "denpa_lstm" not in text(dp.LSTM(9, peepholes=True), params | {"p": jnp.zeros((3, 9))})
    assert "denpa_lstm" not in text(dp.LSTM(9, activation="sigmoid"))
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, x))
    assert "denpa_lstm" not in text(dp.LSTM(9), half[0], x=half[1])
    recorded = jax.jit(lambda params, x: dp.LSTM(9).walk_forward(params, x, Context())[2]["h"].y).lower(params, x)
    assert "denpa_lstm" not in recorded.as_text()


def test_without_a_library_the_pure_form_serves(monkeypatch):
    given = layer_problem()
    found = through(LAYER, *given)
    monkeypatch.setattr(loading, "_loaded", None)
    monkeypatch.setenv("DENPA_NATIVE", "0")
    assert not LSTMCell(9).runs(given[0], given[1][0])
    jax.tree.map(lambda a, b: close(a, np.asarray(b)), found, through(LAYER, *given))

"""What is drawn of a recurrent network is what happened in it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.lab.figures import recurrent

STEPS = 6
RNG = np.random.default_rng(4)
WORDS, NEXT = RNG.integers(0, 5, (8, STEPS)), RNG.integers(0, 5, (8, STEPS))


@pytest.fixture(scope="module")
def model():
    net = dp.Sequential([dp.Embedding(5, 3), dp.LSTM(4, return_sequences=True), dp.Dense(5)])
    ours = dp.Model(net, dp.SoftmaxCrossEntropy())
    ours.fit((WORDS, NEXT), epochs=1, verbose=False)
    return ours


def test_gates_and_carry_of_a_sequence_are_those_of_the_formula(model):
    found = recurrent.gates_of(model, WORDS[0], NEXT[0])
    assert list(found) == ["f", "i", "o", "c", "h"]
    params = jax.tree.map(np.asarray, model.variables.params)
    cell, h, c = params["1_lstm"], np.zeros(4), np.zeros(4)
    for step, word in enumerate(WORDS[0]):
        u = params["0_embedding"]["W"][word] @ cell["Wx"] + h @ cell["Wh"] + cell["b"]
        i, f, _, o = (1 / (1 + np.exp(-part)) for part in np.split(u, 4))
        c = f * c + i * np.tanh(u[8:12])
        h = o * np.tanh(c)
        for name, value in {"f": f, "i": i, "o": o, "c": c, "h": h}.items():
            np.testing.assert_allclose(found[name][step], value, rtol=2e-4, atol=1e-6)


def test_the_reach_is_the_derivative_of_the_last_steps_error(model):
    """∂E_T/∂hᵗ: hand every hᵗ a nudge of its own and differentiate by it."""
    params = model.variables.params
    cell, embedded = params["1_lstm"], params["0_embedding"]["W"][WORDS[0]]

    def error(nudges):
        h, c = jnp.zeros(4), jnp.zeros(4)
        for word, nudge in zip(embedded, nudges, strict=True):
            i, f, g, o = jnp.split(word @ cell["Wx"] + h @ cell["Wh"] + cell["b"], 4)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c) + nudge
        logits = h @ params["2_dense"]["W"] + params["2_dense"]["b"]
        return jax.nn.logsumexp(logits) - logits[NEXT[0, -1]]

    expected = jnp.linalg.norm(jax.jit(jax.grad(error))(jnp.zeros((STEPS, 4))), axis=-1)
    found = recurrent.reach_of(model, WORDS[0], NEXT[0])
    np.testing.assert_allclose(found / found[-1], expected / expected[-1], rtol=1e-4)


def test_pictures_are_written(model, tmp_path):
    found = recurrent.gates_of(model, WORDS[0], NEXT[0])
    figure = recurrent.gates(found, list("to be\n"), tmp_path / "gates.png")
    for axes, values in zip(figure.axes, found.values(), strict=False):  # units over steps
        np.testing.assert_array_equal(axes.images[0].get_array(), values.T)
    norms = recurrent.reach_of(model, WORDS[0], NEXT[0])
    (axes,) = recurrent.reach(norms, tmp_path / "reach.png").axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), norms[::-1])  # that of the last step is 0 steps back
    assert (tmp_path / "gates.png").stat().st_size > 5000
    assert (tmp_path / "reach.png").stat().st_size > 5000

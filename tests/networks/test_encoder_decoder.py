"""Encoder and decoder: gradients with lengths on both sides, the textbook's loop, padding, what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree
from denpa.networks import with_carry
from denpa.testing import check_gradients

SOURCE, TARGET = 5, 6  # vocabularies
STEPS = ((4,), (5,))


def drawn(net, seed=0, dtype=np.float32):
    """Asymmetric parameters."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), STEPS))
    return jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(a.shape), dtype), shapes)


def batch(seed=1):
    rng = np.random.default_rng(seed)
    lengths = np.array([2, 5, 3])
    source = dp.Padded(rng.integers(0, SOURCE, (3, 4)), np.array([4, 1, 3]))
    shifted, t = (dp.Padded(rng.integers(0, TARGET, (3, 5)), lengths) for _ in range(2))
    return (source, shifted), t


def plain(**options):
    return dp.EncoderDecoder(
        [dp.Embedding(SOURCE, 3), dp.RNN(4)], [dp.Embedding(TARGET, 2), dp.RNN(4), dp.Dense(TARGET)], **options
    )


def test_gradients_by_three_ways_with_lengths_on_both_sides():
    net, (x, t) = plain(attention=dp.AdditiveAttention(3), peeky=True, context="mean"), batch()
    report = check_gradients(net, dp.SoftmaxCrossEntropy(), drawn(net), x, t, entries=12)
    assert {"attention.grads[v]", "encoder/1_rnn.grads[Wh]", "words/0_embedding.grads[W]"} <= set(report.autodiff)


STACK = (
    [dp.Embedding(SOURCE, 3), dp.RNN(3, "sigmoid"), dp.Bidirectional(dp.RNN(2))],
    [dp.Embedding(TARGET, 2), dp.RNN(3), dp.Dense(3), dp.RNN(4), dp.Dense(TARGET)],
)
MEMORY = [dp.Embedding(SOURCE, 3), dp.LSTM(2)], [dp.Embedding(TARGET, 2), dp.LSTM(2), dp.Dense(TARGET)]


@pytest.mark.parametrize(
    "net",
    [
        dp.EncoderDecoder(*STACK),
        dp.EncoderDecoder(*MEMORY, context="mean"),  # in the place of h; c starts from the encoder's c
        plain(attention=dp.DotAttention(), peeky=True),
    ],
    ids=["stack, both directions", "mean", "attention, peeky"],
)
def test_the_fast_path_backward_is_the_derivative(net):
    with jax.enable_x64(True):
        (params, _), (x, _) = drawn(net, dtype=np.float64), batch()
        dy = jnp.asarray(np.random.default_rng(4).standard_normal((3, 5, TARGET)))
        dy = jnp.where(np.arange(5)[:, None] < x[1].lengths[:, None, None], dy, 0)  # as a loss leaves padding out

        @jax.jit
        def both(params):
            grads = net.backward(params, net.forward(params, x)[1], dy)[1]
            return grads, jax.vjp(lambda p: net.forward(p, x)[0], params)[1](dy)[0]

        grads, expected = both(params)
    for (path, a), b in zip(tree.flatten(grads).items(), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("context", ["last", "mean"])
def test_the_forward_pass_is_the_textbook_s(context):
    """z = f(x, z), c = q(z), h starts from c, α = softmax(h zᵀ), and c enters every step."""
    net = plain(attention=dp.DotAttention(), peeky=True, context=context)
    variables = drawn(net)
    x = (np.array([[3, 0, 4, 1]]), np.array([[5, 2, 0, 1, 3]]))
    p = jax.tree.map(np.asarray, variables.params)
    z, memory = np.zeros(4), []
    for word in x[0][0]:
        cell = p["encoder"]["1_rnn"]
        z = np.tanh(p["encoder"]["0_embedding"]["W"][word] @ cell["Wx"] + z @ cell["Wh"] + cell["b"])
        memory.append(z)
    memory = np.array(memory)
    c = h = z if context == "last" else memory.sum(axis=0) / len(memory)
    for k, word in enumerate(x[1][0]):
        cell = p["decoder"]["0_rnn"]
        reads = np.concatenate([p["words"]["0_embedding"]["W"][word], c])
        h = np.tanh(reads @ cell["Wx"] + h @ cell["Wh"] + cell["b"])
        alpha = np.exp(memory @ h) / np.exp(memory @ h).sum()
        logits = np.concatenate([h, alpha @ memory, c]) @ p["output"]["0_dense"]["W"] + p["output"]["0_dense"]["b"]
        np.testing.assert_allclose(net.apply(variables, x)[0, k], logits, rtol=2e-5, atol=1e-6)


def test_padding_leaves_no_trace():
    net = plain(attention=dp.AdditiveAttention(3), peeky=True, context="mean")
    loss, variables, ((source, shifted), t) = dp.SoftmaxCrossEntropy(), drawn(net), batch()
    met = dp.trace(net, loss, variables, (source, shifted), t)

    def spoiled(part):
        behind = np.arange(part.values.shape[1]) >= part.lengths[:, None]
        return dp.Padded(np.where(behind, 99, part.values), part.lengths)  # a word that no vocabulary has

    again = dp.trace(net, loss, variables, (spoiled(source), spoiled(shifted)), t)
    np.testing.assert_array_equal(met.loss, again.loss)
    for (path, a), b in zip(tree.flatten(met.grads).items(), jax.tree.leaves(again.grads), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)
    alignment = met["attention"].saved["alignment"]
    for row, (s, k) in enumerate(zip(source.lengths, shifted.lengths, strict=True)):
        np.testing.assert_array_equal(alignment[row, :, s:], 0)
        if row == 2:  # as if the sequence came alone
            alone = net.apply(variables, (source.values[row : row + 1, :s], shifted.values[row : row + 1, :k]))
            np.testing.assert_allclose(met.output[row, :k], alone[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jnp.sum(alignment, axis=-1), 1, rtol=1e-6)


def test_sizes_names_and_files():
    net = dp.EncoderDecoder(
        dp.Sequential([dp.Embedding(SOURCE, 3), dp.Bidirectional(dp.LSTM(2))]),
        [dp.Embedding(TARGET, 2), ("writer", dp.LSTM(4)), dp.Dense(TARGET)],
        attention=dp.DotAttention("general"),
        context="mean",
    )
    assert net.out_shape(STEPS) == (5, TARGET)
    assert net.takes_integers == (True, True)
    heard = dp.EncoderDecoder([dp.Dense(3), dp.LSTM(4)], [dp.Embedding(TARGET, 2), dp.LSTM(4), dp.Dense(TARGET)])
    assert heard.takes_integers == (False, True)
    params = drawn(net).params
    assert params["decoder"]["writer"]["Wh"].shape == (4, 16)
    assert params["output"]["0_dense"]["W"].shape == (8, TARGET)  # state and what attention looked up
    assert dp.from_config(dp.to_config(net)) == net


def test_refusals():
    reads, writes = [dp.Embedding(5, 3), dp.RNN(4)], [dp.Embedding(6, 2), dp.RNN(4), dp.Dense(6)]
    with pytest.raises(dp.ConfigError, match="must end in a recurrent layer"):
        dp.EncoderDecoder([*reads, dp.Dense(2)], writes)
    with pytest.raises(dp.ConfigError, match="between a layer that reads words"):
        dp.EncoderDecoder(reads, writes[:2])
    with pytest.raises(dp.ConfigError, match="between a layer that reads words"):
        dp.EncoderDecoder(reads, writes[1:])
    with pytest.raises(dp.ConfigError, match="encoder wants a list of layers, not RNN"):
        dp.EncoderDecoder(dp.RNN(4), writes)
    with pytest.raises(dp.ConfigError, match="make them alike"):
        dp.EncoderDecoder(reads, [dp.Embedding(6, 2), dp.RNN(5), dp.Dense(6)])
    with pytest.raises(dp.ConfigError, match="first word to the last"):
        dp.EncoderDecoder(reads, [dp.Embedding(6, 2), dp.RNN(4, reverse=True), dp.Dense(6)])
    with pytest.raises(dp.ConfigError, match="merge"):
        dp.EncoderDecoder([dp.Embedding(5, 3), dp.Bidirectional(dp.RNN(2), "sum")], writes)
    with pytest.raises(dp.ConfigError, match="attention wants a layer"):
        dp.EncoderDecoder(reads, writes, attention=True)
    with pytest.raises(dp.ConfigError, match='context must be "last" or "mean", not'):
        dp.EncoderDecoder(reads, writes, context="first")
    with pytest.raises(dp.ConfigError, match="takes no windows"):
        with_carry(dp.EncoderDecoder(reads, writes), {}, 1, None)
    with pytest.raises(dp.ShapeError, match=r"wants \(source, shifted\)"):
        dp.EncoderDecoder(reads, writes).out_shape((4,))

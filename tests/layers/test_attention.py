"""What attention promises: a weighted mean over the true steps of the memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp

LAYERS = [dp.DotAttention(), dp.DotAttention("scaled"), dp.DotAttention("general"), dp.AdditiveAttention(5)]


def pair(seed: int = 0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((3, 2, 4), (3, 6, 4)))


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_the_context_is_a_weighted_mean_of_the_memory(layer):
    x = pair()
    y, saved = layer.forward(layer.init(jax.random.key(0), ((2, 4), (6, 4))), x)
    alignment = np.asarray(saved["alignment"])
    np.testing.assert_allclose(alignment.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(y, np.einsum("nts,nsf->ntf", alignment, x[1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_padding_of_the_memory_weighs_nothing_and_gets_no_delta(layer):
    (queries, memory), lengths = pair(), jnp.array([6, 1, 4])
    mask = np.arange(6) < np.asarray(lengths)[:, None]
    params, ctx = layer.init(jax.random.key(0), ((2, 4), (6, 4))), dp.Context(lengths=lengths)
    dy = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2, 4)), jnp.float32)
    found = []
    for filling in (5.0, -7.0):
        y, saved = layer.forward(params, (queries, jnp.where(mask[..., None], memory, filling)), ctx)
        found.append((y, layer.backward(params, saved, dy)))
        assert not np.any(np.asarray(saved["alignment"])[~np.broadcast_to(mask[:, None], (3, 2, 6))])
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(a, b)
    alone = layer.forward(params, (queries[2:], memory[2:, :4]))[0]
    np.testing.assert_allclose(found[0][0][2:], alone, rtol=1e-5, atol=1e-6)
    assert not np.any(np.asarray(found[0][1][0][1])[~mask])


def test_dot_attention_is_the_published_formula():
    queries, memory = (np.asarray(part, np.float64) for part in pair())
    scores = np.einsum("nta,nsa->nts", queries, memory)
    for score, factor in (("dot", 1.0), ("scaled", 0.5)):
        weights = np.exp(factor * scores)
        expected = (weights / weights.sum(-1, keepdims=True)) @ memory
        y, _ = dp.DotAttention(score).forward({}, pair())
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_additive_attention_is_the_published_formula():
    layer, (queries, memory) = dp.AdditiveAttention(5), pair()
    params = layer.init(jax.random.key(3), ((2, 4), (6, 4)))
    params["b"] = jnp.linspace(-1, 1, 5)
    p = {name: np.asarray(value, np.float64) for name, value in params.items()}
    q, m = np.asarray(queries, np.float64), np.asarray(memory, np.float64)
    expected = np.zeros((3, 2, 4))
    for n in range(3):
        for t in range(2):
            e = np.array([p["v"] @ np.tanh(q[n, t] @ p["Wq"] + m[n, s] @ p["Wm"] + p["b"]) for s in range(6)])
            expected[n, t] = np.exp(e) @ m[n] / np.exp(e).sum()
    np.testing.assert_allclose(layer.forward(params, pair())[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "in_shape", "message"),
    [
        (dp.DotAttention(), ((2, 4), (3, 5)), 'score="general"'),
        (dp.DotAttention(), (2, 4), r"wants \(queries, memory\)"),
        (dp.AdditiveAttention(3), ((2, 4), (3,)), r"wants \(queries, memory\)"),
    ],
)
def test_what_does_not_fit_is_refused(layer, in_shape, message):
    with pytest.raises(dp.ShapeError, match=message):
        layer.out_shape(in_shape)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(dp.ConfigError, match="general"):
        dp.DotAttention("cosine")
    with pytest.raises(dp.ConfigError, match="positive"):
        dp.AdditiveAttention(0)

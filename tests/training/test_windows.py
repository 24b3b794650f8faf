"""Truncated back-propagation through time: fit(..., window=...)."""

from __future__ import annotations

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.networks.carried import with_carry, without_carry
from denpa.training.program import Run
from denpa.training.windows import in_windows

BATCH, TIME, CLASSES = 3, 7, 4
LENGTHS = np.array([7, 2, 5])
RNG = np.random.default_rng(0)
X, T = RNG.integers(0, CLASSES, (BATCH, TIME)), RNG.integers(0, CLASSES, (BATCH, TIME))


def network():
    return dp.Sequential(
        [dp.Embedding(CLASSES, 2), ("cell", dp.GRU(3, return_sequences=True)), ("out", dp.Dense(CLASSES))]
    )


def fitted(window, x=X, t=T, weight=(), **options):
    model = dp.Model(network(), loss=dp.SoftmaxCrossEntropy(), optimizer=dp.SGD(0.5), seed=1)
    model.fit((x, t, *weight), epochs=2, batch_size=BATCH, shuffle=False, verbose=False, window=window, **options)
    return model


def by_hand(window, frozen=()):
    """The same with the carry passed as an array, one update for each window."""
    net, loss = network(), dp.SoftmaxCrossEntropy()
    layers = dict(net.inner())
    params = dp.Model(net, loss=loss, seed=1, in_shape=(TIME,)).variables.params
    carried = layers["cell"].replace(return_carry=True, takes_carry=True)
    losses = []
    for _ in range(2):
        carry, total, count = jnp.zeros((BATCH, 3)), 0.0, 0.0
        for start in range(0, TIME, window):
            x, t = jnp.asarray(X[:, start : start + window]), T[:, start : start + window]
            left = np.clip(LENGTHS - start, 0, x.shape[1])
            weight = 1.0 * (np.arange(t.shape[1]) < left[:, None])
            words, saved0 = layers["0_embedding"].forward(params["0_embedding"], x)
            (y, after), saved1 = carried.forward(params["cell"], (words, carry), dp.Context(lengths=jnp.asarray(left)))
            logits, saved2 = layers["out"].forward(params["out"], y)
            dy, out = layers["out"].backward(params["out"], saved2, loss.delta(logits, t, weight))
            (dx, _), cell = carried.backward(params["cell"], saved1, (dy, jnp.zeros_like(after)))  # cut here
            _, words = layers["0_embedding"].backward(params["0_embedding"], saved0, dx)
            sums = loss.sums(logits, t, weight)
            total, count, carry = total + float(sums[0]), count + float(sums[1]), after
            grads = {"0_embedding": words, "cell": cell, "out": out}
            moved = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
            params = moved | {name: params[name] for name in frozen}
        losses.append(total / count)
    return params, losses


def close(one, two):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_each_window_makes_an_update_and_hands_its_carry_on():
    """Seven steps in windows of three: the last is of one step. Sequences that have ended wait."""
    model = fitted(3, dp.Padded(X, LENGTHS))
    params, losses = by_hand(3)
    close(model.variables.params, params)
    assert model.history["loss"] == pytest.approx(losses, rel=1e-5)
    assert model.variables.state == {}
    assert model.steps == 2
    # What padding is to lengths, steps of weight 0 are to weights.
    close(fitted(3, weight=(1.0 * (np.arange(TIME) < LENGTHS[:, None]),)).variables.params, params)


def test_a_frozen_layer_hands_its_carry_on_all_the_same():
    """The carry is state and stands below the layer's name, but it is not what was frozen."""
    model = dp.Model(network(), loss=dp.SoftmaxCrossEntropy(), optimizer=dp.SGD(0.5), seed=1, frozen="cell/*")
    data = dp.Padded(X, LENGTHS), T
    model.fit(data, epochs=2, batch_size=BATCH, shuffle=False, verbose=False, window=3)
    close(model.variables.params, by_hand(3, frozen=["cell"])[0])


def test_one_window_is_the_whole_sequence():
    close(fitted(TIME).variables.params, fitted(None).variables.params)


def test_a_window_behind_the_end_of_all_sequences_changes_nothing():
    """Not even by an optimiser that goes on by itself."""
    short = np.array([3, 1, 2])
    models = []
    for time in (3, TIME):
        model = dp.Model(network(), loss=dp.SoftmaxCrossEntropy(), optimizer=dp.Momentum(0.1), seed=1)
        data = dp.Padded(X[:, :time], short), T[:, :time]
        models.append(model)
        model.fit(data, epochs=2, batch_size=BATCH, shuffle=False, verbose=False, window=3)
    close(models[0].variables.params, models[1].variables.params)


def test_a_network_goes_on_from_the_carry_in_its_state():
    net = network()
    variables = net.init(jax.random.key(0), (TIME,))
    whole = net.apply(variables, X)
    state, parts = with_carry(net, variables.state, BATCH, jnp.float32), []
    for start in (0, 4):
        ctx = dp.Context(state=state)
        y, saved = net.forward(variables.params, jnp.asarray(X[:, start : start + 4]), ctx)
        state = net.next_state(state, saved)
        parts.append(y)
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), whole, rtol=1e-5, atol=1e-6)


def test_a_run_in_windows_is_resumed_to_the_same_bits(tmp_path):
    straight = dp.Model(network(), loss=dp.SoftmaxCrossEntropy(), penalty=dp.L2(0.1), seed=1)
    options = {"batch_size": 2, "verbose": False}
    straight.fit((X, T), epochs=4, window=3, **options)
    stopped = dp.Model(network(), loss=dp.SoftmaxCrossEntropy(), penalty=dp.L2(0.1), seed=1)
    stopped.fit((X, T), epochs=2, window=3, callbacks=[dp.Checkpoint(str(tmp_path))], **options)
    again = dp.Model(network(), loss=dp.SoftmaxCrossEntropy(), penalty=dp.L2(0.1), seed=1)
    with pytest.raises(dp.ConfigError, match="window"):
        again.fit((X, T), epochs=4, window=4, resume=str(tmp_path), **options)
    again.fit((X, T), epochs=4, window=3, resume=str(tmp_path), **options)
    for a, b in zip(*(jax.tree.leaves(m.variables) for m in (straight, again)), strict=True):
        np.testing.assert_array_equal(a, b)
    penalty = float(dp.L2(0.1).value(straight.variables.params))  # a mean over the windows, not their sum
    assert straight.history["penalty"][-1] == pytest.approx(penalty, rel=0.5)


def refused(net=None, t=T, window=3):
    model = dp.Model(net or network(), loss=dp.SoftmaxCrossEntropy())
    model.fit((X, t), epochs=1, verbose=False, window=window)


BOTH = dp.Sequential([dp.Embedding(4, 2), dp.Bidirectional(dp.GRU(3, return_sequences=True)), dp.Dense(CLASSES)])
LAST = dp.Sequential([dp.Embedding(4, 2), dp.GRU(3), dp.Dense(CLASSES)])
PLAIN = dp.Sequential([dp.Embedding(4, 2), dp.Dense(CLASSES)])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"window": 0}, dp.ConfigError, "window must be a whole number, 1 or more"),
        ({"window": 2.5}, dp.ConfigError, "window must be a whole number, 1 or more"),
        ({"window": 8}, dp.DataError, "longer than the sequences, which have 7"),
        ({"net": PLAIN}, dp.ConfigError, "there is none"),
        ({"net": BOTH}, dp.ConfigError, "from their end"),
        ({"net": LAST, "t": T[:, 0]}, dp.DataError, "same steps"),
    ],
)
def test_what_cannot_be_cut_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        refused(**options)


def test_statistics_stay_where_the_carries_are_taken_out_of_the_state_again():
    net = dp.Sequential([dp.BatchNorm(), dp.GRU(3, return_sequences=True)])
    params, before = net.init(jax.random.key(0), (5, 2))
    state = with_carry(net, before, 4, jnp.float32)
    x = jnp.asarray(np.random.default_rng(2).standard_normal((4, 5, 2)), jnp.float32)
    _, saved = net.forward(params, x, dp.Context(train=True, state=state))
    after = without_carry(net.next_state(state, saved), before)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    assert not np.allclose(after["0_batchnorm"]["mean"], before["0_batchnorm"]["mean"])


def test_a_layer_that_is_given_its_carry_keeps_none():
    layer, given = dp.GRU(3), dp.GRU(3, takes_carry=True)
    assert with_carry(given, {}, 2, jnp.float32) == {}
    assert with_carry(layer, {}, 2, jnp.float32)["carry"][0].shape == (2, 3)


def test_a_shared_layer_would_need_two_carries():
    x, cell = dp.Input(), dp.GRU(3, return_sequences=True)
    once = cell(dp.Embedding(4, 2)(x), name="cell")
    net = dp.Graph(x, dp.Dense(CLASSES)(cell(dp.Dense(2)(once), name="cell")))
    for whole in (net, dp.Tied(net, (dp.Tie("cell/b", "cell/b", at=(1,), source_at=(0,)),))):
        with pytest.raises(dp.ConfigError, match=r"'cell@2' shares the layer 'cell'.* name them apart"):
            refused(whole)


def test_each_window_draws_for_itself():
    recipe = types.SimpleNamespace(net=network(), window=3, cast=lambda params: params)
    blank = Run({"W": jnp.zeros(1)}, {}, None, jax.random.key(1), jnp.int32(0))
    x = np.broadcast_to(np.arange(TIME), (BATCH, TIME))

    def drawn(key):
        def step(run, statistics, x, t, weight):
            return run, {"drawn": jax.nn.one_hot(x[0, 0] // 3, 3) * jax.random.uniform(run.key)}

        after, log = in_windows(step, recipe, dataclasses.replace(blank, key=key), None, x, x, None)
        assert jnp.array_equal(jax.random.key_data(after.key), jax.random.key_data(key))
        return np.asarray(log["drawn"])

    ours = drawn(blank.key)
    assert len(set(ours.tolist())) == 3
    np.testing.assert_array_equal(drawn(blank.key), ours)
    assert not np.any(drawn(jax.random.key(9)) == ours)

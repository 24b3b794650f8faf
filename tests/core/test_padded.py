"""Padded sequences: the steps behind a sequence's end leave no trace."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.padded import step_weights


def sequences(seed: int = 0, batch: int = 3, time: int = 5, features: int = 2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((batch, time, features)).astype(np.float32), np.array([5, 1, 3])


def test_weights_are_zero_behind_the_end_and_keep_the_samples_own():
    loss, (x, lengths) = dp.MeanSquaredError(half=False), sequences()
    y = jnp.zeros((3, 5, 4))
    own = np.array([1.0, 2.0, 3.0])
    weight = step_weights(dp.SoftmaxCrossEntropy(), dp.Padded(x, lengths), y, jnp.zeros((3, 5), int), own)
    expected = own[:, None] * (np.arange(5) < lengths[:, None])
    np.testing.assert_array_equal(weight, expected)
    assert step_weights(loss, x, y, y, None) is None
    one = jnp.zeros((3, 4))  # an output for the whole sequence has no steps
    assert step_weights(loss, dp.Padded(x, lengths), one, one, own) is own


@pytest.mark.parametrize("train", [True, False])
def test_what_stands_in_the_padding_is_of_no_account(train):
    net = dp.Sequential([dp.Dense(4), dp.BatchNorm(), dp.Tanh(), dp.Dense(3)])
    x, lengths = sequences()
    t = np.random.default_rng(1).integers(0, 3, (3, 5))
    variables, loss = net.init(jax.random.key(0), x.shape[1:]), dp.SoftmaxCrossEntropy()
    mask = (np.arange(5) < lengths[:, None])[..., None]
    one = dp.backprop(
        net, loss, variables, dp.Padded(np.where(mask, x, 7.0).astype(np.float32), lengths), t, train=train
    )
    two = dp.backprop(
        net, loss, variables, dp.Padded(np.where(mask, x, -9.0).astype(np.float32), lengths), t, train=train
    )
    for a, b in zip(*(jax.tree.leaves((s.loss, s.grads, s.dx, s.state)) for s in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.any(np.asarray(one.dx)[~mask[..., 0]])


@pytest.mark.parametrize("held", [np.nan, np.inf])
@pytest.mark.parametrize(
    "layers", [[dp.Dense(4), dp.Tanh()], [dp.PReLU(), dp.LSTM(3, return_sequences=True)]], ids=["steps", "recurrent"]
)
def test_nothing_that_is_not_a_number_comes_out_of_the_padding(layers, held):
    net, loss, (x, lengths) = dp.Sequential([*layers, dp.Dense(3)]), dp.SoftmaxCrossEntropy(), sequences()
    t = np.random.default_rng(1).integers(0, 3, (3, 5))
    variables, mask = net.init(jax.random.key(0), x.shape[1:]), (np.arange(5) < lengths[:, None])[..., None]
    clean, spoiled = (dp.Padded(np.where(mask, x, np.float32(value)), lengths) for value in (0.0, held))
    one, two = (dp.backprop(net, loss, variables, padded, t) for padded in (clean, spoiled))
    for a, b in zip(*(jax.tree.leaves((s.loss, s.grads, s.dx, s.output)) for s in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_number_that_is_no_word_may_stand_in_the_padding():
    lengths = np.array([5, 1, 3])
    words = np.where(np.arange(5) < lengths[:, None], np.random.default_rng(0).integers(0, 6, (3, 5)), -1)
    model = dp.Model([dp.Embedding(6, 3), dp.Dense(3), dp.Tanh(), dp.LSTM(4), dp.Dense(3)], dp.SoftmaxCrossEntropy())
    history = model.fit((dp.Padded(words, lengths), np.arange(3)), epochs=2, verbose=False)
    assert np.isfinite(history["loss"]).all()


def test_batch_statistics_and_gradients_are_those_of_the_true_steps_alone():
    net, loss = dp.Sequential([dp.Dense(4), dp.BatchNorm(), dp.Tanh(), dp.Dense(3)]), dp.SoftmaxCrossEntropy()
    x, lengths = sequences()
    t = np.random.default_rng(1).integers(0, 3, (3, 5))
    variables = net.init(jax.random.key(0), x.shape[1:])
    padded = dp.backprop(net, loss, variables, dp.Padded(x, lengths), t)
    mask = np.arange(5) < lengths[:, None]
    flat = dp.backprop(net, loss, variables, x[mask], t[mask])
    for a, b in zip(*(jax.tree.leaves((s.loss, s.grads, s.state)) for s in (padded, flat)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    dp.testing.check_gradients(net, loss, variables, dp.Padded(x, lengths), t)


def test_fit_evaluate_and_predict_take_padded_sequences():
    x, lengths = sequences(batch=3)
    t = np.random.default_rng(1).integers(0, 3, (3, 5))
    model = dp.Model([dp.Dense(3)], loss=dp.SoftmaxCrossEntropy(), metrics=[dp.Accuracy()], seed=0)
    data = dp.Padded(x, lengths), dp.Padded(t, lengths)
    model.fit(data, validation=data, epochs=2, batch_size=3, verbose=False)
    mask = np.arange(5) < lengths[:, None]
    hits = (model.predict(dp.Padded(x, lengths)).argmax(-1) == t)[mask].mean()
    assert model.evaluate(data)["accuracy"] == pytest.approx(hits)


@pytest.mark.parametrize(
    "lengths", [np.array([5, 0, 3]), np.array([5, 6, 3]), np.array([5.0, 1.0, 3.0]), np.array([5, 1])]
)
def test_lengths_that_cannot_be_are_refused(lengths):
    x, _ = sequences()
    model = dp.Model([dp.Dense(3)], loss=dp.SoftmaxCrossEntropy())
    with pytest.raises(dp.DataError, match="length"):
        model.fit((dp.Padded(x, lengths), np.zeros((3, 5), int)), epochs=1, verbose=False)

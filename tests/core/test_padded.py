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


def graph(*layers):
    """The layers one behind the other, as a graph."""
    nodes = [dp.Input()]
    for layer in layers:
        nodes.append(layer(nodes[-1]))
    return dp.Graph(nodes[0], nodes[-1])


ALONG_TIME = {
    "convolutions": (dp.Dense(4), dp.Conv1d(3, 3, padding="same"), dp.ReLU(), dp.Conv1d(2, 2, padding="same")),
    "dilated": (dp.Conv1d(3, 3, padding=2, dilation=2), dp.Tanh(), dp.LSTM(3)),
    "one for the sequence": (dp.GRU(10), dp.ActivityL1(0.1), dp.Reshape((5, 2)), dp.Conv1d(3, 2), dp.Flatten()),
    "nested": (dp.Sequential([dp.LSTM(10)]), dp.Reshape((5, 2)), dp.LSTM(2, return_sequences=True)),
}


@pytest.mark.parametrize("build", [lambda *layers: dp.Sequential(layers), graph], ids=["sequential", "graph"])
@pytest.mark.parametrize("layers", ALONG_TIME.values(), ids=ALONG_TIME)
def test_a_padded_sequence_gives_what_it_gives_alone(layers, build):
    net, (x, lengths) = build(*layers), sequences()
    variables = net.init(jax.random.key(0), x.shape[1:])
    together = net.apply(variables, dp.Padded(x, lengths))
    for row, length in enumerate(lengths):
        alone = net.apply(variables, x[row : row + 1, :length])[0]
        same_steps = together.ndim == 3 and alone.shape[0] == length
        np.testing.assert_allclose(together[row, :length] if same_steps else together[row], alone, atol=2e-6)


@pytest.mark.parametrize("layers", [*ALONG_TIME.values(), (dp.Dense(3), dp.Flatten())], ids=[*ALONG_TIME, "flat"])
def test_padding_reaches_no_gradient_along_time(layers):
    net, (x, lengths) = dp.Sequential([*layers, dp.Dense(2)]), sequences()
    variables, mask = net.init(jax.random.key(0), x.shape[1:]), (np.arange(5) < lengths[:, None])[..., None]
    t = np.random.default_rng(1).standard_normal((3, *net.out_shape(x.shape[1:]))).astype(np.float32)
    clean, spoiled = (dp.Padded(np.where(mask, x, np.float32(value)), lengths) for value in (0.0, 7.0))
    one, two = (dp.backprop(net, dp.MeanSquaredError(), variables, padded, t) for padded in (clean, spoiled))
    for a, b in zip(*(jax.tree.leaves((s.loss, s.grads, s.dx)) for s in (one, two)), strict=True):
        np.testing.assert_array_equal(a, b)
    dp.testing.check_gradients(net, dp.MeanSquaredError(), variables, spoiled, t)


@pytest.mark.parametrize("build", [lambda *layers: dp.Sequential(layers), graph], ids=["sequential", "graph"])
@pytest.mark.parametrize(
    "layer",
    [dp.Conv1d(2, 3), dp.Conv1d(2, 2, stride=2), dp.Reshape((2, 5)), dp.Conv1d(2, 3, padding="circular")],
    ids=repr,
)
def test_padded_sequences_keep_their_number_of_steps(layer, build):
    net, (x, lengths) = build(dp.Tanh(), layer), sequences()
    variables = net.init(jax.random.key(0), x.shape[1:])
    with pytest.raises(dp.ShapeError, match=r"Layer '.*(conv1d|reshape).*padded sequences"):
        net.apply(variables, dp.Padded(x, lengths))


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


def test_lists_inside_are_read_as_arrays_are():
    net, (x, lengths) = dp.Sequential([dp.LSTM(3)]), sequences()
    variables, t = net.init(jax.random.key(0), x.shape[1:]), np.zeros((3, 3), np.float32)
    arrays = dp.backprop(net, dp.MeanSquaredError(), variables, dp.Padded(x, lengths), t)
    lists = dp.backprop(net, dp.MeanSquaredError(), variables, dp.Padded(x.tolist(), lengths.tolist()), t.tolist())
    np.testing.assert_array_equal(arrays.loss, lists.loss)
    with pytest.raises(dp.DataError, match=r"Padded\.values has rows of unlike length"):
        dp.Padded([[1, 2], [3]], [2, 1])

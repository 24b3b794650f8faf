"""A model of sequences takes those of other lengths than the first ones; of others it still wants its own shape."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp

QUIET = {"epochs": 1, "batch_size": 5, "verbose": False}
RNG = np.random.default_rng(0)
X, WORDS = RNG.normal(size=(10, 9, 2)).astype(np.float32), RNG.integers(0, 7, (10, 9))
LABELS, STEPS = np.arange(10) % 3, RNG.integers(0, 3, (10, 9))
LENGTHS = np.arange(10) % 3 + 1


def fitted(layers, x, t, **options):
    made = dp.Model(layers, dp.SoftmaxCrossEntropy(), dp.SGD(0.1), **options)
    made.fit((x, t), **QUIET)
    return made


NETWORKS = {
    "the last step": ([dp.LSTM(4, return_sequences=False), dp.Dense(3)], X, LABELS),
    "every step": ([dp.Bidirectional(dp.GRU(3, return_sequences=True)), dp.Dense(3)], X, STEPS),
    "words": ([dp.Embedding(7, 3), dp.RNN(4, return_sequences=False), dp.Dense(3)], WORDS, LABELS),
    "words without recurrence": ([dp.Embedding(7, 3), dp.Dense(3)], WORDS, STEPS),
}


@pytest.mark.parametrize("length", [3, 9])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("case", list(NETWORKS))
def test_sequences_of_another_length(case, padded, length):
    """predict and evaluate are `net.apply` and its loss, a second fit goes on; in_shape stays that of the first."""
    layers, x, t = NETWORKS[case]
    made = fitted(layers, x[:, :6], t if t.ndim == 1 else t[:, :6])
    x, t = x[:, :length], t if t.ndim == 1 else t[:, :length]
    x = dp.Padded(x, LENGTHS) if padded else x
    y = np.asarray(made.net.apply(made.variables, x))
    true, weight = np.ones(t.shape, bool), None
    if padded and t.ndim > 1:  # what stands behind the ends is of no account
        true = np.arange(length) < LENGTHS[:, None]
        weight = true.astype(np.float32)
    np.testing.assert_allclose(made.predict(x)[true], y[true], atol=1e-6)
    loss = float(dp.SoftmaxCrossEntropy().value(y, t, weight))
    np.testing.assert_allclose(made.evaluate((x, t))["loss"], loss, rtol=1e-5)
    history = made.fit((x, t), validation=(x, t), shuffle=False, **QUIET)
    assert made.epochs == 2
    assert history["validation_loss"][-1] == pytest.approx(made.evaluate((x, t))["loss"], rel=1e-5)
    assert made.in_shape[0] == 6


def test_validation_data_may_be_longer():
    made = dp.Model(NETWORKS["the last step"][0], dp.SoftmaxCrossEntropy())
    history = made.fit((X[:, :4], LABELS), validation=(X, LABELS), **QUIET)
    np.testing.assert_allclose(history["validation_loss"][-1], made.evaluate((X, LABELS))["loss"], rtol=1e-5)


def test_a_loaded_model_and_members_take_other_lengths(tmp_path):
    made = fitted(NETWORKS["the last step"][0], X[:, :4], LABELS)
    made.save(tmp_path / "model.npz")
    np.testing.assert_allclose(dp.load(tmp_path / "model.npz").predict(X), made.predict(X), atol=1e-6)
    bagging = dp.Bagging(dp.Model(NETWORKS["the last step"][0], dp.SoftmaxCrossEntropy()), 2)
    bagging.fit((X[:, :4], LABELS), **QUIET)
    np.testing.assert_allclose(bagging.predict_members(X)[1], bagging.member(1).predict(X), atol=1e-6)
    bagging.evaluate((X, LABELS))


def test_several_inputs_may_each_have_another_length():
    a, b = dp.Input(), dp.Input()
    last = dp.Concatenate()(*(dp.RNN(3, return_sequences=False)(part) for part in (a, b)))
    made = fitted(dp.Graph((a, b), dp.Dense(3)(last)), (X[:, :4], X), LABELS)
    for pair in ((X, X), (X[:, :4], X[:, :2]), (X, X[:, :3])):
        np.testing.assert_allclose(made.predict(pair), made.net.apply(made.variables, pair), atol=1e-6)
    with pytest.raises(dp.DataError, match=r"shape \(9, 1\), but the network was made for \(9, 2\)"):
        made.predict((X, X[:, :, :1]))


def test_normalised_sequences():
    """Statistics of a feature over all steps serve every length, statistics of each step none but their own."""
    layers, t = NETWORKS["the last step"][0], LABELS
    made = fitted(layers, X[:, :6], t, normalizer=dp.Standardize(per="channel"))
    mean, scale = X[:, :6].mean((0, 1)), X[:, :6].std((0, 1))
    np.testing.assert_allclose(made.predict(X), made.net.apply(made.variables, (X - mean) / scale), atol=1e-5)
    made = fitted(layers, X[:, :6], t, normalizer=dp.Standardize())
    with pytest.raises(
        dp.DataError, match=r"\(9, 2\), but .* \(6, 2\), and Standardize\(\) has learned .*per=\"channel"
    ):
        made.predict(X)


@pytest.mark.parametrize(
    ("layers", "x"),
    [
        ([dp.Dense(3)], X[:, 0]),
        ([dp.Flatten(), dp.Dense(3)], X),
        ([dp.RNN(4, return_sequences=True), dp.Flatten(), dp.Dense(3)], X),
        ([dp.Embedding(7, 3), dp.Flatten(), dp.Dense(3)], WORDS),
        ([dp.Conv1d(4, 2), dp.Flatten(), dp.Dense(3)], X),
    ],
    ids=["features", "flat", "recurrent and flat", "words and flat", "convolution"],
)
def test_networks_that_count_the_steps_refuse_other_lengths(layers, x):
    made = fitted(layers, x, LABELS)
    for given in (x[:, :-1], np.concatenate([x, x], axis=1)):
        for use in (made.predict, lambda x: made.evaluate((x, LABELS)), lambda x: made.fit((x, LABELS), **QUIET)):
            with pytest.raises(dp.DataError, match="but the network was made for"):
                use(given)


@pytest.mark.parametrize("x", [X[:, :, :1], X[0], X[:, :, :, None], X[:, :0], [[[0.0, 1.0]], [[0.0]]]])
def test_what_is_no_such_sequence_is_refused(x):
    made = fitted(NETWORKS["the last step"][0], X, LABELS)
    with pytest.raises(dp.DataError):
        made.predict(x)

"""The decoder left to itself: greedy against a plain loop, beam search against all answers there are."""

from __future__ import annotations

import itertools
import math

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training.decoding import beam_search, greedy
from denpa.training.inputs import held_back

VOCABULARY, LONGEST, END = 3, 3, 2
OPTIONS = {"start": 1, "end": END, "longest": LONGEST}


@pytest.fixture(scope="module")
def model():
    """Untrained, but decided in its answers."""
    net = dp.EncoderDecoder(
        [dp.Embedding(4, 3), dp.RNN(4)],
        [dp.Embedding(VOCABULARY, 2), dp.RNN(4), dp.Dense(VOCABULARY)],
        attention=dp.DotAttention(),
        peeky=True,
    )
    made = dp.Model(net, dp.SoftmaxCrossEntropy(), metrics=[dp.ExactMatch()], in_shape=((4,), (LONGEST,)))
    rng = np.random.default_rng(3)
    made.variables = jax.tree.map(lambda a: 1.5 * rng.standard_normal(a.shape).astype(a.dtype), made.variables)
    return made


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(1)
    return dp.Padded(rng.integers(0, 4, (7, 4)), rng.integers(1, 5, 7))


@pytest.fixture(scope="module")
def log_p(model, source):
    """log P(t | t before, c) of every prefix, from whole teacher-forced passes: {prefix: (batch, vocabulary)}."""
    prefixes = list(itertools.product(range(VOCABULARY), repeat=LONGEST - 1))
    shifted = np.repeat([[OPTIONS["start"], *before] for before in prefixes], 7, axis=0)
    many = len(prefixes)
    y = model.predict((dp.Padded(np.tile(source.values, (many, 1)), np.tile(source.lengths, many)), shifted))
    y = y.astype(np.float64).reshape(many, 7, LONGEST, VOCABULARY)
    y = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return {before[:k]: y[place, :, k] for place, before in enumerate(prefixes) for k in range(LONGEST)}


def test_greedy_takes_the_most_probable_token_at_every_step(model, source, log_p):
    found = greedy(model, source, **OPTIONS)
    for row in range(7):
        written, total = (), 0.0
        while len(written) < LONGEST and END not in written:
            here = log_p[written][row]
            written, total = (*written, int(here.argmax())), total + here.max()
        np.testing.assert_array_equal(found.tokens[row, : len(written)], written)
        assert (found.tokens[row, len(written) :] == END).all()
        assert found.lengths[row] == len(written) - (END in written)
        np.testing.assert_allclose(found.log_probability[row], total, rtol=1e-4)
    assert len(set(found.lengths)) > 1  # some end early


def answers_of(log_p, row):
    """Every answer there is, with its log-probability."""
    for tokens in itertools.product(range(VOCABULARY), repeat=LONGEST):
        size = tokens.index(END) + 1 if END in tokens else LONGEST
        if set(tokens[size:]) <= {END}:
            yield tokens, size, sum(log_p[tokens[:k]][row][tokens[k]] for k in range(size))


@pytest.mark.parametrize("penalty", [0.0, 0.8])
def test_a_beam_as_wide_as_there_are_beginnings_finds_the_best_of_all_answers(
    model, source, log_p, penalty, monkeypatch
):
    monkeypatch.setattr("denpa.training.decoding._AT_ONCE", 36)  # four of the seven at once, then the rest
    found = beam_search(model, source, beam=9, length_penalty=penalty, **OPTIONS)
    for row in range(7):
        ranked = sorted(answers_of(log_p, row), key=lambda a: -a[2] / ((5 + a[1]) / 6) ** penalty)
        for place, (tokens, size, total) in enumerate(ranked[:9]):
            np.testing.assert_array_equal(found.tokens[row, place], tokens)
            np.testing.assert_allclose(found.log_probability[row, place], total, rtol=1e-4)
            np.testing.assert_allclose(found.score[row, place], total / ((5 + size) / 6) ** penalty, rtol=1e-4)


def test_a_beam_of_one_is_greedy_to_the_bit_and_answers_without_an_end_fill_their_length(model, source):
    one, plain = beam_search(model, source, beam=1, **OPTIONS), greedy(model, source, **OPTIONS)
    for a, b in zip(one, plain, strict=True):
        np.testing.assert_array_equal(a[:, 0], b)
    endless = greedy(model, source, **OPTIONS | {"end": None})
    np.testing.assert_array_equal(endless.lengths, LONGEST)
    np.testing.assert_array_equal(endless.tokens[:, 0], plain.tokens[:, 0])


def test_where_there_are_fewer_answers_than_the_beam_is_wide_the_rest_are_none(model, source):
    found = beam_search(model, source, beam=3, **OPTIONS | {"longest": 1})
    assert np.isfinite(found.score).all()
    assert np.isneginf(beam_search(model, source, beam=4, **OPTIONS | {"longest": 1}).score[:, 3]).all()


def test_a_length_penalty_may_be_as_large_as_its_power_is_a_number(model, source):
    most = math.log(np.finfo(np.float32).max) / math.log((5 + LONGEST) / 6)
    assert (beam_search(model, source, beam=1, length_penalty=0.97 * most, **OPTIONS).score < 0).all()
    with pytest.raises(dp.ConfigError, match="leaves nothing of any score"):
        beam_search(model, source, beam=1, length_penalty=1.001 * most, **OPTIONS)


def test_refusals(model, source):
    with pytest.raises(dp.ConfigError, match="beam must be a whole number, 1 or more, not 0"):
        beam_search(model, source, beam=0, **OPTIONS)
    with pytest.raises(dp.ConfigError, match="longest"):
        greedy(model, source, **OPTIONS | {"longest": 0})
    for penalty in (-1.0, float("inf"), "1", True, 10**400):
        with pytest.raises(dp.ConfigError, match="length_penalty must be a number, 0 or more"):
            beam_search(model, source, length_penalty=penalty, **OPTIONS)
    with pytest.raises(dp.ConfigError, match=r"length_penalty 1e\+20 leaves nothing of any score"):
        beam_search(model, source, length_penalty=1e20, **OPTIONS)
    with pytest.raises(dp.DataError, match=r"one array .* not a tuple: leave the answers out"):
        greedy(model, (source, np.zeros((7, LONGEST), int)), **OPTIONS)
    with pytest.raises(dp.ConfigError, match="Model of an EncoderDecoder, not by 3"):
        greedy(3, source, **OPTIONS)
    with pytest.raises(dp.ConfigError, match="start must be the number of a token, 0 to 2, not 3"):
        greedy(model, source, **OPTIONS | {"start": 3})
    with pytest.raises(dp.DataError, match=r"Word 4 at row 0, step 1 of the sources is none of Embedding\(4, 3\)"):
        greedy(model, np.array([[0, 4, 1, 5]]), **OPTIONS)
    with pytest.raises(dp.ConfigError, match="Model of an EncoderDecoder"):
        greedy(dp.Model([dp.Dense(2)], dp.SoftmaxCrossEntropy()), source, **OPTIONS)


def test_an_ensemble_does_not_write(model, source):
    ensemble = dp.Bagging(dp.Model(model.net, dp.SoftmaxCrossEntropy()), members=2)
    shifted = np.arange(7 * LONGEST).reshape(7, LONGEST) % VOCABULARY
    ensemble.fit(((source, shifted), shifted), epochs=1, verbose=False)
    with pytest.raises(dp.ConfigError, match=r"not by an ensemble: give one of it, member\(0\)"):
        greedy(ensemble, source, **OPTIONS)
    with pytest.raises(dp.ConfigError, match=r"as many weights as members: give one of them, member\(0\)"):
        model.load_weights(ensemble)
    assert greedy(ensemble.member(0), source, **OPTIONS).tokens.shape == (7, LONGEST)


def test_a_decoder_that_looks_at_other_steps_by_itself_is_refused():
    decoder = [dp.Embedding(VOCABULARY, 2), dp.Conv1d(3, 2, padding=(1, 0)), dp.RNN(4), dp.Dense(VOCABULARY)]
    encoder = [dp.Embedding(4, 3), dp.Conv1d(3, 3, padding="same"), dp.RNN(4)]  # this one reads its sequence whole
    for layers in (decoder, [*decoder[:1], *decoder[2:3], *decoder[1:2], *decoder[3:]]):
        net = dp.EncoderDecoder(encoder, layers, attention=dp.DotAttention())
        with pytest.raises(dp.ConfigError, match=r"A decoder writes step by step.*Conv1d\(3, 2.* other steps too"):
            dp.Model(net, dp.SoftmaxCrossEntropy(), in_shape=((4,), (LONGEST,)))  # it would train, reading its answers


def test_exact_answers_under_teacher_forcing_are_those_of_the_decoder_left_to_itself(model, source):
    written = greedy(model, source, **OPTIONS)
    lengths = np.minimum(written.lengths + 1, LONGEST)
    spoiled = np.where(np.arange(LONGEST) < lengths[:, None], written.tokens, 0)  # padding has no say
    spoiled[[1, 4], 0] = (spoiled[[1, 4], 0] + 1) % VOCABULARY
    t = dp.Padded(spoiled, lengths)
    shifted = dp.Padded(np.insert(spoiled[:, :-1], 0, OPTIONS["start"], axis=1), lengths)
    data = ((source, shifted), t)
    assert model.evaluate(data)["exact_match"] == 5 / 7
    before = model.evaluate(data)["loss"]
    model.fit(data, epochs=3, batch_size="full", verbose=False)
    assert model.evaluate(data)["loss"] < before
    rest, held = held_back((source, shifted), t, "classification", 0.3, 0, "the data")
    assert sorted([*rest, *held]) == list(range(7))
    assert len(held) == 2

"""Batches of sequences of like length."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa.core.padded import with_ends
from denpa.training.batches import BatchPlan
from denpa.training.buckets import Buckets, check_buckets
from tests.training.common import bits

ROWS, STEPS, BATCH = 40, 9, 5


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, STEPS + 1, ROWS)
    x = dp.Padded(rng.integers(0, 4, (ROWS, STEPS)), lengths)
    t = dp.Padded(rng.integers(0, 3, (ROWS, 2 * STEPS))[:, :STEPS].astype(np.int32), lengths)
    return x, t, None


def test_a_batch_is_of_one_bucket_and_its_cut_holds_all_its_steps(data):
    buckets, plan = Buckets.of(data, 3), BatchPlan(ROWS, BATCH, seed=2, buckets=3)
    assert [part[0].values.shape[1] for part in buckets.data] == sorted({p[0].values.shape[1] for p in buckets.data})
    lengths, seen = data[0].lengths, []
    for epoch in (0, 1):
        batches = buckets.batches(plan, epoch)
        np.testing.assert_array_equal(np.sort(batches.ravel()), np.arange(ROWS))
        np.testing.assert_array_equal(batches, buckets.batches(plan, epoch))  # of seed and epoch alone
        seen.append(batches)
        while len(batches):
            count, (x, t, _) = buckets.together(batches)
            assert lengths[batches[:count]].max() <= x.values.shape[1] == t.values.shape[1]
            batches = batches[count:]
    assert (seen[0] != seen[1]).any()
    spread = np.mean([lengths[rows].max() - lengths[rows].min() for rows in seen[0]])
    assert spread < 4  # 9 steps in three buckets; 6 or 7 where they are drawn
    weighted = Buckets.of((*data[:2], np.ones((ROWS, STEPS), np.float32)), 3)
    assert [w.shape[1] for _, _, w in weighted.data] == [t.values.shape[1] for _, t, _ in weighted.data]
    one = Buckets.of((dp.Padded(np.zeros((4, 3)), np.full(4, 2)), None), 5)
    assert [part[0].values.shape for part in one.data] == [(4, 2)]


def of_lengths(lengths, count, steps=None):
    x = dp.Padded(np.zeros((len(lengths), steps or max(lengths)), np.float32), np.array(lengths))
    return Buckets.of((x, None), count)


def test_buckets_hold_equally_many():
    halves = of_lengths([100, 10] * 50, 2)
    assert [x.values.shape for x, _ in halves.data] == [(100, 10), (100, 100)]
    np.testing.assert_array_equal(halves.of_example, [1, 0] * 50)
    assert of_lengths([9, 3, 9, 5], 2, steps=10).of_example.tolist() == [1, 0, 1, 0]
    assert of_lengths(range(1, 101), 100).of_example.tolist() == list(range(100))  # in floats 7 / 100 * 100 is above 7
    assert of_lengths([2, 1], 5).of_example.tolist() == [1, 0]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(1, 6))
def test_a_bucket_holds_no_more_than_its_part_but_for_equal_lengths(lengths, count):
    buckets, lengths = of_lengths(lengths, count, steps=12), np.array(lengths)
    assert set(buckets.of_example) == set(range(len(buckets.data)))
    assert len(buckets.data) <= count
    for number, (x, _) in enumerate(buckets.data):
        here, longest = lengths[buckets.of_example == number], x.values.shape[1]
        assert here.max() == longest
        assert np.sum(here < longest) < np.ceil(len(lengths) / count)


def test_a_batch_of_two_buckets_is_cut_by_the_longest_of_both():
    """Two inputs, one long where the other is short; the longer one decides on the bucket."""
    x, z = (dp.Padded(np.ones((5, 10)), np.array(lengths)) for lengths in ([5, 1, 2, 3, 1], [1, 9, 9, 2, 5]))
    buckets = Buckets.of(((x, z), None), 2)
    assert buckets.of_example.tolist() == [0, 1, 1, 0, 0]
    count, ((x, z), _) = buckets.together(np.array([[0, 1]]))
    assert count == 1
    assert (x.values.shape[1], z.values.shape[1]) == (5, 9)


def test_the_order_of_the_buckets_is_another_one_in_each_epoch():
    buckets, plan = of_lengths(list(range(1, 9)) * 8, 8), BatchPlan(64, 8, buckets=8)
    orders = {tuple(buckets.of_example[buckets.batches(plan, epoch)].max(axis=1)) for epoch in range(5)}
    assert len(orders) == 5


def test_training_in_buckets_computes_what_training_on_whole_arrays_does(data):
    def trained(data, **options):
        model = dp.Model([dp.Embedding(4, 3), dp.Dense(3)], dp.SoftmaxCrossEntropy(), dp.SGD(0.5))
        model.fit(data[:2], epochs=1, batch_size=BATCH, shuffle=False, verbose=False, **options)
        return model

    order = Buckets.of(data, 2).batches(BatchPlan(ROWS, BATCH, shuffle=False, buckets=2), 0).ravel()
    ours, whole = trained(data, buckets=2), trained(jax.tree.map(lambda a: a[order], data))
    for a, b in zip(jax.tree.leaves(ours.variables), jax.tree.leaves(whole.variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.history.epochs[0]["loss"], whole.history.epochs[0]["loss"], rtol=1e-5)


def test_a_divergence_is_replayed_on_the_data_cut_for_its_bucket():
    """Dropout's mask has the shape of the batch, so whole arrays would lead elsewhere."""
    rng = np.random.default_rng(1)
    lengths = np.array([4] + 11 * [2])  # nearly all batches are of the short ones
    x, t = (dp.Padded(rng.normal(size=(12, 4, 1)).astype(np.float32), lengths) for _ in range(2))

    def trained():
        return dp.Model([dp.Dropout(0.5), dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(1e6))

    options = {"batch_size": 3, "buckets": 2, "verbose": False}
    wild, tame, after = trained(), trained(), {}
    with pytest.raises(dp.DivergenceError):
        wild.fit((x, t), epochs=9, **options)

    class Watch(dp.Callback):
        def begin(self, training):
            session = dp.training.Session(training)
            session.period = 1
            session.on_period = lambda: after.update({training.step: training.model.variables})
            return session

    with pytest.raises(dp.DivergenceError):
        tame.fit((x, t), epochs=9, callbacks=Watch(), **options)
    assert wild.steps > 2
    assert bits(wild.variables) == bits(after[wild.steps])


def test_refusals(data):
    model = dp.Model([dp.Embedding(4, 3), dp.Dense(3)], dp.SoftmaxCrossEntropy())
    with pytest.raises(dp.ConfigError, match="buckets must be a whole number, 1 or more, not 0"):
        model.fit(data[:2], buckets=0)
    with pytest.raises(dp.ConfigError, match="either window or buckets"):
        check_buckets(2, data, 3)
    with pytest.raises(dp.ConfigError, match="none of the data are Padded"):
        model.fit((data[0].values, data[1].values), buckets=2)


def translator(**options):
    net = dp.EncoderDecoder(
        encoder=[dp.Embedding(4, 3), dp.LSTM(5)], decoder=[dp.Embedding(4, 3), dp.LSTM(5), dp.Dense(3)]
    )
    return dp.Model(net, dp.SoftmaxCrossEntropy(), dp.SGD(0.5), [dp.Accuracy()], **options)


@pytest.mark.parametrize("buckets", [None, 3])
def test_targets_without_ends_have_those_of_the_input_whose_steps_are_the_outputs(data, buckets):
    x, t, _ = data
    decoder = dp.Padded(np.asarray(x.values)[:, ::-1].copy(), t.lengths)
    source = dp.Padded(x.values, np.full(ROWS, STEPS))
    tagger = dp.Sequential([dp.Embedding(4, 3), dp.LSTM(5, return_sequences=True), dp.Dense(3)])
    for make, inputs in (
        (translator, (source, decoder)),
        (lambda: dp.Model(tagger, dp.SoftmaxCrossEntropy(), dp.SGD(0.5), [dp.Accuracy()]), x),
    ):
        found = []
        for targets in (t, t.values, np.where(np.arange(STEPS) < np.asarray(t.lengths)[:, None], t.values, 2)):
            model = make()
            model.fit((inputs, targets), epochs=2, batch_size=BATCH, buckets=buckets, verbose=False)
            found.append((bits(model.variables), model.evaluate((inputs, targets))))
        assert found[0] == found[1] == found[2]


def test_a_padded_source_says_nothing_of_a_decoders_steps(data):
    x, t, _ = data
    model = translator()
    model.build(((STEPS,), (STEPS,)))
    plain = np.asarray(x.values)
    found = model.evaluate(((x, plain), t.values))["loss"]
    whole = dp.Padded(plain, np.full(ROWS, STEPS))
    assert found == pytest.approx(model.evaluate(((x, whole), t.values))["loss"], rel=1e-6)


def test_the_last_input_with_steps_has_the_outputs_ends(data):
    x, carry, t, shape = data[0], np.zeros((ROWS, 5), np.float32), data[1].values, (ROWS, STEPS, 3)
    whole = dp.Padded(x.values, np.full(ROWS, STEPS))
    for inputs in (x, (whole, x), (x, carry, carry)):
        assert with_ends(t, inputs, shape).lengths is x.lengths
    for inputs in ((x, x.values), (x, carry[:, None]), carry, (carry, carry)):
        assert with_ends(t, inputs, shape) is t
    for other in ((ROWS, STEPS + 1, 3), (ROWS, STEPS)):  # the second is as many numbers for each sequence, not steps
        assert with_ends(t, x, other) is t
    assert with_ends(data[1], whole, shape) is data[1]


def test_as_many_outputs_as_steps_are_no_steps(data):
    x = dp.Padded(np.asarray(data[0].values, np.float32)[..., None], data[0].lengths)
    model = dp.Model([dp.LSTM(3), dp.Dense(STEPS)], dp.MeanSquaredError())
    model.build((STEPS, 1))
    t = np.random.default_rng(0).normal(size=(ROWS, STEPS)).astype(np.float32)
    wanted = 0.5 * np.mean(np.sum((model.predict(x) - t) ** 2, axis=1))
    assert model.evaluate((x, t))["loss"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("shape", [(ROWS, 4), (ROWS, 1), (ROWS, STEPS, 3)])
def test_weights_of_padded_steps_have_their_shape(data, shape):
    tagger = dp.Sequential([dp.Embedding(4, 3), dp.LSTM(5, return_sequences=True), dp.Dense(3)])
    model = dp.Model(tagger, dp.SoftmaxCrossEntropy())
    with pytest.raises(dp.ShapeError, match=r"sample_weight has shape .* but there are \(40, 9\) \(examples, steps\)"):
        model.fit((data[0], data[1], np.ones(shape)), epochs=1, verbose=False)


def test_nobody_reads_what_padding_holds(data):
    lengths = data[0].lengths
    values = np.random.default_rng(0).normal(size=(ROWS, STEPS, 2)).astype(np.float32)
    padding = np.arange(STEPS) >= np.asarray(lengths)[:, None]
    found = []
    for held in (0.0, 1e30, np.nan, np.inf):
        model = dp.Model([dp.LSTM(3), dp.Dense(3)], dp.SoftmaxCrossEntropy(), normalizer=dp.Standardize(per="channel"))
        x = dp.Padded(np.where(padding[..., None], np.float32(held), values), lengths)
        model.fit((x, np.arange(ROWS) % 3), epochs=2, verbose=False)
        found.append((bits(model.variables), model.predict(x).tobytes()))
    assert found == found[:1] * 4
    broken = np.where(padding[..., None], values, np.nan)
    with pytest.raises(dp.DataError, match="x holds NaN at row 0"):
        model.fit((dp.Padded(broken, lengths), np.arange(ROWS) % 3), epochs=1, verbose=False)

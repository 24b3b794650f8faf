"""fit: the same bits from the same seed however the work is cut, and everything a model accepts."""

from __future__ import annotations

import collections
import re
import warnings

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training import loop
from tests.training.common import (
    DATA,
    HELD_OUT,
    QUIET,
    RAGGED,
    N,
    bits,
    model,
    problem,
    random_model,
    rows,
    whole,
)


@pytest.fixture(scope="module")
def reference():
    """Six epochs in one call; dropout, batch normalisation, momentum, penalty."""
    trained = random_model()
    trained.fit(RAGGED, epochs=6, **QUIET)
    return trained


# --------------------------------------------------------------------------------------------- determinism
def test_the_same_seed_gives_the_same_bits(reference):
    again = random_model()
    history = again.fit(RAGGED, epochs=6, **QUIET)
    assert whole(again) == whole(reference)
    assert rows(history) == rows(reference.history)
    other = random_model(seed=1)
    other.fit(RAGGED, epochs=6, **QUIET)
    assert whole(other) != whole(reference)


@pytest.mark.parametrize(("first", "most"), [(1, 1), (3, 3), (1000, 4096)])
def test_the_pace_does_not_touch_the_bits(reference, monkeypatch, first, most):
    """Chunks of one step, of three, of as many as there are."""
    monkeypatch.setattr(loop, "FIRST_CHUNK", first)
    monkeypatch.setattr(loop, "_MOST_STEPS", most)
    again = random_model()
    again.fit(RAGGED, epochs=6, **QUIET)
    assert whole(again) == whole(reference)
    assert rows(again.history) == rows(reference.history)


def test_looking_on_does_not_touch_the_bits(reference):
    """Callbacks, validation, records of steps: training is the same."""
    seen = []
    again = random_model()
    again.fit(
        RAGGED, epochs=6, validation=HELD_OUT, callbacks=[lambda t: seen.append(t.step)], record_steps=True, **QUIET
    )
    assert seen == [5, 10, 15, 20, 25, 30]
    assert whole(again) == whole(reference)
    own = [{k: v for k, v in row.items() if not k.startswith("validation_")} for row in rows(again.history)]
    assert own == rows(reference.history)


def test_epochs_that_run_together_are_told_apart():
    """Without a smaller last batch and without onlookers many epochs are one program."""
    data = DATA
    together, apart = model(), model()
    together.fit(data, epochs=7, **QUIET)
    apart.fit(data, epochs=7, callbacks=[lambda training: None], **QUIET)
    assert whole(together) == whole(apart)
    assert rows(together.history) == rows(apart.history)
    assert [row["step"] for row in together.history.epochs] == [4 * epoch for epoch in range(1, 8)]


def test_fit_twice_is_fit_once(reference):
    again = random_model()
    again.fit(RAGGED, epochs=2, **QUIET)
    history = again.fit(RAGGED, epochs=4, **QUIET)
    assert whole(again) == whole(reference)
    assert rows(history) == rows(reference.history)
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3, 4, 5, 6]
    assert (again.epochs, again.steps) == (6, 30)


def test_the_network_alone_decides_the_start():
    """The data do not; the seed does."""
    built = random_model(in_shape=(4,))
    before = bits(built.variables)
    built.build((4,))
    assert bits(built.variables) == before
    assert bits(random_model(in_shape=(4,), seed=5).variables) != before


def test_every_step_draws_another_mask_and_every_epoch_another_order():
    plan = loop.BatchPlan(23, 5, seed=3)
    orders = [plan.order(epoch) for epoch in range(4)]
    assert all(sorted(order) == list(range(23)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    np.testing.assert_array_equal(loop.BatchPlan(23, 5, seed=3).order(2), orders[2])
    assert not np.array_equal(loop.BatchPlan(23, 5, seed=4).order(2), orders[2])
    net = dp.Sequential([dp.Dropout(0.5), dp.Dense(3)])
    trained = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.SGD(1e-30))
    steps = trained.fit(DATA, epochs=3, batch_size="full", shuffle=False, record_steps=True, verbose=False).steps
    assert len({row["loss"] for row in steps}) == 3  # nothing was learned: only the masks differ


@pytest.mark.parametrize("examples", [30, 40_000])
def test_every_epoch_has_an_order_of_its_own(examples):
    """Small data sets get the orders of many epochs from one draw, large ones of one: also behind the draw's end."""
    plan = loop.BatchPlan(examples, 10)
    assert len({plan.order(epoch).tobytes() for epoch in (0, 1, 2, 2183, 2184, 2185, 2186)}) == 7


def test_draws_with_replacement_miss_some_and_repeat_some():
    plan = loop.BatchPlan(1000, 100, replacement=True)
    assert (plan.steps, plan.rest) == (10, 0)
    distinct = np.mean([len(set(plan.order(epoch))) / 1000 for epoch in range(20)])
    assert abs(distinct - (1 - 1 / np.e)) < 0.01
    ragged = loop.BatchPlan(23, 5, replacement=True)  # as many full batches as there would be, and no smaller one
    assert (ragged.full, ragged.rest, ragged.steps, ragged.batches(0).shape) == (4, 0, 4, (4, 5))
    trained = model()
    trained.fit(RAGGED, epochs=2, replacement=True, **QUIET)
    assert trained.steps == 8


# ------------------------------------------------------------------------------------------- compilation
class Compilations:
    """Counts what XLA compiles."""

    def __init__(self):
        self.count = collections.Counter()
        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, event, duration, **kwargs):
        if event.endswith("backend_compile_duration"):
            self.count["all"] += 1


@pytest.fixture(scope="module")
def compilations():
    return Compilations().count


@pytest.mark.parametrize("rest", [0, 3])
def test_nothing_is_compiled_after_the_first_epoch(compilations, rest):
    counts = []
    trained = model(optimizer=dp.Adam(dp.schedules.LinearDecay(0.01, 0.001, 20)))
    data = problem(5, 20 + rest)
    watch = [lambda training: counts.append(compilations["all"])]
    trained.fit(data, validation=HELD_OUT, epochs=4, callbacks=watch, **QUIET)
    assert counts[0] > 0
    assert len(set(counts)) == 1
    trained.fit(data, validation=HELD_OUT, epochs=2, callbacks=watch, **QUIET)
    assert len(set(counts)) == 1


def test_a_second_model_of_the_same_description_compiles_nothing(compilations, reference):
    before = compilations["all"]
    second = random_model(seed=9)
    second.fit(RAGGED, epochs=6, **QUIET)
    assert compilations["all"] == before
    assert second.programs is reference.programs
    assert whole(second) != whole(reference)


def test_no_operation_outside_of_training_is_compiled_for_itself(compilations, reference, tmp_path):
    """Measuring with a penalty, answers in two forms and loading: a program each, however many operations it has."""
    x, t = problem(3, 70)
    found = []
    for use in (
        lambda: reference.evaluate((x, t)),  # the sums, and the penalty
        lambda: reference.predict_probabilities(x),  # the output, and what becomes of it
        lambda: reference.predict_classes(x),
        lambda: reference.save(tmp_path / "m.safetensors"),
        lambda: dp.load(tmp_path / "m.safetensors"),  # the key
    ):
        before = compilations["all"]
        use()
        found.append(compilations["all"] - before)
    assert np.all(np.array(found) <= [2, 2, 1, 0, 1]), found


# --------------------------------------------------------------------------------------------- what it learns
def test_metrics_during_training_are_those_of_the_frozen_network():
    frozen = model(optimizer=dp.SGD(1e-12), metrics=[dp.Accuracy(), dp.TopK(2), dp.Perplexity(), dp.ConfusionMatrix()])
    row = frozen.fit(DATA, validation=DATA, epochs=1, **QUIET).epochs[0]
    found = frozen.evaluate(DATA)
    assert list(found) == ["loss", "accuracy", "top_2", "perplexity", "confusion_matrix"]
    for name, value in found.items():
        np.testing.assert_allclose(row[name], value, rtol=1e-5)
        np.testing.assert_allclose(row[f"validation_{name}"], value, rtol=1e-5)
    assert found["confusion_matrix"].sum() == N


def test_validation_is_measured_in_inference_mode():
    trained = random_model()
    row = trained.fit(DATA, validation=HELD_OUT, epochs=2, **QUIET).epochs[-1]
    logits = trained.predict(HELD_OUT[0]).astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    p = (powers / powers.sum(1, keepdims=True))[np.arange(11), HELD_OUT[1]]
    np.testing.assert_allclose(row["validation_loss"] - row["penalty"], -np.log(p).mean(), rtol=1e-2)
    np.testing.assert_allclose(row["validation_accuracy"], np.mean(logits.argmax(1) == HELD_OUT[1]), rtol=1e-6)


def test_steps_can_be_recorded():
    trained = model(penalty=dp.L2(0.1))
    history = trained.fit(RAGGED, epochs=2, record_steps=True, **QUIET)
    assert [row["step"] for row in history.steps] == list(range(1, 11))
    assert list(history.steps[0]) == ["step", "loss", "penalty", "accuracy"]
    sizes = np.array([5, 5, 5, 5, 3])
    for epoch in range(2):
        part = history.steps[5 * epoch : 5 * epoch + 5]
        data_loss = np.array([row["loss"] - row["penalty"] for row in part])
        mean = history.epochs[epoch]["loss"] - history.epochs[epoch]["penalty"]
        np.testing.assert_allclose(sizes @ data_loss / 23, mean, rtol=1e-5)
        np.testing.assert_allclose(
            sizes @ [row["accuracy"] for row in part] / 23, history["accuracy"][epoch], rtol=1e-6
        )
    assert not model(penalty=dp.L2(0.1)).fit(RAGGED, epochs=1, **QUIET).steps


def test_an_epoch_knows_the_true_number_of_steps_after_a_loaded_start(tmp_path):
    first = model()
    first.fit(DATA, epochs=3, **QUIET)
    first.save(tmp_path / "m.safetensors")
    loaded = dp.load(tmp_path / "m.safetensors")
    loaded.fit(DATA, epochs=2, **QUIET)
    assert [(row["epoch"], row["step"]) for row in loaded.history.epochs] == [(4, 16), (5, 20)]


def test_a_model_learns():
    x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    t = (x[:, 0] * x[:, 1] > 0).astype(int)
    trained = dp.Model([dp.Dense(16), dp.Tanh(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), dp.Adam(0.03))
    trained.fit((x, t), epochs=60, batch_size=20, verbose=False)
    assert np.mean(trained.predict_classes(x) == t) > 0.95


def weighted_heads(reduction, batch_size, weight, epochs=30, rate=0.005):
    """W of an output without bias that learned a mean of 0 and 1, from the weights of its examples."""
    t = (np.arange(64) % 4 == 0).astype(np.float32)
    x, weight = np.ones((64, 1), np.float32), None if weight is None else np.where(t == 1, weight, 1.0)
    data = (x, t[:, None]) if weight is None else (x, t[:, None], weight)
    net, loss = [dp.Dense(1, use_bias=False)], dp.MeanSquaredError(reduction=reduction)
    made = dp.Model(net, loss, dp.SGD(rate), in_shape=(1,))
    made.fit(data, epochs=epochs, batch_size=batch_size, verbose=False)
    return float(np.asarray(made.variables.params["0_dense"]["W"]).squeeze())


def test_weights_in_batches_of_one_have_no_effect_and_fit_says_so():
    """w g / w = g: the same bits as without weights; a sum of the loss weighs them."""
    with pytest.warns(UserWarning, match=r"With batch_size=1 the sample weights can have no effect.*reduction=\"sum\""):
        idle = weighted_heads("mean", 1, 5.0)
    assert idle == weighted_heads("mean", 1, None)
    assert weighted_heads("sum", 1, 5.0) != weighted_heads("sum", 1, None)


def test_weights_are_exact_in_full_batches_and_in_sums_and_weaker_the_smaller_the_batch():
    exact = 16 * 5 / (16 * 5 + 48)
    assert weighted_heads("mean", "full", 5.0, 3000, 0.1) == pytest.approx(exact, rel=1e-4)
    small, larger = weighted_heads("mean", 2, 5.0, 200, 0.002), weighted_heads("mean", 16, 5.0, 600, 0.002)
    assert 0.25 < small < larger < exact
    assert small < exact - 0.15
    for size in (2, 16):
        assert weighted_heads("sum", size, 5.0, 300, 0.002 / size) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (dp.SoftmaxCrossEntropy(class_weight=(1, 3, 2)), DATA[1]),
        (dp.CrossEntropy(class_weight=(1, 3, 2)), np.eye(3, dtype=np.float32)[DATA[1]]),
    ],
)
def test_class_weights_in_batches_of_one_are_warned_of(loss, t):
    net = [dp.Dense(3), dp.Softmax()] if isinstance(loss, dp.CrossEntropy) else [dp.Dense(3)]
    with pytest.warns(UserWarning, match="With batch_size=1 the class weights can have no effect"):
        dp.Model(net, loss).fit((DATA[0], t), epochs=1, batch_size=1, verbose=False)
    with pytest.warns(UserWarning, match="With batch_size=1 the sample weights and the class weights can have no"):
        dp.sweep(dp.Model(net, loss), (DATA[0], t, np.arange(1, N + 1)), epochs=1, batch_size=1, verbose=False)
    with pytest.warns(UserWarning, match="how often the bootstrap drew an example and the class weights can have no"):
        dp.Bagging(dp.Model(net, loss), 2).fit((DATA[0], t), epochs=1, batch_size=1, verbose=False)


def test_weights_that_act_in_batches_of_one_are_not_warned_of():
    """Warnings are errors here: weights of 0 and 1, of steps, of parts of a class, and sums."""
    x, t = DATA
    once = {"epochs": 1, "batch_size": 1, "verbose": False}
    model().fit((x, t, np.arange(N) % 2), **once)
    model().fit((x, t, np.full(N, 3.0)), **once)
    weighted = (1, 3, 2)
    model(loss=dp.SoftmaxCrossEntropy(class_weight=weighted, reduction="sum")).fit((x, t, np.arange(1, N + 1)), **once)
    model(loss=dp.SoftmaxCrossEntropy(class_weight=weighted, label_smoothing=0.1)).fit((x, t), **once)
    parts = np.full((N, 3), 1 / 3, np.float32)
    model(loss=dp.SoftmaxCrossEntropy(class_weight=weighted)).fit((x, parts), **once)
    steps, ends = np.stack([x, x], axis=1), np.stack([t, t[::-1]], axis=1)
    weight = np.random.default_rng(0).uniform(1, 2, (N, 2))
    model(loss=dp.SoftmaxCrossEntropy(class_weight=weighted)).fit((steps, ends, weight), **once)
    dp.Bagging(model(), 2, bootstrap=False).fit((x, t), **once)


@pytest.mark.parametrize("loss", [dp.SoftmaxCrossEntropy(), dp.CrossEntropy()])
def test_a_single_output_for_classes_is_refused_as_such(loss):
    x = np.zeros((6, 2), np.float32)
    with pytest.raises(dp.ShapeError, match=r"wants one output per class, but got .*: a single output decides nothing"):
        dp.Model([dp.Dense(1)], loss).fit((x, np.arange(6) % 2), epochs=1, verbose=False)


IMAGE = dp.Input()
OUT = dp.Softmax()(dp.Dense(3)(IMAGE), name="out")
TIED = dp.Tied(dp.Sequential([dp.Dense(3), dp.Softmax()]), ())


@pytest.mark.parametrize(
    ("layers", "loss", "what"),
    [
        ([dp.Dense(3), dp.Softmax()], dp.SoftmaxCrossEntropy(), "Layer '1_softmax' makes probabilities, and Softmax"),
        (dp.Graph(IMAGE, OUT), dp.SoftmaxCrossEntropy(), "Layer 'out' makes probabilities"),
        ([TIED], dp.SoftmaxCrossEntropy(), "Layer '0_tied/1_softmax' makes probabilities"),
        ([dp.Dense(3), dp.Sigmoid()], dp.SoftmaxCrossEntropy(), "Layer '1_sigmoid' makes probabilities"),
        ([dp.Sequential([dp.Dense(3), dp.Softmax()])], dp.SoftmaxCrossEntropy(), "'0_sequential/1_softmax' makes"),
        ([dp.Dense(3)], dp.CrossEntropy(), "Layer '0_dense' gives any numbers, and CrossEntropy.* reads them as prob"),
        ([dp.Dense(3)], dp.CrossEntropy(), r"Put Softmax\(\) behind it, or take SoftmaxCrossEntropy\(\)\.$"),
        ([dp.Dense(3)], dp.BinaryCrossEntropy(), r"Put Sigmoid\(\) behind it, or take SigmoidCrossEntropy\(\)\.$"),
        ([dp.Dense(3), dp.Sigmoid()], dp.CrossEntropy(), r"0 where all outputs are 1.*Take Softmax\(\) in its place"),
        ([dp.Dense(3), dp.Sigmoid()], dp.BinaryCrossEntropy(), None),
        ([dp.Dense(3), dp.Softmax()], dp.CrossEntropy(), None),
        ([dp.Dense(3)], dp.SoftmaxCrossEntropy(), None),
        ([dp.Dense(3), dp.Sigmoid()], dp.MeanSquaredError(), None),
    ],
)
def test_outputs_that_the_loss_takes_for_what_they_are_not_are_warned_of(layers, loss, what):
    x, t = np.random.default_rng(0).random((12, 2)), np.arange(12) % 3
    t = np.eye(3)[t] if isinstance(loss, (dp.MeanSquaredError, dp.BinaryCrossEntropy)) else t
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dp.Model(layers, loss).fit((x, t), epochs=1, verbose=False)
        dp.Bagging(dp.Model(layers, loss), members=2).fit((x, t), epochs=1, verbose=False)
        dp.sweep(dp.Model(layers, loss), (x, t), seeds=[0, 1], epochs=1, verbose=False)
    assert len(caught) == (0 if what is None else 3)
    assert all(re.search(what, str(warning.message)) for warning in caught)
    assert [warning.filename for warning in caught][:1] in ([], [__file__])

"""Predicting and measuring: exact whatever the number of examples, and however they are cut into batches."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.kernels import native
from denpa.training import Session, inputs, loop
from denpa.training.preparation import size_of_batches
from tests.training.common import DATA, QUIET, RANDOM_NET, model


@pytest.fixture(scope="module")
def trained():
    made = model(
        RANDOM_NET, normalizer=dp.Standardize(), metrics=[dp.Accuracy(), dp.Perplexity(), dp.ConfusionMatrix()]
    )
    made.fit(DATA, epochs=2, **QUIET)
    return made


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(5)
    return rng.normal(size=(2500, 4)).astype(np.float32), rng.integers(0, 3, 2500), rng.uniform(0, 2, 2500)


def by_hand(trained, x):
    """Inference layer by layer in float64."""
    s, state = trained.statistics, trained.variables.state["1_batchnorm"]
    p = trained.variables.params
    u = (x - s["mean"]) / s["scale"] @ p["0_dense"]["W"] + p["0_dense"]["b"]
    norm = (u - state["mean"]) / np.sqrt(np.asarray(state["var"], np.float64) + 1e-5)
    z = np.tanh(norm * p["1_batchnorm"]["gamma"] + p["1_batchnorm"]["beta"])
    return np.asarray(z @ p["4_dense"]["W"] + p["4_dense"]["b"], np.float64)


def test_every_number_of_examples_is_exact(trained, many):
    """Inputs are padded to a power of two; the padding leaves no trace."""
    expected = by_hand(trained, many[0])
    for count in (*range(1, 10), 16, 17, 1023, 1024, 1025, 2048, 2500):
        y = trained.predict(many[0][:count])
        assert y.shape == (count, 3)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, expected[:count], rtol=1e-4, atol=1e-5)


def test_an_example_has_the_same_output_in_any_company(trained, many):
    alone = np.concatenate([trained.predict(many[0][i : i + 1]) for i in range(7)])
    np.testing.assert_allclose(alone, trained.predict(many[0])[:7], rtol=1e-5, atol=1e-6)


def test_predicting_changes_nothing_and_draws_nothing(trained):
    first = trained.predict(DATA[0])
    np.testing.assert_array_equal(first, trained.predict(DATA[0]))
    assert trained.steps == 8


@pytest.mark.parametrize("size", [1024, 999, 64])
def test_measuring_does_not_depend_on_how_the_data_are_cut(trained, many, monkeypatch, size):
    """Loss and metrics of the whole, with and without weights, against one pass in NumPy."""
    monkeypatch.setattr(inputs, "_FEWEST_AT_ONCE", 1)
    monkeypatch.setattr(inputs, "_MOST_AT_ONCE", size)
    x, t, weight = many
    logits = by_hand(trained, x)
    p = np.exp(logits - logits.max(1, keepdims=True))
    losses = -np.log((p / p.sum(1, keepdims=True))[np.arange(2500), t])
    right = logits.argmax(1) == t
    for w, data in ((np.ones(2500), (x, t)), (weight, (x, t, weight))):
        found = trained.evaluate(data)
        np.testing.assert_allclose(found["loss"], w @ losses / w.sum(), rtol=1e-5)
        np.testing.assert_allclose(found["accuracy"], w @ right / w.sum(), rtol=1e-5)
        np.testing.assert_allclose(found["perplexity"], np.exp(w @ losses / w.sum()), rtol=1e-5)
        table = np.zeros((3, 3))
        np.add.at(table, (t, logits.argmax(1)), w)
        np.testing.assert_allclose(found["confusion_matrix"], table, rtol=1e-4)


def test_few_examples_are_measured_as_they_are(trained):
    x, t = DATA
    np.testing.assert_allclose(
        trained.evaluate((x[:3], t[:3]))["loss"],
        np.mean([trained.evaluate((x[i : i + 1], t[i : i + 1]))["loss"] for i in range(3)]),
        rtol=1e-5,
    )


def test_the_sum_is_a_sum():
    summed, mean = model(loss=dp.SoftmaxCrossEntropy(reduction="sum"), in_shape=(4,)), model(in_shape=(4,))
    np.testing.assert_allclose(summed.evaluate(DATA)["loss"], 20 * mean.evaluate(DATA)["loss"], rtol=1e-5)
    row = summed.fit(DATA, epochs=1, verbose=False, batch_size=5).epochs[0]
    assert row["loss"] > 5  # over the epoch, not over a batch


@pytest.mark.parametrize(
    ("end", "loss", "expected"),
    [
        ([dp.Dense(3)], dp.SoftmaxCrossEntropy(), lambda y: (y.argmax(1), np.exp(y) / np.exp(y).sum(1, keepdims=True))),
        ([dp.Dense(3), dp.Softmax()], dp.CrossEntropy(), lambda y: (y.argmax(1), y)),
        ([dp.Dense(1)], dp.SigmoidCrossEntropy(), lambda y: ((y > 0)[:, 0], 1 / (1 + np.exp(-y)))),
        ([dp.Dense(1), dp.Sigmoid()], dp.BinaryCrossEntropy(), lambda y: ((y > 0.5)[:, 0], y)),
    ],
)
def test_classes_and_probabilities_are_read_as_the_loss_means_them(end, loss, expected):
    made = model(dp.Sequential(end), loss=loss, in_shape=(4,))
    x = 3 * DATA[0]
    classes, probabilities = expected(made.predict(x).astype(np.float64))
    found = made.predict_classes(x)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, classes)
    assert len(set(found.tolist())) > 1
    np.testing.assert_allclose(made.predict_probabilities(x), probabilities, rtol=1e-5)


def test_lists_and_pictures_are_arrays_too():
    net = dp.Sequential([dp.Flatten(), dp.Dense(3)])
    made = model(net)
    images = np.random.default_rng(0).normal(size=(20, 2, 2, 1)).astype(np.float32)
    made.fit((images.tolist(), DATA[1].tolist()), epochs=1, **QUIET)
    assert made.in_shape == (2, 2, 1)
    np.testing.assert_array_equal(made.predict(images.tolist()), made.predict(images))


def test_the_summary_knows_the_shape_once_there_is_one():
    made = model()
    assert "Sizes are known once" in str(made.summary())
    made.build((4,))
    assert made.summary().parameters == 4 * 5 + 5 + 5 * 3 + 3


def test_large_outputs_are_measured_few_at_a_time_with_the_same_result(monkeypatch):
    model = dp.Model([dp.Embedding(5, 3), dp.Dense(5)], loss=dp.SoftmaxCrossEntropy(), in_shape=(6,))
    x = np.random.default_rng(0).integers(0, 5, (7, 6)).astype(np.int32)
    assert size_of_batches(model, x) == 1024
    whole, outputs = model.evaluate((x, x)), model.predict(x)
    monkeypatch.setattr("denpa.training.inputs._FEWEST_AT_ONCE", 1)
    monkeypatch.setitem(inputs._NUMBERS_AT_ONCE, jax.default_backend(), 6 * 5 * 5)
    assert size_of_batches(model, x) == 4  # the largest output holds 6 · 5 numbers: 5 fit, and 4 is a power of two
    assert model.evaluate((x, x))["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    np.testing.assert_allclose(model.predict(x), outputs, rtol=1e-6)


def test_what_a_fused_convolution_never_makes_leaves_room_for_more_examples(monkeypatch):
    monkeypatch.setattr(native, "available", lambda: True)  # none is called
    pooled = [dp.Conv2d(30, 5), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(10)]
    model = dp.Model(pooled, loss=dp.SoftmaxCrossEntropy(), in_shape=(28, 28, 1))
    x = np.zeros((1, 28, 28, 1), np.float32)
    assert size_of_batches(model, x) == 512  # 2²² numbers hold 12 · 12 · 30 of them 970 times
    with dp.kernels.using("xla"):
        assert size_of_batches(model, x) == 128  # and 24 · 24 · 30 of them 242 times
    unpooled = dp.Model([*pooled[:2], *pooled[3:]], loss=dp.SoftmaxCrossEntropy(), in_shape=(28, 28, 1))
    assert size_of_batches(unpooled, x) == 128


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_prices_on_activities_belong_to_the_objective_that_is_measured(reduction):
    """evaluate and the validation agree with the objective that training makes small, however batches are cut."""
    net = dp.Sequential([dp.Dense(6), dp.Sigmoid(), dp.ActivityL1(0.3), dp.KLSparsity(0.1, 0.2), dp.Dense(3)])
    loss = dp.SoftmaxCrossEntropy(reduction=reduction)
    made = dp.Model(net, loss, dp.SGD(1e-9), penalty=dp.L2(0.1), in_shape=(4,))
    x, t = DATA
    whole = dp.backprop(net, loss, made.variables, x, t)
    weights = sum(np.sum(np.square(layer["W"])) for layer in made.variables.params.values() if layer)
    found = made.evaluate(DATA)
    np.testing.assert_allclose(found["loss"], whole.loss + 0.05 * weights, rtol=1e-5)
    np.testing.assert_allclose(found["penalty"], whole.cost + 0.05 * weights, rtol=1e-5)
    history = made.fit(DATA, validation=DATA, epochs=1, batch_size=len(x), verbose=False)
    np.testing.assert_allclose(history["validation_loss"], history["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["validation_penalty"], history["penalty"], rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("penalty", [None, dp.L2(0.1)])
def test_prices_of_several_batches_add_up_as_the_loss_does(reduction, penalty, monkeypatch):
    """37 rows by 8: λ Σ_n ‖h_n‖₁ is a sum over the rows, or their mean; the penalty on weights is counted once."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(37, 4)).astype(np.float32), rng.normal(size=(37, 3)).astype(np.float32)
    net, loss = [dp.Dense(3), dp.ActivityL1(0.3)], dp.MeanSquaredError(reduction=reduction)
    made = dp.Model(net, loss, dp.SGD(1e-9), penalty=penalty, in_shape=(4,))
    monkeypatch.setattr("denpa.training.preparation.size_of_batches", lambda *_, **__: 8)
    y = made.predict(data[0])
    over = np.sum if reduction == "sum" else np.mean
    price = 0.3 * over(np.abs(y).sum(axis=1))
    if penalty is not None:
        price += float(penalty.value(made.variables.params))
    objective = over(np.square(y - data[1]).sum(axis=1) / 2) + price
    found = made.evaluate(data)
    np.testing.assert_allclose([found["penalty"], found["loss"]], [price, objective], rtol=1e-5)
    history = made.fit(data, validation=data, epochs=1, batch_size=8, shuffle=False, record_steps=True, verbose=False)
    for name in ("", "validation_"):
        np.testing.assert_allclose(history[f"{name}penalty"], [price], rtol=1e-5)
        np.testing.assert_allclose(history[f"{name}loss"], [objective], rtol=1e-5)
    first = 0.3 * over(np.abs(y[:8]).sum(axis=1)) + (float(penalty.value(made.variables.params)) if penalty else 0)
    np.testing.assert_allclose(history.steps[0]["penalty"], first, rtol=1e-5)
    fresh = dp.Model(net, loss, dp.SGD(1e-9), penalty=penalty)
    seeds = dp.sweep(fresh, data, seeds=[0, 1], validation=data, epochs=1, batch_size=8, verbose=False)
    for history in seeds.histories:
        np.testing.assert_allclose(history["validation_penalty"], history["penalty"], rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_prices_of_windows_add_up_as_the_loss_does(reduction):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(10, 6, 2)).astype(np.float32), rng.normal(size=(10, 6, 3)).astype(np.float32)
    net, loss = [dp.RNN(3, return_sequences=True), dp.ActivityL1(0.3)], dp.MeanSquaredError(reduction=reduction)
    made = dp.Model(net, loss, dp.SGD(1e-9), in_shape=(6, 2))
    price = 0.3 * np.abs(made.predict(data[0])).sum()
    history = made.fit(data, epochs=1, batch_size=4, window=2, verbose=False)
    expected = price if reduction == "sum" else price / 10 / 3  # the mean over the examples and over three windows
    np.testing.assert_allclose(history["penalty"], [expected], rtol=1e-5)


def test_rows_that_fill_a_batch_have_no_share_in_a_price(monkeypatch):
    made = dp.Model([dp.Dense(3), dp.ActivityL1(1.0)], dp.MeanSquaredError(), in_shape=(2,))
    x = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    y = made.predict(x)
    monkeypatch.setattr("denpa.training.preparation.size_of_batches", lambda *_, **__: 4)  # 4, 4 and 2
    np.testing.assert_allclose(made.evaluate((x, y))["loss"], np.abs(y).sum(axis=1).mean(), rtol=1e-5)


def test_predicting_copies_no_more_than_the_last_batch():
    x = np.arange(24.0).reshape(12, 2)
    *whole, last = inputs.filled_batches(x, 8)
    assert all(np.shares_memory(batch, x) for batch in whole)
    np.testing.assert_array_equal(last, [*x[8:], *np.zeros((4, 2))])


@pytest.mark.parametrize("record_steps", [False, True])
def test_large_sums_of_an_epoch_are_the_same_however_its_steps_are_cut(record_steps, monkeypatch):
    """A confusion matrix of 12 classes is added up as the steps come, and no step's is kept."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 12, rng.uniform(0, 1, 60)
    seen, found = [], []
    kept = loop._with_part
    monkeypatch.setattr(loop, "_with_part", lambda logs, part: seen.append(kept(logs, part)) or seen[-1])
    for pace in (1, 3, 16):
        made = dp.Model([dp.Dense(12)], dp.SoftmaxCrossEntropy(), dp.SGD(0.1), metrics=[dp.ConfusionMatrix()])
        made.build((4,))
        made.programs.paces[5] = pace
        monkeypatch.setattr(loop, "FIRST_CHUNK", pace)
        monkeypatch.setattr(loop.Training, "_adapt", lambda *_: None)
        history = made.fit(data, epochs=2, batch_size=5, record_steps=record_steps, verbose=False)
        found.append([row["confusion_matrix"] for row in history.epochs])
        assert len(history.steps) == 24 * record_steps
    np.testing.assert_array_equal(found[1:], found[:1] * 2)
    np.testing.assert_allclose(np.sum(found[0], axis=(1, 2)), data[2].sum(), rtol=1e-5)
    assert max(sum(len(part["metrics"]["confusion_matrix"]["counts"]) for part in logs) for logs in seen) == 1


def test_a_chunk_has_room_for_as_many_steps_as_fit():
    made = dp.Model([dp.Dense(1000)], dp.SoftmaxCrossEntropy(), dp.SGD(0.1), metrics=[dp.ConfusionMatrix()])
    assert 1 <= room_of(made) * 1000**2 <= 1 << 24
    made.metrics = ()
    assert room_of(made) == 2000


def room_of(made):
    x, rooms = np.zeros((2000, 1), np.float32), []

    def look(training):
        rooms.append(training.capacity)
        training.stop("seen")

    first = dp.Dataset(x, np.arange(2000) % 1000, "classification")
    with pytest.raises(StopIteration):
        made.fit(first, epochs=1, batch_size=1, verbose=False, callbacks=[Looking(look)])
    return rooms[0]


class Looking(dp.Callback):
    """Looks at the training before its first step, and ends it."""

    def __init__(self, look):
        object.__setattr__(self, "look", look)

    def begin(self, training):
        session = Session(training)

        def on_start():
            self.look(training)
            raise StopIteration

        session.on_start = on_start
        return session

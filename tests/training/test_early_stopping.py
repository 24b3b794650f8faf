"""Early stopping: when it stops, what it keeps, and both ways to train on all data afterwards."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training.batches import BatchPlan
from denpa.training.early_stopping import joined
from tests.training.common import DATA, HELD_OUT, QUIET, bits, model, problem, rows


def scripted(monkeypatch, values, name="validation_loss"):
    """Measurements on validation data that follow a script, whatever the network does; the last one repeats."""
    rest = list(values)

    def measure(self):
        return {name: rest.pop(0) if len(rest) > 1 else rest[0]}

    monkeypatch.setattr("denpa.training.loop.Training.measure_validation", measure)


def fitted(rule, epochs=12, **options):
    """A model trained under a rule, with the parameters that it had after each epoch."""
    trained, after = model(**options), []
    history = trained.fit(
        DATA,
        validation=HELD_OUT,
        epochs=epochs,
        callbacks=[rule, lambda t: after.append(bits(t.model.variables))],
        **QUIET,
    )
    return trained, history, after


@pytest.mark.parametrize(
    ("rule", "values", "ended", "best"),
    [
        ({"patience": 2}, [5, 4, 3, 4, 3.5, 9], 5, 3),
        ({"patience": 1}, [5, 4, 4, 3], 3, 2),  # equal is no improvement
        ({"patience": 3}, [5, 6, 7, 4, 5, 6, 7], 7, 4),
        ({"patience": 3}, [5, 6, 7, 4.9, 5, 6, 5.5], 7, 4),  # waiting starts anew at a new best
        ({"patience": 2, "min_delta": 0.5}, [5, 4.6, 4.6, 1], 3, 1),
        ({"patience": 2, "compare": "previous"}, [5, 6, 5.5, 7, 6.5, 7, 8, 1], 7, 1),  # only two rises in a row count
        ({"patience": 2, "compare": "previous", "min_delta": 0.1}, [1, 0.95, 0.89, 0.5], 3, 3),  # no step of 0.1
        ({"patience": 2, "compare": "best"}, [5, 6, 5.5, 7], 3, 1),
        ({"patience": 2}, [math.nan, math.nan, 1], 2, None),
        ({"patience": 2}, [3, math.nan, 2, math.nan, math.nan], 5, 3),
        ({"patience": 2, "compare": "previous"}, [3, math.nan, 4, math.nan, 2, 1, 1, 1], 8, 6),
        ({"patience": 20}, [5, 4, 6, 6], 12, 2),
    ],
)
def test_a_scripted_curve(monkeypatch, rule, values, ended, best):
    scripted(monkeypatch, values)
    trained, history, after = fitted(dp.EarlyStopping(**rule))
    assert len(history) == ended
    assert history.best_epoch == best
    assert history.stopped == (
        "" if ended == 12 else f"validation_loss has not improved for {rule['patience']} measurements"
    )
    assert bits(trained.variables) == after[(best or ended) - 1]


@pytest.mark.parametrize(
    ("name", "values", "threshold", "ended"),
    [
        ("validation_loss", [5, 4, 3, 2, 1], 3, 4),  # equal is not below
        ("validation_loss", [5, 6, 7, 2], 1, 3),  # patience still counts
        ("validation_accuracy", [0.5, 0.8, 0.9, 1.0], 0.85, 3),
    ],
)
def test_a_threshold_ends_training(monkeypatch, name, values, threshold, ended):
    scripted(monkeypatch, values, name)
    _, history, _ = fitted(dp.EarlyStopping(2, monitor=name, stopping_threshold=threshold))
    assert len(history) == ended
    passed = f"{name} has passed {threshold:g}"
    assert history.stopped == (passed if threshold != 1 else f"{name} has not improved for 2 measurements")


def test_the_training_error_may_be_watched_without_validation_data():
    rule = dp.EarlyStopping(monitor="loss", patience=100, stopping_threshold=0.8)
    history = model().fit(DATA, epochs=100, callbacks=[rule], **QUIET)
    assert history.stopped == "loss has passed 0.8"
    assert history["loss"][-1] < 0.8 <= history["loss"][-2]
    history = model().fit(DATA, epochs=3, callbacks=[dp.EarlyStopping(2, period=2, monitor="loss")], **QUIET)
    assert (history.best_epoch, history.stopped) == (3, "")  # it changes at the end of each epoch of four updates


def test_without_restoring_the_last_parameters_stay(monkeypatch):
    scripted(monkeypatch, [5, 4, 6, 6])
    trained, history, after = fitted(dp.EarlyStopping(2, restore_best=False))
    assert history.best_epoch == 2
    assert bits(trained.variables) == after[-1]


def test_a_metric_that_rises_is_known_by_its_name(monkeypatch):
    scripted(monkeypatch, [0.5, 0.7, 0.6, 0.6, 0.9], "validation_accuracy")
    assert fitted(dp.EarlyStopping(2, monitor="validation_accuracy"))[1].best_epoch == 2
    scripted(monkeypatch, [0.5, 0.7, 0.6, 0.6, 0.4, 0.1], "validation_accuracy")
    assert fitted(dp.EarlyStopping(2, monitor="validation_accuracy", mode="min"))[1].best_epoch == 1


def test_measuring_every_few_updates(monkeypatch):
    """Period 3 with four updates an epoch: measurements after 3, 6, 9, 12, ... updates."""
    seen = []

    class Seen(dp.EarlyStopping):
        def begin(self, training):
            session = super().begin(training)
            measure = session._measure
            session._measure = lambda row: (seen.append(training.step), measure(row))[1]
            return session

    values = {3: 5, 4: 0, 6: 4, 8: 0, 9: 3, 12: 3.5, 15: 9, 16: 0}
    monkeypatch.setattr(
        "denpa.training.loop.Training.measure_validation", lambda self: {"validation_loss": values[self.step]}
    )
    trained = model()
    history = trained.fit(DATA, validation=HELD_OUT, epochs=9, callbacks=[Seen(2, period=3)], **QUIET)
    assert seen == [3, 6, 9, 12, 15]
    assert trained.steps == 15
    assert len(history) == 3
    nine = model()
    nine.fit(DATA, validation=HELD_OUT, epochs=9, callbacks=[Stop(9)], **QUIET)
    assert bits(trained.variables) == bits(nine.variables)


class Stop(dp.Callback):
    """Stop after so many updates."""

    def __init__(self, steps):
        object.__setattr__(self, "steps", steps)

    def begin(self, training):
        from denpa.training import Session

        session = Session(training)
        session.period = self.steps
        session.on_period = lambda: training.stop("enough")
        return session


def test_training_goes_on_after_a_stop(monkeypatch):
    """In the middle of an epoch too: the next call begins the epoch anew and counts on."""
    trained = model()
    history = trained.fit(DATA, epochs=9, callbacks=[Stop(6)], **QUIET)
    assert (trained.steps, trained.epochs, history.stopped) == (6, 1, "enough")
    trained.fit(DATA, epochs=2, **QUIET)
    assert [(row["epoch"], row["step"]) for row in history.epochs] == [(1, 4), (2, 10), (3, 14)]


def overfitting():
    """Random labels: what is learned on one part is wrong on the other."""
    x = np.random.default_rng(0).normal(size=(31, 4)).astype(np.float32)
    t = np.random.default_rng(1).integers(0, 3, 31)
    return (x[:20], t[:20]), (x[20:], t[20:])


def big(**options):
    net = dp.Sequential([dp.Dense(5), dp.Tanh(), dp.Dense(3)])
    return model(net, optimizer=dp.SGD(0.5), **options)


def test_a_real_curve_stops_at_its_turning_point():
    data, held_out = overfitting()
    free = big()
    curve = free.fit(data, validation=held_out, epochs=40, **QUIET)["validation_loss"]
    turning = int(np.argmin(curve)) + 1
    assert turning < 30
    assert curve[-1] > curve[turning - 1]
    stopped = big()
    history = stopped.fit(data, validation=held_out, epochs=40, callbacks=[dp.EarlyStopping(8)], **QUIET)
    assert history.best_epoch == turning
    assert len(history) == turning + 8
    assert history["validation_loss"] == curve[: turning + 8]
    exact = big()
    exact.fit(data, validation=held_out, epochs=turning, **QUIET)
    assert bits(stopped.variables) == bits(exact.variables)
    np.testing.assert_allclose(stopped.evaluate(held_out)["loss"], curve[turning - 1], rtol=1e-6)


def test_algorithm_b_trains_anew_on_all_data_for_as_many_updates():
    """T updates from the same start; with more data these are fewer epochs."""
    data, held_out = overfitting()
    rule = dp.EarlyStopping(8, retrain="from_scratch")
    trained = big()
    weight = np.linspace(0.5, 1.5, 31, dtype=np.float32)
    weight[20:] = 1  # what was held out has none of its own
    history = trained.fit((*data, weight[:20]), validation=held_out, epochs=40, callbacks=[rule], **QUIET)
    updates = 4 * history.best_epoch
    assert trained.steps == updates
    together = tuple(np.concatenate([a, b]) for a, b in zip(data, held_out, strict=True))
    by_hand = big()
    by_hand.fit((*together, weight), epochs=40, callbacks=[Stop(updates)], **QUIET)
    assert by_hand.steps == updates
    assert bits(trained.variables) == bits(by_hand.variables)
    assert history is trained.history
    assert len(history) == history.best_epoch + 8  # the history of the first run stays
    assert len(history.retraining) == updates // 7  # 31 examples make 7 updates an epoch


def test_algorithm_b_from_where_it_stands():
    """Keep the best parameters and go on with all data until the validation error is below the training error then."""
    data, held_out = overfitting()
    rule = dp.EarlyStopping(8, retrain="continue")
    trained = big()
    history = trained.fit(data, validation=held_out, epochs=40, callbacks=[rule], **QUIET)
    best = history.best_epoch
    ended = 4 * (best + 8)
    assert ended < trained.steps <= ended + 4 * best
    again = history.retraining
    level = history["loss"][best - 1]
    below = [value < level for value in again["validation_loss"]]
    assert not any(below[:-1])
    assert below[-1] or trained.steps == ended + 4 * best
    # The validation data are learned from now.
    assert trained.evaluate(held_out)["loss"] < min(history["validation_loss"])


def test_going_on_with_all_data_ends_below_the_training_error(monkeypatch):
    """3.9 is below the best validation error, 4, but not below the training error then."""
    scripted(monkeypatch, [9, 8, 7, 6, 5, 4, 6, 6, 3.9, 1e-4, 1e-4])
    trained, history, _ = fitted(dp.EarlyStopping(2, retrain="continue"))
    assert history.best_epoch == 6
    assert 1e-4 < history["loss"][5] < 3.9
    assert history.retraining["validation_loss"] == [3.9, 1e-4]  # of 24 updates at most, 7 in an epoch
    assert "fell below" in history.retraining.stopped
    assert trained.steps == 8 * 4 + 2 * 7
    assert (history.updates, history.retraining.updates) == (8 * 4, 2 * 7)


def test_full_batches_stay_full_when_all_data_are_trained_on():
    data, held_out = overfitting()
    trained = big()
    rule = dp.EarlyStopping(3, retrain="from_scratch")
    trained.fit(data, epochs=2, batch_size="full", verbose=False)  # what came before stays
    history = trained.fit(data, validation=held_out, epochs=30, batch_size="full", callbacks=[rule], verbose=False)
    assert trained.steps == history.best_epoch == 2 + len(history.retraining)
    assert history.retraining.updates == len(history.retraining)
    assert history.updates == len(history) - 2  # without those of the first fit


def test_algorithm_b_goes_back_to_where_fit_began():
    """To weights that were loaded, and to the frozen ones among them; not to the random ones of the seed."""
    data, held_out = overfitting()
    learned = big(seed=5, in_shape=(4,))
    trained = big(in_shape=(4,), frozen="0_dense/*")
    trained.load_weights(learned)
    start = trained.run
    history = trained.fit(
        data, validation=held_out, epochs=9, callbacks=dp.EarlyStopping(1, retrain="from_scratch"), **QUIET
    )
    by_hand = big(in_shape=(4,), frozen="0_dense/*")
    by_hand.load_weights(learned)
    together = tuple(np.concatenate([a, b]) for a, b in zip(data, held_out, strict=True))
    by_hand.fit((*together, np.ones(31)), epochs=9, callbacks=[Stop(4 * history.best_epoch)], **QUIET)
    assert bits(trained.variables) == bits(by_hand.variables)
    assert bits(trained.variables.params["0_dense"]) == bits(start.params["0_dense"])


def test_examples_of_all_kinds_are_joined():
    """Padded sequences; weights (batch, time) for the one part, (batch,) or none for the other."""
    rng = np.random.default_rng(2)
    x, t, lengths = rng.normal(size=(9, 4, 3)), rng.integers(0, 2, (9, 4)), rng.integers(1, 5, 9)
    x, t = dp.Padded(x, lengths), dp.Padded(t, lengths)
    train, held_out = (jax.tree.map(lambda a, s=s: a[s], (x, t)) for s in (slice(6), slice(6, 9)))
    each_step = rng.uniform(size=(6, 4))
    for own, all_of_them in ((None, np.ones((3, 4))), (np.arange(3.0), np.repeat(np.arange(3.0)[:, None], 4, axis=1))):
        found = joined((*train, each_step), (*held_out, own))
        jax.tree.map(np.testing.assert_array_equal, found, (x, t, np.concatenate([each_step, all_of_them])))
    np.testing.assert_array_equal(joined((*train, None), (*held_out, np.arange(3.0)))[2], [1] * 6 + [0, 1, 2])


def test_the_error_before_the_first_epoch_ends_is_that_of_the_batches_so_far(monkeypatch):
    monkeypatch.setattr(
        "denpa.training.loop.Training.measure_validation", lambda self: {"validation_loss": abs(self.step - 2)}
    )
    rule, trainings, trained = dp.EarlyStopping(9, period=2), [], model()
    callbacks = [trainings.append, rule]
    steps = trained.fit(DATA, validation=HELD_OUT, epochs=1, callbacks=callbacks, record_steps=True, **QUIET).steps
    best = trainings[0].best[rule]
    assert best["step"] == 2
    np.testing.assert_allclose(best["train_loss"], (steps[0]["loss"] + steps[1]["loss"]) / 2, rtol=1e-6)


def test_what_was_kept_before_is_forgotten(monkeypatch):
    """The parameters after another call of fit are not those that the rule kept."""
    scripted(monkeypatch, [1, 2])
    trained = model()
    rule = dp.EarlyStopping(1, retrain="continue")
    history = trained.fit(DATA, validation=HELD_OUT, epochs=3, callbacks=rule, **QUIET)
    assert history.best_epoch == 1
    assert history.retraining is not None
    trained.fit(DATA, epochs=1, **QUIET)
    assert (history.best_epoch, history.retraining, history.stopped) == (None, None, "")


def test_a_rule_that_never_measured_changes_nothing():
    trained = model()
    rule = dp.EarlyStopping(2, period=1000, retrain="from_scratch")
    history = trained.fit(DATA, validation=HELD_OUT, epochs=2, callbacks=rule, **QUIET)
    assert trained.steps == 8
    assert history.best_epoch is None


def test_validation_may_be_a_fraction():
    trained = model()
    history = trained.fit(problem(2, 40), validation=0.25, epochs=3, callbacks=[dp.EarlyStopping(1)], **QUIET)
    assert "validation_loss" in history.columns
    assert BatchPlan(30, 5).steps * len(history) == history["step"][-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience must be positive, not 0"),
        ({"period": 0}, "period must be positive, not 0"),
        ({"min_delta": -1}, "min_delta must be 0 or more, not -1"),
        ({"compare": "last"}, 'compare must be "best" or "previous", not \'last\''),
        ({"mode": "up"}, 'mode must be "min" or "max", not'),
        ({"retrain": "yes"}, 'retrain must be "from_scratch" or "continue", not'),
        ({"stopping_threshold": "low"}, "stopping_threshold must be a number, not 'low'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(dp.ConfigError, match=message):
        dp.EarlyStopping(**options)


def test_what_cannot_be_watched_is_refused_before_training():
    trained = model()
    with pytest.raises(dp.ConfigError, match="needs validation data"):
        trained.fit(DATA, epochs=1, callbacks=[dp.EarlyStopping()], **QUIET)
    with pytest.raises(dp.ConfigError, match="'validation_acuracy': did you mean 'validation_accuracy'"):
        trained.fit(DATA, validation=HELD_OUT, callbacks=[dp.EarlyStopping(monitor="validation_acuracy")], **QUIET)
    assert trained.run is None
    history = trained.fit(DATA, epochs=3, callbacks=[dp.EarlyStopping(1, monitor="loss")], **QUIET)
    assert len(history) == 3


def test_what_cannot_be_retrained_on_is_refused_before_training():
    one_hot = (HELD_OUT[0], np.eye(3, dtype=np.float32)[HELD_OUT[1]])
    trained = model()
    with pytest.raises(
        dp.DataError, match=r"t of one example has shapes \[\(\)\] in the one and \[\(3,\)\] in the other"
    ):
        trained.fit(DATA, validation=one_hot, callbacks=dp.EarlyStopping(2, retrain="from_scratch"), **QUIET)
    sums = model(loss=dp.SoftmaxCrossEntropy(reduction="sum"))
    with pytest.raises(dp.ConfigError, match="wants a mean, not SoftmaxCrossEntropy"):
        sums.fit(DATA, validation=HELD_OUT, callbacks=dp.EarlyStopping(2, retrain="continue"), **QUIET)
    normed = model(dp.Sequential([dp.BatchNorm(), dp.Dense(3)]))  # 20 and 11 examples: five batches, and one example
    with pytest.raises(dp.ShapeError, match="BatchNorm"):
        normed.fit(DATA, validation=HELD_OUT, callbacks=dp.EarlyStopping(2, retrain="from_scratch"), **QUIET)
    assert trained.run is sums.run is normed.run is None


def test_an_array_cannot_be_watched(monkeypatch):
    scripted(monkeypatch, [np.eye(3)], "validation_accuracy")
    with pytest.raises(
        dp.ConfigError, match=r"watches one number, but 'validation_accuracy' is an array of shape \(3, 3\)"
    ):
        model().fit(DATA, validation=HELD_OUT, callbacks=dp.EarlyStopping(2, monitor="validation_accuracy"), **QUIET)


def test_the_rule_is_a_description():
    rule = dp.EarlyStopping(3, period=50, min_delta=1)
    assert repr(rule) == "EarlyStopping(3, 50, min_delta=1.0)"
    assert dp.from_config(dp.to_config(rule)) == rule
    assert rows(model().fit(DATA, epochs=1, **QUIET))
    assert jax.tree.leaves(rule) == [rule]

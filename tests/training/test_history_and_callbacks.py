"""What is told of a training, and who may listen."""

from __future__ import annotations

import csv
import io
import math
import os
import signal
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import denpa as dp
from denpa.training import Session, figures
from denpa.training.interrupts import interrupts_wait
from tests.training.common import DATA, HELD_OUT, QUIET, bits, model, rows, whole


@pytest.fixture(scope="module")
def history():
    made = model(metrics=[dp.Accuracy(), dp.ConfusionMatrix()], penalty=dp.L2(0.01))
    made.fit(DATA, epochs=2, **QUIET)
    made.fit(DATA, validation=HELD_OUT, epochs=3, **QUIET)
    return made.history


def test_columns_and_rows(history):
    assert len(history) == 5
    assert history.columns == [
        "epoch", "step", "loss", "penalty", "accuracy", "confusion_matrix",
        "validation_loss", "validation_penalty", "validation_accuracy", "validation_confusion_matrix",
    ]  # fmt: skip
    assert history["epoch"] == [1, 2, 3, 4, 5]
    assert history["step"] == [4, 8, 12, 16, 20]
    assert [math.isnan(value) for value in history["validation_loss"]] == [True, True, False, False, False]
    with pytest.raises(KeyError, match="No column 'los': did you mean 'loss'"):
        history["los"]
    assert len(history.seconds) == 5
    assert min(history.seconds) > 0
    assert repr(history).startswith("History(5 epochs; last: epoch=5, step=20, loss=")
    assert repr(dp.History()) == "History(no epoch yet)"


def test_csv_keeps_every_digit(history):
    table = list(csv.DictReader(io.StringIO(history.csv())))
    assert [row["epoch"] for row in table] == list("12345")
    assert "confusion_matrix" not in table[0]
    assert [float(row["loss"]) for row in table] == history["loss"]
    assert [row["validation_loss"] for row in table[:2]] == ["", ""]
    assert float(table[4]["validation_loss"]) == history["validation_loss"][4]


def test_what_a_file_says_of_a_history_cannot_take_the_place_of_methods(history):
    again = dp.History.from_config({**history.to_config(), "csv": "mine"})
    assert again.csv() == history.csv()
    assert dp.History.from_config({"epochs": []}).stopped == ""


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {"epochs": 7},
        {"epochs": [7]},
        {"epochs": [{"epoch": 1, "loss": "low"}]},
        {"steps": {"step": 1}},
        {"seconds": ["long"]},
        {"stopped": []},
    ],
)
def test_a_history_that_is_none_is_refused(broken):
    with pytest.raises(dp.FileFormatError):
        dp.History.from_config(broken)
    with pytest.raises(dp.FileFormatError, match="no epoch for the array 3/confusion"):
        dp.History.from_config({}, {"3/confusion": np.zeros(2)})


def test_it_plots_itself(history, tmp_path):
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "penalty", "accuracy"]
    training, validation = figure.axes[0].get_lines()
    np.testing.assert_array_equal(training.get_ydata(), history["loss"])
    np.testing.assert_array_equal(validation.get_ydata(), history["validation_loss"])
    assert training.get_linestyle() != validation.get_linestyle()
    assert [axes.get_ylabel() for axes in history.plot(columns=["accuracy"]).axes] == ["accuracy"]
    with pytest.raises(dp.ConfigError, match="No quantity 'acc' to plot"):
        history.plot(columns=["acc"])
    with pytest.raises(dp.ConfigError, match="nothing to plot yet"):
        dp.History().plot()


def test_the_confusion_matrix_is_drawn(history, tmp_path):
    counts = history.epochs[-1]["validation_confusion_matrix"]
    figure = figures.confusion_matrix(counts, tmp_path / "c.png", ["ant", "bee", "cat"])
    (axes,) = figure.axes
    assert sum(int(text.get_text()) for text in axes.texts) == counts.sum() == 11
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cat"]
    assert (tmp_path / "c.png").exists()


# ------------------------------------------------------------------------------------------------ callbacks
@dataclass(frozen=True)
class Recorder(dp.Callback):
    """Notes every call, with the step at which it came."""

    every: int | None = None

    def begin(self, training):
        return Notes(training, self.every)


class Notes(Session):
    last: Notes

    def __init__(self, training, every):
        super().__init__(training)
        self.period, self.calls = every, [("begin", training.step)]
        type(self).last = self

    def on_epoch_end(self):
        assert self.training.row["epoch"] == self.training.at.epoch == self.training.model.epochs
        self.calls.append(("epoch", self.training.row["step"]))

    def on_period(self):
        self.calls.append(("period", self.training.step))

    def on_failure(self, error):
        self.calls.append((type(error).__name__, self.training.step))

    def on_end(self):
        self.calls.append(("end", self.training.step))


def test_sessions_hear_of_everything():
    model().fit(DATA, epochs=2, callbacks=[Recorder(3)], **QUIET)
    assert Notes.last.calls == [
        ("begin", 0), ("period", 3), ("epoch", 4), ("period", 6), ("epoch", 8), ("end", 8),
    ]  # fmt: skip


def test_sessions_hear_of_failures_and_errors_pass_through():
    def fail(training):
        if training.at.epoch == 2:
            raise ZeroDivisionError("mine")

    trained = model()
    with pytest.raises(ZeroDivisionError, match="mine"):
        trained.fit(DATA, epochs=5, callbacks=[Recorder(), fail], **QUIET)
    assert Notes.last.calls[-2:] == [("epoch", 8), ("ZeroDivisionError", 8)]
    assert (trained.steps, trained.epochs) == (8, 2)
    trained.fit(DATA, epochs=3, **QUIET)
    straight = model()
    straight.fit(DATA, epochs=5, **QUIET)
    assert whole(trained) == whole(straight)


@dataclass(frozen=True)
class Failing(dp.Callback):
    """Raises an error at a moment of the session."""

    moment: str
    error: type[BaseException]

    def begin(self, training):
        session = Session(training)

        def fail(*arguments):
            raise self.error("mine")

        setattr(session, self.moment, fail)
        return session


def test_an_end_that_fails_keeps_no_other_session_from_its_own():
    trained, stop = model(optimizer=dp.SGD(50.0)), dp.EarlyStopping(patience=1)
    failing = [Failing("on_end", ZeroDivisionError), Failing("on_end", OSError)]
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        trained.fit(DATA, validation=HELD_OUT, epochs=9, callbacks=[stop, *failing, Recorder()], **QUIET)
    assert caught.value.__notes__ == ["Besides, OSError: mine"]
    assert Notes.last.calls[-1][0] == "end"
    history = trained.history
    assert history.best_epoch < len(history)
    assert trained.evaluate(HELD_OUT)["loss"] == pytest.approx(history.kept["validation_loss"])


def test_after_ctrl_c_at_the_end_the_others_hear_of_a_failure():
    failing = [Failing("on_end", ZeroDivisionError), Failing("on_end", KeyboardInterrupt)]
    with pytest.raises(KeyboardInterrupt) as caught:
        model().fit(DATA, epochs=1, callbacks=[*failing, Recorder()], **QUIET)
    assert Notes.last.calls[-1][0] == "KeyboardInterrupt"
    assert caught.value.__notes__ == ["Besides, ZeroDivisionError: mine"]


@pytest.mark.parametrize(("second", "raised"), [(OSError, ZeroDivisionError), (KeyboardInterrupt, KeyboardInterrupt)])
def test_all_hear_of_a_failure_even_if_one_fails_again(second, raised):
    failing = [Failing("on_epoch_end", ZeroDivisionError), Failing("on_failure", second)]
    with pytest.raises(raised, match="mine") as caught:
        model().fit(DATA, epochs=1, callbacks=[*failing, Recorder()], **QUIET)
    assert Notes.last.calls[-1][0] == "ZeroDivisionError"
    assert len(caught.value.__notes__) == 1


def test_a_function_sees_the_model_as_it_is_and_may_stop():
    seen = []

    def look(training):
        seen.append((bits(training.model.variables), training.model.evaluate(HELD_OUT)["loss"]))
        if training.row["validation_loss"] == seen[-1][1] and len(seen) == 3:
            training.stop("that is enough")

    trained = model()
    history = trained.fit(DATA, validation=HELD_OUT, epochs=9, callbacks=look, **QUIET)
    assert history.stopped == "that is enough"
    assert trained.epochs == len(seen) == 3
    assert seen[-1][0] == bits(trained.variables)
    np.testing.assert_allclose([loss for _, loss in seen], history["validation_loss"], rtol=1e-6)


def test_a_callback_without_begin_says_what_is_missing():
    @dataclass(frozen=True)
    class Empty(dp.Callback):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define begin"):
        model().fit(DATA, epochs=1, callbacks=[Empty()], **QUIET)


# -------------------------------------------------------------------------------------------------- progress
def told(capsys, epochs=2, **options):
    model().fit(DATA, **{"epochs": epochs, "batch_size": 5} | options)
    return capsys.readouterr().out.splitlines()


def test_lines_when_nobody_watches_a_terminal(capsys):
    lines = told(capsys, verbose=True, validation=HELD_OUT)
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    assert "| validation loss" in lines[1]
    assert lines[1].endswith("s)")
    assert told(capsys, verbose=False) == []
    assert told(capsys, verbose=0) == []
    assert told(capsys, verbose="none") == []


def test_a_stop_is_told(capsys):
    lines = told(capsys, 5, verbose="lines", callbacks=lambda training: training.stop("because"))
    assert lines[-1] == "stopped: because"


def test_long_runs_of_short_epochs_take_about_fifty_lines(capsys):
    lines = told(capsys, 301, verbose="lines")
    assert 40 < len(lines) < 60
    assert lines[-1].startswith("epoch 301/301")


def test_a_bar(capsys):
    assert "epoch 2/2" in "\n".join(told(capsys, verbose="bar"))


@pytest.fixture
def bars(monkeypatch):
    """Notes each bar that is put on the console, and each that is taken off."""
    from rich.progress import Progress

    calls, start, stop = [], Progress.start, Progress.stop
    monkeypatch.setattr(Progress, "start", lambda bar: calls.append(("start", bar.tasks[0].completed)) or start(bar))
    monkeypatch.setattr(Progress, "stop", lambda bar: calls.append(("stop", bar.tasks[0].completed)) or stop(bar))
    return calls


def test_what_is_refused_leaves_no_bar_on_the_console(bars, tmp_path):
    with pytest.raises(dp.FileFormatError, match="no folder"):
        model().fit(DATA, resume=tmp_path / "missing", verbose="bar")
    assert bars == []


def test_the_bar_of_a_resumed_run_begins_where_it_was_left(bars, tmp_path):
    model().fit(DATA, epochs=2, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
    model().fit(DATA, epochs=3, resume=tmp_path, **QUIET | {"verbose": "bar"})
    assert bars == [("start", 8), ("stop", 12)]


# ------------------------------------------------------------------------------------------------ interrupts
def test_ctrl_c_waits_for_the_chunk_and_leaves_a_whole_model():
    before = signal.getsignal(signal.SIGINT)
    trained = model()

    def press(training):
        if training.at.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained.fit(DATA, epochs=9, callbacks=[press], **QUIET)
    assert signal.getsignal(signal.SIGINT) is before
    assert (trained.steps, trained.epochs, int(trained.run.step)) == (8, 2, 8)
    two = model()
    two.fit(DATA, epochs=2, **QUIET)
    assert whole(trained) == whole(two)


def test_the_second_ctrl_c_acts_at_once():
    def press_twice():
        with interrupts_wait() as came:
            os.kill(os.getpid(), signal.SIGINT)
            assert came()
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the second one must not be held back")

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_a_ctrl_c_that_nobody_asked_for_is_not_lost():
    """It came while training wrote down its end: that is done, and then it acts."""
    done = []

    def press_at_the_end():
        with interrupts_wait():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the last checkpoint")

    with pytest.raises(KeyboardInterrupt):
        press_at_the_end()
    assert done


def test_training_works_in_another_thread():
    trained, main = model(), model()
    thread = threading.Thread(target=lambda: trained.fit(DATA, epochs=2, **QUIET))
    thread.start()
    thread.join()
    main.fit(DATA, epochs=2, **QUIET)
    assert whole(trained) == whole(main)
    assert rows(trained.history) == rows(main.history)


@pytest.mark.parametrize("epochs", [1, 7, 60])
def test_an_axis_of_epochs_has_its_ticks_at_whole_numbers(epochs):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.plot(range(1, epochs + 1), range(epochs))
    figures.epochs_below(axes)
    ticks = axes.get_xticks()
    assert (ticks == ticks.round()).all()
    assert epochs != 60 or 20 in ticks

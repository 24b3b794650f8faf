"""Runs that are interrupted and resumed end with the same bits as runs that are not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training import Session, checkpoint
from denpa.training.storage import read_arrays, write_arrays
from tests.training.common import HELD_OUT, QUIET, RAGGED, RANDOM_NET, Crash, EndAt, bits, model, problem, rows, whole

RULE = dp.EarlyStopping(patience=30, period=4)
VARIANTS = {
    "adam": dp.Adam(dp.schedules.CosineDecay(0.02, 0.001, 40)),
    "chain": dp.chain(dp.ClipByNorm(0.5), dp.Momentum(0.05)),
}


def random_model(optimizer=VARIANTS["adam"], **options):
    return model(RANDOM_NET, optimizer=optimizer, penalty=dp.L2(1e-3), normalizer=dp.Standardize(), **options)


def train(trained, folder=None, callbacks=(), **options):
    """Six epochs of five updates, with a measurement of the validation data after every four updates."""
    keep = [] if folder is None else [dp.Checkpoint(folder, every_steps=3)]
    callbacks = [RULE, *callbacks, *keep]
    options = {"epochs": 6, "validation": HELD_OUT, "record_steps": True, "callbacks": callbacks} | QUIET | options
    return trained.fit(RAGGED, **options)


@pytest.fixture(scope="module")
def references():
    made = {}
    for name, optimizer in VARIANTS.items():
        made[name] = random_model(optimizer)
        train(made[name])
    return made


def files(folder):
    return sorted(path.name for path in (Path(folder) / "checkpoint").iterdir())


# -------------------------------------------------------------------------------------------------- same bits
@pytest.mark.parametrize("optimizer", VARIANTS)
@pytest.mark.parametrize("stop", [1, 4, 5, 14, 29])
def test_resumed_is_uninterrupted(references, tmp_path, optimizer, stop):
    """Dropout, statistics, penalty, moments, schedule, early stopping's memory; inside an epoch or at its end."""
    broken = random_model(VARIANTS[optimizer])
    with pytest.raises(Crash):
        train(broken, tmp_path, [EndAt(stop)])
    if stop < 3:
        assert files(tmp_path) == []
        return
    assert files(tmp_path)[-1] == f"step_{(stop - 1) // 3 * 3:010d}.safetensors"  # what was written before
    resumed = random_model(VARIANTS[optimizer])
    history = train(resumed, tmp_path, resume=tmp_path)
    reference = references[optimizer]
    assert whole(resumed) == whole(reference)
    assert rows(history) == rows(reference.history)
    assert history.steps == reference.history.steps
    assert history.best_epoch == reference.history.best_epoch
    assert (resumed.epochs, resumed.steps) == (reference.epochs, reference.steps)
    assert bits(resumed.statistics) == bits(reference.statistics)


def test_resuming_twice_and_a_run_that_is_finished(references, tmp_path):
    broken = random_model()
    for stop in (7, 16):
        with pytest.raises(Crash):
            train(broken, tmp_path, [EndAt(stop)], resume=tmp_path if stop > 7 else None)
        broken = random_model()
    train(broken, tmp_path, resume=tmp_path)
    assert whole(broken) == whole(references["adam"])
    again = random_model()
    history = train(again, tmp_path, resume=tmp_path)
    assert whole(again) == whole(references["adam"])
    assert rows(history) == rows(references["adam"].history)


def test_arrays_in_the_history_are_remembered(tmp_path):
    """A confusion matrix for every epoch, those before the interruption too."""
    options = {"metrics": [dp.ConfusionMatrix()], "in_shape": (4,)}
    fit = {"validation": HELD_OUT, "callbacks": dp.Checkpoint(tmp_path)} | QUIET
    straight, broken, resumed = (model(**options) for _ in range(3))
    broken.fit(RAGGED, epochs=1, **fit)
    found = resumed.fit(RAGGED, epochs=3, resume=tmp_path, **fit).epochs
    wanted = straight.fit(RAGGED, epochs=3, **fit | {"callbacks": ()}).epochs
    for one, other in zip(found, wanted, strict=True):
        assert set(one) == set(other)
        for name in ("confusion_matrix", "validation_confusion_matrix"):
            np.testing.assert_array_equal(one[name], other[name])


def test_a_stop_is_remembered(tmp_path):
    """Killed after the decision to stop and before the end, a run does not go on training."""
    rule = [dp.EarlyStopping(1, monitor="validation_accuracy", min_delta=1.0), dp.Checkpoint(tmp_path)]
    first = random_model()
    history = first.fit(RAGGED, validation=HELD_OUT, epochs=9, callbacks=rule, **QUIET)
    assert len(history) == 2
    second = random_model()
    again = second.fit(RAGGED, validation=HELD_OUT, epochs=9, callbacks=rule, resume=tmp_path, **QUIET)
    assert rows(again) == rows(history)
    assert again.stopped == history.stopped
    assert bits(second.variables) == bits(first.variables)


def test_more_epochs_after_an_end_with_the_best_parameters(tmp_path):
    """The last checkpoint is of training, whatever early stopping puts back, so its run can be made longer."""
    rule = dp.EarlyStopping(9, monitor="validation_accuracy", min_delta=1.0)  # the first epoch stays the best
    callbacks = [rule, dp.Checkpoint(tmp_path)]
    short = random_model()
    train(short, epochs=3, callbacks=callbacks)
    resumed = random_model()
    train(resumed, epochs=5, callbacks=callbacks, resume=tmp_path)
    straight = random_model()
    train(straight, epochs=5, callbacks=[rule])
    assert rows(resumed.history) == rows(straight.history)
    assert whole(resumed) == whole(straight)


def test_a_place_to_resume_from_is_a_path():
    with pytest.raises(dp.ConfigError, match="resume must be the path of a run folder, not True"):
        checkpoint.latest(True)


def test_the_second_call_of_fit_can_be_resumed(tmp_path):
    whole_run = random_model()
    train(whole_run, epochs=2)
    train(whole_run, epochs=3)
    broken = random_model()
    train(broken, epochs=2)
    with pytest.raises(Crash):
        train(broken, tmp_path, [EndAt(17)], epochs=3)
    resumed = random_model()
    history = train(resumed, tmp_path, resume=tmp_path, epochs=3)
    assert (resumed.epochs, resumed.steps) == (5, 25)
    assert whole(resumed) == whole(whole_run)
    assert rows(history) == rows(whole_run.history)


def test_a_run_that_began_with_other_data_keeps_the_statistics_of_these(tmp_path):
    x, t = problem(5)
    straight, broken, resumed = random_model(), random_model(), random_model()
    for one in (straight, broken):
        one.fit((3 * x + 1, t), epochs=1, **QUIET)
    train(straight, epochs=2)
    with pytest.raises(Crash):
        train(broken, tmp_path, [EndAt(4 + 8)], epochs=2)
    train(resumed, tmp_path, resume=tmp_path, epochs=2)
    assert bits(resumed.statistics) == bits(straight.statistics)
    assert whole(resumed) == whole(straight)
    assert rows(resumed.history) == rows(straight.history)


def test_a_resumed_run_watches_the_training_error_of_the_epoch_before(tmp_path):
    seen, rule, options = [], dp.EarlyStopping(30, period=3, monitor="loss"), {"epochs": 4} | QUIET

    class Watch(dp.Callback):
        def begin(self, training):
            session = Session(training)
            session.period = 1
            session.on_period = lambda: seen.append(training.row.get("loss"))
            return session

    straight, broken, resumed = model(), model(), model()
    wanted = straight.fit(RAGGED, callbacks=rule, **options)
    with pytest.raises(Crash):
        broken.fit(RAGGED, callbacks=[rule, EndAt(16), dp.Checkpoint(tmp_path)], **options)  # 5 updates an epoch
    callbacks = [rule, dp.Checkpoint(tmp_path), Watch()]
    found = resumed.fit(RAGGED, callbacks=callbacks, resume=tmp_path, **options)
    assert rows(found) == rows(wanted)
    assert found.best_epoch == wanted.best_epoch
    assert seen[0] == wanted["loss"][2]


def test_an_interrupt_between_chunks_writes_where_it_stands(references, tmp_path):
    broken = random_model()

    class Interrupt(dp.Callback):
        def begin(self, training):
            session = Session(training)
            session.period = 4
            session.on_period = lambda: setattr(training, "wanted", training.step >= 16)
            return session

    go = dp.training.loop.Training.go
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "denpa.training.loop.Training.go", lambda self, asked: go(self, lambda: getattr(self, "wanted", False))
        )
        with pytest.raises(KeyboardInterrupt):
            train(broken, tmp_path, [Interrupt()])
    assert broken.steps == 16
    assert files(tmp_path)[-1] == "step_0000000016.safetensors"
    resumed = random_model()
    train(resumed, tmp_path, resume=tmp_path)
    assert whole(resumed) == whole(references["adam"])


def test_a_failure_before_the_first_update_writes_nothing(tmp_path):
    trained = random_model()
    with pytest.raises(dp.ConfigError):
        train(trained, tmp_path, [dp.EarlyStopping(monitor="nothing")])
    assert not list(tmp_path.rglob("*.safetensors"))
    assert trained.run is None


def test_retraining_comes_to_the_same_end(tmp_path):
    """Killed after early stopping, while it trains on all data: the resumed run does that again."""
    rule = dp.EarlyStopping(2, retrain="from_scratch")
    options = {"validation": HELD_OUT, "epochs": 4} | QUIET
    first = random_model()
    first.fit(RAGGED, callbacks=[rule], **options)
    second = random_model()
    second.fit(RAGGED, callbacks=[rule, dp.Checkpoint(tmp_path)], **options)
    assert whole(second) == whole(first)
    third = random_model()
    third.fit(RAGGED, callbacks=[rule, dp.Checkpoint(tmp_path)], resume=tmp_path, **options)
    assert whole(third) == whole(first)


# ----------------------------------------------------------------------------------------------------- files
def test_what_retraining_starts_from_is_remembered(tmp_path):
    """Weights that were loaded before the run are those to go back to, although the resumed model never had them."""
    rule, keep = dp.EarlyStopping(2, retrain="from_scratch"), dp.Checkpoint(tmp_path, every_steps=4)
    options = {"validation": HELD_OUT, "epochs": 3} | QUIET
    learned = random_model(seed=5, in_shape=(4,))

    def begun():
        made = random_model(in_shape=(4,))
        made.load_weights(learned)
        return made

    first = begun()
    first.fit(RAGGED, callbacks=[rule], **options)
    second = begun()
    with pytest.raises(Crash):
        second.fit(RAGGED, callbacks=[rule, EndAt(7), keep], **options)
    third = random_model()
    third.fit(RAGGED, callbacks=[rule, keep], resume=tmp_path, **options)
    assert whole(third) == whole(first)


def test_a_resumed_run_retrains_from_where_its_fit_began(tmp_path):
    """After two epochs of an earlier fit; the first epoch of the second stays the best."""
    rule = dp.EarlyStopping(4, monitor="validation_accuracy", min_delta=1.0, retrain="from_scratch")
    keep, options = dp.Checkpoint(tmp_path, every_steps=3), {"validation": HELD_OUT, "epochs": 9} | QUIET
    straight, broken, resumed = model(), model(), model()
    for one in (straight, broken):
        one.fit(RAGGED, epochs=2, **QUIET)
    straight.fit(RAGGED, callbacks=rule, **options)
    with pytest.raises(Crash):
        broken.fit(RAGGED, callbacks=[rule, EndAt(10 + 13), keep], **options)
    resumed.fit(RAGGED, callbacks=[rule, keep], resume=tmp_path, **options)
    assert (resumed.steps, resumed.epochs) == (straight.steps, straight.epochs)
    assert bits(resumed.variables) == bits(straight.variables)


def test_the_latest_are_kept(tmp_path):
    trained = model()
    trained.fit(RAGGED, epochs=5, callbacks=[dp.Checkpoint(tmp_path / "a", every=2)], **QUIET)
    assert files(tmp_path / "a") == ["step_0000000020.safetensors", "step_0000000025.safetensors"]
    model().fit(RAGGED, epochs=2, callbacks=[dp.Checkpoint(tmp_path / "b", every_steps=1, keep=4)], **QUIET)
    assert files(tmp_path / "b") == [f"step_{step:010d}.safetensors" for step in (7, 8, 9, 10)]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_checkpoint_is_passed_over(references, tmp_path, damage):
    broken = random_model()
    with pytest.raises(Crash):
        train(broken, tmp_path, [EndAt(11)])
    newest = tmp_path / "checkpoint" / files(tmp_path)[-1]
    assert checkpoint.latest(tmp_path) == newest
    content = newest.read_bytes()
    newest.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage])
    assert checkpoint.latest(tmp_path).name == "step_0000000006.safetensors"
    resumed = random_model()
    train(resumed, tmp_path, resume=tmp_path)
    assert whole(resumed) == whole(references["adam"])
    assert files(tmp_path) == ["step_0000000027.safetensors", "step_0000000030.safetensors"]


def test_a_damaged_checkpoint_takes_no_place_among_those_kept(tmp_path):
    """With keep=1 the damaged file of a later step must not push out the one just written."""
    options = {"epochs": 3} | QUIET
    with pytest.raises(Crash):
        model().fit(RAGGED, callbacks=[dp.Checkpoint(tmp_path, every_steps=3), EndAt(11)], **options)
    checkpoint.latest(tmp_path).write_bytes(b"")
    keep = dp.Checkpoint(tmp_path, every_steps=1, keep=1)
    with pytest.raises(Crash):
        model().fit(RAGGED, callbacks=[keep, EndAt(8)], resume=tmp_path, **options)
    assert checkpoint.step_of(checkpoint.latest(tmp_path)) in (7, 8)


def test_what_a_killed_run_left_half_written_is_swept_up(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / ".step_0000000009.safetensors.x1y2").write_bytes(b"half")
    model().fit(RAGGED, epochs=1, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
    assert files(tmp_path) == ["step_0000000005.safetensors"]


def test_files_of_other_names_are_left_alone(tmp_path):
    """A copy of a checkpoint, kept under a name of one's own."""
    made = random_model()
    made.fit(RAGGED, epochs=1, callbacks=[dp.Checkpoint(tmp_path, keep=1)], **QUIET)
    folder = tmp_path / "checkpoint"
    for name in ("step_best", "step_", "step_1_000"):
        shutil.copy(folder / "step_0000000005.safetensors", folder / f"{name}.safetensors")
    again = random_model()
    again.fit(RAGGED, epochs=2, callbacks=[dp.Checkpoint(tmp_path, keep=1)], resume=tmp_path, **QUIET)
    assert again.steps == 10
    assert sorted(file.stem for file in folder.iterdir()) == ["step_", "step_0000000010", "step_1_000", "step_best"]


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    trained = random_model()
    with pytest.raises(dp.FileFormatError, match=r"no checkpoint to resume from .* call fit without resume"):
        train(trained, resume=tmp_path)
    assert trained.run is None
    with pytest.raises(dp.FileFormatError, match="There is no folder"):
        train(trained, resume=tmp_path / "none")


def test_killed_before_its_first_checkpoint_a_run_begins_again_in_its_folder(tmp_path):
    broken, again = model(), model()
    with pytest.raises(Crash):
        broken.fit(RAGGED, epochs=1, callbacks=[EndAt(1), dp.Checkpoint(tmp_path)], **QUIET)
    assert files(tmp_path) == []
    again.fit(RAGGED, epochs=1, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
    assert files(tmp_path) == ["step_0000000005.safetensors"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    model().fit(RAGGED, epochs=2, callbacks=[dp.Checkpoint(folder)], **QUIET)
    return folder


OTHERS = {
    "network": (lambda: model(dp.Sequential([dp.Dense(5), dp.ReLU(), dp.Dense(3)])), {}),
    "loss": (lambda: model(loss=dp.SoftmaxCrossEntropy(label_smoothing=0.1)), {}),
    "optimizer": (lambda: model(optimizer=dp.SGD(0.2)), {}),
    "metrics": (lambda: model(metrics=[]), {}),
    "penalty": (lambda: model(penalty=dp.L2(0.1)), {}),
    "normalizer": (lambda: model(normalizer=dp.Standardize()), {}),
    "compute_dtype": (lambda: model(compute_dtype="bfloat16"), {}),
    "frozen": (lambda: model(frozen="0_dense/W"), {}),
    "seed": (lambda: model(seed=1), {}),
    "other data or batches": (model, {"batch_size": 4}),
    "have other values": (model, {"data": (RAGGED[0] + 1e-6, RAGGED[1])}),
    "data have other": (model, {"data": (RAGGED[0], np.roll(RAGGED[1], 1))}),
    "or validation data have other": (model, {"validation": HELD_OUT}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_run_is_not_resumed(finished, what):
    make, changes = OTHERS[what]
    other = make()
    data, options = changes.pop("data", RAGGED), QUIET | changes
    with pytest.raises(dp.ConfigError, match=what):
        other.fit(data, epochs=3, resume=finished, **options)
    assert other.run is None  # and the model is as it was


def test_the_folder_of_another_run_is_not_written_to(finished):
    with pytest.raises(dp.StorageError, match=r"checkpoints of another run, up to step 10: choose another folder"):
        model().fit(RAGGED, epochs=1, callbacks=[dp.Checkpoint(finished)], **QUIET)
    assert files(finished) == ["step_0000000005.safetensors", "step_0000000010.safetensors"]


def test_going_on_in_the_same_folder_is_allowed(tmp_path):
    trained = model()
    for _ in range(2):
        trained.fit(RAGGED, epochs=1, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
    assert files(tmp_path) == ["step_0000000005.safetensors", "step_0000000010.safetensors"]


def test_a_checkpoint_of_a_format_to_come_or_of_another_kind_is_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    newest = checkpoint.latest(tmp_path / "run")
    arrays, description = read_arrays(newest)
    write_arrays(newest, arrays, description | {"format": 99})
    with pytest.raises(dp.FileFormatError, match="format 99, which needs a newer denpa"):
        model().fit(RAGGED, epochs=3, resume=tmp_path / "run", **QUIET)
    write_arrays(newest, arrays, {"format": 1, "model": {}})
    with pytest.raises(dp.FileFormatError, match="says nothing about began, data, history"):
        model().fit(RAGGED, epochs=3, resume=tmp_path / "run", **QUIET)
    missing = {name: a for name, a in arrays.items() if name != "run/params/0_dense/W"}
    write_arrays(newest, missing, description)
    with pytest.raises(dp.FileFormatError, match="does not fit the model: params/0_dense/W is missing"):
        model().fit(RAGGED, epochs=3, resume=tmp_path / "run", **QUIET)


@pytest.mark.parametrize(
    "broken",
    [
        {"history": {"epochs": 7}},
        {"history": []},
        {"position": {"epoch": 1}},
        {"position": {"epoch": "one", "batch": 0, "parts": 0}},
        {"began": None},
        {"stopped": {}},
        {"model": 7},
        {"sessions": []},
    ],
)
def test_a_checkpoint_of_other_kinds_of_values_is_damage(finished, tmp_path, broken):
    folder = shutil.copytree(finished, tmp_path / "copy")
    path = checkpoint.latest(folder)
    arrays, description = read_arrays(path)
    write_arrays(path, arrays, description | broken)
    with pytest.raises(dp.FileFormatError, match=r"step_[0-9]+\.safetensors is damaged"):
        model().fit(RAGGED, epochs=3, resume=folder, **QUIET)


def test_a_checkpoint_is_plain_arrays_and_json(finished):
    arrays, description = read_arrays(checkpoint.latest(finished))
    assert arrays["run/params/0_dense/W"].shape == (4, 5)
    assert arrays["run/step"].shape == ()
    assert arrays["run/step"] == 10
    assert json.loads(json.dumps(description)) == description
    assert description["position"] == {"epoch": 2, "batch": 0, "parts": 0}


@pytest.mark.parametrize("options", [{"every": 0}, {"every_steps": 0}, {"keep": 0}])
def test_options_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(dp.ConfigError, match="1 or more"):
        dp.Checkpoint(tmp_path, **options)


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    trained = model()
    with pytest.raises(dp.StorageError, match="Cannot make the folder"):
        trained.fit(RAGGED, callbacks=[dp.Checkpoint(tmp_path / "file" / "run")], **QUIET)
    assert trained.run is None


# ------------------------------------------------------------------------------------- real processes, really killed
SCRIPT = """
import os
import sys
import time
import numpy as np
import denpa as dp

folder, epochs = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
t = np.arange(32) % 3
net = [dp.Dense(5), dp.BatchNorm(), dp.Tanh(), dp.Dropout(0.2), dp.Dense(3)]
model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(0.01))


def tell(training):
    print(training.at.epoch, flush=True)
    time.sleep(0.003)
    while training.at.epoch == epochs - 1 and "held" in sys.argv and not os.path.exists(folder + "/signalled"):
        time.sleep(0.01)  # no machine, however busy the other side is, is through before the signal was sent


resume = folder if "resume" in sys.argv else None
keep = [dp.Checkpoint(folder, every_steps=7), tell]
try:
    model.fit((x, t), epochs=epochs, batch_size=8, callbacks=keep, verbose=False, resume=resume)
except KeyboardInterrupt:
    print("interrupted after", model.steps, "steps", flush=True)
    sys.exit(130)
model.save(folder + "/model.safetensors")
"""


def start(folder, epochs, *options):
    command = [sys.executable, "-c", SCRIPT, str(folder), str(epochs), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def finish(process):
    told, _ = process.communicate(timeout=300)
    return process.returncode, told


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_killed_at_random_moments_a_run_ends_with_the_same_bits(tmp_path):
    """kill -9 whenever, in the middle of writing too, and Ctrl-C; then resume."""
    epochs = 200
    straight = start(tmp_path / "straight", epochs)
    folder, resume = tmp_path / "killed", ()
    random = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    for kill in (signal.SIGKILL, signal.SIGINT):
        process = start(folder, epochs, "held", *resume)
        assert process.stdout.readline()  # training has begun
        time.sleep(random.uniform(0, 0.3))
        process.send_signal(kill)
        (folder / "signalled").touch()
        code, told = finish(process)
        (folder / "signalled").unlink()
        assert code == (-signal.SIGKILL if kill == signal.SIGKILL else 130)
        if kill == signal.SIGINT:
            steps = int(told.split("interrupted after ")[1].split()[0])
            assert f"step_{steps:010d}.safetensors" in files(folder)
        assert not [name for name in files(folder) if name.startswith(".")] or kill == signal.SIGKILL
        # Killed before the first checkpoint? Then there is nothing to resume, and the same command begins again.
        resume = ("resume",) if list(folder.rglob("step_*.safetensors")) else ()
    code, told = finish(start(folder, epochs, *resume))
    assert code == 0, told
    assert finish(straight)[0] == 0
    ours, theirs = (read_arrays(tmp_path / name / "model.safetensors") for name in ("killed", "straight"))
    assert bits(ours[0]) == bits(theirs[0])
    assert ours[1] == theirs[1]
    assert ours[1]["model"]["steps"] == 4 * epochs


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (lambda: jax.enable_x64(True), "trained in float32, not float64: set jax_enable_x64"),
        (lambda: jax.threefry_partitionable(False), "other random numbers: .*'jax_threefry_partitionable': True"),
    ],
    ids=["float64", "partitionable"],
)
def test_other_settings_of_jax_are_refused(tmp_path, setting, message):
    """They were told as other data, or not at all, and then the bits were others."""
    train(random_model(), tmp_path, epochs=1)
    with setting(), pytest.raises(dp.ConfigError, match=message):
        train(random_model(), epochs=2, resume=tmp_path)


@pytest.mark.parametrize("value", ["3", 1.5, float("nan"), True, [], 0, -1])
@pytest.mark.parametrize("name", ["every", "every_steps", "keep"])
def test_numbers_that_are_no_counts_are_refused(tmp_path, name, value):
    with pytest.raises(dp.ConfigError, match=rf"Checkpoint\.{name} must be"):
        dp.Checkpoint(tmp_path, **{name: value})

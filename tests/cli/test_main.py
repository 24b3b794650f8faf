"""The command line in one process: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.lab import Experiment, describe
from denpa.lab.sources import load_data
from denpa.lab.worksheet.numbers import digits

FAST = ["--epochs", "2", "--hidden", "4", "--progress", "none"]


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a small network on a table, and its table."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(4)
    x = rng.normal(size=(120, 2))
    lines = [f"{a:.4f},{b:.4f},{'in' if a * b > 0 else 'out'}" for a, b in x]
    (folder / "t.csv").write_text("a,b,where\n" + "\n".join(lines) + "\n")
    words = ["train", "mlp", "--data", str(folder / "t.csv"), "--target", "where", "--run", str(folder / "run")]
    words += ["--hidden", "8", "--epochs", "60", "--learning-rate", "0.05", "--progress", "none"]
    assert main(words) == 0
    return folder


def test_help_says_what_there_is(said):
    status, out, err = said("--help")
    assert (status, err) == (0, "")
    for command in ("train", "evaluate", "predict", "summary", "cv", "sweep", "worksheet", "check", "list"):
        assert f"  {command}" in out
    assert said("--version")[1] == f"denpa {dp.__version__}\n"
    assert said() == (2, "", out)  # what was asked for is output, what was not is a complaint


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "predict", "summary", "cv", "sweep", "worksheet", "check", "list"]
)
def test_every_command_has_help(command, said):
    status, out, err = said(command, "--help")
    assert (status, err) == (0, "")
    assert f"usage: denpa {command}" in out
    assert max(map(len, out.splitlines())) <= 120


def test_lists_name_everything_with_a_line(said):
    status, out, _ = said("list")
    assert status == 0
    for name in ("digits-mlp", "mnist", "Dense", "SoftmaxCrossEntropy", "Adam", "Accuracy", "He", "CosineDecay", "L2"):
        assert any(line.strip().startswith(f"{name} ") for line in out.splitlines()), name
    assert "Nudged" not in out
    assert [line.split()[0] for line in said("list", "metrics")[1].splitlines()][:2] == ["Accuracy", "ConfusionMatrix"]


def test_a_worksheet_has_the_numbers_of_a_run(said, trained):
    status, out, _ = said("worksheet", str(trained / "run"), "--answers", "--example", "3", "--output", "w.html")
    assert (status, out) == (0, "15 steps with 65 answers in w.html\n")
    page, model = Path("w.html").read_text("utf-8"), dp.load(trained / "run" / "model.safetensors")
    data = load_data(Experiment.from_toml(trained / "run" / "config.toml").data).train[3:4]
    step = dp.backprop(model.net, model.loss, model.variables, data.x, data.t, train=False)
    for number in (step.loss, *step.grads["2_dense"]["b"]):
        assert f"<mn>{digits(float(number))[1][:5]}" in page  # the last digit may differ: the run is in float32


def test_training_prints_what_matters_and_keeps_it(said, inside):
    status, out, err = said("train", "digits-mlp", *FAST)
    assert (status, err) == (0, "")
    for text in ("1,294 training, 144 validation and 359 test examples of 8×8×1", "Dense(4", "2 epochs of 41 steps"):
        assert text in out
    for text in ("test  ", "accuracy", "true   predicted", "kept in runs/digits-mlp"):
        assert text in out
    results = json.loads((inside / "runs" / "digits-mlp" / "results.json").read_text())
    assert f"{results['test']['accuracy']:.4f}" in out
    assert said("evaluate", "runs/digits-mlp")[1] in out
    status, out, _ = said("summary", "runs/digits-mlp")
    assert "trained for 2 epochs, 82 steps" in out
    status, out, _ = said("train", "--resume", "runs/digits-mlp")
    assert status == 0
    assert "has finished already" in out


def test_options_by_short_name_and_by_place(said, inside):
    words = ["--seed=7", "--optimizer", "momentum", "--optimizer.momentum", "0.5", "--learning-rate", "0.25"]
    words += ["--batch-size", "full", "--validation", "0.3", "--early-stopping", "4", "--penalty.strength", "1e-3"]
    words += ["--data.options", "{ n = 60 }", "--training.record-steps", "true", "--name", "mine"]
    status, _, err = said("train", "xor", "--data", "moons", *words, *FAST)
    assert (status, err) == (0, "")
    made = Experiment.from_toml(inside / "runs" / "mine" / "config.toml")
    assert made.optimizer == dp.Momentum(0.25, 0.5)
    assert made.penalty == dp.L2(1e-3)
    assert (made.training.seed, made.training.batch_size, made.training.early_stopping.patience) == (7, "full", 4)
    assert (made.data.source, made.data.options, made.data.validation) == ("moons", (("n", 60),), 0.3)
    # the resolved config is an experiment of its own, with the same end
    assert said("train", "runs/mine/config.toml", "--run", "again", "--progress", "none")[0] == 0
    for name in ("metrics.csv", "model.safetensors", "config.toml"):
        assert (inside / "again" / name).read_bytes() == (inside / "runs" / "mine" / name).read_bytes()


def test_a_run_folder_is_refused_or_replaced(said, inside):
    xor = ["train", "xor", *FAST, "--run", "one"]
    assert said(*xor)[0] == 0
    before = (inside / "one" / "metrics.csv").read_bytes()
    status, out, err = said(*xor, "--seed", "5")
    assert (status, out) == (2, "")
    assert "exists already" in err
    status, _, err = said(*xor, "--overwrite", "--batch-size", "99")  # bad input: what is there stays
    assert (status, "larger than the 4 examples" in err) == (2, True)
    assert (inside / "one" / "metrics.csv").read_bytes() == before
    assert said(*xor, "--seed", "5", "--overwrite")[0] == 0
    assert (inside / "one" / "metrics.csv").read_bytes() != before
    assert [entry.name for entry in inside.iterdir()] == ["one"]


def test_predictions_of_a_raw_table(said, trained, inside):
    (inside / "new.csv").write_text("b,a\n1.5,1.5\n-1.5,1.5\n")
    status, out, err = said("predict", str(trained / "run"), "--input", "new.csv")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "predicted,probability_in,probability_out"
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == ["in", "out"]
    status, said_, _ = said("predict", str(trained / "run"), "--input", "new.csv", "--output", "p.csv")
    assert (status, said_) == (0, "2 predictions in p.csv\n")
    assert (inside / "p.csv").read_text() == out
    (inside / "p.csv").write_text("precious")
    status, _, err = said("predict", str(trained / "run"), "--input", "new.csv", "--output", "p.csv")
    assert (status, "exists already" in err) == (2, True)
    assert (inside / "p.csv").read_text() == "precious"
    (inside / "new.csv").write_text("b,a,where\n1.5,1.5,\n-1.5,1.5,unheard of\n")
    assert said("predict", str(trained / "run"), "--input", "new.csv") == (0, out, "")  # targets are not looked at


def test_evaluation_of_another_table(said, trained, inside):
    (inside / "more.csv").write_text("where,a,b\n" + "in,1,1\nout,-1,1\nin,-1,-1\nin,1,-1\n")
    status, out, err = said("evaluate", str(trained / "run"), "--data", "more.csv")
    assert (status, err) == (0, "")
    assert "accuracy 0.7500" in out
    assert "(4 examples)" in out


def test_a_warning_is_one_line(said, trained, inside):
    rows = [f"{i},{i % 2},{'x' if i % 3 else 'y'}" for i in range(60)]
    (inside / "t.csv").write_text("id,a,y\n" + "\n".join(rows))
    status, _, err = said("train", "mlp", "--data", "t.csv", "--target", "y", *FAST)
    assert status == 0
    assert err.startswith("denpa: warning: ")
    assert "'id' looks like an identifier" in err
    assert len(err.splitlines()) == 1


def test_gradients_of_an_experiment_are_checked(said):
    status, out, err = said("check", "letters")
    assert (status, err) == (0, "")
    assert "12 arrays agree" in out


@pytest.mark.parametrize("preset", ["letters", "polynomial-regression"])
def test_gradients_of_a_run_are_checked_at_what_it_has_learned(said, inside, monkeypatch, preset):
    assert said("train", preset, "--epochs", "2", "--progress", "none", "--run", "run")[0] == 0
    met, compare = [], describe.check_gradients
    monkeypatch.setattr(describe, "check_gradients", lambda *words, **how: met.append(words) or compare(*words, **how))
    status, out, err = said("check", "run")
    assert (status, err) == (0, "")
    assert "arrays agree" in out
    learned = dp.load(inside / "run" / "model.safetensors")
    for ours, theirs in zip(jax.tree.leaves(met[0][2]), jax.tree.leaves(learned.variables), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.06)  # shifted a little, off the kinks of ReLU
    status, _, err = said("check", "run/model.safetensors")
    assert (status, "give its run folder" in err) == (2, True)
    status, _, err = said("check", "run", "--seed", "3")
    assert (status, "leave --training.seed out" in err) == (2, True)


def test_a_wrong_gradient_fails_the_check(said, monkeypatch):
    back = dp.Dense.backward
    monkeypatch.setattr(
        dp.Dense, "backward", lambda self, p, s, dy: (-back(self, p, s, dy)[0], back(self, p, s, dy)[1])
    )
    status, _, err = said("check", "letters", "--hidden", "5")  # other sizes than above, compiled anew
    assert status == 1
    assert err.startswith("denpa: 3_dense.dx")


def test_a_summary_needs_no_training_and_no_mnist(said, monkeypatch):
    monkeypatch.setenv("DENPA_DATA", "/nowhere")
    status, out, err = said("summary", "mnist-mlp", "--hidden", "30", "20")
    assert (status, err) == (0, "")
    assert f"{784 * 30 + 30 + 30 * 20 + 20 + 210:,} parameters" in out


def test_debug_shows_where_an_error_arose(said):
    status, _, err = said("--debug", "train", "nothing")
    assert status == 2
    assert "Traceback" in err
    assert "Traceback" not in said("train", "nothing")[2]


def test_a_bug_is_told_in_a_line_too(said, monkeypatch):
    monkeypatch.setattr("denpa.cli.commands.COMMANDS", {"list": lambda *_: 1 / 0})
    status, _, err = said("list")
    assert status == 1
    assert err.splitlines() == [
        "denpa: ZeroDivisionError: division by zero. This should not happen; --debug shows where it did."
    ]


def test_a_reader_that_has_seen_enough_ends_it_quietly():
    command = f"{sys.executable} -m denpa.cli.main list | head -1"
    environment = os.environ | {"PYTHONPATH": str(Path(dp.__file__).parents[1])}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == ("presets\n", "")


def rows_of(file):
    names, *lines = (line.split(",") for line in file.read_text().splitlines())
    return [dict(zip(names, map(float, line), strict=True)) for line in lines]


def stopped_early(said, trained, *more):
    """What a training that early stopping ends prints by the first word, results.json, and the epochs."""
    words = [
        "--data",
        str(trained / "t.csv"),
        "--target",
        "where",
        "--hidden",
        "30",
        "--batch-size",
        "8",
        "--run",
        "run",
    ]
    words += ["--learning-rate", "0.1", "--early-stopping", "2", "--validation", "0.3", "--progress", "none", *more]
    status, out, _ = said("train", "mlp", *words)
    assert status == 0
    lines = [line.split(maxsplit=1) for line in out.partition("\n\ntrue")[0].splitlines() if line]
    return (
        dict(line for line in lines if len(line) == 2),
        json.loads(Path("run/results.json").read_text()),
        rows_of(Path("run/metrics.csv")),
    )


def test_the_epoch_that_early_stopping_went_back_to_is_named(said, trained):
    told, results, epochs = stopped_early(said, trained)
    best = min(range(len(epochs)), key=lambda index: epochs[index]["validation_loss"])
    assert len(epochs) == results["epochs"] == best + 3  # two without improvement
    assert told["kept"] == f"epoch {best + 1}"
    assert told["training"].startswith(f"loss {epochs[best]['loss']:.4f}  ")
    assert "retrained" not in told
    assert "retraining" not in results


def test_where_the_last_parameters_are_kept_their_numbers_are_told(said, trained):
    told, _, epochs = stopped_early(said, trained, "--training.early_stopping.restore_best", "false")
    assert told["training"].startswith(f"loss {epochs[-1]['loss']:.4f}  ")
    assert told["validation"].startswith(f"loss {epochs[-1]['validation_loss']:.4f}  ")
    assert "kept" not in told


@pytest.mark.parametrize("way", ["from_scratch", "continue"])
def test_a_retraining_is_told_apart_from_the_training_before(said, trained, way):
    told, results, epochs = stopped_early(said, trained, "--training.early_stopping.retrain", way)
    best, again = results["best_epoch"], rows_of(Path("run/retraining.csv"))
    assert told["best"] == f"epoch {best}, before the retraining"
    assert told["validation"].startswith(f"loss {epochs[best - 1]['validation_loss']:.4f}  ")
    updates = results["retraining"]["steps"]
    assert told["retrained"].startswith(f"on all data for {updates} updates: loss {again[-1]['loss']:.4f}  accuracy")
    assert (results["epochs"], results["steps"]) == (len(epochs), epochs[-1]["step"])
    assert results["retraining"]["last_epoch"] == again[-1]
    if way == "from_scratch":
        assert updates == epochs[best - 1]["step"]
        assert dp.load("run/model.safetensors").steps == updates
    else:
        assert dp.load("run/model.safetensors").steps == results["steps"] + updates


def unread(words):
    """The status of a command that writes into a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    pipe = io.TextIOWrapper(os.fdopen(writer, "wb", buffering=0), "utf-8", write_through=True)
    with pipe, contextlib.redirect_stdout(pipe):
        return main(words.split())


@pytest.mark.parametrize(
    "words",
    [
        "train xor --epochs 2 --run kept",
        "cv xor --epochs 2 --data.test 0 --folds 2 --output kept",
        "sweep xor --epochs 2 --learning-rate 0.1,0.2 --folds 2 --run kept",
        "landscape valley --steps 2000 --output kept --optimizers sgd",
        "lab run polynomial --output kept",
    ],
)
def test_work_that_nobody_reads_of_is_not_called_done(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status = unread(words)
    assert (status, capsys.readouterr().err) == (1, "denpa: whoever read the output has gone; nothing was written.\n")
    assert not list(tmp_path.iterdir())


def test_work_that_is_done_is_called_done_whoever_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert unread("worksheet xor --output kept.html") == 0
    assert unread("diagnose xor --figure kept.png") == 0
    assert unread("cv xor --epochs 2 --data.test 0 --folds 2") == 0  # its text is all there is
    assert capsys.readouterr().err == ""
    assert len(list(tmp_path.iterdir())) == 2


def test_signs_that_a_terminal_lacks_are_written_in_others(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["summary", "xor"]) == 0
    print("2×3 日本")
    text = stream.buffer.getvalue().decode("ascii")
    assert "\n-----" in text
    assert text.endswith("2x3 \\u65e5\\u672c\n")


def test_an_output_that_is_closed_goes_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["list", "presets"]) == 0
    assert main(["lst"]) == 2
    sys.stdout.close()
    sys.stderr.close()


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "denpa: the output: No space left on device.\n"),
        (AssertionError(), 1, "denpa: AssertionError: . This should not happen"),
    ],
)
def test_what_the_machine_refuses_is_told_in_a_line(said, monkeypatch, error, status, message):
    def refused(*_):
        raise error

    monkeypatch.setattr("denpa.cli.commands.COMMANDS", {"list": refused})
    found, _, err = said("list")
    assert (found, message in err) == (status, True)


def test_new_data_of_a_model_may_be_written_otherwise_than_those_that_it_learned_from(said, inside):
    lines = [f"{n / 8},{n % 3},{n % 2}" for n in range(24)]
    in_commas = [line.replace(",", ";").replace(".", ",") for line in lines]
    (inside / "points.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    (inside / "commas.csv").write_text("\n".join(["a;b;y", *in_commas]) + "\n")
    short = ["--epochs", "1", "--batch-size", "8", "--name", "r"]
    status, _, err = said("train", "mlp", "--data", "points.csv", "--target", "y", *short)
    assert status == 0, err
    for words in (["evaluate"], ["diagnose"], ["landscape", "--resolution", "3", "--output", "plane", "--overwrite"]):
        heard = []
        for data in (["points.csv"], ["commas.csv", "--data.options.delimiter", ";", "--data.options.decimal", ","]):
            status, out, err = said(words[0], str(Path("runs", "r", "model.safetensors")), "--data", *data, *words[1:])
            assert (status, err) == (0, "")
            heard.append(out)
        assert heard[0] == heard[1]


def test_diagnose_takes_the_first_step_of_a_preset_apart_and_the_next_one_of_a_model(said, inside, monkeypatch):
    monkeypatch.setattr("denpa.lab.diagnosis.Diagnosis.plot", lambda found, path: path.write_text(str(found)))
    status, out, err = said(
        "diagnose", "xor", "--hidden", "3", "--activation", "relu", "--optimizer.learning_rate", "9"
    )
    assert (status, err) == (0, "")
    assert "after 0 updates" in out
    assert "- The coming update is more than 30% of the size of" in out
    model = dp.Model([dp.Dense(2)], dp.SoftmaxCrossEntropy(), dp.SGD(0.1), in_shape=(2,))
    model.save("model.safetensors")
    status, out, err = said("diagnose", "model.safetensors", "--data", "xor", "--figure", "seen.svg")
    assert (status, err) == (0, "")
    assert out.endswith("kept in seen.svg\n")
    assert (inside / "seen.svg").read_text("utf-8") in out
    assert said("diagnose", "model.safetensors", "--data", "xor", "--figure", "seen.svg")[0] == 2
    assert "wants PRESET, CONFIG.toml or RUN" in said("diagnose")[2]

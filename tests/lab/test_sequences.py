"""Runs on texts and time series: read, trained in windows, measured, drawn, put to use."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

from denpa.cli.main import main
from denpa.core.errors import ConfigError, DataError
from denpa.data.vocabulary import Vocabulary
from denpa.lab import DataConfig, presets
from denpa.lab.assemble import assemble
from denpa.lab.figures.sequences import nats, series
from denpa.lab.run import Run
from denpa.lab.sources import Look, load_data, load_folds
from denpa.lab.trained import Trained
from denpa.training.history import History

TEXT = "the cat sat on the mat.\nthe dog sat on the log.\n" * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sequences")


@pytest.fixture(scope="module")
def writer(folder):
    """A run of a preset for Shakespeare on a text of one's own."""
    (folder / "my.txt").write_text(TEXT)
    what = [("data.source", str(folder / "my.txt")), ("training.epochs", 20), ("data.validation", 0.0)]
    experiment, data = assemble("shakespeare-rnn", what, hidden=[8])
    run = Run(experiment, folder / "writer", prepared=data)
    run.go(verbose=False)
    return run


@pytest.fixture(scope="module")
def forecaster(folder):
    """A run of a preset for series on a table of two columns: the target doubles the other, one step later."""
    rng = np.random.default_rng(0)
    cause = rng.standard_normal(400)
    effect = np.concatenate([[0], 100 + 20 * cause[:-1]])
    lines = [f"{a:.4f},{b:.4f}" for a, b in zip(cause, effect, strict=True)]
    (folder / "my.csv").write_text("\n".join(["cause,effect", *lines]))
    what = [("data.source", str(folder / "my.csv")), ("data.target", "effect"), ("training.epochs", 60)]
    what += [("data.options", {"length": 20}), ("training.batch_size", 4)]
    what += [("data.validation", 0.0), ("data.test", 0.0)]
    experiment, data = assemble("sine-wave", what, hidden=[6])
    run = Run(experiment, folder / "forecaster", prepared=data)
    run.go(verbose=False)
    return run


def test_a_text_becomes_rows_of_tokens_in_order(writer):
    data = writer.data
    assert data.look.task == "text"
    assert data.look.outputs == len(set(TEXT)) == len(data.encoder)
    assert data.train.x.shape[1:] == data.test.x.shape[1:] == (64,)
    assert data.encoder.decode(data.train.x[:2]) == TEXT[:128]
    assert data.encoder.decode(data.test.t[0]) in TEXT
    assert writer.experiment.data.task == "text"
    assert writer.experiment.training.window == 64


def test_a_language_model_learns_and_its_folder_alone_writes(writer, capsys):
    losses = [row["loss"] for row in writer.history.epochs]
    assert losses[-1] < losses[0] - 0.1
    assert writer.history.epochs[-1]["perplexity"] == pytest.approx(np.exp(losses[-1]), rel=1e-4)
    trained = Trained.of(writer.folder.path)
    assert isinstance(trained.model.encoder, Vocabulary)
    text = trained.sample("the ", 30, temperature=0.8, top_k=5, seed=3)
    assert len(text) == 30
    assert set(text) <= set(TEXT)
    assert text == trained.sample("the ", 30, temperature=0.8, top_k=5, seed=3)
    words = ["--prompt", "the ", "--length", "30", "--temperature", "0.8", "--top-k", "5", "--seed", "3"]
    assert main(["sample", str(writer.folder.path), *words]) == 0
    assert capsys.readouterr().out == f"the {text}\n"
    model_file = Trained.of(writer.folder.model)
    assert model_file.sample(None, 30, top_k=5, seed=3) == trained.sample("\n", 30, top_k=5, seed=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prompt", "zebra"], r"character 'z' \(number 1 of the text\) is not among"),
        (["--temperature", "-1"], "temperature must be a number, 0"),
        (["--temperature", "warm"], "temperature must be a number"),
        (["--top-k", "0"], "top_k must be a whole number from 1 to"),
        (["--length", "0"], "length must be a whole number"),
        (["--lenght", "9"], "did you mean '--length'"),
    ],
)
def test_what_cannot_be_written_is_one_clear_error(writer, words, message, capsys):
    assert main(["sample", str(writer.folder.path), *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(message, said)


def test_other_texts_are_measured_in_the_same_tokens(writer, folder):
    trained = Trained.of(writer.folder.path)
    (folder / "other.txt").write_text(TEXT[:200])
    other = trained.labelled(str(folder / "other.txt"))
    assert other.x.shape == (3, 64)
    assert trained.model.evaluate(other)["loss"] < np.log(18)
    (folder / "strange.txt").write_text("ß" * 200)
    with pytest.raises(DataError, match="character 'ß'"):
        trained.labelled(str(folder / "strange.txt"))
    with pytest.raises(ConfigError, match="denpa sample RUN --prompt"):
        trained.examples(str(folder / "other.txt"))


def test_words_are_modelled_with_an_unknown_one(folder):
    (folder / "words.txt").write_text(TEXT + "a zebra " * 15)
    found = load_data(DataConfig(str(folder / "words.txt"), task="text", options={"level": "word", "length": 8}))
    assert found.encoder.tokens[:2] == ("<unk>", "the")
    assert "zebra" not in found.encoder
    assert (found.test.x == 0).any()
    assert found.look.outputs == len(found.encoder) == 9


def test_a_series_is_foretold_from_all_columns(forecaster, folder, capsys):
    assert forecaster.data.look.outputs == 1
    assert forecaster.data.train.x.shape[1:] == (20, 2)
    assert forecaster.history.epochs[-1]["r2"] > 0.9
    assert main(["predict", str(forecaster.folder.path), "--input", str(folder / "my.csv")]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["effect", "predicted_next"]
    assert len(rows) == 400
    true, foretold = (np.array([float(row[name]) for row in rows]) for name in ("effect", "predicted_next"))
    assert np.corrcoef(true[1:], foretold[:-1])[0, 1] > 0.95
    trained = Trained.of(forecaster.folder.path)
    assert trained.labelled(str(folder / "my.csv")).x.shape == (19, 20, 2)
    (folder / "short.csv").write_text("cause,effect\n1,2\n3,4\n")
    with pytest.raises(DataError, match="2 steps, but this model reads 20 at once"):
        trained.forecast(str(folder / "short.csv"))
    (folder / "other.csv").write_text("reason,effect\n1,2\n3,4\n")
    for use in (trained.forecast, trained.labelled):
        with pytest.raises(DataError, match="no column 'cause': known columns: effect, reason"):
            use(str(folder / "other.csv"))
    with pytest.raises(ConfigError, match="written by a language model"):
        trained.sample("a", 3)
    asked = ["predict", str(forecaster.folder.path), "--input", str(folder / "my.csv")]
    for words, complaint in (
        (["--layer", "0_rnn"], "leave --layer out"),
        (["--output", str(folder / "next.npy")], "written as text, not as .npy"),
    ):
        assert main([*asked, *words]) == 2
        assert complaint in capsys.readouterr().err
    assert not (folder / "next.npy").exists()


def test_columns_of_a_series_are_found_by_name(forecaster, folder):
    lines = [line.split(",") for line in (folder / "my.csv").read_text().split()]
    turned = [f"{effect},{row},{cause}" for row, (cause, effect) in enumerate(lines[1:])]
    (folder / "turned.csv").write_text("\n".join(["effect,row,cause", *turned]))
    mine, others = str(folder / "my.csv"), str(folder / "turned.csv")
    trained = Trained.of(forecaster.folder.path)
    assert trained.forecast(others) == trained.forecast(mine)
    np.testing.assert_array_equal(trained.labelled(others).x, trained.labelled(mine).x)
    np.testing.assert_array_equal(trained.labelled(others).t, trained.labelled(mine).t)


def test_a_forecast_gives_the_values_in_full(forecaster, folder):
    values = 1234567890.125 + np.arange(20)
    (folder / "large.csv").write_text("\n".join(["cause,effect", *(f"0,{value!r}" for value in values.tolist())]))
    rows = csv.DictReader(io.StringIO(Trained.of(forecaster.folder.path).forecast(str(folder / "large.csv"))))
    assert [float(row["effect"]) for row in rows] == values.tolist()


@pytest.mark.parametrize("way", ["drop", ["drop", "mean"], {"cause": "drop"}])
def test_rows_that_a_series_was_trained_without_are_left_out_later(way, folder):
    lines = [f"{k % 3},{k % 7}" for k in range(60)]
    (folder / "gaps.csv").write_text("\n".join(["cause,effect", *lines[:9], "NA,3", *lines[9:]]))
    what = [("data.source", str(folder / "gaps.csv")), ("data.target", "effect"), ("data.missing", way)]
    what += [("training.epochs", 1), ("data.validation", 0.0), ("data.options", {"length": 5})]
    experiment, data = assemble("series", what, hidden=[2])
    run = Run(experiment, prepared=data)
    run.go(verbose=False)
    trained = Trained(run.model, experiment=experiment)
    assert trained.forecast(str(folder / "gaps.csv")).count("\n") == 61
    assert len(trained.labelled(str(folder / "gaps.csv"))) == 11


@pytest.mark.parametrize("way", ["drop", "error"])
def test_gaps_in_columns_that_a_series_does_not_know_leave_no_rows_out(way, folder, capsys):
    rows = [(k % 3, k % 7, "x" if k % 4 else "") for k in range(60)]
    tables = {"known": rows, "more": rows, "gap": [("", 2, "x"), *rows[1:]]}
    for name, found in tables.items():
        head, width = ("cause,effect", 2) if name == "known" else ("cause,effect,remark", 3)
        (folder / f"{way}_{name}.csv").write_text("\n".join([head, *(",".join(map(str, r[:width])) for r in found)]))
    words = ["train", "series", "--data", str(folder / f"{way}_known.csv"), "--target", "effect", "--missing", way]
    run = str(folder / f"{way}_run")
    assert main([*words, "--data.options.length", "3", "--epochs", "1", "--run", run, "--progress", "none"]) == 0
    answers = []
    for name in ("known", "more"):
        capsys.readouterr()
        assert main(["predict", run, "--input", str(folder / f"{way}_{name}.csv")]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert main(["predict", run, "--input", str(folder / f"{way}_gap.csv")]) == (2 if way == "error" else 0)
    if way == "error":  # without an option that denpa predict does not have
        said = capsys.readouterr().err
        assert "'cause' is missing on line 2. No way to treat it was chosen before training" in said
        assert "--missing" not in said


def test_a_series_of_one_column_is_foretold_from_its_own_past(folder):
    values = np.sin(np.arange(60) / 5).round(4)
    (folder / "alone.csv").write_text("\n".join(["day,price", *(f"day {i},{v}" for i, v in enumerate(values))]))
    config = DataConfig(
        str(folder / "alone.csv"), task="series", target="price", ignore=("day",), options={"length": 9}
    )
    train = load_data(config).train
    np.testing.assert_allclose(train.x[:2].ravel(), values[:18], rtol=1e-6)
    np.testing.assert_allclose(train.t[:2].ravel(), values[1:19], rtol=1e-6)


def test_what_a_series_did_not_look_at_may_be_missing_later(folder, capsys):
    values = np.sin(np.arange(60) / 5).round(4)
    (folder / "dated.csv").write_text("\n".join(["day,price", *(f"day {i},{v}" for i, v in enumerate(values))]))
    (folder / "bare.csv").write_text("\n".join(["price", *map(str, values)]))
    words = ["train", "series", "--data", str(folder / "dated.csv"), "--target", "price", "--ignore", "day"]
    run = str(folder / "dated")
    assert main([*words, "--data.options.length", "3", "--epochs", "1", "--run", run, "--progress", "none"]) == 0
    capsys.readouterr()
    answers = []
    for name in ("dated.csv", "bare.csv"):
        assert main(["predict", run, "--input", str(folder / name)]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: load_data(DataConfig(str(p), task="text", options={"lenght": 3})), ConfigError, "did you mean 'len"),
        (lambda p: load_data(DataConfig(str(p), task="text", target="t")), ConfigError, r"data\.target is for tables"),
        (lambda p: load_data(DataConfig(str(p), task="text", options={"length": 900})), DataError, "take shorter rows"),
        (
            lambda p: load_data(DataConfig("digits", task="text")),
            ConfigError,
            "'digits' is no text: shakespeare, scene",
        ),
        (lambda p: load_folds(DataConfig("scene"), 3), ConfigError, "they make no folds"),
        (lambda p: presets.build("mlp", data=DataConfig("scene")), ConfigError, "not for a text.*shakespeare-lstm"),
        (lambda p: presets.build("mlp", data=DataConfig("sine-wave")), ConfigError, "not for a series.*'series'"),
        (
            lambda p: presets.build("series", presets.Options(activation="relu"), DataConfig("sine-wave")),
            ConfigError,
            "its own activations",
        ),
        (lambda p: assemble("series", []), ConfigError, "data of your own"),
    ],
)
def test_what_is_no_text_or_series_is_refused(make, error, words, folder):
    (folder / "some.txt").write_text(TEXT)
    with pytest.raises(error, match=words):
        make(folder / "some.txt")


@pytest.mark.parametrize("name", ["shakespeare-lstm", "shakespeare-gru", "shakespeare-rnn"])
def test_presets_of_text_end_in_a_rate_for_the_last_window(name):
    experiment = presets.build(name, presets.Options(epochs=4, batch_size=5), DataConfig("scene"))
    rows = load_data(experiment.data).look
    assert experiment.training.window == 64
    decay = experiment.optimizer.parts[1].learning_rate
    assert decay.steps == 4 * -(-rows.examples // 5) * -(-rows.in_shape[0] // 64)
    assert experiment.network.out_shape(rows.in_shape) == (*rows.in_shape, rows.outputs)


def test_short_texts_are_read_more_often():
    epochs = [presets.build("shakespeare-gru", data=DataConfig("scene"), look=look).training.epochs for look in LOOKS]
    assert epochs == [10, 60, 100]


LOOKS = [Look("text", (640,), 60, rows) for rows in (1500, 150, 15)]


def test_the_sine_wave_is_foretold_by_a_preset():
    experiment = presets.build("sine-wave")
    assert experiment.network.out_shape((200, 1)) == (200, 1)
    assert load_data(experiment.data).validation is not None


def test_pictures_of_nats_and_of_a_series(tmp_path):
    history = History()
    history.epochs = [
        {"epoch": 1, "loss": 2.5, "validation_loss": 2.6},
        {"epoch": 2, "loss": 2.0, "validation_loss": 2.2},
    ]
    axes = nats(history, "character", tmp_path / "nats.png").axes[0]
    assert axes.get_ylabel() == "nats per character"
    assert axes.lines[1].get_ydata().tolist() == [2.6, 2.2]
    true = np.arange(20.0).reshape(2, 10, 1)
    axes = series(true, true + 1, tmp_path / "series.png").axes[0]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), np.arange(1, 21))
    assert (tmp_path / "nats.png").stat().st_size > 1000


def test_weights_of_another_alphabet_are_refused_though_they_fit(tmp_path, capsys):
    for name, text in (("a.txt", "ab"), ("c.txt", "ac")):
        (tmp_path / name).write_text(text * 200)
    small = ["--hidden", "4", "--epochs", "1"]
    first = ["train", "shakespeare-rnn", "--data", str(tmp_path / "a.txt"), "--run", str(tmp_path / "first"), *small]
    assert main(first) == 0
    words = [*first[:3], str(tmp_path / "c.txt"), "--run", str(tmp_path / "other"), *small]
    assert main([*words, "--initial-weights", str(tmp_path / "first")]) == 2
    assert "another vocabulary: token 1 is 'b' there, 'c' here" in capsys.readouterr().err.replace("\n", " ")

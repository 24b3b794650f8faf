"""Texts with classes as runs: from a table or a data set by name to classes of new texts."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

from denpa.cli.main import main
from denpa.core.errors import ConfigError, DataError
from denpa.data import datasets
from denpa.data.text_encoder import TextEncoder
from denpa.lab import DataConfig, presets
from denpa.lab.assemble import assemble
from denpa.lab.run import Run
from denpa.lab.sources import Look, load_data, load_folds
from denpa.lab.trained import Trained


def write(path, n, seed, header="id,review,stars,opinion"):
    texts, labels = datasets.load("opinions", n=n, seed=seed)
    with path.open("w", newline="") as file:
        file.write(f"{header}\n")
        csv.writer(file).writerows(
            (i, text, i % 5, label) for i, (text, label) in enumerate(zip(texts, labels, strict=True))
        )
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("labelled")


@pytest.fixture(scope="module")
def run(folder):
    """A run of the preset on a table of one's own."""
    what = [("data.source", write(folder / "reviews.csv", 1500, 0)), ("data.target", "opinion")]
    experiment, data = assemble("text-classifier", [*what, ("training.epochs", 12)], hidden=[32])
    run = Run(experiment, folder / "run", prepared=data)
    run.go(verbose=False)
    return run


def test_the_column_of_texts_is_the_one_that_holds_no_numbers(run):
    coder = run.data.encoder
    assert isinstance(coder, TextEncoder)
    assert (coder.column, coder.target.name) == ("review", "opinion")
    assert run.data.look.words == len(coder.vocabulary)
    assert (len(run.data.train), len(run.data.test)) == (1200, 300)


def test_the_vocabulary_is_that_of_the_training_rows(folder):
    (folder / "rare.csv").write_text("text,class\n" + "".join(f"only{i} word,{'ab'[i % 2]}\n" for i in range(40)))
    options = {"minimum_count": 1}
    data = load_data(DataConfig(str(folder / "rare.csv"), "class", "text-classification", options=options))
    unknown = data.encoder.vocabulary.number_of("unknown")
    assert (data.test.x[:, 0] == unknown).all()
    assert (data.train.x[:, 0] != unknown).all()


def test_it_reads_what_no_single_word_tells(run, folder, capsys):
    trained = Trained.of(run.folder.path)
    fresh = write(folder / "fresh.csv", 300, 1)
    data = trained.labelled(fresh)
    assert np.mean(trained.model.predict_classes(data.inputs) == data.t) > 0.95
    assert main(["evaluate", str(run.folder.path), "--data", fresh]) == 0
    assert "(300 examples)" in capsys.readouterr().out
    named = trained.labelled("opinions", n=300, seed=2)
    assert trained.model.evaluate(named)["accuracy"] > 0.95


def test_new_texts_are_lines_or_a_column(run, folder, capsys):
    texts = ["The film was not good.", "The film was not bad, to be honest.", "The music was hardly awful, my dear!"]
    (folder / "new.txt").write_text("\n".join(texts) + "\n")
    assert main(["predict", str(run.folder.path), "--input", str(folder / "new.txt")]) == 0
    by_line = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(by_line)))
    assert [row["predicted"] for row in rows] == ["bad", "good", "good"]
    (folder / "new.tsv").write_text("review\n" + "\n".join(texts) + "\n")
    assert main(["predict", str(run.folder.path), "--input", str(folder / "new.tsv")]) == 0
    assert capsys.readouterr().out == by_line
    assert main(["predict", str(run.folder.model), "--input", str(folder / "new.txt")]) == 0
    assert capsys.readouterr().out == by_line


def test_folds_have_their_own_vocabularies(folder):
    config = DataConfig(write(folder / "few.csv", 60, 3), "opinion", "text-classification")
    folds = load_folds(config, 3)
    assert [len(fold.test) for fold in folds] == [16, 16, 16]
    assert len({fold.encoder.vocabulary.tokens for fold in folds}) == 3


def test_the_rate_falls_over_the_epochs_asked_for():
    look = Look("text-classification", (9,), 2, 1000, words=20)
    experiment = presets.build(
        "text-classifier", presets.Options(epochs=7, batch_size=100, learning_rate=0.25), look=look
    )
    assert "CosineDecay(0.25, 0.0025, 70)" in repr(experiment.optimizer)


def test_members_read_texts_too(folder):
    changes = [("data.options", {"n": 60}), ("training.epochs", 2), ("training.members", 2)]
    experiment, data = assemble("text-classifier", changes, hidden=[4])
    run = Run(experiment, folder / "members", prepared=data)
    measured = run.go(verbose=False)
    assert len(measured.apart.members["accuracy"]) == 2


@pytest.mark.parametrize(
    ("text", "options", "kind", "message"),
    [
        ("a,b,t\nx,y,1\nu,v,2\n", {}, DataError, r"which column holds the texts\? Name it, as in --data.options.text"),
        ("a,b,t\nx,y,1\nu,v,2\n", {"text": "c"}, DataError, "no column 'c'"),
        ("a,t\nx,1\ny,2\n", {"text": "t"}, DataError, "'t' holds the classes: the texts are in another column"),
        ("a,t\nx,1\n,2\n", {}, DataError, r"missing values in 1 column: 'a' \(text, line 3\)"),
        (
            "a,t\n7,1\n,2\n",
            {},
            DataError,
            r"'a' \(text, line 3\). Choose missing=... 'drop' to leave these rows out; by",
        ),
        ("a,t\nx,1\ny,\n", {}, DataError, "missing values in 1 column: 't'"),
        ("a,t\nx,1\ny,2\n", {"levle": "word"}, ConfigError, "no option 'levle': did you mean 'level'"),
        ("a,t\nx x,1\ny,2\n", {"level": "syllable"}, ConfigError, "Unknown level 'syllable'"),
    ],
)
def test_what_cannot_be_learned_from_is_told(tmp_path, text, options, kind, message):
    (tmp_path / "my.csv").write_text(text)
    config = DataConfig(str(tmp_path / "my.csv"), "t", "text-classification", test=0.0, options=options)
    with pytest.raises(kind, match=message):
        load_data(config)


def test_rows_without_a_text_can_be_dropped(tmp_path):
    (tmp_path / "my.csv").write_text("text,t\na a,1\n,2\nb b,2\n")
    config = DataConfig(str(tmp_path / "my.csv"), "t", "text-classification", test=0.0)
    assert len(load_data(config.replace(missing="drop")).train) == 2
    assert len(load_data(config.replace(missing={"text": "drop"})).train) == 2
    for missing in ("median", {"text": "median"}):
        with pytest.raises(ConfigError, match='"error" or "drop", not \'median\''):
            load_data(config.replace(missing=missing))
    with pytest.raises(DataError, match="missing values in 1 column: 'text'"):
        load_data(config.replace(missing={"t": "drop"}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mlp", "--task", "text-classification"], "'mlp' is not for texts with classes, .*try 'text-classifier'"),
        (["text-classifier", "--data", "digits"], "'digits' holds no labelled texts"),
        (["text-classifier", "--data", "lines.txt", "--target", "1"], "in a table: .csv, .tsv or .parquet"),
        (["text-classifier", "--data", "my.csv"], "name the column of classes, as in --target NAME. The columns: a, t"),
        (["text-classifier", "--activation", "relu"], "has its own activations"),
        (["text-classifier", "--data", "opinion"], "Unknown data set 'opinion': did you mean 'opinions'?"),
        (["text-classifier", "--target", "nope"], "data.target is for tables, but opinions is none"),
        (["text-classifier", "--ignore", "text"], "data.ignore is for tables, but opinions is none"),
    ],
)
def test_the_command_line_says_what_is_amiss(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text("a,t\n" + "x x,1\ny y,2\n" * 5)
    (tmp_path / "lines.txt").write_text("x\n")
    extra = ["--data", "my.csv", "--target", "t"] if words[0] == "mlp" else []
    assert main(["train", *words, *extra]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_weights_of_another_vocabulary_are_refused_though_they_fit(tmp_path, capsys):
    def table(name, words):
        (tmp_path / name).write_text(
            "text,t\n" + "".join(f"{words[i % 2]} {words[i % 2]},{i % 2}\n" for i in range(20))
        )
        return ["text-classifier", "--data", str(tmp_path / name), "--target", "t", "--epochs", "1", "--hidden", "4"]

    first, again, other = str(tmp_path / "first"), str(tmp_path / "again"), str(tmp_path / "other")
    assert main(["train", *table("a.csv", ("good", "bad")), "--run", first]) == 0
    assert main(["train", *table("a.csv", ("good", "bad")), "--run", again, "--initial-weights", first]) == 0
    capsys.readouterr()
    words = [*table("b.csv", ("warm", "cold")), "--initial-weights", first]
    assert main(["train", *words, "--run", other]) == 2
    message = capsys.readouterr().err.replace("\n", " ")
    assert "another vocabulary: token 2 is 'bad' there, 'cold' here. Take what does not hang on it:" in message
    assert "--initial-only, such as '2_bidirectional/*'" in message
    assert main(["cv", *words]) == 2
    assert "another vocabulary" in capsys.readouterr().err
    assert main(["train", *words, "--run", other, "--initial-only", "2_bidirectional/*"]) == 0

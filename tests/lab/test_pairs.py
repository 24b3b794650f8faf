"""Pairs of texts through a run: read, numbered, divided, trained, answered."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.data.pair_encoder import PairEncoder
from denpa.data.pairs import Pairs
from denpa.lab import presets, toml
from denpa.lab.answers import answers_of, answers_text, bleu
from denpa.lab.describe import check_experiment
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.run import Run
from denpa.lab.sources import load_data
from denpa.lab.trained import Trained


def test_texts_become_sources_shifted_targets_and_targets():
    pairs = Pairs(("ab", "c"), ("x", "yz"))
    coder = PairEncoder.of(pairs, reverse=True, others=[Pairs(("abc?",), ("xyz",))])
    assert coder.source.tokens == ("<pad>", "<unk>", "a", "b", "c")  # those of the test add none
    assert coder.target.tokens == ("<pad>", "<unk>", "<s>", "</s>", "x", "y", "z")
    (source, shifted), t = coder.encode(Pairs(("ab", "ca?"), ("x", "yz")))
    np.testing.assert_array_equal(source.values, [[3, 2, 0, 0], [1, 2, 4, 0]])
    np.testing.assert_array_equal(shifted.values, [[2, 4, 0, 0], [2, 5, 6, 0]])
    np.testing.assert_array_equal(t.values, [[4, 3, 0, 0], [5, 6, 3, 0]])
    np.testing.assert_array_equal(t.lengths, [2, 3])
    assert (shifted.lengths == t.lengths).all()
    assert coder.answers(np.array([[5, 6, 3, 3], [4, 3, 5, 5]])) == ["yz", "xyy"]
    assert dp.from_config(dp.to_config(coder)) == coder


@pytest.fixture
def files(tmp_path):
    numbers = range(1, 13)
    (tmp_path / "a.txt").write_text("".join(f"say {'very ' * (n % 3)}w{n % 4}\n" for n in numbers))
    (tmp_path / "b.txt").write_text("".join(f"{'so ' * (n % 3)}v{n % 4} .\n" for n in numbers))
    return {"source": str(tmp_path / "a.txt"), "target": str(tmp_path / "b.txt"), "task": "pairs"}


def test_two_files_line_by_line_with_their_own_vocabularies(files, tmp_path):
    data = load_data(DataConfig(**files, validation=0.2, options={"minimum_count": 2}))
    assert [len(data.train), len(data.validation), len(data.test)] == [9, 2, 1]
    assert data.look.in_shape == ((4,), (5,))
    assert (data.look.words, data.look.outputs) == (len(data.encoder.source), len(data.encoder.target))
    assert (data.encoder.beam, data.encoder.length_penalty) == (5, 1.0)  # for words
    assert data.content_hash() != load_data(DataConfig(**files, seed=1)).content_hash()
    with pytest.raises(dp.ConfigError, match="no option 'levl'"):
        load_data(DataConfig(**files, options={"levl": "word"}))
    for name, value in (("beam", 0), ("length_penalty", -1), ("reverse", 1), ("level", "wrod")):
        with pytest.raises(dp.ConfigError, match=name):
            load_data(DataConfig(**files, options={name: value}))
    with pytest.raises(dp.ConfigError, match=r"--target FILE"):
        load_data(DataConfig(files["source"], task="pairs"))
    with pytest.raises(dp.ConfigError, match="holds no pairs"):
        load_data(DataConfig("moons", task="pairs"))
    (tmp_path / "b.txt").write_text("one\n")
    with pytest.raises(dp.DataError, match="line 2 has no"):
        load_data(DataConfig(**files))


@pytest.mark.parametrize("name", ["addition-seq2seq", "date-attention", "translate-enja"])
def test_presets_fit_themselves_to_the_pairs(name):
    data = DataConfig("dates", task="pairs", options={"n": 30})
    experiment = presets.build(name, presets.Options(hidden=[6]), data)
    look = load_data(data).look
    assert experiment.network.out_shape(look.in_shape) == (11, look.outputs)
    assert Experiment.from_config(toml.plain(experiment)) == experiment
    with pytest.raises(dp.ConfigError, match="one recurrent layer"):
        presets.build(name, presets.Options(hidden=[6, 6]), data)
    with pytest.raises(dp.ConfigError, match="activation"):
        presets.build(name, presets.Options(activation="relu"), data)


def test_a_run_shows_where_it_looks_and_answers_lines_of_text(files, tmp_path, monkeypatch, with_figures):
    monkeypatch.setattr("denpa.lab.measure.bleu", lambda answers, references: float(len(answers)))
    config = DataConfig(**files, options={"beam": 2})
    look = load_data(config).look
    network = dp.EncoderDecoder(
        [dp.Embedding(look.words, 2), dp.RNN(3)],
        [dp.Embedding(look.outputs, 2), dp.RNN(3), dp.Dense(look.outputs)],
        attention=dp.DotAttention(),
    )
    training = TrainingConfig(epochs=2, batch_size="full")
    experiment = Experiment(network, dp.SoftmaxCrossEntropy(), config, metrics=[dp.ExactMatch()], training=training)
    run = Run(experiment, tmp_path / "run")
    measured = run.go(verbose=False)
    assert {"loss", "exact_match", "bleu"} <= set(measured.numbers)
    assert (tmp_path / "run/figures/alignment.png").stat().st_size > 1000
    words = run.data.test.pairs.sources[0].split()
    assert all(f">{word}</text>" in (tmp_path / "run/figures/alignment.svg").read_text() for word in words)
    text = (tmp_path / "run/figures/examples.txt").read_text()
    assert run.data.test.pairs.sources[0] in text
    trained = Trained.of(tmp_path / "run")
    assert len(trained.test_part()) == measured.examples
    with pytest.raises(dp.ConfigError, match="leave --data out"):
        trained.labelled(files["source"])
    (tmp_path / "asked.txt").write_text("say w1\n\nsay very unheard w2\n")
    with pytest.warns(UserWarning, match=r"asked\.txt, line 3: the training did not know the word 'unheard'; the m"):
        lines = answers_text(trained.model, tmp_path / "asked.txt").split("\n")
    assert lines == [*answers_of(trained.model, ["say w1", "", "say very unheard w2"]), ""]
    assert lines[1] == ""
    (tmp_path / "strange.txt").write_text("say w1\nwhat w1 oh what\n")
    with pytest.warns(UserWarning, match="line 2: the training did not know the word 'what', and 1 other word later"):
        answers_text(trained.model, tmp_path / "strange.txt")
    asked = ["predict", str(tmp_path / "run"), "--input", str(tmp_path / "asked.txt")]
    assert main([*asked, "--layer", "encoder"]) == 2
    assert main([*asked, "--output", str(tmp_path / "answers.npy")]) == 2
    assert not (tmp_path / "answers.npy").exists()
    with pytest.raises(dp.ConfigError, match="not trained on pairs"):
        answers_of(dp.Model([dp.Dense(2)], dp.SoftmaxCrossEntropy()), ["a"])


def test_the_gradients_of_pairs_are_checked(files):
    config = DataConfig(**files)
    data = load_data(config)
    assert data.train.inputs is data.train.x
    experiment = presets.build("date-attention", presets.Options(hidden=(4,)), config, data.look)
    assert max(check_experiment(experiment, data).autodiff.values()) < 1e-9


def test_bleu_of_cut_words():
    pytest.importorskip("sacrebleu")
    assert bleu(["a b c d e", "f g h i"], ["a b c d e", "f g h i"]) == pytest.approx(100)
    # p = 4/5, 3/4, 2/3, 1/2, no brevity penalty
    assert bleu(["a b c d x"], ["a b c d e"]) == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 / 2) ** 0.25)


def test_without_sacrebleu_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu", None)
    with pytest.raises(dp.ConfigError, match=r"denpa\[translation\]"):
        bleu(["a"], ["a"])

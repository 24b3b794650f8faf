"""Words of other tools, presets as commands, files by themselves: the message says what is meant here."""

from __future__ import annotations

import pytest

REFUSED = {
    "fit digits-mlp": "Unknown command 'fit': did you mean 'denpa train'?",
    "resume runs/x": "did you mean 'denpa train --resume RUN'?",
    "digits-mlp": "Unknown command 'digits-mlp': presets are trained: denpa train digits-mlp.",
    "mnist": "presets are trained: denpa train mnist-mlp.",
    "trian digits-mlp": "did you mean 'train'?",
    "train xor --lr 0.1": "Unknown option '--lr': did you mean '--learning-rate'?",
    "train xor --gpu": "a GPU is taken by itself where JAX finds one",
    "train xor --dropout 0.5": "it belongs to a layer, as in --network.layers.2.rate 0.5",
    "train xor --optimizer.lr 0.1": "did you mean 'learning_rate'?",
    "sweep xor --learning-rate 0.1 0.01": "Values to compare are one word: --learning-rate 0.1,0.01.",
    "train lstm": "did you mean 'shakespeare-lstm'?",
    "train residul": "did you mean 'residual'?",
}


@pytest.mark.parametrize("words", REFUSED)
def test_habits_of_other_tools_are_answered(refused, words):
    refused(words, REFUSED[words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train my.csv", "my.csv holds data, not an experiment: --data my.csv, behind a preset such as mlp."),
        ("train mlp my.csv", "One word too many: 'my.csv'. Name the data by --data my.csv."),
        ("predict runs/mlp my.csv", "Name the data by --input my.csv."),
        ("predict my.csv --input my.csv", "my.csv holds data: name first the run that is to read them"),
    ],
)
def test_data_without_their_option(said, empty_folder, words, message):
    (empty_folder / "my.csv").write_text("a,b\n1,2\n3,4\n")
    status, _, err = said(*words.split())
    assert (status, len(err.splitlines())) == (2, 1)
    assert message in err
    assert [file.name for file in empty_folder.iterdir()] == ["my.csv"]

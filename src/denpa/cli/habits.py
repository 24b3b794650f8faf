"""What is meant by words that no command knows: names of other tools, a preset as a command, a file by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from denpa.core.errors import nearest

__all__ = ["for_command", "for_file", "for_option"]

_COMMANDS = {
    "convert": "export",
    "eval": "evaluate",
    "fit": "train",
    "generate": "sample",
    "grid": "sweep",
    "infer": "predict",
    "learn": "train",
    "onnx": "export",
    "resume": "train --resume RUN",
    "run": "train",
    "score": "evaluate",
    "test": "evaluate",
    "tune": "sweep",
}
_OPTIONS = {
    "--config": "give the file by itself: denpa train CONFIG.toml.",
    "--dropout": "it belongs to a layer, as in --network.layers.2.rate 0.5; denpa summary shows the layers.",
    "--iterations": "did you mean '--epochs'?",
    "--l1": "did you mean '--penalty l1 --strength'?",
    "--l2": "did you mean '--penalty l2 --strength'?",
    "--layers": "did you mean '--hidden'?",
    "--lr": "did you mean '--learning-rate'?",
    "--model": "give the preset by itself: denpa train mlp.",
    "--momentum": "did you mean '--optimizer Momentum --optimizer.momentum'?",
    "--save": "the model is kept in the run folder: --run FOLDER.",
    "--test": "did you mean '--data.test'?",
    "--units": "did you mean '--hidden'?",
    "--weight-decay": "did you mean '--penalty l2 --strength'?",
    **dict.fromkeys(("--cuda", "--device", "--gpu"), "a GPU is taken by itself where JAX finds one: leave it out."),
}


def for_command(word: str, known: Iterable[str]) -> str:
    """What to type in place of an unknown command."""
    if meant := _COMMANDS.get(word):
        return f"did you mean 'denpa {meant}'?"
    from denpa.lab import presets

    if named := [name for name in presets.PRESETS if f"{name}-".startswith(f"{word}-")]:
        return f"presets are trained: denpa train {named[0]}."
    return nearest(word, known, plural="commands")


def for_option(word: str, command: str) -> str:
    """What to type in place of an unknown option of an experiment; "" where nobody has such a habit."""
    return _OPTIONS.get(word, "") if command in ("train", "cv", "sweep", "check", "summary") else ""


def for_file(word: str, command: str) -> str:
    """By which option a file is named that stands by itself; "" where it is none."""
    option = "--input" if command == "predict" else "--data"
    return f"Name the data by {option} {word}." if Path(word).exists() else ""

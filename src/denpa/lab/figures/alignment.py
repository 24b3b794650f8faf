"""Where a decoder looks: the alignment of attention, source against answer; and answers in text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from denpa.core.layer import Context
from denpa.data.vocabulary import tokens_of
from denpa.lab.answers import examples_in_text
from denpa.lab.fonts import every_character
from denpa.networks.inputs import entering
from denpa.training.storage import write_figure, write_text

__all__ = ["alignment", "alignments_of", "write_all"]

_SHOWN = 4


def write_all(folder: Path, run: Any, measured: Any) -> None:
    """examples.txt with answers, and where there is attention alignment.png and .svg of the first of them."""
    test = run.data.test
    if test is None:
        return
    write_text(folder / "examples.txt", "\n".join(examples_in_text(test, list(measured.predicted))))
    if getattr(run.model.net, "attention", None) is not None:
        few = test[: min(_SHOWN, len(test))]
        alignment(alignments_of(run.model, few), folder / "alignment.png", folder / "alignment.svg")


def alignments_of(model: Any, data: Any) -> list[tuple[list[str], list[str], np.ndarray]]:
    """For each pair the tokens of source and target, and α (target tokens with the end, source tokens).

    The decoder is fed the targets. A source that is read backwards is shown forwards.
    """
    params, state = model.variables
    x, ctx = entering(model.programs.recipe.prepare(model.statistics, data.x), Context(train=False, state=state))
    met = jax.jit(model.net.walk_forward)(params, x, ctx)[2]
    found = []
    for row, (source, target) in enumerate(zip(*data.pairs, strict=True)):
        words = tokens_of(source, model.encoder.source.level)
        written = [*tokens_of(target, model.encoder.target.level), "</s>"]
        alpha = np.asarray(met["attention"].saved["alignment"][row])[: len(written), : len(words)]
        found.append((words, written, alpha[:, ::-1] if model.encoder.reverse else alpha))
    return found


def alignment(found: list[tuple[list[str], list[str], np.ndarray]], *paths: Path) -> Any:
    """A panel for each pair: the darker, the more of the source's token (below) goes into the answer's (left).

    In an SVG words stay text, so that a browser draws them in its own fonts, whatever matplotlib has.
    """
    from matplotlib.figure import Figure

    with every_character():
        widest = max(len(words) for words, _, _ in found)
        heights = [0.24 * len(written) + 0.9 for _, written, _ in found]
        figure = Figure(figsize=(0.26 * widest + 2.2, sum(heights)), layout="constrained")
        panels: Any = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)
        for axes, (words, written, alpha) in zip(panels[:, 0], found, strict=True):
            axes.imshow(alpha, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            upright = all(len(word) == 1 for word in words)
            axes.set_xticks(range(len(words)), words, rotation=0 if upright else 60, fontsize=8)
            axes.set_yticks(range(len(written)), written, fontsize=8)
        for path in paths:
            write_figure(path, figure)
    return figure

"""What a model that was trained on pairs of texts answers to new ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from denpa.core.errors import ConfigError
from denpa.data.counted import counted
from denpa.data.pair_encoder import PairEncoder
from denpa.data.text import read_text
from denpa.data.vocabulary import tokens_of
from denpa.lab.pairs import Sequences
from denpa.training import Model, beam_search

__all__ = ["answers_of", "answers_text", "bleu", "examples_in_text", "is_of_pairs"]


def is_of_pairs(model: Model) -> bool:
    """Whether a model was trained on pairs of texts."""
    return isinstance(model.encoder, PairEncoder)


def answers_of(model: Model, texts: Sequence[str]) -> list[str]:
    """What a trained model answers to texts; to an empty one nothing.

    Raises:
        ConfigError: the model was not trained on pairs of texts.
    """
    coder = model.encoder
    if not is_of_pairs(model):
        raise ConfigError("This model was not trained on pairs of texts, so it answers none.")
    asked = [place for place, text in enumerate(texts) if text.strip()]
    answers = [""] * len(texts)
    if asked:
        start, end = (coder.target.number_of(name) for name in ("start", "end"))
        search = {"beam": coder.beam, "length_penalty": coder.length_penalty, "longest": coder.target_length}
        source = coder.sources([texts[place] for place in asked])
        written = beam_search(model, source, start=int(start or 0), end=end, **search)
        for place, answer in zip(asked, coder.answers(written.tokens[:, 0]), strict=True):
            answers[place] = answer
    return answers


def answers_text(model: Model, path: str | Path) -> str:
    """The answers to the lines of a text file, line by line; errors as for `read_text` and `answers_of`.

    Warns (UserWarning) of tokens that the training did not know.
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    answers = answers_of(model, lines)
    source = model.encoder.source
    strange = [(n, token) for n, line in enumerate(lines, 1) for token in tokens_of(line, source.level)]
    strange = [(n, token) for n, token in strange if token not in source]
    if strange:
        number, token = strange[0]
        more = len({token for _, token in strange}) - 1
        others = f", and {counted(more, f'other {source.level}')} later" if more else ""
        what = f"{path}, line {number}: the training did not know the {source.level} {token!r}{others}"
        warnings.warn(f"{what}; the model reads what it does not know as one token.", UserWarning, stacklevel=2)
    return "".join(f"{answer}\n" for answer in answers)


def bleu(answers: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a corpus, 0 to 100, of words as they are cut already:

        BP · exp( 1/4 Σ_n log p_n ),   n = 1 .. 4,   BP = min(1, exp(1 − reference length / answer length))

    p_n is the share of the answers' n-grams that the references have too; computed by sacreBLEU.

    Raises:
        ConfigError: sacreBLEU is not installed.

    Source: Papineni, Roukos, Ward & Zhu (2002); Post (2018) for sacreBLEU.
    """
    try:
        import sacrebleu  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ConfigError(
            "BLEU is computed by sacreBLEU, which is missing: pip install 'denpa[translation]'."
        ) from None
    return float(sacrebleu.corpus_bleu(list(answers), [list(references)], tokenize="none", force=True).score)


def examples_in_text(data: Sequences, answers: Sequence[str], most: int = 30) -> Iterator[str]:
    """A few pairs with the model's answers, line by line."""
    for source, target, answer in list(zip(*data.pairs, answers, strict=True))[:most]:
        mark = "=" if answer == target else "x"
        yield f"{mark} {source}\n  answer    {answer}\n  expected  {target}\n"

"""Sentences: one learned by heart word by word, and answers of another length than what was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax.nn import softmax

from denpa.core.padded import Padded
from denpa.data.pair_encoder import PairEncoder
from denpa.data.pairs import Pairs
from denpa.data.vocabulary import Vocabulary
from denpa.gradients import backprop
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.plots import COLOURS, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, Embedding
from denpa.losses import SoftmaxCrossEntropy
from denpa.networks import GRU, RNN, EncoderDecoder, Sequential
from denpa.optim import Adam
from denpa.training import Model, beam_search, greedy, sample

__all__ = ["STUDIES"]

_SENTENCES = ("This is an apple", "This is an apple and that is a pear")
_UPDATES, _MOST = 120, 10


def _next_word(plan: Plan) -> Result:
    figure, panels = figure_of(2)
    rows: list[dict[str, Any]] = []
    likely: dict[tuple[str, str], np.ndarray] = {}
    vocabulary = Vocabulary.of(_SENTENCES, level="word", special=("end",))
    for axes, sentence in zip(panels, _SENTENCES, strict=True):
        for index, name in enumerate(("RNN", "no recurrence")):
            paths = []
            for seed in plan.seeds:
                path, written = _learned(name, vocabulary, sentence, seed)
                paths.append(path)
                row = {"sentence": sentence, "network": name, "seed": seed, "written": written}
                rows.append(row | {"probability": path[-1]})
            likely[sentence, name] = np.array(paths)[:, -1]
            curve(axes, range(1, _UPDATES + 1), np.transpose(paths), index, name)
        finish(axes, "updates", "probability of the sentence", f"“{sentence}”", ylim=(-0.03, 1.05))
    caption = Text(
        "Probability of the whole sentence after its first word. On the right “is” occurs twice.",
        "最初の単語に続く文全体の確率。右の文では is が 2 度現れる。",
    )
    return Result(_word_checks(rows, likely), (Picture("probability", caption, figure),), tuple(rows))


def _learned(name: str, vocabulary: Vocabulary, sentence: str, seed: int) -> tuple[np.ndarray, str]:
    """P(sentence | first word) before each update, and what is written after the first word in the end."""
    words, first = len(vocabulary), sentence.split()[0]
    inner = RNN(12, return_sequences=True) if name == "RNN" else Dense(12)
    net = Sequential((Embedding(words, words), inner, Dense(words)))
    model = Model(net, SoftmaxCrossEntropy(), Adam(0.03), seed=seed)
    read, count = vocabulary.encode_all([sentence], end=True, length=_MOST).values, len(sentence.split())
    x, t = (Padded(part, np.array([count])) for part in (read[:, :-1], read[:, 1:]))
    history = model.fit((x, t), epochs=_UPDATES, batch_size=1, verbose=False)
    path = np.exp(-count * np.array(history["loss"]))  # the loss is the mean over the words
    return path, sample(model, vocabulary, first, _MOST, temperature=0.0) if name == "RNN" else ""


def _word_checks(rows: list[dict[str, Any]], likely: dict[tuple[str, str], np.ndarray]) -> tuple[Check, ...]:
    short, long = _SENTENCES
    own = [row for row in rows if row["network"] == "RNN"]
    wrong = sum(f"{row['sentence'].split()[0]} {row['written']}" != row["sentence"] for row in own)
    return (
        exactly("sentences that the RNN writes wrongly", "RNN が誤って書いた文の数", wrong, 0),
        Check(_probability("RNN", short), likely[short, "RNN"], low=0.9),
        Check(_probability("RNN", long), likely[long, "RNN"], low=0.9),
        Check(_probability("no recurrence", short), likely[short, "no recurrence"], low=0.9),
        Check(  # 1/4 is the most that there can be: two words, equally often, behind the second "is"
            _probability("no recurrence", long), likely[long, "no recurrence"], 0.15, 0.25 + 1e-6
        ),
    )


def _probability(name: str, sentence: str) -> Text:
    return Text(
        f"{name}: probability of “{sentence}”",
        f"{'再帰なし' if name == 'no recurrence' else name}：「{sentence}」の確率",
    )


_ENGLISH = "this is an apple/that is a pear/i eat an apple/you eat the pear/i run/you run/good morning/thank you"
_JAPANESE = (
    "これ は りんご です/あれ は 梨 です/私 は りんご を 食べ ます/あなた は その 梨 を 食べ ます/走り ます/あなた は "
    "走り ます/おはよう/ありがとう ござい ます"
)
_PAIRS = Pairs(tuple(_ENGLISH.split("/")), tuple(_JAPANESE.split("/")))
_LONGEST = 14


def _different_lengths(plan: Plan) -> Result:
    encoder = PairEncoder.of(_PAIRS, "word")
    inputs, t = encoder.encode(_PAIRS)
    found = [_translated(encoder, inputs, t, seed) for seed in plan.seeds]
    rows = [
        {"source": source, "target": target, "seed": seed, "answer": answer, "log P": float(log)}
        for seed, each in zip(plan.seeds, found, strict=True)
        for source, target, answer, log in zip(*_PAIRS, each["answers"], each["log"], strict=True)
    ]
    caption = Text(
        "P(end) at every step, behind the true words before it; first seed. A ring where the translation ends.",
        "各ステップ（それまでは正解の語）での P（終端）、最初のシード。○は正解の終端の位置。",
    )
    picture = Picture("ends", caption, _ends_drawn(found[0]["end"], np.asarray(t.lengths)))
    return Result(_pair_checks(found, t), (picture,), tuple(rows))


def _translated(encoder: PairEncoder, inputs: Any, t: Any, seed: int) -> dict[str, Any]:
    """Everything measured on one trained network."""
    net = EncoderDecoder(
        (Embedding(len(encoder.source), 8), GRU(24)),
        (Embedding(len(encoder.target), 8), GRU(24), Dense(len(encoder.target))),
    )
    model, loss = Model(net, SoftmaxCrossEntropy(), Adam(0.02), seed=seed), SoftmaxCrossEntropy(reduction="sum")
    ends: dict[str, Any] = {"start": encoder.target.number_of("start"), "end": encoder.target.number_of("end")}
    model.build(tuple(part.values.shape[1:] for part in inputs))
    before = greedy(model, inputs[0], longest=_LONGEST, **ends)
    model.fit((inputs, t), epochs=120, batch_size="full", verbose=False)
    after = greedy(model, inputs[0], longest=_LONGEST, **ends)
    two = beam_search(model, inputs[0], beam=len(encoder.target) ** 2, longest=2, start=ends["start"], end=None)
    step = backprop(net, loss, model.variables, inputs, t, train=False)
    return {
        "first answers": encoder.answers(before.tokens),
        "after": after,
        "answers": encoder.answers(after.tokens),
        "log": after.log_probability,
        "sum": -float(step.loss),
        "all": np.exp(np.asarray(two.log_probability, np.float64)).sum(axis=1),
        "end": np.asarray(softmax(step.output))[..., ends["end"]],
    }


def _ends_drawn(ends: np.ndarray, lengths: np.ndarray) -> Any:
    steps = lengths.max()
    ends = np.where(np.arange(steps) < lengths[:, None], ends[:, :steps], np.nan)  # nothing behind the end
    figure, (axes,) = figure_of(1, size=(7, 3.6))
    image = axes.imshow(ends, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.scatter(lengths - 1, np.arange(len(lengths)), s=90, facecolors="none", edgecolors=COLOURS[1], linewidths=1.8)
    axes.set(xlabel="step of the answer", xticks=range(steps), xticklabels=range(1, steps + 1))
    axes.set(yticks=range(len(lengths)), yticklabels=_PAIRS.sources)
    figure.colorbar(image, ax=axes, label="P(end)")
    return figure


def _pair_checks(found: list[dict[str, Any]], t: Any) -> tuple[Check, ...]:
    def wrong(answers: str) -> list[int]:
        return [sum(a != b for a, b in zip(each[answers], _PAIRS.targets, strict=True)) for each in found]

    return (
        check(
            "log P that greedy search adds up, less that of the chain rule on the translations, in all",
            "貪欲探索の log P の合計と、連鎖律による正解の log P の合計との差",
            [abs(each["log"].sum() - each["sum"]) for each in found],
            *(0, 1e-3),  # float32; measured 1e-7 to 1e-5
        ),
        check(
            "largest difference from 1 of the sum of P over all answers of two words",
            "2 語の応答すべてにわたる P の和と 1 との差の最大",
            [np.abs(each["all"] - 1).max() for each in found],
            *(0, 1e-4),
        ),
        exactly("translations that are not right to the last word", "正しくない訳の数", wrong("answers"), 0),
        exactly(
            "answers that do not end by themselves, at the same step as the translation",
            "正解と同じステップで自ら終わらない応答の数",
            [np.sum(each["after"].lengths + 1 != t.lengths) for each in found],
            0,
        ),
        check(
            f"before training: answers that have not ended after {_LONGEST} words or are wrong",
            f"学習前：{_LONGEST} 語までに終わらない、または誤っている応答の数",
            wrong("first answers"),
            *(len(_PAIRS) - 1, len(_PAIRS)),
        ),
    )


STUDIES = (
    Study(
        name="next-word",
        chapter=chapters.RECURRENCE,
        title=Text("The next word", "次の単語の予測"),
        claim=Text(
            "A recurrent network that is to foretell the next word learns “This is an apple” by heart and writes it. "
            "Where a word occurs twice with different successors, the last word alone does not do: the network has to "
            "remember what came before.",
            "次の単語を予測する RNN は「This is an apple」を暗記し、その文を書く。同じ単語が異なる単語に続く文では、直"
            "前の単語だけでは足りず、それより前を覚えている必要がある。",
        ),
        formula=(
            r"h^t = \tanh(x^t W_x + h^{t-1} W_h + b)",
            r"P(x^{t+1} | x^1 \ldots x^t) = \mathrm{softmax}(h^t W_o + b_o)",
            r"P(x^2 \ldots x^T | x^1) = \prod_t P(x^{t+1} | x^1 \ldots x^t)",
        ),
        setting=Text(
            "RNN of 12 units, tanh, on words (an embedding is a matrix behind one-hot words), softmax and "
            "cross-entropy; "
            f"without recurrence a dense layer in its place. Adam with 0.03, {_UPDATES} updates. The end of the "
            "sentence is a word too; what is written is the likeliest word each time.",
            f"12 ユニット、tanh の RNN。単語（one-hot に行列を掛けた埋め込み）、ソフトマックス＋交差エントロピー。"
            f"再帰なしでは同じ位置に全結合層。Adam、学習率 0.03、{_UPDATES} 回更新。文の終わりも 1 語とし、毎回最も確"
            "率の高い語を書く。",
        ),
        run=_next_word,
        remark=Text(
            "“This is an apple” needs no recurrence: no word occurs twice in it, and a table of successors does as "
            "well.",
            "「This is an apple」には同じ単語が 2 度現れないので、再帰は必要ない。直前の単語の表で足りる。",
        ),
    ),
    Study(
        name="sequence-to-sequence",
        chapter=chapters.RECURRENCE,
        title=Text("Answers of another length", "長さの異なる系列への変換"),
        claim=Text(
            "An encoder and a decoder translate sentences of one length into sentences of another: the likelihood of "
            "the answer is a product over its words, and the answer ends by itself, with an end symbol.",
            "符号化器と復号化器により、長さの異なる文へ翻訳する。応答の尤度は各単語の条件付き確率の積であり、応答は終"
            "端記号により自ら終わる。",
        ),
        formula=(
            r"P(t^1 \ldots t^{T'} | x^1 \ldots x^T) = \prod_k P(t^k | t^1 \ldots t^{k-1}, c)",
            r"c = q(z^1 \ldots z^T) = z^T",
        ),
        setting=Text(
            "Eight English sentences and their translations into Japanese, by words; embeddings of 8, GRU of 24 units "
            "on both sides, no attention. Adam with 0.02, 120 updates with all pairs; greedy search.",
            "英語の文 8 つとその和訳（単語単位）。埋め込み 8 次元、両側とも 24 ユニットの "
            "GRU、アテンションなし。Adam、学習率 0.02、全ペアで 120 回更新。貪欲探索。",
        ),
        run=_different_lengths,
        remark=Text(
            "Eight pairs are learned by heart; how such a network does on sentences that it has not seen is another "
            "question, and takes thousands of pairs.",
            "8 組は暗記しているだけである。学習していない文への汎化は別の問題で、数千組のデータを要する。",
        ),
    ),
)

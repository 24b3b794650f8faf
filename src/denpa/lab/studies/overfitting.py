"""A network too large for its few examples, and what is done against it."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.init import He
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, typically
from denpa.lab.studies.images import Images, images
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.terms import in_japanese
from denpa.lab.studies.together import Curves, steps_of, table, train_together
from denpa.layers import BatchNorm, Dense, Dropout, ReLU
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import SGD
from denpa.penalties import L1, L2
from denpa.training import Model

__all__ = ["STUDIES"]

_HIDDEN, _UNITS = 6, 100


def _net(drop: float = 0.0, normalised: bool = False) -> Sequential:
    block: list[Any] = [Dense(_UNITS, kernel_init=He()), *([BatchNorm()] if normalised else []), ReLU()]
    block += [Dropout(drop)] if drop else []
    return Sequential((*(block * _HIDDEN), Dense(10, kernel_init=He())))


def _data(plan: Plan, examples: int) -> Images:
    """The first images of the training part, the same for all seeds, and a thousand of the test."""
    return images(plan).flat().few(examples, seed=0, tests=1000)


def _trained(
    plan: Plan, data: Images, steps: np.ndarray, net: Any = None, penalty: Any = None, **options: Any
) -> Curves:
    model = Model(net or _net(), SoftmaxCrossEntropy(), SGD(options.pop("rate", 0.01)), [Accuracy()], penalty)
    return train_together(model, (data.x, data.t), (data.test_x, data.test_t), plan.seeds, steps, **options)


def _examples(plan: Plan) -> Result:
    last = 1000
    sizes = plan.pick((30, 100, 300, 1000), (100, 300, 1000, 10_000))
    found = {f"{n} images": _trained(plan, _data(plan, n), steps_of(last, 20)) for n in sizes}
    figure, panels = figure_of(2)
    for axes, part, name in zip(panels, ("train", "test"), ("training accuracy", "test accuracy"), strict=True):
        for index, (label, curves) in enumerate(found.items()):
            curve(axes, curves.steps, getattr(curves, part)["accuracy"], index, label)
        finish(axes, "updates", name, ylim=(0, 1.02))
    few, *_, many = found.values()
    gap = {name: c.at(last, part="train") - c.at(last) for name, c in zip(("few", "many"), (few, many), strict=True)}
    return Result(
        checks=(  # over 5 seeds on digits: 1.00; 0.24 to 0.34; 0.03 to 0.05
            Check(
                _accuracy(f"{sizes[0]} images", "training", last), few.at(last, part="train"), low=0.99
            ),  # 1.00 (1.00)
            Check(_gap(f"{sizes[0]} images"), gap["few"], low=0.2),
            Check(_gap(f"{sizes[-1]} images"), gap["many"], high=0.1),
        ),
        pictures=(
            Picture(
                "accuracy", Text("The fewer examples, the wider the gap.", "訓練データが少ないほど差が開く。"), figure
            ),
        ),
        rows=table(found, plan),
        setting=images(plan).describe(),
    )


def _remedies(plan: Plan) -> Result:
    data, last = _data(plan, plan.pick(50, 300)), 1000
    steps = steps_of(last, 25)
    found = {
        "none": _trained(plan, data, steps),
        "L2, 0.1": _trained(plan, data, steps, penalty=L2(0.1)),
        "L2, 0.2": _trained(plan, data, steps, penalty=L2(0.2)),
        "L1, 0.005": _trained(plan, data, steps, penalty=L1(0.005), rate=0.1),
        "dropout, 0.15": _trained(plan, data, steps, _net(drop=0.15)),
        "batch norm": _trained(plan, data, steps, _net(normalised=True)),
    }
    figure, panels = figure_of(len(found), 3, (3.4, 2.6))
    for axes, (name, curves) in zip(panels, found.items(), strict=True):
        for index, (part, label) in enumerate({"train": "training", "test": "test"}.items()):
            curve(axes, steps, getattr(curves, part)["accuracy"], index, label)
        finish(axes, "updates", "accuracy", name, ylim=(0, 1.02))
    return Result(
        checks=_remedied(plan, found, last),
        pictures=(
            Picture(
                "accuracy",
                Text("Training and test accuracy under each remedy.", "各手法での訓練・テスト正解率。"),
                figure,
            ),
        ),
        rows=table(found, plan),
        setting=data.describe(),
    )


def _remedied(plan: Plan, found: dict[str, Curves], last: int) -> tuple[Check, ...]:
    plain = found["none"]
    best = np.max([curves.test["accuracy"].max(axis=0) for curves in found.values()], axis=0)
    # Over 5 seeds on digits: 0.19 to 0.23; 0.04 to 0.10; -0.18 to -0.11; 0.28 to 0.56; 0.10 to 0.63; 240 to 400;
    # -0.44 to -0.32; 0.01 to 0.04. Of the second and the fifth 26 single seeds had 0.00 to 0.12 and 0.01 to 0.60.
    return (
        Check(_gap("none"), plain.at(last, part="train") - plain.at(last), low=0.15),
        *_weight_decay_checks(plain, found["L2, 0.1"], found["L2, 0.2"], last),
        typically(
            "L1: largest swing of the test accuracy between two measurements, less that without",
            "L1：テスト正解率の振れ幅の、なしの場合との差",
            _swing(found["L1, 0.005"], last) - _swing(plain, last),
            *(0.05, np.inf),
        ),
        check(
            "dropout: updates that it takes longer to 90 % training accuracy",
            "ドロップアウト：訓練正解率 90 % までの更新回数の増加",
            _reached(found["dropout, 0.15"]) - _reached(plain),
            *(40, np.inf),
        ),
        *_gap_checks(plan, found, last),
        check(
            "batch norm: test accuracy gained",
            "バッチ正規化：テスト正解率の向上",
            found["batch norm"].at(last) - plain.at(last),
            *(-np.inf, -0.05, True),
        ),
        check(
            "best test accuracy of all remedies and updates, less that of none",
            "全手法・全更新での最高テスト正解率（なしとの差）",
            best - plain.test["accuracy"].max(axis=0),
            *(-np.inf, 0.12),
        ),
    )


def _gap_checks(plan: Plan, found: dict[str, Curves], last: int) -> tuple[Check, ...]:
    """By how much the gap between training and test is wider than without a remedy."""
    gaps = {name: curves.at(last, part="train") - curves.at(last) for name, curves in found.items()}
    # Over 5 seeds on digits (MNIST): 0.05 to 0.08 (-0.07 to -0.04); -0.03 to 0.06 (-0.01 to 0.03). Of the first 26
    # single seeds on digits had 0.00 to 0.16.
    bounds = {
        "L2, 0.1": plan.pick((0.01, 0.2, True), (-0.2, -0.01, False)),
        "dropout, 0.15": (-0.1, 0.1, True),
    }
    return tuple(
        typically(
            f"{_gap(name).en}, less that without",
            f"{_gap(name).ja}の、なしの場合との差",
            gaps[name] - gaps["none"],
            *of,
        )
        for name, of in bounds.items()
    )


def _weight_decay_checks(plain: Curves, weak: Curves, strong: Curves, last: int) -> tuple[Check, ...]:
    """What is claimed of weight decay."""
    # Lost: 0.04 to 0.1 on digits over 5 seeds, 0.06 to 0.09 on MNIST over 3.
    lost, gained = plain.at(last, part="train") - weak.at(last, part="train"), weak.at(last) - plain.at(last)
    return (
        typically("L2, 0.1: training accuracy lost", "L2、0.1：訓練正解率の低下", lost, 0.01, np.inf),
        check("L2, 0.1: test accuracy gained", "L2、0.1：テスト正解率の向上", gained, -np.inf, 0.02, True),
        check(
            "L2, 0.2: training accuracy lost from its best to the end",
            "L2、0.2：訓練正解率の最高値から最後までの低下",
            strong.train["accuracy"].max(axis=0) - strong.at(last, part="train"),
            *(0.15, np.inf),
        ),
    )


def _swing(curves: Curves, last: int) -> np.ndarray:
    """The largest change of the test accuracy between two measurements in the second half, by member."""
    half = curves.steps >= last / 2
    return np.abs(np.diff(curves.test["accuracy"][half], axis=0)).max(axis=0)


def _accuracy(name: str, part: str, step: int) -> Text:
    japanese = {"training": "訓練", "test": "テスト"}[part]
    return Text(
        f"{name}: {part} accuracy after {step} updates", f"{in_japanese(name)}：{step} 回更新後の{japanese}正解率"
    )


def _gap(name: str) -> Text:
    return Text(f"{name}: training less test accuracy", f"{in_japanese(name)}：訓練とテストの正解率の差")


def _reached(curves: Curves) -> np.ndarray:
    """The update at which each member first has 90 % of its training images right; beyond the last for never."""
    there = curves.train["accuracy"] >= 0.9
    return np.where(there.any(axis=0), curves.steps[there.argmax(axis=0)], curves.steps[-1] + 1)


_NET = Text(
    "Six hidden layers of 100 ReLU units, He's weights, softmax and cross-entropy, gradient descent with learning "
    "rate 0.01 and batches of at most 100, 1,000 updates.",
    "中間層 6 層 × 100 ユニット（ReLU、He の初期値）、ソフトマックス＋交差エントロピー、学習率 0.01、ミニバッチ 100 "
    "以下、1,000 回更新。",
)

STUDIES = (
    Study(
        name="over-fitting",
        chapter=chapters.REGULARISATION,
        title=Text("Over-fitting", "過学習"),
        claim=Text(
            "A large network learns a few examples by heart: all training examples are right, of the test examples "
            "many are not. With more examples the gap closes.",
            "大きなネットワークは少数の訓練データを丸暗記する。訓練正解率は 100 % "
            "でも、テスト正解率は低い。訓練データを増やすと差は縮まる。",
        ),
        formula=(r"E_{\mathrm{train}} \rightarrow 0, \quad E_{\mathrm{test}} \gg E_{\mathrm{train}}",),
        setting=_NET,
        run=_examples,
    ),
    Study(
        name="regularisation",
        chapter=chapters.REGULARISATION,
        title=Text("Remedies against over-fitting", "過学習への対策"),
        claim=Text(
            "Weight decay, L1 and dropout are said to keep training and test accuracy closer together; too much weight "
            "decay lets the accuracy fall as training goes on; L1 makes it swing. None lifts the test accuracy much.",
            "荷重減衰（L2）・L1・ドロップアウトは訓練とテストの差を抑えるといわれる。強すぎる L2 "
            "では学習が進むと正解率が下がり、L1 では不安定になる。いずれもテスト正解率を大きくは上げない。",
        ),
        formula=(
            r"\mathrm{L2:}\ E + \frac{\lambda}{2} \Vert W \Vert^2 \qquad \mathrm{L1:}\ E + \lambda \sum |w|",
            r"\mathrm{dropout:}\ y = m \odot x / (1 - p),\ m \sim \mathrm{Bernoulli}(1 - p)",
        ),
        setting=Text(
            f"{_NET.en} Each remedy by itself; L1 with learning rate 0.1. 50 training images of digits, 300 of MNIST.",
            f"{_NET.ja}対策は一つずつ。L1 のみ学習率 0.1。訓練画像は digits で 50 枚、MNIST で 300 枚。",
        ),
        run=_remedies,
        remark=Text(
            "Weight decay fits the training images less well. On 300 images of MNIST that narrows the gap (0.20 to "
            "0.15); on 50 digits the test accuracy loses more, and it widens (0.21 to 0.28). In neither case does the "
            "test accuracy gain. Dropout is slower, and like L1 it leaves the gap as it was; batch normalisation, "
            "which speeds up training, lowers the test accuracy. What helps is a network of another size, and more "
            "examples.",
            "L2 は訓練データへの当てはまりを悪くする。MNIST 300 枚では差が縮まる（0.20 から 0.15）が、digits 50 "
            "枚ではテスト正解率の低下のほうが大きく、差は広がる（0.21 から 0.28）。どちらでもテスト正解率は上がらない。"
            "ドロップアウトは学習を遅くするが、L1 と同じく差は変わらない。学習を速めるバッチ正規化もテスト正解率を"
            "下げる。層数とユニット数の見直しと、データの追加が先である。",
        ),
        contradicts=True,
    ),
)

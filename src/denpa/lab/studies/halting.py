"""Learning curves, when to stop, and what a committee of networks gains."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.core.layer import Variables
from denpa.init import He
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, typically
from denpa.lab.studies.images import Images, images
from denpa.lab.studies.plots import GREY, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.together import Curves, table, train_together
from denpa.layers import Dense, ReLU
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import SGD
from denpa.training import Model
from denpa.training.members_plan import sampled_rows

__all__ = ["STUDIES"]

_NET = Sequential((*(part for _ in range(6) for part in (Dense(100, kernel_init=He()), ReLU())), Dense(10)))
_COMMITTEE = 10
_SIZES = np.arange(1, _COMMITTEE + 1)


def _model(rate: float) -> Model:
    return Model(_NET, SoftmaxCrossEntropy(), SGD(rate), [Accuracy()])


def _curves(plan: Plan) -> Result:
    data = images(plan).flat().few(plan.pick(50, 300), seed=0, tests=1000)
    half = len(data.test_x) // 2
    last = plan.pick(2000, 3000)
    steps = np.unique(np.geomspace(1, last, 40).round().astype(int)) - 1
    held, test = ((data.test_x[part], data.test_t[part]) for part in (slice(half), slice(half, None)))
    # The same training twice, bit for bit: once watched by the examples that decide when to stop, once by the others.
    watched = train_together(_model(0.01), (data.x, data.t), held, plan.seeds, steps)
    curves = train_together(_model(0.01), (data.x, data.t), test, plan.seeds, steps)
    stops = watched.test["loss"].argmin(axis=0)
    everything = np.concatenate([data.x, held[0]]), np.concatenate([data.t, held[1]])
    anew = train_together(_model(0.01), everything, test, plan.seeds, np.unique([0, *steps[stops]]))
    retrained = [anew.at(step, "loss")[member] for member, step in enumerate(steps[stops])]
    return Result(
        checks=(*_stopping_checks(curves, stops), *_retrained_checks(curves, stops, retrained)),
        pictures=(
            Picture(
                "curves",
                Text(
                    "The training error goes to 0, the test error rises again; dotted: the least error on examples "
                    "held out.",
                    "訓練誤差は 0 に近づくが、テスト誤差は再び上昇する。点線は検証データの誤差が最小の点。",
                ),
                _stopping_figure(curves, stops),
            ),
        ),
        rows=table({"loss": curves}, plan, "loss") + table({"accuracy": curves}, plan),
        setting=data.describe(),
    )


def _stopping_checks(curves: Curves, stops: np.ndarray) -> tuple[Check, ...]:
    """Of curves, and for each member the row of the measurement at which it is stopped early."""
    stopped, least = curves.test["loss"][stops, np.arange(len(stops))], curves.test["loss"].min(axis=0)
    end = curves.test["loss"][-1]
    return (  # over 20 seeds on digits: 0.002; 1.02 to 1.33; 0.00 to 0.01; 0.75 to 1.00; 1.00 to 1.10
        Check(Text("training error at the end", "最後の訓練誤差"), curves.train["loss"][-1], high=0.02),
        typically("test error, end / least", "テスト誤差の比：最後／最小", end / least, 1.02, np.inf),
        Check(
            Text(
                "test accuracy, best less end: it does not show the rise",
                "テスト正解率の最高値と最後の差：上昇は現れない",
            ),
            curves.test["accuracy"].max(axis=0) - curves.test["accuracy"][-1],
            high=0.05,
        ),
        typically("test error, stopped early / end", "テスト誤差の比：早期終了／最後", stopped / end, 0, 0.98),
        Check(
            Text("test error, stopped early / least", "テスト誤差の比（早期終了／最小）"),
            stopped / least,
            high=1.25,
        ),
    )


def _retrained_checks(curves: Curves, stops: np.ndarray, retrained: list[float]) -> tuple[Check]:
    """Of the test errors after as many updates on all examples, those held out included."""
    text = Text(
        "test error, anew on all data for as many updates / stopped early",
        "全データで同じ回数だけ学習し直したときのテスト誤差／早期終了",
    )
    return (Check(text, retrained / curves.test["loss"][stops, np.arange(len(stops))], high=0.95),)


def _stopping_figure(curves: Curves, stops: np.ndarray) -> Any:
    figure, panels = figure_of(2)
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        for index, (part, label) in enumerate({"train": "training", "test": "test"}.items()):
            curve(axes, curves.steps + 1, getattr(curves, part)[name], index, label)
        axes.axvline(float(np.median(curves.steps[stops])) + 1, color=GREY, linestyle=":", linewidth=1, label="stopped")
        finish(axes, "updates + 1", "error" if name == "loss" else name, xscale="log")
    return figure


def _committees(
    data: Images, seeds: tuple[int, ...], bootstrap: bool = True, starts: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of committees of 1 to 10 members, (sizes, seeds), and the mean over single members, (seeds,).

    Args:
        data: what they learn from, and what they are measured on.
        seeds: one for each committee.
        bootstrap: whether each member has a bootstrap sample of the examples, instead of all of them.
        starts: whether each member has starting weights and an order of the examples of its own.
    """
    together, single = np.zeros((_COMMITTEE, len(seeds))), np.zeros(len(seeds))
    for column, seed in enumerate(seeds):
        counts = sampled_rows(len(data.x), _COMMITTEE, seed) if bootstrap else None
        members = [100 * (seed + 1) + member * starts for member in range(_COMMITTEE)]
        parts = (data.x, data.t), (data.test_x, data.test_t), members, np.array([0, 500])
        curves = train_together(_model(0.02), *parts, counts=counts)
        votes = _probabilities(curves.params, curves.state, data.test_x)
        single[column] = curves.test["accuracy"][-1].mean()
        for size in _SIZES:
            together[size - 1, column] = np.mean(votes[:size].mean(axis=0).argmax(axis=-1) == data.test_t)
    return together, single


def _bagging(plan: Plan) -> Result:
    data = images(plan).flat().few(plan.pick(100, 300), seed=0, tests=1000)
    found = {
        "samples and starts": _committees(data, plan.seeds),
        "samples alone": _committees(data, plan.seeds, starts=False),
        "starts alone": _committees(data, plan.seeds, bootstrap=False),
    }
    simulated, predicted = _simulated(plan)
    caption = Text(
        "Left: networks, each trained on a bootstrap sample, from starting weights of its own (dashed: the mean of "
        "these) or from the same; and networks that all have all examples. Right: errors of variance 1 and correlation "
        "0.3.",
        "左：ブートストラップ標本で学習したネットワーク（初期値は別々、または共通）と、全データで学習したネットワーク。"
        "破線は初期値が別々の場合の個々の平均。右：分散 1、相関 0.3 の誤差の平均。",
    )
    return Result(
        checks=(*_committee_checks(found), _variance_check(simulated[-1] / predicted[-1])),
        pictures=(Picture("bagging", caption, _bagging_figure(found, simulated, predicted)),),
        rows=tuple(
            {"way": name, "members": m, **{f"seed {s}": a for s, a in zip(plan.seeds, row, strict=True)}}
            for name, (together, _) in found.items()
            for m, row in zip(_SIZES.tolist(), together.tolist(), strict=True)
        ),
        setting=data.describe(),
    )


def _committee_checks(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> tuple[Check, ...]:
    """What the committees of all members gain over the mean of their members, and which of them is best."""
    gains = {name: together[-1] - single for name, (together, single) in found.items()}
    (drawn, _), (whole, _) = found["samples and starts"], found["starts alone"]
    gain = Text("accuracy, committee of 10 less the mean of its members", "正解率：10 個のアンサンブル − 個々の平均")
    # Over 20 seeds on digits (4 on MNIST): 0.07 to 0.11 (0.07 to 0.09); 0.04 to 0.08 (0.03 to 0.06); 0.03 to 0.06
    # (0.04 to 0.05); -0.01 to 0.02 (0.01 to 0.02).
    return (
        Check(gain, gains["samples and starts"], low=0.06),
        Check(
            Text("the same where all have the same starting weights", "同上、初期値が共通の場合"),
            gains["samples alone"],
            low=0.01,
        ),
        Check(
            Text("the same where all have all examples", "同上、全員が全データで学習する場合"),
            gains["starts alone"],
            low=0.01,
        ),
        check(
            "accuracy of the committee, all examples less bootstrap samples",
            "アンサンブルの正解率：全データ − ブートストラップ標本",
            whole[-1] - drawn[-1],
            *(-0.04, 0.06),
        ),
    )


def _variance_check(ratio: np.ndarray) -> Check:
    text = Text("simulated variance / formula, 10 members", "分散のシミュレーションと式の比（10 個）")
    return Check(text, ratio, 0.93, 1.07)


def _bagging_figure(
    found: dict[str, tuple[np.ndarray, np.ndarray]], simulated: np.ndarray, predicted: np.ndarray
) -> Any:
    figure, (left, right) = figure_of(2)
    for index, (name, (together, _)) in enumerate(found.items()):
        curve(left, _SIZES, together, index, name, marker="o", markersize=3)
    single = float(np.mean(found["samples and starts"][1]))
    left.axhline(single, color=GREY, linestyle="--", linewidth=1, label="members, mean")
    finish(left, "members", "test accuracy")
    curve(right, _SIZES, simulated, 0, "simulated", marker="o", markersize=3)
    right.plot(_SIZES, predicted, color=GREY, linestyle="--", label="$\\rho + (1 - \\rho) / M$")
    finish(right, "members", "variance of the mean", ylim=(0, 1.1))
    return figure


def _probabilities(params: Any, state: Any, x: np.ndarray) -> np.ndarray:
    """What each member says of each example: (members, examples, classes)."""
    logits = jax.vmap(lambda p, s: _NET.apply(Variables(p, s), x))(params, state)
    return np.asarray(SoftmaxCrossEntropy().probabilities(logits))


def _simulated(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """The variance of the mean of 1 to 10 errors with variance 1 and correlation 0.3, drawn and by the formula."""
    correlation = 0.3
    found = np.zeros((_COMMITTEE, len(plan.seeds)))
    for column, seed in enumerate(plan.seeds):
        rng = np.random.default_rng((seed, 54))
        common, own = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, _COMMITTEE))
        errors = correlation**0.5 * common + (1 - correlation) ** 0.5 * own
        found[:, column] = (np.cumsum(errors, axis=1) / _SIZES).var(axis=0)
    return found, correlation + (1 - correlation) / _SIZES


_SETTING = Text(
    "Six hidden layers of 100 ReLU units, gradient descent with batches of at most 100; 300 training images of MNIST.",
    "中間層 6 層 × 100 ユニット（ReLU）、ミニバッチ 100 以下の勾配降下法。訓練画像は MNIST で 300 枚。",
)

STUDIES = (
    Study(
        name="learning-curves",
        chapter=chapters.REGULARISATION,
        title=Text("Learning curves and early stopping", "学習曲線と早期終了"),
        claim=Text(
            "The training error goes to 0, while the test error falls and then rises. Whoever stops where the error "
            "on examples held out is least keeps the better network, and may then train one anew for as many updates "
            "on all examples.",
            "訓練誤差は 0 に向かうが、テスト誤差は下がったあと上昇する。検証データの誤差が最小のところで止めれば、よい"
            "ネットワークが残る。さらに検証データも含めた全データで同じ回数だけ学習し直すこともできる。",
        ),
        formula=(r"t^* = \mathrm{argmin}_t\ E_{\mathrm{validation}}(w^{(t)})",),
        setting=Text(
            f"{_SETTING.en} Of digits it is 50 images. Learning rate 0.01; half the test images decide when to stop.",
            f"{_SETTING.ja}digits では 50 枚。学習率 0.01。テスト画像の半分を検証に使う。",
        ),
        run=_curves,
        remark=Text(
            "The rise shows in the error, not in the accuracy: the network becomes surer of its mistakes, it hardly "
            "makes more of them.",
            "上昇は誤差に現れ、正解率にはほとんど現れない。誤りが増えるのではなく、誤りに対する確信が強まるためであ"
            "る。",
        ),
    ),
    Study(
        name="bagging",
        chapter=chapters.REGULARISATION,
        title=Text("Bagging", "バギング"),
        claim=Text(
            "A mean over networks that were trained on different bootstrap samples is better than one of them; it "
            "gains as far as their errors differ.",
            "異なるブートストラップ標本で学習したネットワークの平均は、個々のネットワークよりよい。効果は誤差の相関が"
            "小さいほど大きい。",
        ),
        formula=(
            r"\mathrm{Var}\left( \frac{1}{M} \sum_m \epsilon_m \right) = "
            r"\frac{1}{M} s^2 + \frac{2}{M^2} \sum_{l < m} s_{lm}",
        ),
        setting=Text(
            f"{_SETTING.en} Of digits it is 100 images. Learning rate 0.02, 500 updates; 10 members, their "
            "probabilities averaged.",
            f"{_SETTING.ja}digits で 100 枚。学習率 0.02、500 回更新。10 個の確率を平均する。",
        ),
        run=_bagging,
        remark=Text(
            "Starting weights make networks differ as well. Ten that all have all examples gain less over their mean, "
            "but each of them is better, and together they are as good or better: the bootstrap is for models that "
            "come out alike without it.",
            "ネットワークは初期値だけでも互いに異なる。全データで学習した 10 個のアンサンブルは、個々の平均からの向上は"
            "小さいが、個々の正解率が高く、全体としては同等以上である。ブートストラップが必要なのは、それなしでは同じ"
            "結果になるモデルである。",
        ),
    ),
)

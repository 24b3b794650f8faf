"""Activation function and initial weights: four combinations, from stuck to fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from denpa.gradients import trace
from denpa.init import He, LeCun, Normal
from denpa.lab.studies import chapters
from denpa.lab.studies.images import Images, images
from denpa.lab.studies.plots import curve, figure_of, finish, histograms
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.terms import in_japanese
from denpa.lab.studies.together import Curves, steps_of, table, train_together
from denpa.layers import Dense, ReLU, Sigmoid
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import SGD
from denpa.training import Model

__all__ = ["SETTINGS", "STUDIES", "trained"]

# Activation, initial weights; those that share an activation are trained in one program.
SETTINGS = {
    "sigmoid": {"sigmoid, N(0, 1)": Normal(1.0), "sigmoid, Gaussian": Normal(0.01), "sigmoid, Xavier": LeCun()},
    "ReLU": {"ReLU, Gaussian": Normal(0.01), "ReLU, He": He()},
}
_ACTIVATIONS = {"sigmoid": Sigmoid(), "ReLU": ReLU()}
_LAYERS = ("1", "2", "output")


def _net(activation: Any, initial: Any) -> Sequential:
    return Sequential(
        (
            *(Dense(40, kernel_init=initial), activation),
            *(Dense(20, kernel_init=initial), activation),
            Dense(10, kernel_init=initial),
        )
    )


def trained(plan: Plan, data: Images, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Curves]:
    """The curves of each setting: by activation and name the initial weights."""
    rate, last, seeds = plan.pick(0.3, 0.1), plan.pick(1500, 2000), len(plan.seeds)
    found: dict[str, Curves] = {}
    for kind, starts in settings.items():
        nets = [_net(_ACTIVATIONS[kind], initial) for initial in starts.values()]
        model = Model(nets[0], SoftmaxCrossEntropy(), SGD(rate), [Accuracy()])
        parts = (data.x, data.t), (data.test_x, data.test_t), plan.seeds * len(nets), steps_of(last, 30)
        curves = train_together(model, *parts, nets=[net for net in nets for _ in plan.seeds])
        found |= {name: curves.members(slice(k * seeds, (k + 1) * seeds)) for k, name in enumerate(starts)}
    return found


def _looked_into(data: Images) -> tuple[dict[str, list[np.ndarray]], dict[str, np.ndarray]]:
    """For each setting, before the first update: activations of both hidden layers, root mean square of each
    dE/dW.
    """
    activations, gradients = {}, {}
    for name, initial in (pair for starts in SETTINGS.values() for pair in starts.items()):
        net = _net(_ACTIVATIONS[name.split(",")[0]], initial)
        met = trace(
            net, SoftmaxCrossEntropy(), net.init(jax.random.key(0), data.x.shape[1:]), data.x[:500], data.t[:500]
        )
        hidden = [np.asarray(met[path].y) for path in met if path.endswith(("sigmoid", "relu"))]
        activations[name] = [hidden[0], hidden[1]]
        weights = [np.asarray(met.grads[path]["W"]) for path in met if path.endswith("dense")]
        gradients[name] = np.array([np.sqrt(np.mean(w**2)) for w in weights])
    return activations, gradients


def _run(plan: Plan) -> Result:
    data = images(plan).flat()
    curves, (activations, gradients) = trained(plan, data, SETTINGS), _looked_into(data)
    figure, panels = figure_of(2)
    for axes, part, label in zip(panels, ("train", "test"), ("training accuracy", "test accuracy"), strict=True):
        for index, (name, found) in enumerate(curves.items()):
            curve(axes, found.steps, getattr(found, part)["accuracy"], index, name)
        finish(axes, "updates", label, legend="beside" if part == "test" else "", ylim=(0, 1))
    sizes, (bars,) = figure_of(1, size=(6, 3.2))
    bars.set_yscale("log")
    for index, (name, found) in enumerate(gradients.items()):
        curve(bars, range(3), found, index, name, marker="o", markersize=4)
    finish(bars, "layer", "root mean square of ∂E/∂W", legend="beside", xticks=range(3))
    bars.set_xticklabels(_LAYERS)
    seen = histograms(activations, ("layer 1", "layer 2"), "activation", np.linspace(0, 1.2, 49))
    return Result(
        checks=_checks(plan, curves, gradients),
        pictures=(
            Picture(
                "accuracy",
                Text(
                    "Mean over the seeds; bands from the least to the largest.", "シードの平均。帯は最小から最大まで。"
                ),
                figure,
            ),
            Picture(
                "activations",
                Text(
                    "Activations before the first update: with weights of standard deviation 0.01 all units of the "
                    "second layer say the same, with 1 they are saturated at 0 and 1. The last bar: all above 1.2.",
                    "学習前の出力。標準偏差 0.01 では第 2 層のユニットがすべて同じ値を出し、1 では 0 と 1 "
                    "に飽和する（二値化）。右端の棒は 1.2 以上。",
                ),
                seen,
            ),
            Picture("gradients", Text("Gradients before the first update.", "学習前の勾配の大きさ。"), sizes),
        ),
        rows=table(curves, plan),
        setting=data.describe(),
    )


def _checks(plan: Plan, curves: dict[str, Curves], gradients: dict[str, np.ndarray]) -> tuple[Check, ...]:
    """Bounds from 5 seeds; measured ranges in comments, digits (MNIST)."""
    literal, stuck, slow, late, fast = curves.values()
    early, end = plan.pick(300, 500), plan.pick(1500, 2000)
    first = gradients["sigmoid, Gaussian"][0] / gradients["sigmoid, Xavier"][0]

    def accuracy(name: str, step: int) -> Text:
        return Text(
            f"{name}: test accuracy after {step} updates", f"{in_japanese(name)}：{step} 回更新後のテスト正解率"
        )

    return (
        Check(accuracy("sigmoid, Gaussian", end), stuck.at(end), high=0.15),  # 0.10 (0.10 to 0.11)
        Check(  # 0.93 to 0.96 (0.74 to 0.76)
            accuracy("sigmoid, N(0, 1)", end), literal.at(end), low=plan.pick(0.85, 0.6), contradicts=True
        ),
        Check(accuracy("ReLU, Gaussian", early), late.at(early), high=0.3),  # 0.10 (0.11 to 0.21)
        Check(accuracy("ReLU, Gaussian", end), late.at(end), low=0.82),  # 0.95 to 0.96 (0.86 to 0.92)
        Check(accuracy("sigmoid, Xavier", early), slow.at(early), 0.4, 0.78),  # 0.57 to 0.67 (0.56 to 0.66)
        Check(accuracy("sigmoid, Xavier", end), slow.at(end), low=0.84),  # 0.94 to 0.96 (0.87 to 0.88)
        Check(accuracy("ReLU, He", 100), fast.at(100), low=0.75),  # 0.87 to 0.94 (0.81 to 0.86)
        Check(accuracy("ReLU, He", end), fast.at(end), low=0.92),  # 0.96 to 0.97 (0.94 to 0.96)
        Check(  # 0.25 and more (0.26 and more)
            Text(
                f"ReLU, He ahead of the others after {early} updates, by accuracy",
                f"{early} 回更新後、ReLU＋He が他を上回る正解率の差",
            ),
            fast.at(early) - np.maximum(np.maximum(stuck.at(early), slow.at(early)), late.at(early)),
            low=0.1,
        ),
        Check(  # 1e-5 to 1e-4
            Text(
                "gradient of the first layer before the first update, sigmoid: Gaussian / Xavier",
                "学習前の第 1 層の勾配の比（シグモイド、ガウス／Xavier）",
            ),
            (first,),
            high=0.01,
        ),
    )


STUDIES = (
    Study(
        name="activation-and-initialisation",
        chapter=chapters.START,
        title=Text("Activation function and initial weights", "活性化関数と重みの初期値"),
        claim=Text(
            "Sigmoid units with small Gaussian weights do not learn; with ReLU learning starts, but late; sigmoid "
            "with Xavier's weights learns slowly but surely; ReLU with He's weights learns fastest of the four.",
            "シグモイド＋ガウス分布の重みでは学習が進まない。ReLU にすると遅れて正解率が上がり始める。シグモイドでも "
            "Xavier の初期値なら遅いながら確実に学習し、ReLU＋He の初期値が四つの中で最も速い。",
        ),
        formula=(
            r"\mathrm{Gaussian:}\ w \sim N(0, 0.01^2) \qquad \mathrm{Xavier:}\ w \sim N(0, 1/n) \qquad "
            r"\mathrm{He:}\ w \sim N(0, 2/n)",
        ),
        setting=Text(
            "Two hidden layers of 40 and 20 units, softmax and cross-entropy, gradient descent with batches of 100; "
            "learning rate 0.3 in 1,500 updates on digits, 0.1 in 2,000 on MNIST; biases start at 0. n is the number "
            "of inputs of a unit.",
            "中間層 40、20 ユニット、ソフトマックス＋交差エントロピー、ミニバッチ 100 の勾配降下法。digits では学習率 "
            "0.3・1,500 回、MNIST では 0.1・2,000 回更新。バイアスの初期値は 0。n はユニットの入力数。",
        ),
        run=_run,
        remark=Text(
            "With weights of standard deviation 1, which 'standard normal' means literally, a sigmoid network does "
            "learn, for its weights differ from each other; what keeps it from learning is that they are small and "
            "nearly equal.",
            "標準偏差 1 の重み（文字どおりの標準正規分布）では、シグモイドのネットワークもある程度は学習する。学習が進"
            "まないのは重みが小さく、ユニットの出力がほぼ等しくなる場合である。",
        ),
        contradicts=True,
    ),
)

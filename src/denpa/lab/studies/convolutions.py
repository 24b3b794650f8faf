"""Convolutional networks: one convolution, and six."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.init import He, Normal
from denpa.lab.studies import chapters
from denpa.lab.studies.images import images
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.together import Curves, table, train_together
from denpa.layers import Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import Adam
from denpa.training import Model

__all__ = ["STUDIES"]


def _simple(plan: Plan) -> Sequential:
    start = Normal(plan.pick(0.1, 0.01))
    filters, size = plan.pick((16, 3), (30, 5))
    return Sequential(
        (
            *(Conv2d(filters, size, kernel_init=start), ReLU(), MaxPool2d(2), Flatten()),
            *(Dense(plan.pick(50, 100), kernel_init=start), ReLU(), Dense(10, kernel_init=start)),
        )
    )


def _dense(plan: Plan) -> Sequential:
    return Sequential((Flatten(), Dense(plan.pick(50, 100), kernel_init=He()), ReLU(), Dense(10)))


def _deep(plan: Plan) -> Sequential:
    layers: list[Any] = []
    for filters in plan.pick((8, 16), (16, 32, 64)):
        for _ in range(2):
            layers += [Conv2d(filters, 3, padding="same", kernel_init=He()), ReLU()]
        layers += [MaxPool2d(2)]
    layers += [Flatten(), Dense(50, kernel_init=He()), ReLU(), Dropout(0.5), Dense(10, kernel_init=He()), Dropout(0.5)]
    return Sequential(tuple(layers))


def _run(plan: Plan) -> Result:
    data = images(plan).few(5000, seed=0, tests=1000)
    last = plan.pick({"simple": 300, "deep": 300, "dense": 300}, {"simple": 1000, "deep": 100, "dense": 1000})
    nets = {"simple": _simple(plan), "deep": _deep(plan), "dense": _dense(plan)}
    labels = dict(zip(nets, ("one convolution", "deep", "no convolution"), strict=True))
    found: dict[str, Curves] = {}
    for name, net in nets.items():
        model = Model(net, SoftmaxCrossEntropy(), Adam(1e-3), [Accuracy()])
        steps = np.unique(np.linspace(0, last[name], 7).round().astype(int))
        found[name] = train_together(model, (data.x, data.t), (data.test_x, data.test_t), plan.seeds, steps)
    figure, (axes,) = figure_of(1, size=(6, 3.8))
    for index, (name, curves) in enumerate(found.items()):
        curve(axes, curves.steps, curves.test["accuracy"], index, labels[name])
    finish(axes, "updates", "test accuracy", ylim=(0, 1))
    return Result(
        checks=(  # over 5 seeds on digits: 0.93 to 0.94; 0.93 to 0.96
            Check(
                _accuracy("one convolution", "畳み込み 1 層", last["simple"]),
                found["simple"].at(last["simple"]),
                low=0.9,
            ),
            Check(
                _accuracy("deep", "深い CNN", last["deep"]), found["deep"].at(last["deep"]), low=plan.pick(0.85, 0.7)
            ),
        ),
        pictures=(Picture("accuracy", Text("Test accuracy.", "テスト正解率。"), figure),),
        rows=table({labels[name]: curves for name, curves in found.items()}, plan),
        setting=data.describe(),
    )


def _accuracy(name: str, japanese: str, step: int) -> Text:
    return Text(f"{name}: test accuracy after {step} updates", f"{japanese}：{step} 回更新後のテスト正解率")


STUDIES = (
    Study(
        name="convolution",
        chapter=chapters.CONVOLUTION,
        title=Text("A simple and a deep convolutional network", "単純な CNN と深い CNN"),
        claim=Text(
            "Networks with one convolution and with several classify images well; their accuracy rises steadily.",
            "畳み込み 1 層の CNN も深い CNN も画像をよく分類し、正解率は着実に上がる。",
        ),
        formula=(r"u_{ijk} = \sum_c \sum_p \sum_q z_{i+p,\ j+q,\ c}\ h_{pqck} + b_k",),
        setting=Text(
            "MNIST: 30 filters of 5 × 5, pooling 2 × 2, 100 units; deep: (two convolutions 3 × 3, pooling) three "
            "times with 16, 32, 64 filters, 50 units, dropout 0.5. Digits: 16 filters of 3 × 3, 50 units; deep: 8 and "
            "16 filters. Adam with learning rate 0.001, batches of 100.",
            "MNIST：5 × 5 のフィルタ 30 枚、2 × 2 のプーリング、100 ユニット。深い CNN は（3 × 3 の畳み込み 2 "
            "層＋プーリング）× 3、フィルタ 16・32・64 枚、50 ユニット、ドロップアウト 0.5。digits：3 × 3 のフィルタ "
            "16 枚、50 ユニット、深い方は 8・16 枚。Adam、学習率 0.001、ミニバッチ 100。",
        ),
        run=_run,
        remark=Text(
            "On images as small as the digits a network without convolution learns as fast and becomes as good.",
            "digits のような小さな画像では、畳み込みなしのネットワークも同じくらい速く学習し、正解率も変わらない。",
        ),
    ),
)

"""Weights that were learned on some classes as the start for others."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from denpa.init import Glorot, He
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check
from denpa.lab.studies.images import Images, images
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, ReLU, Sigmoid
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import Adam
from denpa.training import Model

__all__ = ["STUDIES"]

_UNITS = {"sigmoid": (Sigmoid(), Glorot()), "ReLU": (ReLU(), He())}
_HIDDEN = ("0_dense/*", "2_dense/*", "4_dense/*", "6_dense/*")
_EACH, _BATCH, _EPOCHS = 20, 10, 12
_UPDATES = np.arange(_EPOCHS + 1) * 5 * _EACH // _BATCH


def _model(name: str, seed: int) -> Model:
    """Four hidden layers of such units and five classes."""
    unit, start = _UNITS[name]
    layers = [layer for _ in range(4) for layer in (Dense(50, kernel_init=start), unit)]
    net = Sequential((*layers, Dense(5, kernel_init=start)))
    return Model(net, SoftmaxCrossEntropy(), Adam(3e-3), [Accuracy()], seed=seed)


def _half(data: Images, first: int) -> tuple[Any, Any]:
    """Training and test images of five digits from the first on, with classes from 0 on."""
    pairs = (data.x, data.t), (data.test_x, data.test_t)
    own = [(x[t // 5 == first // 5], (t[t // 5 == first // 5] - first).astype(np.int32)) for x, t in pairs]
    return own[0], own[1]


def _few(pair: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many of each class."""
    x, t = pair
    rng = np.random.default_rng((seed, 69))
    rows = np.concatenate([rng.choice(np.flatnonzero(t == k), _EACH, replace=False) for k in range(5)])
    return x[rows], t[rows]


def _started(name: str, seed: int, pixels: int, source: Model | None) -> Model:
    """A model with weights; those of its hidden layers are the source's, if there is one."""
    model = _model(name, seed)
    model.build((pixels,))
    if source is not None:
        model.load_weights(source, only=_HIDDEN)
    return model


def _accuracies(model: Model, few: Any, test: Any) -> list[float]:
    """On the test images, before and after every epoch on a few."""
    start = model.evaluate(test)["accuracy"]
    history = model.fit(few, validation=test, epochs=_EPOCHS, batch_size=_BATCH, verbose=False)
    return [start, *history["validation_accuracy"]]


def _run(plan: Plan) -> Result:
    data = images(plan).flat().few(5000, seed=0, tests=1000)
    (known, _), (new, test) = _half(data, 0), _half(data, 5)
    found = {name: np.zeros((2, _EPOCHS + 1, len(plan.seeds))) for name in _UNITS}
    for name, values in found.items():
        for column, seed in enumerate(plan.seeds):
            source, few = _model(name, seed), _few(new, seed)
            source.fit(known, epochs=plan.pick(10, 5), batch_size=_BATCH, verbose=False)
            for row, taken in enumerate((None, source)):
                model = _started(name, seed + 1000, new[0].shape[1], taken)
                values[row, :, column] = _accuracies(model, few, test)
    caption = Text(
        "Test accuracy on 5 to 9, learned from 20 images of each.", "5〜9 のテスト正解率。各数字 20 枚から学習。"
    )
    starts = ("random", "transferred")
    return Result(
        checks=_checks(plan, found),
        pictures=(Picture("accuracy", caption, _drawn(found, starts)),),
        rows=tuple(
            {
                "units": name,
                "start": start,
                "updates": n,
                **{f"seed {s}": v for s, v in zip(plan.seeds, row, strict=True)},
            }
            for name, values in found.items()
            for start, rows in zip(starts, values, strict=True)
            for n, row in zip(_UPDATES.tolist(), rows.tolist(), strict=True)
        ),
        setting=data.describe(),
    )


def _checks(plan: Plan, found: dict[str, np.ndarray]) -> tuple[Check, ...]:
    # over 6 seeds on digits: 0.12 to 0.23, over 20 0.06 to 0.32; 0.20 to 0.35; 0.39 to 0.50; -0.10 to 0.00, over
    # 26 to 0.05; 0.93 to 0.96
    # over 5 seeds on MNIST: 0.07 to 0.11; 0.19 to 0.40; 0.50 to 0.58; -0.10 to -0.02; 0.78 to 0.84
    gains = {name: values[1] - values[0] for name, values in found.items()}
    last, least = _UPDATES[-1], plan.pick(0.05, 0.03)  # what is less is no gain
    mean = Text(f"mean gain in test accuracy, {last} updates", f"{last} 回更新までの平均のテスト正解率の差")
    return (
        check(
            f"sigmoid: {mean.en}",
            f"シグモイド：{mean.ja}",
            gains["sigmoid"][1:].mean(axis=0),
            least,
            inf,
        ),
        check(
            "sigmoid: test accuracy from a random start after 30 updates",
            "シグモイド：乱数の初期値、30 回更新後のテスト正解率",
            found["sigmoid"][0, 3],
            -inf,
            0.5,
        ),
        check("sigmoid: the same, transferred", "シグモイド：同じく、転移後", found["sigmoid"][1, 3], 0.3, inf),
        Check(
            Text(f"ReLU: {mean.en}", f"ReLU：{mean.ja}"),
            gains["ReLU"][1:].mean(axis=0),
            -0.15,
            plan.pick(0.08, least),
            contradicts=True,
        ),
        check(
            f"ReLU: test accuracy from a random start after {last} updates",
            f"ReLU：乱数の初期値、{last} 回更新後のテスト正解率",
            found["ReLU"][0, -1],
            plan.pick(0.8, 0.7),
            inf,
        ),
    )


def _drawn(found: dict[str, np.ndarray], starts: tuple[str, ...]) -> Any:
    figure, panels = figure_of(len(found), size=(4, 3.2))
    for axes, (name, values) in zip(panels, found.items(), strict=True):
        for index, (start, rows) in enumerate(zip(starts, values, strict=True)):
            curve(axes, _UPDATES, rows, index, start, marker="o", markersize=3)
        finish(axes, "updates", "test accuracy", name, "lower right", ylim=(0, 1))
    return figure


STUDIES = (
    Study(
        name="transfer-learning",
        chapter=chapters.CONVOLUTION,
        title=Text("Transfer of learned weights", "学習済みの重みの転移"),
        claim=Text(
            "Hidden layers learned on the digits 0 to 4 are a faster start for 5 to 9 than random weights, where a "
            "random start takes long to move at all.",
            "0〜4 で学習した中間層を使うと、乱数から始めたのではなかなか学習が進まない場合に、5〜9 "
            "の学習が速く始まる。",
        ),
        formula=(
            r"W^{(l)}_{\mathrm{new}}(0) = W^{(l)}_{\mathrm{learned}} \quad (l < L)",
            r"W^{(L)}_{\mathrm{new}}(0)\ \mathrm{random}",
        ),
        setting=Text(
            "Four hidden layers of 50 units: sigmoid with Glorot's weights, ReLU with He's; Adam with learning rate "
            "0.003, batches of 10. All images of 0 to 4, 10 epochs (5 on MNIST); then 20 images of each of 5 to 9.",
            "中間層 50 ユニット × 4：シグモイド（Glorot）と ReLU（He）。Adam（学習率 0.003）、ミニバッチ 10。0〜4 "
            "の全画像で 10 エポック（MNIST では 5）、その後 5〜9 の各 20 枚。",
        ),
        run=_run,
        remark=Text(
            "With ReLU and He's weights a random start is fast as it is, and on images as simple as these the "
            "transferred layers gain nothing; on MNIST they even hold the network back.",
            "ReLU と He の初期値では乱数から始めても学習は速く、これほど単純な画像では転移の効果はない。MNIST "
            "ではむしろ遅くなる。",
        ),
        contradicts=True,
    ),
)

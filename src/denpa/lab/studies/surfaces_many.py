"""Many minima, and the error of a trained network over planes through its parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from denpa.lab.figures import loss_surface_picture, paths_animation, paths_picture
from denpa.lab.landscapes import ManyMinima, trajectory
from denpa.lab.loss_surface import LossSurface, loss_surface, plane_through, principal_directions
from denpa.lab.studies import chapters
from denpa.lab.studies.images import Images, images
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.terms import in_japanese
from denpa.layers import Dense, ReLU
from denpa.losses import SoftmaxCrossEntropy
from denpa.networks import Sequential
from denpa.optim import SGD, Momentum, schedules
from denpa.training import Model

__all__ = ["STUDIES"]

_STARTS, _STEPS = 20, 400
_NOISE = 5.0
_RUNNERS: dict[str, tuple[Any, float]] = {
    "sgd": (SGD(0.03), 0.0),
    "momentum": (Momentum(0.03, 0.9), 0.0),
    "noisy sgd": (SGD(schedules.LinearDecay(0.05, 0.001, _STEPS)), _NOISE),
}


class _Ends(NamedTuple):
    """E where the paths of a seed end, and whether that is in the basin that they began in: (starts,) each."""

    errors: np.ndarray
    stayed: np.ndarray


def _ends(surface: ManyMinima, seeds: tuple[int, ...]) -> dict[str, list[_Ends]]:
    """For each method what became of its paths, by seed."""
    ends: dict[str, list[_Ends]] = {name: [] for name in _RUNNERS}
    line = np.linspace(-4, 4, 100_001)
    uphill = np.asarray(surface.gradient(line)) > 0
    ridges = line[1:][uphill[:-1] & ~uphill[1:]]  # the same along both axes, for E is a sum
    for seed in seeds:
        rng = np.random.default_rng(seed)
        starts, noise_seeds = rng.uniform(-3, 3, (_STARTS, 2)), rng.integers(2**31, size=_STARTS)
        for name, (optimizer, noise) in _RUNNERS.items():
            each = [
                trajectory(surface, optimizer, at, _STEPS, noise=noise, seed=int(s))[-1]
                for at, s in zip(starts, noise_seeds, strict=True)
            ]
            stayed = np.searchsorted(ridges, starts) == np.searchsorted(ridges, np.stack(each))
            ends[name].append(_Ends(np.asarray(surface.value(np.stack(each))), stayed.all(axis=1)))
    return ends


def _many(plan: Plan) -> Result:
    surface = ManyMinima()
    ends = _ends(surface, plan.seeds)
    drawn = {
        name: trajectory(surface, optimizer, steps=_STEPS, noise=noise) for name, (optimizer, noise) in _RUNNERS.items()
    }
    picture = Picture(
        "paths",
        Text("Three paths from one start, and E over the steps.", "同じ出発点からの三つの軌跡と E の変化。"),
        paths_picture(surface, drawn),
        paths_animation(surface, drawn),
    )
    rows = [
        {"optimiser": name, "seed": seed, "start": start, "error": error, "same basin": bool(stayed)}
        for name, found in ends.items()
        for seed, of in zip(plan.seeds, found, strict=True)
        for start, (error, stayed) in enumerate(zip(*of, strict=True))
    ]
    return Result(_many_checks(ends), (picture,), tuple(rows))


def _many_checks(ends: dict[str, list[_Ends]]) -> tuple[Check, ...]:
    mean = {name: np.mean([of.errors for of in found], axis=1) for name, found in ends.items()}
    stayed = {name: np.mean([of.stayed for of in found], axis=1) for name, found in ends.items()}

    def level(name: str) -> Text:
        return Text(f"{name}: mean E at the end", f"{in_japanese(name)}：終点の E の平均")

    def share(name: str) -> Text:
        return Text(
            f"{name}: share that ends in the basin of its start", f"{in_japanese(name)}：出発点の谷で終わる割合"
        )

    return (  # over 5 seeds
        Check(share("gradient descent"), stayed["sgd"], 1, 1),
        Check(share("momentum"), stayed["momentum"], high=0.8),  # 0.35 to 0.55
        Check(level("gradient descent"), mean["sgd"], low=1.5),  # 2.1 to 3.0
        Check(level("momentum"), mean["momentum"], high=2.7),  # 1.5 to 2.3
        Check(
            Text("mean E at the end, gradient descent − momentum", "終点の E の平均の差（勾配降下法 − モーメンタム）"),
            mean["sgd"] - mean["momentum"],
            low=0.2,
        ),
        Check(level("with noise that fades away"), mean["noisy sgd"], high=1.0),  # 0.28 to 0.48
    )


def _network(data: Images, seed: int, way: list[Any] | None = None) -> Model:
    net = Sequential((Dense(32), ReLU(), Dense(10)))
    model = Model(net, SoftmaxCrossEntropy(), SGD(0.1), seed=seed, in_shape=data.x.shape[1:])
    keep = [] if way is None else [lambda training: way.append(training.model.variables.params)]
    if way is not None:
        way.append(model.variables.params)
    model.fit((data.x, data.t), epochs=15, callbacks=keep, verbose=False)
    return model


class _View(NamedTuple):
    """Three networks, the way of training of the first, E around it, and E on the plane through all three."""

    runs: list[Model]
    way: list[Any]
    around: LossSurface
    between: LossSurface
    errors: list[float]  # of the first two networks


def _view(data: Images, seed: int, size: int) -> _View:
    whole, way = (data.x, data.t), []
    runs = [_network(data, 3 * seed, way), *(_network(data, 3 * seed + k) for k in (1, 2))]
    around = loss_surface(runs[0], whole, span=1.0, resolution=size, seed=seed)
    plane = plane_through(*(run.variables.params for run in runs))
    between = loss_surface(runs[0], whole, plane, span=(-0.5, 1.5), resolution=size)
    return _View(runs, way, around, between, [run.evaluate(whole)["loss"] for run in runs[:2]])


def _rise(around: LossSurface) -> float:
    """The least E on the edge of the plane, as a multiple of that in its middle."""
    size = len(around.a)
    edge = np.concatenate([around.errors[[0, -1]].ravel(), around.errors[:, [0, -1]].ravel()])
    return edge.min() / around.errors[size // 2, size // 2]


def _ridge(view: _View) -> float:
    """E half-way between the first two networks, at a = 1/2 and b = 0, as a multiple of the larger of theirs."""
    size = len(view.between.a)
    return view.between.errors[size // 4, size // 2] / max(view.errors)


def _planes(plan: Plan) -> Result:
    data, size = images(plan).flat().few(plan.pick(1000, 5000), 0), plan.pick(21, 41)
    views = [_view(data, seed, size) for seed in plan.seeds]
    first, (directions, _) = views[0], principal_directions(views[0].way)
    along = loss_surface(first.runs[0], (data.x, data.t), directions, span=1.3, resolution=size)
    rows = [
        {"plane": name, "a": a, "b": b, "error": float(surface.errors[row, column])}
        for name, surface in (("random", first.around), ("three runs", first.between), ("way", along))
        for row, b in enumerate(surface.b)
        for column, a in enumerate(surface.a)
    ]
    pictures = _planes_drawn(first.around, first.between, along, first.runs, first.way)
    return Result(_planes_checks(views), tuple(pictures), tuple(rows), data.describe())


def _planes_checks(views: list[_View]) -> tuple[Check, ...]:
    return (
        Check(
            Text(
                "random directions: least E on the edge / E of the network",
                "乱数方向：縁での最小の E と学習後の E の比",
            ),
            [_rise(view.around) for view in views],
            low=3,
        ),
        Check(
            Text(
                "two runs: E half-way between their parameters / the larger E of the two",
                "二つの学習結果：中点での E と両端の E の大きい方の比",
            ),
            [_ridge(view) for view in views],
            low=2,
        ),
        Check(
            Text("share of the way of training in two directions", "学習の経路のうち二方向で表せる割合"),
            [sum(principal_directions(view.way)[1]) for view in views],
            low=0.9,
        ),
    )


def _planes_drawn(
    around: LossSurface, between: LossSurface, along: LossSurface, runs: list[Model], way: list[Any]
) -> list[Picture]:
    marks = {f"run {index + 1}": between.project(run.variables.params) for index, run in enumerate(runs)}
    points = [along.project(params) for params in way]
    figures = {
        "random": loss_surface_picture(around),
        "runs": loss_surface_picture(between, marks=marks),
        "way": loss_surface_picture(along, way=points, marks={}, labels=("1st direction", "2nd direction")),
    }
    captions = {
        "random": Text(
            "Around the trained network, along two random directions as large as its filters.",
            "学習後のネットワークの周り。方向は乱数で、フィルタごとに重みと同じ大きさにそろえてある。",
        ),
        "runs": Text(
            "The plane through three networks that differ in their seed.",
            "シードだけが異なる三つの学習結果を通る平面。",
        ),
        "way": Text(
            "The way of training, an epoch a point, on the plane that it moves in most.",
            "学習の経路（1 点が 1 エポック）と、経路が最も大きく動く平面。",
        ),
    }
    return [Picture(name, captions[name], figure) for name, figure in figures.items()]


STUDIES = (
    Study(
        name="many-minima",
        chapter=chapters.LANDSCAPES,
        title=Text("Many minima: the one at hand, or a good one", "局所的最適解の問題"),
        claim=Text(
            "Gradient descent ends in the minimum in whose basin it starts, good or bad. Momentum rolls over small "
            "ridges, and noise that is large at first and fades away leads to a good minimum, though not always to "
            "the best.",
            "勾配降下法は、良し悪しにかかわらず出発点のある谷の局所的最適解に落ち着く。モーメンタム法は低い峰を越え、初め"
            "は大きく次第に小さくなる雑音は、最良とは限らないが良い局所的最適解に導く。",
        ),
        formula=(r"E = \sum_i w_i^2 / 2 + (1 - \cos 2 \pi w_i) / 2",),
        setting=Text(
            "From 20 random starts between −3 and 3, 400 steps: gradient descent with η = 0.03; momentum, the same "
            "with μ = 0.9; gradient descent with noise of standard deviation 5 in the gradient and η falling from "
            "0.05 to 0.001.",
            "−3〜3 の乱数による 20 個の出発点から 400 回。勾配降下法は η = 0.03、モーメンタムは同じ η で μ = "
            "0.9、雑音つきの勾配降下法は勾配に標準偏差 5 の雑音を加え、η を 0.05 から 0.001 まで下げる。",
        ),
        run=_many,
    ),
    Study(
        name="loss-surface",
        chapter=chapters.LANDSCAPES,
        title=Text("The error surface of a trained network", "学習したネットワークの誤差曲面"),
        claim=Text(
            "Seen along random directions a trained network lies at the bottom of a bowl. Between two networks that "
            "were trained from other starts there is a ridge on the straight line. The way of training lies almost "
            "in a plane.",
            "乱数の方向に沿って見ると、学習後のネットワークは椀の底にある。初期値だけが異なる二つの学習結果を結ぶ線分"
            "の上には峰がある。学習の経路はほぼ一つの平面に収まる。",
        ),
        formula=(r"E(a, b) = E(\theta + a\,d_1 + b\,d_2)",),
        setting=Text(
            "One hidden layer of 32 ReLU units, softmax and cross-entropy, gradient descent with η = 0.1 and batches "
            "of 32, 15 epochs; E on the training images.",
            "中間層は ReLU 32 ユニット、ソフトマックス＋交差エントロピー、勾配降下法（η = 0.1、ミニバッチ 32）、15 "
            "エポック。E は訓練画像での値。",
        ),
        run=_planes,
        remark=Text(
            "A plane is only a glimpse: in a space of thousands of directions two networks with a ridge between them "
            "on the straight line can mostly be joined by a bent path without one. And a random walk, too, keeps to a "
            "plane for about three quarters of its way.",
            "平面はごく一部の眺めにすぎない。直線上に峰があっても、曲がった道でなら峰を通らずに二つの学習結果を結べる"
            "ことが多い。また、ランダムウォークの経路でさえ約 4 分の 3 は一つの平面に収まる。",
        ),
    ),
)

"""Two ways to a linear boundary: densities and Bayes' rule, or the odds at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from denpa import classical
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, GREY, LINES, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text

__all__ = ["STUDIES"]

_SIZES, _REPETITIONS = (200, 2000, 10_000), (50, 10, 10)
_MEANS = np.array([[-1.3, -0.9], [1.3, 0.9]])
_SHARED, _OTHER = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([[0.8, -0.6], [-0.6, 4.0]])


class _Boundaries(NamedTuple):
    """w x + b = 0 as (w, b) / |w|, (repetitions, 3): of the generative and of the discriminative classifier."""

    generative: np.ndarray
    discriminative: np.ndarray

    @property
    def apart(self) -> float:
        """The mean distance of the two."""
        return float(np.linalg.norm(self.generative - self.discriminative, axis=1).mean())


def _unit(w: Any, b: Any) -> np.ndarray:
    return np.append(w, b) / np.linalg.norm(w)


def _draw(size: int, covariances: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> tuple[Any, Any]:
    """Examples of both classes, equally many."""
    halves = [rng.multivariate_normal(*pair, size // 2) for pair in zip(_MEANS, covariances, strict=True)]
    return np.concatenate(halves), np.repeat([0, 1], size // 2)


def _boundaries(size: int, repetitions: int, covariances: tuple[np.ndarray, np.ndarray], seed: int) -> _Boundaries:
    rng, found = np.random.default_rng((seed, size)), []
    for _ in range(repetitions):
        x, t = _draw(size, covariances, rng)
        W, b = classical.linear_discriminant(x, t).linear()
        model = classical.logistic_regression(x, t)
        found.append((_unit(W[:, 1] - W[:, 0], b[1] - b[0]), _unit(np.ravel(model.W), model.b)))
    return _Boundaries(*np.swapaxes(found, 0, 1))


def _classifiers(plan: Plan) -> Result:
    kinds = {"same covariance": (_SHARED, _SHARED), "different covariances": (_SHARED, _OTHER)}
    found = {
        name: [
            [_boundaries(size, times, covariances, seed) for seed in plan.seeds]
            for size, times in zip(_SIZES, _REPETITIONS, strict=True)
        ]
        for name, covariances in kinds.items()
    }
    apart = {name: np.array([[pair.apart for pair in row] for row in rows]) for name, rows in found.items()}
    caption = Text(
        "Left: 200 examples and the boundaries learned from them. Right: the distance between the two boundaries, as "
        "(w, b)/‖w‖, over the number of examples; dotted: proportional to the root of 1/N.",
        "左：200 例と、そこから学習した境界。右：二つの境界の間の距離（(w, b)/‖w‖）とデータ数。点線は 1/√N に比例。",
    )
    return Result(
        checks=_classifier_checks(plan, found["same covariance"], apart),
        pictures=(Picture("boundaries", caption, _classifiers_drawn(plan.seeds[0], apart)),),
        rows=tuple(
            {
                "covariances": name,
                "examples": size,
                **{f"seed {s}": float(a) for s, a in zip(plan.seeds, row, strict=True)},
            }
            for name, values in apart.items()
            for size, row in zip(_SIZES, values, strict=True)
        ),
    )


def _true() -> np.ndarray:
    """The best boundary for the same covariance: w = S^-1 (m1 - m0), through the middle of the means."""
    w = np.linalg.solve(_SHARED, _MEANS[1] - _MEANS[0])
    return _unit(w, -w @ _MEANS.mean(axis=0))


def _classifier_checks(plan: Plan, same: list[list[_Boundaries]], apart: dict[str, np.ndarray]) -> tuple[Check, ...]:
    def off(boundaries: np.ndarray) -> float:
        return float(np.linalg.norm(boundaries - _true(), axis=1).mean())

    x, t = _draw(200, (_SHARED, _SHARED), np.random.default_rng((plan.seeds[0], 200)))
    model = classical.linear_discriminant(x, t)
    W, b = model.linear()
    odds = np.diff(model.log_joint(x), axis=1)[:, 0]
    return (
        Check(
            Text(
                "generative: log-odds less the linear function, largest", "生成モデル：対数オッズと 1 次式の差の最大値"
            ),
            np.abs(odds - (x @ (W[:, 1] - W[:, 0]) + b[1] - b[0])).max(),
            high=1e-10,
        ),
        Check(_distance("same covariance", "共分散が等しい"), apart["same covariance"][-1], high=0.03),
        Check(
            Text("same covariance: distance, 200 / 10,000 examples", "共分散が等しい：距離の比（200 例／10,000 例）"),
            apart["same covariance"][0] / apart["same covariance"][-1],
            4,
            15,
        ),
        Check(
            Text(
                "distance from the best boundary, 200 examples: discriminative / generative",
                "最良の境界からの距離の比、200 例（識別モデル／生成モデル）",
            ),
            [off(pair.discriminative) / off(pair.generative) for pair in same[0]],
            low=1.0,
        ),
        Check(
            _distance("different covariances", "共分散が異なる"),
            apart["different covariances"][-1],
            low=0.12,
        ),
    )


def _distance(name: str, japanese: str) -> Text:
    return Text(f"{name}: distance, {_SIZES[-1]:,} examples", f"{japanese}：距離（{_SIZES[-1]:,} 例）")


def _classifiers_drawn(seed: int, apart: dict[str, np.ndarray]) -> Any:
    figure, (left, right) = figure_of(2)
    x, t = _draw(200, (_SHARED, _SHARED), np.random.default_rng((seed, 200)))
    for label in (0, 1):
        left.plot(*x[t == label].T, "o^"[label], color=(COLOURS[5], COLOURS[4])[label], markersize=3)
    W, b = classical.linear_discriminant(x, t).linear()
    model = classical.logistic_regression(x, t)
    lines = {
        "generative": _unit(W[:, 1] - W[:, 0], b[1] - b[0]),
        "discriminative": _unit(np.ravel(model.W), model.b),
        "best": _true(),
    }
    ends = np.array([-4.0, 4.0])
    for index, (name, (first, second, offset)) in enumerate(lines.items()):
        style = {"color": (*COLOURS[:2], COLOURS[-1])[index], "linestyle": LINES[(0, 1, 3)[index]]}
        left.plot(ends, -(first * ends + offset) / second, label=name, linewidth=1.8, **style)
    finish(left, "$x_1$", "$x_2$", legend="upper left", xlim=ends, ylim=ends)
    right.set_yscale("log")
    for index, (name, values) in enumerate(apart.items()):
        curve(right, _SIZES, values, index, name, marker="o", markersize=4)
    first = apart["same covariance"][0].mean()
    right.plot(_SIZES, first * (np.array(_SIZES) / _SIZES[0]) ** -0.5, color=GREY, linestyle=":")
    finish(right, "examples", "distance of the boundaries", xscale="log")
    return figure


STUDIES = (
    Study(
        name="generative-or-discriminative",
        chapter=chapters.STATISTICS,
        title=Text("Generative and discriminative classifiers", "生成モデルと識別モデル"),
        claim=Text(
            "For classes that are Gaussian with the same covariance, Bayes' rule on estimated densities and logistic "
            "regression learn the same boundary in the limit of many examples.",
            "各クラスが共分散の等しい正規分布に従うとき、密度を推定してベイズの定理を使う生成モデルと、ロジスティック"
            "回帰（識別モデル）は、データを増やすと同じ境界に近づく。",
        ),
        formula=(r"\log \frac{P(C_1|x)}{P(C_0|x)} = w^T x + b, \quad w = \Sigma^{-1} (\mu_1 - \mu_0)",),
        setting=Text(
            "Two classes in the plane, equally many examples of each: 200, 2,000, 10,000 in all, means of 50, 10 and "
            "10 repetitions.",
            "平面上の 2 クラス（同数）。全部で 200、2,000、10,000 例。順に 50、10、10 回の平均。",
        ),
        run=_classifiers,
        remark=Text(
            "Where the classes have different covariances, and the generative classifier assumes one, the boundaries "
            "stay apart however many the examples. Where the assumption is right, it needs fewer.",
            "共分散が異なるのに等しいと仮定した生成モデルでは、データを増やしても二つの境界は一致しない。仮定が正しけ"
            "れば、生成モデルのほうが少ないデータで済む。",
        ),
    ),
)

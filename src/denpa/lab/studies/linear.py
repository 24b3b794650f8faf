"""Linear models: polynomials that follow the noise, and what a penalty on the weights does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from denpa import classical
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.plots import COLOURS, GREY, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text

__all__ = ["STUDIES"]

_NOISE, _POINTS, _DEGREES, _RIDGE = 0.2, 10, tuple(range(10)), 1e-3
_FEATURES, _RELEVANT, _EXAMPLES = 10, 3, 60
_STRENGTHS = np.geomspace(1e-3, 3, 25)
_RISE = Text("training error, largest rise from a degree to the next", "次数を 1 上げたときの訓練誤差の増加の最大")


def _noisy(points: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.uniform(size=points) if points > _POINTS else np.linspace(0, 1, points)
    return x, np.sin(2 * np.pi * x) + _NOISE * rng.normal(size=points)


def _fitted(x: np.ndarray, t: np.ndarray, degree: int, strength: float = 0.0) -> Any:
    """A function of x: the polynomial of least squared error, in powers of x, and its largest weight."""
    powers, options = np.vander(x, degree + 1, increasing=True), {"intercept": False}
    if strength:
        fit = classical.ridge(powers, t, strength, **options)
    else:
        fit = classical.linear_regression(powers, t, **options)
    return lambda x: fit.predict(np.vander(np.asarray(x), degree + 1, increasing=True)), float(np.abs(fit.W).max())


class _Fits(NamedTuple):
    """Errors and largest weights of every degree, (degrees, seeds); of degree 9 with ridge, (seeds,)."""

    train: np.ndarray
    test: np.ndarray
    largest: np.ndarray
    ridge_test: np.ndarray
    ridge_largest: np.ndarray


def _measured(seeds: tuple[int, ...]) -> _Fits:
    fits = _Fits(*np.zeros((3, len(_DEGREES), len(seeds))), *np.zeros((2, len(seeds))))
    for column, seed in enumerate(seeds):
        rng = np.random.default_rng((seed, 41))
        (x, t), (test_x, test_t) = _noisy(_POINTS, rng), _noisy(1000, rng)
        for degree in _DEGREES:
            f, fits.largest[degree, column] = _fitted(x, t, degree)
            fits.train[degree, column] = np.mean((f(x) - t) ** 2)
            fits.test[degree, column] = np.mean((f(test_x) - test_t) ** 2)
        f, fits.ridge_largest[column] = _fitted(x, t, _DEGREES[-1], _RIDGE)
        fits.ridge_test[column] = np.mean((f(test_x) - test_t) ** 2)
    return fits


def _polynomials(plan: Plan) -> Result:
    fits = _measured(plan.seeds)
    columns = {"training error": fits.train, "test error": fits.test, "largest weight": fits.largest}
    return Result(
        checks=_polynomial_checks(fits),
        pictures=(
            Picture(
                "curves",
                Text(
                    "Ten points, the curve that they come from, and the polynomials.",
                    "10 個の点、もとの曲線、当てはめた多項式。",
                ),
                _curves(plan.seeds[0]),
            ),
            Picture(
                "errors",
                Text(
                    "Over the degree; errors below 10⁻⁶ are drawn as 10⁻⁶.", "次数と誤差。10⁻⁶ 未満は 10⁻⁶ として描く。"
                ),
                _error_figure(fits),
            ),
        ),
        rows=tuple(
            {"degree": d, "seed": s, **{name: values[d, c] for name, values in columns.items()}}
            for d in _DEGREES
            for c, s in enumerate(plan.seeds)
        ),
    )


def _polynomial_checks(fits: _Fits) -> tuple[Check, ...]:
    return (  # ranges measured over 5 seeds in comments
        Check(_error("training", 9), fits.train[9], high=1e-6),  # 0
        Check(_error("training", 3), fits.train[3], 1e-3, 0.2),  # over 20 seeds 0.007 to 0.12
        Check(_RISE, np.diff(fits.train, axis=0).max(axis=0), high=1e-12),  # it falls every time
        Check(
            Text("test error, degree 9 / degree 3", "テスト誤差の比（9 次／3 次）"),
            fits.test[9] / fits.test[3],
            low=1.05,
        ),
        Check(Text("largest weight, degree 9", "9 次の最大の重み"), fits.largest[9], low=5e3),
        Check(  # 3.8 to 4.7
            Text("largest weight, degree 9 with ridge 0.001", "9 次＋リッジ 0.001 の最大の重み"),
            fits.ridge_largest,
            high=8,
        ),
        check(
            "test error with ridge / without, degree 9, means over the seeds",
            "テスト誤差のシード平均の比（リッジあり／なし、9 次）",
            fits.ridge_test.mean() / fits.test[9].mean(),
            *(0, 1),  # of single seeds 0.13 to 1.3
        ),
    )


def _error_figure(fits: _Fits) -> Any:
    figure, (axes,) = figure_of(1, size=(5.5, 3.6))
    axes.set_yscale("log")
    curve(axes, _DEGREES, np.maximum(fits.train, 1e-6), 0, "training", marker="o", markersize=3)
    curve(axes, _DEGREES, fits.test, 1, "test", marker="o", markersize=3)
    finish(axes, "degree", "mean squared error", xticks=_DEGREES)
    return figure


def _curves(seed: int) -> Any:
    x, t = _noisy(_POINTS, np.random.default_rng((seed, 41)))
    grid = np.linspace(0, 1, 300)
    shown = {"degree 1": (1, 0.0), "degree 3": (3, 0.0), "degree 9": (9, 0.0), "degree 9, ridge": (9, _RIDGE)}
    figure, panels = figure_of(len(shown), 4, (2.6, 2.4))
    for index, (axes, (name, (degree, strength))) in enumerate(zip(panels, shown.items(), strict=True)):
        axes.plot(grid, np.sin(2 * np.pi * grid), color=GREY, linestyle=":", linewidth=1)
        axes.plot(grid, _fitted(x, t, degree, strength)[0](grid), color=COLOURS[index])
        axes.plot(x, t, "o", color=COLOURS[-1], markersize=4)
        finish(axes, "x", "t" if index == 0 else "", name, legend="", ylim=(-1.8, 1.8))
    return figure


def _error(part: str, degree: int) -> Text:
    japanese = {"training": "訓練", "test": "テスト"}[part]
    return Text(f"{part} error, degree {degree}", f"{degree} 次の{japanese}誤差")


def _weights(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What lasso and ridge make of the same examples, at every strength: (strengths, features) each."""
    rng = np.random.default_rng((seed, 52))
    true = np.zeros(_FEATURES)
    true[:_RELEVANT] = (2.0, -1.5, 1.0)
    x = rng.normal(size=(_EXAMPLES, _FEATURES))
    t = x @ true + 0.5 * rng.normal(size=_EXAMPLES)
    lasso = np.stack([classical.lasso(x, t, strength).W for strength in _STRENGTHS])
    return lasso, np.stack([np.ravel(classical.ridge(x, t, strength).W) for strength in _STRENGTHS])


def _paths(plan: Plan) -> Result:
    lasso, ridge = (np.stack(found) for found in zip(*map(_weights, plan.seeds), strict=True))
    return Result(
        checks=_path_checks(lasso, ridge),
        pictures=(
            Picture(
                "paths",
                Text(
                    "Weights over the strength of the penalty; coloured: the three that matter.",
                    "正則化の強さと重み。色つきは関係のある三つ。",
                ),
                _path_figure(lasso[0], ridge[0]),
            ),
        ),
        rows=tuple(
            {"penalty": name, "strength": s, **{f"w{i + 1}": w for i, w in enumerate(row)}}
            for name, weights in zip(("L1", "L2"), (lasso[0], ridge[0]), strict=True)
            for s, row in zip(_STRENGTHS.tolist(), weights.tolist(), strict=True)
        ),
    )


def _path_checks(lasso: np.ndarray, ridge: np.ndarray) -> tuple[Check, ...]:
    """Of weights (seeds, strengths, features)."""
    last = np.where(lasso != 0, _STRENGTHS[:, None], 0).max(axis=1)  # at which lasso keeps a feature
    return (
        check(
            "lasso: strength at which the last irrelevant feature goes / the first relevant one",
            "LASSO：最後の無関係な特徴量が 0 になる強さ／最初の関連特徴量が 0 になる強さ",
            last[:, _RELEVANT:].max(axis=1) / last[:, :_RELEVANT].min(axis=1),
            *(0, 0.7),
        ),
        exactly(
            "lasso: weights left at the strongest penalty",
            "LASSO：最も強い正則化で残る重みの数",
            np.sum(lasso[:, -1] != 0, axis=1),
            0,
        ),
        exactly(
            "ridge: weights that are exactly 0, for any strength",
            "リッジ：ちょうど 0 になる重みの数",
            np.sum(ridge == 0, axis=(1, 2)),
            0,
        ),
        check(
            "ridge: norm of the weights, strongest / weakest penalty",
            "リッジ：重みのノルムの比（最強／最弱）",
            [np.linalg.norm(weights[-1]) / np.linalg.norm(weights[0]) for weights in ridge],
            *(0.1, 0.5),
        ),
    )


def _path_figure(lasso: np.ndarray, ridge: np.ndarray) -> Any:
    figure, panels = figure_of(2)
    for axes, weights, name in zip(panels, (lasso, ridge), ("L1: lasso", "L2: ridge"), strict=True):
        for feature in range(_FEATURES):
            colour, label = (COLOURS[feature], f"$w_{{{feature + 1}}}$") if feature < _RELEVANT else (GREY, None)
            axes.plot(_STRENGTHS, weights[:, feature], color=colour, label=label, linewidth=1.6 if label else 0.8)
        axes.axhline(0, color="black", linewidth=0.6)
        finish(axes, "strength of the penalty", "weight", name, xscale="log")
    return figure


STUDIES = (
    Study(
        name="polynomial",
        chapter=chapters.CLASSICAL,
        title=Text("Polynomials and noise", "多項式の過学習"),
        claim=Text(
            "The training error of a polynomial falls with its degree, to 0 where there are as many weights as "
            "points; the test error does not, and the weights explode. A small penalty keeps them small.",
            "次数を上げると訓練誤差は減り、重みの数がデータ数に等しくなると 0 "
            "になる。しかしテスト誤差は下がらず、重みは極端に大きくなる。小さな正則化で重みは抑えられる。",
        ),
        formula=(
            r"E(w) = \frac{1}{2N} \sum_n \left( \sum_m w_m x_n^m - t_n \right)^2 + \frac{\lambda}{2} \Vert w \Vert^2",
        ),
        setting=Text(
            "10 points of sin(2πx) on [0, 1] with noise N(0, 0.2²), 1,000 for the test; degrees 0 to 9; ridge with λ "
            "= 0.001.",
            "[0, 1] 上の sin(2πx) に雑音 N(0, 0.2²) を加えた 10 点、テスト 1,000 点。次数 0〜9。リッジの λ = 0.001。",
        ),
        run=_polynomials,
    ),
    Study(
        name="lasso-and-ridge",
        chapter=chapters.CLASSICAL,
        title=Text("The paths of lasso and ridge", "LASSO とリッジ回帰の経路"),
        claim=Text(
            "As its strength grows, an L1 penalty makes one weight after the other exactly 0, those first that do not "
            "matter; an L2 penalty shrinks all of them and makes none 0.",
            "L1 は強めるにつれて、関係の薄い重みから順にちょうど 0 にする。L2 はすべての重みを縮めるが、0 にはしない。",
        ),
        formula=(
            r"\mathrm{lasso:}\ E(w) + \lambda \sum_i |w_i|",
            r"\mathrm{ridge:}\ E(w) + \frac{\lambda}{2} \sum_i w_i^2",
        ),
        setting=Text(
            "60 examples of 10 features N(0, 1), of which 3 matter with weights 2, -1.5 and 1; noise N(0, 0.5²).",
            "N(0, 1) の特徴量 10 個、60 例。関係があるのは 3 個（重み 2、−1.5、1）。雑音 N(0, 0.5²)。",
        ),
        run=_paths,
    ),
)

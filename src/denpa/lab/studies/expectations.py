"""What least squares looks for, where the distribution is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from denpa import classical
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text

__all__ = ["STUDIES"]

_TABLE, _RIVALS, _DRAWN = (5, 7), 1000, 2000


class _Table(NamedTuple):
    """A joint distribution P (x, y) and the values of y; of each predictor what it says for every x."""

    P: np.ndarray
    y: np.ndarray
    predictors: dict[str, np.ndarray]

    def error(self, prediction: np.ndarray) -> float:
        """Expected squared error."""
        return classical.expected_squared_error(self.P, self.y, prediction)

    def absolute(self, name: str) -> float:
        """Expected absolute error of a predictor."""
        return float(np.sum(self.P * np.abs(self.predictors[name][:, None] - self.y)))


def _random_table(seed: int) -> _Table:
    rng = np.random.default_rng((seed, 33))
    P, y = rng.exponential(size=_TABLE) ** 2, np.sort(rng.uniform(-2, 2, _TABLE[1]))
    P /= P.sum()
    given, best = classical.conditional(P), classical.conditional_expectation(P, y)
    median = y[np.argmax(np.cumsum(given, axis=1) >= 0.5, axis=1)]
    predictors = {
        "conditional mean": best,
        "conditional median": median,
        "most probable": y[given.argmax(axis=1)],
        "overall mean": np.full(len(best), P.sum(axis=0) @ y),
    }
    return _Table(P, y, predictors)


def _conditional_mean(plan: Plan) -> Result:
    tables = [_random_table(seed) for seed in plan.seeds]
    errors = {name: np.array([t.error(t.predictors[name]) for t in tables]) for name in tables[0].predictors}
    caption = Text(
        "Left: a random distribution P(x, y), first seed, and what four predictors say. Right: their expected squared "
        "errors; dots are seeds.",
        "左：乱数で決めた分布 P(x, y)（最初のシード）と四つの予測。右：予測の二乗誤差の期待値（点は各シード）。",
    )
    return Result(
        checks=_mean_checks(plan.seeds, tables),
        pictures=(Picture("predictors", caption, _predictors_drawn(tables[0], errors)),),
        rows=tuple(
            {"predictor": name, **{f"seed {s}": float(e) for s, e in zip(plan.seeds, row, strict=True)}}
            for name, row in errors.items()
        ),
    )


def _rivalled(seed: int, table: _Table) -> tuple[float, float, float]:
    """By how much the best of all other predictors is worse; the deviations from the formula and of a regression."""
    rng, (mean, *others) = np.random.default_rng((seed, 330)), table.predictors.values()
    rivals = mean + 10.0 ** rng.uniform(-3, 0, (_RIVALS, 1)) * rng.normal(size=(_RIVALS, len(mean)))
    rivals = np.concatenate([rivals, others])
    found, best = np.array([table.error(rival) for rival in rivals]), table.error(mean)
    deviation = np.abs(found - best - (rivals - mean) ** 2 @ table.P.sum(axis=1)).max()
    return found.min() - best, deviation, _fitted_difference(rng, table)


def _mean_checks(seeds: tuple[int, ...], tables: list[_Table]) -> tuple[Check, ...]:
    gaps, deviations, fitted = zip(*(_rivalled(*pair) for pair in zip(seeds, tables, strict=True)), strict=True)
    return (
        Check(
            Text(
                f"least error of {_RIVALS:,} random predictors and the three others, less that of the conditional mean",
                f"乱数による予測 {_RIVALS:,} 個と他の三つの最小誤差 − 条件付き期待値の誤差",
            ),
            gaps,
            low=1e-9,
        ),
        Check(
            Text("its error less the mean variance of y given x", "条件付き期待値の誤差と条件付き分散の平均の差"),
            [abs(t.error(t.predictors["conditional mean"]) - classical.least_squared_error(t.P, t.y)) for t in tables],
            high=1e-12,
        ),
        Check(
            Text("deviation from the second formula, all predictors", "第 2 の公式からのずれ（全予測）"),
            deviations,
            high=1e-12,
        ),
        Check(
            Text(
                f"regression on {_DRAWN:,} draws: difference from the conditional mean of the draws",
                f"標本 {_DRAWN:,} 個の回帰：標本の条件付き期待値との差",
            ),
            fitted,
            high=1e-10,
        ),
        Check(
            Text("expected absolute error, conditional mean less median", "絶対誤差の期待値：条件付き期待値 − 中央値"),
            [table.absolute("conditional mean") - table.absolute("conditional median") for table in tables],
            low=0.01,
        ),
    )


def _fitted_difference(rng: np.random.Generator, table: _Table) -> float:
    """Least squares on examples drawn from P, x as one-hot rows, against the conditional mean of their table."""
    x, y = np.unravel_index(rng.choice(table.P.size, _DRAWN, p=table.P.ravel()), _TABLE)
    fitted = classical.linear_regression(np.eye(_TABLE[0])[x], table.y[y], intercept=False)
    drawn = classical.joint_table(x, y, _TABLE)
    return float(np.abs(np.ravel(fitted.W) - classical.conditional_expectation(drawn, table.y)).max())


def _predictors_drawn(table: _Table, errors: dict[str, np.ndarray]) -> Any:
    figure, (left, right) = figure_of(2)
    rows, columns = np.indices(_TABLE)
    areas = 1500 * table.P.ravel()
    left.scatter(rows.ravel(), table.y[columns.ravel()], s=areas, color="#bbbbbb", linewidths=0)
    for index, (name, values) in enumerate(table.predictors.items()):
        style = {"marker": "osD^"[index], "color": COLOURS[index], "linestyle": "none"}
        left.plot(np.arange(len(values)) + 0.12 * index - 0.18, values, markersize=6, markerfacecolor="none", **style)
        right.plot(np.full(len(errors[name]), index), errors[name], markersize=5, label=name, **style)
    most = float(max(values.max() for values in errors.values()))
    finish(left, "x", "y", legend="", xticks=range(_TABLE[0]))
    finish(right, "", "expected squared error", legend="upper left", xlim=(-0.5, 3.5), ylim=(0, 1.5 * most), xticks=[])
    return figure


STUDIES = (
    Study(
        name="conditional-mean",
        chapter=chapters.STATISTICS,
        title=Text("The best predictor is the conditional mean", "誤差の期待値を最小にする予測は条件付き期待値"),
        claim=Text(
            "Of all predictors the mean of y given x has the smallest expected squared error; any other has more by "
            "its mean squared distance from it.",
            "二乗誤差の期待値を最小にする予測は、x のもとでの y の条件付き期待値である。他の予測の誤差は、それとの二乗"
            "距離の平均だけ大きい。",
        ),
        formula=(
            r"\hat y^*(x) = \sum_y y\, P(y|x)",
            r"E[(\hat y(x) - y)^2] = E[(\hat y^*(x) - y)^2] + \sum_x P(x) (\hat y(x) - \hat y^*(x))^2",
        ),
        setting=Text(
            "A random table of 5 values of x and 7 of y; 1,000 predictors at random around the conditional mean, the "
            "median and the most probable y given x, the overall mean; 2,000 examples drawn from the table.",
            "x が 5 通り、y が 7 通りの乱数の同時分布。条件付き期待値のまわりの乱数による予測 1,000 "
            "個、条件付き中央値、最も確率の高い y、全体の平均。分布からの標本 2,000 個。",
        ),
        run=_conditional_mean,
        remark=Text(
            "The mean belongs to the squared error. The expected absolute error is smallest for the median of y given "
            "x.",
            "期待値が最良なのは二乗誤差の場合である。絶対誤差の期待値を最小にするのは条件付き中央値である。",
        ),
    ),
)

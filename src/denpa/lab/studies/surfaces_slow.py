"""Where gradient descent is slow: a narrow valley and a plateau."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.lab.landscapes import Plateau, Valley, contestants, trajectory
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check
from denpa.lab.studies.study import Check, Plan, Result, Study, Text
from denpa.lab.studies.surfaces import first_step, paths_from, scattered, shown
from denpa.lab.studies.terms import in_japanese
from denpa.optim import SGD, Momentum, Nesterov

__all__ = ["STUDIES"]


def _valley(plan: Plan) -> Result:
    surface = Valley()
    runners = {
        "sgd": SGD(0.079),
        "momentum": Momentum(0.079, 0.5, normalized=True),
        "nesterov": Nesterov(0.079, 0.5, normalized=True, lookahead=True),
        **{name: contestants(surface)[name] for name in ("adagrad", "rmsprop", "adadelta", "adam")},
    }
    paths = paths_from(surface, runners, scattered(plan, (8.0, 0.8), (12.0, 1.2)), 50)
    E = {name: np.asarray(surface.value(points[:, -1])) for name, points in paths.items()}
    bounces = {name: (np.diff(np.sign(points[..., 1])) != 0).sum(axis=1) for name, points in paths.items()}

    def crossings(name: str) -> Text:
        japanese = f"{in_japanese(name)}：50 回で谷底を横切る回数"
        return Text(f"{name}: how often the path crosses the floor, in 50 steps", japanese)

    return shown(
        surface,
        paths,
        (
            Check(crossings("gradient descent"), bounces["sgd"], low=49),
            Check(crossings("momentum"), bounces["momentum"], high=25),  # 19
            Check(  # over 8 seeds: 110 to 202
                Text("E after 50 steps, gradient descent / momentum", "50 回後の E の比（勾配降下法／モーメンタム）"),
                E["sgd"] / E["momentum"],
                low=50,
            ),
            Check(  # 70 to 129
                Text("E after 50 steps, gradient descent / Nesterov", "50 回後の E の比（勾配降下法／ネステロフ）"),
                E["sgd"] / E["nesterov"],
                low=30,
            ),
            *_from_one_point(surface, runners),
        ),
        50,
    )


def _from_one_point(surface: Valley, runners: dict[str, Any]) -> list[Check]:
    """E after 50 steps from (10, 1), where nothing is random; more momentum than is good, too."""
    names = {
        "gradient descent": ("勾配降下法", runners["sgd"], 1.01),
        "momentum": ("モーメンタム", runners["momentum"], 0.0069),
        "Nesterov": ("ネステロフ", runners["nesterov"], 0.0107),
        "momentum, μ = 0.9": ("モーメンタム（μ = 0.9）", runners["momentum"].replace(momentum=0.9), 0.39),
    }
    ends = {name: trajectory(surface, method, (10.0, 1.0), 50)[-1] for name, (_, method, _) in names.items()}
    return [
        check(
            f"{name}: E after 50 steps from (10, 1)",
            f"{japanese}：(10, 1) から 50 回後の E",
            float(np.asarray(surface.value(ends[name]))),
            0.98 * wanted,
            1.02 * wanted,
        )
        for name, (japanese, _, wanted) in names.items()
    ]


def _plateau(plan: Plan) -> Result:
    surface = Plateau()
    paths = paths_from(surface, contestants(surface), scattered(plan, (4.5, 1.0), (5.5, 1.0)), 400)
    left = {name: first_step(points, lambda w: np.asarray(surface.value(w)) < 0.1) for name, points in paths.items()}
    steps = Text("steps until E < 0.1", "E < 0.1 になるまでの更新回数")
    slope = float(np.asarray(surface.gradient(np.array([10.0, 0.0], np.float32)))[0])
    return shown(
        surface,
        paths,
        (
            Check(Text("slope at w₁ = 10", "w₁ = 10 での傾き"), (slope,), 4.5e-5, 4.6e-5),
            Check(Text(f"gradient descent: {steps.en}", f"勾配降下法：{steps.ja}"), left["sgd"], low=90),  # 118 to 254
            Check(  # 3.4 to 3.9
                Text(f"{steps.en}, gradient descent / momentum", f"{steps.ja}の比（勾配降下法／モーメンタム）"),
                left["sgd"] / left["momentum"],
                low=2.5,
            ),
            Check(Text(f"RMSprop: {steps.en}", f"RMSprop：{steps.ja}"), left["rmsprop"], high=45),  # 28 to 33
            Check(Text(f"Adam: {steps.en}", f"Adam：{steps.ja}"), left["adam"], high=40),  # 24 to 27
        ),
        150,
    )


STUDIES = (
    Study(
        name="valley",
        chapter=chapters.LANDSCAPES,
        title=Text("A valley: oscillation and momentum", "谷での振動とモーメンタム"),
        claim=Text(
            "In a narrow valley gradient descent bounces from wall to wall and gets on slowly along the floor. "
            "Momentum damps the bouncing, for what points to and fro cancels out, and adds up what points along it.",
            "深く狭い谷では勾配降下法は壁の間を往復し、谷底に沿ってはなかなか進まない。モーメンタム法では往復する成分"
            "が打ち消し合い、谷に沿う成分が積み重なるので、振動が抑えられる。",
        ),
        formula=(
            r"E = (w_1^2 + 25\,w_2^2) / 2",
            r"\Delta w^{(t)} = \mu\,\Delta w^{(t-1)} - (1 - \mu)\,\eta\,\nabla E(w^{(t)})",
        ),
        setting=Text(
            "50 steps from about (10, 1), at random within 20 %; gradient descent, momentum and Nesterov with η = "
            "0.079, just below 2/25, and μ = 0.5; the others with rates of their own.",
            "(10, 1) 付近（±20 % の乱数）から 50 回。勾配降下法・モーメンタム・ネステロフは η = 0.079（2/25 "
            "の直前）、μ = 0.5。他の手法は個別の学習率。",
        ),
        run=_valley,
        remark=Text(
            "More momentum is not better here: with μ = 0.9 and the same factor 1 − μ the path overshoots along the "
            "floor, and E is 0.4 after 50 steps instead of 0.007.",
            "慣性は大きいほどよいわけではない。同じ形で μ = 0.9 とすると谷底を行き過ぎ、50 回後の E は 0.007 でなく "
            "0.4 になる。",
        ),
    ),
    Study(
        name="plateau",
        chapter=chapters.LANDSCAPES,
        title=Text("A plateau: who leaves it first", "プラトーからの脱出"),
        claim=Text(
            "Where a sigmoid unit is saturated the error is at its largest and the gradient nearly nothing: gradient "
            "descent hardly moves. Momentum gathers the little there is; methods that divide the gradient by its own "
            "size walk on as if it were large.",
            "シグモイドが飽和した所では誤差が大きいのに勾配はほぼ 0 で、勾配降下法はほとんど進まない（プラトー）。モー"
            "メンタム法は小さな勾配を積み重ね、勾配をその大きさで割る手法は勾配が大きいときと同じように進む。",
        ),
        formula=(r"E = (\sigma(w_1)^2 + w_2^2) / 2", r"\partial E / \partial w_1 = \sigma^2 (1 - \sigma)"),
        setting=Text(
            "From (5, 1), w₁ at random within 0.5. Gradient descent and momentum (μ = 0.8) with η = 1, RMSprop 0.1, "
            "Adam 0.2.",
            "(5, 1) 付近（w₁ は ±0.5 の乱数）から。勾配降下法とモーメンタム（μ = 0.8）は η = 1、RMSprop は 0.1、Adam "
            "は 0.2。",
        ),
        run=_plateau,
    ),
)

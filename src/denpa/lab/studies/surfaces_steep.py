"""Where gradient descent is thrown or held: a cliff and a saddle point."""

from __future__ import annotations

import numpy as np

from denpa.lab.landscapes import Cliff, Saddle, contestants, trajectory
from denpa.lab.studies import chapters
from denpa.lab.studies.study import Check, Plan, Result, Study, Text
from denpa.lab.studies.surfaces import first_step, paths_from, scattered, shown
from denpa.optim import SGD

__all__ = ["STUDIES"]


def _cliff(plan: Plan) -> Result:
    surface = Cliff()
    paths = paths_from(surface, contestants(surface), scattered(plan, (1.001, 0.5), (1.01, 1.0)), 80)
    return shown(surface, paths, _cliff_checks(surface, paths), 80)


def _cliff_checks(surface: Cliff, paths: dict[str, np.ndarray]) -> tuple[Check, ...]:
    back = {name: first_step(points, lambda w: np.asarray(surface.value(w)) < 0.1) for name, points in paths.items()}
    thrown = {name: np.abs(points[..., 0]).max(axis=1) for name, points in paths.items()}
    first = {name: points[:, 0, 0] - points[:, 1, 0] for name, points in paths.items()}
    last = np.asarray(surface.value(paths["momentum"]))[:, -20:].min(axis=1)
    return (
        Check(Text("gradient descent: length of the first step", "勾配降下法：1 回目の更新幅"), first["sgd"], 99, 101),
        Check(Text("clipped: length of the first step", "勾配クリップ：1 回目の更新幅"), first["clipped-sgd"], 0, 0.11),
        Check(  # 53
            Text("gradient descent: steps until E < 0.1", "勾配降下法：E < 0.1 までの更新回数"), back["sgd"], low=40
        ),
        Check(  # 10 to 12
            Text("clipped: steps until E < 0.1", "勾配クリップ：E < 0.1 までの更新回数"),
            back["clipped-sgd"],
            high=20,
        ),
        Check(  # 5
            Text("momentum, clipped: steps until E < 0.1", "モーメンタム＋勾配クリップ：E < 0.1 までの更新回数"),
            back["clipped-momentum"],
            high=15,
        ),
        Check(
            Text("momentum: least E in the last 20 of 80 steps", "モーメンタム：最後の 20 回の最小の E"),
            last,
            low=10,
        ),
        Check(  # 1.01
            Text("Adam: largest distance from the lowest point", "Adam：最小点からの最大の距離"),
            thrown["adam"],
            high=2,
        ),
    )


def _saddle(plan: Plan) -> Result:
    surface, free = Saddle(), Saddle(0.0)
    paths = paths_from(surface, contestants(surface), scattered(plan, (2.5, 5e-4), (2.5, 2e-3)), 120)

    def away(points: np.ndarray) -> np.ndarray:
        return first_step(points, lambda w: np.abs(w[..., 1]) > 1)

    left = {name: away(points) for name, points in paths.items()}
    still = trajectory(free, SGD(0.1), (1.0, 0.0), 200)
    nearly = trajectory(free, SGD(0.1), (1.0, 1e-6), 200)
    kicked = np.stack([trajectory(surface, SGD(0.1), (2.5, 0.0), 250, noise=1e-3, seed=seed) for seed in plan.seeds])
    steps = Text("steps until |w₂| > 1", "|w₂| > 1 になるまでの更新回数")
    return shown(
        surface,
        paths,
        (
            Check(
                Text("on the ridge, w₂ = 0: |w₂| after 200 steps", "尾根 w₂ = 0 から 200 回後の |w₂|"),
                (still[-1, 1],),
                0,
                0,
            ),
            Check(Text(f"from w₂ = 10⁻⁶: {steps.en}", f"w₂ = 10⁻⁶ から：{steps.ja}"), away(nearly[None]), 144, 146),
            Check(
                Text(f"on the ridge, with noise: {steps.en}", f"尾根から、勾配に雑音：{steps.ja}"),
                away(kicked),
                high=200,
            ),  # 84 to 129
            Check(Text(f"gradient descent: {steps.en}", f"勾配降下法：{steps.ja}"), left["sgd"], low=60),  # 67 to 79
            Check(Text(f"momentum: {steps.en}", f"モーメンタム：{steps.ja}"), left["momentum"], high=45),  # 28 to 33
            Check(Text(f"RMSprop: {steps.en}", f"RMSprop：{steps.ja}"), left["rmsprop"], high=20),  # 9
            Check(Text(f"Adam: {steps.en}", f"Adam：{steps.ja}"), left["adam"], high=20),  # 11
        ),
        100,
    )


STUDIES = (
    Study(
        name="cliff",
        chapter=chapters.LANDSCAPES,
        title=Text("A cliff and gradient clipping", "絶壁と勾配クリップ"),
        claim=Text(
            "On a steep wall one step of gradient descent throws the weights far away. Clipping the gradient to a "
            "largest norm keeps its direction and survives the cliff.",
            "絶壁では勾配が非常に大きく、勾配降下法の 1 回の更新でパラメータが遠くへ飛ばされる。勾配のノルムに上限を設"
            "ける勾配クリップは、向きを変えずに更新幅だけを抑える。",
        ),
        formula=(
            r"E = f(w_1) + w_2^2 / 2,\quad f(w) = w^2 / 2\ (w \leq 1),\ \ 1/2 + 1000\,(w - 1)\ (w > 1)",
            r"\Delta w = -\eta\,(g_0 / \|\nabla E\|)\,\nabla E\quad (\|\nabla E\| \geq g_0)",
        ),
        setting=Text(
            "From a point just on the wall, 80 steps; η = 0.1, g₀ = 1; momentum with μ = 0.8.",
            "壁に乗った直後の点から 80 回。η = 0.1、g₀ = 1、モーメンタムは μ = 0.8。",
        ),
        run=_cliff,
        remark=Text(
            "Methods that divide the gradient by its size are not thrown either, but AdaGrad never forgets the wall: "
            "its later steps stay tiny. Momentum without clipping keeps the speed of its fall and returns to the wall "
            "again and again.",
            "勾配をその大きさで割る手法も飛ばされない。ただし AdaGrad は壁の勾配を忘れず、その後の更新幅が小さいままに"
            "なる。クリップのないモーメンタム法は落下の速度を保ち、何度も壁に戻る。",
        ),
    ),
    Study(
        name="saddle",
        chapter=chapters.LANDSCAPES,
        title=Text("A saddle point: who escapes", "鞍点からの脱出"),
        claim=Text(
            "At a saddle point the gradient vanishes though it is no minimum, and around it the error is flat: "
            "gradient descent from the ridge stays there for ever, from beside it for long. The noise of "
            "mini-batches, momentum and adaptive rates get away.",
            "鞍点は極小点でないのに勾配が 0 で、その周りは平坦である。尾根の上から出発した勾配降下法は鞍点に留まり、少"
            "しずれていても抜け出すのに時間がかかる。ミニバッチによる雑音、モーメンタム、学習率の適応は脱出を助ける。",
        ),
        formula=(r"E = (w_1^2 - w_2^2) / 2 + w_2^4 / 16", r"w_2^{(t)} \approx (1 + \eta)^t\,w_2^{(0)}"),
        setting=Text(
            "From w₁ = 2.5 and w₂ between 0.0005 and 0.002; gradient descent and momentum (μ = 0.8) with η = 0.1, "
            "RMSprop 0.05, Adam 0.1; the noise has standard deviation 0.001. On the ridge and from w₂ = 10⁻⁶: without "
            "the quartic term, from w₁ = 1.",
            "w₁ = 2.5、w₂ は 0.0005〜0.002 から。勾配降下法とモーメンタム（μ = 0.8）は η = 0.1、RMSprop は 0.05、Adam "
            "は 0.1。雑音の標準偏差は 0.001。尾根の上と w₂ = 10⁻⁶ の場合は 4 次の項なし、w₁ = 1 から。",
        ),
        run=_saddle,
    ),
)

"""The learning rate and the size of the batch."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.init import He
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.images import images
from denpa.lab.studies.plots import COLOURS, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.together import Curves, steps_of, table, train_together
from denpa.layers import Dense, ReLU
from denpa.losses import SoftmaxCrossEntropy
from denpa.metrics import Accuracy
from denpa.networks import Sequential
from denpa.optim import SGD, schedules
from denpa.training import Model

__all__ = ["STUDIES"]

_NET = Sequential((Dense(40, kernel_init=He()), ReLU(), Dense(20, kernel_init=He()), ReLU(), Dense(10)))


def _model(rate: float) -> Model:
    return Model(_NET, SoftmaxCrossEntropy(), SGD(rate), [Accuracy()])


def _rates(plan: Plan) -> Result:
    data, last = images(plan).flat().few(5000, seed=0, tests=1000), 300
    rates, seeds = (1e-4, 1e-2, 0.2, 10.0), len(plan.seeds)
    over = {"optimizer.learning_rate": [rate for rate in rates for _ in plan.seeds]}
    parts = (data.x, data.t), (data.test_x, data.test_t), plan.seeds * len(rates), steps_of(last, 20)
    all_curves = train_together(_model(0.1), *parts, over=over)
    found = {f"{r:g}": all_curves.members(slice(k * seeds, (k + 1) * seeds)) for k, r in enumerate(rates)}
    paths = {rate: _one_weight(rate) for rate in (0.001, 0.5, 1.7, 2.1)}
    caption = Text(
        "Left: a network. Right: a single weight w, where all can be computed by hand.",
        "左：ネットワーク。右：手で計算できる 1 変数の場合。",
    )
    return Result(
        checks=_rate_checks(found, paths, last),
        pictures=(Picture("rates", caption, _rates_drawn(found, paths)),),
        rows=table(found, plan),
        setting=data.describe(),
    )


def _one_weight(rate: float) -> np.ndarray:
    """w from 1 on, by 20 updates of gradient descent on E = w²/2, whose gradient is w."""
    method, w = SGD(rate), [np.float32(1.0)]
    state = method.init({"w": w[0]})
    for _ in range(20):
        update, state = method.update({"w": w[-1]}, state)
        w.append(np.float32(w[-1] + update["w"]))
    return np.array(w)


def _rates_drawn(found: dict[str, Curves], paths: dict[float, np.ndarray]) -> Any:
    figure, (left, right) = figure_of(2)
    for index, (name, curves) in enumerate(found.items()):
        curve(left, curves.steps, curves.test["accuracy"], index, f"$\\eta$ = {name}")
    finish(left, "updates", "test accuracy", legend="beside", ylim=(0, 1))
    for index, (rate, path) in enumerate(paths.items()):
        curve(right, range(21), path, index, f"$\\eta$ = {rate:g}")
    finish(right, "updates", "$w$", "$E = w^2 / 2$", legend="beside", ylim=(-3, 3))
    return figure


def _rate_checks(found: dict[str, Curves], paths: dict[float, np.ndarray], last: int) -> tuple[Check, ...]:
    tiny, small, good, huge = found.values()
    return (  # over 5 seeds on digits: 0.94 to 0.96; 0.38 to 0.58; 0.06 to 0.14; 0.10
        Check(_accuracy("0.2", last), good.at(last), low=0.85),
        Check(_accuracy("0.01", last), small.at(last), high=0.8),
        Check(_accuracy("0.0001", last), tiny.at(last), high=0.3),
        Check(_accuracy("10", last), np.nan_to_num(huge.at(last)), high=0.3),
        *_one_weight_checks(paths),
    )


def _one_weight_checks(paths: dict[float, np.ndarray]) -> tuple[Check, ...]:
    """The four ways of one weight: it hardly moves, comes nearer from one side, to and fro, moves away."""
    tiny, even, bouncing, away = paths.values()
    formula = [np.max(np.abs(path / (1 - rate) ** np.arange(21.0) - 1)) for rate, path in paths.items()]
    changes = [np.sum(np.diff(np.sign(path)) != 0) for path in (even, bouncing)]
    return (
        check("one dimension: w / (1 − η)ᵗ − 1, largest", "1 次元：w／(1 − η)ᵗ − 1 の最大値", max(formula), 0, 1e-4),
        check("one dimension: w after 20 steps, η = 0.001", "1 次元：20 回後の w（η = 0.001）", tiny[-1], 0.97, 1),
        exactly(
            "one dimension: sign changes in 20 steps, η = 0.5", "1 次元：20 回での符号の変化（η = 0.5）", changes[0], 0
        ),
        exactly("one dimension: the same, η = 1.7", "1 次元：同じく（η = 1.7）", changes[1], 20),
        check(
            "one dimension: least quotient of |w| and the one before, η = 2.1",
            "1 次元：直前の |w| との比の最小値（η = 2.1）",
            np.min(np.abs(away[1:] / away[:-1])),
            1.05,
            1.15,
        ),
    )


def _accuracy(rate: str, step: int) -> Text:
    return Text(
        f"learning rate {rate}: test accuracy after {step} updates", f"学習率 {rate}：{step} 回更新後のテスト正解率"
    )


def _batches(plan: Plan) -> Result:
    data, rate = images(plan).flat().few(1000, seed=0, tests=1000), 0.05
    n, epochs = len(data.x), plan.pick(4, 10)
    found, seen = {}, {}
    for name, size in {"online: 1": 1, "mini-batch: 50": 50, f"batch: {n}": n}.items():
        parts = (data.x, data.t), (data.test_x, data.test_t), plan.seeds, steps_of(epochs * n // size, 20)
        found[name] = train_together(_model(rate), *parts, batch_size=size)
        seen[name] = found[name].steps * size / n
    noise, predicted = _noise(plan)
    falling = SGD(schedules.InverseTime(1.0))  # 1, 1/2, 1/3, ...: w is the mean of all x so far
    decayed = [float(_online(falling, _examples(2000, seed))) for seed in plan.seeds]
    plateau = (noise / np.array(list(predicted.values()))[:, None]).mean(axis=0)
    caption = Text(
        "Left: as many examples for all. Right: E = (w - x)²/2 with one x at a time never comes to rest.",
        "左：同じ数の訓練データを見たときの比較。右：E = (w − x)²/2 のオンライン学習は静止しない。",
    )
    return Result(
        checks=_batch_checks(found, epochs, plateau, decayed),
        pictures=(Picture("batches", caption, _batches_drawn(found, seen, noise, predicted)),),
        rows=table(found, plan),
        setting=data.describe(),
    )


def _batches_drawn(
    found: dict[str, Curves], seen: dict[str, np.ndarray], noise: np.ndarray, predicted: dict[float, float]
) -> Any:
    """Left: accuracy over the epochs seen. Right: the variance by learning rate, measured and predicted."""
    figure, (left, right) = figure_of(2)
    for index, (name, curves) in enumerate(found.items()):
        curve(left, seen[name], curves.test["accuracy"], index, name)
    finish(left, "epochs", "test accuracy", legend="beside", ylim=(0, 1))
    rates = list(predicted)
    mean = noise.mean(axis=1)
    spread = mean - noise.min(axis=1), noise.max(axis=1) - mean
    right.errorbar(rates, mean, spread, fmt="o", markersize=4, capsize=3, color=COLOURS[0], label="measured")
    eta = np.linspace(0, max(rates))
    right.plot(eta, eta / (2 - eta), color="#555555", linestyle="--", label="$\\eta / (2 - \\eta)$")
    finish(right, "learning rate", "variance of w / variance of x")
    return figure


def _batch_checks(
    found: dict[str, Curves], epochs: int, plateau: np.ndarray, decayed: list[float]
) -> tuple[Check, ...]:
    online, mini, full = (curves.test["accuracy"][-1] for curves in found.values())
    epoch = Text(f"after {epochs} epochs", f"{epochs} エポック後")
    return (  # over 5 seeds on digits: 0.37 to 0.56; 0.79 to 0.87; 0.98 to 1.05; 0.0004 to 0.0005
        Check(
            Text(
                f"test accuracy, mini-batches less batch, {epoch.en}",
                f"テスト正解率の差（ミニバッチ − バッチ）、{epoch.ja}",
            ),
            mini - full,
            low=0.1,
        ),
        Check(
            Text(
                f"test accuracy, online less batch, {epoch.en}",
                f"テスト正解率の差（オンライン − バッチ）、{epoch.ja}",
            ),
            online - full,
            low=0.2,
        ),
        check("plateau of online learning, variance / formula", "オンライン学習の定常分散と式の比", plateau, 0.9, 1.1),
        Check(
            Text(
                "the same with a rate that decays as 1/t, after 2,000 steps",
                "学習率を 1/t で減らした場合（2,000 回後）",
            ),
            decayed,
            high=0.005,
        ),
    )


def _noise(plan: Plan) -> tuple[np.ndarray, dict[float, float]]:
    """The variance of w in online learning of a mean, by rate (rates, seeds), and the formula."""
    rates = (0.05, 0.1, 0.2, 0.5, 1.0)
    found = [[float(_online(SGD(rate), _examples(300, seed))) for seed in plan.seeds] for rate in rates]
    return np.array(found), {rate: rate / (2 - rate) for rate in rates}


@functools.partial(jax.jit, static_argnums=0)
def _online(method: Any, x: Any) -> Any:
    """The variance over weights of online learning with E = (w − x)²/2 from w = 0, x (updates, weights)."""

    def body(carry: Any, x: Any) -> Any:
        w, state = carry
        update, state = method.update({"w": w - x}, state)
        return (w + update["w"], state), None

    w = jnp.zeros(x.shape[1])
    return jnp.var(lax.scan(body, (w, method.init({"w": w})), x)[0][0])


def _examples(updates: int, seed: int) -> np.ndarray:
    """For each of 4,000 weights as many examples N(0, 1): of fewer, the variance itself would vary too much."""
    return np.random.default_rng((seed, updates)).standard_normal((updates, 4000), np.float32)


_SETTING = Text(
    "Hidden layers of 40 and 20 ReLU units, He's weights, gradient descent.",
    "中間層 40、20 ユニット（ReLU、He の初期値）、勾配降下法。",
)

STUDIES = (
    Study(
        name="learning-rate",
        chapter=chapters.OPTIMISERS,
        title=Text("The learning rate", "学習率"),
        claim=Text(
            "With a rate too small training hardly moves, with a rate too large it does not come to rest or diverges.",
            "学習率が小さすぎると学習はほとんど進まず、大きすぎると振動または発散する。",
        ),
        formula=(r"E = \frac{1}{2} w^2 \quad \Rightarrow \quad w^{(t)} = (1 - \eta)^t w^{(0)}",),
        setting=Text(f"{_SETTING.en} Batches of 100, 300 updates.", f"{_SETTING.ja}ミニバッチ 100、300 回更新。"),
        run=_rates,
    ),
    Study(
        name="batch-size",
        chapter=chapters.OPTIMISERS,
        title=Text("Batch, mini-batch and online learning", "バッチ学習・ミニバッチ学習・オンライン学習"),
        claim=Text(
            "From as many examples, smaller batches learn faster, for they update more often; but their noise keeps "
            "the weights from coming to rest unless the rate decays.",
            "同じ数のデータを見るなら、更新回数の多い小さなバッチのほうが速く学習する。ただし学習率を減らさない限り、"
            "雑音のため重みは静止しない。",
        ),
        formula=(
            r"E = \frac{1}{2} (w - x)^2,\ \mathrm{Var}(x) = s^2",
            r"\mathrm{Var}(w) \rightarrow \frac{\eta}{2 - \eta} s^2",
        ),
        setting=Text(f"{_SETTING.en} Learning rate 0.05.", f"{_SETTING.ja}学習率 0.05。"),
        run=_batches,
    ),
)

"""Real-time recurrent learning: the gradients of back-propagation through time, without going back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.layer import Variables
from denpa.gradients import backprop, rtrl
from denpa.gradients.rtrl import rtrl_start, rtrl_step
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check
from denpa.lab.studies.plots import COLOURS, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.losses import MeanSquaredError
from denpa.networks import LSTM, RNN, OutputFeedbackRNN

__all__ = ["STUDIES"]

_BATCH, _TIME, _INPUTS, _UNITS = 4, 12, 3, 4
_RATES = (0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
_LOSS = MeanSquaredError(reduction="sum")
_NETS = {
    "RNN": RNN(_UNITS, return_sequences=True),
    "with output feedback": OutputFeedbackRNN(_UNITS, _UNITS, "tanh", "sigmoid"),
    "LSTM": LSTM(_UNITS, return_sequences=True),
}


def _drawn(net: Any, seed: int) -> tuple[Variables, Any, Any]:
    """Weights, inputs and targets from N(0, 1), those of the weights times 0.7; float64."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), (_TIME, _INPUTS))).params
    params = jax.tree.map(lambda a: jnp.asarray(0.7 * rng.normal(size=a.shape)), shapes)
    x, t = rng.normal(size=(_BATCH, _TIME, _INPUTS)), rng.normal(size=(_BATCH, _TIME, _UNITS))
    return Variables(params, {}), jnp.asarray(x), jnp.asarray(t)


def _apart(ours: Any, theirs: Any) -> float:
    """The largest difference of two gradients, divided by the largest entry."""
    pairs = [
        (np.asarray(a), np.asarray(b)) for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    ]
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)


def _updated(net: Any, variables: Variables, x: Any, t: Any, rate: float) -> Any:
    """The sum of the gradients of all steps, with w ← w − η ∂Eᵗ/∂w behind each."""
    carried, params = rtrl_start(net, variables, _BATCH), variables.params
    total = tree.zeros_like(params)
    for step in range(_TIME):
        carried, met = rtrl_step(net, _LOSS, Variables(params, {}), carried, x[:, step], t[:, step])
        total = tree.add(total, met.grads)
        params = jax.tree.map(lambda p, g: p - rate * g, params, met.grads)
    return total


def _forward_in_time(plan: Plan) -> Result:
    apart: dict[str, list[float]] = {name: [] for name in _NETS}
    online = []
    with jax.enable_x64(True):
        for seed in plan.seeds:
            for name, net in _NETS.items():
                drawn = _drawn(net, seed)
                backward = backprop(net, _LOSS, *drawn).grads
                apart[name].append(_apart(rtrl(net, _LOSS, *drawn).grads, backward))
                if name == "with output feedback":
                    online.append([_apart(_updated(net, *drawn, rate), backward) for rate in _RATES])
    caption = Text(
        "Left: weights stay while the sequence lasts. Right: an update at every step, with output feedback.",
        "左：系列の間は重みを固定。右：毎ステップ更新（出力フィードバックあり）。",
    )
    rows = [
        {"network": n, "rate": 0.0, "seed": s, "difference": d}
        for n in _NETS
        for s, d in zip(plan.seeds, apart[n], strict=True)
    ]
    rows += [
        {"network": "with output feedback", "rate": rate, "seed": seed, "difference": difference}
        for seed, differences in zip(plan.seeds, online, strict=True)
        for rate, difference in zip(_RATES, differences, strict=True)
    ]
    picture = Picture("difference", caption, _drawn_differences(apart, np.array(online)))
    return Result(_checks(apart, np.array(online)), (picture,), tuple(rows))


def _drawn_differences(apart: dict[str, list[float]], online: np.ndarray) -> Any:
    figure, (left, right) = figure_of(2)
    for index, values in enumerate(apart.values()):
        left.scatter([index] * len(values), np.maximum(values, 1e-17), color=COLOURS[index], s=30)
    left.axhline(1e-9, color=COLOURS[-1], linewidth=0.8, linestyle="--")
    finish(left, "", "relative difference from BPTT", legend="", yscale="log", ylim=(1e-17, 1e-7), xlim=(-0.5, 2.5))
    left.set_xticks(range(len(apart)), list(apart), fontsize=8)
    right.set_yscale("log")
    curve(right, _RATES, online.T, 0, "", marker="o", markersize=4)
    finish(right, "learning rate", "relative difference from BPTT", legend="", xscale="log")
    return figure


def _checks(apart: dict[str, list[float]], online: np.ndarray) -> tuple[Check, ...]:
    japanese = {"with output feedback": "出力フィードバックつき"}
    same = tuple(
        check(
            f"{name}: largest relative difference of the gradients of RTRL and BPTT",
            f"{japanese.get(name, name)}：RTRL と BPTT の勾配の相対差の最大",
            values,
            *(0, 1e-9),  # float64; measured 1e-16 to 1e-14
        )
        for name, values in apart.items()
    )
    order = np.log(online[:, -2] / online[:, -1]) / np.log(_RATES[-2] / _RATES[-1])
    return (
        *same,
        check(
            "an update at every step: the power of the learning rate with which the difference falls",
            "毎ステップ更新：差が学習率の何乗で減るか",
            order,
            *(0.8, 1.2),
        ),
    )


STUDIES = (
    Study(
        name="real-time-recurrent-learning",
        chapter=chapters.RECURRENCE,
        title=Text("Forward in time: RTRL and BPTT", "RTRL 法と BPTT 法"),
        claim=Text(
            "Real-time recurrent learning carries the derivatives of the state forward instead of deltas back, and "
            "finds the same gradients, output feedback included. It needs no past, so that the weights can change at "
            "every step; its gradients are then those of BPTT only in the limit of small learning rates.",
            "RTRL 法はデルタを過去へ戻す代わりに状態の微分を先へ運び、出力のフィードバックがあっても BPTT "
            "法と同じ勾配を得る。過去を必要としないので毎ステップ重みを更新できるが、そのときの勾配が BPTT "
            "法と一致するのは学習率が小さい極限に限る。",
        ),
        formula=(
            r"p_{rs}^j(t) = \partial z_j^t / \partial w_{rs}, \qquad \partial E^t / \partial w_{rs} = "
            r"\sum_j (\partial E^t / \partial z_j^t)\, p_{rs}^j(t)",
            r"p_{rs}^j(t) = f'(u_j^t) \left( \delta_{rj} z_s^{t-1} + \sum_{j'} w_{jj'}\, p_{rs}^{j'}(t-1) + "
            r"\sum_k \tilde w_{jk}\, p_{rs}^k(t-1) \right)",
        ),
        setting=Text(
            f"{_UNITS} units, {_INPUTS} inputs, {_TIME} steps, {_BATCH} sequences, all N(0, 1); squared error at "
            "every step; weights N(0, 0.7²); float64. The second sum in the recursion is that of the output that is "
            "fed back.",
            f"{_UNITS} ユニット、{_INPUTS} 入力、{_TIME} ステップ、{_BATCH} 系列、入力と目標は N(0, 1)。各ステップの二"
            "乗誤差。重みは N(0, 0.7²)。float64。漸化式の 2 つ目の和が出力のフィードバック。",
        ),
        run=_forward_in_time,
    ),
)

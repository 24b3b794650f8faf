"""Dropout as the training of sub-networks that share their weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.layer import Variables
from denpa.gradients import backprop, trace
from denpa.init import Normal
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, figure_of
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, Dropout, Tanh
from denpa.losses import SoftmaxCrossEntropy
from denpa.networks import Sequential
from denpa.optim import SGD, Momentum

__all__ = ["STUDIES"]

_INPUTS, _UNITS, _CLASSES, _BATCH, _UPDATES = 4, 6, 3, 8, 60
_LOSS = SoftmaxCrossEntropy()
# One mask for a whole batch, and no factor in training: the units kept are a network with the same weights.
_NET = Sequential(
    (
        Dense(_UNITS, kernel_init=Normal(0.7)),
        Tanh(),
        Dropout(0.5, scaling="classical", per="batch"),
        Dense(_CLASSES, kernel_init=Normal(0.7)),
    )
)


class _Update(NamedTuple):
    """One update of a network with dropout.

    Args:
        kept: the mask (units,).
        moved: how far each weight moved, by layer W and b.
        grads: its gradients.
        variables: before the update.
        batch: x and t.
    """

    kept: np.ndarray
    moved: dict[str, dict[str, np.ndarray]]
    grads: Any
    variables: Variables
    batch: tuple[np.ndarray, np.ndarray]

    def of_units(self, kept: bool) -> np.ndarray:
        """The largest movement among the weights of each unit, into it and out of it: those kept or those dropped."""
        first, last = self.moved["0_dense"], self.moved["3_dense"]
        largest = np.maximum(np.maximum(first["W"].max(axis=0), first["b"]), last["W"].max(axis=1))
        return largest[self.kept == kept]


def _updates(seed: int, optimizer: Any) -> list[_Update]:
    rng = np.random.default_rng((seed, 55))
    params = _NET.init(jax.random.key(seed), (_INPUTS,)).params
    state, found = optimizer.init(params), []
    for step in range(_UPDATES):
        x = rng.normal(size=(_BATCH, _INPUTS)).astype(np.float32)
        t = rng.integers(_CLASSES, size=_BATCH).astype(np.int32)
        variables = Variables(params, {})
        seen = trace(_NET, _LOSS, variables, x, t, jax.random.fold_in(jax.random.key(seed), step))
        updates, state = optimizer.update(seen.grads, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        moved = jax.tree.map(lambda new, old: np.abs(np.asarray(new) - np.asarray(old)), params, variables.params)
        found.append(_Update(np.ravel(seen["2_dropout"].saved["mask"]), moved, seen.grads, variables, (x, t)))
    return found


def _of_the_smaller_network(update: _Update) -> float:
    """The largest difference of the gradients and those of the network that has the units kept and no others."""
    small = Sequential((Dense(int(update.kept.sum())), Tanh(), Dense(_CLASSES)))

    def cut(tree: Any) -> Any:
        first, last = jax.tree.map(np.asarray, (tree["0_dense"], tree["3_dense"]))
        inner = {"W": first["W"][:, update.kept], "b": first["b"][update.kept]}
        return {"0_dense": inner, "2_dense": {"W": last["W"][update.kept], "b": last["b"]}}

    params = {"1_tanh": {}, **cut(update.variables.params)}
    own, expected = backprop(small, _LOSS, Variables(params, {}), *update.batch).grads, cut(update.grads)
    return max(
        float(np.abs(np.asarray(own[layer][name]) - g).max())
        for layer, gs in expected.items()
        for name, g in gs.items()
    )


def _dropout(plan: Plan) -> Result:
    plain = [_updates(seed, SGD(0.5)) for seed in plan.seeds]
    moving = [_updates(seed, Momentum(0.1, 0.8)) for seed in plan.seeds]
    caption = Text(
        "How far the weights of each hidden unit move at each update, first seed; a cross: the unit is dropped.",
        "各更新で各中間ユニットの重みが動く大きさ（最初のシード）。× はドロップアウトされたユニット。",
    )
    drawn = {"gradient descent": plain[0], "momentum": moving[0]}
    return Result(
        checks=_checks(plain, moving),
        pictures=(Picture("movements", caption, _movements(drawn)),),
        rows=tuple(
            {"optimiser": name, "update": step + 1, "kept": "".join(map(str, update.kept.astype(int)))}
            | {f"unit {unit + 1}": size for unit, size in enumerate(_sizes(update).tolist())}
            for name, updates in drawn.items()
            for step, update in enumerate(updates)
        ),
    )


def _sizes(update: _Update) -> np.ndarray:
    """The largest movement among the weights of each unit (units,)."""
    sizes = np.zeros(len(update.kept))
    for kept in (False, True):
        sizes[update.kept == kept] = update.of_units(kept)
    return sizes


def _checks(plain: list[list[_Update]], moving: list[list[_Update]]) -> tuple[Check, ...]:
    halves = [[_of_the_smaller_network(u) for u in updates if u.kept.sum() == _UNITS // 2] for updates in plain]
    return (  # over 8 seeds: 0; 0.01 to 0.03; 1e-7; 37 to 43; 0.04 to 0.15
        Check(
            Text("dropped units: largest movement of a weight", "ドロップアウトされたユニット：重みの変化の最大値"),
            [max(u.of_units(False).max(initial=0) for u in updates) for updates in plain],
            0,
            0,
        ),
        Check(
            Text("kept units: least movement of the weights of one", "残ったユニット：重みの変化の最小値"),
            [min(u.of_units(True).min(initial=np.inf) for u in updates) for updates in plain],
            low=1e-3,
        ),
        Check(
            Text(
                "largest difference of the gradients and those of the network of the kept units alone",
                "残ったユニットだけのネットワークの勾配との差の最大値",
            ),
            [max(differences) for differences in halves],
            high=1e-6,
        ),
        Check(
            Text(
                f"sub-networks met in {_UPDATES} updates, of {2**_UNITS}",
                f"{_UPDATES} 回の更新に現れた部分ネットワークの数（{2**_UNITS} 個中）",
            ),
            [len({tuple(u.kept) for u in updates}) for updates in plain],
            low=25,
        ),
        Check(
            Text(
                "with momentum: largest movement of a weight of a dropped unit",
                "モーメンタム法：ドロップアウトされたユニットの重みの変化の最大値",
            ),
            [max(u.of_units(False).max(initial=0) for u in updates) for updates in moving],
            low=0.01,
        ),
    )


def _movements(drawn: dict[str, list[_Update]]) -> Any:
    figure, panels = figure_of(len(drawn), 1, (7.2, 2.3))
    for axes, (name, updates) in zip(panels, drawn.items(), strict=True):
        shown = np.stack([_sizes(update) for update in updates[:30]], axis=1)
        image = axes.imshow(shown, cmap="Blues", vmin=0, aspect="auto", extent=(0.5, 30.5, _UNITS + 0.5, 0.5))
        steps, units = np.nonzero(np.stack([~update.kept for update in updates[:30]]))
        axes.plot(steps + 1, units + 1, "x", color=COLOURS[1], markersize=4)
        axes.set(xlabel="updates", ylabel="hidden unit", yticks=range(1, _UNITS + 1))
        axes.set_title(name, fontsize=10)
        figure.colorbar(image, ax=axes, label="change of weights")
    return figure


STUDIES = (
    Study(
        name="dropout-subnetworks",
        chapter=chapters.REGULARISATION,
        title=Text("Dropout trains sub-networks", "ドロップアウトと部分ネットワーク"),
        claim=Text(
            "With a mask an update is one of the smaller network of the units kept: the weights of dropped units keep "
            "their values to the last bit, those of the others move as they would in that network alone.",
            "マスクのもとでの更新は、残ったユニットだけの小さなネットワークの更新である。ドロップアウトされたユニット"
            "の重みはまったく変わらず、他の重みはその部分ネットワークだけを学習した場合と同じように変わる。",
        ),
        formula=(
            r"y = m \odot h, \ m_j \in \{0, 1\}: \quad "
            r"m_j = 0 \Rightarrow \frac{\partial E}{\partial w_{ij}} = \frac{\partial E}{\partial b_j} = "
            r"\frac{\partial E}{\partial w_{jk}} = 0",
        ),
        setting=Text(
            "4 inputs, 6 tanh units, 3 classes, random data in batches of 8; a mask for each batch, p = 0.5, no "
            "factor in training; 60 updates by gradient descent with η = 0.5, and by momentum with η = 0.1, μ = 0.8.",
            "入力 4、tanh ユニット 6、3 クラス、乱数のデータ（バッチ 8）。バッチごとに一つのマスク、p = "
            "0.5、学習時の倍率なし。勾配降下法（η = 0.5）とモーメンタム法（η = 0.1、μ = 0.8）で 60 回更新。",
        ),
        run=_dropout,
        remark=Text(
            "It holds of the gradient, not of every optimiser: with momentum, or with weight decay, the weights of "
            "dropped units move as well.",
            "これは勾配について成り立つ。モーメンタム法や荷重減衰ではドロップアウトされたユニットの重みも動く。",
        ),
    ),
)

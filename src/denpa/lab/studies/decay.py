"""Weight decay where the error is a quadratic form: how much each direction shrinks, and early stopping beside it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from denpa import classical
from denpa.core.layer import Variables
from denpa.gradients import backprop
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, GREY, LINES, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential
from denpa.optim import SGD
from denpa.penalties import L2

__all__ = ["STUDIES"]

_CURVATURES, _STRENGTHS = np.array([0.0, 0.02, 0.1, 0.5, 3.0]), (0.2, 0.5)
_RATE, _UPDATES, _STOPPED = 0.3, 300, 40
_NET, _LOSS = Sequential((Dense(1, use_bias=False),)), MeanSquaredError()


class _Bowl(NamedTuple):
    """E(w) = ½ (w - w⁰)ᵀ H (w - w⁰) as the error of a linear unit on examples x with targets x w⁰.

    Args:
        Q: the eigenvectors of H in columns (d, d), those of `_CURVATURES`.
        minimum: w⁰ (d,).
    """

    Q: np.ndarray
    minimum: np.ndarray

    @property
    def H(self) -> np.ndarray:
        return (self.Q * _CURVATURES) @ self.Q.T

    def shares(self, w: Any) -> np.ndarray:
        """How much of w⁰ is left in w along each eigenvector."""
        return (self.Q.T @ np.ravel(w)) / (self.Q.T @ self.minimum)

    def trained(self, strength: float, updates: int) -> np.ndarray:
        """w after so many steps of gradient descent from 0 on E + (α/2) ‖w‖², by back-propagation."""
        x = (np.sqrt(len(_CURVATURES) * _CURVATURES)[:, None] * self.Q.T).astype(np.float32)  # (1/N) xᵀx = H
        t, penalty, optimizer = np.asarray(x @ self.minimum, np.float32)[:, None], L2(strength), SGD(_RATE)
        params: Any = {"0_dense": {"W": jnp.zeros((len(self.minimum), 1))}}
        for _ in range(updates):
            grads = backprop(_NET, _LOSS, Variables(params, {}), x, t).grads
            moves, _ = optimizer.update(penalty.add_gradient(params, grads), {}, params)
            params = jax.tree.map(jnp.add, params, moves)
        return np.ravel(params["0_dense"]["W"]).astype(np.float64)


def _bowl(seed: int) -> _Bowl:
    """With axes turned at random, and a minimum that has a part of 1 or more along each."""
    rng = np.random.default_rng((seed, 52))
    Q = np.linalg.qr(rng.normal(size=(len(_CURVATURES),) * 2))[0]
    return _Bowl(Q, Q @ (rng.uniform(1, 2, len(_CURVATURES)) * rng.choice([-1, 1], len(_CURVATURES))))


def _weight_decay(plan: Plan) -> Result:
    bowls = [_bowl(seed) for seed in plan.seeds]
    decayed = {
        strength: np.stack([bowl.shares(bowl.trained(strength, _UPDATES)) for bowl in bowls]) for strength in _STRENGTHS
    }
    stopped = np.stack([bowl.shares(bowl.trained(0.0, _STOPPED)) for bowl in bowls])
    caption = Text(
        "What is left of the minimum along each eigenvector of H: dots as trained, lines by the formula. "
        f"Dotted: descent without decay that is stopped after {_STOPPED} updates.",
        "H の各固有ベクトル方向で最小点がどれだけ残るか。点は学習の結果、線は公式。"
        f"点線：荷重減衰なしで {_STOPPED} 回で止めた場合。",
    )
    return Result(
        checks=_checks(bowls, decayed, stopped),
        pictures=(Picture("shrinkage", caption, _drawn(decayed, stopped)),),
        rows=tuple(
            {"alpha": strength, "seed": seed, **{f"h = {h:g}": s for h, s in zip(_CURVATURES, row, strict=True)}}
            for strength, found in decayed.items()
            for seed, row in zip(plan.seeds, found.tolist(), strict=True)
        ),
    )


def _checks(bowls: list[_Bowl], decayed: dict[float, np.ndarray], stopped: np.ndarray) -> tuple[Check, ...]:
    predicted = {strength: _CURVATURES / (_CURVATURES + strength) for strength in decayed}
    closed = [
        np.abs(bowl.shares(classical.decayed(bowl.H, bowl.minimum, strength)) - predicted[strength]).max()
        for bowl in bowls
        for strength in _STRENGTHS
    ]
    weak = decayed[_STRENGTHS[0]]
    return (
        *(
            Check(
                Text(
                    f"α = {strength:g}: largest difference of the share left and h / (h + α)",
                    f"α = {strength:g}：残る割合と h／(h＋α) の差の最大値",
                ),
                np.abs(found - predicted[strength]).max(axis=1),
                high=1e-5,
            )
            for strength, found in decayed.items()
        ),
        Check(Text("closed form: the same difference", "閉形式：同じ差"), max(closed), high=1e-10),
        Check(Text("α = 0.2: share left where h = 3", "α = 0.2：h = 3 の方向に残る割合"), weak[:, -1], 0.937, 0.938),
        Check(
            Text("α = 0.2: share left where h = 0.02", "α = 0.2：h = 0.02 の方向に残る割合"), weak[:, 1], 0.0909, 0.091
        ),
        *_stopping_checks(stopped),
    )


def _stopping_checks(stopped: np.ndarray) -> tuple[Check, ...]:
    strength = 1 / (_RATE * _STOPPED)  # what stopping after so many steps amounts to where the error is flat
    return (
        Check(
            Text(
                "stopped early: largest difference of the share left and 1 - (1 - ηh)^t", "早期終了：1−(1−ηh)^t との差"
            ),
            np.abs(stopped - (1 - (1 - _RATE * _CURVATURES) ** _STOPPED)).max(axis=1),
            high=1e-5,
        ),
        Check(
            Text(
                "stopped early: largest difference of the share left and h / (h + α) with α = 1/(ηt)",
                "早期終了：α = 1/(ηt) の h／(h＋α) との差の最大値",
            ),
            np.abs(stopped - _CURVATURES / (_CURVATURES + strength)).max(axis=1),
            0.15,
            0.17,
        ),
    )


def _drawn(decayed: dict[float, np.ndarray], stopped: np.ndarray) -> Any:
    figure, (axes,) = figure_of(1, size=(5.6, 3.6))
    h = np.linspace(0, 3.2, 300)
    for index, (strength, found) in enumerate(decayed.items()):
        style = {"color": COLOURS[index], "linestyle": LINES[index]}
        axes.plot(h, h / (h + strength), label=f"$h / (h + \\alpha)$, $\\alpha$ = {strength:g}", **style)
        axes.plot(np.tile(_CURVATURES, len(found)), found.ravel(), "o", color=COLOURS[index], markersize=5)
    axes.plot(h, 1 - (1 - _RATE * h) ** _STOPPED, color=GREY, linestyle=":", label="$1 - (1 - \\eta h)^t$")
    axes.plot(np.tile(_CURVATURES, len(stopped)), stopped.ravel(), "s", color=GREY, markersize=3)
    finish(axes, "curvature h", "share of the minimum left", legend="lower right", ylim=(-0.03, 1.05))
    return figure


STUDIES = (
    Study(
        name="weight-decay",
        chapter=chapters.REGULARISATION,
        title=Text("Weight decay on a quadratic error", "2 次の誤差関数における荷重減衰"),
        claim=Text(
            "Near a minimum, weight decay shrinks the part of the weights along each eigenvector of the second "
            "derivatives by h / (h + α): little where the error is steep, almost to 0 where it is flat.",
            "最小点の近くでは、荷重減衰は 2 階微分の各固有ベクトル方向の成分を h /(h + α) "
            "倍に縮める。誤差が急な方向はほとんど変わらず、平らな方向はほぼ 0 になる。",
        ),
        formula=(
            r"E(w) = \frac{1}{2} (w - w^0)^T H (w - w^0) + \frac{\alpha}{2} \Vert w \Vert^2",
            r"w_i^* = \frac{h_i}{h_i + \alpha}\, w_i^0 \qquad "
            r"\alpha = 0:\ w_i^{(t)} = (1 - (1 - \eta h_i)^t)\, w_i^0",
        ),
        setting=Text(
            "A linear unit with 5 weights, eigenvalues 0, 0.02, 0.1, 0.5 and 3 along axes turned at random, from 0 "
            "with η = 0.3, 300 updates; stopped after 40 without decay.",
            "重み 5 個の線形ユニット、固有値 0、0.02、0.1、0.5、3（軸は乱数で回転）。0 から η = 0.3 で 300 "
            "回更新。早期終了は荷重減衰なしで 40 回。",
        ),
        run=_weight_decay,
        remark=Text(
            "Early stopping is like weight decay with α = 1/(ηt), but not the same: directions of middling curvature "
            "keep more.",
            "早期終了は α = 1/(ηt) の荷重減衰に似ているが同じではなく、曲率が中くらいの方向はより多く残る。",
        ),
    ),
)

"""Pooling in numbers small enough to follow by hand, and the way from the average to the maximum."""

from __future__ import annotations

from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.images import images
from denpa.lab.studies.one_image import back, differing, show, through
from denpa.lab.studies.plots import COLOURS, LINES, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import AveragePool2d, LpPool2d, MaxPool2d

__all__ = ["STUDIES"]

_Z = np.array([[5, 1, 0, 1], [1, 6, 1, 7], [4, 1, 6, 3], [1, 8, 0, 1]], float)
_DELTAS = np.array([[1, 2], [3, 4]], float)
_POOLS = {"maximum": MaxPool2d(2), "average": AveragePool2d(2)}
_FORWARD = {"maximum": [[6, 7], [8, 6]], "average": [[3.25, 2.25], [3.5, 2.5]]}
_BACKWARD = {
    "maximum": [[0, 0, 0, 0], [0, 1, 0, 2], [0, 0, 4, 0], [0, 3, 0, 0]],
    "average": [[0.25, 0.25, 0.5, 0.5], [0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 1, 1], [0.75, 0.75, 1, 1]],
}
_WINDOWS = _Z.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)  # the numbers of each window
_EXPONENTS = (1, 2, 3, 5, 10, 20, 50, 100, 200)


def _by_hand(plan: Plan) -> Result:
    found = {name: through(pool, _Z) for name, pool in _POOLS.items()}
    deltas = {name: back(pool, _Z, _DELTAS) for name, pool in _POOLS.items()}
    caption = Text("Forward from the left, and the deltas back on the right.", "左から順伝播、右に戻っていくデルタ。")
    tied = differing(back(MaxPool2d(2), np.full((2, 2), 3.0), [[1.0]]), [[1, 0], [0, 0]])
    return Result(
        checks=(
            *_one_way("maximum", "最大プーリング", found["maximum"], deltas["maximum"]),
            *_one_way("average", "平均プーリング", found["average"], deltas["average"]),
            exactly("four equal maxima: deltas that differ", "最大値が 4 個：異なるデルタ", tied, 0),
        ),
        pictures=(Picture("deltas", caption, _by_hand_drawn(found, deltas)),),
        rows=tuple(
            {"row": i, "column": j, "z": _Z[i, j]} | {f"delta, {name}": float(deltas[name][i, j]) for name in _POOLS}
            for i, j in np.ndindex(4, 4)
        ),
    )


def _one_way(name: str, japanese: str, found: np.ndarray, deltas: np.ndarray) -> tuple[Check, ...]:
    """The checks of one of the two ways of pooling."""
    numerical = np.abs(deltas - _numerical(_POOLS[name])).max()
    wrong, astray = differing(found, _FORWARD[name]), differing(deltas, _BACKWARD[name])
    return (
        exactly(f"{name}: numbers of 4 that differ", f"{japanese}：異なる数（4 個中）", wrong, 0),
        exactly(f"{name}: deltas of 16 that differ", f"{japanese}：異なるデルタ（16 個中）", astray, 0),
        check(f"{name}: deltas less central differences", f"{japanese}：デルタと中心差分の差", numerical, -inf, 1e-9),
    )


def _numerical(pool: Any, step: float = 1e-3) -> np.ndarray:
    """The delta of every entry of the image by central differences of E = Σ deltas · outputs."""
    nudges = step * np.eye(_Z.size).reshape(-1, *_Z.shape)
    with jax.enable_x64(True):
        up, down = (np.asarray(pool.forward({}, jnp.asarray(_Z + s * nudges)[..., None])[0]) for s in (1, -1))
    return np.sum(_DELTAS * (up - down)[..., 0], axis=(1, 2)).reshape(_Z.shape) / (2 * step)


def _by_hand_drawn(found: dict[str, np.ndarray], deltas: dict[str, np.ndarray]) -> Any:
    figure, panels = figure_of(8, 4, (2.3, 2.3))
    for row, name in enumerate(_POOLS):
        parts = {"image": _Z, name: found[name], "delta": _DELTAS, "delta of the image": deltas[name]}
        for axes, (title, part) in zip(panels[4 * row : 4 * row + 4], parts.items(), strict=True):
            show(axes, part, title)
            axes.axhline(len(part) / 2 - 0.5, color="black", linewidth=1)
            axes.axvline(len(part) / 2 - 0.5, color="black", linewidth=1)
    return figure


def _lp(plan: Plan) -> Result:
    values = np.stack([through(LpPool2d(p), _Z).ravel() for p in _EXPONENTS])
    delta = np.stack([back(LpPool2d(p), _Z, np.ones((2, 2)))[_Z == 8][0] for p in _EXPONENTS])
    digit = images(Plan()).test_x[0, ..., 0]
    caption = Text(
        "Left: the four windows of an image of 4 × 4; the maximum is dotted. Right: how much of the delta the entry 8 "
        "of the lower left window gets.",
        "左：4 × 4 の画像の 4 つの窓（点線は最大値）。右：左下の窓の要素 8 に伝わるデルタの割合。",
    )
    seen = Text("A digit of 8 × 8, pooled by windows of 2 × 2.", "8 × 8 の数字画像を 2 × 2 の窓でプーリングしたもの。")
    return Result(
        checks=_lp_checks(values, delta, digit),
        pictures=(Picture("exponents", caption, _lp_drawn(values, delta)), Picture("digit", seen, _digit_drawn(digit))),
        rows=tuple(
            {"exponent": p, **{f"window {k + 1}": v for k, v in enumerate(row)}, "share of the largest": float(share)}
            for p, row, share in zip(_EXPONENTS, values.tolist(), delta, strict=True)
        ),
    )


def _lp_checks(values: np.ndarray, delta: np.ndarray, digit: np.ndarray) -> tuple[Check, ...]:
    largest, count = _WINDOWS.max(axis=1), _WINDOWS.shape[1]
    least = largest * count ** (-1 / np.array(_EXPONENTS)[:, None])  # where the others are 0
    growth = np.diff(values, axis=0).min()
    beyond = np.sum((values < least - 1e-5) | (values > largest))
    printed = [[3.9686, 3.5707, 4.5277, 3.3912], [5.917, 6.904, 7.890, 5.917]]
    off = np.abs(values[[_EXPONENTS.index(2), _EXPONENTS.index(100)]] - printed).max()
    mean = np.abs(through(LpPool2d(1), digit) - through(AveragePool2d(2), digit)).max()
    tied = through(LpPool2d(50), [[4, 4], [4, 1]])[0, 0] - 4 * 0.75 ** (1 / 50)
    huge = (through(LpPool2d(1000), _Z).ravel() / largest).min()
    return (
        check("P = 1, a digit: less the average", "P = 1、数字画像：平均との差", mean, -inf, 1e-6),
        check("P = 2 and 100: less the numbers by hand", "P = 2、100：手計算との差", off, -inf, 5e-4),
        check("least growth from one exponent to the next", "次の指数までの増加の最小値", growth, 1e-3, inf),
        exactly(
            "values that are not between n^(−1/P) · maximum and maximum",
            "n^(−1/P) · 最大値と最大値の間にない値の数",
            beyond,
            0,
        ),
        check(
            "P = 200: value / maximum, the least", "P = 200：値／最大値（最小）", (values[-1] / largest).min(), 0.99, 1
        ),
        check(
            "three maxima of 4, P = 50: |value − (3/4)^(1/P) · 4|",
            "最大値 4 が三つ、P = 50：|値 − (3/4)^(1/P) · 4|",
            abs(tied),
            -inf,
            1e-5,
        ),
        check(
            "P = 1000, where 8^P is more than any float: value / maximum",
            "P = 1000（8^P は表せない）：値／最大値",
            huge,
            0.9985,
            1,
        ),
        exactly("delta of the largest, P = 1", "最大の要素のデルタ、P = 1", delta[0], 0.25),
        check("delta of the largest, P = 200", "最大の要素のデルタ、P = 200", delta[-1], 0.99, 1),
    )


def _lp_drawn(values: np.ndarray, delta: np.ndarray) -> Any:
    figure, (left, right) = figure_of(2)
    for index, numbers in enumerate(_WINDOWS):
        label = ", ".join(f"{number:g}" for number in numbers)
        left.plot(_EXPONENTS, values[:, index], color=COLOURS[index], linestyle=LINES[index], label=label)
        left.axhline(numbers.max(), color=COLOURS[index], linewidth=0.8, linestyle=":")
    finish(left, "$P$", "$u$", legend="beside", xscale="log", ylim=(2, 8.4))
    right.plot(_EXPONENTS, delta, color=COLOURS[0])
    finish(right, "$P$", "share of the delta", legend="", xscale="log", ylim=(0, 1.05))
    return figure


def _digit_drawn(digit: np.ndarray) -> Any:
    pooled = {f"$P$ = {p}": through(LpPool2d(p), digit) for p in (1, 2, 5, 20)}
    parts = {"image": digit, **pooled, "maximum": through(MaxPool2d(2), digit)}
    figure, panels = figure_of(len(parts), size=(1.5, 1.7))
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        axes.imshow(part, cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=9)
    return figure


STUDIES = (
    Study(
        name="pooling-by-hand",
        chapter=chapters.CONVOLUTION,
        title=Text("Pooling reckoned by hand, forward and back", "プーリングの計算例（順伝播と逆伝播）"),
        claim=Text(
            "Maximum pooling hands a delta to the entry that was the largest and nothing to the others; average "
            "pooling hands each an equal share.",
            "最大プーリングはデルタを最大だった要素だけに渡し、平均プーリングはすべての要素に等しく分ける。",
        ),
        formula=(
            r"u_J = \max_{I \in Q_J} z_I, \quad w_{JI} = 1\ (I = \mathrm{arg\,max}_{Q_J} z),\ 0",
            r"u_J = \frac{1}{H^2} \sum_{I \in Q_J} z_I, \quad w_{JI} = \frac{1}{H^2}\ (I \in Q_J),\ 0",
            r"\delta_I = \sum_J w_{JI} \delta_J",
        ),
        setting=Text(
            "An image of 4 × 4, windows of 2 × 2 side by side, deltas 1, 2, 3, 4.",
            "4 × 4 の画像、重ならない 2 × 2 の窓、デルタは 1、2、3、4。",
        ),
        run=_by_hand,
        remark=Text(
            "Of equal maxima one alone gets the delta, the first in reading order: a choice, since there the maximum "
            "has no derivative.",
            "最大値が複数あるときは、行順で最初の一つだけがデルタを受け取る。そこでは最大値は微分できないので、これは"
            "約束にすぎない。",
        ),
    ),
    Study(
        name="lp-pooling",
        chapter=chapters.CONVOLUTION,
        title=Text("Lp pooling: from the average to the maximum", "Lp プーリング：平均から最大へ"),
        claim=Text(
            "With P = 1 Lp pooling is the average; it grows with P and comes to the maximum. So does its backward "
            "pass: from equal shares to the delta for the largest alone.",
            "Lp プーリングは P = 1 で平均になり、P とともに大きくなって最大値に近づく。逆伝播も、均等な分配から最大の"
            "要素だけへの伝播へと移る。",
        ),
        formula=(
            r"u = \left( \frac{1}{H^2} \sum_{(p, q) \in Q} z_{pq}^P \right)^{1/P} = "
            r"z^* \left( \frac{1}{H^2} \sum_{(p, q) \in Q} (z_{pq} / z^*)^P \right)^{1/P}, \quad z^* = \max_Q z > 0",
            r"H^{-2/P} z^* \leq u \leq z^*",
        ),
        setting=Text(
            "The image of 4 × 4 of the study before and a digit of 8 × 8, windows of 2 × 2, P = 1 … 200.",
            "前の実験の 4 × 4 の画像と 8 × 8 の数字画像、窓 2 × 2、P = 1〜200。",
        ),
        run=_lp,
        remark=Text(
            "It takes a large P: the average's factor H^(−2/P) is 0.93 still with P = 20. Where all entries are 0 "
            "there is nothing to divide by, and with m equal maxima the value is (m/H²)^(1/P) z*, which comes to the "
            "same limit.",
            "P はかなり大きい必要がある。平均の係数 H^(−2/P) は P = 20 でもまだ 0.93 である。すべての要素が 0 "
            "の窓では z* で割れない。最大値が m 個あると (m/H²)^(1/P) z* となるが、極限は同じである。",
        ),
    ),
)

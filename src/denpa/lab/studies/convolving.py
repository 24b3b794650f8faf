"""A convolution in numbers small enough to follow by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from denpa.lab.studies import chapters
from denpa.lab.studies.checks import exactly
from denpa.lab.studies.one_image import differing, frame, show, through
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Conv2d

__all__ = ["STUDIES"]

_Z = np.array([[5, 1, 0, 1, 9], [1, 6, 1, 7, 0], [4, 1, 6, 3, 5], [1, 8, 0, 1, 0], [2, 2, 8, 0, 4]], float)
_CROSS = np.array([[2, 0, -2], [0, 2, 0], [-2, 0, 2]], float)
_COUNT = np.arange(1.0, 10).reshape(3, 3)
_BY_HAND = [[26, 6, -6], [0, -4, 8], [24, -8, -4]]
_STRIDE = [[26, -6], [24, -4]]
_CORRELATED = [[137, 157, 179], [144, 146, 92], [170, 138, 124]]
_CONVOLVED = [[113, 103, 141], [136, 184, 138], [150, 152, 146]]
_WINDOW = Conv2d(1, 3, use_bias=False)
_TURNED = Conv2d(1, 3, use_bias=False, true_convolution=True)


def _by_hand(plan: Plan) -> Result:
    found, halved = through(_WINDOW, _Z, _CROSS), through(Conv2d(1, 3, stride=2, use_bias=False), _Z, _CROSS)
    counts = {"not turned": through(_WINDOW, _Z, _COUNT), "turned": through(_TURNED, _Z, _COUNT)}
    caption = Text(
        "Each number of the result is the sum of a window's entries times the filter's; with stride 2 every second "
        "window in each direction is taken. Framed: the window of the number −8.",
        "結果の各数は、窓の要素とフィルタの要素の積の和。ストライド 2 では縦横とも窓を一つおきに取る。枠は −8 "
        "を与える窓。",
    )
    return Result(
        checks=_by_hand_checks(found, halved, counts),
        pictures=(Picture("example", caption, _by_hand_drawn(found, halved)),),
        rows=tuple(
            {
                "row": i,
                "column": j,
                "terms": " ".join(f"{z:g}*({h:g})" for z, h in zip(_window(i, j).flat, _CROSS.flat, strict=True)),
                "sum": float(np.sum(_window(i, j) * _CROSS)),
                "layer": float(found[i, j]),
            }
            for i, j in np.ndindex(3, 3)
        ),
    )


def _window(row: int, column: int) -> np.ndarray:
    return _Z[row : row + 3, column : column + 3]


def _by_hand_checks(found: np.ndarray, halved: np.ndarray, counts: dict[str, np.ndarray]) -> tuple[Check, ...]:
    correlated = differing(counts["not turned"], _CORRELATED) + differing(counts["turned"], _CONVOLVED)
    sums = [[np.sum(_window(i, j) * _CROSS) for j in range(3)] for i in range(3)]
    return (
        exactly(
            "numbers of 9 that differ from those by hand",
            "手計算と異なる数（9 個中）",
            differing(found, _BY_HAND) + differing(found, sums),
            0,
        ),
        exactly(
            "row 2, column 1, from 0: 2·1 − 2·3 + 2·0 − 2·2 + 2·0",
            "第 2 行第 1 列（0 から数える）：2·1 − 2·3 + 2·0 − 2·2 + 2·0",
            [found[2, 1]],
            -8,
        ),
        exactly(
            "stride 2: numbers of 4 that differ",
            "ストライド 2：異なる数（4 個中）",
            differing(halved, _STRIDE) + differing(halved, found[::2, ::2]),
            0,
        ),
        exactly(
            "filter 1, 2, …, 9, not turned and turned: numbers of 18 that differ",
            "フィルタ 1, 2, …, 9、反転なしとあり：異なる数（18 個中）",
            correlated,
            0,
        ),
        exactly(
            "numbers of 9 that change when the filter is turned: the example's",
            "反転で変わる数（9 個中）：この例",
            differing(found, through(_TURNED, _Z, _CROSS)),
            0,
        ),
        exactly(
            "the same for the filter 1, 2, …, 9",
            "同じく、フィルタ 1, 2, …, 9",
            [differing(counts["not turned"], counts["turned"])],
            9,
        ),
    )


def _by_hand_drawn(found: np.ndarray, halved: np.ndarray) -> Any:
    from matplotlib.figure import Figure

    parts = {"image": _Z, "filter": _CROSS, "stride 1": found, "stride 2": halved}
    figure = Figure(figsize=(8.6, 3.0), layout="constrained")
    panels: Any = figure.subplots(1, len(parts), width_ratios=[len(part) for part in parts.values()])
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        show(axes, part, title)
    frame(panels[0], 2, 1, 3, 3)
    frame(panels[2], 2, 1, 1, 1)
    return figure


STUDIES = (
    Study(
        name="convolution-by-hand",
        chapter=chapters.CONVOLUTION,
        title=Text("A convolution reckoned by hand", "畳み込みの計算例"),
        claim=Text(
            "A convolution sums the products of a window's entries and the filter's; a stride of 2 keeps every second "
            "result.",
            "畳み込みは窓とフィルタの要素ごとの積の和である。ストライド 2 は結果を一つおきに残す。",
        ),
        formula=(r"u_{ij} = \sum_{p=0}^{H-1} \sum_{q=0}^{H-1} z_{Si+p,\ Sj+q}\ h_{pq}",),
        setting=Text(
            "An image of 5 × 5 and filters of 3 × 3, in whole numbers, which float32 adds without rounding.",
            "5 × 5 の画像と 3 × 3 のフィルタ。整数なので float32 でも丸め誤差なし。",
        ),
        run=_by_hand,
        remark=Text(
            "Where −14 is printed in place of −8 it is a slip of the pen. And this filter is the same turned by half "
            "a turn, so the example cannot tell a cross-correlation, which layers compute, from the convolution of "
            "mathematics; the filter 1, 2, …, 9 can.",
            "−8 の代わりに −14 と書かれていることがあるが、計算の誤りである。またこのフィルタは 180 "
            "度回転しても変わらないので、この例では層が計算する相互相関と数学の畳み込みを区別できない。フィルタ 1, 2, "
            "…, 9 なら区別できる。",
        ),
        contradicts=True,
    ),
)

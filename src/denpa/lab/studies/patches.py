"""The windows of an image: how many there are, and a convolution as the product of a matrix of them."""

from __future__ import annotations

import itertools
from math import inf
from typing import Any

import numpy as np

from denpa.kernels.unfolding import col2im, im2col
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.one_image import differing, frame, show, through
from denpa.lab.studies.plots import COLOURS, GREY, LINES, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Conv2d, ConvTranspose2d

__all__ = ["STUDIES"]

_IMAGES = np.array(
    [
        [[1, 12, 75, 6], [19, 34, 80, 67], [66, 83, 41, 91], [82, 18, 24, 74]],
        [[61, 6, 38, 5], [62, 71, 75, 2], [19, 5, 26, 61], [80, 96, 84, 5]],
    ],
    np.float32,
)
_ROWS = [
    [1, 12, 75, 19, 34, 80, 66, 83, 41],
    [12, 75, 6, 34, 80, 67, 83, 41, 91],
    [19, 34, 80, 66, 83, 41, 82, 18, 24],
    [34, 80, 67, 83, 41, 91, 18, 24, 74],
    [61, 6, 38, 62, 71, 75, 19, 5, 26],
    [6, 38, 5, 71, 75, 2, 5, 26, 61],
    [62, 71, 75, 19, 5, 26, 80, 96, 84],
    [71, 75, 2, 5, 26, 61, 96, 84, 5],
]
_SEEN = [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


def _places(size: int, window: int, stride: int, padding: int) -> list[int]:
    """The first pixel of every window that fits, found by trying one after another."""
    return [a for a in range(-padding, size + padding, stride) if a + window <= size + padding]


def _sizes(plan: Plan) -> Result:
    cases = [c for c in itertools.product(range(3, 13), range(1, 8), range(1, 5), range(4)) if c[1] <= c[0] + 2 * c[3]]
    rows = []
    for w, h, s, p in cases:
        out = Conv2d(1, h, stride=s, padding=p).out_shape((w, w, 1))[0]
        # P pixels are cut off each side afterwards: the layer itself refuses to cut off everything.
        again = ConvTranspose2d(1, h, stride=s).out_shape((out, out, 1))[0] - 2 * p
        rows.append({"W": w, "H": h, "S": s, "P": p, "output": out, "and back": again})
    caption = Text(
        "Left: output sizes of 9 pixels by the size of the filter; marks are layers, lines the formula. Right: the "
        "windows of 3 that fit 5 pixels and a zero on either side, by stride.",
        "左：9 画素の出力サイズ（点は層、線は公式）。右：両側に 0 を一つ加えた 5 画素に収まる 3 画素の窓。",
    )
    return Result(
        checks=_size_checks(rows), pictures=(Picture("sizes", caption, _sizes_drawn(rows)),), rows=tuple(rows)
    )


def _size_checks(rows: list[dict[str, int]]) -> tuple[Check, ...]:
    sizes = {(row["W"], row["H"], row["S"], row["P"]): row["output"] for row in rows}

    def wrong(formula: Any) -> int:
        return sum(not formula(*row.values()) for row in rows)

    count, layer = len(rows), Conv2d(1, 3, stride=2, padding=1, use_bias=False)
    return (
        exactly(
            f"sizes of {count} that are not by the formula",
            f"公式と異なるサイズ（{count} 通り中）",
            wrong(lambda w, h, s, p, out, _: out == (w - h + 2 * p) // s + 1),
            0,
        ),
        exactly(
            f"sizes of {count} that are not the number of windows",
            f"窓の数と異なるサイズ（{count} 通り中）",
            wrong(lambda w, h, s, p, out, _: out == len(_places(w, h, s, p))),
            0,
        ),
        exactly("W = 5, H = 3: size", "W = 5、H = 3：サイズ", [sizes[5, 3, 1, 0]], 3),
        exactly("W = 5, H = 3, S = 2: size", "W = 5、H = 3、S = 2：サイズ", [sizes[5, 3, 2, 0]], 2),
        exactly(
            "W = 5, H = 3, S = 2, P = 1: size",
            "W = 5、H = 3、S = 2、P = 1：サイズ",
            [sizes[5, 3, 2, 1], *through(layer, np.eye(5), np.ones((3, 3))).shape],
            3,
        ),
        exactly(
            "W = 9, P = 3: size less 16 − H, for H = 1 … 7",
            "W = 9、P = 3：サイズ − (16 − H)、H = 1〜7",
            [sizes[9, h, 1, 3] - (16 - h) for h in range(1, 8)],
            0,
        ),
        exactly(
            "sizes that the transposed convolution does not bring back, but for a rest of (W − H + 2P) / S",
            "転置畳み込みで元に戻らないサイズ（(W − H + 2P) / S の余りを除く）",
            wrong(lambda w, h, s, p, _, again: w - again == (w - h + 2 * p) % s),
            0,
        ),
    )


def _sizes_drawn(rows: list[dict[str, int]]) -> Any:
    figure, (left, right) = figure_of(2)
    for index, (stride, padding) in enumerate([(1, 3), (1, 0), (2, 3), (3, 0)]):
        own = [row for row in rows if (row["W"], row["S"], row["P"]) == (9, stride, padding)]
        filters, label = [row["H"] for row in own], f"$S$ = {stride}, $P$ = {padding}"
        line = {"color": COLOURS[index], "label": label}
        left.plot(filters, [row["output"] for row in own], "o", color=COLOURS[index], markersize=4)
        left.plot(filters, [(9 - h + 2 * padding) // stride + 1 for h in filters], linestyle=LINES[index], **line)
    finish(left, "size of the filter", "size of the output", legend="beside", ylim=(0, 16))
    for row, stride in enumerate((1, 2, 3)):
        for number, first in enumerate(_places(5, 3, stride, 1)):
            height = row + 0.15 * number
            right.plot([first - 0.4, first + 2.4], [height, height], color=COLOURS[row], linewidth=3)
    right.axvspan(-0.5, 4.5, color=GREY, alpha=0.12)
    finish(right, "pixel", "stride", legend="", xticks=range(-1, 6), yticks=(0, 1, 2), yticklabels=(1, 2, 3))
    return figure


def _unfolded(plan: Plan) -> Result:
    columns = np.asarray(im2col(_IMAGES[..., None], 3))
    adjoint = []
    for seed in plan.seeds:
        rng = np.random.default_rng((seed, 27))
        x, c = rng.normal(size=(2, 4, 4, 3)).astype(np.float32), rng.normal(size=(8, 27)).astype(np.float32)
        adjoint.append(abs(np.sum(np.asarray(im2col(x, 3)) * c) - np.sum(x * np.asarray(col2im(c, x.shape, 3)))))
    caption = Text(
        "Two images and their windows as rows: four rows for each image. Framed: a window and its row.",
        "2 枚の画像と、窓を並べた行列。画像 1 枚につき 4 行。枠は窓とそれに対応する行。",
    )
    return Result(
        checks=_unfolded_checks(columns, adjoint),
        pictures=(Picture("matrix", caption, _unfolded_drawn(columns)),),
        rows=tuple(
            {"row": row} | {f"column {k}": v for k, v in enumerate(values)}
            for row, values in enumerate(columns.tolist())
        ),
    )


def _unfolded_checks(columns: np.ndarray, adjoint: list[float]) -> tuple[Check, ...]:
    kernel = np.random.default_rng(27).integers(-3, 4, size=(3, 3)).astype(np.float32)
    convolved = np.stack([through(Conv2d(1, 3, use_bias=False), image, kernel) for image in _IMAGES])
    ones = np.ones((1, 4, 4, 1), np.float32)
    return (
        exactly(
            "numbers of 72 that differ",
            "異なる数（72 個中）",
            differing(columns, _ROWS) + (columns.shape != (8, 9)),
            0,
        ),
        exactly(
            "matrix times filter: numbers of 8 that are not the convolution's",
            "行列とフィルタの積：畳み込みと異なる数（8 個中）",
            differing(columns @ kernel.ravel(), convolved.ravel()),
            0,
        ),
        exactly(
            "col2im of ones: pixels of 16 not counted once a window",
            "すべて 1 の col2im：窓の数と異なる画素（16 個中）",
            differing(np.asarray(col2im(im2col(ones, 3), ones.shape, 3))[0, ..., 0], _SEEN),
            0,
        ),
        check("|Σ im2col(x) c − Σ x col2im(c)|, random", "|Σ im2col(x) c − Σ x col2im(c)|、乱数", adjoint, -inf, 1e-4),
        exactly(
            "numbers in the matrix / in the images",
            "行列の要素数／画像の画素数",
            [columns.size / _IMAGES.size],
            2.25,
        ),
    )


def _unfolded_drawn(columns: np.ndarray) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 4.2), layout="constrained")
    panels: Any = figure.subplot_mosaic([["0", "matrix"], ["1", "matrix"]], width_ratios=(4, 9))
    for number, image in enumerate(_IMAGES):
        show(panels[str(number)], image, f"image {number + 1}", largest=99)
    show(panels["matrix"], columns, "im2col", largest=99)
    panels["matrix"].axhline(3.5, color="black", linewidth=1)
    frame(panels["1"], 1, 0, 3, 3)
    frame(panels["matrix"], 6, 0, 1, 9)
    return figure


STUDIES = (
    Study(
        name="output-size",
        chapter=chapters.CONVOLUTION,
        title=Text("The size of a convolution's output", "畳み込みの出力サイズ"),
        claim=Text(
            "A convolution has as many outputs along an axis as windows fit into the padded image.",
            "畳み込みの出力サイズは、パディングした画像に収まる窓の数である。",
        ),
        formula=(r"W - H + 1 \quad (S = 1,\ P = 0)", r"\left\lfloor \frac{W - H + 2P}{S} \right\rfloor + 1"),
        setting=Text(
            "Images of W = 3 … 12 pixels, filters of H = 1 … 7, strides S = 1 … 4, P = 0 … 3 zeros on each side.",
            "画像 W = 3〜12 画素、フィルタ H = 1〜7、ストライド S = 1〜4、両側に 0 を P = 0〜3 個。",
        ),
        run=_sizes,
    ),
    Study(
        name="im2col",
        chapter=chapters.CONVOLUTION,
        title=Text("im2col: a convolution as a product of matrices", "im2col：行列の積としての畳み込み"),
        claim=Text(
            "With every window as a row of a matrix, a convolution is one product of matrices. col2im is the adjoint, "
            "not the inverse: it adds each number back to its pixel.",
            "窓を行に並べた行列を作ると、畳み込みは一つの行列の積になる。col2im "
            "は逆ではなく随伴であり、各数を元の画素に足し戻す。",
        ),
        formula=(
            r"x \star h = \mathrm{im2col}(x)\ h",
            r"\sum \mathrm{im2col}(x) \odot c = \sum x \odot \mathrm{col2im}(c)",
        ),
        setting=Text(
            "Two images of 4 × 4 with one channel, windows of 3 × 3, stride 1, no padding.",
            "4 × 4、1 チャネルの画像 2 枚、窓 3 × 3、ストライド 1、パディングなし。",
        ),
        run=_unfolded,
    ),
)

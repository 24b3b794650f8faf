"""Shifted images and strides."""

from __future__ import annotations

from math import inf
from typing import Any

import jax.numpy as jnp
import numpy as np

from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.images import images
from denpa.lab.studies.one_image import differing, show
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Conv1d, Conv2d, MaxPool2d

__all__ = ["STUDIES"]

_SHIFTS, _STRIDES = range(9), (1, 2, 3)


def _moved(x: np.ndarray, by: int) -> np.ndarray:
    """Images (n, height, width, channels), so many places down and to the right."""
    return np.roll(x, (by, by), axis=(1, 2))


def _convolved(x: Any, W: Any, stride: int, padding: Any = 1) -> np.ndarray:
    layer = Conv2d(W.shape[-1], W.shape[0], stride=stride, padding=padding, use_bias=False)
    return np.asarray(layer.forward({"W": jnp.asarray(W)}, jnp.asarray(x))[0])


def _apart(moved: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the outputs of a moved image are from those of the image (1, height, width, filters), moved as fits best.

    The root of the sum of squares as a share of that of y, for each filter.
    """
    reach = range(y.shape[1] // 2 + 1)
    ways = np.stack([np.sum((moved - _moved(y, by)) ** 2, axis=(0, 1, 2)) for by in reach])
    return np.sqrt(ways.min(axis=0) / np.sum(y**2, axis=(0, 1, 2)))


def _equivariance(plan: Plan) -> Result:
    digit = images(Plan()).test_x[:1]  # a small one, on a canvas where it can move without meeting the border
    canvas = np.pad(digit, ((0, 0), (4, 12), (4, 12), (0, 0)))
    W = np.stack([np.random.default_rng((s, 59)).normal(size=(3, 3, 1)) for s in plan.seeds], -1).astype(np.float32)
    outputs = {s: np.stack([_convolved(_moved(canvas, by), W, s) for by in _SHIFTS]) for s in _STRIDES}
    apart = {s: np.stack([_apart(y, ys[0]) for y in ys]) for s, ys in outputs.items()}
    pooled = np.stack([np.asarray(MaxPool2d(2).forward({}, jnp.asarray(y))[0]) for y in outputs[1]])
    lines = {
        **{f"stride {s}": values for s, values in apart.items()},
        "maximum": np.stack([_apart(y, pooled[0]) for y in pooled]),
    }
    caption = Text(
        "The outputs of a shifted digit beside the shifted outputs of the digit, as well aligned as can be; 0: the "
        "same. The maximum is over 2 × 2 after a convolution with stride 1.",
        "ずらした数字画像の出力と、数字画像の出力をずらしたものとの差（最もよく合う位置）。0 "
        "なら一致。最大はストライド 1 の畳み込み後の 2 × 2 最大プーリング。",
    )
    seen = Text(
        "A digit and the digit shifted by 2, and their outputs.", "数字画像と 2 画素ずらした画像、それぞれの出力。"
    )
    return Result(
        checks=(*_equivariance_checks(outputs, apart), *_edge_checks(digit, W, outputs[1])),
        pictures=(
            Picture("shifts", caption, _shifts_drawn(lines)),
            Picture("digit", seen, _moved_drawn(canvas, outputs)),
        ),
        rows=tuple(
            {"way": name, "shift": by, **{f"seed {s}": v for s, v in zip(plan.seeds, row, strict=True)}}
            for name, values in lines.items()
            for by, row in zip(_SHIFTS, values.tolist(), strict=True)
        ),
    )


def _equivariance_checks(outputs: dict[int, np.ndarray], apart: dict[int, np.ndarray]) -> tuple[Check, ...]:
    x, kernel = jnp.arange(1.0, 6)[None, :, None], jnp.array([1.0, 10, 100])[:, None, None]
    line = {"padding": 1, "use_bias": False, "true_convolution": True}
    row, rest = (Conv1d(1, 3, stride=s, **line).forward({"W": kernel}, x)[0].ravel() for s in (1, 2))
    sampled = [np.abs(outputs[s][0] - outputs[1][0][:, ::s, ::s]).max(axis=(0, 1, 2)) for s in _STRIDES[1:]]
    return (
        exactly(
            "1 … 5 with (1, 10, 100), strides 1 and 2: numbers of 8 that differ",
            "1 … 5 と (1, 10, 100)、ストライド 1、2：異なる数（8 個中）",
            differing(row, [12, 123, 234, 345, 450]) + differing(rest, [12, 234, 450]),
            0,
        ),
        check(
            "strides 2 and 3 less every 2nd and 3rd output of stride 1",
            "ストライド 2、3 と、ストライド 1 の一つおき、二つおきとの差",
            np.max(sampled, axis=0),
            -inf,
            1e-5,
        ),
        check("stride 1, all shifts: apart", "ストライド 1、すべてのずれ：差", apart[1].max(axis=0), -inf, 1e-5),
        check(
            "stride 2, shifts by 2, 4, 6, 8: apart",
            "ストライド 2、2、4、6、8 画素のずれ：差",
            apart[2][2::2].max(axis=0),
            -inf,
            1e-5,
        ),
        # over 20 seeds: 0.57 to 1.46
        check("stride 2, shift by 1: apart", "ストライド 2、1 画素のずれ：差", apart[2][1], 0.1, inf),
    )


def _edge_checks(digit: np.ndarray, W: Any, y: np.ndarray) -> tuple[Check, ...]:
    """What zeros around an image do; y are the outputs by stride 1 of a canvas, by shift."""
    joined = [_convolved(_moved(digit, by), W, 1, "circular") for by in _SHIFTS]
    around = [np.abs(own - _moved(joined[0], by)).max(axis=(0, 1, 2)) for by, own in enumerate(joined)]
    border = _apart(_convolved(_moved(digit, 3), W, 1), _convolved(digit, W, 1))
    means = y.mean(axis=(1, 2, 3))
    return (
        check(
            "an image that is joined at its edges, all shifts: largest difference",
            "端どうしをつないだ画像、すべてのずれ：差の最大値",
            np.max(around, axis=0),
            -inf,
            1e-5,
        ),
        # over 20 seeds: 0.26 to 0.75
        Check(
            Text("zeros around an image that moves over its edge: apart", "周囲が 0 で、端を越えてずれる画像：差"),
            border,
            low=0.1,
            contradicts=True,
        ),
        check(
            "mean over all places, all shifts: largest change",
            "全位置の平均、すべてのずれ：変化の最大値",
            np.abs(means - means[0]).max(axis=0),
            -inf,
            1e-5,
        ),
    )


def _shifts_drawn(lines: dict[str, np.ndarray]) -> Any:
    figure, panels = figure_of(len(lines), size=(2.3, 2.4))
    largest = max(float(values.max()) for values in lines.values())
    for index, (axes, (name, values)) in enumerate(zip(panels, lines.items(), strict=True)):
        curve(axes, _SHIFTS, values, index, marker="o", markersize=3)
        limits = {"ylim": (-0.1, 1.1 * largest), "xticks": _SHIFTS[::2]}
        finish(axes, "shift", "" if index else "difference", name, "", **limits)
    return figure


def _moved_drawn(canvas: np.ndarray, outputs: dict[int, np.ndarray]) -> Any:
    figure, panels = figure_of(6, 3, (2.2, 2.3))
    for row, by in enumerate((0, 2)):
        parts = {"image": _moved(canvas, by)[0, ..., 0], **{f"stride {s}": outputs[s][by, 0, ..., 0] for s in (1, 2)}}
        for axes, (title, part) in zip(panels[3 * row : 3 * row + 3], parts.items(), strict=True):
            show(axes, part, f"{title}, shift {by}", numbers="", largest=0.6 * float(np.abs(part).max()))
    return figure


STUDIES = (
    Study(
        name="translation-equivariance",
        chapter=chapters.CONVOLUTION,
        title=Text("Shifted images, and the stride as sampling", "平行移動に対する同変性とストライド"),
        claim=Text(
            "A convolution of a shifted image is the shifted convolution of the image. A stride of S is sampling "
            "every S-th output; only shifts by multiples of S then shift the output.",
            "ずらした画像の畳み込みは、畳み込みの結果をずらしたものに等しい。ストライド S は結果を S "
            "個ごとに取り出すことで、そのとき出力がずれるのは S の倍数だけずらした場合に限る。",
        ),
        formula=(r"f(g(x)) = g(f(x)), \quad g(x)_{ij} = x_{i-a,\ j-b}", r"u^{(S)}_{ij} = u^{(1)}_{Si,\ Sj}"),
        setting=Text(
            "A digit of 8 × 8 on a canvas of 24 × 24, filters of 3 × 3 with entries N(0, 1), one zero around.",
            "24 × 24 の中の 8 × 8 の数字画像、3 × 3 のフィルタ（要素は N(0, 1)）、周囲に 0 を一つ。",
        ),
        run=_equivariance,
        remark=Text(
            "Zeros around the image break it where something meets the edge. That a cat is a cat wherever it sits is "
            "another thing, invariance: it takes pooling, here the mean over all places.",
            "画像の端に触れるものがあると、周囲の 0 のため成り立たない。またどこにあっても同じ物と認識されるのは不変性"
            "であり、プーリング（ここでは全位置の平均）による。",
        ),
        contradicts=True,
    ),
)

"""From a small image to a large one: unpooling, the way back through a pooling, the transposed convolution."""

from __future__ import annotations

from math import inf
from typing import Any

import jax.numpy as jnp
import numpy as np

from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.images import images
from denpa.lab.studies.one_image import back, differing, show, through
from denpa.lab.studies.plots import figure_of
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, Unpool2d

__all__ = ["STUDIES"]

_POOL = MaxPool2d(2)
_SMALL = np.array([[1, 2], [3, 4]], float)
_OVERLAPPED = [[1, 1, 3, 2, 2], [1, 1, 3, 2, 2], [4, 4, 10, 6, 6], [3, 3, 7, 4, 4], [3, 3, 7, 4, 4]]
_LARGE = ConvTranspose2d(1, 3, stride=2, use_bias=False)


def _enlarged(images: Any) -> dict[str, np.ndarray]:
    """Images (n, height, width, 1), pooled and made large again in four ways, each (n, height, width, 1)."""
    pooled, _ = _POOL.forward({}, images)
    bilinear = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32)[..., None, None] / 16
    transposed = ConvTranspose2d(1, 4, stride=2, padding=1, use_bias=False)
    found = {
        "nearest": Unpool2d(2).forward({}, pooled)[0],
        "top left": Unpool2d(2, "top_left").forward({}, pooled)[0],
        "places remembered": MaxUnpool2d(2).forward({}, (pooled, images))[0],
        "transposed convolution": transposed.forward({"W": bilinear}, pooled)[0],
    }
    return {name: np.asarray(values) for name, values in found.items()}


def _run(plan: Plan) -> Result:
    digits = jnp.asarray(images(plan).test_x[:200])
    found = _enlarged(digits)
    errors = {name: np.sqrt(np.mean((values - digits) ** 2)) for name, values in found.items()}
    shown = {name: values[0, ..., 0] for name, values in found.items()}
    caption = Text(
        "A digit, its maxima over windows of 2 × 2, and four images made of these.",
        "数字画像、2 × 2 の窓での最大値、そこから拡大した 4 通りの画像。",
    )
    parts = Text(
        "A transposed convolution lays down the filter times each pixel, here at steps of 2, and adds where they "
        "overlap: the row and the column in the middle.",
        "転置畳み込みは画素の値を掛けたフィルタを 2 画素おきに置き、重なる中央の行と列では足し合わせる。",
    )
    return Result(
        checks=(*_by_hand(), *_adjoint(plan), *_restored(digits, found), *_errors(errors)),
        pictures=(
            Picture("digit", caption, _digit_drawn(np.asarray(digits[0, ..., 0]), shown)),
            Picture("overlap", parts, _overlap_drawn()),
        ),
        rows=tuple({"way": name, "root mean squared error": float(error)} for name, error in errors.items()),
    )


def _by_hand() -> tuple[Check, ...]:
    block = np.kron(_SMALL, np.ones((2, 2)))
    ones = ConvTranspose2d(1, 2, stride=2, use_bias=False)
    return (
        exactly(
            "transposed convolution of [[1, 2], [3, 4]] with ones: numbers of 25 that differ",
            "[[1, 2], [3, 4]] とすべて 1 のフィルタの転置畳み込み：異なる数（25 個中）",
            differing(through(_LARGE, _SMALL, np.ones((3, 3))), _OVERLAPPED),
            0,
        ),
        exactly(
            "nearest: numbers of 16 that are not those of a transposed convolution with ones, 2 × 2, stride 2",
            "最近傍：2 × 2 のすべて 1 のフィルタの転置畳み込み（ストライド 2）と異なる数（16 個中）",
            differing(through(Unpool2d(2), _SMALL), block) + differing(through(ones, _SMALL, np.ones((2, 2))), block),
            0,
        ),
    )


def _adjoint(plan: Plan) -> tuple[Check, ...]:
    """<conv x, y> = <x, transposed y>, and the transposed convolution is the convolution's way back."""
    products, ways = [], []
    convolution = Conv2d(1, 3, stride=2, use_bias=False)
    for seed in plan.seeds:
        rng = np.random.default_rng((seed, 58))
        x, y, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((7, 7), (3, 3), (3, 3)))
        large = through(_LARGE, y, kernel)
        products.append(abs(np.sum(through(convolution, x, kernel) * y) - np.sum(x * large)))
        ways.append(np.abs(back(convolution, x, y, kernel) - large).max())
    return (
        check(
            "|Σ (x ⋆ h) y − Σ x (transposed y)|, random",
            "|Σ (x ⋆ h) y − Σ x (転置畳み込み y)|、乱数",
            products,
            -inf,
            1e-4,
        ),
        check(
            "transposed convolution less the convolution's way back",
            "転置畳み込みと畳み込みの逆伝播の差",
            ways,
            -inf,
            1e-5,
        ),
    )


def _restored(digits: Any, found: dict[str, np.ndarray]) -> tuple[Check, ...]:
    pooled, saved = _POOL.forward({}, digits)
    way_back = np.asarray(_POOL.backward({}, saved, pooled)[0])
    again = {
        name: np.asarray(_POOL.forward({}, jnp.asarray(found[name]))[0])
        for name in ("nearest", "top left", "places remembered")
    }
    lit = np.asarray(pooled) > 0
    misplaced = (found["top left"] > 0) & (found["top left"] != digits)
    return (
        exactly(
            "places remembered: numbers that are not those of the pooling's way back",
            "位置を記憶：プーリングの逆伝播と異なる数",
            differing(found["places remembered"], way_back),
            0,
        ),
        exactly(
            "places remembered: values that are not the image's there",
            "位置を記憶：その位置の画像と異なる値",
            differing(found["places remembered"][way_back > 0], digits[way_back > 0]),
            0,
        ),
        check(
            "top left: share of values that are not the image's there",
            "左上：その位置の画像と異なる値の割合",
            [misplaced.sum() / lit.sum()],
            0.3,
            inf,
        ),
        exactly(
            "maxima that differ after pooling again, all three ways of unpooling",
            "再びプーリングすると異なる最大値（アンプーリング 3 通り）",
            sum(differing(values, pooled) for values in again.values()),
            0,
        ),
    )


def _errors(errors: dict[str, Any]) -> tuple[Check, ...]:
    return (
        check(
            "root mean squared error, places remembered / top left",
            "二乗平均平方根誤差の比、位置を記憶／左上",
            [errors["places remembered"] / errors["top left"]],
            -inf,
            0.9,
        ),
        check(
            "root mean squared error, transposed / nearest",
            "二乗平均平方根誤差の比、転置畳み込み／最近傍",
            [errors["transposed convolution"] / errors["nearest"]],
            -inf,
            0.95,
        ),
    )


def _digit_drawn(digit: np.ndarray, shown: dict[str, np.ndarray]) -> Any:
    parts = {"image": digit, "maximum": through(_POOL, digit), **shown}
    figure, panels = figure_of(len(parts), size=(1.7, 1.8))
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        axes.imshow(part, cmap="gray_r", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=9)
    return figure


def _overlap_drawn() -> Any:
    ones = np.ones((3, 3))
    parts = {f"{pixel}": through(_LARGE, _SMALL * (pixel == _SMALL), ones) for pixel in (1, 2, 3, 4)}
    figure, panels = figure_of(len(parts) + 2, size=(1.9, 2.0))
    show(panels[0], _SMALL, "image", largest=10)
    for axes, (title, part) in zip(panels[1:5], parts.items(), strict=True):
        show(axes, part, title, largest=10)
    show(panels[5], through(_LARGE, _SMALL, ones), "sum", largest=10)
    return figure


STUDIES = (
    Study(
        name="unpooling",
        chapter=chapters.CONVOLUTION,
        title=Text(
            "Unpooling, pooling's way back, transposed convolution", "アンプーリング・プーリングの逆伝播・転置畳み込み"
        ),
        claim=Text(
            "Unpooling makes an image larger, but unlike the way back through a maximum pooling it does not know "
            "where the maxima stood. A transposed convolution lays down its filter and adds where copies overlap.",
            "アンプーリングは画像を拡大するが、最大プーリングの逆伝播と違って最大値の位置を覚えていない。転置畳み込み"
            "はフィルタを置いていき、重なった所を足し合わせる。",
        ),
        formula=(
            r"\mathrm{nearest}: u_{Si+p,\ Sj+q} = z_{ij} \qquad \mathrm{back}: \delta_I = \sum_J "
            r"[I = \mathrm{arg\,max}_{Q_J} z]\ \delta_J",
            r"\mathrm{transposed}: u_{Si+p,\ Sj+q} \ {+}{=}\ z_{ij} h_{pq}, \quad n' = S (n - 1) + H - 2P",
        ),
        setting=Text(
            "200 test images, maxima over 2 × 2; the transposed convolution of the digit has the fixed filter (1, 3, "
            "3, 1) ⊗ (1, 3, 3, 1) / 16, stride 2, padding 1: bilinear interpolation.",
            "テスト画像 200 枚、2 × 2 の最大プーリング。数字画像の転置畳み込みは固定フィルタ (1, 3, 3, 1) ⊗ (1, 3, 3, "
            "1) / 16、ストライド 2、パディング 1（双線形補間）。",
        ),
        run=_run,
    ),
)

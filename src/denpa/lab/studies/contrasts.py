"""Local normalisations of an image: what they do to its brightness and its contrast."""

from __future__ import annotations

import functools
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check
from denpa.lab.studies.images import images
from denpa.lab.studies.plots import figure_of
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Conv2d, LocalContrastNorm, LocalResponseNorm

__all__ = ["STUDIES"]

_LAYERS = {
    "subtractive": LocalContrastNorm(5, "subtractive"),
    "divisive": LocalContrastNorm(5, "divisive"),
    "responses": LocalResponseNorm(5, alpha=1.0),
}
_ALEXNET = LocalResponseNorm()
_WITHOUT_CONSTANT = LocalResponseNorm(5, alpha=1.0, beta=0.5, k=0.0)
_ADDED, _TIMES = 0.5, 3.0


@functools.partial(jax.jit, static_argnums=0)
def _forward(layer: Any, x: Any) -> Any:
    return layer.forward({}, x)[0]


def _normalised(layer: Any, x: Any) -> np.ndarray:
    return np.asarray(_forward(layer, jnp.asarray(x, jnp.float32)))


def _change(layer: Any, x: Any, other: Any) -> float:
    """How far the outputs of two images are apart, as a share of those of the first: roots of sums of squares."""
    y = _normalised(layer, x)
    return float(np.linalg.norm(_normalised(layer, other) - y) / np.linalg.norm(y))


def _row() -> np.ndarray:
    """Four digits in a row (1, 8, 32, 1), grey on a ground of 0.1."""
    digits = images(Plan()).test_x[:4]
    return 0.1 + 0.8 * np.concatenate(list(digits), axis=1)[None]


def _light(x: np.ndarray) -> np.ndarray:
    """The image in a light that falls off from the left to the right, to a tenth."""
    return x * np.linspace(1, 0.1, x.shape[2], dtype=np.float32)[:, None]


def _run(plan: Plan) -> Result:
    row = _row()
    shown = {"image": row, "image + 0.5": row + _ADDED, "3 × image": _TIMES * row, "uneven light": _light(row)}
    filters = [np.random.default_rng((s, 60)).normal(size=(3, 3, 1, 8)).astype(np.float32) for s in plan.seeds]
    convolution = Conv2d(8, 3, use_bias=False)
    maps = [np.maximum(convolution.forward({"W": jnp.asarray(W)}, jnp.asarray(row))[0], 0) for W in filters]
    changes = {
        name: {title: _change(layer, row, other) for title, other in list(shown.items())[1:]}
        for name, layer in _LAYERS.items()
    }
    caption = Text(
        "Four digits, brighter, with more contrast and in uneven light, and what the normalisations make of them; "
        "grey: 0.",
        "数字 4 枚と、明るくしたもの、コントラストを上げたもの、不均一な照明のもの、およびそれぞれの正規化結果。灰色は"
        " 0。",
    )
    return Result(
        checks=(*_subtractive_checks(row), *_divisive_checks(row), *_response_checks(maps)),
        pictures=(Picture("images", caption, _drawn(shown)),),
        rows=tuple({"normalisation": name, **own} for name, own in changes.items()),
    )


def _subtractive_checks(row: np.ndarray) -> tuple[Check, ...]:
    layer = _LAYERS["subtractive"]
    return (
        check(
            "subtractive: change with image + 0.5",
            "減算正規化：画像 + 0.5 での変化",
            _change(layer, row, row + _ADDED),
            -inf,
            1e-5,
        ),
        check(
            "subtractive: |change with 3 × image − 2|",
            "減算正規化：|画像 × 3 での変化 − 2|",
            abs(_change(layer, row, _TIMES * row) - 2),
            -inf,
            1e-5,
        ),
    )


def _divisive_checks(row: np.ndarray) -> tuple[Check, ...]:
    divisive: Any = _LAYERS["divisive"]
    y, saved = divisive.forward({}, jnp.asarray(row, jnp.float32))
    above = np.asarray(saved["deviation"]) > divisive.floor
    brighter, fainter = _change(divisive, row, row + _ADDED), _change(divisive, row, row / 100)
    apart = np.abs(_normalised(divisive, _TIMES * row) - y)
    flat = np.full((1, 8, 8, 1), 0.7, np.float32)
    uniform = [np.abs(_normalised(layer, flat)).max() for layer in (_LAYERS["subtractive"], divisive)]
    alike = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in ((_light(row), row), (_normalised(divisive, _light(row)), y))
    ]
    return (
        check("divisive: change with image + 0.5", "除算正規化：画像 + 0.5 での変化", brighter, -inf, 1e-4),
        check(
            "divisive: largest change with 3 × image where s > c",
            "除算正規化：s > c の所での画像 × 3 による変化の最大値",
            apart[above].max(),
            -inf,
            1e-4,
        ),
        check("share of places where s ≤ c", "s ≤ c の所の割合", np.mean(~above), -inf, 0.05),
        check("divisive: change with image / 100", "除算正規化：画像／100 での変化", fainter, 0.3, inf),
        check("uniform image: largest value of both", "一様な画像：両者の最大値", uniform, -inf, 1e-5),
        check(
            "uneven light: correlation of the images with even light",
            "不均一な照明：均一な照明の画像との相関",
            alike[0],
            -inf,
            0.9,
        ),
        check("the same, divisive", "同じく、除算正規化後", [alike[1]], 0.95, inf),
    )


def _response_checks(maps: list[np.ndarray]) -> tuple[Check, ...]:
    layer = _LAYERS["responses"]
    return (  # over 20 seeds: 0.28 to 1.28; 0.32 to 0.57; 0; 0; 0.0001 to 0.0008
        check(
            "responses of 8 maps: change with maps + 0.5",
            "局所応答正規化、特徴マップ 8 枚：+ 0.5 での変化",
            [_change(layer, m, m + _ADDED) for m in maps],
            0.1,
            inf,
        ),
        check(
            "responses: change with 3 × maps",
            "局所応答正規化：特徴マップ × 3 での変化",
            [_change(layer, m, _TIMES * m) for m in maps],
            0.1,
            inf,
        ),
        check(
            "responses with c = 0, β = 1/2: change with 3 × maps",
            "局所応答正規化、c = 0、β = 1/2：特徴マップ × 3 での変化",
            [_change(_WITHOUT_CONSTANT, m + _ADDED, _TIMES * (m + _ADDED)) for m in maps],
            -inf,
            1e-5,
        ),
        check(
            "responses: least value where all maps are 0 or more",
            "局所応答正規化：特徴マップが 0 以上のときの最小値",
            [_normalised(layer, m).min() for m in maps],
            0,
            inf,
        ),
        check(
            "responses with α = 0.0001, c = 2: distance from maps / 2^0.75",
            "局所応答正規化、α = 0.0001、c = 2：特徴マップ／2^0.75 との差",
            [np.linalg.norm(_normalised(_ALEXNET, m) * 2**0.75 - m) / np.linalg.norm(m) for m in maps],
            -inf,
            0.01,
        ),
    )


def _drawn(shown: dict[str, np.ndarray]) -> Any:
    columns = {"image": None, **_LAYERS}
    figure, panels = figure_of(len(shown) * len(columns), len(columns), (2.7, 1.0))
    ways = [(title, x, name) for title, x in shown.items() for name in columns]
    limits = {"image": 1.5, "subtractive": 1.2, "divisive": 2.5, "responses": 1.0}
    for number, (axes, (title, x, name)) in enumerate(zip(panels, ways, strict=True)):
        layer = columns[name]
        values = x if layer is None else _normalised(layer, x)
        axes.imshow(values[0, ..., 0], cmap="gray", vmin=-limits[name], vmax=limits[name])
        axes.set(xticks=[], yticks=[])
        if number < len(columns):
            axes.set_title(name, fontsize=9)
        if name == "image":
            axes.set_ylabel(title, fontsize=7, rotation=0, ha="right", va="center")
    return figure


STUDIES = (
    Study(
        name="local-normalisation",
        chapter=chapters.CONVOLUTION,
        title=Text("Local normalisation of an image", "画像の局所的な正規化"),
        claim=Text(
            "Subtracting the local mean makes an image independent of a constant added to it; dividing by the local "
            "deviation as well makes it independent of a factor too. Local response normalisation subtracts nothing "
            "and depends on both.",
            "局所平均を引く（減算正規化）と、画像に定数を加えても結果は変わらない。さらに局所標準偏差で割る（除算正規"
            "化）と、定数倍しても変わらない。局所応答正規化は何も引かないので、どちらでも変わる。",
        ),
        formula=(
            r"\bar x_{ij} = \sum_{pq} w_{pq} x_{i+p,\ j+q}",
            r"s_{ij}^2 = \sum_{pq} w_{pq} (x_{i+p,\ j+q} - \bar x_{ij})^2",
            r"z = x - \bar x, \qquad z = (x - \bar x) / \max(s, c)",
            r"z_k = x_k \left( c + \alpha \sum_{m = \max(0,\ k - \lfloor N/2 \rfloor)}"
            r"^{\min(K - 1,\ k + \lfloor N/2 \rfloor)} x_m^2 \right)^{-\beta}",
        ),
        setting=Text(
            "Four digits in a row; Gaussian windows of 5 × 5, c = 0.01; responses with N = 5, α = 1, β = 0.75, c = 2 "
            "of the row, and of 8 maps of random filters of 3 × 3 with ReLU.",
            "数字 4 枚の並び。5 × 5 のガウス窓、c = 0.01。局所応答正規化は N = 5、α = 1、β = 0.75、c = 2 "
            "で、この画像と、3 × 3 の乱数フィルタと ReLU による 8 枚の特徴マップに適用。",
        ),
        run=_run,
        remark=Text(
            "The floor c ends the independence of a factor where the deviation is small. With the published constant "
            "α = 0.0001, responses near 1 are all but divided by 2^0.75 and not normalised at all: it was made for "
            "large ones. Only without the constant c, and with β = 1/2, does a factor cancel.",
            "標準偏差が下限 c より小さい所では、定数倍すると結果が変わる。論文の定数 α = 0.0001 では、1 "
            "程度の応答はほぼ 2^0.75 で割られるだけで正規化されない。大きな応答を前提とした値である。c = 0、β = 1/2 "
            "のときに限り定数倍が打ち消される。",
        ),
    ),
)

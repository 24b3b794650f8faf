"""The pixels that a unit sees."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.init import Constant
from denpa.lab.receptive_field import receptive_field
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import exactly
from denpa.lab.studies.one_image import differing, frame, show
from denpa.lab.studies.plots import figure_of
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import AveragePool2d, Conv1d, Conv2d
from denpa.networks import Sequential

__all__ = ["STUDIES"]

_ONES = {"kernel_init": Constant(1.0), "padding": "same", "use_bias": False}
_STACKS = {
    "3 × 3": (Conv2d(1, 3, **_ONES),),
    "3 × 3, 3 × 3": (Conv2d(1, 3, **_ONES),) * 2,
    "3 × 3, 3 × 3, 3 × 3": (Conv2d(1, 3, **_ONES),) * 3,
    "dilation 2": (Conv2d(1, 3, dilation=2, **_ONES),),
    "stride 2, 3 × 3": (Conv2d(1, 3, stride=2, **_ONES), Conv2d(1, 3, **_ONES)),
    "3 × 3, average 2, 3 × 3": (Conv2d(1, 3, **_ONES), AveragePool2d(2), Conv2d(1, 3, **_ONES)),
}
_PIXELS = 16


def _fields(plan: Plan) -> Result:
    centre, corner = {}, {}
    for name, layers in _STACKS.items():
        net = Sequential(layers)
        *_, (last, _) = net.inner()
        middle = net.out_shape((_PIXELS, _PIXELS, 1))[0] // 2
        for found, unit in ((centre, (middle, middle)), (corner, (0, 0))):
            found[name] = _delta(net, unit), receptive_field(net, (_PIXELS, _PIXELS, 1), last, unit)
    rows = [
        {
            "layers": name,
            "unit": place,
            "rows": f"{field.rows[0]}-{field.rows[1]}",
            "size": field.size[0],
            "step": field.step[0],
        }
        for place, found in (("centre", centre), ("corner", corner))
        for name, (_, field) in found.items()
    ]
    caption = Text(
        "The delta that a single unit in the middle hands to every pixel, all weights 1; framed: the receptive field "
        "reckoned from the description of the layers.",
        "中央の 1 ユニットから各画素に伝わるデルタ（重みはすべて 1）。枠は層の設定から計算した受容野。",
    )
    return Result(
        checks=_field_checks(centre, corner),
        pictures=(Picture("fields", caption, _fields_drawn(centre)),),
        rows=tuple(rows),
    )


def _delta(net: Sequential, unit: tuple[int, int]) -> np.ndarray:
    """What the unit alone hands down to each pixel (height, width)."""
    params = net.init(jax.random.key(0), (_PIXELS, _PIXELS, 1)).params
    y, saved = net.forward(params, jnp.zeros((1, _PIXELS, _PIXELS, 1)))
    dx, _ = net.backward(params, saved, jnp.zeros_like(y).at[(0, *unit)].set(1.0))
    return np.asarray(dx)[0, ..., 0]


def _outside(delta: np.ndarray, field: Any) -> int:
    """How many of the field's four edges are not those of the pixels that get a delta."""
    rows, columns = np.nonzero(delta)
    return differing((rows.min(), rows.max(), columns.min(), columns.max()), (*field.rows, *field.columns))


def _field_checks(centre: dict[str, Any], corner: dict[str, Any]) -> tuple[Check, ...]:
    layer = Conv1d(1, 3, padding=1)
    params = layer.init(jax.random.key(0), (5, 1))
    _, saved = layer.forward(params, jnp.ones((1, 5, 1)))
    alone, _ = layer.backward(params, saved, jnp.zeros((1, 5, 1)).at[0, 2].set(1.0))
    three = centre["3 × 3, 3 × 3, 3 × 3"]
    first, left = three[1].rows[0], three[1].columns[0]
    return (
        exactly(
            "S₃: inputs of x₁ … x₅ that should get a delta and do not, or the reverse",
            "x₁ … x₅ のうち S₃ のデルタの有無が x₂, x₃, x₄ と異なる数",
            differing(np.asarray(alone).ravel() != 0, [False, True, True, True, False]),
            0,
        ),
        *(
            exactly(
                f"{english}: edges of {4 * len(found)} that are not where the deltas end",
                f"{japanese}：デルタの端と異なる受容野の端（{4 * len(found)} 個中）",
                sum(_outside(*pair) for pair in found.values()),
                0,
            )
            for english, japanese, found in (
                ("unit in the middle", "中央のユニット", centre),
                ("unit in the corner", "隅のユニット", corner),
            )
        ),
        exactly(
            "size of the field after 1, 2, 3 layers less 2n + 1",
            "1、2、3 層後の受容野の大きさ − (2n + 1)",
            [centre[", ".join(["3 × 3"] * n)][1].size[0] - (2 * n + 1) for n in (1, 2, 3)],
            0,
        ),
        exactly(
            "three layers: delta of the middle pixel / of a corner of the field",
            "3 層：中央の画素のデルタ／受容野の隅のデルタ",
            [three[0].max() / three[0][first, left]],
            49,
        ),
    )


def _fields_drawn(centre: dict[str, Any]) -> Any:
    figure, panels = figure_of(len(centre), 3, (2.5, 2.6))
    for axes, (name, (delta, field)) in zip(panels, centre.items(), strict=True):
        show(axes, delta, name, numbers="", largest=0.6 * float(delta.max()))
        frame(axes, field.rows[0], field.columns[0], np.ptp(field.rows) + 1, np.ptp(field.columns) + 1)
    return figure


STUDIES = (
    Study(
        name="receptive-field",
        chapter=chapters.CONVOLUTION,
        title=Text("The receptive field", "受容野"),
        claim=Text(
            "A unit sees a few pixels only, more with every layer, and far more where layers have strides or pool.",
            "ユニットが見ているのは一部の画素だけである。層を重ねるごとに広がり、ストライドやプーリングがあると急に広がる。",
        ),
        formula=(
            r"\frac{\partial S_3}{\partial x_i} = 0 \quad (i \neq 2, 3, 4)",
            r"r_l = r_{l-1} + (H_l - 1)\ d_l \prod_{k<l} S_k",
        ),
        setting=Text(
            "An image of 16 × 16, filters of 3 × 3, all weights 1, as many outputs as inputs where the stride is 1.",
            "16 × 16 の画像、3 × 3 のフィルタ、重みはすべて 1、ストライド 1 では出力は入力と同じ大きさ。",
        ),
        run=_fields,
        remark=Text(
            "Not all pixels of the field count the same: more ways lead to those in the middle.",
            "受容野の画素の影響は等しくない。中央の画素ほど多くの経路でつながっている。",
        ),
    ),
)

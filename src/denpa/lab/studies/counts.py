"""How many weights a layer has: every input to every output, few inputs to each, the same few weights for all."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from denpa.core.layer import Layer, Variables
from denpa.gradients import backprop
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Conv1d, Dense
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential

__all__ = ["STUDIES"]

_UNITS, _REACH, _BATCH = 5, 3, 4
_SIZES = (5, 10, 28, 100, 784)
_LOSS = MeanSquaredError(reduction="sum")
_KINDS = ("dense", "sparse", "shared")


def _layers(units: int) -> dict[str, tuple[Layer, tuple[int, ...]]]:
    """For each kind a layer from `units` inputs to as many outputs without biases, and the shape of an example.

    The sparse layer sees the window of each output as a channel, and no channel but its own.
    """
    return {
        "dense": (Dense(units, use_bias=False), (units,)),
        "sparse": (Conv1d(units, _REACH, groups=units, use_bias=False), (_REACH, units)),
        "shared": (Conv1d(1, _REACH, padding="same", use_bias=False), (units, 1)),
    }


def _count(layer: Layer, in_shape: tuple[int, ...]) -> int:
    """The numbers in its parameters, without making them."""
    shapes = jax.eval_shape(lambda: Sequential((layer,)).init(jax.random.key(0), in_shape)).params
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def _inputs(x: np.ndarray) -> dict[str, np.ndarray]:
    """x (batch, units) as each kind takes it; the windows reach beyond the border, where 0 stands."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1))), _REACH, axis=1)
    return {"dense": x, "sparse": np.swapaxes(windows, 1, 2), "shared": x[..., None]}


class _Same(NamedTuple):
    """The three layers with weights by which they compute the same, for one seed.

    Args:
        weights: W of each.
        outputs: (batch, units) of each.
        grads: ∂E/∂W of each.
    """

    weights: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    grads: dict[str, np.ndarray]


def _same(seed: int) -> _Same:
    rng = np.random.default_rng(seed)
    kernel, x, t = rng.normal(size=_REACH), rng.normal(size=(_BATCH, _UNITS)), rng.normal(size=(_BATCH, _UNITS))
    weights = {
        "dense": sum(np.eye(_UNITS, k=1 - place) * weight for place, weight in enumerate(kernel)),
        "sparse": np.tile(kernel[:, None, None], (1, 1, _UNITS)),
        "shared": kernel[:, None, None],
    }
    outputs, grads, inputs = {}, {}, _inputs(x)
    with jax.enable_x64(True):
        for kind, (layer, _) in _layers(_UNITS).items():
            net, entering = Sequential((("layer", layer),)), inputs[kind]
            shape = {"dense": (_BATCH, _UNITS), "sparse": (_BATCH, 1, _UNITS), "shared": (_BATCH, _UNITS, 1)}[kind]
            variables = Variables({"layer": {"W": np.asarray(weights[kind])}}, {})
            step = backprop(net, _LOSS, variables, entering, t.reshape(shape))
            outputs[kind] = np.asarray(step.output).reshape(_BATCH, _UNITS)
            grads[kind] = np.asarray(step.grads["layer"]["W"])
    return _Same(weights, outputs, grads)


def _diagonals(dense: np.ndarray) -> np.ndarray:
    """Of a matrix (inputs, outputs) the entries that the sparse layer has: (reach, outputs), 0 beyond the border."""
    wide = np.pad(dense, ((1, 1), (0, 0)))
    return np.stack([wide[j : j + _REACH, j] for j in range(_UNITS)], axis=1)


def _counted(plan: Plan) -> Result:
    counts = {size: {kind: _count(*part) for kind, part in _layers(size).items()} for size in _SIZES}
    found = [_same(seed) for seed in plan.seeds]
    caption = Text(
        "Rows: inputs, columns: outputs; each colour is a number of its own, white is no connection; numbers 1 and 15 "
        "of the sparse layer lie beyond the border. Right: how many there are, three inputs to each output.",
        "行：入力、列：出力。色ごとに別の数、白は結合なし（疎結合の 1 と 15 "
        "は境界の外）。右：層の大きさと重みの数（出力ごとに入力 3 個）。",
    )
    return Result(
        checks=(*_count_checks(counts), *_same_checks(found)),
        pictures=(Picture("matrices", caption, _drawn(counts)),),
        rows=tuple({"inputs": size, "outputs": size, "reach": _REACH, **row} for size, row in counts.items()),
    )


def _drawn(counts: dict[int, dict[str, int]]) -> Any:
    figure, panels = figure_of(4, size=(2.9, 2.7))
    places = np.subtract.outer(np.arange(_UNITS), np.arange(_UNITS)) + 1  # which weight of the kernel
    near = (places >= 0) & (places < _REACH)
    numbers = {
        "dense": np.arange(_UNITS**2).reshape(_UNITS, _UNITS),
        "sparse": np.where(near, places + _REACH * np.arange(_UNITS), np.nan),
        "shared": np.where(near, places, np.nan),
    }
    for axes, (kind, shown) in zip(panels, numbers.items(), strict=False):
        axes.imshow(shown, cmap="viridis", vmin=0, vmax=np.nanmax(shown))
        for (row, column), number in np.ndenumerate(shown):
            if np.isfinite(number):
                colour = "white" if number < 0.6 * np.nanmax(shown) else "black"
                axes.text(column, row, f"{number + 1:.0f}", ha="center", va="center", fontsize=8, color=colour)
        axes.set(xticks=[], yticks=[], xlabel="output unit", ylabel="input unit" if kind == "dense" else "")
        axes.set_title(f"{kind}, {counts[_UNITS][kind]}", fontsize=10)
    panels[-1].set_yscale("log")
    for index, kind in enumerate(_KINDS):
        curve(panels[-1], _SIZES, [counts[size][kind] for size in _SIZES], index, kind, marker="o", markersize=4)
    finish(panels[-1], "units", "weights", legend="upper left", xscale="log", ylim=(1, 1e9))
    return figure


def _count_checks(counts: dict[int, dict[str, int]]) -> tuple[Check, ...]:
    five = counts[_UNITS]
    off = [
        counts[n][kind] - wanted
        for n in _SIZES
        for kind, wanted in zip(_KINDS, (n * n, _REACH * n, _REACH), strict=True)
    ]
    return (
        exactly("dense, 5 to 5: weights", "全結合、5 対 5：重みの数", five["dense"], 25),
        exactly("sparse, 3 to each: weights", "疎結合、出力ごとに 3：重みの数", five["sparse"], 15),
        exactly("shared: weights", "重み共有：重みの数", five["shared"], 3),
        exactly("5 to 784 units: counts less N M, K M, K", "5〜784 ユニット：重みの数と N M、K M、K の差", off, 0),
    )


def _same_checks(found: list[_Same]) -> tuple[Check, ...]:
    outputs = [max(np.max(np.abs(one.outputs[k] - one.outputs["dense"])) for k in _KINDS) for one in found]
    parts = [np.max(np.abs(one.grads["sparse"][:, 0] - _diagonals(one.grads["dense"]))) for one in found]
    sums = [np.max(np.abs(one.grads["shared"][:, 0, 0] - one.grads["sparse"][:, 0].sum(axis=1))) for one in found]
    used = [np.count_nonzero(one.grads["sparse"]) for one in found]
    return (
        check(
            "with weights alike: outputs of the three, largest difference",
            "重みを揃えた 3 層の出力の差",
            outputs,
            0,
            1e-13,
        ),
        check(
            "gradient of sparse less its part of dense", "疎結合の勾配と、全結合の勾配の該当部分との差", parts, 0, 1e-12
        ),
        check(
            "gradient of shared less the sum over sparse", "共有重みの勾配と、疎結合の勾配の和との差", sums, 0, 1e-12
        ),
        exactly("sparse: weights that ever get a gradient", "疎結合：勾配を受ける重みの数", used, 13),
    )


STUDIES = (
    Study(
        name="parameter-count",
        chapter=chapters.UNITS,
        title=Text("Weights of dense, sparse and shared connections", "全結合・疎結合・重み共有の重みの数"),
        claim=Text(
            "From N inputs to M outputs a dense layer has N M weights; K inputs to each output leave K M; one set of "
            "them for all outputs, which is convolution, leaves K, however large the layer. The gradient of a shared "
            "weight is the sum over the places where it is used.",
            "N 入力 M 出力の重みは、全結合なら N M 個、出力ごとに K 入力なら K M "
            "個、それを全出力で共有すれば（畳み込み）層の大きさによらず K 個である。共有重みの勾配は、使われる場所につ"
            "いての和になる。",
        ),
        formula=(
            r"N M \geq K M \geq K \qquad "
            r"\frac{\partial E}{\partial k_p} = \sum_j \frac{\partial E}{\partial w_{j+p,\,j}}",
        ),
        setting=Text(
            "N = M = 5, K = 3, no biases: Dense, a Conv1d with a group for each output over its windows, and a "
            "Conv1d. One kernel N(0, 1) put into all three; four examples, squared error, float64.",
            "N = M = 5、K = 3、バイアスなし：Dense、出力ごとに 1 群の Conv1d（窓に分けた入力）、Conv1d。同じカーネル "
            "N(0, 1) を 3 つに入れる。例は 4 個、二乗誤差、float64。",
        ),
        run=_counted,
        remark=Text(
            "Of the 15 weights of the sparse layer 13 connect anything: the outputs at the two ends reach one step "
            "beyond the border, where 0 stands, so that their outer weight never gets a gradient. Sharing saves "
            "numbers, not multiplications.",
            "疎結合の 15 個のうち実際に結合しているのは 13 個である。両端の出力は境界の外（値 "
            "0）に届くため、その外側の重みは勾配を受けない。また重み共有で減るのは数の個数であり、乗算の回数ではない。",
        ),
    ),
)

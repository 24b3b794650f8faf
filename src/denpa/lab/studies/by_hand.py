"""A forward pass reckoned by hand, array by array, and one step of gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from denpa.core.layer import Variables
from denpa.gradients import Trace, backprop, trace
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.drawn import variables_of
from denpa.lab.studies.plots import COLOURS, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, Identity, ReLU, Softmax
from denpa.losses import CrossEntropy, MeanSquaredError
from denpa.networks import Sequential

__all__ = ["STUDIES"]

_REGRESSION = Sequential(
    (("u1", Dense(10)), ("z1", ReLU()), ("u2", Dense(5)), ("z2", ReLU()), ("u3", Dense(4)), ("y", Identity()))
)
_CLASSES = Sequential((("u1", Dense(10)), ("z1", ReLU()), ("u2", Dense(4)), ("y", Softmax())))
_UNITS, _RATE = (("z1", 10), ("z2", 5), ("y", 4)), 0.01


class _Passes(NamedTuple):
    """Both networks with one example, in float64.

    Args:
        x, d: one example (1, 3) and its class as a one-hot row (1, 4).
        values, classes: what was met in the network of regression and in that of classification.
        after: E of classification after a step with each of `_rates()`.
    """

    x: np.ndarray
    d: np.ndarray
    params: Any
    values: Trace
    classes: Trace
    after: np.ndarray

    @property
    def squared_slope(self) -> float:
        """‖∇E‖² of classification: how fast E falls at first along the way down."""
        return sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(self.classes.grads))


def _rates() -> np.ndarray:
    return np.unique(np.append(np.geomspace(1e-4, 10, 21), _RATE))


def _passes(seed: int) -> _Passes:
    rng, loss = np.random.default_rng(seed), CrossEntropy()
    with jax.enable_x64(True):
        x, d = rng.normal(size=(1, 3)), np.eye(4)[[rng.integers(4)]]
        plain, branched = (variables_of(net, (3,), rng.random) for net in (_REGRESSION, _CLASSES))
        values = trace(_REGRESSION, MeanSquaredError(), plain, x, rng.normal(size=(1, 4)))
        classes = trace(_CLASSES, loss, branched, x, d)
        after = []
        for rate in _rates():
            moved = jax.tree.map(lambda w, slope, rate=rate: w - rate * slope, branched.params, classes.grads)
            after.append(float(backprop(_CLASSES, loss, Variables(moved, {}), x, d).loss))
        values, classes = jax.tree.map(np.asarray, (values, classes))
        return _Passes(x, d, (plain.params, branched.params), values, classes, np.array(after))


def _reckoned(p: Any, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """The network of regression by hand: z₁, z₂, y."""
    z1 = np.maximum(x @ p["u1"]["W"] + p["u1"]["b"], 0)
    z2 = np.maximum(z1 @ p["u2"]["W"] + p["u2"]["b"], 0)
    return z1, z2, z2 @ p["u3"]["W"] + p["u3"]["b"]


def _chances(p: Any, x: np.ndarray) -> np.ndarray:
    """The network of classification by hand: y."""
    e = np.exp(np.maximum(x @ p["u1"]["W"] + p["u1"]["b"], 0) @ p["u2"]["W"] + p["u2"]["b"])
    return e / e.sum()


def _forward(plan: Plan) -> Result:
    found = [_passes(seed) for seed in plan.seeds]
    tables = Text(
        f"Seed {plan.seeds[0]}: beside each row of W the input that multiplies it; below, in colour, the bias, the sum "
        "u = xW + b, and the output.",
        f"シード {plan.seeds[0]}：W の各行の左はその行に掛かる入力。下の色付きの行はバイアス、"
        "総入力 u = xW + b、出力。",
    )
    step = Text(
        "Left: the error after one step from the same weights, by learning rate. Right: the probabilities before and "
        f"after a step with the rate {_RATE} (seed {plan.seeds[0]}, true class marked).",
        f"左：同じ重みから 1 回更新した後の誤差（学習率ごと）。右：学習率 {_RATE} での更新前後の確率"
        f"（シード {plan.seeds[0]}、★は正解クラス）。",
    )
    return Result(
        checks=(*_forward_checks(found), *_step_checks(found)),
        pictures=(Picture("arrays", tables, _arrays_drawn(found[0])), Picture("step", step, _step_drawn(found))),
        rows=tuple(
            {
                "network": kind,
                "array": f"{path}/{name}",
                "shape": " x ".join(map(str, array.shape)),
                "numbers": array.size,
            }
            for kind, params in zip(("regression", "classification"), found[0].params, strict=True)
            for path, own in params.items()
            for name, array in own.items()
        ),
    )


def _arrays_drawn(found: _Passes) -> Any:
    from matplotlib.colors import ListedColormap

    figure, panels = figure_of(3, size=(4.4, 4.6))
    tints = ListedColormap(["#ffffff", "#eeeeee", "#fde6d5", "#d9f0e8"])
    for number, axes in enumerate(panels, 1):
        affine, curved = found.values[f"u{number}"], found.values["y" if number == 3 else f"z{number}"]
        own = found.params[0][f"u{number}"]
        rows = np.concatenate([own["W"], own["b"][None], affine.y, curved.y])
        kinds = [0] * len(own["W"]) + [1, 2, 3]
        axes.imshow(
            np.repeat(np.array(kinds)[:, None], rows.shape[1], axis=1), cmap=tints, aspect="auto", vmin=0, vmax=3
        )
        for (row, column), value in np.ndenumerate(rows):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7)
        letter = "x" if number == 1 else "z"
        inputs = [f"${letter}_{{{i}}}$ = {value:.2f}" for i, value in enumerate(affine.x[0], 1)]
        outputs = ["b", "u", "y = u" if number == 3 else "z = max(0, u)"]
        axes.set_yticks(range(len(rows)), [*inputs, *outputs], fontsize=7)
        axes.set_xticks([])
        axes.set_title(f"$W^{{({number})}}$: {own['W'].shape[0]} x {own['W'].shape[1]}", fontsize=10)
    return figure


def _step_drawn(found: list[_Passes]) -> Any:
    figure, (left, right) = figure_of(2, size=(4.8, 3.2))
    rates, first = _rates(), found[0]
    curve(left, rates, np.stack([passes.after for passes in found], axis=1), 0, "after one step")
    before = float(np.mean([passes.classes.loss for passes in found]))
    straight = before - rates * float(np.mean([passes.squared_slope for passes in found]))
    left.plot(
        rates[straight > 0], straight[straight > 0], "--", color=COLOURS[1], label="$E - \\eta \\Vert\\nabla E\\Vert^2$"
    )
    left.axvline(_RATE, color="#555555", linewidth=0.8)
    finish(left, "learning rate", "error", xscale="log")
    with jax.enable_x64(True):
        moved = jax.tree.map(lambda w, dw: w - _RATE * dw, first.params[1], first.classes.grads)
        shares = {"before": first.classes.output[0], "after one step": np.asarray(_chances(moved, first.x))[0]}
    for index, (name, share) in enumerate(shares.items()):
        right.bar(np.arange(4) + 0.4 * index - 0.2, share, 0.4, color=COLOURS[index], label=name)
    truth = int(np.argmax(first.d))
    right.plot(truth, 0.05 + max(share[truth] for share in shares.values()), "k*", markersize=9)
    finish(
        right,
        "class",
        "probability",
        xticks=range(4),
        ylim=(0, 1.5 * max(map(np.max, shares.values()))),
        legend="upper right",
    )
    return figure


def _forward_checks(found: list[_Passes]) -> tuple[Check, ...]:
    counts = [sum(a.size for a in jax.tree.leaves(p.params[0])) for p in found]
    by_hand = [
        max(np.max(np.abs(z - passes.values[name].y)) for z, name in zip(hand, ("z1", "z2", "y"), strict=True))
        for passes in found
        for hand in [_reckoned(passes.params[0], passes.x)]
    ]
    far = [np.max(np.abs(_reckoned(p.params[0], 1000 * np.abs(p.x))[-1])) for p in found]
    chances = np.concatenate([passes.classes.output for passes in found])
    shares = [np.max(np.abs(p.classes.output - _chances(p.params[1], p.x))) for p in found]
    loss = [float(p.classes.loss) + np.log(np.sum(p.classes.output * p.d)) for p in found]
    return (
        *(exactly(f"numbers in {n}", f"{n} の要素数", [p.values[n].y.size for p in found], size) for n, size in _UNITS),
        exactly("parameters of 3-10-5-4", "3-10-5-4 のパラメータ数", counts, 119),
        check("3-10-5-4: layers less the sums by hand", "3-10-5-4：各層と手計算の差", by_hand, -1e-12, 1e-12),
        check("regression: largest output for 1000 |x|", "回帰：入力 1000 |x| での出力の最大値", far, 1000, np.inf),
        check(
            "classification: sum of the outputs less 1", "分類：出力の和 − 1", chances.sum(axis=1) - 1, -1e-15, 1e-15
        ),
        check("classification: least output", "分類：最小の出力", chances.min(axis=1), 1e-9, 1),
        check("classification: outputs less those by hand", "分類：出力と手計算の差", shares, -1e-14, 1e-14),
        check(
            "cross-entropy + log of the true class's chance",
            "交差エントロピー ＋ 正解の確率の対数",
            loss,
            -1e-14,
            1e-14,
        ),
    )


def _step_checks(found: list[_Passes]) -> tuple[Check, Check]:
    place = int(np.argmin(np.abs(_rates() - _RATE)))
    fallen = np.array([float(passes.classes.loss) - passes.after[place] for passes in found])
    predicted = np.array([_RATE * passes.squared_slope for passes in found])
    return (  # over 5 seeds: 0.025 to 0.32; 0.96 to 1.00
        check(
            f"fall of the error by a step, η = {_RATE}", f"更新 1 回での誤差の減少（η = {_RATE}）", fallen, 1e-6, np.inf
        ),
        check("this fall / η ‖∇E‖²", "その減少／η ‖∇E‖²", fallen / predicted, 0.5, 1.0),
    )


STUDIES = (
    Study(
        name="forward-pass",
        chapter=chapters.UNITS,
        title=Text(
            "Forward pass, cross-entropy and a gradient step by hand", "順伝播・交差エントロピー・更新 1 回を手で計算"
        ),
        claim=Text(
            "A network is sums and one function after another: each layer takes a row of numbers and gives one, as "
            "many as it has units. Without an activation at the end outputs are any numbers; softmax makes them "
            "probabilities, whose cross-entropy is -log of that of the true class, and a small step against the "
            "gradient lowers it.",
            "ネットワークは積和と関数の繰り返しである。各層は数の並びを受け取り、ユニット数だけの数を出す。最後が恒等"
            "写像なら出力は任意の実数、ソフトマックスなら確率で、交差エントロピーは正解クラスの確率の −log "
            "となる。勾配と逆向きの小さな 1 歩でそれは減少する。",
        ),
        formula=(
            r"z_1 = \max(0, x W^{(1)} + b^{(1)}), \quad z_2 = \max(0, z_1 W^{(2)} + b^{(2)}), \quad "
            r"y = z_2 W^{(3)} + b^{(3)}",
            r"y = \mathrm{softmax}(z_1 W^{(2)} + b^{(2)}), \quad E = -\sum_k d_k \log y_k, \quad "
            r"w \leftarrow w - \eta\, \nabla E",
        ),
        setting=Text(
            "Regression 3-10-5-4 (ReLU, ReLU, identity), classification 3-10-4 (ReLU, softmax); one input N(0, 1), "
            "weights and biases U[0, 1), float64.",
            "回帰 3-10-5-4（ReLU、ReLU、恒等写像）、分類 3-10-4（ReLU、ソフトマックス）。入力は N(0, 1) から 1 "
            "個、重みとバイアスは U[0, 1)、float64。",
        ),
        run=_forward,
        remark=Text(
            "With all weights positive, ReLU has little to cut off, and the outputs are large: these numbers are for "
            "reckoning, not for training. And for a single example no rate here is too large: what a large step "
            "spoils are the answers to others.",
            "重みがすべて正なので ReLU が 0 にする値は少なく、出力も大きい。計算練習のための値で、学習の初期値には向か"
            "ない。また例が 1 個なら、ここでの学習率は大きくても誤差が減る。大きな歩幅が損なうのは他の例への答である。",
        ),
    ),
)

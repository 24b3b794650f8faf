"""Back-propagation along a chain of single units, and why a weight's gradient is a local matter."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from denpa.core.layer import Variables
from denpa.gradients import Trace, trace
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.drawn import variables_of
from denpa.lab.studies.plots import COLOURS, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, Tanh
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential
from denpa.testing import oracle

__all__ = ["STUDIES"]

_LEVELS = range(1, 9)
_LOSS = MeanSquaredError()
_CHAIN = Sequential(tuple(part for n in _LEVELS for part in ((f"u{n}", Dense(1, use_bias=False)), (f"z{n}", Tanh()))))
_STEP = 1e-5


class _Walked(NamedTuple):
    """A chain from one seed, in float64.

    Args:
        w: the weights w^(1), ..., w^(L) (levels,).
        z: x, z^(1), ..., z^(L) (levels + 1,).
        u, delta, gradient: u^(l), ∂E/∂u^(l) and ∂E/∂w^(l), as `trace` has them (levels,).
        slopes: ∂E/∂w^(l) by central differences (levels,).
        moved: ∂u^(k)/∂w^(l) by central differences, (levels l, levels k).
    """

    w: np.ndarray
    z: np.ndarray
    u: np.ndarray
    delta: np.ndarray
    gradient: np.ndarray
    slopes: np.ndarray
    moved: np.ndarray


def _numbers(met: Trace, kind: str, of: str) -> np.ndarray:
    """One number of each level: `of` is a field of the records of the layers u1, u2, ... or z1, z2, ..."""
    return np.array([np.asarray(getattr(met[f"{kind}{level}"], of)).item() for level in _LEVELS])


def _walked(seed: int) -> _Walked:
    rng = np.random.default_rng(seed)
    variables = variables_of(_CHAIN, (1,), lambda shape: rng.choice([-1, 1]) * rng.uniform(0.6, 1.6, shape))
    x, t = rng.uniform(0.5, 1.5, (1, 1)), rng.normal(size=(1, 1))

    def at(variables: Variables) -> Trace:
        return trace(_CHAIN, _LOSS, variables, x, t)

    with jax.enable_x64(True):
        met, slopes, moved = at(variables), [], []
        for level in _LEVELS:
            ahead, behind = (at(_nudged(variables, level, h)) for h in (_STEP, -_STEP))
            slopes.append((float(ahead.loss) - float(behind.loss)) / (2 * _STEP))
            moved.append((_numbers(ahead, "u", "y") - _numbers(behind, "u", "y")) / (2 * _STEP))
        w = np.array([variables.params[f"u{level}"]["W"].item() for level in _LEVELS])
        gradient = np.array([np.asarray(met.grads[f"u{level}"]["W"]).item() for level in _LEVELS])
        z = np.append(x, _numbers(met, "z", "y"))
        u, delta = _numbers(met, "u", "y"), _numbers(met, "u", "dy")
        return _Walked(w, z, u, delta, gradient, np.array(slopes), np.array(moved))


def _nudged(variables: Variables, level: int, h: float) -> Variables:
    """The same with w^(level) + h."""
    name = f"u{level}"
    return Variables({**variables.params, name: {"W": variables.params[name]["W"] + h}}, {})


def _by_recursion(found: _Walked) -> np.ndarray:
    """δ^(l) = δ^(l+1) w^(l+1) f'(u^(l)) from the last level back, f = tanh (levels,)."""
    delta = found.delta.copy()
    for level in range(len(delta) - 2, -1, -1):
        delta[level] = delta[level + 1] * found.w[level + 1] * (1 - found.z[level + 1] ** 2)
    return delta


def _chain(plan: Plan) -> Result:
    found = [_walked(seed) for seed in plan.seeds]
    along = Text(
        "The size of deltas and of gradients along the chain; bands are over the seeds.",
        "鎖に沿ったデルタと勾配の大きさ。帯はシード間の幅。",
    )
    local = Text(
        f"By how much each total input moves with each weight (seed {plan.seeds[0]}), and the one that the weight acts "
        "through framed: nothing below it moves, and all that follows moves through it.",
        f"各重みを動かしたときの各総入力の変化率（シード {plan.seeds[0]}）。枠：重みが直接作用する総入力。"
        "それより前は動かず、後はすべてそれを通して動く。",
    )
    return Result(
        checks=(*_chain_checks(found), *_local_checks(plan, found)),
        pictures=(Picture("chain", along, _along(found)), Picture("locality", local, _local(found[0]))),
        rows=tuple(
            {
                "seed": seed,
                "level": level,
                "w": walked.w[level - 1],
                "u": walked.u[level - 1],
                "z": walked.z[level],
                "delta": walked.delta[level - 1],
                "gradient": walked.gradient[level - 1],
                "central difference": walked.slopes[level - 1],
            }
            for seed, walked in zip(plan.seeds, found, strict=True)
            for level in _LEVELS
        ),
    )


def _along(found: list[_Walked]) -> Any:
    figure, (axes,) = figure_of(1, size=(5.6, 3.2))
    axes.set_yscale("log")
    levels = list(_LEVELS)
    curve(axes, levels, np.abs([w.delta for w in found]).T, 0, "$|\\delta^{(l)}|$", marker="o", markersize=4)
    curve(axes, levels, np.abs([w.gradient for w in found]).T, 1, "$|\\partial E / \\partial w^{(l)}|$", marker="s")
    finish(axes, "layer", "size", xticks=levels, legend="beside")
    return figure


def _local(found: _Walked) -> Any:
    figure, (axes,) = figure_of(1, size=(6.2, 4.2))
    largest, levels = np.abs(found.moved).max(), len(found.moved)
    image = axes.imshow(found.moved, cmap="PuOr", vmin=-largest, vmax=largest)
    for (weight, unit), slope in np.ndenumerate(found.moved):
        colour = "white" if abs(slope) > 0.6 * largest else "black"
        text = "0" if slope == 0 else f"{slope:.2f}"
        axes.text(unit, weight, text, ha="center", va="center", fontsize=8, color=colour)
    for level in range(levels):
        frame = {"fill": False, "edgecolor": COLOURS[6], "linewidth": 1.5}
        axes.add_patch(_square(level, **frame))
    axes.set_xticks(range(levels), [f"$u^{{({n})}}$" for n in _LEVELS])
    axes.set_yticks(range(levels), [f"$w^{{({n})}}$" for n in _LEVELS])
    finish(axes, "total input", "weight", legend="")
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="$\\partial u^{(k)} / \\partial w^{(l)}$")
    return figure


def _square(level: int, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((level - 0.5, level - 0.5), 1, 1, **style)


def _chain_checks(found: list[_Walked]) -> tuple[Check, ...]:
    recursion = [np.max(np.abs(_by_recursion(w) / w.delta - 1)) for w in found]
    product = [np.max(np.abs(w.delta * w.z[:-1] / w.gradient - 1)) for w in found]
    numerical = [np.max(np.abs(w.slopes - w.gradient)) / np.max(np.abs(w.gradient)) for w in found]
    return (  # over 5 seeds: 7e-16; 0; 2e-10
        check("delta by the recursion / delta - 1, largest", "漸化式のデルタ／デルタ − 1（最大）", recursion, 0, 1e-13),
        check("δ z / gradient - 1, largest", "δ z／勾配 − 1（最大）", product, 0, 1e-13),
        check("central differences: relative error", "中心差分の相対誤差", numerical, 0, 1e-7),
    )


def _local_checks(plan: Plan, found: list[_Walked]) -> tuple[Check, ...]:
    below = [np.max(np.abs(np.tril(w.moved, -1))) for w in found]
    through = [np.max(np.abs(np.diag(w.moved) - w.z[:-1])) for w in found]
    weight, total = np.transpose([_two_ways(seed) for seed in plan.seeds])
    return (
        exactly("movement of inputs below the weight", "重みより前の総入力の変化", below, 0),
        check("∂u^(l)/∂w^(l) less z^(l-1), largest", "∂u^(l)/∂w^(l) と z^(l−1) の差（最大）", through, 0, 1e-9),
        check(
            "5-4-3-2: E after moving a weight, less E after moving its unit's input alike",
            "5-4-3-2：重みを動かした E と、総入力を同じだけ動かした E の差",
            weight - total,
            -1e-14,
            1e-14,
        ),
    )


def _two_ways(seed: int) -> tuple[float, float]:
    """E with w_ij moved by 0.1, and E with the bias of unit j moved by 0.1 z_i in its place; several units a layer."""
    net = Sequential((("u1", Dense(4)), ("z1", Tanh()), ("u2", Dense(3)), ("z2", Tanh()), ("u3", Dense(2))))
    rng = np.random.default_rng((seed, 1))
    variables = variables_of(net, (5,), lambda shape: rng.normal(size=shape))
    x, t, (i, j) = rng.normal(size=(1, 5)), rng.normal(size=(1, 2)), (rng.integers(4), rng.integers(3))
    with jax.enable_x64(True):
        z = np.asarray(trace(net, _LOSS, variables, x, t)["z1"].y)[0, i]
        errors = []
        for name, place, move in (("W", (i, j), 0.1), ("b", (j,), 0.1 * z)):
            own = oracle.in_float64(dict(variables.params["u2"]))
            own[name] = own[name].copy()
            own[name][place] += move
            errors.append(float(trace(net, _LOSS, Variables({**variables.params, "u2": own}, {}), x, t).loss))
    return errors[0], errors[1]


STUDIES = (
    Study(
        name="one-unit-chain",
        chapter=chapters.GRADIENTS,
        title=Text("A chain of single units, and locality", "1 ユニットの層の鎖と局所性"),
        claim=Text(
            "A network is a function of a function of a function. A weight acts on the error through the total input "
            "of its own unit alone, so its gradient is two local numbers multiplied: the delta of that unit and what "
            "arrives along the weight; and deltas follow from one another, the last first.",
            "ネットワークは合成関数である。重みは、自分のつながるユニットの総入力を通してだけ誤差に作用するので、その"
            "勾配は 2 つの局所的な数の積、すなわちそのユニットのデルタと重みを伝わってくる入力の積である。デルタは最後"
            "の層から順に求まる。",
        ),
        formula=(
            r"\hat y = f(w^{(L)} f(w^{(L-1)} \cdots f(w^{(1)} x))), \qquad u^{(l)} = w^{(l)} z^{(l-1)}",
            r"\frac{\partial E}{\partial w^{(l)}} = \delta^{(l)} z^{(l-1)}, \qquad "
            r"\delta^{(l)} = \frac{\partial E}{\partial u^{(l+1)}} \frac{\partial u^{(l+1)}}{\partial u^{(l)}} "
            r"= \delta^{(l+1)} w^{(l+1)} f'(u^{(l)})",
        ),
        setting=Text(
            "Eight layers of one tanh unit, weights of either sign between 0.6 and 1.6, one example, half the squared "
            "error, float64; central differences with h = 0.00001. A network 5-4-3-2 besides.",
            "1 ユニットの tanh 層を 8 層、重みは絶対値 0.6〜1.6 で符号は任意、例は 1 個、二乗誤差の "
            "1/2、float64、中心差分は h = 0.00001。ほかに 5-4-3-2 のネットワーク。",
        ),
        run=_chain,
        remark=Text(
            "The first factor of the recursion is ∂E/∂u^(l+1), the delta of the layer above. Where ∂E/∂u^(l) is "
            "printed in its place, the equation would say that w^(l+1) f'(u^(l)) = 1.",
            "漸化式の最初の因子は一つ上の層のデルタ ∂E/∂u^(l+1) である。∂E/∂u^(l) "
            "と書かれていることがあるが、それでは w^(l+1) f'(u^(l)) = 1 になってしまう。",
        ),
        contradicts=True,
    ),
)

"""Every activation with its derivative and the range of its values."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.layer import Context, Layer
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, GREY, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import ELU, Dense, Identity, LeakyReLU, Maxout, PReLU, ReLU, Sigmoid, Step, Tanh
from denpa.networks import Sequential

__all__ = ["STUDIES"]

_PIECES = {"W": np.array([[-1.0, 0.5, 2.0]]), "b": np.array([-2.0, -0.5, -3.0])}  # of a unit; they meet at -1 and 5/3
_POINTS, _STEP = 6001, 1e-5
_Seen = dict[str, tuple[np.ndarray, np.ndarray]]  # f(u) and f'(u) by name
_KINKS = np.array([-1, 0, 5 / 3])


class _Activation(NamedTuple):
    """A layer that acts on one number, its parameters, and what the definition says of its values.

    Args:
        layer, params: as for `Layer.forward`, x (points, 1).
        low, high: no value lies beyond.
        range: the set of its values, in the signs of textbooks.
    """

    layer: Layer
    params: Any
    low: float
    high: float
    range: str


_ALL = {
    "identity": _Activation(Identity(), {}, -np.inf, np.inf, "(-∞, ∞)"),
    "unit step": _Activation(Step(), {}, 0, 1, "{0, 1}"),
    "sigmoid": _Activation(Sigmoid(), {}, 0, 1, "(0, 1)"),
    "tanh": _Activation(Tanh(), {}, -1, 1, "(-1, 1)"),
    "ReLU": _Activation(ReLU(), {}, 0, np.inf, "[0, ∞)"),
    "leaky ReLU 0.01": _Activation(LeakyReLU(0.01), {}, -np.inf, np.inf, "(-∞, ∞)"),
    "rectifier, α = -1": _Activation(LeakyReLU(-1.0), {}, 0, np.inf, "[0, ∞)"),
    "PReLU, α = 0.25": _Activation(PReLU(), {"alpha": np.array(0.25)}, -np.inf, np.inf, "(-∞, ∞)"),
    "ELU, c = 1": _Activation(ELU(), {}, -1, np.inf, "(-1, ∞)"),
    "maxout 3": _Activation(
        Sequential((("pieces", Dense(3)), ("largest", Maxout(3)))),
        {"pieces": _PIECES, "largest": {}},
        *(-1, np.inf, "[-1, ∞)"),
    ),
}


_FOLDED = _Activation(
    Sequential((("pieces", Dense(2)), ("largest", Maxout(2)))),
    {"pieces": {"W": np.array([[0.0, 1.0]]), "b": np.zeros(2)}, "largest": {}},
    *(0, np.inf, "[0, ∞)"),
)
_MORE = {"maxout of 0 and u": _FOLDED, "ReLU, f'(0) = 1": _Activation(ReLU(1.0), {}, 0, np.inf, "[0, ∞)")}


def _evaluated(u: np.ndarray) -> _Seen:
    """By name f(u), and f'(u) as the walk backward has it for a delta of 1, both like u, in float64."""

    def walked(x: Any) -> Any:
        found = {}
        for name, activation in (_ALL | _MORE).items():
            y, saved = activation.layer.forward(jax.tree.map(jnp.asarray, activation.params), x, Context())
            found[name] = y, activation.layer.backward(activation.params, saved, jnp.ones_like(y))[0]
        return found

    with jax.enable_x64(True):
        return jax.tree.map(lambda part: np.asarray(part).reshape(u.shape), jax.jit(walked)(u.reshape(-1, 1)))


def _printed_elu(u: np.ndarray) -> np.ndarray:
    """c e^(u - 1) below 0, as it is sometimes printed, with c = 1."""
    return np.where(u < 0, np.exp(u - 1), u)


def _drawn_points(seed: int) -> np.ndarray:
    """Points from -4 to 4 away from the corners, and the points h to either side, (3, points)."""
    u = np.random.default_rng(seed).uniform(-4, 4, _POINTS)
    u = np.where(np.min(np.abs(u[:, None] - _KINKS), axis=1) > 1e-3, u, 4.0)
    return np.stack([u, u + _STEP, u - _STEP])


def _activations(plan: Plan) -> Result:
    u = np.linspace(-30, 30, _POINTS)
    rows = [[u, 2 * u, np.full(_POINTS, -1e-12), np.zeros(_POINTS)], *map(_drawn_points, plan.seeds)]
    seen = _evaluated(np.concatenate(rows))
    found = {name: (seen[name][0][0], seen[name][1][0]) for name in _ALL}
    caption = Text(
        "Solid: f(u). Dashed: its derivative. Grey lines: the ends of the range. Where two slopes meet in a corner, "
        "the derivative jumps.",
        "実線：f(u)。破線：導関数。灰色の線：値域の端。折れ点では導関数が不連続になる。",
    )
    return Result(
        checks=(*_general_checks(seen, found), *_particular_checks(u, seen)),
        pictures=(Picture("activations", caption, _drawn(u, found)),),
        rows=tuple(
            {
                "activation": name,
                "range": _ALL[name].range,
                "least on [-30, 30]": float(y.min()),
                "largest on [-30, 30]": float(y.max()),
                **{f"f({at:g})": float(y[np.argmin(np.abs(u - at))]) for at in (-2, 0, 2)},
                **{f"f'({at:g})": float(slope[np.argmin(np.abs(u - at))]) for at in (-2, 0, 2)},
            }
            for name, (y, slope) in found.items()
        ),
    )


def _drawn(u: np.ndarray, found: _Seen) -> Any:
    """A panel for each activation, from -4 to 4; the slope is left open where it jumps."""
    figure, panels = figure_of(len(found), 5, (2.5, 2.3))
    near = np.abs(u) <= 4
    for axes, (name, (y, slope)) in zip(panels, found.items(), strict=True):
        jumps = np.append(np.abs(np.diff(slope)) > 0.1, False)
        for end in (_ALL[name].low, _ALL[name].high):
            if np.isfinite(end):
                axes.axhline(end, color=GREY, linewidth=0.8, alpha=0.6)
        shown = np.where(np.append(np.abs(np.diff(y)) > 0.5, False), np.nan, y)
        axes.plot(u[near], shown[near], color=COLOURS[0], linewidth=1.8, label="f (u)")
        axes.plot(u[near], np.where(jumps, np.nan, slope)[near], "--", color=COLOURS[1], linewidth=1.4, label="f ′(u)")
        finish(axes, "u", "", name, legend="upper left" if name == "identity" else "", ylim=(-2.2, 4.2))
    elu = panels[list(found).index("ELU, c = 1")]
    elu.plot(u[near & (u < 0)], _printed_elu(u[near & (u < 0)]), ":", color=COLOURS[6], label="$e^{u-1}$")
    elu.legend(frameon=False, fontsize=8, loc="upper left", handles=elu.get_lines()[-1:])
    return figure


def _general_checks(seen: _Seen, found: _Seen) -> tuple[Check, Check, Check]:
    """What is true of each: the slope is that of the values, and the values keep to the range up to its ends."""
    outside = sum(np.sum(~((y >= _ALL[name].low) & (y <= _ALL[name].high))) for name, (y, _) in found.items())
    bent = ("sigmoid", "tanh", "ELU, c = 1")  # these come near the ends and do not reach them
    gaps = [abs(end - y[at]) for n in bent for at, end in ((0, _ALL[n].low), (-1, _ALL[n].high)) for y in found[n][:1]]
    return (
        Check(
            Text(
                "slope less central difference, largest",
                "導関数と中心差分の差（最大）",
            ),
            _largest_errors(seen),
            high=1e-9,  # over 5 seeds 3e-11 to 6e-11
        ),
        Check(Text("values outside the range, of 6,001 each", "値域の外にある値の数（各 6,001 点）"), [outside], 0, 0),
        Check(
            Text("sigmoid, tanh, ELU at ±30: distance from the ends", "±30 でのシグモイド、tanh、ELU：端との差"),
            [gap for gap in gaps if np.isfinite(gap)],
            high=1e-12,
        ),
    )


def _largest_errors(seen: _Seen) -> np.ndarray:
    """Of the slopes of all activations against central differences, for each seed."""
    worst = []
    for name in _ALL:
        y, slope = (part[4:].reshape(-1, 3, _POINTS) for part in seen[name])
        worst.append(np.max(np.abs(slope[:, 0] - (y[:, 1] - y[:, 2]) / (2 * _STEP)), axis=1))
    return np.max(worst, axis=0)


def _particular_checks(u: np.ndarray, seen: _Seen) -> tuple[Check, ...]:
    (sigmoid, its_slope), (tanh, tanh_slope), (elu, _) = (seen[name] for name in ("sigmoid", "tanh", "ELU, c = 1"))
    return (
        Check(Text("sigmoid: largest slope", "シグモイド：微分の最大値"), its_slope[0].max(), 0.25, 0.25),
        Check(
            Text("sigmoid: slope at u = 10 (saturation)", "シグモイド：u = 10 での微分（飽和）"),
            its_slope[0, np.argmin(np.abs(u - 10))],
            4.5e-5,
            4.6e-5,
        ),
        Check(Text("tanh: largest slope", "tanh：微分の最大値"), tanh_slope[0].max(), 1, 1),
        Check(
            Text("tanh(u) - (2 σ(2u) - 1), largest", "tanh(u) − (2 σ(2u) − 1) の最大値"),
            np.max(np.abs(tanh[0] - (2 * sigmoid[1] - 1))),
            high=1e-15,
        ),
        Check(
            Text("maxout of the pieces 0 and u less ReLU", "区分 0 と u のマックスアウトと ReLU の差"),
            np.max(np.abs(seen["maxout of 0 and u"][0] - seen["ReLU"][0])),
            0,
            0,
        ),
        Check(
            Text("ReLU: f'(0) where 1 is asked for, less that otherwise", "ReLU：f'(0) を 1 と指定した場合と既定の差"),
            seen["ReLU, f'(0) = 1"][1][3, 0] - seen["ReLU"][1][3, 0],
            1,
            1,
        ),
        Check(
            Text("ELU: jump at 0; and f(-30) + c", "ELU：0 での跳び、および f(−30) + c"),
            [abs(elu[2, 0]), elu[0, 0] + 1],
            high=1e-11,
        ),
        Check(
            Text("ELU as printed with c e^(u - 1): jump at 0", "c e^(u−1) と書かれた ELU：0 での跳び"),
            _printed_elu(np.array([-1e-12])),
            np.exp(-1) - 1e-9,
            np.exp(-1) + 1e-9,
            contradicts=True,
        ),
    )


STUDIES = (
    Study(
        name="activations",
        chapter=chapters.UNITS,
        title=Text("Activations, their derivatives and ranges", "活性化関数とその導関数・値域"),
        claim=Text(
            "Sigmoid and tanh keep values between two ends and lose their slope towards them; for u > 0 rectifiers do "
            "neither. Back-propagation needs the slope alone.",
            "シグモイドと tanh の値は有界で、端に近づくと微分が 0 に近づく。ランプ関数の仲間は u > 0 "
            "ではそのどちらでもない。誤差逆伝播法に必要なのは微分の値である。",
        ),
        formula=(
            r"\sigma(u) = \frac{1}{1 + e^{-u}},\ \sigma' = \sigma (1 - \sigma) \qquad "
            r"\tanh u = 2 \sigma(2u) - 1,\ \tanh' = 1 - \tanh^2",
            r"\mathrm{rectifier:}\ \alpha \min(0, u) + \max(0, u) \qquad "
            r"\mathrm{ELU:}\ c\,(e^u - 1)\ (u < 0),\ u\ (u \geq 0) \qquad "
            r"\mathrm{maxout:}\ \max_i (w_i u + b_i)",
        ),
        setting=Text(
            "Each layer by itself, in float64: values of the walk forward, slopes of the walk backward for a delta of "
            "1. The maxout unit has the pieces -u - 2, 0.5 u - 0.5 and 2u - 3.",
            "各層を単独で float64 で計算する。値は順伝播、微分はデルタ 1 を逆伝播させて得る。マックスアウトの区分は "
            "−u − 2、0.5 u − 0.5、2u − 3。",
        ),
        run=_activations,
        remark=Text(
            "ELU is printed now and then as c e^(u - 1) for u < 0. That jumps at 0 from c/e, is positive left of it, "
            "and ends at 0, not at -c; c (e^u - 1) is meant. At 0 the slopes of ReLU are all of [0, 1]: 0 is taken, "
            "and 1 where asked for.",
            "ELU は u < 0 で c e^(u−1) と書かれることがあるが、これは 0 で c/e から跳び、左側で正で、極限は −c でなく "
            "0 になる。正しくは c (e^u − 1) である。ReLU の 0 での劣微分は [0, 1] 全体で、ここでは 0（指定すれば "
            "1）とする。",
        ),
        contradicts=True,
    ),
)

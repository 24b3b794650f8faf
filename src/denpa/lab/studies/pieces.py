"""Maxout as a piecewise linear approximation: with weights set by hand, and as trained."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core.layer import Variables
from denpa.gradients import backprop
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, GREY, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, Maxout
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential
from denpa.optim import Adam
from denpa.optim.schedules import LinearDecay

__all__ = ["STUDIES"]

_PIECES, _POINTS, _UPDATES = (2, 4, 8), 241, 1000  # every border between pieces is one of the points
_LOSS = MeanSquaredError()
_X = np.linspace(-1, 1, _POINTS, dtype=np.float32)[:, None]


class _Fit(NamedTuple):
    """What the pieces of a maxout unit have learned, from each seed.

    Args:
        lines: u = x W + b (seeds, points, k).
        targets: (points,).
    """

    lines: np.ndarray
    targets: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """E (seeds,)."""
        return 0.5 * np.mean((self.lines.max(axis=-1) - self.targets) ** 2, axis=1)

    @property
    def used(self) -> np.ndarray:
        """How many pieces are the largest somewhere (seeds,)."""
        return np.array([len(set(lines.argmax(axis=-1))) for lines in self.lines])


def _net(k: int) -> Sequential:
    return Sequential((Dense(k), Maxout(k)))


def _best(k: Any) -> Any:
    """The least E of k lines for x²: each has an equal part of [-1, 1], of width 2/k, and E = (2/k)^4 / 360."""
    return (2 / np.asarray(k)) ** 4 / 360


def _starts(k: int, seeds: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    """Weights N(0, 1) with biases 0; and tangents of x², one in each of k equal parts."""
    plain, tangents = [], []
    for seed in seeds:
        rng = np.random.default_rng((seed, k, 68))
        at = 2 * (np.arange(k) + rng.uniform(size=k)) / k - 1
        plain.append(_params(rng.normal(size=k), np.zeros(k)))
        tangents.append(_params(2 * at, -(at**2)))
    return plain, tangents


def _params(W: np.ndarray, b: np.ndarray) -> Any:
    return {"0_dense": {"W": np.asarray(W[None], np.float32), "b": np.asarray(b, np.float32)}, "1_maxout": {}}


def _trained(k: int, starts: list[Any], targets: np.ndarray) -> np.ndarray:
    """The lines that each start comes to for its targets (members, points): (members, points, k)."""
    net, optimizer = _net(k), Adam(LinearDecay(0.03, 1e-4, _UPDATES))

    def learn(params: Any, t: Any) -> Any:
        def body(carry: Any, _: Any) -> Any:
            params, state = carry
            grads = backprop(net, _LOSS, Variables(params, {}), _X, t[:, None]).grads
            updates, state = optimizer.update(grads, state, params)
            return (jax.tree.map(jnp.add, params, updates), state), None

        return jax.lax.scan(body, (params, optimizer.init(params)), length=_UPDATES)[0][0]

    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *starts)
    dense = jax.jit(jax.vmap(learn))(stacked, targets)["0_dense"]
    return _X * np.asarray(dense["W"]) + np.asarray(dense["b"])[:, None]


def _fits(seeds: tuple[int, ...]) -> dict[str, dict[int, _Fit]]:
    """By what is fitted and from where, and by the number of pieces."""
    found: dict[str, dict[int, _Fit]] = {"plain": {}, "tangents": {}, "absolute": {}}
    square, absolute = _X[:, 0] ** 2, np.abs(_X[:, 0])
    for k in _PIECES:
        plain, tangents = _starts(k, seeds)
        parts = {"plain": (plain, square), "tangents": (tangents, square)}
        if k == 2:
            parts["absolute"] = plain, absolute
        starts = [params for part, _ in parts.values() for params in part]
        lines = _trained(k, starts, np.stack([t for part, t in parts.values() for _ in part]))
        for name, own in zip(parts, np.split(lines, len(parts)), strict=True):
            found[name][k] = _Fit(own, parts[name][1])
    return found


def _by_hand(k: int) -> np.ndarray:
    """max_i (2 c_i x - c_i² + 1/(2k²)) with c_i the middles of k equal parts of [-1, 1]: raised tangents (points,)."""
    middles = -1 + (2 * np.arange(k) + 1) / k
    params = _params(2 * middles, 0.5 / k**2 - middles**2)
    return np.ravel(_net(k).apply(Variables(params, {}), _X))


def _maxout(plan: Plan) -> Result:
    found = _fits(plan.seeds)
    fold = _params(np.array([1.0, -1.0]), np.zeros(2))
    bent = np.ravel(_net(2).apply(Variables(fold, {}), _X)) - np.abs(_X[:, 0])
    raised = [2 * k**2 * np.abs(_by_hand(k) - _X[:, 0] ** 2).max() for k in (2, 8)]
    caption = Text(
        "Lines and their maximum as trained, first seed (dotted: what is to be fitted), and E over the number of "
        "pieces.",
        "学習後の直線とその最大値（最初のシード、点線は目標）、および区分の数と誤差。",
    )
    return Result(
        checks=_checks(found, float(np.abs(bent).max()), raised),
        pictures=(Picture("pieces", caption, _drawn(found)),),
        rows=tuple(
            {"start": name, "pieces": k, "seed": seed, "error": float(error), "in use": int(used)}
            for name, fits in found.items()
            for k, fit in fits.items()
            for seed, error, used in zip(plan.seeds, fit.errors, fit.used, strict=True)
        ),
    )


def _checks(found: dict[str, dict[int, _Fit]], bent: float, raised: list[Any]) -> tuple[Check, ...]:
    plain, tangents = found["plain"][_PIECES[-1]], found["tangents"]
    # Over 40 seeds: 0; 0 to 8e-8; 1.000; 1.02; 1.02 to 1.03; 1.02 to 3.3, where six are used; 3 to 5; 1.02 to 1.7.
    return (
        Check(Text("weights 1 and -1: largest difference from |x|", "重み 1 と −1：|x| との差の最大値"), bent, 0, 0),
        Check(
            Text("|x|, k = 2: E as trained from random weights", "|x|、k = 2：乱数の重みから学習した誤差 E"),
            found["absolute"][2].errors,
            high=1e-4,
        ),
        Check(
            Text(
                "x², k = 2 and 8, tangents raised: most it is off × 2k²", "x²、k = 2、8、上げた接線：最大のずれ × 2k²"
            ),
            raised,
            0.999,
            1.001,
        ),
        *(
            Check(
                Text(f"x², k = {k}: E as trained / least possible", f"x²、k = {k}：学習後の E／最小の E"),
                fit.errors / _best(k),
                0.99,
                7 if k == 8 else 1.1,
            )
            for k, fit in tangents.items()
        ),
        Check(
            Text("from biases 0, k = 8: pieces that are used", "バイアス 0 から、k = 8：使われる区分の数"),
            plain.used,
            1,
            7,
        ),
        Check(
            Text("the same: E / least possible of the pieces used", "同上：E／使われる区分の数での最小の E"),
            plain.errors / _best(plain.used),
            0.99,
            2.5,
        ),
    )


def _drawn(found: dict[str, dict[int, _Fit]]) -> Any:
    shown = {"$|x|$, $k$ = 2": found["absolute"][2], **{f"$x^2$, $k$ = {k}": f for k, f in found["tangents"].items()}}
    figure, (*panels, last) = figure_of(len(shown) + 1, 3, (3.2, 2.6))
    for axes, (name, fit) in zip(panels, shown.items(), strict=True):
        axes.plot(_X, fit.lines[0], color=GREY, linewidth=0.7)
        axes.plot(_X, fit.lines[0].max(axis=-1), color=COLOURS[0], linewidth=2)
        axes.plot(_X, fit.targets, color=COLOURS[1], linestyle=":", linewidth=2)
        finish(axes, "x", "y", name, legend="", ylim=(-0.6, 1.1))
    last.set_yscale("log")
    for index, (name, label) in enumerate({"tangents": "from tangents", "plain": "from biases 0"}.items()):
        curve(last, _PIECES, [fit.errors for fit in found[name].values()], index, label, marker="o", markersize=4)
    last.plot(_PIECES, _best(_PIECES), color=GREY, linestyle=":", label="$(2/k)^4 / 360$")
    finish(last, "pieces", "error", xscale="log")
    last.set_xticks(_PIECES, [str(k) for k in _PIECES])
    last.minorticks_off()
    return figure


STUDIES = (
    Study(
        name="maxout",
        chapter=chapters.START,
        title=Text("Maxout as a piecewise linear function", "マックスアウトによる区分線形近似"),
        claim=Text(
            "The maximum of two lines is |x| exactly; that of k lines comes the nearer to x², the more there are.",
            "2 本の直線の最大値は |x| にちょうど一致する。k 本では、増やすほど x² によく近づく。",
        ),
        formula=(
            r"f(x) = \max_{i \leq k} (w_i x + b_i)",
            r"|x| \leq 1: \quad \min_{w, b} \max_x |f(x) - x^2| = \frac{1}{2 k^2}, \quad "
            r"\min_{w, b} \frac{1}{2} \langle (f(x) - x^2)^2 \rangle = \frac{(2/k)^4}{360}",
        ),
        setting=Text(
            f"{_POINTS} points of [-1, 1] evenly apart, Adam from 0.03 down to 0.0001 in {_UPDATES:,} updates over all "
            "points; weights N(0, 1) with biases 0, or tangents of x² at random, one in each of k equal parts.",
            f"[-1, 1] 上の等間隔の {_POINTS} 点、Adam（0.03 から 0.0001 まで線形に減少）、全データで {_UPDATES:,} 回"
            "更新。重み N(0, 1)・バイアス 0、または k 等分した各区間の乱数の点での x² の接線から。",
        ),
        run=_maxout,
        remark=Text(
            "More pieces help only where they are used. A piece that is nowhere the largest has no gradient; from "
            "biases 0 several stay so for ever, and the error is that of the pieces used.",
            "区分は使われて初めて役に立つ。どこでも最大でない区分には勾配がなく、バイアス 0 "
            "から始めるといくつかはずっと使われない。誤差は使われる区分の数で決まる。",
        ),
    ),
)

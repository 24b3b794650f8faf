"""The 47 components of the letter recogniser's gradient, and which error they belong to."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from denpa.core.layer import Variables
from denpa.data import datasets
from denpa.gradients import Trace, trace
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly, off
from denpa.lab.studies.drawn import variables_of
from denpa.lab.studies.gradient_checks import differences
from denpa.lab.studies.letters import RECOGNISER
from denpa.lab.studies.plots import COLOURS, GREY, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError

__all__ = ["STUDIES"]

_SQUARED, _ALONE = MeanSquaredError(reduction="sum"), CrossEntropy(reduction="sum")
_STEP = 1e-5


class _Gradients(NamedTuple):
    """Gradients of E = e_C + e_T from one seed, in the order of `_in_order` (47,).

    Args:
        printed: by the formulas.
        squared, alone: back-propagated from half the squared error, from -Σ t log z.
        squared_slopes, alone_slopes: their central differences.
        met: the walk with the squared error.
        paired: z - t less the deltas of the output's sums, for the cross-entropy of yes and no.
    """

    printed: np.ndarray
    squared: np.ndarray
    alone: np.ndarray
    squared_slopes: np.ndarray
    alone_slopes: np.ndarray
    met: Trace
    paired: np.ndarray


def _in_order(tree: Any) -> np.ndarray:
    """Output units first, each with its weights and then its threshold; after them the hidden units (47,)."""
    return np.concatenate([np.vstack([tree[n]["W"], tree[n]["theta"]]).T.ravel() for n in ("output", "hidden")])


def _printed(params: Any, met: Trace, t: np.ndarray) -> np.ndarray:
    """The formulas of each pattern, summed: with d_j = (z_j - t_j) z_j (1 - z_j),

    ∂e/∂w_ij = d_j h_i,  ∂e/∂θ_j = -d_j,  ∂e/∂w_pi = (Σ_j d_j w_ij) h_i (1 - h_i) x_p,  ∂e/∂θ_i the same with x_p = -1
    """
    total = np.zeros(47)
    for x, h, z, target in zip(met["hidden"].x, met["h"].y, met["z"].y, t, strict=True):
        d = (z - target) * z * (1 - z)
        back = [(d[0] * params["output"]["W"][i, 0] + d[1] * params["output"]["W"][i, 1]) for i in range(3)]
        outputs = [d[j] * source for j in range(2) for source in (*h, -1)]
        hidden = [back[i] * h[i] * (1 - h[i]) * source for i in range(3) for source in (*x, -1)]
        total += np.array([*outputs, *hidden])
    return total


def _gradients(seed: int) -> _Gradients:
    rng = np.random.default_rng(seed)
    variables = variables_of(RECOGNISER, (12,), lambda shape: rng.normal(size=shape))
    data = datasets.load("letters", scaled=True, flat=True)
    x, t = data.x.astype(np.float64), np.eye(2)[np.asarray(data.t)]
    with jax.enable_x64(True):
        met = jax.tree.map(np.asarray, trace(RECOGNISER, _SQUARED, variables, x, t))
        other = trace(RECOGNISER, _ALONE, variables, x, t)
        yes_no = trace(RECOGNISER, BinaryCrossEntropy(reduction="sum"), variables, x, t)
        squared_slopes, alone_slopes = (_slopes(loss, variables, x, t) for loss in (_SQUARED, _ALONE))
        paired = np.asarray(yes_no["output"].dy - (yes_no.output - t))
        printed = _printed(variables.params, met, t)
        squared, alone = _in_order(met.grads), _in_order(other.grads)
        return _Gradients(printed, squared, alone, squared_slopes, alone_slopes, met, paired)


def _slopes(loss: Any, variables: Variables, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    whole = ravel_pytree(variables.params)[1]
    return _in_order(whole(differences(RECOGNISER, loss)(variables, x, t, _STEP)))


def _names() -> list[str]:
    hidden = [f"w_{p},{i} hidden" if p < 13 else f"theta_{i} hidden" for i in range(1, 4) for p in range(1, 14)]
    return [f"w_{i},{j} output" if i < 4 else f"theta_{j} output" for j in (1, 2) for i in range(1, 5)] + hidden


def _letters(plan: Plan) -> Result:
    found = [_gradients(seed) for seed in plan.seeds]
    caption = Text(
        f"The printed formulas (bars) and central differences (dots), seed {plan.seeds[0]}: of half the squared error "
        "above, of -Σ t log z below. Components 1 to 8 are those of the output, each unit's weights and its threshold.",
        f"教科書の式（棒）と中心差分（点）、シード {plan.seeds[0]}。上は二乗誤差の 1/2、下は −Σ t log z。"
        "成分 1〜8 は出力層で、ユニットごとに重み、しきい値の順。",
    )
    columns = ("printed", "squared", "squared_slopes", "alone", "alone_slopes")
    return Result(
        checks=_checks(found),
        pictures=(Picture("components", caption, _drawn(found[0])),),
        rows=tuple(
            {"seed": seed, "component": name, **{c: float(getattr(one, c)[k]) for c in columns}}
            for seed, one in zip(plan.seeds, found, strict=True)
            for k, name in enumerate(_names())
        ),
    )


def _drawn(found: _Gradients) -> Any:
    figure, panels = figure_of(2, 1, (8.4, 2.6))
    places = np.arange(1, 48)
    titles = {"squared error": found.squared_slopes, "-t log z alone": found.alone_slopes}
    for axes, (title, slopes) in zip(panels, titles.items(), strict=True):
        axes.bar(places, found.printed, color=COLOURS[5], label="printed formulas")
        axes.plot(places, slopes, "o", color=COLOURS[1], markersize=4, label="central differences")
        for border in (4.5, 8.5, 21.5, 34.5):
            axes.axvline(border, color=GREY, linewidth=0.8)
        finish(axes, "component", "gradient", title, legend="beside", xlim=(0, 48))
    return figure


def _checks(found: list[_Gradients]) -> tuple[Check, ...]:
    ours = [off(one.printed, one.squared) for one in found]
    squared = [off(one.printed, one.squared_slopes) for one in found]
    wrong = [off(one.printed, one.alone_slopes) for one in found]
    alone = [off(one.alone, one.alone_slopes) for one in found]
    sizes, paired = [one.printed.size for one in found], [np.max(np.abs(one.paired)) for one in found]
    return (  # relative, over 5 seeds: 0 to 2e-16; 6e-11 to 1.2e-10; 0.87 to 0.98; 2e-11 to 4e-11; 0 to 1e-16
        exactly("components", "成分の数", sizes, 47),
        check("printed formulas against back-propagation", "教科書の式と誤差逆伝播法の相対差", ours, 0, 1e-13),
        check(
            "printed formulas against slopes of ½ Σ (z - t)²",
            "教科書の式と ½ Σ (z − t)² の差分の相対差",
            squared,
            0,
            1e-8,
        ),
        check(
            "printed formulas against slopes of -Σ t log z",
            "教科書の式と −Σ t log z の差分の相対差",
            wrong,
            *(0.1, np.inf, True),
        ),
        check("back-propagation of -Σ t log z against its slopes", "−Σ t log z の逆伝播と差分の相対差", alone, 0, 1e-8),
        check(
            "yes-no cross-entropy: delta less (z - t)", "二値の交差エントロピー：デルタと z − t の差", paired, 0, 1e-13
        ),
    )


STUDIES = (
    Study(
        name="letters-gradient",
        chapter=chapters.GRADIENTS,
        title=Text("The 47 components of a gradient", "勾配の 47 成分"),
        claim=Text(
            "Each of the 47 derivatives of the letter recogniser is a product of few numbers that are at hand: error, "
            "slope, weight and input. Central differences tell which error the formulas belong to.",
            "文字認識器の 47 個の偏微分は、誤差・微分・重み・入力という手元の数の積である。その式がどの誤差関数のもの"
            "かは中心差分で確かめられる。",
        ),
        formula=(
            r"\frac{\partial e}{\partial w_{ij}} = (z_j - t_j)\, a'(s_j)\, h_i, \quad "
            r"\frac{\partial e}{\partial \theta_j} = -(z_j - t_j)\, a'(s_j), \quad "
            r"\frac{\partial e}{\partial w_{pi}} = \left( \sum_j (z_j - t_j)\, a'(s_j)\, w_{ij} \right) a'(s_i)\, x_p",
            r"e = \frac{1}{2} \sum_j (z_j - t_j)^2 \Rightarrow \frac{\partial e}{\partial z_j} = z_j - t_j \qquad "
            r"e = -\sum_j t_j \log z_j \Rightarrow \frac{\partial e}{\partial z_j} = -\frac{t_j}{z_j}",
        ),
        setting=Text(
            "12-3-2 sigmoid units with thresholds, parameters N(0, 1), both letters, E summed over them, float64, "
            "central differences with h = 0.00001.",
            "12-3-2、シグモイド、しきい値つき、パラメータ N(0, 1)、2 文字の和 E、float64、中心差分 h = 0.00001。",
        ),
        run=_letters,
        remark=Text(
            "These formulas are sometimes printed for -Σ t log z. Its derivative by z is -t/z, not z - t; z - t times "
            "the slope is the squared error's. With the cross-entropy of yes and no, or with softmax, the delta is z "
            "- t again, without the slope.",
            "これらの式が −Σ t log z に対するものとして書かれていることがある。その z での微分は −t/z で、z − t "
            "ではない。z − t に微分 a' を掛けた式は二乗誤差のものである。二値の交差エントロピーやソフトマックスでは、"
            "デルタは a' のつかない z − t になる。",
        ),
        contradicts=True,
    ),
)

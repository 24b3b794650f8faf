"""What becomes of activations and deltas on their way through many layers, before anything is learned."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from denpa.gradients import trace
from denpa.init import He, LeCun, Normal
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import curve, figure_of, finish, histograms
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.terms import in_japanese
from denpa.layers import Dense, ReLU, Sigmoid
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential

__all__ = ["STUDIES"]

_UNITS, _INPUTS = 100, 1000
_SETTINGS = {
    "sigmoid, N(0, 1)": (Sigmoid(), Normal(1.0)),
    "sigmoid, Xavier": (Sigmoid(), LeCun()),
    "ReLU, N(0, 1)": (ReLU(), Normal(1.0)),
    "ReLU, Xavier": (ReLU(), LeCun()),
    "ReLU, He": (ReLU(), He()),
}


def _traced(name: str, layers: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Layer by layer: activations (inputs, units), deltas dE/du alike, and weights (units, units)."""
    activation, initial = _SETTINGS[name]
    net = Sequential(tuple(part for _ in range(layers) for part in (Dense(_UNITS, kernel_init=initial), activation)))
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=(2, _INPUTS, _UNITS)).astype(np.float32)
    variables = net.init(jax.random.key(seed), (_UNITS,))
    met = trace(net, MeanSquaredError(), variables, x, t)
    affine, curved = [path for path in met if path.endswith("dense")], [p for p in met if not p.endswith("dense")]
    weights = [np.asarray(variables.params[path]["W"]) for path in affine]
    return [np.asarray(met[p].y) for p in curved], [np.asarray(met[p].dy) for p in affine], weights


def _by_layer(found: dict[str, np.ndarray], label: str, width: float, legend: str = "best") -> Any:
    """The numbers of each setting, (layers, seeds), as curves from the first layer to the last; width in inches."""
    layers = range(1, len(next(iter(found.values()))) + 1)
    figure, (axes,) = figure_of(1, size=(width, 3.6))
    axes.set_yscale("log")
    for index, (name, values) in enumerate(found.items()):
        curve(axes, layers, values, index, name, marker="o", markersize=3)
    finish(axes, "layer", label, legend=legend, xticks=layers)
    return figure


def _rows(found: dict[str, np.ndarray], plan: Plan) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"setting": name, "layer": layer + 1, **{f"seed {s}": v for s, v in zip(plan.seeds, row, strict=True)}}
        for name, values in found.items()
        for layer, row in enumerate(values.tolist())
    )


def _saturation(plan: Plan) -> Result:
    layers = 5
    found = {name: [_traced(name, layers, seed)[0] for seed in plan.seeds] for name in _SETTINGS}
    spread = {name: np.array([[a.std() for a in seed] for seed in seeds]).T for name, seeds in found.items()}
    names = [f"layer {layer}" for layer in range(1, layers + 1)]
    bounded = histograms({n: found[n][0] for n in list(_SETTINGS)[:2]}, names, "activation", np.linspace(0, 1, 41))
    open_ended = histograms({n: found[n][0] for n in list(_SETTINGS)[2:]}, names, "activation", np.linspace(0, 4, 41))
    figure = _by_layer(spread, "standard deviation of activations", 6.5, legend="beside")
    flat = {
        name: np.array([np.mean([np.abs(a - 0.5) > 0.4 for a in seed]) for seed in found[name]])
        for name in list(_SETTINGS)[:2]
    }
    return Result(
        checks=_saturation_checks(flat, {name: values[-1] for name, values in spread.items()}),
        pictures=(
            Picture("sigmoid", Text("Sigmoid: outputs of five layers.", "シグモイド：各層の出力の分布。"), bounded),
            Picture(
                "relu",
                Text(
                    "ReLU: outputs of five layers; the last bar holds all above 4.",
                    "ReLU：各層の出力の分布。右端の棒は 4 以上すべて。",
                ),
                open_ended,
            ),
            Picture("spread", Text("How the spread of activations goes on.", "出力の標準偏差の推移。"), figure),
        ),
        rows=_rows(spread, plan),
    )


def _saturation_checks(flat: dict[str, np.ndarray], ends: dict[str, np.ndarray]) -> tuple[Check, ...]:
    """Of the share of sigmoid outputs near 0 or 1, and of the spread in the last layer; ranges over 5 seeds."""
    bounds = {"sigmoid, N(0, 1)": (0.65, 0.85), "sigmoid, Xavier": (0, 0.03)}  # 0.74 to 0.77; 0.005 to 0.006
    return (
        *(
            Check(
                Text(
                    f"{name}: share of outputs outside [0.1, 0.9]",
                    f"{in_japanese(name)}：[0.1, 0.9] の外にある出力の割合",
                ),
                flat[name],
                *bound,
            )
            for name, bound in bounds.items()
        ),
        Check(_deviation("sigmoid, Xavier"), ends["sigmoid, Xavier"], 0.09, 0.17),  # 0.118 to 0.133
        Check(_deviation("ReLU, N(0, 1)"), ends["ReLU, N(0, 1)"], low=5e3),  # 1.2e4 to 1.6e4
        Check(_deviation("ReLU, Xavier"), ends["ReLU, Xavier"], 0.08, 0.25),  # 0.12 to 0.16
        Check(_deviation("ReLU, He"), ends["ReLU, He"], 0.5, 1.6),  # 0.68 to 0.90
    )


def _deviation(name: str) -> Text:
    return Text(
        f"{name}: standard deviation of the activations of layer 5", f"{in_japanese(name)}：第 5 層の出力の標準偏差"
    )


def _vanishing(plan: Plan) -> Result:
    layers, found, worst = 10, {}, []
    for name in ("sigmoid, N(0, 1)", "sigmoid, Xavier", "ReLU, He"):
        norms, factors = zip(*(_shrinking(name, layers, seed) for seed in plan.seeds), strict=True)
        found[name] = np.stack([each / each[-1] for each in norms], axis=1)
        if name.startswith("sigmoid"):
            worst += factors
    per_layer = {name: (norms[0] / norms[-1]) ** (1 / (layers - 1)) for name, norms in found.items()}
    caption = Text("How deltas fare on their way back to the first layer.", "第 1 層へ戻るまでのデルタの大きさ。")
    return Result(
        checks=_vanishing_checks(worst, per_layer),
        pictures=(Picture("deltas", caption, _by_layer(found, "norm of delta, last layer = 1", 6)),),
        rows=_rows(found, plan),
    )


def _shrinking(name: str, layers: int, seed: int) -> tuple[np.ndarray, float]:
    """The norm of the deltas of each layer; the largest factor of a layer, divided by the gain of its weights."""
    _, deltas, weights = _traced(name, layers, seed)
    norms = np.array([np.sqrt(np.sum(np.square(delta, dtype=np.float64))) for delta in deltas])
    gains = [np.linalg.norm(w, 2) for w in weights[1:]]
    return norms, max(norms[:-1] / norms[1:] / gains)


def _vanishing_checks(worst: list[float], per_layer: dict[str, np.ndarray]) -> tuple[Check, ...]:
    return (
        Check(  # 0.25 is a theorem; measured 0.05 to 0.13
            Text(
                "sigmoid: largest factor of a layer, divided by the gain of its weights",
                "シグモイド：1 層ごとの倍率を重みの利得で割った値の最大",
            ),
            worst,
            high=0.25,
        ),
        Check(  # 0.231 to 0.234
            Text("sigmoid, Xavier: mean factor of a layer", "シグモイド、Xavier：1 層ごとの平均倍率"),
            per_layer["sigmoid, Xavier"],
            high=0.27,
        ),
        Check(  # 1.06 to 1.11
            Text("ReLU, He: mean factor of a layer", "ReLU、He：1 層ごとの平均倍率"),
            per_layer["ReLU, He"],
            0.85,
            1.25,
        ),
    )


_INPUT = Text("100 units in each layer, 1,000 inputs N(0, 1).", "各層 100 ユニット、N(0, 1) の入力 1,000 個。")

STUDIES = (
    Study(
        name="saturation",
        chapter=chapters.START,
        title=Text("Initial weights and activations", "重みの初期値と出力の分布"),
        claim=Text(
            "With weights N(0, 1) the outputs of sigmoid layers are mostly near 0 or 1, and those of ReLU layers grow "
            "without bound; with Xavier's weights sigmoid layers keep their spread, with He's weights ReLU layers do.",
            "重みが N(0, 1) だとシグモイド層の出力の多くは 0 か 1 の近くになり（二値化）、ReLU "
            "層の出力は際限なく大きくなる。シグモイドは Xavier、ReLU は He の初期値で出力の広がりが保たれる。",
        ),
        formula=(r"\mathrm{Var}(u) = n\,\mathrm{Var}(w)\,\mathrm{E}[z^2]",),
        setting=_INPUT,
        run=_saturation,
    ),
    Study(
        name="vanishing-gradient",
        chapter=chapters.START,
        title=Text("The vanishing gradient", "勾配消失"),
        claim=Text(
            "Through each sigmoid layer a delta shrinks by a factor of at least 4, apart from the gain of the "
            "weights, because the slope of a sigmoid is at most 1/4; with ReLU and He's weights it keeps its size.",
            "シグモイドの傾きは最大でも 1/4 なので、デルタは 1 層戻るごとに（重みの利得を除いて）4 分の 1 "
            "以下になる。ReLU と He の初期値では大きさが保たれる。",
        ),
        formula=(
            r"\delta^{(l)} = \sigma'(u^{(l)}) \odot \left( \delta^{(l+1)} (W^{(l+1)})^T \right)",
            r"\sigma' = \sigma (1 - \sigma) \leq 1/4",
        ),
        setting=Text(f"10 layers. {_INPUT.en}", f"10 層。{_INPUT.ja}"),
        run=_vanishing,
    ),
)

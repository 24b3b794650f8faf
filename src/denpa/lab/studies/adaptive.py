"""Methods that divide each component of the gradient by its own past: what that makes them blind to."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.lab.landscapes import Valley
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import COLOURS, LINES, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.surfaces import scattered
from denpa.optim import SGD, AdaGrad, RMSprop

__all__ = ["STUDIES"]

# Powers of two, so that multiplying by them rounds nothing: what is equal is equal to the last bit.
_FACTORS, _UPDATES = (1.0, 8.0, 64.0), 30
_LARGE, _AFTER = 100.0, 200


def _methods() -> dict[str, Any]:
    return {"gradient descent": SGD(0.02), "AdaGrad": AdaGrad(2.0, epsilon=0.0), "RMSprop": RMSprop(0.5, epsilon=0.0)}


def _walked(method: Any, factors: tuple[float, ...], starts: list[np.ndarray]) -> np.ndarray:
    """The paths where the second component of the gradient is so many times as large (factors, starts, points, 2)."""
    params: Any = {"W": jnp.asarray([starts] * len(factors), jnp.float32)}

    def body(carry: Any, _: Any) -> Any:
        params, state = carry
        grads = [Valley(factor).gradient(w) for factor, w in zip(factors, params["W"], strict=True)]
        updates, state = method.update({"W": jnp.stack(grads)}, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        return (params, state), params["W"]

    points = jax.lax.scan(body, (params, method.init(params)), length=_UPDATES)[1]
    return np.stack([np.asarray(params["W"]), *np.asarray(points)], axis=2)


def _anisotropy(plan: Plan) -> Result:
    starts = scattered(plan, (8.0, 8.0), (12.0, 12.0))
    found = {name: _walked(method, _FACTORS, starts) for name, method in _methods().items()}
    blurred = _walked(RMSprop(0.5, epsilon=30.0), _FACTORS[::2], starts)
    caption = Text(
        "Paths from the same point; in E = (w₁² + c w₂²)/2 the second component of the gradient has the factor c. In "
        "the middle and on the right the three paths lie on each other.",
        "同じ点からの軌跡。E = (w₁² + c w₂²)/2 では勾配の第 2 成分が c 倍になる。中央と右では三つの軌跡が重なる。",
    )
    return Result(
        checks=(
            Check(_apart("AdaGrad"), _distance(found["AdaGrad"]), 0, 0),
            Check(_apart("RMSprop"), _distance(found["RMSprop"]), 0, 0),
            Check(_apart("gradient descent", "勾配降下法"), _distance(found["gradient descent"]), low=6),  # 11 to 15
            Check(_apart("RMSprop with ε = 30", "RMSprop（ε = 30）"), _distance(blurred), low=1),  # 1.9 to 2.1
        ),
        pictures=(Picture("paths", caption, _paths_drawn(found)),),
        rows=tuple(
            {"method": name, "c": factor, "update": step, "w1": float(w[0]), "w2": float(w[1])}
            for name, paths in found.items()
            for factor, path in zip(_FACTORS, paths[:, 0], strict=True)
            for step, w in enumerate(path)
        ),
    )


def _distance(paths: np.ndarray) -> np.ndarray:
    """How far a path for another factor is from that for the first, at most, by start."""
    return np.linalg.norm(paths - paths[:1], axis=-1).max(axis=(0, 2))


def _apart(name: str, japanese: str = "") -> Text:
    return Text(
        f"{name}: largest distance between the paths for c = 1 and c > 1",
        f"{japanese or name}：c = 1 と c > 1 の軌跡の最大距離",
    )


def _paths_drawn(found: dict[str, np.ndarray]) -> Any:
    figure, panels = figure_of(len(found), size=(3.3, 3.1))
    for axes, (name, paths) in zip(panels, found.items(), strict=True):
        for index, (factor, path) in enumerate(zip(_FACTORS, paths[:, 0], strict=True)):
            style = {"color": COLOURS[index], "linestyle": LINES[index], "linewidth": 6 - 2.2 * index}
            axes.plot(path[:, 0], path[:, 1], label=f"$c$ = {factor:g}", alpha=0.45 if index == 0 else 1.0, **style)
        axes.plot(*paths[0, 0, 0], "o", color=COLOURS[-1], markersize=6)
        finish(axes, "$w_1$", "$w_2$", name, "upper left", xlim=(-1, 12.5), ylim=(-4, 12.5))
    return figure


def _steps(method: Any, gradients: np.ndarray) -> np.ndarray:
    """How far each of these gradients of one weight makes it move against the gradient, with learning rate 1."""
    params: Any = {"W": jnp.zeros(())}
    state, found = method.init(params), []
    for gradient in gradients:
        updates, state = method.update({"W": jnp.asarray(gradient, jnp.float32)}, state, params)
        found.append(-float(updates["W"]))
    return np.array(found)


def _starvation(plan: Plan) -> Result:
    t = np.arange(_AFTER + 1)
    gradients, rho = np.where(t == 0, _LARGE, 1.0), 0.9
    steps = {
        "AdaGrad": _steps(AdaGrad(1.0, epsilon=0.0), gradients),
        "RMSprop": _steps(RMSprop(1.0, rho, epsilon=0.0), gradients),
    }
    mean_square = rho**t * (1 - rho) * _LARGE**2 + 1 - rho**t
    formulas = {"AdaGrad": gradients / np.sqrt(_LARGE**2 + t), "RMSprop": gradients / np.sqrt(mean_square)}
    figure, (axes,) = figure_of(1, size=(5.6, 3.4))
    axes.set_yscale("log")
    for index, (name, values) in enumerate(steps.items()):
        curve(axes, t, values, index, name)
    finish(axes, "updates since the large gradient", "step / learning rate", ylim=(5e-3, 5))
    caption = Text("The steps after a single large gradient.", "大きな勾配が一度あった後の更新量。")
    return Result(
        checks=_starvation_checks(steps, formulas),
        pictures=(Picture("steps", caption, figure),),
        rows=tuple({"update": int(k), **{name: float(values[k]) for name, values in steps.items()}} for k in t),
    )


def _starvation_checks(steps: dict[str, np.ndarray], formulas: dict[str, np.ndarray]) -> tuple[Check, ...]:
    adagrad, rmsprop = steps["AdaGrad"], steps["RMSprop"]
    far = [np.max(np.abs(steps[name] / formulas[name] - 1)) for name in steps]
    return (
        Check(_reached("AdaGrad"), adagrad[100], 0.00995, 0.009951),
        Check(_reached("RMSprop"), rmsprop[100], 0.9869, 0.9871),
        Check(
            Text("AdaGrad: largest quotient of a step and the one before", "AdaGrad：直前の更新量との比の最大値"),
            np.max(adagrad[1:] / adagrad[:-1]),
            high=1,
        ),
        Check(
            Text("RMSprop: updates until a step is η/2 again", "RMSprop：更新量が η/2 に戻るまでの回数"),
            1 + np.argmax(rmsprop[1:] >= 0.5),
            56,
            56,
        ),
        Check(
            Text("largest relative deviation from the formulas, 200 updates", "公式との相対差の最大値（200 回）"),
            max(far),
            high=1e-5,
        ),
    )


def _reached(name: str) -> Text:
    return Text(
        f"{name}: step / η, 100 updates after the large gradient", f"{name}：大きな勾配から 100 回後の更新量／η"
    )


STUDIES = (
    Study(
        name="anisotropy",
        chapter=chapters.OPTIMISERS,
        title=Text("A gradient with components of different size", "成分ごとに大きさの異なる勾配"),
        claim=Text(
            "Multiply one component of the gradient by a constant: AdaGrad and RMSprop take exactly the same steps, "
            "for each component is divided by the size of its own past; gradient descent takes others.",
            "勾配の一つの成分を定数倍しても、AdaGrad と RMSprop の更新はまったく変わらない（成分ごとに過去の大きさで割"
            "るため）。勾配降下法の更新は変わる。",
        ),
        formula=(
            r"\mathrm{AdaGrad:}\ \Delta w_i = -\eta\, g_i / \sqrt{\sum_{\tau \leq t} (g_i^{(\tau)})^2}",
            r"\mathrm{RMSprop:}\ \Delta w_i = -\eta\, g_i / \sqrt{v_i}, \quad v_i \leftarrow \rho v_i + (1-\rho) g_i^2",
            r"g_i \rightarrow c\, g_i: \ \Delta w_i \rightarrow \Delta w_i",
        ),
        setting=Text(
            "E = (w₁² + c w₂²)/2 with c = 1, 8, 64; 30 updates from (10, 10), at random within 20 %; η = 0.02, 2 and "
            "0.5; ε = 0.",
            "E = (w₁² + c w₂²)/2、c = 1, 8, 64。(10, 10) 付近（±20 % の乱数）から 30 回。η は順に 0.02、2、0.5、ε = "
            "0。",
        ),
        run=_anisotropy,
        remark=Text(
            "The ε that guards against division by 0 spoils this as soon as it is not small beside the gradient: with "
            "ε = 30 the paths of RMSprop differ.",
            "0 での割り算を防ぐ ε が勾配に比べて小さくないと、この性質は失われる。ε = 30 では RMSprop の軌跡も変わる。",
        ),
    ),
    Study(
        name="adagrad-starvation",
        chapter=chapters.OPTIMISERS,
        title=Text("AdaGrad starves, RMSprop forgets", "AdaGrad の学習停止と RMSprop"),
        claim=Text(
            "After one gradient of 100 all others are 1. AdaGrad's steps stay near η/100 for ever; RMSprop, whose "
            "mean forgets, makes steps of nearly η again after 100 updates.",
            "勾配が一度だけ 100 で、その後ずっと 1 のとき、AdaGrad の更新量は η/100 "
            "程度のまま戻らない。古い勾配を忘れる RMSprop は 100 回後にはほぼ η に戻る。",
        ),
        formula=(
            r"\mathrm{AdaGrad:}\ |\Delta w^{(t)}| = \eta / \sqrt{100^2 + t}",
            r"\mathrm{RMSprop:}\ |\Delta w^{(t)}| = \eta / \sqrt{\rho^t (1-\rho)\, 100^2 + 1 - \rho^t}",
        ),
        setting=Text(
            "One weight; gradients 100, 1, 1, ...; ρ = 0.9, ε = 0.", "1 変数。勾配は 100, 1, 1, …。ρ = 0.9、ε = 0。"
        ),
        run=_starvation,
    ),
)

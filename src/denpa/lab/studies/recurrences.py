"""Deltas on their way back through time: why a simple recurrent network does not learn what happened long ago."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.gradients import trace
from denpa.init import Normal
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, typically
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.terms import in_japanese
from denpa.losses import MeanSquaredError
from denpa.networks import GRU, LSTM, RNN, Sequential

__all__ = ["STUDIES"]

_UNITS, _TIME, _BATCH, _INPUTS = 50, 100, 10, 10
_GAINS = (0.5, 1.0, 1.5, 3.0)
_TIMES = tuple(range(10, _TIME + 1, 10))


def _recurrent(gain: float) -> RNN:
    return RNN(_UNITS, kernel_init=Normal(0.01), recurrent_init=Normal(gain / _UNITS**0.5))


def _deltas(layer: Any, part: str, seed: int) -> np.ndarray:
    """The norm of dE/dz at every step of time, as a multiple of that at the last; E compares the last output
    alone.
    """
    net, rng = Sequential((layer,)), np.random.default_rng(seed)
    x = rng.normal(size=(_BATCH, _TIME, _INPUTS)).astype(np.float32)
    t = rng.normal(size=(_BATCH, _UNITS)).astype(np.float32)
    met = trace(net, MeanSquaredError(), net.init(jax.random.key(seed), x.shape[1:]), x, t)
    record = next(met[path] for path in met if path.endswith(f"/{part}"))
    norms = np.sqrt(np.sum(np.square(np.asarray(record.dy), dtype=np.float64), axis=(0, 2)))
    return norms / norms[-1]


def _measured(seeds: tuple[int, ...]) -> dict[str, np.ndarray]:
    """For each layer the norms of its deltas over time, (steps, seeds)."""
    layers = {f"RNN, g = {gain:g}": (_recurrent(gain), "h") for gain in _GAINS}
    layers |= {
        "GRU": (GRU(_UNITS), "h"),
        "LSTM, forget bias 1": (LSTM(_UNITS, forget_bias=1.0), "c"),
        "LSTM, forget bias 5": (LSTM(_UNITS, forget_bias=5.0), "c"),
    }
    return {name: np.stack([_deltas(*part, seed) for seed in seeds], axis=1) for name, part in layers.items()}


@jax.jit
def _backward(params: Any, x: Any, z: Any, dy: Any) -> Any:
    """∂E/∂z⁰ of an RNN; its numbers alone know how its weights were drawn, so that one program serves all."""
    layer = RNN(_UNITS, return_sequences=True, takes_carry=True)
    return layer.backward(params, layer.forward(params, (x, z))[1], dy)[0][1]


def _jacobian_norms(gain: float, seed: int) -> list[float]:
    """The spectral norm of ∂zᵗ/∂z⁰ at `_TIMES`: row i of the batch asks for the delta of z⁰ that unit i hands back.

    No input; z⁰ from N(0, 1); float64, since the norms span more than float32 has room for.
    """
    with jax.enable_x64(True):
        drawn = _recurrent(gain).init(jax.random.key(seed), (_TIME, 1)).params
        params = jax.tree.map(lambda a: a.astype(np.float64), drawn)
        z = np.tile(np.random.default_rng(seed).normal(size=_UNITS), (_UNITS, 1))
        found = []
        for time in _TIMES:
            dy = jnp.zeros((_UNITS, _TIME, _UNITS)).at[:, time - 1].set(jnp.eye(_UNITS))
            found.append(float(np.linalg.norm(_backward(params, jnp.zeros((_UNITS, _TIME, 1)), z, dy), 2)))
    return found


def _over_time(plan: Plan) -> Result:
    found = _measured(plan.seeds)
    jacobians = {gain: np.array([_jacobian_norms(gain, seed) for seed in plan.seeds]).T for gain in _GAINS}
    return Result(
        checks=(*_checks(found), *_jacobian_checks(jacobians)),
        pictures=(
            Picture(
                "deltas",
                Text(
                    "Deltas of the hidden state, of the LSTM's memory; before any training.",
                    "隠れ状態（LSTM は記憶セル）のデルタ。学習前。",
                ),
                _figure(found),
            ),
            Picture(
                "jacobians",
                Text(
                    "RNN without input: how much of a change of the first state is left, or has become of it.",
                    "入力のない RNN：最初の状態の変化が t ステップ後に何倍になるか。",
                ),
                _jacobians_drawn(jacobians),
            ),
        ),
        rows=tuple(
            {
                "layer": name,
                "steps back": _TIME - 1 - step,
                **{f"seed {s}": v for s, v in zip(plan.seeds, row, strict=True)},
            }
            for name, norms in found.items()
            for step, row in enumerate(norms.tolist())
        ),
    )


def _checks(found: dict[str, np.ndarray]) -> tuple[Check, ...]:
    bounds = {  # low, high; measured over 30 seeds
        "RNN, g = 0.5": (0.0, 1e-20),  # 1e-32 to 3e-22
        "RNN, g = 3": (1e6, np.inf),  # 2e-5 once, otherwise 2e9 to 1e14: of the median
        "GRU": (0.0, 1e-12),  # 1e-16 to 5e-16
        "LSTM, forget bias 1": (0.0, 1e-4),  # 2e-6 to 1e-5
        "LSTM, forget bias 5": (1.0, 1e4),  # 26 to 151
    }
    return tuple(
        (typically if name == "RNN, g = 3" else check)(
            f"{name}: delta 99 steps back / delta of the last step",
            f"{in_japanese(name)}：99 ステップ前のデルタ／最後のデルタ",
            found[name][0],
            *bound,
        )
        for name, bound in bounds.items()
    )


def _jacobian_checks(found: dict[float, np.ndarray]) -> tuple[Check, ...]:
    # over 30 seeds: 7e-33 to 3e-19; 4e-7 to 5e2; 8e-5 to 9e4; 8e6 to 3e13; medians 1e-28, 0.4, 60, 2e12
    bounds = {0.5: (0.0, 1e-15), 1.0: (1e-3, 1e2), 1.5: (0.5, 1e5), 3.0: (1e8, np.inf)}
    return tuple(
        typically(
            f"RNN, g = {gain:g}: spectral norm of ∂zᵗ/∂z⁰ at t = 100",
            f"RNN、g = {gain:g}：t = 100 の ∂zᵗ/∂z⁰ のスペクトルノルム",
            found[gain][-1],
            *bound,
        )
        for gain, bound in bounds.items()
    )


def _jacobians_drawn(found: dict[float, np.ndarray]) -> Any:
    figure, (axes,) = figure_of(1, size=(6, 3.8))
    axes.set_yscale("log")
    for index, (gain, norms) in enumerate(found.items()):
        curve(axes, _TIMES, norms, index, f"g = {gain:g}")
    finish(axes, "$t$", "spectral norm", r"$\partial z^t / \partial z^0$", legend="beside")
    return figure


def _figure(found: dict[str, np.ndarray]) -> Any:
    figure, (axes,) = figure_of(1, size=(6.8, 4))
    axes.set_yscale("log")
    back = np.arange(_TIME)
    for index, (name, norms) in enumerate(found.items()):
        curve(axes, back, np.maximum(norms[::-1], 1e-35), index, name)
    finish(axes, "steps back in time", "norm of delta, last step = 1", legend="beside")
    return figure


STUDIES = (
    Study(
        name="gradients-over-time",
        chapter=chapters.RECURRENCE,
        title=Text("Gradients over time", "時間方向の勾配消失と勾配爆発"),
        claim=Text(
            "In a simple recurrent network deltas vanish or explode with the number of steps, as its recurrent "
            "weights are small or large, by many powers of ten in 100 steps; the memory of an LSTM hands them on "
            "within two or three, as long as its forget gate is open.",
            "単純な RNN では、再帰結合の重みの大小により、デルタはステップ数とともに指数的に消失または爆発し、100 "
            "ステップで何十桁も変わる。LSTM の記憶セルは、忘却ゲートが開いている限り 2〜3 "
            "桁以内の変化でデルタを伝える。",
        ),
        formula=(
            r"\delta^{t-1} = \left( \delta^{t} \odot f'(u^{t}) \right) W_h^T \qquad "
            r"\mathrm{LSTM:}\ \frac{\partial c^{t}}{\partial c^{t-1}} = f^{t} + \ldots",
        ),
        setting=Text(
            "50 units, 100 steps, inputs N(0, 1); recurrent weights of the RNN N(0, g²/50), of the others orthogonal; "
            "biases 0, but for the LSTM's forget gate. Second picture: no input, z⁰ from N(0, 1).",
            "50 ユニット、100 ステップ、入力 N(0, 1)。RNN の再帰結合は N(0, g²/50)、他は直交行列。バイアスは LSTM "
            "の忘却ゲート以外 0。2 つ目の図：入力なし、z⁰ は N(0, 1)。",
        ),
        run=_over_time,
        remark=Text(
            "An LSTM or a GRU is no remedy by itself: with gates half open, as they are where biases start at 0 or 1, "
            "its deltas vanish at first as well. It can learn to keep them open; a large forget bias opens them from "
            "the start. And large weights do not make every RNN explode: of 30 with g = 3 the deltas of one shrank.",
            "LSTM や GRU にするだけでは解決しない。バイアスが 0 や 1 "
            "から始まるとゲートは半開きで、学習前はデルタがやはり消失する。ゲートを開くことは学習でき、忘却ゲートのバ"
            "イアスを大きくすれば最初から開いている。また重みが大きくても必ず爆発するとは限らず、g = 3 の RNN 30 個の"
            "うち 1 個ではデルタが小さくなった。",
        ),
    ),
)

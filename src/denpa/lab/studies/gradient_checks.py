"""Back-propagation against numerical differentiation: the same gradient, at another price."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from denpa.gradients import backprop
from denpa.init import Normal
from denpa.lab.studies import chapters
from denpa.lab.studies.plots import curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.layers import Dense, Sigmoid
from denpa.losses import Loss, SoftmaxCrossEntropy
from denpa.networks import Sequential
from denpa.testing import oracle

__all__ = ["STUDIES", "differences"]

_STEPS = 10.0 ** np.arange(-12, 0.5, 0.5)
_INPUTS, _CLASSES, _BATCH = 3, 4, 5
_LOSS = SoftmaxCrossEntropy()


def _case(hidden: int, seed: int) -> tuple[Sequential, Any, Any]:
    """A net with a hidden layer of sigmoid units, its variables, and a batch (x, t), in the precision in force."""
    net = Sequential((Dense(hidden, kernel_init=Normal(0.7)), Sigmoid(), Dense(_CLASSES, kernel_init=Normal(0.7))))
    rng = np.random.default_rng(seed)
    batch = rng.normal(size=(_BATCH, _INPUTS)), rng.integers(_CLASSES, size=_BATCH).astype(np.int32)
    return net, *oracle.in_float64((net.init(jax.random.key(seed), (_INPUTS,)), batch))


@functools.lru_cache
def differences(net: Sequential, loss: Loss) -> Callable[..., Any]:
    """Central differences of all parameters at once, for a vector w: (E(w + h e_i) - E(w - h e_i)) / 2h.

    A function of variables, x, t and h, in the precision in force; the vector is in the order of `ravel_pytree`.
    """

    def slopes(variables: Any, x: Any, t: Any, h: Any) -> Any:
        w, whole = ravel_pytree(variables.params)

        def energy(w: Any) -> Any:
            return loss.value(net.apply(variables._replace(params=whole(w)), x), t)

        moves = h * jnp.eye(len(w), dtype=w.dtype)
        return jax.vmap(lambda move: (energy(w + move) - energy(w - move)) / (2 * h))(moves)

    return jax.jit(slopes)


def _exact(net: Sequential, variables: Any, x: Any, t: Any) -> np.ndarray:
    return np.asarray(ravel_pytree(backprop(net, _LOSS, variables, x, t).grads)[0])


def _errors(seed: int) -> np.ndarray:
    """The largest error of central differences, as a share of the largest gradient, for each of `_STEPS`."""
    net, variables, (x, t) = _case(6, seed)
    exact = _exact(net, variables, x, t)
    found = [np.asarray(differences(net, _LOSS)(variables, x, t, h)) - exact for h in _STEPS]
    return np.abs(np.stack(found)).max(axis=1) / np.abs(exact).max()


def _seconds(hidden: int) -> tuple[int, float, float]:
    """Parameters, and the least of several times of numerical differentiation and of back-propagation."""
    net, variables, (x, t) = _case(hidden, 0)

    def timed(run: Callable[[], Any]) -> float:
        run()
        times = []
        for _ in range(7):
            started = time.perf_counter()
            jax.block_until_ready(run())
            times.append(time.perf_counter() - started)
        return min(times)

    numerical = timed(lambda: differences(net, _LOSS)(variables, x, t, 1e-5))
    return len(_exact(net, variables, x, t)), numerical, timed(lambda: backprop(net, _LOSS, variables, x, t))


def _evaluations(hidden: int) -> float:
    """How often numerical differentiation evaluates the network where back-propagation does once, for each parameter.

    Counted in the exponentials of the compiled programs: E has some in every sigmoid and in the softmax, its
    derivative has none of its own.
    """
    net, variables, (x, t) = _case(hidden, 0)

    def backward(variables: Any, x: Any, t: Any) -> Any:
        step = backprop(net, _LOSS, variables, x, t)
        return step.loss, step.grads

    programs = (
        jax.jit(differences(net, _LOSS)).lower(variables, x, t, 1e-5),
        jax.jit(backward).lower(variables, x, t),
    )
    costs: list[Any] = [program.compile().cost_analysis() for program in programs]
    numerical, once = (cost["transcendentals"] for cost in costs)
    return numerical / once / len(_exact(net, variables, x, t))


class _Costs(NamedTuple):
    """For each size of the network its parameters, the seconds that either gradient takes, and the evaluations."""

    parameters: np.ndarray
    numerical: np.ndarray
    backward: np.ndarray
    evaluations: np.ndarray


def _run(plan: Plan) -> Result:
    with jax.enable_x64(True):
        errors = np.stack([_errors(seed) for seed in plan.seeds], axis=1)
        sizes = plan.pick((4, 16, 64, 128), (4, 16, 64, 256, 512))
        costs = _Costs(*np.array([(*_seconds(hidden), _evaluations(hidden)) for hidden in sizes]).T)
    rows = [
        {"step": h, **{f"seed {s}": e for s, e in zip(plan.seeds, row, strict=True)}}
        for h, row in zip(_STEPS, errors, strict=True)
    ]
    return Result(
        checks=_checks(errors, costs),
        pictures=(
            Picture(
                "error-and-cost",
                Text(
                    "Left: what central differences get wrong; with a large step the curve of E, with a small one the "
                    "rounding. Right: what one gradient costs.",
                    "左：中心差分の誤差。刻み幅が大きいと E の曲がりが、小さいと丸め誤差が効く。右：勾配 1 "
                    "回の計算時間。",
                ),
                _figure(errors, costs),
            ),
        ),
        rows=tuple(rows),
    )


def _checks(errors: np.ndarray, costs: _Costs) -> tuple[Check, ...]:
    best = errors.min(axis=0)
    rising = errors[-3] / errors[-7]  # two decades of the step: from 10⁻³ to 10⁻¹
    return (
        # measured over 5 seeds: 2e-11 to 9e-11
        Check(Text("relative difference at the best step", "最良の刻み幅での相対誤差"), best, high=1e-9),
        # h² means a factor 10⁴
        Check(
            Text("growth of the error from h = 0.001 to h = 0.1", "h = 0.001 から h = 0.1 での誤差の増加率"),
            rising,
            5e3,
            2e4,
        ),
        Check(
            Text(
                "evaluations of the network for each parameter, numerical / back-propagation, every size of network",
                "パラメータ 1 個あたりのネットワーク計算回数（数値微分／逆伝播、各規模）",
            ),
            costs.evaluations,
            1.99,
            2.01,
        ),
        Check(
            Text(
                "time for the largest network, numerical / back-propagation",
                "最大のネットワークでの時間比（数値微分／逆伝播）",
            ),
            (costs.numerical[-1] / costs.backward[-1],),
            low=5,
        ),
    )


def _figure(errors: np.ndarray, costs: _Costs) -> Any:
    figure, (left, right) = figure_of(2)
    left.set_yscale("log")
    right.set_yscale("log")
    curve(left, _STEPS, errors, 0, "central differences")
    left.plot(_STEPS, 1e-16 / _STEPS, color="#555555", linestyle=":", linewidth=1, label="$10^{-16} / h$")
    left.plot(_STEPS, _STEPS**2, color="#555555", linestyle="--", linewidth=1, label="$h^2$")
    finish(left, "step h", "relative error", xscale="log", ylim=(1e-14, 10))
    times = {"central differences": costs.numerical, "back-propagation": costs.backward}
    for index, (label, seconds) in enumerate(times.items()):
        curve(right, costs.parameters, 1000 * seconds, index, label, marker="o", markersize=3)
    finish(right, "parameters", "milliseconds", xscale="log")
    return figure


STUDIES = (
    Study(
        name="gradient-check",
        chapter=chapters.GRADIENTS,
        title=Text("Numerical and back-propagated gradients", "数値微分と誤差逆伝播法"),
        claim=Text(
            "Numerical differentiation and back-propagation give the same gradient, but the former evaluates the "
            "network twice for every parameter, the latter goes through it once forward and once back.",
            "数値微分と誤差逆伝播法は同じ勾配を与える。ただし数値微分はパラメータ 1 個につき 2 "
            "回ネットワークを計算し、誤差逆伝播法は順方向 1 回と逆方向 1 回で済む。",
        ),
        formula=(
            r"\frac{\partial E}{\partial w_i} = \frac{E(w + h e_i) - E(w - h e_i)}{2h} + O(h^2)",
            r"\delta^{(l)} = f'(u^{(l)}) \odot \left( \delta^{(l+1)} (W^{(l+1)})^T \right)",
        ),
        setting=Text(
            "3 inputs, a hidden layer of sigmoid units, 4 classes with softmax and cross-entropy; weights N(0, 0.7²); "
            "5 random inputs; float64.",
            "入力 3、シグモイド中間層 1 層、4 クラス（ソフトマックス＋交差エントロピー）。重みは N(0, "
            "0.7²)。ランダムな入力 5 個、倍精度。",
        ),
        run=_run,
    ),
)

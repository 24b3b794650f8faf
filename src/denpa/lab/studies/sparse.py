"""Autoencoders: a bottleneck finds the principal components, a price on activity makes the code sparse."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from denpa import classical
from denpa.core.layer import Variables
from denpa.lab.studies import chapters
from denpa.lab.studies.images import Images, images
from denpa.lab.studies.plots import COLOURS, curve, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text
from denpa.lab.studies.together import train_together
from denpa.layers import ActivityL1, Dense, KLSparsity, Sigmoid
from denpa.losses import MeanSquaredError
from denpa.networks import Sequential
from denpa.optim import Adam
from denpa.training import Model

__all__ = ["STUDIES"]

_RHO = 0.05


def _bottleneck(plan: Plan) -> Result:
    data = images(plan).flat().few(1000, seed=0)
    mean = data.x.mean(axis=0)
    x, test_x = data.x - mean, data.test_x[:1000] - mean
    widths, last = (2, 8, 32, x.shape[1]), plan.pick(1500, 4000)
    reached, outside, best = *np.zeros((2, len(widths), len(plan.seeds))), np.zeros(len(widths))
    for row, width in enumerate(widths):
        net = Sequential((Dense(width, use_bias=False), Dense(x.shape[1], use_bias=False)))
        model = Model(net, MeanSquaredError(), Adam(3e-3))
        parts = (x, x), (test_x, test_x), plan.seeds, np.array([0, last])
        curves, found = train_together(model, *parts), classical.pca(x, width)
        reached[row] = curves.train["loss"][-1]
        outside[row] = [_outside(decoder, found.components) for decoder in curves.params["1_dense"]["W"]]
        best[row] = 0.5 * (found.total_variance - found.variances.sum())
    figure, (axes,) = figure_of(1, size=(5.4, 3.4))
    curve(axes, widths, reached, 0, "autoencoder", marker="o", markersize=4)
    curve(axes, widths, best, 1, "principal components", marker="s", markersize=3)
    finish(axes, "units of the code", "error", xscale="log", ylim=(0, None))
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    return Result(
        checks=_bottleneck_checks(plan, widths, reached, best, outside),
        pictures=(Picture("errors", Text("Error of the reconstruction.", "復元誤差。"), figure),),
        rows=tuple(
            {"units": w, "components": b, **{f"seed {s}": e for s, e in zip(plan.seeds, row, strict=True)}}
            for w, b, row in zip(widths, best.tolist(), reached.tolist(), strict=True)
        ),
        setting=data.describe(),
    )


def _outside(decoder: Any, components: np.ndarray) -> float:
    """The part of the space that a decoder (units, d) writes into which lies outside that of the components (d, k)."""
    basis = np.linalg.qr(np.asarray(decoder).T)[0]
    return float(1 - np.sum((components.T @ basis) ** 2) / basis.shape[1])


def _bottleneck_checks(
    plan: Plan, widths: tuple[int, ...], reached: np.ndarray, best: np.ndarray, outside: np.ndarray
) -> tuple[Check, ...]:
    """Of errors and parts outside (widths, seeds), and the least errors (widths,); the last code is no bottleneck."""
    *narrow, wide = widths
    # Over 5 seeds on digits: 1.000; 1.000 to 1.001; 1.011 to 1.022; 6e-5 to 1e-4; over 20 1e-4 to 0.05, of a space at
    # random 0.88; 4e-5 to 8e-5 (0.01).
    errors = (
        Check(
            Text(
                f"code of {width} units: error / error of {width} principal components",
                f"符号 {width} 個：誤差／主成分 {width} 個の誤差",
            ),
            reached[row] / best[row],
            0.999,
            1.1,
        )
        for row, width in enumerate(narrow)
    )
    spaces = (
        Check(
            Text(
                f"code of {width} units: part of its space outside that of the components",
                f"符号 {width} 個：主成分の部分空間からはみ出す割合",
            ),
            outside[row],
            high=0.15,
        )
        for row, width in enumerate(narrow[:2])
    )
    copying = Check(
        Text(
            f"code of {wide} units, as many as inputs: error / error of {narrow[0]} units",
            f"符号 {wide} 個（入力と同じ数）：誤差／符号 {narrow[0]} 個の誤差",
        ),
        reached[-1] / reached[0],
        high=plan.pick(1e-3, 0.03),
    )
    return (*errors, *spaces, copying)


class _Learned(NamedTuple):
    """What was learned under a price.

    Args:
        means: the mean activation of each unit of the code (seeds, units).
        active: the share of activations above 0.1 (seeds,).
        errors: of the reconstruction (seeds,).
        first: the codes of the first seed (examples, units).
    """

    means: np.ndarray
    active: np.ndarray
    errors: np.ndarray
    first: np.ndarray


def _sparse(plan: Plan) -> Result:
    data = images(plan).flat().few(1000, seed=0)
    prices: dict[str, Any] = {
        "none": None,
        "KL": KLSparsity(_RHO, plan.pick(0.5, 2.0)),
        "L1": ActivityL1(plan.pick(0.05, 0.2)),
    }
    found = {name: _learned(plan, data, price) for name, price in prices.items()}
    caption = Text("How often each activation occurs.", "符号の出力の分布。")
    return Result(
        checks=_sparse_checks(plan, found),
        pictures=(Picture("activations", caption, _activations(found)),),
        rows=tuple(
            {
                "price": name,
                "seed": seed,
                "mean": float(learned.means[row].mean()),
                "above 0.1": float(learned.active[row]),
                "error": float(learned.errors[row]),
            }
            for name, learned in found.items()
            for row, seed in enumerate(plan.seeds)
        ),
        setting=data.describe(),
    )


def _learned(plan: Plan, data: Images, price: Any) -> _Learned:
    units, last = 100, plan.pick(1000, 3000)
    encoder = (Dense(units), Sigmoid(), *([] if price is None else [price]))
    net = Sequential((*encoder, Dense(data.x.shape[1])))
    parts = (data.x, data.x), (data.test_x[:500], data.test_x[:500]), plan.seeds, np.array([0, last])
    curves = train_together(Model(net, MeanSquaredError(), Adam(3e-3)), *parts)
    codes = _codes(Sequential(encoder), curves.params, data.x)
    return _Learned(codes.mean(axis=1), np.mean(codes > 0.1, axis=(1, 2)), curves.train["loss"][-1], codes[0])


def _codes(encoder: Sequential, params: Any, x: np.ndarray) -> np.ndarray:
    """The codes of all members, (seeds, examples, units)."""
    own = {name: params[name] for name, _ in encoder.inner()}
    return np.asarray(jax.vmap(lambda p: encoder.apply(Variables(p, {}), x))(own))


def _activations(found: dict[str, _Learned]) -> Any:
    figure, panels = figure_of(len(found), size=(3.2, 2.6))
    for index, (axes, (name, learned)) in enumerate(zip(panels, found.items(), strict=True)):
        counts, edges = np.histogram(learned.first, np.linspace(0, 1, 41))
        axes.stairs(counts / counts.sum(), edges, fill=True, color=COLOURS[index])
        finish(axes, "activation", "share" if index == 0 else "", name, legend="", ylim=(0, 1))
    return figure


def _sparse_checks(plan: Plan, found: dict[str, _Learned]) -> tuple[Check, ...]:
    none, divergence, absolute = found["none"], found["KL"], found["L1"]
    ends = np.stack([divergence.means.min(axis=1), divergence.means.max(axis=1)])
    # Over 8 seeds on digits: 0.050 and 0.068 to 0.075; over 5: 0.49 to 0.50; 0.17 to 0.18; 1.00; 11 to 17.
    return (
        Check(
            Text(
                "KL: mean activation, of the unit with the least and of that with the largest",
                "KL：平均活性度が最小のユニットと最大のユニットの値",
            ),
            ends,
            0.5 * _RHO,
            2 * _RHO,
        ),
        Check(Text("without a price: mean activation", "制約なし：平均活性度"), none.means.mean(axis=1), low=0.2),
        Check(
            Text("L1: share of activations above 0.1", "L1：0.1 を超える出力の割合"),
            absolute.active,
            high=plan.pick(0.25, 0.35),
        ),
        Check(Text("without a price: the same share", "制約なし：同じ割合"), none.active, low=0.5),
        Check(
            Text("error of the reconstruction, KL / none", "復元誤差の比（KL／なし）"),
            divergence.errors / none.errors,
            low=1.0,
        ),
    )


STUDIES = (
    Study(
        name="bottleneck",
        chapter=chapters.AUTOENCODERS,
        title=Text("An autoencoder with a bottleneck", "ボトルネックのある自己符号化器"),
        claim=Text(
            "A linear autoencoder whose code is as wide as its input learns to copy: its error goes to 0. One whose "
            "code is smaller keeps the main features: it finds the same subspace as principal component analysis.",
            "符号が入力と同じ広さの線形の自己符号化器はコピーを覚え、誤差は 0 に近づく。"
            "符号が入力より小さければ主要な特徴を残し、見つかる部分空間は主成分分析と同じである。",
        ),
        formula=(r"E = \frac{1}{2N} \sum_n \Vert x_n - \tilde W^T W^T x_n \Vert^2",),
        setting=Text(
            "1,000 images less their mean, linear units, Adam with learning rate 0.003, batches of 100.",
            "平均を引いた画像 1,000 枚、線形ユニット、Adam（学習率 0.003）、ミニバッチ 100。",
        ),
        run=_bottleneck,
    ),
    Study(
        name="sparse-autoencoder",
        chapter=chapters.AUTOENCODERS,
        title=Text("Sparse autoencoders", "スパース自己符号化器"),
        claim=Text(
            "A price on the Kullback-Leibler divergence from ρ = 0.05 brings the mean activation of the code near ρ; "
            "an L1 price makes most activations nearly 0. The reconstruction pays for it.",
            "平均活性度と ρ = 0.05 の KL ダイバージェンスを加えると、平均活性度は ρ に近づく。L1 "
            "を加えるとほとんどの出力が 0 に近くなる。その分、復元誤差は増える。",
        ),
        formula=(
            r"E + \beta \sum_j \mathrm{KL}(\rho \Vert \bar h_j)",
            r"E + \lambda \frac{1}{N} \sum_n \Vert h_n \Vert_1",
        ),
        setting=Text(
            "1,000 images, a code of 100 sigmoid units, linear output, Adam with learning rate 0.003, batches of 100; "
            "β = 0.5 and λ = 0.05 on digits, 2 and 0.2 on MNIST.",
            "画像 1,000 枚、符号はシグモイド 100 ユニット、出力は線形、Adam（学習率 0.003）、ミニバッチ 100。β = "
            "0.5、λ = 0.05（digits）、2、0.2（MNIST）。",
        ),
        run=_sparse,
    ),
)

"""The second half of a derivation: deltas, gradients, and the update."""

from __future__ import annotations

import numpy as np

from denpa.lab.worksheet.document import Draft, Shown, Text
from denpa.lab.worksheet.example import Example
from denpa.lab.worksheet.network import DenseNetwork
from denpa.lab.worksheet.symbols import Level, derivative, derivative_matrix, slope
from denpa.layers import Softmax
from denpa.losses import BinaryCrossEntropy

__all__ = ["gradients", "hidden_delta", "output_delta", "update"]

Parts = list[Text | str | Shown]


def output_delta(draft: Draft, net: DenseNetwork, example: Example | None) -> None:
    """δ of the output layer."""
    last = Level(net, net.depth)
    draft.section(Text(f"Layer {net.depth}: the delta of the output layer", f"第{net.depth}層：出力層のデルタ"))
    chain = f"{slope('E', last.y('r'))} {slope(last.y('r'), last.u())}"
    own = f"{slope('E', last.y())} {slope(last.y(), last.u())}"
    total = rf"\sum_{{r=1}}^{{{last.size}}}"
    draft.step(
        Text("Definition and chain rule", "定義と連鎖率"),
        rf"{last.delta()} = {slope('E', last.u())} = {total} \blank{{{chain}}}",
        *_split(last, own),
    )
    numbers: Parts = [] if example is None else [Shown(last.deltas, example.delta(net.depth))]
    parts = _softmax(last) if isinstance(last.activation, Softmax) else _elementwise(last, net)
    draft.step(Text("Evaluation", "計算"), *parts, *numbers)


def _split(last: Level, own: str) -> Parts:
    if isinstance(last.activation, Softmax):
        others = rf"\sum_{{r \ne k}} {slope('E', last.y('r'))} {slope(last.y('r'), last.u())}"
        return [rf"= \blank{{{own}}} + \blank{{{others}}}"]
    return [
        Text(
            f"${last.y('r')}$ with $r \\ne k$ is [[not a function]] of ${last.u()}$; those terms are 0:",
            f"${last.y('r')}$（$r \\ne k$）は${last.u()}$の[[関数ではない]]ので、その項は0である：",
        ),
        rf"= \blank{{{own}}}",
    ]


def _elementwise(last: Level, net: DenseNetwork) -> Parts:
    y, inner = last.y(), derivative(last)
    if isinstance(net.loss, BinaryCrossEntropy):
        outer, result = rf"-\frac{{d_k}}{{{y}}} + \frac{{1 - d_k}}{{1 - {y}}}", f"{y} - d_k"
    else:
        outer = f"{y} - d_k"
        result = outer if inner == "1" else rf"({outer}) {_factor(last)}"
    return [
        rf"{slope('E', y)} = \blank{{{outer}}}",
        rf"{slope(y, last.u())} = \blank{{{inner}}}",
        rf"{last.delta()} = \blank{{{result}}}",
    ]


def _softmax(last: Level) -> Parts:
    y, other = last.y(), last.y("r")
    return [
        rf"{slope('E', other)} = \blank{{-\frac{{d_r}}{{{other}}}}}",
        rf"{slope(y, last.u())} = \blank{{{y} (1 - {y})}}",
        rf"{slope(other, last.u())} = \blank{{-{other} {y}}} \quad (r \ne k)",
        Text(
            rf"First term: $\blank{{-d_k (1 - {y})}}$. Second term: $\blank{{{y} \sum_{{r \ne k}} d_r}}$. The teacher "
            "signal is one-hot, $\\sum_r d_r = 1$; hence",
            rf"第1項：$\blank{{-d_k (1 - {y})}}$。第2項：$\blank{{{y} \sum_{{r \ne k}} d_r}}$。"
            "教師信号はone-hotで$\\sum_r d_r = 1$だから",
        ),
        rf"{last.delta()} = {y} \sum_{{r}} d_r - d_k = \blank{{{y} - d_k}}",
    ]


def hidden_delta(draft: Draft, net: DenseNetwork, example: Example | None, number: int) -> None:
    """∂E/∂y and δ of a hidden layer, by the deltas of the layer above it."""
    level, above = Level(net, number), Level(net, number + 1)
    draft.section(Text(f"Layer {number}: the deltas of a hidden layer", f"第{number}層：隠れ層のデルタ"))
    total, y = rf"\sum_{{r=1}}^{{{above.size}}}", level.y()
    by_units: Parts = [
        rf"{slope('E', y)} = {total} \blank{{{slope('E', above.u('r'))} {slope(above.u('r'), y)}}}",
        rf"{slope(above.u('r'), y)} = \blank{{{above.w('r', 'j')}}}",
        rf"{slope('E', y)} = \blank{{{total} {above.delta('r')} {above.w('r', 'j')}}}",
    ]
    whole = slope("E", level.whole("Y"))
    numbers: Parts = [] if example is None else [Shown(whole, example.back(number))]
    draft.step(
        Text("The derivative by the layer's output", "層の出力による微分"),
        Text("Here no term drops out:", "ここではどの項も消えない："),
        *by_units,
        rf"{whole} = \blank{{({above.whole('W')})^\T {above.deltas}}}",
        *numbers,
    )
    numbers = [] if example is None else [Shown(level.deltas, example.delta(number))]
    draft.step(
        Text("The delta", "デルタ"),
        rf"{level.delta()} = {slope('E', level.u())} = \blank{{{slope('E', y)} {slope(y, level.u())}}}",
        rf"{slope(y, level.u())} = \blank{{{derivative(level)}}}",
        rf"{level.delta()} = \blank{{\left( {total} {above.delta('r')} {above.w('r', 'j')} \right) {_factor(level)}}}",
        rf"{level.deltas} = \blank{{{whole}{derivative_matrix(level)}}}",
        *numbers,
    )


def _factor(level: Level) -> str:
    """h'(u) as a factor: in parentheses where it is a sum, by its name where it has cases."""
    inner = derivative(level)
    if "cases" in inner:
        return slope(level.y(), level.u())
    return "" if inner == "1" else rf"\left( {inner} \right)"


def gradients(draft: Draft, net: DenseNetwork, example: Example | None, number: int) -> None:
    """The gradients of a layer's weights and biases, by its deltas."""
    level = Level(net, number)
    u, delta, weight = level.u(), level.delta(), level.w()
    whole = slope("E", level.whole("W"))
    numbers = [] if example is None else _checked(whole, example, number, "W")
    draft.step(
        Text(f"Gradients of the weights of layer {number}", f"第{number}層の重みの勾配"),
        rf"{slope('E', weight)} = \blank{{{delta}}} {slope(u, weight)}",
        rf"{slope(u, weight)} = \blank{{{level.below()}}}",
        rf"{slope('E', weight)} = \blank{{{delta} {level.below()}}}",
        rf"{whole} = \blank{{{level.deltas} ({level.all_below})^\T}}",
        *numbers,
    )
    if not level.bias:
        return
    whole = slope("E", level.whole("B"))
    numbers = [] if example is None else _checked(whole, example, number, "b")
    draft.step(
        Text(f"Gradients of the biases of layer {number}", f"第{number}層のバイアスの勾配"),
        rf"{slope(u, level.b())} = \blank{{1}}",
        rf"{slope('E', level.b())} = \blank{{{delta}}}",
        rf"{whole} = \blank{{{level.deltas}}}",
        *numbers,
    )


def _checked(left: str, example: Example, number: int, name: str) -> Parts:
    """The gradient by back-propagation, the same by central differences, and how far they are apart."""
    ours, theirs = example.gradient(number, name), example.slope(number, name)
    return [
        Shown(left, ours),
        Text(
            r"The same by central differences, $(E(w + h) - E(w - h)) / 2h$ with $h = 0.00001$:",
            r"中心差分$(E(w + h) - E(w - h)) / 2h$、$h = 0.00001$による同じ勾配：",
        ),
        Shown(left, theirs, sign="approx"),
        Text("Largest difference of the entries shown:", "示した成分の差の最大値："),
        Shown(r"\Delta_{\max}", np.nanmax(np.abs(ours - theirs)), blank=False),
    ]


def update(draft: Draft, net: DenseNetwork, example: Example | None) -> None:
    """One step of gradient descent."""
    draft.section(Text("The update", "パラメータの更新"))
    parts: Parts = [
        Text("With the learning rate $\\eta$, for every layer $l$:", "学習率を$\\eta$とし、各層$l$で："),
        rf"W^(l) \gets W^(l) \blank{{- \eta {slope('E', 'W^(l)')}}}",
    ]
    if any(net.biases):
        parts.append(rf"B^(l) \gets B^(l) \blank{{- \eta {slope('E', 'B^(l)')}}}")
    if example is not None:
        last = Level(net, net.depth)
        rate, params = example.learning_rate, example.params[f"u{net.depth}"]
        name, letter = ("b", "B") if last.bias else ("W", "W")
        parts += [
            Shown(r"\eta", rate, blank=False),
            Shown(last.whole(letter), params[name].T - rate * example.gradient(net.depth, name), sign="gets"),
            Text("E of the same example before and after the step:", "同じ例の誤差Eの更新前と更新後の値："),
            Shown("E", example.met.loss),
            Shown("E", example.after, sign="to"),
        ]
    draft.step(Text("Gradient descent", "勾配降下法"), *parts)

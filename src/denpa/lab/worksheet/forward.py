"""The first half of a derivation: what is given, the walk forward, the error."""

from __future__ import annotations

from denpa.lab.worksheet.document import Draft, Shown, Text
from denpa.lab.worksheet.example import Example
from denpa.lab.worksheet.network import DenseNetwork
from denpa.lab.worksheet.numbers import visible
from denpa.lab.worksheet.symbols import Level, function, named
from denpa.layers import Softmax
from denpa.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["error", "forward", "given"]


def given(draft: Draft, net: DenseNetwork, example: Example | None) -> None:
    """The layers, the shapes of the parameters, and the numbers that the reckoning begins with."""
    draft.section(Text("Variables and parameters", "変数とパラメータ"))
    levels = [Level(net, level) for level in range(1, net.depth + 1)]
    lines = [
        Text(
            f"Layer $0$, input. Constants $x_i$: ${net.sizes[0]}$. Teacher signal, constants $d_k$: ${net.sizes[-1]}$.",
            f"第$0$層（入力層）：${net.sizes[0]}$個の定数$x_i$。教師信号：${net.sizes[-1]}$個の定数$d_k$。",
        )
    ]
    for level in levels:
        kind, name = ("output", "出力層") if level.unit == "k" else ("hidden", "隠れ層")
        h = named(level.activation)
        lines.append(
            Text(
                f"Layer ${level.number}$, {kind}. Units: ${level.size}$, each with total input ${level.u()}$ and "
                f"output ${level.y()}$; activation function: {h.en}.",
                f"第${level.number}$層（{name}）：${level.size}$個のユニット、総入力${level.u()}$、出力${level.y()}$。"
                f"活性化関数：{h.ja}。",
            )
        )
    draft.step(Text("Layers", "層"), *lines)
    draft.step(Text("Shapes of the parameters", "パラメータの形"), *_shapes(net, levels))
    if example is None:
        return
    arrays = [Shown("X", example.x, blank=False), Shown("D", example.d, blank=False)]
    for level in levels:
        params = example.params[f"u{level.number}"]
        arrays.append(Shown(level.whole("W"), params["W"].T, blank=False))
        arrays += [Shown(level.whole("B"), params["b"], blank=False)] if level.bias else []
    said = [example.origin, *([_PARTLY] if any(len(visible(size)) < size for size in net.sizes) else [])]
    draft.step(Text("The numbers of this worksheet", "このワークシートの数値"), *said, *arrays)


_PARTLY = Text(
    "Of more than six units the first four and the last are shown. Sums run over all of them: what hangs on those left "
    "out is there to be compared, not to be worked out by hand.",
    "ユニットが7個以上の層は、最初の4個と最後の1個だけを示す。和はすべてのユニットにわたるから、示していない値を含む答えは手計算ではなく"
    "照合のためのものである。",
)


def _shapes(net: DenseNetwork, levels: list[Level]) -> list[Text | str]:
    parts: list[Text | str] = [
        Text(
            f"${levels[-1].w()}$ is the weight from unit ${levels[-1].source}$ of the layer below to unit $k$. Fill in "
            "rows × columns.",
            f"${levels[-1].w()}$は下の層のユニット${levels[-1].source}$からユニット$k$への重みである。行数×列数を答えよ。",
        )
    ]
    for level in levels:
        parts.append(
            rf"{level.whole('W')} = \left( {level.w()} \right) \colon \blank{{{level.size} \times {level.inputs}}}"
        )
        if level.bias:
            parts.append(rf"{level.whole('B')} = \left( {level.b()} \right) \colon \blank{{{level.size} \times 1}}")
    parts.append(
        Text(
            rf"Number of parameters: $\blank{{{net.parameters}}}$.",
            rf"パラメータの総数：$\blank{{{net.parameters}}}$。",
        )
    )
    for level, place in zip(levels, net.places, strict=False):
        keys = "".join(f"[{name!r}]" for name in place)
        parts.append(
            Text(
                f"In denpa ${level.whole('W')}$ is the transpose of `params{keys}['W']`: a sample is a row there.",
                f"denpaでは${level.whole('W')}$は`params{keys}['W']`の転置である（標本が行になる）。",
            )
        )
    return parts


def forward(draft: Draft, net: DenseNetwork, example: Example | None) -> None:
    """u and y of every layer, for a unit, for the whole layer, and in numbers."""
    draft.section(Text("Forward propagation", "順伝播"))
    for number in range(1, net.depth + 1):
        level = Level(net, number)
        bias, biases = (f" + {level.b()}", f" + {level.whole('B')}") if level.bias else ("", "")
        total = rf"\sum_{{{level.source}=1}}^{{{level.inputs}}} {level.w()} {level.below()}{bias}"
        parts: list[Text | str | Shown] = [
            rf"{level.u()} = \blank{{{total}}}",
            rf"{level.y()} = h^({number})({level.u()}) = \blank{{{function(level)}}}",
        ]
        if isinstance(level.activation, Softmax):
            parts.append(
                Text(
                    f"Note: softmax is a function of [[all]] of ${level.u('1')}, \\ldots, {level.u(str(level.size))}$.",
                    f"注意：ソフトマックス関数は${level.u('1')}, \\ldots, {level.u(str(level.size))}$の[[すべて]]の"
                    "関数である。",
                )
            )
        parts.append(rf"{level.whole('U')} = \blank{{{level.whole('W')} {level.all_below}{biases}}}")
        if example is not None:
            parts += [Shown(level.whole("U"), example.u(number)), Shown(level.whole("Y"), example.y(number))]
        draft.step(Text(f"Layer {number}", f"第{number}層"), *parts)


def error(draft: Draft, net: DenseNetwork, example: Example | None) -> None:
    """E of one example."""
    draft.section(Text("The error", "誤差"))
    last = Level(net, net.depth)
    y = last.y("r")
    if isinstance(net.loss, BinaryCrossEntropy):
        kind = Text("Classification, yes or no for each output", "分類（出力ごとに二値）")
        body = rf"-\sum_{{r=1}}^{{{last.size}}} \left( d_r \log {y} + (1 - d_r) \log (1 - {y}) \right)"
    elif isinstance(net.loss, CrossEntropy):
        kind = Text("Classification, one of several classes", "分類（多クラス）")
        body = rf"-\sum_{{r=1}}^{{{last.size}}} d_r \log {y}"
    else:
        kind = Text("Regression", "回帰")
        body = rf"\frac{{1}}{{2}} \sum_{{r=1}}^{{{last.size}}} ({y} - d_r)^2"
    numbers = [] if example is None else [Shown("E", example.met.loss)]
    draft.step(kind, rf"E = \blank{{{body}}}", *numbers)

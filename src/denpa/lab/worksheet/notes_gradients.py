"""The worksheet in letters, third part: gradients by deltas. Steps 30 to 42."""

from __future__ import annotations

from denpa.lab.worksheet.document import Draft, Text

__all__ = ["gradients_of_hidden", "gradients_of_output"]


def gradients_of_output(draft: Draft) -> None:
    """Steps 30 to 36."""
    draft.section(Text("(1) Gradients of the output layer", "(1) 出力層の勾配"))
    _weights(draft)
    _biases(draft)
    draft.section(Text("(1.5) Across the layer", "(1.5) 層をまたぐ"))
    draft.step(
        Text("Derivative by a hidden output", "隠れ層の出力による微分"),
        r"\frac{\partial E}{\partial y_j^(1)} = \sum_{r=1}^{n} \blank{\frac{\partial E}{\partial u_r^(2)}"
        r" \frac{\partial u_r^(2)}{\partial y_j^(1)}} = \sum_{r=1}^{n} \blank{\delta_r^(2)}"
        r" \frac{\partial u_r^(2)}{\partial y_j^(1)}",
        r"\frac{\partial u_k^(2)}{\partial y_j^(1)} = \blank{w_{kj}^(2)} \quad k = 1, \ldots, n",
        Text("Here [[no]] term drops out:", "ここでは消える項は[[ない]]："),
        r"\frac{\partial E}{\partial y_j^(1)} = \blank{\sum_{r=1}^{n} \delta_r^(2) w_{rj}^(2)}",
    )


def _weights(draft: Draft) -> None:
    draft.step(
        Text("Weights: the sum", "ウェイト：和"),
        r"\frac{\partial E}{\partial w_{kj}^(2)} = \sum_{r=1}^{n} \blank{\frac{\partial E}{\partial u_r^(2)}"
        r" \frac{\partial u_r^(2)}{\partial w_{kj}^(2)}}",
        r"= \blank{\frac{\partial E}{\partial u_k^(2)} \frac{\partial u_k^(2)}{\partial w_{kj}^(2)}} + \blank{"
        r"\sum_{r \ne k} \frac{\partial E}{\partial u_r^(2)} \frac{\partial u_r^(2)}{\partial w_{kj}^(2)}}",
    )
    draft.step(
        Text("Weights: the reason", "ウェイト：理由"),
        Text(
            r"$u_r^(2)$ ($r \ne k$) is [[not a function]] of $w_{kj}^(2)$, hence the second term is $\blank{0}$.",
            r"$u_r^(2)$（$r \ne k$）は$w_{kj}^(2)$の[[関数ではない]]から、第2項は$\blank{0}$である。",
        ),
    )
    draft.step(
        Text("Weights: the result", "ウェイト：結果"),
        r"\frac{\partial E}{\partial w_{kj}^(2)} = \blank{\frac{\partial E}{\partial u_k^(2)}"
        r" \frac{\partial u_k^(2)}{\partial w_{kj}^(2)}} = \blank{\delta_k^(2)}"
        r" \frac{\partial u_k^(2)}{\partial w_{kj}^(2)}",
    )
    draft.step(
        Text("Weights: evaluation", "ウェイト：計算"),
        Text("By step 12:", "問12より："),
        r"\frac{\partial u_k^(2)}{\partial w_{kj}^(2)} = \blank{y_j^(1)}",
        r"\frac{\partial E}{\partial w_{kj}^(2)} = \blank{\delta_k^(2) y_j^(1)}",
    )


def _biases(draft: Draft) -> None:
    draft.step(
        Text("Biases: the sum", "バイアス：和"),
        r"\frac{\partial E}{\partial b_k^(2)} = \sum_{r=1}^{n} \blank{\frac{\partial E}{\partial u_r^(2)}"
        r" \frac{\partial u_r^(2)}{\partial b_k^(2)}}",
        Text(
            r"The terms $r \ne k$ are 0, since $u_r^(2)$ is [[not a function]] of $b_k^(2)$:",
            r"$u_r^(2)$は$b_k^(2)$の[[関数ではない]]から、$r \ne k$の項は0である：",
        ),
        r"\frac{\partial E}{\partial b_k^(2)} = \blank{\delta_k^(2)} \frac{\partial u_k^(2)}{\partial b_k^(2)}",
    )
    draft.step(
        Text("Biases: evaluation", "バイアス：計算"),
        r"\frac{\partial u_k^(2)}{\partial b_k^(2)} = \blank{1}",
        r"\frac{\partial E}{\partial b_k^(2)} = \blank{\delta_k^(2)}",
    )


def gradients_of_hidden(draft: Draft) -> None:
    """Steps 37 to 42."""
    draft.section(Text("(2) Gradients of the hidden layer", "(2) 隠れ層の勾配"))
    draft.step(
        Text("Weights: the sum", "ウェイト：和"),
        r"\frac{\partial E}{\partial w_{ji}^(1)} = \sum_{r=1}^{m} \blank{\frac{\partial E}{\partial u_r^(1)}"
        r" \frac{\partial u_r^(1)}{\partial w_{ji}^(1)}}",
        Text(
            r"The terms $r \ne j$ are 0, since $u_r^(1)$ is [[not a function]] of $w_{ji}^(1)$:",
            r"$u_r^(1)$は$w_{ji}^(1)$の[[関数ではない]]から、$r \ne j$の項は0である：",
        ),
        r"\frac{\partial E}{\partial w_{ji}^(1)} = \blank{\delta_j^(1)} \frac{\partial u_j^(1)}{\partial w_{ji}^(1)}",
    )
    draft.step(
        Text("Weights: evaluation", "ウェイト：計算"),
        Text("By step 10:", "問10より："),
        r"\frac{\partial u_j^(1)}{\partial w_{ji}^(1)} = \blank{x_i}",
        r"\frac{\partial E}{\partial w_{ji}^(1)} = \blank{\delta_j^(1) x_i}",
    )
    draft.step(
        Text("Biases: the sum", "バイアス：和"),
        r"\frac{\partial E}{\partial b_j^(1)} = \sum_{r=1}^{m} \blank{\frac{\partial E}{\partial u_r^(1)}"
        r" \frac{\partial u_r^(1)}{\partial b_j^(1)}} = \blank{\delta_j^(1)}"
        r" \frac{\partial u_j^(1)}{\partial b_j^(1)}",
    )
    draft.step(
        Text("Biases: evaluation, filled in", "バイアス：計算（記入済み）"),
        Text("$u_j^(1)$ is that of step 10.", "$u_j^(1)$は問10のとおり。"),
        r"\frac{\partial u_j^(1)}{\partial b_j^(1)} = 1 \quad \frac{\partial E}{\partial b_j^(1)} = \delta_j^(1)",
    )
    draft.step(
        Text("Gradients as matrices, layer 2", "勾配の行列（第2層）"),
        r"\frac{\partial E}{\partial W^(2)} = \left( \blank{\delta_k^(2) y_j^(1)} \right)_{\blank{n \times m}}",
        r"\frac{\partial E}{\partial B^(2)} = \left( \blank{\delta_k^(2)} \right)_{\blank{n \times 1}}",
    )
    draft.step(
        Text("Gradients as matrices, layer 1", "勾配の行列（第1層）"),
        r"\frac{\partial E}{\partial W^(1)} = \left( \blank{\delta_j^(1) x_i} \right)_{\blank{m \times l}}",
        r"\frac{\partial E}{\partial B^(1)} = \left( \blank{\delta_j^(1)} \right)_{\blank{m \times 1}}",
    )

"""The worksheet in letters, fourth part: the deltas, and the summary. Steps 43 to 59."""

from __future__ import annotations

from denpa.lab.worksheet.document import Draft, Text

__all__ = ["deltas", "summary"]


def deltas(draft: Draft) -> None:
    """Steps 43 to 56."""
    draft.section(Text("The deltas", "デルタ"))
    draft.step(
        Text("Output layer", "出力層"),
        r"\delta_k^(2) = \frac{\partial E}{\partial u_k^(2)} = \sum_{r=1}^{n} \blank{"
        r"\frac{\partial E}{\partial y_r^(2)} \frac{\partial y_r^(2)}{\partial u_k^(2)}}",
        r"= \blank{\frac{\partial E}{\partial y_k^(2)} \frac{\partial y_k^(2)}{\partial u_k^(2)}} + \blank{"
        r"\sum_{r \ne k} \frac{\partial E}{\partial y_r^(2)} \frac{\partial y_r^(2)}{\partial u_k^(2)}}",
    )
    _regression(draft)
    _classification(draft)
    _hidden(draft)
    draft.step(
        Text("The way back", "逆向きの流れ"),
        Text(r"Teacher signal $D = (d_1 \ldots d_n)^\T$.", r"教師信号$D = (d_1 \ldots d_n)^\T$。"),
        r"\left( Y^(2), \blank{D} \right) \to \blank{\mathbf{\delta}^(2)} \to \left( \blank{W^(2)} \right) \to"
        r" \blank{\mathbf{\delta}^(1)}",
    )


def _regression(draft: Draft) -> None:
    draft.step(
        Text("First case: E and h", "その1：Eとh"),
        r"E = \sum_{r=1}^{n} \blank{\frac{1}{2} (y_r^(2) - d_r)^2} \quad y_k^(2) = h^(2)(u_k^(2)) = \blank{u_k^(2)}",
    )
    draft.step(
        Text("First case: the two terms", "その1：2つの項"),
        Text(
            r"First term: $\blank{(y_k^(2) - d_k) \cdot 1}$. Second term: "
            r"$\sum_{r \ne k} \blank{(y_r^(2) - d_r) \cdot 0} = \blank{0}$.",
            r"第1項：$\blank{(y_k^(2) - d_k) \cdot 1}$。第2項："
            r"$\sum_{r \ne k} \blank{(y_r^(2) - d_r) \cdot 0} = \blank{0}$。",
        ),
        r"\delta_k^(2) = \blank{y_k^(2) - d_k}",
    )


def _classification(draft: Draft) -> None:
    draft.step(
        Text("Second case: E and h", "その2：Eとh"),
        r"E = \sum_{r=1}^{n} \left( \blank{-d_r \log y_r^(2)} \right) \quad y_k^(2) = \blank{"
        r"\frac{\exp(u_k^(2))}{\sum_{r=1}^{n} \exp(u_r^(2))}}",
    )
    draft.step(
        Text("Second case: first term", "その2：第1項"),
        r"\left( \blank{-\frac{d_k}{y_k^(2)}} \right) \left( \blank{y_k^(2) (1 - y_k^(2))} \right)"
        r" = \blank{-d_k (1 - y_k^(2))}",
    )
    draft.step(
        Text("Second case: second term", "その2：第2項"),
        r"\sum_{r \ne k} \left( \blank{-\frac{d_r}{y_r^(2)}} \right) \left( \blank{-y_r^(2) y_k^(2)} \right)"
        r" = \blank{y_k^(2) \sum_{r \ne k} d_r}",
    )
    draft.step(
        Text("Second case: the result", "その2：結果"),
        r"\delta_k^(2) = \blank{-d_k + d_k y_k^(2) + y_k^(2) \sum_{r \ne k} d_r}",
        r"= \blank{y_k^(2) \sum_{r=1}^{n} d_r - d_k} = \blank{y_k^(2) - d_k}",
        Text(
            r"The last equation needs $\sum_r d_r = \blank{1}$. The result is the same as in the problem of "
            "[[regression]].",
            r"最後の等号では$\sum_r d_r = \blank{1}$を使う。結果は[[回帰]]問題と同じである。",
        ),
    )


def _hidden(draft: Draft) -> None:
    draft.step(
        Text("Hidden layer: the sum", "隠れ層：和"),
        r"\delta_j^(1) = \frac{\partial E}{\partial u_j^(1)} = \sum_{r=1}^{m} \blank{"
        r"\frac{\partial E}{\partial y_r^(1)} \frac{\partial y_r^(1)}{\partial u_j^(1)}}",
        Text(
            r"The terms $r \ne j$ are 0, since $y_r^(1)$ is [[not a function]] of $u_j^(1)$.",
            r"$y_r^(1)$は$u_j^(1)$の[[関数ではない]]から、$r \ne j$の項は0である。",
        ),
    )
    draft.step(
        Text("Hidden layer: the result", "隠れ層：結果"),
        r"\delta_j^(1) = \blank{\frac{\partial E}{\partial y_j^(1)}} \frac{\partial y_j^(1)}{\partial u_j^(1)}"
        r" = \blank{\left( \sum_{k=1}^{n} \delta_k^(2) w_{kj}^(2) \right)} \frac{\partial y_j^(1)}{\partial u_j^(1)}",
    )
    draft.step(
        Text("A remark", "注意"),
        Text(
            r"To obtain $\delta_j^(1)$, $\blank{\delta_k^(2)}$ must be computed first; step ($\blank{1.5}$) takes "
            r"it across the layer.",
            r"$\delta_j^(1)$を求めるには、先に$\blank{\delta_k^(2)}$を計算しなければならない。それを前の層へ渡すのが手順($\blank{1.5}$)である。",
        ),
    )
    draft.step(
        Text("Sigmoid units", "シグモイド関数"),
        r"y_j^(1) = \blank{\frac{1}{1 + \exp(-u_j^(1))}}",
        r"\frac{\partial y_j^(1)}{\partial u_j^(1)} = \blank{y_j^(1) (1 - y_j^(1))}",
        r"\delta_j^(1) = \left( \blank{\sum_{k=1}^{n} \delta_k^(2) w_{kj}^(2)} \right)"
        r" \left( \blank{y_j^(1) (1 - y_j^(1))} \right)",
    )
    draft.step(
        Text("ReLU units", "ReLU関数"),
        r"y_j^(1) = \cases{\blank{u_j^(1)} & u_j^(1) \ge 0 \\ \blank{0} & u_j^(1) < 0}",
        r"\frac{\partial y_j^(1)}{\partial u_j^(1)} = \cases{\blank{1} & u_j^(1) \ge 0 \\ \blank{0} & u_j^(1) < 0}",
    )
    draft.step(
        Text("ReLU units: deltas", "ReLU関数：デルタ"),
        r"\delta_j^(1) = \cases{\blank{\sum_{k=1}^{n} \delta_k^(2) w_{kj}^(2)} & u_j^(1) \ge 0 \\"
        r" \blank{0} & u_j^(1) < 0}",
    )


def summary(draft: Draft) -> None:
    """Steps 57 to 59."""
    draft.section(Text("Summary", "まとめ"))
    draft.step(
        Text("Output layer", "出力層"),
        r"\frac{\partial E}{\partial W^(2)} = \left( \blank{\delta_k^(2) y_j^(1)} \right)_{n \times m}"
        r" = \left( \blank{(y_k^(2) - d_k) y_j^(1)} \right)_{n \times m}",
        r"\frac{\partial E}{\partial B^(2)} = \left( \blank{y_k^(2) - d_k} \right)_{n \times 1}",
    )
    total = r"\left( \sum_{r=1}^{n} (y_r^(2) - d_r) w_{rj}^(2) \right)"
    draft.step(
        Text("Hidden layer, sigmoid units", "隠れ層（シグモイド関数）"),
        r"\frac{\partial E}{\partial W^(1)} = \left( \blank{\delta_j^(1) x_i} \right)_{m \times l}"
        rf" = \left( \blank{{{total} y_j^(1) (1 - y_j^(1)) x_i}} \right)_{{m \times l}}",
        r"\frac{\partial E}{\partial B^(1)}"
        rf" = \left( \blank{{{total} y_j^(1) (1 - y_j^(1))}} \right)_{{m \times 1}}",
    )
    draft.step(
        Text("Hidden layer, ReLU units", "隠れ層（ReLU関数）"),
        Text(
            r"Rows with $u_j^(1) \ge 0$; the others are $\blank{0}$:",
            r"$u_j^(1) \ge 0$の行（その他の行は$\blank{0}$）：",
        ),
        rf"\frac{{\partial E}}{{\partial W^(1)}} = \left( \blank{{{total} x_i}} \right)_{{m \times l}}",
        rf"\frac{{\partial E}}{{\partial B^(1)}} = \left( \blank{{{total}}} \right)_{{m \times 1}}",
    )

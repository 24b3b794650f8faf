"""The worksheet in letters, first part: the walk forward, the error, and the plan. Steps 1 to 21."""

from __future__ import annotations

from denpa.lab.worksheet.document import Draft, Text

__all__ = ["aim", "propagation"]


def propagation(draft: Draft) -> None:
    """Steps 1 to 14."""
    draft.section(Text("From the inputs to the outputs", "入力から出力へ"))
    draft.step(
        Text("Direction", "向き"),
        Text(
            "[[Forward]] propagation: [[input]] layer → [[hidden]] layer → [[output]] layer.",
            "[[順伝播]]：[[入力]]層 → [[隠れ]]層 → [[出力]]層。",
        ),
    )
    draft.step(
        Text("Numbers of nodes", "ノードの数"),
        Text(
            r"Layer $\blank{0}$ has $\blank{l}$ nodes, layer $\blank{1}$ has $\blank{m}$ nodes, layer $\blank{2}$ has "
            r"$\blank{n}$ nodes.",
            r"第$\blank{0}$層のノード数は$\blank{l}$、第$\blank{1}$層は$\blank{m}$、第$\blank{2}$層は$\blank{n}$である。",
        ),
    )
    _variables(draft)
    _functions(draft)
    _equations(draft)


def _variables(draft: Draft) -> None:
    draft.step(
        Text("Variables and constants", "変数と定数"),
        Text("Layer 0, constants:", "第0層（定数）："),
        r"\blank{x_1, \ldots, x_i, \ldots, x_l}",
        Text("Layer 1, variables:", "第1層（変数）："),
        r"\blank{u_j^(1), y_j^(1)} \quad j = 1, \ldots, m",
        Text("Layer 2, variables:", "第2層（変数）："),
        r"\blank{u_k^(2), y_k^(2)} \quad k = 1, \ldots, n",
        Text("Teacher signal, constants:", "教師信号（定数）："),
        r"\blank{d_1, \ldots, d_k, \ldots, d_n}",
    )
    draft.step(
        Text("Indices", "添字"),
        Text(
            r"An input has the index $\blank{i}$, a hidden node $\blank{j}$, an output $\blank{k}$. The number in "
            "parentheses at the top right is that of the [[layer]].",
            r"入力の添字は$\blank{i}$、隠れノードは$\blank{j}$、出力は$\blank{k}$である。"
            "右上の括弧内の数は[[層]]の番号を表す。",
        ),
    )
    draft.step(
        Text("Weight parameters", "ウェイトパラメータ"),
        Text("From node $i$ of layer 0 to node $j$ of layer 1:", "第0層のノード$i$から第1層のノード$j$へ："),
        r"\blank{w_{ji}^(1)}",
        Text("From node $j$ of layer 1 to node $k$ of layer 2:", "第1層のノード$j$から第2層のノード$k$へ："),
        r"\blank{w_{kj}^(2)}",
    )
    draft.step(
        Text("Bias parameters", "バイアスパラメータ"),
        Text(
            r"Of node $j$ of layer 1: $\blank{b_j^(1)}$. Of node $k$ of layer 2: $\blank{b_k^(2)}$.",
            r"第1層のノード$j$：$\blank{b_j^(1)}$、第2層のノード$k$：$\blank{b_k^(2)}$。",
        ),
    )


def _functions(draft: Draft) -> None:
    draft.step(
        Text("Activation functions, first case", "活性化関数（その1）"),
        Text(
            "Problem: [[regression]]. Output layer: [[identity]] function; hidden layer: [[sigmoid]] function or ReLU.",
            "[[回帰]]問題。出力層：[[恒等]]関数、隠れ層：[[シグモイド]]関数（またはReLU関数）。",
        ),
        r"h^(2)(u_k^(2)) = \blank{u_k^(2)}",
        r"h^(1)(u_j^(1)) = \blank{\frac{1}{1 + \exp(-u_j^(1))}} \quad \left( \max(0, u_j^(1)) \right)",
    )
    draft.step(
        Text("Activation functions, second case", "活性化関数（その2）"),
        Text(
            "Problem: [[classification]]. Output layer: [[softmax]] function; hidden layer: as in the first case.",
            "[[分類]]問題。出力層：[[ソフトマックス]]関数、隠れ層：その1と同じ。",
        ),
        r"h^(2)(u_k^(2)) = \blank{\frac{\exp(u_k^(2))}{\sum_{r=1}^{n} \exp(u_r^(2))}}",
    )
    draft.step(
        Text("A warning", "注意"),
        Text(
            r"The output function of the second case is a function not of $u_k^(2)$ alone but of "
            r"$\blank{u_1^(2), \ldots, u_n^(2)}$.",
            r"その2の出力層の関数は$u_k^(2)$だけでなく$\blank{u_1^(2), \ldots, u_n^(2)}$の関数である。",
        ),
    )


def _equations(draft: Draft) -> None:
    draft.step(
        Text("Hidden layer: total input", "隠れ層の総入力"),
        r"u_j^(1) = \blank{w_{j1}^(1) x_1 + \cdots + w_{ji}^(1) x_i + \cdots + w_{jl}^(1) x_l + b_j^(1)}",
    )
    draft.step(Text("Hidden layer: output", "隠れ層の出力"), r"y_j^(1) = \blank{h^(1)(u_j^(1))}")
    draft.step(
        Text("Output layer: total input", "出力層の総入力"),
        r"u_k^(2) = \blank{w_{k1}^(2) y_1^(1) + \cdots + w_{kj}^(2) y_j^(1) + \cdots + w_{km}^(2) y_m^(1) + b_k^(2)}",
    )
    draft.step(Text("Output layer: output", "出力層の出力"), r"y_k^(2) = \blank{h^(2)(u_k^(2))}")
    draft.step(
        Text("The whole flow", "全体の流れ"),
        r"X \to \blank{U^(1)} \to \blank{Y^(1)} \to \blank{U^(2)} \to \blank{Y^(2)}",
        Text(
            r"The last is compared with $\blank{D}$ and gives $\blank{E}$.",
            r"最後に$\blank{D}$と比べて$\blank{E}$を得る。",
        ),
    )


def aim(draft: Draft) -> None:
    """Steps 15 to 21."""
    draft.section(Text("What is to be made small, and how", "何をどう小さくするか"))
    draft.step(
        Text("What E depends on", "Eは何に依存するか"),
        Text("[[Parameter]] dependence of the [[error]] $E$:", "[[パラメータ]]に対する[[誤差]]$E$の依存性："),
        r"E = E \left( \blank{W^(1), B^(1), W^(2), B^(2)} \right) = f \left( \blank{Y^(2), D} \right)",
    )
    draft.step(
        Text("Matrices of layer 1", "第1層の行列"),
        r"W^(1) = \blank{\matrix{w_{11}^(1) & \cdots & w_{1l}^(1) \\ \vdots & w_{ji}^(1) & \vdots \\"
        r" w_{m1}^(1) & \cdots & w_{ml}^(1)}} \quad B^(1) = \blank{\matrix{b_1^(1) \\ \vdots \\ b_m^(1)}}",
        Text(
            r"Sizes: $\blank{m \times l}$ and $\blank{m \times 1}$.",
            r"大きさ：$\blank{m \times l}$と$\blank{m \times 1}$。",
        ),
    )
    draft.step(
        Text("Matrices of layer 2", "第2層の行列"),
        r"W^(2) = \blank{\matrix{w_{11}^(2) & \cdots & w_{1m}^(2) \\ \vdots & w_{kj}^(2) & \vdots \\"
        r" w_{n1}^(2) & \cdots & w_{nm}^(2)}} \quad B^(2) = \blank{\matrix{b_1^(2) \\ \vdots \\ b_n^(2)}}",
        Text(
            r"Sizes: $\blank{n \times m}$ and $\blank{n \times 1}$.",
            r"大きさ：$\blank{n \times m}$と$\blank{n \times 1}$。",
        ),
    )
    draft.step(
        Text("The function E", "関数E"),
        Text("First case, identity at the output:", "その1（出力層が恒等関数）："),
        r"E = \blank{\frac{1}{2} \sum_{r=1}^{n} (y_r^(2) - d_r)^2}",
        Text("Second case, probabilities at the output:", "その2（出力層が確率）："),
        r"E = \blank{-\sum_{r=1}^{n} d_r \log y_r^(2)}",
    )
    _goal(draft)


def _goal(draft: Draft) -> None:
    draft.step(
        Text("The goal", "目標"),
        Text(
            "[[Minimise]] $E$, and so [[update]] the parameters. The method is [[gradient descent]].",
            "$E$を[[最小化]]し、パラメータを[[更新]]する。方法は[[勾配降下法]]である。",
        ),
    )
    draft.step(
        Text("The purpose", "目的"),
        Text(
            "To shorten the [[computing time]] drastically, the [[gradients]] must be obtained [[analytically]].",
            "[[計算時間]]を大幅に短縮するため、[[勾配]]を[[解析的]]に求める必要がある。",
        ),
    )
    draft.step(
        Text("The plan", "手順"),
        r"\left( 1 \right) \quad \blank{\frac{\partial E}{\partial W^(2)}}"
        r" \quad \blank{\frac{\partial E}{\partial B^(2)}}",
        r"\left( 1.5 \right) \quad \blank{\frac{\partial E}{\partial y_j^(1)}}",
        r"\left( 2 \right) \quad \blank{\frac{\partial E}{\partial W^(1)}}"
        r" \quad \blank{\frac{\partial E}{\partial B^(1)}}",
    )

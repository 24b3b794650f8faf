"""Logic gates: by a formal neuron with weights chosen by hand, and by a perceptron that learns them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from denpa import classical
from denpa.data import datasets
from denpa.lab.studies import chapters
from denpa.lab.studies.checks import check, exactly
from denpa.lab.studies.plots import COLOURS, GREY, LINES, figure_of, finish
from denpa.lab.studies.study import Check, Picture, Plan, Result, Study, Text

__all__ = ["STUDIES"]

_GATES = ("and", "or", "nand", "nor", "xor")
_SIMPLE = _GATES[:-1]  # a straight line separates their classes
_EPOCHS = 1000  # for exclusive or, in vain


def _table(gate: str) -> tuple[np.ndarray, np.ndarray]:
    """The corners 00, 01, 10, 11 (4, 2), and what the gate says (4,)."""
    data = datasets.load("gate", gate=gate)
    return data.x, np.asarray(data.t)


def _learned(gate: str, order: Any = slice(None)) -> classical.Perceptron:
    """The perceptron from w = 0, b = 0, η = 1; the corners in the order 00, 01, 10, 11 or in another."""
    x, t = _table(gate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it never ends for exclusive or, which is the point
        return classical.perceptron(x[order], t[order], epochs=_EPOCHS)


def _by_hand(gate: str, x: Any) -> np.ndarray:
    """What formal neurons say (n,): one for a simple gate, and(or(x), nand(x)) for exclusive or."""
    if gate != "xor":
        return classical.formal_neuron(x, *classical.GATES[gate])[:, 0]
    hidden = np.stack([_by_hand("or", x), _by_hand("nand", x)], axis=1)
    return _by_hand("and", hidden)


def _most_right(gate: str) -> int:
    """How many of the four corners the best of many lines gets right: w and θ in steps of 1/4 from -2 to 2."""
    (x, t), steps = _table(gate), np.arange(-2, 2.01, 0.25)
    w1, w2, theta = (axis.ravel() for axis in np.meshgrid(steps, steps, steps))
    said = classical.formal_neuron(x, np.stack([w1, w2]), theta)
    return int(np.max(np.sum(said == t[:, None], axis=0)))


def _gates(plan: Plan) -> Result:
    found = {gate: _learned(gate) for gate in _GATES}
    caption = Text(
        "Blue dots: 0, orange squares: 1. Solid: the line of the neuron with weights by hand (for exclusive or those "
        "of or and nand). Dashed: the line that the perceptron learned; a point on it is answered by 0. Last panel: "
        "mistakes in each epoch.",
        "青い点：0、橙の四角：1。実線：手で決めた重みの境界（XOR は OR と NAND の 2 "
        "本）。破線：パーセプトロンが学習した境界で、線上の点の答は 0。最後の図：エポックごとの誤り。",
    )
    return Result(
        checks=(*_neuron_checks(), *_perceptron_checks(plan, found)),
        pictures=(Picture("gates", caption, _drawn(found)),),
        rows=tuple(_row(gate, learned) for gate, learned in found.items()),
    )


def _row(gate: str, learned: classical.Perceptron) -> dict[str, Any]:
    shown = {f"{a:g}{b:g}": int(t) for (a, b), t in zip(*_table(gate), strict=True)}
    epochs = len(learned.mistakes) if learned.converged else "never"
    weights = {"w1": learned.W[0], "w2": learned.W[1], "b": learned.b}
    return {"gate": gate, **shown, "epochs": epochs, "mistakes": sum(learned.mistakes), **weights}


def _drawn(found: dict[str, classical.Perceptron]) -> Any:
    figure, panels = figure_of(len(found) + 1, 3, (3.1, 2.7))
    for axes, (gate, learned) in zip(panels, found.items(), strict=False):
        x, t = _table(gate)
        for label, marker in ((0, "o"), (1, "s")):
            axes.plot(*x[t == label].T, marker, color=COLOURS[label], markersize=8, zorder=3)
        for part in ("or", "nand") if gate == "xor" else (gate,):
            W, theta = classical.GATES[part]
            _line(axes, W[:, 0], -theta[0], color=GREY)
        if learned.converged:
            _line(axes, learned.W, learned.b, color=COLOURS[2], linestyle="--")
        names = {"xticks": (0, 1), "yticks": (0, 1), "xlim": (-0.5, 1.5), "ylim": (-0.5, 1.5)}
        finish(axes, "$x_1$", "$x_2$", gate.upper(), legend="", **names)
    axes = panels[-1]
    for index, (gate, learned) in enumerate(found.items()):
        shown, style = learned.mistakes[:12], {"color": COLOURS[index], "linestyle": LINES[index]}
        width = 4 - 0.6 * index  # where lines coincide, each is seen behind the next
        axes.plot(range(1, len(shown) + 1), shown, linewidth=width, label=gate.upper(), **style)
    finish(axes, "epochs", "mistakes", legend="upper right", xlim=(1, 12), ylim=(-0.1, 8), xticks=range(1, 13, 2))
    return figure


def _line(axes: Any, w: np.ndarray, b: float, **style: Any) -> None:
    """The points where w₁ x₁ + w₂ x₂ + b = 0."""
    foot = -b * w / (w @ w)
    along = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    axes.plot(*np.stack([foot - 4 * along, foot + 4 * along], axis=1), linewidth=1.6, **style)


def _neuron_checks() -> tuple[Check, ...]:
    wrong = [np.sum(_by_hand(gate, x) != t) for gate in _GATES for x, t in [_table(gate)]]
    best = _most_right("xor")
    return (
        exactly("formal neurons: wrong answers of the five gates", "形式ニューロン：5 つのゲートでの誤答数", wrong, 0),
        exactly("NOT by a formal neuron: answer for 0 less that for 1", "NOT：0 への答 − 1 への答", _not(), 1),
        exactly("XOR by one neuron: most corners right, of 4", "XOR を 1 個で：正しい点の最大数（4 点中）", best, 3),
    )


def _perceptron_checks(plan: Plan, found: dict[str, classical.Perceptron]) -> tuple[Check, ...]:
    conjunction, disjunction = found["and"], found["or"]
    (w1, w2), b = conjunction.W, conjunction.b
    off = np.abs([w1 - 2, w2 - 1, b + 2]), np.abs([*(disjunction.W - 1), disjunction.b])
    least, shares = min(found["xor"].mistakes), [_share_of_bound(seed) for seed in plan.seeds]
    en = "corners in random order: mistakes / bound (R/γ)², largest of the gates"
    ja = "順序を乱数で変えた場合：誤りの数／上界 (R/γ)²（ゲート中の最大）"
    return (
        exactly(
            "AND: epochs, the last without a mistake", "AND：誤りのなくなったエポック", len(conjunction.mistakes), 6
        ),
        exactly("AND: distance from w = (2, 1), b = -2", "AND：w = (2, 1)、b = −2 との差", off[0], 0),
        exactly("OR: epochs", "OR：エポック数", len(disjunction.mistakes), 4),
        exactly("OR: distance from w = (1, 1), b = 0", "OR：w = (1, 1)、b = 0 との差", off[1], 0),
        check("XOR: least mistakes in 1,000 epochs", "XOR：1,000 エポックでの誤りの最小数", least, 1, np.inf),
        check(en, ja, shares, 0, 1),  # over 5 seeds 0.22 to 0.29
    )


def _not() -> int:
    said = classical.formal_neuron(np.array([[0.0], [1.0]]), *classical.GATES["not"])[:, 0]
    return int(said[0] - said[1])


def _share_of_bound(seed: int) -> float:
    """Mistakes of the perceptron as a share of Novikoff's bound, by the hyperplane of the formal neuron."""
    rng, worst = np.random.default_rng(seed), 0.0
    for gate in _SIMPLE:
        (x, t), (W, theta) = _table(gate), classical.GATES[gate]
        learned = _learned(gate, rng.permutation(4))
        worst = max(worst, sum(learned.mistakes) / classical.mistake_bound(x, t, W, -theta[0]))
    return worst


STUDIES = (
    Study(
        name="logic-gates",
        chapter=chapters.UNITS,
        title=Text("Logic gates: formal neuron and perceptron", "論理回路：形式ニューロンとパーセプトロン"),
        claim=Text(
            "A formal neuron computes AND, OR, NAND, NOR and NOT with fixed weights; a perceptron learns the weights "
            "from its mistakes. Exclusive or is beyond both: no line separates its classes. Two layers compute it.",
            "形式ニューロンは固定の重みで AND、OR、NAND、NOR、NOT を計算する。パーセプトロンはその重みを誤りから学習す"
            "る。XOR は直線で分離できないため 1 個では計算できず、2 層なら計算できる。",
        ),
        formula=(
            r"y = 1\ (\sum_i w_i x_i + b > 0),\ 0\ (\sum_i w_i x_i + b \leq 0)",
            r"w \leftarrow w + \eta (t - y)\, x, \qquad b \leftarrow b + \eta (t - y) \qquad "
            r"\mathrm{mistakes} \leq (R / \gamma)^2",
        ),
        setting=Text(
            "By hand: AND w = (1, 1), b = -1.5; OR b = -0.5; NAND and NOR the same with all signs turned; NOT w = -1, "
            "b = 0.5. Perceptron: w = 0, b = 0, η = 1, corners in the order 00, 01, 10, 11.",
            "手で決めた重み：AND w = (1, 1)、b = −1.5、OR b = −0.5、NAND と NOR は符号をすべて反転、NOT w = −1、b = "
            "0.5。パーセプトロン：w = 0、b = 0、η = 1、順序 00、01、10、11。",
        ),
        run=_gates,
        remark=Text(
            "Where one unit fails, it is no fault of the rule: w₁ + b > 0 and w₂ + b > 0 with b ≤ 0 give w₁ + w₂ + b "
            "> -b ≥ 0, so (1, 1) must be answered like (0, 1) and (1, 0).",
            "1 個で XOR ができないのは学習則のせいではない。w₁ + b > 0、w₂ + b > 0、b ≤ 0 なら w₁ + w₂ + b > −b ≥ 0 "
            "となり、(1, 1) の答は (0, 1)、(1, 0) と同じになる。",
        ),
    ),
)

"""The worksheet in letters, reckoned with: with numbers for the letters, the answers agree with one another."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.lab.worksheet import worksheet
from denpa.lab.worksheet.formula import Box, Cases, Fenced, Fraction, Group, Number, Script, Sign, Symbol, read
from denpa.lab.worksheet.latex import latex
from denpa.lab.worksheet.network import DenseNetwork
from denpa.lab.worksheet.symbols import Level, derivative, function


@pytest.fixture(scope="module")
def letters_alone():
    return worksheet("notes")


class Reckoned:
    """The value of a formula, read from left to right: + and - between products, factors side by side."""

    def __init__(self, values):
        self.values = values

    def of(self, tree):
        match tree:
            case Number(value):
                return float(value)
            case Fraction(over, under):
                return self.of(over) / self.of(under)
            case Fenced(body):
                return self.of(body)
            case Box(_, answer):
                return self.of(answer)
            case Cases(rows):
                return next(self.of(value) for value, condition in rows if self.holds(condition))
            case Script(base, _, Number(power)) if isinstance(base, Symbol | Group):
                return self.of(base) ** power
            case Group(parts):
                return self.total(list(parts))
        return self.values[latex(tree, answers=True)]

    def holds(self, condition):
        sign = condition.parts[1].name
        left, right = self.of(condition.parts[0]), self.of(condition.parts[2])
        return {">": left > right, "<": left < right, "ge": left >= right, "le": left <= right}[sign]

    def total(self, parts):
        total, product, sign = 0.0, None, 1.0
        while parts:
            part = parts.pop(0)
            if part == Sign("cdot"):
                continue
            if part in (Sign("+"), Sign("-")):
                total, product = total + (0 if product is None else sign * product), None
                sign = -1.0 if part == Sign("-") else 1.0
                continue
            if part == Symbol("exp", "upright"):
                part = parts.pop(0)
                factor = np.exp(self.inside(parts))
            elif part == Sign("("):
                factor = self.inside(parts)
            else:
                factor = self.of(part)
            product = factor if product is None else product * factor
        return total + sign * product

    def inside(self, parts):
        """The value up to the closing parenthesis, with the power that stands on it."""
        depth, own = 1, []
        while True:
            part = parts.pop(0)
            closing = part.base if isinstance(part, Script) else part
            depth += (part == Sign("(")) - (closing == Sign(")"))
            if depth == 0:
                value = self.total(own)
                return value**part.above.value if isinstance(part, Script) else value
            own.append(part)


@pytest.mark.parametrize("u", [-1.3, 0.0, 0.7])
@pytest.mark.parametrize(
    "layer",
    [dp.Identity(), dp.Sigmoid(), dp.Tanh(), dp.ReLU(), dp.ReLU(derivative_at_zero=1.0), dp.LeakyReLU(0.3)],
)
def test_the_letters_of_an_activation_are_the_layer(layer, u):
    """The formulas of h and h' give what the layer gives, at its kink as well."""
    net = DenseNetwork((2, 1, 1), (layer, dp.Identity()), (True, True), dp.MeanSquaredError())
    level = Level(net, 1)
    at = np.full((1, 1), u, np.float32)
    y, saved = layer.forward({}, at)
    values = {"u_{j}^{( 1 )}": u, "y_{j}^{( 1 )}": float(y[0, 0])}
    assert Reckoned(values).of(read(function(level))) == pytest.approx(float(y[0, 0]), abs=1e-6)
    slope_there = float(layer.backward({}, saved, np.ones((1, 1), np.float32))[0][0, 0])
    assert Reckoned(values).of(read(derivative(level))) == pytest.approx(slope_there, abs=1e-6)


def test_the_answers_in_letters_agree_with_one_another(letters_alone):
    """A step that writes one thing in two ways means the same number by both."""
    values = {"d_{k}": 0.0, "d_{r}": 1.0, "y_{k}^{( 2 )}": 0.3, "y_{r}^{( 2 )}": 0.7, "x_{i}": 0.2}
    values |= {r"\delta_{k}^{( 2 )}": 0.5, r"\delta_{j}^{( 1 )}": -0.4, "y_{j}^{( 1 )}": 0.6}

    def answers(number):
        """Those of a step; the sum over the classes other than k has one term here."""
        boxes = (box.answer for box in letters_alone.steps[number - 1].blanks() if isinstance(box, Box))
        texts = (latex(answer, answers=True).replace(r"\sum_{r \ne k}", "") for answer in boxes)
        return [Reckoned(values).of(read(text)) for text in texts if "sum" not in text]

    outer, inner, first = answers(47)
    assert outer * inner == pytest.approx(first)
    other, across, second = answers(48)
    assert other * across == pytest.approx(second)
    assert first + second == pytest.approx(answers(49)[0]) == pytest.approx(answers(49)[1])
    assert answers(49)[1] == pytest.approx(answers(45)[-1])
    for number, delta in ((33, 0.5), (35, 0.5), (38, -0.4)):
        local, gradient = answers(number)
        assert gradient == pytest.approx(delta * local)


def test_units_of_the_input_are_i_and_those_below_the_output_j():
    for net, letters in (((2, 2), ["ki"]), ((2, 3, 2), ["ji", "kj"]), ((2, 3, 4, 2), ["ji", "ji", "kj"])):
        dense = DenseNetwork.short("-".join(map(str, net)))
        levels = [Level(dense, number) for number in range(1, dense.depth + 1)]
        assert [level.unit + level.source for level in levels] == letters
        assert levels[0].below() == f"x_{letters[0][1]}"

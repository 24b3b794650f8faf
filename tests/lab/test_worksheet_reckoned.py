"""Worksheets of any network, reckoned with: each equation holds for the numbers that the letters stand for."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.layer import Context
from denpa.lab.worksheet import derive
from denpa.lab.worksheet.document import Equation
from denpa.lab.worksheet.example import Example
from denpa.lab.worksheet.formula import Box, Cases, Fenced, Fraction, Grid, Group, Number, Script, Sign, Symbol
from denpa.lab.worksheet.network import DenseNetwork

NETWORKS = {
    "classes": ((4, 3, 2), (dp.LeakyReLU(0.3), dp.Softmax()), (True, True), dp.CrossEntropy()),
    "binary": ((3, 4, 2, 2), (dp.Tanh(), dp.Sigmoid(), dp.Sigmoid()), (True, True, True), dp.BinaryCrossEntropy()),
    "tanh": ((3, 2, 2), (dp.ReLU(), dp.Tanh()), (False, True), dp.MeanSquaredError()),
    "rectified": ((3, 2, 3), (dp.Sigmoid(), dp.LeakyReLU(0.2)), (True, False), dp.MeanSquaredError()),
    "linear": ((3, 4, 2), (dp.Identity(), dp.Identity()), (True, True), dp.MeanSquaredError()),
    "shallow": ((3, 2), (dp.Softmax(),), (True,), dp.CrossEntropy()),
}
# Which units the letters of units are.
UNITS = [dict(zip("krji", units, strict=True)) for units in itertools.product((0, 1), repeat=4) if units[0] != units[1]]
LARGEST = Script(Symbol("Delta"), Symbol("max", "upright"))


@pytest.fixture(scope="module", params=NETWORKS)
def meaning(request):
    return Meaning(DenseNetwork(*NETWORKS[request.param]))


def column(values):
    return np.asarray(values, np.float64).reshape(-1, 1)


def parts_of(tree):
    return list(tree.parts) if isinstance(tree, Group) else [tree]


def without_blanks(parts):
    """What stands in a row, with the answers in their blanks."""
    return [own for part in parts for own in (parts_of(part.answer) if isinstance(part, Box) else [part])]


class Meaning:
    """Values of formulas for one example, and derivatives from their definitions."""

    def __init__(self, net):
        rng = np.random.default_rng(8)
        params = {
            f"u{level}": {"W": rng.normal(size=pair)} | ({"b": rng.normal(size=pair[1])} if bias else {})
            for level, (pair, bias) in enumerate(zip(itertools.pairwise(net.sizes), net.biases, strict=True), 1)
        }
        d = np.eye(net.sizes[-1])[1] if net.loss.expects != "values" else rng.normal(size=net.sizes[-1])
        text = dp.lab.worksheet.document.Text("Drawn.", "乱数である。")
        self.net, self.params = net, params
        self.example = Example.of(net, rng.normal(size=net.sizes[0]), d, params, text, learning_rate=0.05)
        self.sheet = derive(net, self.example, "test")

    # ------------------------------------------------------------------------------------- letters
    def letter(self, tree):
        """Letter, layer and units of a symbol with its indices."""
        base, below, above = (tree.base, tree.below, tree.above) if isinstance(tree, Script) else (tree, None, None)
        layer = above.parts[1].value if isinstance(above, Group) else None
        units = "" if below is None else "".join(part.name for part in parts_of(below))
        return base.name, layer, units

    def array(self, name, layer):
        """The numbers of a layer, (units,) or (units, units below); 0 is the input."""
        example = self.example
        match name:
            case "x" | "X":
                return example.x
            case "d" | "D":
                return example.d
            case "u" | "U":
                return example.u(layer)
            case "y" | "Y":
                return example.y(layer)
            case "w" | "W":
                return self.params[f"u{layer}"]["W"].T
            case "b" | "B":
                return self.params[f"u{layer}"]["b"]
            case "delta":
                return self.slope_of_error("u", layer)
        raise AssertionError(name)

    def energy(self, u, layer):
        """E as a function of u of one layer."""
        for level in range(layer, self.net.depth + 1):
            y = self.activation(level, u)
            if level < self.net.depth:
                own = self.params[f"u{level + 1}"]
                u = y @ own["W"] + own.get("b", 0.0)
        return self.net.loss.value(y[None], jnp.asarray(self.example.d)[None])

    def activation(self, level, u):
        return self.net.activations[level - 1].forward({}, u[None], Context(train=False))[0][0]

    @functools.cache  # noqa: B019
    def slope_of_error(self, name, layer):
        """∂E/∂u, ∂E/∂y, ∂E/∂w, ∂E/∂b of a layer, by automatic differentiation and the chain of definitions."""
        with jax.enable_x64(True):
            name = name.lower()
            if name == "y":
                if layer == self.net.depth:
                    t = jnp.asarray(self.example.d)[None]
                    return np.asarray(jax.grad(lambda y: self.net.loss.value(y[None], t))(self.example.y(layer)))
                return self.params[f"u{layer + 1}"]["W"] @ self.slope_of_error("u", layer + 1)
            delta = np.asarray(jax.grad(lambda u: self.energy(u, layer))(jnp.asarray(self.example.u(layer))))
            return np.outer(delta, self.example.y(layer - 1)) if name == "w" else delta

    def partial(self, over, under, at):
        """∂over/∂under, both without their ∂."""
        (name, layer, units), (by, lower, others) = self.letter(over), self.letter(under)
        places = tuple(at[unit] for unit in others)
        if name == "E":
            slopes = self.slope_of_error(by, lower)
            return slopes[places] if others else slopes if by == "W" else column(slopes)
        if (name.lower(), by.lower()) == ("y", "u"):
            assert layer == lower
            with jax.enable_x64(True):
                at_u = jnp.asarray(self.example.u(layer))
                jacobian = np.asarray(jax.jacobian(lambda u: self.activation(layer, u))(at_u))
            return jacobian[at[units], places[0]] if units else column(np.diag(jacobian))
        if (name, by) == ("u", "y"):
            assert layer == lower + 1
            return self.array("w", layer)[at[units], places[0]]
        assert (name, layer) == ("u", lower)
        assert at[units] == places[0]
        return 1.0 if by == "b" else self.example.y(layer - 1)[places[1]]

    # ------------------------------------------------------------------------------------- formulas
    def value(self, tree, at):
        return self.row(without_blanks(parts_of(tree)), at)

    def row(self, parts, at):
        """Terms with + and - between them, each a product."""
        total, sign, term = 0.0, 1.0, []
        for part in [*self.joined(parts), Sign("+")]:
            if part in (Sign("+"), Sign("-")):
                total = total + sign * self.product(term, at) if term else total
                sign, term = (-1.0 if part == Sign("-") else 1.0), []
            elif part == Sign("quad"):  # a condition comes after it
                return total + sign * self.product(term, at)
            else:
                term.append(part)
        return total

    def joined(self, parts):
        """The same, with what stands between parentheses as one part, with the script of the closing one."""
        parts, done = without_blanks(parts), []
        while parts:
            part = parts.pop(0)
            if part != Sign("("):
                done.append(part)
                continue
            depth, inside = 1, []
            while True:
                own = parts.pop(0)
                depth += (own == Sign("(")) - ((own.base if isinstance(own, Script) else own) == Sign(")"))
                if not depth:
                    break
                inside.append(own)
            body = Fenced(Group(tuple(inside)))
            done.append(Script(body, own.below, own.above) if isinstance(own, Script) else body)
        return done

    def product(self, term, at):
        found, elementwise = None, False
        while term:
            part, *term = term
            if part == Sign("odot"):
                elementwise = True
                continue
            if isinstance(part, Script) and part.base == Sign("sum"):
                factor, term = sum(self.product(list(term), at | unit) for unit in self.units(part, at)), []
            elif part in (Symbol("exp", "upright"), Symbol("log", "upright")):
                inner, *term = term
                factor = {"exp": np.exp, "log": np.log}[part.name](self.factor(inner, at))
            else:
                factor = self.factor(part, at)
            if found is None or elementwise or not (np.ndim(found) and np.ndim(factor)):
                assert not elementwise or np.shape(found) == np.shape(factor)
                found = factor if found is None else found * factor
            else:
                found = found @ factor
            elementwise = False
        return found

    def units(self, total, at):
        """The units over which a sum goes."""
        below = parts_of(total.below)
        if total.above is not None:
            return [{below[0].name: unit} for unit in range(total.above.value)]
        left_out = at[below[2].name] if len(below) > 1 else None
        return [{below[0].name: unit} for unit in range(self.net.sizes[-1]) if unit != left_out]

    def factor(self, tree, at):
        match tree:
            case Number(value):
                return float(value)
            case Fenced(body):
                return self.value(body, at)
            case Grid(rows):
                return np.array([[cell.value for cell in row] for row in rows], float)
            case Cases(rows):
                return next(self.value(value, at) for value, condition in rows if self.holds(condition, at))
            case Fraction(Group((Sign("partial"), over)), Group((Sign("partial"), under))):
                return self.partial(over, under, at)
            case Fraction(over, under):
                return self.value(over, at) / self.value(under, at)
            case Script(base, None, Number(power)):
                return self.factor(base, at) ** power
            case Script(base, None, Symbol("T")):
                return self.factor(base, at).T
            case Symbol("E"):
                with jax.enable_x64(True):
                    return float(self.energy(jnp.asarray(self.example.u(self.net.depth)), self.net.depth))
        name, layer, units = self.letter(tree)
        if units:
            return self.array(name, layer)[tuple(at[unit] for unit in units)]
        return self.array(name, layer) if name == "W" else column(self.array(name, layer))

    def holds(self, condition, at):
        left, sign, right = condition.parts[0], condition.parts[1].name, condition.parts[2]
        left, right = self.value(left, at), self.value(right, at)
        return {">": left > right, "<": left < right, "ge": left >= right, "le": left <= right}[sign]


def sides_of(formula):
    """What stands between the signs of equality, blanks filled in; nothing for other relations, and for h itself."""
    sides = [[]]
    for part in parts_of(formula):
        if part == Sign("="):
            sides.append([])
        else:
            sides[-1].append(part)
    if any(Sign(name) in side for side in sides for name in ("colon", "gets", "to", "approx")):
        return []
    if sides[0] in ([Symbol("eta")], [LARGEST]):
        return []
    return [side for side in sides if not (side and isinstance(side[0], Script) and side[0].base == Symbol("h"))]


def test_every_equation_holds_for_every_unit(meaning):
    held = 0
    for step in meaning.sheet.steps:
        for at in UNITS:
            before = None
            for part in step.parts:
                if not isinstance(part, Equation):
                    continue
                sides = sides_of(part.formula)
                if sides and not sides[0]:  # goes on from the equation above
                    sides[0] = before
                values = [np.asarray(meaning.row(side, at), np.float64) for side in sides]
                for value in values[1:]:
                    np.testing.assert_allclose(value, values[0], rtol=1e-9, atol=1e-12, err_msg=f"{step.number}")
                    held += 1
                before = sides[0] if sides else None
    assert held > 100


def test_the_update_is_a_step_against_the_gradient(meaning):
    """As shown for the output layer; E after it is that of all parameters moved so."""
    net, example = meaning.net, meaning.example
    moved = {
        level: {name: w - 0.05 * example.gradient(int(level[1:]), name).T for name, w in own.items()}
        for level, own in meaning.params.items()
    }
    y = example.x
    for level in range(1, net.depth + 1):
        own = moved[f"u{level}"]
        y = meaning.activation(level, y @ own["W"] + own.get("b", 0.0))
    after = float(net.loss.value(jnp.asarray(y)[None], jnp.asarray(example.d)[None]))
    assert example.after == pytest.approx(after, rel=1e-5)
    *_, shown, _, last = (part.formula for part in meaning.sheet.steps[-1].parts if isinstance(part, Equation))
    assert last.parts[-1].answer.value == example.after
    letter, own = shown.parts[0].base.name, moved[f"u{net.depth}"]
    assert letter == ("B" if net.biases[-1] else "W")
    new = column(own["b"]) if letter == "B" else own["W"].T
    np.testing.assert_allclose(meaning.factor(shown.parts[-1].answer, {}), new, rtol=1e-9)


def test_the_largest_difference_is_that_of_the_entries_shown(meaning):
    found = [
        part.formula.parts[-1].value
        for step in meaning.sheet.steps
        for part in step.parts
        if isinstance(part, Equation) and parts_of(part.formula)[0] == LARGEST
    ]
    example, wanted = meaning.example, []
    for level in range(meaning.net.depth, 0, -1):
        names = ("W", "b") if meaning.net.biases[level - 1] else ("W",)
        wanted += [np.abs(example.gradient(level, name) - example.slope(level, name)).max() for name in names]
    assert found == wanted

"""Worksheets: the letters are right, the numbers are those of back-propagation, and blanks keep their answers."""

from __future__ import annotations

import dataclasses
import html as entities
import itertools
import re
import xml.etree.ElementTree as ElementTree

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.core.errors import ConfigError
from denpa.lab.worksheet import LANGUAGES, derive, html, latex_source, worksheet
from denpa.lab.worksheet.document import Equation, Paragraph, WordBlank
from denpa.lab.worksheet.example import Example
from denpa.lab.worksheet.formula import Box, Grid, Group, Number, Script, Sign, Symbol, read
from denpa.lab.worksheet.latex import latex
from denpa.lab.worksheet.mathml import mathml
from denpa.lab.worksheet.network import DenseNetwork
from denpa.lab.worksheet.numbers import digits, shown
from denpa.lab.worksheet.tree import extent

# What the walk backward is to be tried on: the network, its loss, targets of one example.
CASES = {
    "regression": (
        [dp.Flatten(), dp.Dense(3), dp.Tanh(), dp.Dense(2)],
        dp.MeanSquaredError(),
        np.array([[0.3, -1.2]]),
    ),
    "binary": (
        [dp.Flatten(), dp.Dense(3, use_bias=False), dp.LeakyReLU(0.2), dp.Dropout(0.5), dp.Dense(1)],
        dp.SigmoidCrossEntropy(),
        np.array([[1.0]]),
    ),
    "classes": (
        [dp.Flatten(), dp.Dense(8), dp.Sigmoid(), dp.Dense(3), dp.ReLU(), dp.Dense(3)],
        dp.SoftmaxCrossEntropy(),
        np.array([[0.0, 1.0, 0.0]]),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A worksheet, and what `backprop` says of the network that it was made of."""
    layers, loss, d = CASES[request.param]
    net = dp.Sequential(tuple(layers))
    x = np.array([[[0.4, -0.7], [1.1, 0.2]]], np.float32)
    rng = np.random.default_rng(5)
    shapes = jax.eval_shape(lambda key: net.init(key, x.shape[1:]), jax.random.key(0))
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    step = dp.backprop(net, loss, variables, x, d.astype(np.float32), train=False)
    dense = DenseNetwork.of(net, loss, x.shape[1:])
    example = Example.of(dense, x.ravel(), d[0], dense.params_of(variables.params), TEXT)
    return derive(dense, example, request.param), dense, step, example


TEXT = dp.lab.worksheet.document.Text("Numbers of a test.", "テストの数値。")


@pytest.fixture(scope="module")
def letters_alone():
    return worksheet("notes")


@pytest.fixture(scope="module", params=["notes", "4-3-2:relu:softmax", "2-3-2-1:tanh,leakyrelu:identity", "3-1"])
def sheet(request):
    return worksheet(request.param, numbers=False)


def answer_of(sheet, left):
    """The numbers of the equation with this left side; of several the first that holds numbers."""
    for step in sheet.steps:
        for part in step.parts:
            if isinstance(part, Equation) and latex(part.formula, answers=True).startswith(f"{left} = "):
                box = part.formula.parts[-1]
                if isinstance(box, Box) and isinstance(box.answer, (Grid, Number)) and numbers_in(box.answer).size:
                    return numbers_in(box.answer)
    raise AssertionError(left)


def numbers_in(tree):
    if isinstance(tree, Number):
        return np.array(tree.value)
    rows = [[cell.value for cell in row if isinstance(cell, Number)] for row in tree.rows]
    return np.array([row for row in rows if row], float)


def partial(letter, level):
    return rf"\frac{{\partial E}}{{\partial {letter}^{{( {level} )}}}}"


def test_the_numbers_are_those_of_backprop(case):
    sheet, dense, step, example = case
    assert answer_of(sheet, "E") == pytest.approx(float(step.loss), rel=1e-5)
    assert answer_of(sheet, "E") != pytest.approx(example.after, rel=1e-3)
    for level, (name,) in enumerate(dense.places, 1):
        for letter, array in step.grads[name].items():
            wanted = np.atleast_2d(np.asarray(array)).T
            if letter == "W":
                wanted = np.asarray(array).T
            wanted = wanted[[0, 1, 2, 3, -1]] if len(wanted) > 6 else wanted
            wanted = wanted[:, [0, 1, 2, 3, -1]] if wanted.shape[1] > 6 else wanted
            found = answer_of(sheet, partial(letter.upper(), level))
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-7)


def test_central_differences_stand_beside_every_gradient(case):
    sheet, dense, step, example = case
    beside = [part for s in sheet.steps for part in s.parts if isinstance(part, Equation)]
    beside = [part.formula for part in beside if isinstance(part.formula, Group)]
    beside = [formula for formula in beside if Sign("approx") in formula.parts]
    assert len(beside) == len(jax.tree.leaves(step.grads))
    for level in range(1, dense.depth + 1):
        ours, theirs = example.gradient(level, "W"), example.slope(level, "W")
        looked_at = ~np.isnan(theirs)
        assert looked_at.sum() == np.prod([min(size, 5 if size > 6 else size) for size in ours.shape])
        np.testing.assert_allclose(theirs[looked_at], ours[looked_at], atol=1e-9)


def test_dropout_is_left_out_and_said_so(case):
    sheet, dense, *_ = case
    said = "".join(str(part) for paragraph in sheet.introduction for part in paragraph.en)
    assert (len(dense.left_out) == 1) == ("Left out" in said) == (sheet.name == "binary")


def test_a_penalty_is_left_out_and_said_so():
    said = [paragraph.en[0] for paragraph in worksheet("ridge", numbers=False).introduction]
    assert said[-1].startswith("The penalty")
    assert not any("penalty" in str(part) for part in worksheet("sine", numbers=False).introduction)


@pytest.mark.parametrize("answers", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_needs_nothing_else(sheet, language, answers):
    page = html(sheet, language, answers=answers)
    root = ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))
    assert root.get("lang") == language
    assert not re.search(r"<script|<link|<img|src=|href=|url\(|http", page)
    steps = [element for element in root.iter("div") if element.get("class") == "step"]
    assert [element.get("id") for element in steps] == [f"step-{step.number}" for step in sheet.steps]
    labels = [element.text for element in root.iter() if element.get("class") == ("label" if answers else "blank")]
    assert labels == [blank.label for step in sheet.steps for blank in step.blanks(language)]


@pytest.mark.parametrize("answers", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_latex_source_is_balanced(sheet, language, answers):
    source = latex_source(sheet, language, answers=answers)
    bare = re.sub(r"\\[{}\\]", "", source)
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert source.count(r"\left") == source.count(r"\right")
    assert sorted(re.findall(r"\\begin\{(\w+)\}", source)) == sorted(re.findall(r"\\end\{(\w+)\}", source))
    assert ("luatexja" in source) == (language == "ja")
    if language == "en":  # what pdflatex knows without fonts of its own
        assert set(re.findall(r"[^\x00-\x7f]", source)) <= {"×", "→"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_blanks_keep_their_answers(sheet, language):
    """No answer of a step stands in that step, and no long one anywhere: in the page, in its markup, in the source."""
    source, page = latex_source(sheet, language, answers=False), html(sheet, language, answers=False)
    pieces = re.split(r"\\subsection\*", source)[1:]
    for step, piece in zip(sheet.steps, pieces, strict=True):
        for blank in step.blanks(language):
            if isinstance(blank, WordBlank):
                words = re.sub(r"\\[a-z]+", "", piece.lower())
                assert len(blank.answer) < 3 or blank.answer.lower() not in words, blank
                continue
            answer, markup = latex(blank.answer, answers=True), mathml(blank.answer, answers=True)[6:-7]
            if len(answer) > 25:
                assert answer not in piece, blank
            if len(answer) > 45:
                assert answer not in source, blank
                assert markup not in page, blank


def test_numbers_in_blanks_are_nowhere(case):
    sheet, dense, _, example = case
    page, filled = html(sheet, "en", answers=False), html(sheet, "en", answers=True)
    given = {digits(float(w))[1] for array in jax.tree.leaves(example.params) for w in array.ravel()}
    for level in range(1, dense.depth + 1):
        for value in np.concatenate([example.u(level), example.delta(level), example.gradient(level, "W").ravel()]):
            _, text, _ = digits(float(value))
            if len(text) > 4 and text not in given:
                assert f"<mn>{text}</mn>" not in page
    assert f"<mn>{digits(float(example.delta(1)[0]))[1]}</mn>" in filled


def test_the_worksheet_in_letters_has_every_step(letters_alone):
    assert [step.number for step in letters_alone.steps] == list(range(1, 60))
    assert [step.number for step in letters_alone.steps if not step.blanks()] == [40]  # filled in, as a model
    spoken = latex_source(letters_alone, "en", answers=True)
    assert spoken.count(r"\answer{") + spoken.count(r"\wordanswer{") == sum(
        len(step.blanks()) for step in letters_alone.steps
    )


@pytest.mark.parametrize(
    ("number", "answers"),
    [
        (2, "0 l 1 m 2 n"),
        (10, r"w_{j1}^(1) x_1 + \cdots + w_{ji}^(1) x_i + \cdots + w_{jl}^(1) x_l + b_j^(1)"),
        (18, r"\frac{1}{2} \sum_{r=1}^{n} (y_r^(2) - d_r)^2 -\sum_{r=1}^{n} d_r \log y_r^(2)"),
        (33, r"y_j^(1) \delta_k^(2) y_j^(1)"),
        (38, r"x_i \delta_j^(1) x_i"),
        (48, r"-\frac{d_r}{y_r^(2)} -y_r^(2) y_k^(2) y_k^(2) \sum_{r \ne k} d_r"),
        (
            53,
            r"\frac{1}{1 + \exp(-u_j^(1))} y_j^(1) (1 - y_j^(1))"
            r" \sum_{k=1}^{n} \delta_k^(2) w_{kj}^(2) y_j^(1) (1 - y_j^(1))",
        ),
        (55, r"\sum_{k=1}^{n} \delta_k^(2) w_{kj}^(2) 0"),
        (57, r"\delta_k^(2) y_j^(1) (y_k^(2) - d_k) y_j^(1) y_k^(2) - d_k"),
        (
            59,
            r"0 \left( \sum_{r=1}^{n} (y_r^(2) - d_r) w_{rj}^(2) \right) x_i"
            r" \left( \sum_{r=1}^{n} (y_r^(2) - d_r) w_{rj}^(2) \right)",
        ),
    ],
)
def test_answers_of_the_worksheet_in_letters(letters_alone, number, answers):
    found = " ".join(latex(box.answer, answers=True) for box in letters_alone.steps[number - 1].blanks())
    assert found == latex(read(answers), answers=True)


def test_both_languages_say_everything(sheet):
    japanese = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
    for text in [sheet.title, *(s.title for s in sheet.sections), *(s.title for s in sheet.steps)]:
        assert text.en.strip()
        assert japanese.search(text.ja) or text.en == text.ja
        assert not japanese.search(text.en)
    for step in sheet.steps:
        assert [b.label for b in step.blanks("en")] == [b.label for b in step.blanks("ja")]
        for part in step.parts:
            if isinstance(part, Paragraph):
                english, spoken = ("".join(p for p in side if isinstance(p, str)) for side in (part.en, part.ja))
                assert not japanese.search(english)
                assert japanese.search(spoken), spoken


def test_one_tree_becomes_both_formats():
    tree = read(r"\delta_k^(2) = \frac{\partial E}{\partial u_k} - 0.5 \blank{y_k < d}", iter(["7.1"]))
    assert latex(tree, answers=True) == (
        r"\delta_{k}^{( 2 )} = \frac{\partial E}{\partial u_{k}} - 0.5 \answer{7.1}{y_{k} < d}"
    )
    shape = ElementTree.fromstring(mathml(tree, answers=True))
    assert [e.text for e in shape.iter("mi")] == ["δ", "k", "E", "u", "k", "y", "k", "d"]
    assert next(shape.iter("msubsup"))[2].tag == "mrow"
    assert entities.unescape("".join(shape.itertext())) == "δk(2)=∂E∂uk−0.5yk<d7.1"
    hidden = mathml(tree, answers=False)
    assert "7.1" in hidden
    assert "&lt;" not in hidden
    assert read("x_1^2") == Script(Symbol("x"), Number(1), Number(2))


@pytest.mark.parametrize("source", [r"\frac{1}", r"\unknown", "x}", r"\left( x", r"\blank{x}", r"\mathbf{1}", "{x"])
def test_a_formula_that_cannot_be_read_is_refused(source):
    with pytest.raises(ConfigError, match=re.escape(repr(source))):
        read(source)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.25, (True, "0.25", 0)),
        (1.0, (False, "1", 0)),
        (3e-7, (False, "3", -7)),
        (123456.0, (False, "1.235", 5)),
        (12346.0, (False, "1.235", 4)),
        (-9999.0, (True, "9999", 0)),
        (0.1 * 0.589 + 0.8 * 2.622, (False, "2.157", 0)),  # 2.1565
        (-0.589 * 0.75, (True, "0.4418", 0)),
        (-0.589 * 0.75 + 6e-11, (True, "0.4418", 0)),  # the same by central differences
        (0.25 * 1.0002, (False, "0.2501", 0)),
        (99995.0, (False, "1", 5)),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert digits(value) == text


def test_the_middle_of_a_long_axis_is_dots():
    grid = shown(np.arange(56.0).reshape(8, 7))
    assert len(grid.rows) == len(grid.rows[0]) == 6
    assert numbers_in(grid).tolist() == [[7.0 * i + j for j in (0, 1, 2, 3, 6)] for i in (0, 1, 2, 3, 7)]


def test_the_dots_stand_where_numbers_are_left_out():
    """As many as there are up to six; of more the fifth place is dots, down a column or along a row."""
    assert numbers_in(shown(np.arange(36.0).reshape(6, 6))).shape == (6, 6)
    grid = shown(np.arange(56.0).reshape(8, 7))
    assert set(grid.rows[4]) == {Sign("vdots")}
    assert [row[4] for row in grid.rows if row != grid.rows[4]] == [Sign("cdots")] * 5


def test_room_for_an_answer_is_that_of_its_parts():
    widest, inner = extent(read(r"\frac{a b c}{d}")), extent(read("a b c"))
    assert widest == (inner[0], 2)
    assert extent(read(r"\frac{d}{a b c}")) == widest
    column, row = (extent(read(rf"\matrix{{{sign.join('1234')}}}")) for sign in (r" \\ ", " & "))
    assert column[1] == 4
    assert row[1] == 1
    assert row[0] - 2 == 4 * (column[0] - 2)
    assert column[0] > extent(read("1"))[0] + 1  # and the parentheses


def test_rows_within_rows_have_their_arrays_by_all_names_on_the_way():
    inner = dp.Sequential([dp.Dense(3), dp.Tanh()])
    dense = DenseNetwork.of(dp.Sequential([dp.Flatten(), inner, dp.Dense(2)]), dp.MeanSquaredError(), (2, 2))
    assert dense.places == (("1_sequential", "0_dense"), ("2_dense",))
    params = {"1_sequential": {"0_dense": {"W": "first"}}, "2_dense": {"W": "second"}}
    assert dense.params_of(params) == {"u1": {"W": "first"}, "u2": {"W": "second"}}


def test_every_class_is_drawn_as_the_true_one():
    net = DenseNetwork.short("2-3")
    drawn = {tuple(Example.drawn(net, seed).d) for seed in range(20)}
    assert drawn == {tuple(row) for row in np.eye(3)}


@pytest.mark.parametrize(
    ("layers", "loss", "named"),
    [
        ([dp.Conv2d(2, 3), dp.Flatten(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), "'0_conv2d' is Conv2d"),
        ([dp.LSTM(3), dp.Dense(2)], dp.SoftmaxCrossEntropy(), "'0_lstm' is LSTM"),
        ([dp.Flatten(), dp.Dense(3), dp.BatchNorm(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), "'2_batchnorm'"),
        ([dp.Dense(2)], dp.SoftmaxCrossEntropy(), "'0_dense'"),
        ([dp.Flatten(), dp.Dense(3), dp.Tanh(), dp.ReLU(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), "'3_relu'"),
        ([dp.Flatten(), dp.Dense(2), dp.Softmax(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), "Softmax stands before"),
        ([dp.Flatten(), dp.Dense(2)], dp.SoftmaxCrossEntropy(label_smoothing=0.1), "label_smoothing"),
        ([dp.Flatten(), dp.Dense(2)], dp.MeanSquaredError(half=False), "MeanSquaredError(False)"),
        ([dp.Flatten(), dp.Dense(2)], dp.PerceptronLoss(), "PerceptronLoss"),
        ([dp.Flatten()], dp.MeanSquaredError(), "no Dense layer"),
        ([dp.Flatten(), dp.Dense(2), dp.Softmax()], dp.SoftmaxCrossEntropy(), "behind Softmax() is not derived"),
        ([dp.Flatten(), dp.Dense(2), dp.Softmax()], dp.MeanSquaredError(), "behind Softmax() is not derived"),
        ([dp.Flatten(), dp.Dense(2), dp.Tanh()], dp.BinaryCrossEntropy(), "behind Tanh() is not derived"),
        ([dp.Flatten(), dp.Dense(2)], dp.CrossEntropy(), "behind Identity() is not derived"),
    ],
)
def test_what_is_not_dense_is_named(layers, loss, named):
    with pytest.raises(ConfigError, match=re.escape(named)) as refused:
        DenseNetwork.of(dp.Sequential(tuple(layers)), loss, (4, 4, 1))
    assert "Dense" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sizes", "kinds"),
    [
        ("3-4-2", (3, 4, 2), "Sigmoid Softmax CrossEntropy"),
        ("3-4-1", (3, 4, 1), "Sigmoid Sigmoid BinaryCrossEntropy"),
        ("2-5-5-3:tanh,relu:identity", (2, 5, 5, 3), "Tanh ReLU Identity MeanSquaredError"),
        ("2-5-5-3:tanh", (2, 5, 5, 3), "Tanh Tanh Softmax CrossEntropy"),
        ("4-2:sigmoid", (4, 2), "Sigmoid BinaryCrossEntropy"),
    ],
)
def test_short_descriptions(text, sizes, kinds):
    net = DenseNetwork.short(text)
    assert net.sizes == sizes
    assert " ".join(type(part).__name__ for part in (*net.activations, net.loss)) == kinds
    assert net.parameters == sum(a * b + b for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("3-4-2:sigmod", "did you mean 'sigmoid'"),
        ("3-4-2:relu:softmx", "did you mean 'softmax'"),
        ("3-4-4-2:relu,relu,relu", "3 activations for 2"),
        ("3-1:relu:sigmoid", "1 activation for 0 hidden layers"),
        ("3-0-2", "describes no network"),
        ("3-4-1:relu:softmax", "two units"),
        ("digits-mpl", "did you mean 'digits-mlp'"),
        ("note", "did you mean 'notes'"),
    ],
)
def test_unknown_words_are_answered(text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        worksheet(text)


def test_a_worksheet_is_data(letters_alone):
    assert dataclasses.is_dataclass(letters_alone)
    assert hash(letters_alone) == hash(worksheet("notes"))
    assert letters_alone == worksheet("notes")


@pytest.mark.parametrize(
    ("description", "seed"),
    [
        ("1-3-1:relu:identity", 6),
        ("1-3-1:leakyrelu:identity", 31),
        ("3-400-20-1:relu", 0),
        ("3-400-20-4:relu:softmax", 0),
    ],
)
def test_no_rectifier_stands_at_its_kink(description, seed):
    """As first drawn these have a unit with u = 0, where a central difference is half the slope."""
    net = DenseNetwork.short(description)
    example = Example.drawn(net, seed)
    for level in range(1, net.depth):
        assert np.abs(example.u(level)).min() > 1e-3
        b = np.abs(example.params[f"u{level}"]["b"])
        np.testing.assert_allclose(b, np.clip(np.round(b, 1), 0.1, 0.9))  # still one decimal
    for name, slopes in example.slopes.items():
        for key, found in slopes.items():
            seen = np.isfinite(found)
            np.testing.assert_allclose(found[seen], np.asarray(example.met.grads[name][key])[seen], atol=1e-7)


@pytest.mark.parametrize("description", ["784-100-10:relu:softmax", "2000-300-5:relu:sigmoid", "17-17-3:tanh:softmax"])
@pytest.mark.parametrize("seed", [0, 1])
def test_wide_layers_do_not_saturate_the_output(description, seed):
    """With one decimal throughout, a softmax behind hundreds of inputs is cut off by its loss, which has no slope."""
    net = DenseNetwork.short(description)
    example = Example.drawn(net, seed)
    assert all(np.abs(example.u(level)).max() < 8 for level in range(1, net.depth + 1))
    decimals = 1
    for level, inputs in enumerate(net.sizes[:-1], 1):
        own = 1 if inputs <= 16 else 2 if inputs <= 1600 else 3
        W = example.params[f"u{level}"]["W"] * 10**own
        np.testing.assert_allclose(W, np.round(W), atol=1e-9)
        decimals = max(decimals, own)
        looked_at = np.isfinite(example.slope(level, "W"))
        found = example.slope(level, "W")[looked_at]
        np.testing.assert_allclose(found, example.gradient(level, "W")[looked_at], atol=1e-8)
    assert f"weights with up to {decimals}." in str(example.origin)


@pytest.mark.parametrize(("description", "partly"), [("6-6-6:relu:softmax", False), ("7-2-3:relu:softmax", True)])
def test_numbers_that_are_left_out_are_told_of(description, partly):
    sheet = worksheet(description)
    told = {"en": "the first four and the last are shown", "ja": "最初の4個と最後の1個だけを示す"}
    for language, words in told.items():
        assert (words in html(sheet, language, answers=False)) == partly


@pytest.mark.parametrize("use_bias", [True, False])
def test_biases_that_are_not_there_are_not_updated(use_bias):
    layers = dp.Sequential([dp.Dense(3, use_bias=use_bias), dp.Tanh(), dp.Dense(2, use_bias=use_bias)])
    net = DenseNetwork.of(layers, dp.MeanSquaredError(), (4,))
    source = latex_source(derive(net, None, "a network"), "en", answers=True)
    assert ("B^{( l )}" in source) == use_bias


@pytest.mark.parametrize(
    ("description", "rate"),
    [("3-4-2:sigmoid:softmax", 0.1), ("17-1601-2:relu:identity", 0.001), ("784-100-10:relu", 0.1)],
)
def test_the_error_falls_by_the_step_that_is_shown(description, rate):
    net = DenseNetwork.short(description)
    example = Example.drawn(net, 3)
    assert example.learning_rate == pytest.approx(rate)
    assert example.after < float(example.met.loss)

    def error_after(rate):
        moved = {
            name: {key: np.asarray(w) - rate * np.asarray(example.met.grads[name][key]) for key, w in arrays.items()}
            for name, arrays in example.params.items()
        }
        return float(Example.of(net, example.x, example.d, moved, example.origin).met.loss)

    assert error_after(rate) == pytest.approx(example.after, rel=1e-9)
    assert rate == 0.1 or error_after(10 * rate) > float(example.met.loss)

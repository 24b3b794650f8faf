"""What `diagnose` measures is what `trace` and the optimiser give; each mistake is found, and a good network is not."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp
from denpa.lab import diagnose
from denpa.lab.diagnosis import error_of_constant, rms
from denpa.lab.findings import _of_description

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 4)).astype("float32")
T = np.where(X[:, 0] > 0.3, 2, (X[:, 1] > 0).astype(int))


def network(activation, start, depth=1, width=6):
    hidden = [layer for _ in range(depth) for layer in (dp.Dense(width, kernel_init=start), activation)]
    return dp.Sequential([*hidden, dp.Dense(3)])


def model(net, optimizer=None, **options):
    return dp.Model(net, dp.SoftmaxCrossEntropy(), optimizer or dp.SGD(0.05), **options)


def about(found):
    return [finding.page for finding in found.findings]


@pytest.fixture(scope="module")
def good():
    tried = model(network(dp.ReLU(), dp.init.He()), penalty=dp.L2(0.1), normalizer=dp.Standardize())
    return tried, diagnose(tried, (X, T))


def test_the_numbers_are_those_of_trace_and_of_the_coming_update(good):
    tried, found = good
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    met = dp.trace(tried.net, tried.loss, tried.variables, (X - mean) / deviation, T)
    assert [row.path for row in found.rows] == list(met)
    for row in found.rows:
        np.testing.assert_allclose(row.y, np.sqrt(np.mean(np.square(met[row.path].y))), rtol=1e-4)
        np.testing.assert_allclose(row.dy, np.sqrt(np.mean(np.square(met[row.path].dy))), rtol=1e-4)
    W = np.asarray(tried.variables.params["0_dense"]["W"])
    update = 0.05 * (np.asarray(met["0_dense"].grads["W"]) + 0.1 * W)
    np.testing.assert_allclose(found.rows[0].change["W"], rms(update) / rms(W), rtol=1e-4)
    assert tried.steps == 0
    assert (found.examples, found.steps) == (60, 0)


def test_the_examples_looked_at_are_spread_over_the_data():
    found = diagnose(model(dp.Sequential([dp.Dense(3)])), (X, T), examples=4)
    rows = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in np.asarray(found.trace["0_dense"].x)]
    assert (rows[0], rows[-1], len(rows)) == (0, 59, 4)
    assert np.ptp(np.diff(rows)) <= 1


def test_a_parameter_of_0_that_is_about_to_move_is_not_told_to_hardly_do_so():
    tried = model(dp.Sequential([dp.Dense(3, kernel_init=dp.init.Constant(0.0), use_bias=False)]))
    moving = diagnose(tried, (X, T))
    assert moving.rows[0].change == {"W": np.inf}
    assert not {"optimisers", "schedules"} & set(about(moving))
    assert "not_learning" not in about(moving)  # that it answers the same to all examples is where it begins
    resting = diagnose(tried, (0 * X, T))
    assert resting.rows[0].change == {"W": 0}
    assert "optimisers" in about(resting)


def test_a_network_without_an_error_is_not_asked_for_a_larger_learning_rate():
    x, t = np.array([[1.0, 2.0], [-3.0, -1.0]], "float32"), np.array([1, 0])
    net = dp.Sequential([dp.Dense(1, kernel_init=dp.init.Constant(1.0), use_bias=False)])
    tried = dp.Model(net, dp.PerceptronLoss(), dp.SGD(1.0))
    found = diagnose(tried, (x, t))
    assert (found.error, found.error_of_constant, found.findings) == (0, None, ())


@pytest.mark.parametrize(
    ("layer", "edge"),
    # The outputs whose slope is 5 % of the steepest: 4 y (1 - y) = 0.05, and 1 - y² = 0.05.
    [(dp.Sigmoid(), 0.5 + np.sqrt(0.25 - 0.05 / 4)), (dp.Tanh(), np.sqrt(0.95))],
)
def test_an_output_is_idle_where_its_slope_is_a_twentieth_of_the_steepest(layer, edge):
    inverse = {"Sigmoid": lambda y: np.log(y / (1 - y)), "Tanh": np.arctanh}[type(layer).__name__]
    u = inverse(edge + np.array([1e-3, -1e-3, -0.3, 2e-3]))[:, None] * np.array([[1, -1]])
    tried = dp.Model([layer, dp.Dense(3)], dp.SoftmaxCrossEntropy(), dp.SGD(0.05))
    assert diagnose(tried, (u.astype("float32"), np.array([0, 1, 2, 0]))).rows[0].idle == 0.5


def test_nothing_stands_out_in_a_network_that_learns(good):
    tried, found = good
    assert not found.findings
    assert str(found).endswith("Nothing stands out.")
    history = tried.fit((X, T), epochs=40, verbose=False)
    assert history["loss"][-1] < 0.8 * history["loss"][0]


def test_a_picture_has_a_histogram_for_each_layer_and_the_sizes(good):
    *histograms, sizes = good[1].plot().axes
    assert [axes.get_title().split(",")[0] for axes in histograms] == [row.path for row in good[1].rows]
    for line, name in zip(sizes.lines, ("y", "dy"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), [getattr(row, name) for row in good[1].rows])


@pytest.mark.parametrize(
    ("tried", "page", "words"),
    [
        (model(network(dp.Sigmoid(), dp.init.Normal(0.01), depth=4)), "back-propagation", "'0_dense'"),
        (model(network(dp.Tanh(), dp.init.Normal(50.0))), "activations", "'1_tanh'"),
        (model(network(dp.ReLU(), dp.init.He()), dp.SGD(1e-9)), "optimisers", "0_dense/W"),
        (model(network(dp.ReLU(), dp.init.He()), dp.SGD(1e3)), "schedules", "0_dense/W"),
        (model(network(dp.ReLU(), dp.init.Constant(0.0))), "not_learning", "same to all"),
    ],
)
def test_each_mistake_is_found_and_named(tried, page, words):
    found = diagnose(tried, (X, T))
    assert any(finding.page == page and words in str(finding) for finding in found.findings), str(found)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([dp.Dense(5), dp.Dense(3)], "'0_dense' and '1_dense'"),
        ([dp.Dense(3), dp.Softmax()], "once more"),
        (dp.Tied(dp.Sequential([dp.Dense(3), dp.ReLU()]), ()), "never negative"),
        ([dp.Dense(3), dp.ReLU()], "never negative"),
        ([dp.Dense(5), dp.ReLU(), dp.Dense(3)], None),
    ],
)
def test_a_description_that_cannot_be_meant_is_found(layers, words):
    found = [str(finding) for finding in _of_description(model(layers))]
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


def test_inputs_of_a_wrong_size_are_found():
    assert "normalisation" in about(diagnose(model(network(dp.ReLU(), dp.init.He())), (500 * X, T)))
    mended = model(network(dp.ReLU(), dp.init.He()), normalizer=dp.Standardize())
    assert "normalisation" not in about(diagnose(mended, (500 * X, T)))


def test_a_network_that_was_trained_in_vain_is_compared_with_the_constant_answer():
    tried = model(network(dp.ReLU(), dp.init.He()), dp.SGD(1e-9))
    labels = RNG.permutation(T)
    tried.fit((X, labels), epochs=1, verbose=False)
    found = diagnose(tried, (X, labels))
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(found.error_of_constant, -np.sum(shares * np.log(shares)), rtol=1e-5)
    assert "no better than that of a constant answer" in str(found)


@pytest.mark.parametrize("loss", [dp.MeanSquaredError(), dp.SigmoidCrossEntropy(), dp.BinaryCrossEntropy()])
def test_no_constant_is_better_than_the_best_one(loss):
    t = (RNG.random((20, 2)) < [[0.2, 0.7]]).astype("float32")
    weight = RNG.random(20).astype("float32")
    least = error_of_constant(loss, dp.Sigmoid().forward({}, t)[0], t, weight)
    answers = np.linspace(0.01, 0.99, 15)
    values = answers if loss.expects != "logits" else np.log(answers / (1 - answers))
    tried = [float(loss(np.broadcast_to(np.float32([a, b]), t.shape), t, weight)) for a in values for b in values]
    assert least <= min(tried) + 1e-6
    assert min(tried) < least + 0.05


def test_data_that_were_refused_leave_no_trace():
    model = dp.Model([dp.Dense(3)], dp.SoftmaxCrossEntropy(), normalizer=dp.Standardize())
    x = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    with pytest.raises(dp.DataError):
        diagnose(model, (x, np.full(8, 7)))
    assert (model.in_shape, model.statistics, model.run) == (None, None, None)
    assert diagnose(model, (x[:, :2], np.arange(8) % 3)).examples == 8

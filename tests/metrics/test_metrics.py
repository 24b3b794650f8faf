"""Metrics against plain NumPy on all the data at once, however the data are cut into batches."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.description import from_config, registered, to_config
from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from denpa.metrics import (
    R2,
    Accuracy,
    ConfusionMatrix,
    ExactMatch,
    MeanAbsoluteError,
    Metric,
    Perplexity,
    RootMeanSquaredError,
    TopK,
)

ALL = [
    Accuracy(),
    Accuracy(0.0),
    TopK(2),
    MeanAbsoluteError(),
    RootMeanSquaredError(),
    R2(),
    R2(center=5.0),
    Perplexity(),
    Perplexity("probabilities"),
    ConfusionMatrix(),
]
seeds = st.integers(0, 2**32 - 1)
SAMPLES, CLASSES = 24, 5


@functools.partial(jax.jit, static_argnums=0)
def measured(metric, y, t, w):
    return metric.measure(y, t, w)


def value(metric, y, t, w=None):
    """What metric(y, t, w) gives, in one program: single operations take longer to compile."""
    return metric.compute(measured(metric, y, t, w))


def in_batches(metric, y, t, w, size):
    """The metric from sums added up over batches; one shape a batch, one program."""
    parts = [measured(metric, y[i : i + size], t[i : i + size], w[i : i + size]) for i in range(0, len(y), size)]
    return metric.compute({name: sum(np.asarray(part[name], np.float64) for part in parts) for name in parts[0]})


# ------------------------------------------------------------------------- plain formulas in float64


def softmax(u):
    powers = np.exp(u - u.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def plain(metric, y, t, w):
    """The textbook's formula on all the data, weights w (samples,)."""
    y, t = np.asarray(y, np.float64), np.asarray(t)
    match metric:
        case Accuracy():
            return np.average(y.argmax(axis=-1) == t, weights=w)
        case TopK():
            best = np.argsort(-y, axis=-1, kind="stable")[:, : metric.k]
            return np.average((best == t[:, None]).any(axis=-1), weights=w)
        case ConfusionMatrix():
            counts = np.zeros((CLASSES, CLASSES))
            np.add.at(counts, (t, y.argmax(axis=-1)), w)
            return counts
        case Perplexity():
            p = y if metric.expects == "probabilities" else softmax(y)
            return np.exp(np.average(-np.log(p[np.arange(len(t)), t]), weights=w))
        case MeanAbsoluteError():
            return np.average(np.abs(y - t).mean(axis=-1), weights=w)
        case RootMeanSquaredError():
            return np.sqrt(np.average(np.square(y - t).mean(axis=-1), weights=w))
        case R2():
            mean = np.average(t, axis=0, weights=w)
            return np.mean(1 - w @ (y - t) ** 2 / (w @ (t - mean) ** 2))


def example(metric, seed):
    rng = np.random.default_rng(seed)
    y = 2 * rng.normal(size=(SAMPLES, CLASSES))
    if isinstance(metric, (MeanAbsoluteError, RootMeanSquaredError, R2)):
        t = 3 * rng.normal(size=(SAMPLES, CLASSES)) + np.arange(CLASSES)
        return (t + y).astype(np.float32), t.astype(np.float32)
    y = softmax(y) if metric == Perplexity("probabilities") else y
    labels = rng.integers(0, CLASSES, SAMPLES)
    return y.astype(np.float32), np.where(rng.random(SAMPLES) < 0.5, y.argmax(axis=-1), labels)


@pytest.mark.parametrize("metric", ALL, ids=repr)
class TestAgainstPlainFormulas:
    @given(seed=seeds)
    def test_all_at_once(self, metric, seed):
        y, t = example(metric, seed)
        expected = plain(metric, y, t, np.ones(SAMPLES))
        np.testing.assert_allclose(value(metric, y, t), expected, rtol=2e-5, atol=1e-6)

    @given(seed=seeds)
    def test_in_batches_with_weights_of_which_some_are_zero(self, metric, seed):
        y, t = example(metric, seed)
        rng = np.random.default_rng(seed + 1)
        w = (rng.uniform(0.5, 2, SAMPLES) * (rng.random(SAMPLES) < 0.7)).astype(np.float32)
        w[0] = 1
        w[-1] = 1
        expected = plain(metric, y, t, w.astype(np.float64))
        y[w == 0] = np.nan  # padding may hold anything
        np.testing.assert_allclose(in_batches(metric, y, t, w, 6), expected, rtol=2e-5, atol=1e-6)

    def test_nothing_measured_is_nan(self, metric):
        y, t = example(metric, 0)
        result = value(metric, y, t, np.zeros(SAMPLES))
        if isinstance(metric, ConfusionMatrix):
            assert (result == 0).all()
        else:
            assert isinstance(result, float)
            assert math.isnan(result)

    def test_bfloat16_outputs_are_summed_in_float32(self, metric):
        y, t = example(metric, 1)
        low = jnp.asarray(y, jnp.bfloat16)
        sums = measured(metric, low, t, None)
        assert {array.dtype for array in sums.values()} == {jnp.dtype(jnp.float32)}
        high = np.asarray(low.astype(jnp.float32))
        np.testing.assert_allclose(metric.compute(sums), metric.compute(measured(metric, high, t, None)), rtol=1e-6)


@pytest.mark.parametrize("metric", [Accuracy(), TopK(2), Perplexity(), ConfusionMatrix()], ids=repr)
def test_class_indices_are_one_hot_targets(metric):
    y, t = example(metric, 2)
    for one_hot in (np.eye(CLASSES, dtype=np.float32)[t], np.eye(CLASSES, dtype=bool)[t]):
        np.testing.assert_allclose(value(metric, y, one_hot), value(metric, y, t), rtol=1e-6)


@pytest.mark.parametrize(
    "metric", [Accuracy(), TopK(2), Perplexity(), ConfusionMatrix(), R2(), MeanAbsoluteError()], ids=repr
)
def test_steps_of_a_sequence_are_items_and_can_be_masked(metric):
    rng = np.random.default_rng(3)
    y = rng.normal(size=(4, 6, CLASSES)).astype(np.float32)
    t = rng.integers(0, CLASSES, (4, 6))
    if isinstance(metric, (R2, MeanAbsoluteError)):
        t = rng.normal(size=y.shape).astype(np.float32)
    mask = np.arange(6) < np.array([6, 2, 0, 3])[:, None]
    padded = y.copy()
    padded[~mask] = np.nan
    np.testing.assert_allclose(value(metric, padded, t, mask), value(metric, y[mask], t[mask]), rtol=1e-5)
    w = np.array([1, 2, 0, 3], np.float32)
    np.testing.assert_allclose(value(metric, y, t, w), value(metric, y, t, np.repeat(w[:, None], 6, axis=1)), rtol=1e-5)


def test_an_exact_match_is_a_sequence_right_from_end_to_end():
    t = np.array([[1, 0, 2], [1, 2, 0], [2, 2, 1], [0, 1, 1]])
    y = np.eye(3, dtype=np.float32)[t]
    y[1, 2] = y[1, 2, ::-1]  # wrong, but padding
    y[2, 0] = np.nan
    y[3, 1, 2] = 2  # wrong
    mask = np.arange(3) < np.array([3, 2, 3, 3])[:, None]
    assert value(ExactMatch(), y, t) == 1 / 4
    assert value(ExactMatch(), y, t, mask) == 2 / 4
    np.testing.assert_allclose(value(ExactMatch(), y, t, mask * np.array([[2], [1], [1], [3]])), 3 / 7)
    assert math.isnan(value(ExactMatch(), y, t, 0 * mask))
    with pytest.raises(ShapeError, match="batch, time, classes"):
        ExactMatch().measure(y[:, 0], t[:, 0])


# ----------------------------------------------------------------------------------- classification


def test_an_exact_match_of_no_sequences_is_nan():
    y, t = np.zeros((0, 3, 4), np.float32), np.zeros((0, 3), np.int32)
    for weight in (None, np.zeros(0), np.zeros((0, 3))):
        assert np.isnan(ExactMatch()(y, t, weight))


def test_ties_go_to_the_first_and_nan_is_never_right():
    y = np.array([[1, 2, 2], [2, 2, 1], [np.nan, 1, 0], [1, np.nan, 0], [0, 0, 0]], np.float32)
    for label, right in ((0, [0, 1, 0, 0, 1]), (1, [1, 0, 0, 0, 0]), (2, [0, 0, 0, 0, 0])):
        t = np.full(5, label)
        assert value(Accuracy(), y, t) == value(TopK(1), y, t) == sum(right) / 5
    matrix = value(ConfusionMatrix(), y, np.array([1, 1, 0, 0, 2]))
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [1, 1, 0], [1, 0, 0]])


def test_a_nan_score_is_not_among_the_best_and_counts_as_better_than_others():
    y = np.array([[np.nan, 3, 2, 1]], np.float32)
    assert [value(TopK(k), y, np.array([0])) for k in (1, 2, 3)] == [0, 0, 0]
    assert [value(TopK(k), y, np.array([1])) for k in (1, 2, 4)] == [0, 1, 1]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 2, 1)])
def test_single_outputs_decide_at_the_threshold(shape):
    y = np.array([0.2, 0.5, 0.7, -0.1], np.float32).reshape(shape)
    t = np.array([0, 0, 1, 1])
    assert value(Accuracy(), y, t.reshape(shape)) == 0.75
    assert value(Accuracy(0.0), y, t.reshape(shape).astype(np.float32)) == 0.25
    assert value(Accuracy(), y, np.full(shape, 0.5, np.float32)) == 0.75  # a target halfway is class 0, as an output is
    np.testing.assert_array_equal(value(ConfusionMatrix(), y, t.reshape(shape)), [[2, 0], [1, 1]])
    if len(shape) > 1:
        assert value(Accuracy(), y, t.reshape(shape[:-1])) == 0.75
        assert value(Accuracy(), y, t.reshape(shape[:-1]) == 1) == 0.75


def test_a_single_output_that_is_nan_is_never_right():
    y = np.array([np.nan, np.nan, 1.0], np.float32)
    assert value(Accuracy(), y, np.array([0, 1, 1])) == pytest.approx(1 / 3)
    np.testing.assert_array_equal(value(ConfusionMatrix(), y, np.array([0, 1, 1])), [[0, 0], [0, 1]])


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_a_confusion_matrix_says_how_many_numbers_it_gives(outputs):
    y, t = np.zeros((3, outputs), np.float32), np.zeros(3, int)
    assert ConfusionMatrix().measure(y, t)["counts"].size == ConfusionMatrix().size(outputs)


def test_metrics_take_from_the_loss_what_they_left_open():
    assert Accuracy().suited_to(SigmoidCrossEntropy()) == Accuracy(0.0)
    assert Accuracy().suited_to(BinaryCrossEntropy()) == Accuracy(0.5)
    assert Accuracy(0.3).suited_to(SigmoidCrossEntropy()) == Accuracy(0.3)
    assert Accuracy().suited_to(SoftmaxCrossEntropy()) == Accuracy()
    assert ConfusionMatrix().suited_to(SigmoidCrossEntropy()) == ConfusionMatrix(0.0)
    assert ConfusionMatrix(0.3).suited_to(SigmoidCrossEntropy()) == ConfusionMatrix(0.3)
    assert Perplexity().suited_to(CrossEntropy()) == Perplexity("probabilities")
    assert Perplexity("logits").suited_to(CrossEntropy()) == Perplexity("logits")
    assert Perplexity().suited_to(MeanSquaredError()) == Perplexity()
    assert TopK(3).suited_to(CrossEntropy()) == TopK(3)


def test_decisions_agree_with_the_loss():
    rng = np.random.default_rng(4)
    for loss, shape in (
        (SoftmaxCrossEntropy(), (50, 3)),
        (SigmoidCrossEntropy(), (50, 1)),
        (BinaryCrossEntropy(), (50,)),
    ):
        y = rng.normal(size=shape).astype(np.float32)
        t = rng.integers(0, shape[-1] if len(shape) > 1 and shape[-1] > 1 else 2, 50)
        share = np.mean(np.asarray(loss.decide(y)) == t)
        assert Accuracy().suited_to(loss)(y, t) == pytest.approx(share, rel=1e-6)


def test_perplexity_of_guessing_evenly_is_the_number_of_classes():
    t = np.arange(8) % 4
    assert value(Perplexity(), np.zeros((8, 4), np.float32), t) == pytest.approx(4, rel=1e-6)
    assert value(Perplexity("probabilities"), np.full((8, 4), 0.25, np.float32), t) == pytest.approx(4, rel=1e-6)
    assert value(Perplexity(), 100 * np.eye(4, dtype=np.float32)[t], t) == 1
    assert value(Perplexity(), 1e4 * np.eye(4, dtype=np.float32)[t], (t + 1) % 4) == math.inf


@pytest.mark.parametrize("t", [np.array([0, 2]), np.array([[1, 0, 0], [0, 0, 1]])], ids=["indices", "one-hot"])
def test_perplexity_of_classes_that_are_excluded(t):
    p = np.array([[0.5, 0.0, 0.5], [0.75, 0.0, 0.25]], np.float32)
    u = np.log(p, where=p > 0, out=np.full_like(p, -np.inf))
    for metric, y in ((Perplexity("probabilities"), p), (Perplexity("logits"), u)):
        assert value(metric, y, t) == pytest.approx(math.sqrt(8), rel=1e-6)


def test_perplexity_is_the_exponential_of_the_loss():
    y, t = example(Perplexity(), 5)
    assert Perplexity()(y, t) == pytest.approx(value(Perplexity(), y, t), rel=1e-6)
    assert value(Perplexity(), y, t) == pytest.approx(math.exp(SoftmaxCrossEntropy()(y, t)), rel=1e-5)


# ---------------------------------------------------------------------------------------- regression


def test_r2_of_the_mean_is_zero_and_of_the_truth_one():
    t = np.array([[1.0], [2.0], [6.0]], np.float32)
    assert value(R2(), t, t) == 1
    assert value(R2(), np.full_like(t, 3), t) == pytest.approx(0, abs=1e-6)
    assert value(R2(), -t, t) < 0


def test_r2_of_constant_targets_is_one_when_they_are_met_and_else_zero():
    for level in (0.0, 5.0, 1234.5):
        t = np.full((1000, 1), level, np.float32)
        assert value(R2(), t, t) == 1
        assert value(R2(), t + 1 + np.abs(t), t) == 0
        assert value(R2(), 1.001 * t + 1e-3, t) == 0  # nearly met is not met
        padding = np.arange(1000) >= 985  # holds what it will, and fills whole batches
        spoilt = np.where(padding[:, None], np.arange(1000.0, dtype=np.float32)[:, None], t)
        assert in_batches(R2(), spoilt, spoilt, 1.0 - padding, 10) == 1
        assert value(R2(center=level), t, t) == 1
    t = np.full((4, 1), 3, np.float32)
    assert [value(R2(), t + np.float32(error), t) for error in (3e-7, 3e-5)] == [1, 0]  # met to a millionth
    t = np.stack([np.arange(4.0), np.ones(4)], axis=-1).astype(np.float32)
    assert value(R2(), t, t) == 1
    assert value(R2(), t + np.array([0, 1], np.float32), t) == 0.5


@pytest.mark.parametrize("level", [-30.0, 500.0, 1e4])
def test_r2_is_as_exact_far_from_zero_as_near_it(level):
    """Σ w t² - (Σ w t)² / Σ w in float32 would be off by 0.05 at 500 standard deviations from 0, and nothing at 1e4."""
    rng = np.random.default_rng(6)
    t = (level + np.sort(rng.normal(size=(2000, 2)), axis=0)).astype(np.float32)  # batches with unlike means
    y = (t + 0.7 * rng.normal(size=t.shape)).astype(np.float32)
    for weight in (np.ones(2000), rng.integers(0, 3, 2000).astype(np.float64)):
        expected = plain(R2(), y.astype(np.float64), t.astype(np.float64), weight)
        for size in (2000, 300):
            assert in_batches(R2(), y, t, weight, size) == pytest.approx(expected, abs=1e-6)
        assert value(R2(center=level), y, t, weight) == pytest.approx(expected, abs=1e-6)


def test_r2_says_when_float32_does_not_hold_the_spread():
    t = (1e6 + np.arange(40.0) % 4)[:, None].astype(np.float32)
    assert math.isnan(value(R2(), t + 1, t))
    assert value(R2(center=1e6), t + 1, t) == pytest.approx(1 - 1 / 1.25)


def test_regression_metrics_take_one_output_without_an_axis():
    y, t = np.array([1.0, 2, 4], np.float32), np.array([1.0, 4, 3], np.float32)
    for metric in (MeanAbsoluteError(), RootMeanSquaredError(), R2()):
        assert value(metric, y, t) == pytest.approx(value(metric, y[:, None], t[:, None]))
    assert value(MeanAbsoluteError(), y, t) == 1
    assert value(RootMeanSquaredError(), y, t) == pytest.approx(math.sqrt(5 / 3))


# ---------------------------------------------------------------------------- errors and descriptions

y34, t3, f3 = jnp.zeros((3, 4)), jnp.zeros(3, jnp.int32), jnp.zeros(3)


@pytest.mark.parametrize(
    ("metric", "y", "t", "w", "error"),
    [
        (Accuracy(), y34, f3, None, DataError),
        (Accuracy(), y34, t3[:, None], None, ShapeError),
        (Accuracy(), y34[:, :1], f3, None, ShapeError),
        (Accuracy(), f3, y34[:, :1], None, ShapeError),
        (Accuracy(), y34, t3, y34, ShapeError),
        (TopK(2), f3, t3, None, ShapeError),
        (TopK(5), y34, t3, None, ShapeError),
        (Perplexity(), y34, f3, None, DataError),
        (ConfusionMatrix(), y34, t3, jnp.ones((3, 1)), ShapeError),
        (MeanAbsoluteError(), y34[:, :1], f3, None, ShapeError),
        (RootMeanSquaredError(), f3, y34[:, :1], None, ShapeError),
        (R2(), y34, y34[:1], None, ShapeError),
        (R2(), y34, y34, y34, ShapeError),
        (MeanAbsoluteError(), t3, t3, None, DataError),
    ],
)
def test_what_does_not_fit_is_refused_while_tracing(metric, y, t, w, error):
    with pytest.raises(error, match=type(metric).__name__):
        jax.eval_shape(metric.measure, y, t, w)


@pytest.mark.parametrize("metric", [Accuracy(), TopK(2), Perplexity(), ConfusionMatrix()])
@pytest.mark.parametrize("bad", [-1, 3])
def test_an_index_that_is_no_class_is_refused_but_where_its_weight_is_zero(metric, bad):
    """Perplexity had taken it for a class of probability 1."""
    y, t = np.zeros((3, 3), np.float32), np.array([0, bad, 2])
    with pytest.raises(DataError, match=rf"class indices 0 to 2, but target \(1,\) is {bad}"):
        metric(y, t)
    np.testing.assert_array_equal(metric(y, t, np.array([1.0, 0.0, 1.0])), metric(y[[0, 2]], t[[0, 2]]))


@pytest.mark.parametrize("metric", [Accuracy(), ConfusionMatrix()])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_single_output_has_the_classes_0_and_1(metric, shape):
    for t in (np.array([0, 2, 1]), np.array([-1, 1, 1])):
        with pytest.raises(DataError, match="class indices 0 to 1"):
            metric(np.zeros(shape, np.float32), t)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("metric", [Accuracy(), MeanAbsoluteError(), R2()])
def test_weights_that_mean_nothing_are_refused(metric, weight):
    y = np.zeros((3, 2), np.float32)
    t = np.array([0, 1, 1]) if metric == Accuracy() else np.ones((3, 2), np.float32)
    with pytest.raises(DataError, match="sample_weight must be finite and not negative"):
        metric(y, t, np.array([1.0, weight, 1.0]))


def test_a_sequence_may_be_padded_with_anything():
    y, t = np.zeros((2, 3, 4), np.float32), np.array([[0, 0, -1], [0, 1, 2]])
    with pytest.raises(DataError, match=r"target \(0, 2\) is -1"):
        ExactMatch()(y, t)
    assert ExactMatch()(y, t, np.array([[1, 1, 0], [1, 1, 1]])) == 0.5


@pytest.mark.parametrize("make", [lambda: TopK(0), lambda: TopK(2.5), lambda: Perplexity("values")])
def test_bad_options_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_names_in_logs_and_directions():
    assert [(metric.name, metric.higher_is_better) for metric in (*ALL[:5], R2(), Perplexity(), ConfusionMatrix())] == [
        ("accuracy", True),
        ("accuracy", True),
        ("top_2", True),
        ("mean_absolute_error", False),
        ("root_mean_squared_error", False),
        ("r2", True),
        ("perplexity", False),
        ("confusion_matrix", None),
    ]


@pytest.mark.parametrize("metric", ALL, ids=repr)
def test_descriptions_print_and_come_back(metric):
    assert eval(repr(metric)) == metric
    assert from_config(to_config(metric), Metric) == metric


def test_all_metrics_are_here():
    own = {name for name, cls in registered(Metric).items() if cls.__module__.startswith("denpa.")}
    assert {type(metric).__name__ for metric in (*ALL, ExactMatch())} == own  # ExactMatch wants sequences: tested apart

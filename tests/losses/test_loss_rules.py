"""What all losses promise: targets, weights, dtypes, extremes, decisions, errors."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denpa.core.description import from_config, registered, to_config
from denpa.core.errors import ConfigError
from denpa.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    PerceptronLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)

CATEGORICAL = [
    CrossEntropy(),
    SoftmaxCrossEntropy(),
    SoftmaxCrossEntropy((1.0, 0.5, 2.0, 3.0), 0.2, "sum"),
    CrossEntropy((1.0, 0.5, 2.0, 3.0), 0.2),
]
ALL = [MeanSquaredError(), MeanSquaredError(half=False), BinaryCrossEntropy(), SigmoidCrossEntropy()]
ALL += [PerceptronLoss(), *CATEGORICAL]
seeds = st.integers(0, 2**32 - 1)


def example(loss, seed=0, batch=6):
    """Outputs and targets (6, 4) that suit the loss."""
    rng = np.random.default_rng(seed)
    u, labels = 2 * rng.normal(size=(batch, 4)), rng.integers(0, 4, batch)
    if isinstance(loss, MeanSquaredError):
        return u.astype(np.float32), rng.normal(size=(batch, 4)).astype(np.float32)
    one_hot = np.eye(4, dtype=np.float32)[labels]
    if loss.expects == "logits":
        return u.astype(np.float32), one_hot
    p = np.exp(u) / np.exp(u).sum(axis=-1, keepdims=True)
    return p.astype(np.float32), one_hot


@jax.jit(static_argnums=0)
def compiled(loss, y, t, w):
    return loss.value(y, t, w), loss.delta(y, t, w), loss.sums(y, t, w)


def run(loss, y, t, w=None):
    """Value and delta: one program per loss and shapes, for single operations take longer to compile."""
    value, delta, _ = compiled(loss, y, t, w)
    return np.asarray(value), np.asarray(delta)


def value(loss, y, t, w=None):
    return run(loss, y, t, w)[0]


def delta(loss, y, t, w=None):
    return run(loss, y, t, w)[1]


# ------------------------------------------------------------------------------------------ formulas


def test_values_by_hand():
    y, t = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32), np.array([[0.0, 2.0], [1.0, 1.0]], np.float32)
    assert float(value(MeanSquaredError(), y, t)) == (1 + 20) / 2 / 2  # N = 2, not N K = 4
    assert float(value(MeanSquaredError(half=False), y, t)) == 21 / 4
    assert float(value(MeanSquaredError(half=False, reduction="sum"), y, t)) == 21
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32)
    np.testing.assert_allclose(value(CrossEntropy(), p, np.array([1, 2])), -(np.log(0.25) + np.log(0.7)) / 2, rtol=1e-6)
    np.testing.assert_allclose(
        value(BinaryCrossEntropy(), p[:, :1], np.array([1, 0])), -(np.log(0.5) + np.log(0.9)) / 2, rtol=1e-6
    )
    np.testing.assert_allclose(
        value(SigmoidCrossEntropy(), np.zeros((2, 3), np.float32), np.ones((2, 3))), 3 * np.log(2)
    )


@given(seed=seeds)
def test_against_scipy(seed):
    from scipy.special import log_expit, log_softmax, xlogy

    u, t = example(SoftmaxCrossEntropy(), seed)
    e, _ = run(SoftmaxCrossEntropy(), u, t)
    np.testing.assert_allclose(e, -np.sum(t * log_softmax(u.astype(np.float64), axis=-1)) / 6, rtol=2e-6)
    e, _ = run(SigmoidCrossEntropy(), u, t)
    u = u.astype(np.float64)
    np.testing.assert_allclose(e, -np.sum(t * log_expit(u) + (1 - t) * log_expit(-u)) / 6, rtol=2e-6)
    p, t = example(BinaryCrossEntropy(), seed)
    e, _ = run(BinaryCrossEntropy(), p, t)
    p = p.astype(np.float64)
    np.testing.assert_allclose(e, -np.sum(xlogy(t, p) + xlogy(1 - t, 1 - p)) / 6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("class_weight", [None, (1.0, 0.5, 2.0, 3.0)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_onnx(class_weight, reduction):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    u, one_hot = example(SoftmaxCrossEntropy(), 3)
    labels = one_hot.argmax(axis=-1)
    inputs = ["u", "t"] if class_weight is None else ["u", "t", "w"]
    node = onnx.helper.make_node("SoftmaxCrossEntropyLoss", inputs, ["e"], reduction=reduction)
    given = {"u": u, "t": labels, "w": np.asarray(class_weight or [0], np.float32)}
    (expected,) = ReferenceEvaluator(node).run(None, {name: given[name] for name in inputs})
    np.testing.assert_allclose(SoftmaxCrossEntropy(class_weight, reduction=reduction)(u, labels), expected, rtol=1e-5)


# ------------------------------------------------------------------------------------------- targets


@given(seed=seeds)
@pytest.mark.parametrize("loss", CATEGORICAL, ids=repr)
def test_class_indices_are_one_hot_targets(loss, seed):
    y, one_hot = example(loss, seed)
    for a, b in zip(run(loss, y, one_hot.argmax(axis=-1)), run(loss, y, one_hot), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_small_integers_can_be_class_indices(dtype):
    """300 classes do not fit uint8: the comparison must not wrap."""
    y = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    t = np.array([4, 250]).astype(dtype)
    if dtype == np.int16:
        t[1] = 299
    expected = -np.mean([y[n, t[n]] - np.log(np.exp(y[n]).sum()) for n in range(2)])
    np.testing.assert_allclose(value(SoftmaxCrossEntropy(), y, t), expected, rtol=1e-6)


def test_an_index_outside_the_classes_has_no_error_and_no_delta():
    y, one_hot = example(SoftmaxCrossEntropy())
    t = one_hot.argmax(axis=-1)
    t[[2, 4]] = -100, 4
    for loss in CATEGORICAL:
        dy = delta(loss, y if loss.expects == "logits" else np.abs(y) + 0.1, t)
        assert (dy[[2, 4]] == 0).all()
        assert (dy[1] != 0).any()


@pytest.mark.parametrize("loss", [SigmoidCrossEntropy(), BinaryCrossEntropy()], ids=repr)
def test_single_outputs_take_targets_in_three_shapes(loss):
    y, t = np.array([0.2, 0.9, 0.6], np.float32), np.array([1, 0, 1])
    flat = value(loss, y, t)
    for other in (t, t == 1, t[:, None].astype(np.float32)):
        np.testing.assert_array_equal(value(loss, y[:, None], other), flat)
    np.testing.assert_array_equal(delta(loss, y[:, None], t)[:, 0], delta(loss, y, t))


def test_label_smoothing_spreads_the_target():
    y, one_hot = example(SoftmaxCrossEntropy())
    smoothed = 0.8 * one_hot + 0.2 / 4
    for loss in (SoftmaxCrossEntropy(), CrossEntropy()):
        y = y if loss.expects == "logits" else np.asarray(jax.nn.softmax(y))
        np.testing.assert_allclose(
            value(loss.replace(label_smoothing=0.2), y, one_hot), value(loss, y, smoothed), rtol=1e-6
        )


# ------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("loss", ALL, ids=repr)
class TestWeights:
    @given(seed=seeds)
    def test_whole_weights_are_repetitions(self, loss, seed):
        y, t = example(loss, seed)
        counts = np.array([0, 2, 1, 0, 1, 2])  # 6 in all: the shapes stay the same
        e, dy = run(loss, y, t, counts.astype(np.float32))
        repeated, delta_repeated = run(loss, np.repeat(y, counts, axis=0), np.repeat(t, counts, axis=0))
        np.testing.assert_allclose(e, repeated, rtol=1e-5)
        expected = np.zeros_like(dy)
        np.add.at(expected, np.repeat(np.arange(6), counts), delta_repeated)
        np.testing.assert_allclose(dy, expected, rtol=1e-5, atol=1e-7)

    def test_weights_of_one_change_nothing(self, loss):
        y, t = example(loss)
        for w in (np.ones(6, np.float32), np.ones(6, bool)):
            for a, b in zip(run(loss, y, t, w), run(loss, y, t), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)

    def test_the_mean_ignores_the_scale_of_weights(self, loss):
        y, t = example(loss)
        w = np.array([0.5, 1, 2, 3, 0, 1], np.float32)
        factor = 1 if loss.reduction == "mean" else 8
        for a, b in zip(run(loss, y, t, 8 * w), run(loss, y, t, w), strict=True):
            np.testing.assert_allclose(a, factor * b, rtol=1e-6)

    def test_no_weight_at_all_gives_zero(self, loss):
        y, t = example(loss)
        e, dy = run(loss, y, t, np.zeros(6, np.float32))
        assert e == 0
        np.testing.assert_array_equal(dy, np.zeros_like(y))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_what_weighs_nothing_may_be_anything(self, loss, bad):
        y, t = example(loss)
        w = np.array([1, 1, 0, 2, 1, 1], np.float32)
        clean = run(loss, y, t, w)
        y[2] = bad
        for a, b in zip(run(loss, y, t, w), clean, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_sums_add_up_over_batches(self, loss):
        y, t = example(loss)
        w = np.array([1, 0.5, 0, 2, 1, 3], np.float32)
        parts = [compiled(loss, y[part], t[part], w[part])[2] for part in (slice(0, 3), slice(3, 6))]
        whole = compiled(loss, y, t, w)[2]
        np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=1e-6)


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SigmoidCrossEntropy(), MeanSquaredError(half=False)], ids=repr)
def test_a_mask_over_time_takes_the_padded_steps_out(loss):
    rng = np.random.default_rng(5)
    y, lengths = rng.normal(size=(3, 4, 5)).astype(np.float32), np.array([4, 1, 2])
    mask = np.arange(4) < lengths[:, None]
    t = rng.integers(0, 2, (3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(value(loss, y, t, mask), value(loss, y[mask], t[mask]), rtol=1e-6)
    dy = delta(loss, y, t, mask)
    np.testing.assert_allclose(dy[mask], delta(loss, y[mask], t[mask]), rtol=1e-6)
    assert (dy[~mask] == 0).all()


def test_a_mask_over_time_leaves_half_the_squared_norm_a_mean_over_samples():
    """½ mean over the sequences of ‖error‖², padded steps out of the norm, empty sequences out of the mean."""
    rng = np.random.default_rng(6)
    y, t = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    lengths = np.array([4, 1, 0, 3])
    squares = [0.5 * np.sum((y[n, :length] - t[n, :length]) ** 2) for n, length in enumerate(lengths)]
    mask = np.arange(4) < lengths[:, None]
    np.testing.assert_allclose(value(MeanSquaredError(), y, t, mask), np.sum(squares) / 3, rtol=1e-6)
    w = np.array([1, 2, 3, 0.5], np.float32)
    both = value(MeanSquaredError(), y, t, mask * w[:, None])
    np.testing.assert_allclose(both, np.sum(w * squares) / (1 + 2 + 0.5), rtol=1e-6)


def test_one_weight_per_sequence_counts_for_all_its_steps():
    rng = np.random.default_rng(7)
    y, t = rng.normal(size=(3, 4, 5)).astype(np.float32), rng.integers(0, 5, (3, 4))
    w = np.array([1, 0, 2.5], np.float32)
    steps = np.repeat(w[:, None], 4, axis=1)
    for a, b in ((y, t), (y, np.eye(5)[t])):
        np.testing.assert_allclose(
            value(SoftmaxCrossEntropy(), a, b, w), value(SoftmaxCrossEntropy(), a, b, steps), rtol=1e-6
        )


# -------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_bfloat16_is_raised_inside_and_kept_outside(loss):
    y, t = example(loss)
    low = jnp.asarray(y, jnp.bfloat16)
    e, dy, _ = compiled(loss, low, t, None)
    assert e.dtype == jnp.float32
    assert dy.dtype == jnp.bfloat16
    expected, expected_delta = run(loss, np.asarray(low.astype(jnp.float32)), t)
    np.testing.assert_allclose(e, expected, rtol=1e-6)
    np.testing.assert_allclose(dy.astype(jnp.float32), expected_delta, rtol=2**-7, atol=1e-6)


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_extreme_outputs_stay_finite(loss):
    _, t = example(loss)
    ends = np.tile(np.array([1e4, -1e4, 1e4, 0], np.float32), (6, 1))
    if loss.expects == "probabilities":
        ends = np.tile(np.array([1, 0, 0, 1], np.float32), (6, 1))
    e, dy = run(loss, ends, t)
    assert np.isfinite(e)
    assert np.isfinite(dy).all()


def test_a_hopeless_logit_keeps_its_full_delta_and_error():
    y = np.array([[1e4, 0, 0]], np.float32)
    assert float(value(SoftmaxCrossEntropy(), y, np.array([1]))) == 1e4
    np.testing.assert_array_equal(delta(SoftmaxCrossEntropy(), y, np.array([1])), [[1, -1, 0]])
    assert float(value(SigmoidCrossEntropy(), -y[:, 0], np.array([1.0]))) == 1e4


@pytest.mark.parametrize("u", [5.0, 20.0, 60.0])
def test_a_sure_logit_keeps_its_small_error(u):
    """log(1 + e^-u) of a target that is met: not 0, though 1 + e^-20 is 1 in float32."""
    y = np.array([[u], [-u]], np.float32)
    np.testing.assert_allclose(value(SigmoidCrossEntropy(), y, np.array([1, 0])), np.log1p(np.exp(-u)), rtol=1e-5)


def test_a_hopeless_probability_still_reaches_the_logits():
    """p = 1e-11 for the true class: the delta on p, through softmax's derivative, is p - t all the same."""
    u = np.array([[25.0, 0.0]], np.float32)
    p = np.asarray(jax.nn.softmax(u))
    dy = np.asarray(delta(CrossEntropy(), p, np.array([1])))
    dx = p * (dy - np.sum(dy * p, axis=-1, keepdims=True))
    np.testing.assert_allclose(dx, [[1, -1]], rtol=1e-5)


def test_a_probability_beyond_float32_teaches_nothing_as_the_documentation_says():
    """σ(17) is 1 in float32, and softmax outputs below 1e-12 count as that; on logits the delta is still 1."""
    u = np.array([[17.0]], np.float32)
    p = np.asarray(jax.nn.sigmoid(u))
    assert (delta(BinaryCrossEntropy(), p, np.array([0])) * p * (1 - p)) == 0
    np.testing.assert_allclose(delta(SigmoidCrossEntropy(), u, np.array([0])), 1, rtol=1e-6)
    p = np.asarray(jax.nn.softmax(np.array([[40.0, 0.0]], np.float32)))
    dy = np.asarray(delta(CrossEntropy(), p, np.array([1])))
    assert np.abs(p * (dy - np.sum(dy * p, axis=-1, keepdims=True))).max() < 1e-4


def test_an_excluded_class_costs_nothing():
    y = np.array([[0.5, -np.inf, 1.0], [0.1, 0.2, -np.inf]], np.float32)
    t = np.array([2, 0])
    expected = np.mean([np.log1p(np.exp(-0.5)), np.log1p(np.exp(0.1))])
    one_hot = np.eye(3, dtype=np.float32)[t]
    for targets in (t, one_hot):
        e, dy = run(SoftmaxCrossEntropy(), y, targets)
        np.testing.assert_allclose(e, expected, rtol=1e-6)
        np.testing.assert_allclose(dy, (np.exp(y) / np.exp(y).sum(axis=-1, keepdims=True) - one_hot) / 2, rtol=1e-5)
        assert dy[0, 1] == dy[1, 2] == 0


# ----------------------------------------------------------------------------------------- decisions


def test_decisions_take_the_largest_and_the_first_of_equals():
    y = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0], [-1.0, -5.0, -0.5]], np.float32)
    for loss in (SoftmaxCrossEntropy(), CrossEntropy(), MeanSquaredError()):
        np.testing.assert_array_equal(loss.decide(y), [1, 0, 2])
    np.testing.assert_array_equal(SoftmaxCrossEntropy().decide(np.stack([y, -y])), [[1, 0, 2], [0, 1, 1]])


@pytest.mark.parametrize(
    ("loss", "at"),
    [(SigmoidCrossEntropy(), 0.0), (PerceptronLoss(), 0.0), (BinaryCrossEntropy(), 0.5), (MeanSquaredError(), 0.5)],
    ids=str,
)
def test_a_single_output_decides_at_the_threshold_and_a_tie_is_class_0(loss, at):
    assert loss.threshold == at
    y = np.float32(at) + np.array([-0.25, 0, 0.25], np.float32)
    np.testing.assert_array_equal(loss.decide(y), [0, 0, 1])
    np.testing.assert_array_equal(loss.decide(y[:, None]), [0, 0, 1])
    if not isinstance(loss, MeanSquaredError):
        np.testing.assert_array_equal(loss.decide(np.stack([y, y[::-1]], axis=-1)), [[0, 1], [0, 0], [1, 0]])


def test_probabilities():
    u = np.array([[0.5, -1.0, 2.0]], np.float32)
    np.testing.assert_allclose(SoftmaxCrossEntropy().probabilities(u), np.exp(u) / np.exp(u).sum(), rtol=1e-6)
    np.testing.assert_allclose(SigmoidCrossEntropy().probabilities(u), 1 / (1 + np.exp(-u)), rtol=1e-6)
    around = np.array([-0.5, 0, 0.5], np.float32)  # step(0) = 0, in the delta too
    np.testing.assert_array_equal(PerceptronLoss().probabilities(around), [0, 0, 1])
    np.testing.assert_array_equal(PerceptronLoss("sum").delta(around, np.ones(3)), [-1, -1, 0])
    for loss in (CrossEntropy(), BinaryCrossEntropy()):
        np.testing.assert_array_equal(loss.probabilities(u), u)
    with pytest.raises(ConfigError, match="values"):
        MeanSquaredError().probabilities(u)


# -------------------------------------------------------------------------------------- descriptions


def test_all_losses_are_here():
    own = {name for name, cls in registered(Loss).items() if cls.__module__.startswith("denpa.")}
    assert {type(loss).__name__ for loss in ALL} == own


@pytest.mark.parametrize("loss", ALL, ids=repr)
def test_descriptions_print_and_come_back(loss):
    assert eval(repr(loss)) == loss
    assert from_config(to_config(loss), Loss) == loss
    assert hash(loss) == hash(dataclasses.replace(loss))


def test_a_loss_of_ones_own_needs_two_formulas():
    @dataclasses.dataclass(frozen=True)
    class Quartic(Loss):
        reduction: str = "mean"

        def per_item(self, y, t):
            return jnp.sum((y - t) ** 4, axis=-1)

        def per_item_delta(self, y, t):
            return 4 * (y - t) ** 3

    rng = np.random.default_rng(1)
    y, t = rng.normal(size=(2, 5, 3)).astype(np.float32)
    w = np.array([1, 0, 2, 3, 1], np.float32)
    np.testing.assert_allclose(value(Quartic(), y, t, w), np.sum(w * ((y - t) ** 4).sum(-1)) / 7, rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda y: Quartic()(y, t, w)))(y)
    np.testing.assert_allclose(delta(Quartic(), y, t, w), gradient, rtol=1e-5, atol=1e-7)

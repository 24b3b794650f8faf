"""Every delta against two oracles in float64: central differences and jax.grad of the value."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    PerceptronLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)

BATCH, TIME, CLASSES = 4, 3, 5
CLASS_WEIGHT = (0.5, 2.0, 0.0, 1.5, 1.0)


def softmax(u):
    powers = np.exp(u - u.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def outputs(loss, rng):
    u = rng.normal(size=(BATCH, TIME, CLASSES))
    if isinstance(loss, CrossEntropy):
        return softmax(u)
    if isinstance(loss, BinaryCrossEntropy):
        return 1 / (1 + np.exp(-u))
    return u


def targets(kind, rng):
    return {
        "index": lambda: rng.integers(0, CLASSES, (BATCH, TIME)),
        "distribution": lambda: rng.dirichlet(np.ones(CLASSES), (BATCH, TIME)),
        "unnormalised": lambda: rng.uniform(0, 2, (BATCH, TIME, CLASSES)),
        "bits": lambda: rng.integers(0, 2, (BATCH, TIME, CLASSES)),
        "probabilities": lambda: rng.uniform(0, 1, (BATCH, TIME, CLASSES)),
        "values": lambda: rng.normal(size=(BATCH, TIME, CLASSES)),
    }[kind]()


def weights(kind, rng):
    if kind == "mask":
        return np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]], bool)
    return rng.uniform(0.2, 3, BATCH)


CASES = [
    (loss, kind)
    for losses, kinds in [
        ((MeanSquaredError(), MeanSquaredError(half=False)), ("values",)),
        ((BinaryCrossEntropy(), SigmoidCrossEntropy()), ("bits", "probabilities")),
        ((PerceptronLoss(),), ("bits",)),
        ((CrossEntropy(), SoftmaxCrossEntropy()), ("index", "distribution", "unnormalised")),
        (
            (
                CrossEntropy(CLASS_WEIGHT, label_smoothing=0.3),
                SoftmaxCrossEntropy(CLASS_WEIGHT, label_smoothing=0.3),
            ),
            ("index", "unnormalised"),
        ),
    ]
    for loss in losses
    for kind in kinds
]


@pytest.mark.parametrize("weighting", ["samples", "mask"])
@pytest.mark.parametrize(("loss", "kind"), CASES, ids=lambda value: str(value))
def test_delta_is_the_derivative_of_the_value(loss, kind, weighting):
    rng = np.random.default_rng(7)
    with jax.enable_x64(True):
        y, t, w = outputs(loss, rng), targets(kind, rng), weights(weighting, rng)
        # "sum" differs by the divisor alone, which no output enters; the mean is the harder case
        epsilon = 1e-5
        steps = epsilon * np.eye(y.size).reshape(-1, *y.shape)

        @jax.jit
        def run(y, shifted):
            def value(y):
                return loss.value(y, t, w)

            return loss.delta(y, t, w), jax.grad(value)(y), jax.vmap(value)(shifted)

        delta, gradient, shifted = map(np.asarray, run(y, np.concatenate([y + steps, y - steps])))
        scale = np.abs(delta).max()
        np.testing.assert_allclose(delta, gradient, rtol=1e-11, atol=1e-13 * scale)
        numerical = (shifted[: y.size] - shifted[y.size :]).reshape(y.shape) / (2 * epsilon)
        np.testing.assert_allclose(delta, numerical, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize(("loss", "kind"), CASES, ids=lambda value: str(value))
def test_sum_is_the_mean_times_what_the_mean_divides_by(loss, kind):
    rng = np.random.default_rng(8)
    with jax.enable_x64(True):
        y, t, w = outputs(loss, rng), targets(kind, rng), weights("samples", rng)
        summed = loss.replace(reduction="sum")

        @jax.jit
        def run(y):
            return loss.sums(y, t, w), [(of.value(y, t, w), of.delta(y, t, w)) for of in (summed, loss)]

        (total, divisor), (sums, means) = run(y)
        np.testing.assert_allclose(sums[0], total, rtol=1e-13)
        np.testing.assert_allclose(means[0], total / divisor, rtol=1e-13)
        np.testing.assert_allclose(sums[1], means[1] * divisor, rtol=1e-12)
        expected = w.sum() * TIME
        if isinstance(loss, MeanSquaredError):
            expected = w.sum() if loss.half else w.sum() * TIME * CLASSES
        if getattr(loss, "class_weight", None):
            one_hot = np.eye(CLASSES)[t] if kind == "index" else t
            expected = np.sum(w[:, None] * (one_hot * CLASS_WEIGHT).sum(-1))
        np.testing.assert_allclose(divisor, expected, rtol=1e-13)


def test_the_derivative_of_sigmoid_cross_entropy_where_weights_of_zero_begin():
    u, t = jnp.zeros((2, 1)), np.array([0, 1])
    np.testing.assert_array_equal(jax.grad(lambda u: SigmoidCrossEntropy().value(u, t))(u), [[0.25], [-0.25]])
    np.testing.assert_array_equal(SigmoidCrossEntropy().delta(u, t), [[0.25], [-0.25]])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_sigmoid_below_gives_output_minus_target(smoothing):
    """The delta on probabilities, times σ' = p (1 - p), is the delta on logits: p - t."""
    rng = np.random.default_rng(9)
    with jax.enable_x64(True):
        u, t = rng.normal(size=(6, 3)), rng.integers(0, 2, (6, 3)) * (1 - smoothing) + smoothing / 2
        p = 1 / (1 + np.exp(-u))
        on_logits = SigmoidCrossEntropy().delta(u, t)
        np.testing.assert_allclose(on_logits, (p - t) / 6, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(BinaryCrossEntropy().delta(p, t) * p * (1 - p), on_logits, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("total", [1.0, 1.7])
def test_softmax_below_gives_output_times_total_minus_target(total):
    """δ_k = Σ_r (∂E/∂p_r) (∂p_r/∂u_k) with ∂p_r/∂u_k = p_r ([r = k] - p_k) is p_k Σ_r t_r - t_k."""
    rng = np.random.default_rng(10)
    with jax.enable_x64(True):
        u, t = rng.normal(size=(6, 4)), total * rng.dirichlet(np.ones(4), 6)
        p = softmax(u)
        jacobian = p[:, :, None] * (np.eye(4) - p[:, None, :])
        through = np.einsum("nr,nrk->nk", CrossEntropy().delta(p, t), jacobian)
        np.testing.assert_allclose(through, (p * total - t) / 6, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(SoftmaxCrossEntropy().delta(u, t), through, rtol=1e-12, atol=1e-15)


def test_the_three_matched_pairs_have_one_delta():
    """(identity, ½ squared error), (sigmoid, binary CE), (softmax, CE): output minus target, over N."""
    rng = np.random.default_rng(11)
    u, t = rng.normal(size=(6, 4)).astype(np.float32), np.eye(4, dtype=np.float32)[rng.integers(0, 4, 6)]
    pairs = [
        (MeanSquaredError(), u),
        (SigmoidCrossEntropy(), 1 / (1 + np.exp(-u))),
        (SoftmaxCrossEntropy(), softmax(u)),
    ]
    for loss, output in pairs:
        np.testing.assert_allclose(loss.delta(u, t), (output - t) / 6, rtol=1e-5, atol=1e-7)


class TestCrossEntropyOfIndependentOutputs:
    """-Σ t log z over independent sigmoid outputs z: a loss that cannot separate two classes."""

    u = np.array([[0.3, -1.2], [0.8, 0.4]])
    t = np.array([[1.0, 0.0], [0.0, 1.0]])

    def test_its_gradient_is_not_that_of_the_squared_error(self):
        """dE/dz = z - t, followed by σ', is the squared error's; -t/z followed by σ' is the true one."""
        with jax.enable_x64(True):
            z = 1 / (1 + np.exp(-self.u))
            loss = CrossEntropy(reduction="sum")
            true = jax.grad(lambda u: loss.value(jax.nn.sigmoid(u), self.t))(jnp.asarray(self.u))
            slope = z * (1 - z)
            np.testing.assert_allclose(loss.delta(z, self.t) * slope, true, rtol=1e-12)
            printed = (z - self.t) * slope
            assert np.abs(printed - true).max() > 0.1
            squared = MeanSquaredError(reduction="sum").delta(z, self.t) * slope
            np.testing.assert_allclose(squared, printed, rtol=1e-12)

    @staticmethod
    def descend(loss, t, steps=20000):
        """Two inputs and a bias, two independent sigmoid outputs, gradient descent from small weights."""
        x = jnp.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])

        def step(W, _):
            z = jax.nn.sigmoid(x @ W)
            return W - 1.0 * x.T @ (loss.delta(z, t) * z * (1 - z)), None

        W, _ = jax.lax.scan(step, jnp.array([[0.1, -0.2], [0.05, 0.15], [-0.1, 0.2]]), length=steps)
        return np.asarray(jax.nn.sigmoid(x @ W))

    def test_it_is_least_with_all_outputs_at_one(self):
        with jax.enable_x64(True):
            for t in (self.t, self.t[::-1], np.ones((2, 2))):
                assert float(CrossEntropy().value(np.ones((2, 2)), t)) == 0
            assert (self.descend(CrossEntropy(), self.t) > 0.98).all()  # for both inputs, whatever their class

    @pytest.mark.parametrize("loss", [BinaryCrossEntropy(), MeanSquaredError()], ids=repr)
    def test_binary_cross_entropy_and_squared_error_separate(self, loss):
        with jax.enable_x64(True):
            z = self.descend(loss, self.t)
            assert (np.abs(z - self.t) < 0.01).all()


def test_two_classes_by_softmax_are_one_output_by_sigmoid():
    """softmax of (u, 0) is (σ(u), 1 - σ(u)): multinomial and logistic regression agree for K = 2."""
    u = np.linspace(-4, 4, 9, dtype=np.float32)
    t = np.arange(9) % 2
    both = np.stack([u, np.zeros_like(u)], axis=-1)
    np.testing.assert_allclose(SoftmaxCrossEntropy()(both, 1 - t), SigmoidCrossEntropy()(u, t), rtol=1e-6)
    delta = SoftmaxCrossEntropy().delta(both, 1 - t)
    np.testing.assert_allclose(delta[:, 0], SigmoidCrossEntropy().delta(u, t), atol=1e-7)
    np.testing.assert_allclose(delta[:, 1], -delta[:, 0], atol=1e-7)

"""What losses refuse: shapes and dtypes while tracing, targets on the host, options."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core.errors import ConfigError, DataError, ShapeError
from denpa.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    PerceptronLoss,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)

y34, t3, f3 = jnp.zeros((3, 4)), jnp.zeros(3, jnp.int32), jnp.zeros(3)


@pytest.mark.parametrize(
    ("loss", "y", "t", "w", "error", "says"),
    [
        (MeanSquaredError(), y34[:, :1], f3, None, ShapeError, r"\(3, 1\), but got \(3,\).*t\[\.\.\., None\]"),
        (MeanSquaredError(), f3, y34[:, :1], None, ShapeError, r"t\[\.\.\., 0\]"),
        (MeanSquaredError(), y34, y34[:1], None, ShapeError, r"\(1, 4\)"),
        (MeanSquaredError(), y34, y34, jnp.ones((3, 1)), ShapeError, r"sample weights .*\(3, 1\)"),
        (MeanSquaredError(), y34, y34, jnp.ones(()), ShapeError, "sample weights"),
        (MeanSquaredError(), jnp.float32(1), jnp.float32(1), None, ShapeError, "batch axis"),
        (MeanSquaredError(), t3, t3, None, DataError, "floating-point"),
        (SigmoidCrossEntropy(), y34[:, :1], f3, None, ShapeError, r"t\[\.\.\., None\]"),
        (SigmoidCrossEntropy(), y34, t3, None, ShapeError, r"\(3,\)"),
        (BinaryCrossEntropy(), f3, y34[:, :1], None, ShapeError, r"t\[\.\.\., 0\]"),
        (SigmoidCrossEntropy(), y34, y34, y34, ShapeError, r"of shape \(3,\), but got \(3, 4\)"),
        (SoftmaxCrossEntropy(), y34, f3, None, DataError, r"integers.*float32.*astype\(int\)"),
        (SoftmaxCrossEntropy(), y34, t3 == 0, None, DataError, "bool"),
        (SoftmaxCrossEntropy(), y34, t3[:, None], None, ShapeError, r"Drop the last axis"),
        (SoftmaxCrossEntropy(), y34, y34[:, :3], None, ShapeError, "4 classes"),
        (SoftmaxCrossEntropy(), y34, t3[:2], None, ShapeError, r"\(2,\)"),
        (SoftmaxCrossEntropy(), y34[:, :1], t3, None, ShapeError, "one output per class"),
        (SoftmaxCrossEntropy(), f3, t3, None, ShapeError, "batch axis"),
        (SoftmaxCrossEntropy(), y34, t3, jnp.ones(4), ShapeError, "sample weights"),
        (SoftmaxCrossEntropy((1, 2, 3)), y34, t3, None, ShapeError, "3 class weights for 4"),
        (CrossEntropy(), y34, f3, None, DataError, "integers"),
    ],
)
def test_what_does_not_fit_is_refused_while_tracing(loss, y, t, w, error, says):
    """Abstract arrays have no values: whatever speaks here, speaks before anything is compiled."""
    for method in (loss.value, loss.delta, loss):
        with pytest.raises(error, match=says):
            jax.eval_shape(method, y, t, w)


@pytest.mark.parametrize("loss", [MeanSquaredError(), MeanSquaredError(reduction="sum")])
@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_that_cannot_be_are_refused(loss, weight):
    for method in (loss.value, loss.delta, loss):
        with pytest.raises(DataError, match="sample_weight must be finite and not negative"):
            method(y34, y34, jnp.array([1.0, weight, 1.0]))


@pytest.mark.parametrize(
    ("loss", "t", "out_shape", "error", "says"),
    [
        (SoftmaxCrossEntropy(), np.array([0, 3, 4, 9]), (4,), DataError, r"0 to 3, but target \(2,\) is 4"),
        (SoftmaxCrossEntropy(), np.array([[0, -1]]), (2, 4), DataError, r"target \(0, 1\) is -1"),
        (CrossEntropy(), np.array([[0.2, -0.1, 0.9]]), (3,), DataError, r">= 0"),
        (CrossEntropy(), np.array([[0.2, np.nan, 0.9]]), (3,), DataError, "finite"),
        (SigmoidCrossEntropy(), np.array([0, 1, 2]), (1,), DataError, "between 0 and 1.*is 2"),
        (BinaryCrossEntropy(), np.array([[0.5, -0.5]]), (2,), DataError, "between 0 and 1.*is -0.5"),
        (PerceptronLoss(), np.array([0, 1, 2]), (1,), DataError, "between 0 and 1.*is 2"),
        (PerceptronLoss(), np.array([[0.5, -0.5]]), (2,), DataError, "between 0 and 1.*is -0.5"),
        (MeanSquaredError(), np.array([[1.0], [np.inf]]), (1,), DataError, r"\(1, 0\) is inf"),
        (MeanSquaredError(), np.array([1.0, 2.0]), (1,), ShapeError, "None"),
        (SoftmaxCrossEntropy(), np.array([1.0, 2.0]), (3,), DataError, "integers"),
    ],
)
def test_targets_are_checked_on_the_host(loss, t, out_shape, error, says):
    with pytest.raises(error, match=says):
        loss.check_targets(t, out_shape)


def test_good_targets_pass_the_check():
    SoftmaxCrossEntropy().check_targets(np.array([0, 3], np.uint8), (4,))
    SoftmaxCrossEntropy().check_targets(np.eye(4, dtype=bool), (4,))
    SoftmaxCrossEntropy().check_targets(np.zeros((2, 5), int), (5, 4))
    SigmoidCrossEntropy().check_targets(np.array([0, 1]), (1,))
    BinaryCrossEntropy().check_targets(np.array([[0.2, 1.0]]), (2,))
    MeanSquaredError().check_targets(np.array([[2], [-3]]), (1,))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MeanSquaredError(reduction="none"), '"mean" or "sum"'),
        (lambda: SoftmaxCrossEntropy(reduction="batch"), '"mean" or "sum"'),
        (lambda: SoftmaxCrossEntropy(label_smoothing=1.0), "label_smoothing"),
        (lambda: CrossEntropy(label_smoothing=-0.1), "label_smoothing"),
        (lambda: CrossEntropy(class_weight=(1.0, -1.0)), "class_weight"),
        (lambda: CrossEntropy(class_weight=(0.0, 0.0)), "class_weight"),
    ],
)
def test_bad_options_are_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


IMPOSSIBLE = {
    SoftmaxCrossEntropy(): (np.zeros((3, 4)), np.array([0, 3, 4]), np.array([0, 3, -1])),
    CrossEntropy(): (np.full((3, 4), 0.25), np.array([0, -1, 2]), np.array([9, 0, 1])),
    SigmoidCrossEntropy(): (np.zeros((3, 1)), np.array([0, 1, 2]), np.array([1, -1, 0])),
    PerceptronLoss(): (np.zeros(3), np.array([-1.0, 1, 1]), np.array([1.0, 0, 1.5])),
}


@pytest.mark.parametrize("loss", IMPOSSIBLE, ids=repr)
@pytest.mark.parametrize("method", ["value", "delta"])
def test_targets_that_the_loss_cannot_mean_are_refused_outside_of_fit_too(loss, method):
    y, *impossible = IMPOSSIBLE[loss]
    for t in impossible:
        with pytest.raises(DataError, match=r"but target \(\d,\) is"):
            getattr(loss, method)(y, t)
        weight = np.isin(t, [0, 1, 3]).astype(np.float32)  # 0 for what cannot be: padding, say
        assert np.isfinite(getattr(loss, method)(y, t, weight)).all()
        with pytest.raises(DataError, match=r"but target \(\d,\) is"):
            getattr(loss, method)(y, t, np.full(3, 0.5))  # a small weight is one
        assert np.isfinite(jax.jit(getattr(loss, method))(y, t)).all(), "a compiled program cannot complain"

"""One step of every cell: its halves belong together, and together they are the textbook's formulas."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core import tree
from denpa.core.errors import ConfigError
from denpa.layers import Dense, ReLU
from denpa.layers.cell import Steps
from denpa.layers.cell_gru import GRUCell
from denpa.layers.cell_lstm import LSTMCell
from denpa.layers.cell_rnn import OutputFeedbackCell, RNNCell

CELLS = [
    RNNCell(4),
    RNNCell(4, ReLU()),
    RNNCell(4, "softmax"),
    OutputFeedbackCell(4, 3, "tanh", "softmax"),
    OutputFeedbackCell(4, 2, "sigmoid", forced=True),
    LSTMCell(4),
    LSTMCell(4, peepholes=True),
    LSTMCell(4, peepholes=True, output_peephole="previous", activation="sigmoid"),
    GRUCell(4),
    GRUCell(4, reset_after=True),
]
BATCH, FEATURES = 2, 5


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", params=CELLS, ids=str)
def case(request):
    """A cell, random parameters, inputs and carry in float64, and the step that follows."""
    cell, rng = request.param, np.random.default_rng(3)
    with jax.enable_x64(True):
        size = FEATURES - cell.outputs if getattr(cell, "forced", False) else FEATURES
        params = jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(a.shape)), cell.init(jax.random.key(0), size))
        x = jnp.asarray(rng.standard_normal((BATCH, FEATURES)))
        before = tuple(jnp.asarray(rng.standard_normal((BATCH, n))) for n in cell.sizes())
        after, kept = cell.step(params, cell.drive(params, x), before)
        step = Steps(x, kept, before, after)
        return rng, cell, params, step, cell.slopes(params, step)


def like(rng, arrays):
    return jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(a.shape)), arrays)


def dot(a, b):
    return sum(jnp.sum(p * q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_the_step_backward_is_the_derivative_of_the_step(case):
    rng, cell, params, step, slopes = case
    dcarry = like(rng, step.after)
    _, pull_back = jax.vjp(lambda p, x, c: cell.step(p, cell.drive(p, x), c)[0], params, step.x, step.before)
    grads, dx, dbefore = pull_back(dcarry)
    delta, earlier = cell.backward(params, slopes, dcarry)
    ours = cell.grads(params, step, delta), cell.input_delta(params, delta), earlier
    for (path, one), two in zip(tree.flatten(ours).items(), jax.tree.leaves((grads, dx, dbefore)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12, err_msg=path)


def test_the_tangent_is_the_derivative_along_a_direction(case):
    """And so the transpose of the step backward: both read the same slopes."""
    rng, cell, params, step, slopes = case
    dcarry, along = like(rng, step.after), like(rng, step.before)
    delta, earlier = cell.backward(params, slopes, dcarry)
    du = like(rng, delta)
    ahead = cell.tangent(params, slopes, du, along)
    np.testing.assert_allclose(dot(dcarry, ahead), dot(delta, du) + dot(earlier, along), rtol=1e-10)


def test_the_gradient_is_delta_times_what_a_parameter_feeds(case):
    """∂E/∂θ = Σ_batch ∂u_c/∂θ δ_c, where c is the column of u that θ reaches."""
    rng, cell, params, step, slopes = case
    delta, _ = cell.backward(params, slopes, like(rng, step.after))
    grads = cell.grads(params, step, delta)
    direct, columns = cell.direct(params, step), cell.feeds(params)
    assert set(direct) == set(columns) == set(grads)
    for name, gradient in grads.items():
        expected = jnp.sum(direct[name] * delta[:, columns[name]], axis=0)
        np.testing.assert_allclose(gradient, jnp.broadcast_to(expected, gradient.shape), rtol=1e-10, err_msg=name)


def test_steps_may_be_taken_together(case):
    """All that needs no recursion takes any axes in front."""
    rng, cell, params, step, slopes = case
    twice = jax.tree.map(lambda a: jnp.stack([a, a]), step)
    together = cell.slopes(params, twice)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b), together, slopes)
    delta, _ = cell.backward(params, slopes, like(rng, step.after))
    once = cell.grads(params, step, delta)
    both = cell.grads(params, twice, jnp.stack([delta, delta]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 2 * b, rtol=1e-12), both, once)


def test_what_starts_from_what():
    with jax.enable_x64(False):
        params = LSTMCell(3, peepholes=True, forget_bias=2.5).init(jax.random.key(1), 5)
    np.testing.assert_array_equal(params["b"].reshape(4, 3), [[0] * 3, [2.5] * 3, [0] * 3, [0] * 3])
    np.testing.assert_array_equal(params["p"], np.zeros((3, 3)))
    gates = params["Wh"].reshape(3, 4, 3)
    for gate in range(4):  # every gate's recurrent weights are a rotation of their own
        np.testing.assert_allclose(gates[:, gate].T @ gates[:, gate], np.eye(3), atol=1e-6)
    assert np.abs(gates[:, 0] - gates[:, 1]).max() > 0.1
    assert np.abs(params["Wx"]).max() <= np.sqrt(6 / (5 + 3))  # Glorot's bound for one gate
    with jax.enable_x64(False):
        params = GRUCell(3, reset_after=True, update_bias=2.5).init(jax.random.key(1), 5)
    np.testing.assert_array_equal(params["b"].reshape(3, 3), [[2.5] * 3, [0] * 3, [0] * 3])
    np.testing.assert_array_equal(params["bh"], np.zeros(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNNCell(0), "RNNCell.units must be positive, not 0"),
        (lambda: RNNCell(3, "tanhh"), "one of elu"),
        (lambda: RNNCell(3, Dense(3)), "without parameters"),
        (lambda: OutputFeedbackCell(3, 0), "outputs must be positive, not 0"),
        (lambda: LSTMCell(3, output_peephole="next"), '"current" or "previous"'),
        (lambda: LSTMCell(3, activation="relu"), '"tanh" or "sigmoid"'),
        (lambda: GRUCell(True), "units must be an integer"),
    ],
)
def test_what_makes_no_cell_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_the_truncated_delta_leaves_out_the_gates_and_nothing_else():
    """ε_j = Σ_k w_kj δ_k + Σ_j' w_j'j δ_j': the paths through the gates are missing, the memory's are there."""
    rng = np.random.default_rng(8)
    whole, printed = LSTMCell(3), LSTMCell(3, truncated=True)
    params = jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(a.shape)), whole.init(jax.random.key(0), 2))
    x, before = jnp.asarray(rng.standard_normal((2, 2))), tuple(jnp.asarray(rng.standard_normal((2, 3))) for _ in "hc")
    after, kept = whole.step(params, whole.drive(params, x), before)
    slopes, dcarry = whole.slopes(params, Steps(x, kept, before, after)), like(rng, after)
    delta, (dh, dc) = whole.backward(params, slopes, dcarry)
    shorter, (printed_dh, printed_dc) = printed.backward(params, slopes, dcarry)
    np.testing.assert_array_equal(shorter, delta)
    np.testing.assert_array_equal(printed_dc, dc)
    gates = np.r_[0:6, 9:12]
    np.testing.assert_allclose(dh - printed_dh, delta[:, gates] @ params["Wh"][:, gates].T, rtol=1e-12)

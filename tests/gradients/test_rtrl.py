"""Real-time recurrent learning: the gradients of back-propagation through time, and learning at every step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree

BATCH, TIME, FEATURES = 3, 5, 2
LENGTHS = np.array([5, 2, 4])


def case(net, seed=0, classes=3):
    """Random parameters, inputs and targets in float64."""
    rng = np.random.default_rng(seed)
    shapes = net.init(jax.random.key(0), (TIME, FEATURES)).params
    params = jax.tree.map(lambda a: jnp.asarray(0.7 * rng.standard_normal(a.shape)), shapes)
    x = jnp.asarray(rng.standard_normal((BATCH, TIME, FEATURES)))
    return dp.Variables(params, {}), x, jnp.asarray(rng.integers(0, classes, (BATCH, TIME)))


def with_head(layer):
    return dp.Sequential([layer.replace(return_sequences=True), dp.Dense(4), dp.Tanh(), ("out", dp.Dense(3))])


NETS = [
    with_head(dp.RNN(3)),
    with_head(dp.LSTM(2, peepholes=True)),
    with_head(dp.GRU(3, reset_after=True)),
    dp.OutputFeedbackRNN(3, 3, "sigmoid", "softmax"),
    dp.OutputFeedbackRNN(3, 3, use_bias=False),
    dp.Sequential([dp.GRU(3, reset_after=True, return_sequences=True, use_bias=False)]),
]


@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_gradient_is_that_of_back_propagation_through_time(net):
    with jax.enable_x64(True):
        variables, x, t = case(net)
        padded = dp.Padded(x, LENGTHS)
        probabilities = isinstance(net, dp.OutputFeedbackRNN) and net.output_activation == "softmax"
        loss = dp.CrossEntropy() if probabilities else dp.SoftmaxCrossEntropy()
        forward = dp.rtrl(net, loss, variables, padded, t)
        backward = dp.backprop(net, loss, variables, padded, t)
    assert forward.loss == pytest.approx(float(backward.loss), rel=1e-12)
    np.testing.assert_allclose(forward.output, backward.output, rtol=1e-10)  # of a layer alone 0 behind every end
    scale = max(float(np.abs(g).max()) for g in jax.tree.leaves(jax.tree.map(np.asarray, backward.grads)))
    theirs = tree.flatten(backward.grads)
    assert set(theirs) == set(tree.flatten(forward.grads))
    for path, ours in tree.flatten(forward.grads).items():
        assert float(np.abs(np.asarray(ours) - np.asarray(theirs[path])).max()) < 1e-10 * scale, path


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_and_reductions_are_those_of_the_loss(reduction):
    net = with_head(dp.RNN(3))
    with jax.enable_x64(True):
        variables, x, t = case(net)
        loss, weight = dp.SoftmaxCrossEntropy(reduction=reduction), jnp.asarray([0.5, 2.0, 1.25])
        forward = dp.rtrl(net, loss, variables, x, t, sample_weight=weight)
        backward = dp.backprop(net, loss, variables, x, t, sample_weight=weight)
    for ours, theirs in zip(jax.tree.leaves(forward.grads), jax.tree.leaves(backward.grads), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


def test_the_mean_squared_error_counts_sequences_as_back_propagation_does():
    net, loss = with_head(dp.RNN(3)), dp.MeanSquaredError()
    with jax.enable_x64(True):
        variables, x, _ = case(net)
        t = jnp.asarray(np.random.default_rng(2).standard_normal((BATCH, TIME, 3)))
        weight = jnp.asarray([0.5, 2.0, 1.25])
        forward = dp.rtrl(net, loss, variables, dp.Padded(x, LENGTHS), t, sample_weight=weight)
        backward = dp.backprop(net, loss, variables, dp.Padded(x, LENGTHS), t, sample_weight=weight)
    assert float(forward.loss) == pytest.approx(float(backward.loss), rel=1e-12)
    for ours, theirs in zip(jax.tree.leaves(forward.grads), jax.tree.leaves(backward.grads), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


def test_the_printed_recursion_element_by_element():
    """p_rs^j(t) = f'(u_j) (δ_rj x_s [Wx] + δ_rj z_s' [Wh] + Σ_j' w_jj' p_rs^j'(t−1)), with loops over every index."""
    net = dp.RNN(3, return_sequences=True)
    with jax.enable_x64(True):
        variables, x, _ = case(net)
        t = jnp.asarray(np.random.default_rng(1).standard_normal((BATCH, TIME, 3)))
        ours = dp.rtrl(net, dp.MeanSquaredError(reduction="sum"), variables, x, t).grads
    p = jax.tree.map(np.asarray, variables.params)
    grads = {name: np.zeros_like(value) for name, value in p.items()}
    for n in range(BATCH):
        z, sensitivity = np.zeros(3), {name: np.zeros((*p[name].shape, 3)) for name in ("Wx", "Wh")}
        for step in range(TIME):
            entering = {"Wx": np.asarray(x[n, step]), "Wh": z}
            z = np.tanh(entering["Wx"] @ p["Wx"] + z @ p["Wh"] + p["b"])
            for name, source in entering.items():
                old, new = sensitivity[name], np.zeros_like(sensitivity[name])
                for s, r, j in np.ndindex(*old.shape):
                    recurrent = sum(p["Wh"][i, j] * old[s, r, i] for i in range(3))
                    new[s, r, j] = (1 - z[j] ** 2) * ((r == j) * source[s] + recurrent)
                sensitivity[name] = new
                grads[name] += new @ (z - np.asarray(t[n, step]))
    for name in ("Wx", "Wh"):
        np.testing.assert_allclose(ours[name], grads[name], rtol=1e-10)


def test_learning_online_is_a_step_of_gradient_descent_at_every_time_step():
    net, loss, optimizer = with_head(dp.GRU(3)), dp.SoftmaxCrossEntropy(), dp.AdamW(0.1, weight_decay=0.5)
    variables, x, t = case(net)
    variables, x = jax.tree.map(lambda a: a.astype(jnp.float32), (variables, x))
    found = dp.learn_online(net, loss, optimizer, variables, x, t)
    params, state, memory = variables.params, optimizer.init(variables.params), dp.rtrl_start(net, variables, BATCH)
    for step in range(TIME):
        memory, met = dp.rtrl_step(net, loss, dp.Variables(params, {}), memory, x[:, step], t[:, step])
        assert float(met.loss) == pytest.approx(float(found.losses[step]), rel=1e-5)
        updates, state = optimizer.update(met.grads, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    ends = jax.tree.leaves((found.variables.params, found.optimizer)), jax.tree.leaves((params, state))
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert found.output.shape == (BATCH, TIME, 3)


def test_learning_online_takes_gradients_where_the_method_looks_ahead():
    net, loss, method = with_head(dp.RNN(3)), dp.SoftmaxCrossEntropy(), dp.Nesterov(0.1, 0.9)
    with jax.enable_x64(True):
        problem = case(net)
        literal, usual = (
            dp.learn_online(net, loss, method.replace(lookahead=ahead), *problem) for ahead in (True, False)
        )
        point = method.replace(lookahead=True).gradient_point(literal.variables.params, literal.optimizer)
    np.testing.assert_allclose(literal.losses, usual.losses, rtol=1e-12)  # both run through the same points
    for ours, theirs in zip(jax.tree.leaves(point), jax.tree.leaves(usual.variables.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_step_is_weighted_as_the_loss_does(reduction):
    net, loss = dp.Sequential([dp.RNN(3, return_sequences=True)]), dp.SoftmaxCrossEntropy(reduction=reduction)
    with jax.enable_x64(True):
        variables, x, t = case(net)
        weight, start = jnp.asarray([0.5, 2.0, 1.25]), dp.rtrl_start(net, variables, BATCH)
        _, forward = dp.rtrl_step(net, loss, variables, start, x[:, 0], t[:, 0], sample_weight=weight)
        backward = dp.backprop(net, loss, variables, x[:, :1], t[:, :1], sample_weight=weight)
    assert float(forward.loss) == pytest.approx(float(backward.loss), rel=1e-12)
    for ours, theirs in zip(jax.tree.leaves(forward.grads), jax.tree.leaves(backward.grads), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


def test_every_step_draws_a_mask_of_its_own():
    net, loss = dp.Sequential([dp.RNN(3, return_sequences=True), dp.Dropout(0.5)]), dp.SoftmaxCrossEntropy()
    variables, x, t = case(net)
    data = jax.tree.map(lambda a: a.astype(jnp.float32), (variables, x))
    key = jax.random.key(1)
    for output in (
        dp.rtrl(net, loss, *data, t, key=key).output,
        dp.learn_online(net, loss, dp.SGD(0.1), *data, t, key=key).output,
    ):
        masks = np.asarray(output) != 0
        assert 0 < masks.mean() < 1
        assert (masks != masks[:, :1]).any()


def test_its_memory_does_not_grow_with_time():
    net, loss = with_head(dp.RNN(8)), dp.SoftmaxCrossEntropy()

    def temporary(time):
        variables = net.init(jax.random.key(0), (time, 2))
        x, t = jnp.zeros((1, time, 2)), jnp.zeros((1, time), jnp.int32)
        learn = jax.jit(lambda v, x, t: dp.learn_online(net, loss, dp.SGD(0.01), v, x, t).variables)
        return learn.lower(variables, x, t).compile().memory_analysis().temp_size_in_bytes

    data = 4 * 1000 * (2 + 1 + 1 + 3)  # x, t, losses and outputs with time in front
    assert temporary(1000) < temporary(10) + 2 * data


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (dp.Sequential([dp.Dense(3), dp.RNN(3, return_sequences=True)]), "recurrent layer"),
        (dp.Sequential([dp.RNN(3, return_sequences=True), dp.RNN(3, return_sequences=True)]), "recurrent layer"),
        (dp.Sequential([dp.RNN(3, return_sequences=True), dp.Conv1d(3, 2, padding=(1, 0))]), "layers on each step"),
        (dp.RNN(3), "return_sequences"),
        (dp.GRU(3, return_sequences=True, reverse=True), "return_sequences"),
        (dp.LSTM(3, return_sequences=True, truncated=True), "wants return_sequences=True alone, not .*truncated=True"),
        (dp.Sequential([dp.RNN(3, return_sequences=True), dp.BatchNorm()]), "state"),
        (dp.Sequential([dp.RNN(3, return_sequences=True), dp.ActivityL1(0.1)]), "loss alone"),
    ],
)
def test_networks_of_another_form_are_refused(net, message):
    variables = net.init(jax.random.key(0), (TIME, FEATURES))
    with pytest.raises(dp.ConfigError, match=message):
        dp.rtrl(net, dp.SoftmaxCrossEntropy(), variables, jnp.zeros((1, TIME, FEATURES)), jnp.zeros((1, TIME), int))


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (dp.RNN(3, return_sequences=True, return_carry=True), (TIME, FEATURES)),
        (dp.RNN(3, return_sequences=True, takes_carry=True), ((TIME, FEATURES), (3,))),
        (dp.OutputFeedbackRNN(4, 3, teacher_forcing=True), ((TIME, FEATURES), (TIME, 3))),
    ],
)
def test_a_carry_or_targets_beside_the_input_are_refused(net, shape):
    variables = net.init(jax.random.key(0), shape)
    with pytest.raises(dp.ConfigError, match="carry of 0: it wants return_sequences=True alone"):
        dp.rtrl(net, dp.SoftmaxCrossEntropy(), variables, jnp.zeros((1, TIME, FEATURES)), jnp.zeros((1, TIME), int))


def test_targets_of_every_step_are_wanted():
    net = dp.RNN(3, return_sequences=True)
    variables = net.init(jax.random.key(0), (TIME, FEATURES))
    with pytest.raises(dp.ShapeError, match="every step"):
        dp.rtrl(net, dp.SoftmaxCrossEntropy(), variables, jnp.zeros((1, TIME, FEATURES)), jnp.zeros(1, int))
    with pytest.raises(dp.ShapeError, match=r"x \(batch, time, features\)"):
        dp.rtrl(net, dp.SoftmaxCrossEntropy(), variables, jnp.zeros((1, TIME)), jnp.zeros((1, TIME), int))


@pytest.mark.parametrize("batch", [0, -1, 2.5, "a", None])
def test_it_begins_with_a_number_of_sequences(batch):
    net = dp.RNN(3, return_sequences=True)
    variables = net.init(jax.random.key(0), (TIME, FEATURES))
    with pytest.raises(dp.ConfigError, match="number of sequences"):
        dp.rtrl_start(net, variables, batch)


@pytest.mark.parametrize("shape", [(1, FEATURES), (BATCH, FEATURES + 1), (BATCH, TIME, FEATURES)])
def test_a_step_of_another_shape_is_refused(shape):
    net = dp.RNN(3, return_sequences=True)
    variables = net.init(jax.random.key(0), (TIME, FEATURES))
    before = dp.rtrl_start(net, variables, BATCH)
    with pytest.raises(dp.ShapeError, match=r"RTRL wants x \(3, features\)|Wx has shape"):
        dp.rtrl_step(net, dp.SoftmaxCrossEntropy(), variables, before, jnp.zeros(shape), jnp.zeros(shape[0], int))


def test_learning_online_refuses_what_is_no_optimizer_and_data_that_do_not_fit():
    net, loss = with_head(dp.RNN(3)), dp.SoftmaxCrossEntropy()
    variables, x, t = case(net)
    for optimizer in ("sgd", dp.SGD):
        with pytest.raises(dp.ConfigError, match=r"An optimiser, such as dp.SGD\(0.01\)"):
            dp.learn_online(net, loss, optimizer, variables, x, t)
    for wrong_x, wrong_t in ((x, t[:1]), (x, t[:, :3]), (x[0], t[0])):
        with pytest.raises(dp.ShapeError, match="targets of every step"):
            dp.learn_online(net, loss, dp.SGD(0.01), variables, wrong_x, wrong_t)
    with pytest.raises(dp.ShapeError, match="Wx has shape"):
        dp.learn_online(net, loss, dp.SGD(0.01), variables, x[..., :1], t)


def test_learning_online_goes_on_with_the_state_of_the_optimiser():
    """Sequences of one step have no past: what is learned from one after the other is what back-propagation teaches."""
    net, loss, optimizer = with_head(dp.RNN(3)), dp.SoftmaxCrossEntropy(), dp.Momentum(0.1)
    variables, x, t = case(net)
    state, params, moments = (), variables.params, optimizer.init(variables.params)
    for step in range(TIME):
        one = x[:, step : step + 1], t[:, step : step + 1]
        found = dp.learn_online(net, loss, optimizer, variables, *one, state=state)
        variables, state = found.variables, found.optimizer
        grads = dp.backprop(net, loss, dp.Variables(params, {}), *one).grads
        updates, moments = optimizer.update(grads, moments, params)
        params = jax.tree.map(jnp.add, params, updates)
    for ours, theirs in zip(jax.tree.leaves(variables.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_targets_and_weights_that_the_loss_cannot_mean_are_refused():
    net, loss = with_head(dp.RNN(3)), dp.SoftmaxCrossEntropy()
    variables, x, t = case(net)
    wrong = t.at[0, 0].set(3)
    before = dp.rtrl_start(net, variables, BATCH)
    for learns in (
        lambda t: dp.rtrl(net, loss, variables, x, t),
        lambda t: dp.rtrl_step(net, loss, variables, before, x[:, 0], t[:, 0]),
        lambda t: dp.learn_online(net, loss, dp.SGD(0.01), variables, x, t),
    ):
        learns(t)
        with pytest.raises(dp.DataError, match=r"class indices 0 to 2, but target .* is 3"):
            learns(wrong)
    with pytest.raises(dp.DataError, match="sample_weight must be finite"):
        dp.rtrl_step(net, loss, variables, before, x[:, 0], t[:, 0], sample_weight=[1, 1, -1])
    with pytest.raises(dp.ConfigError, match=r"`before` must be what dp.rtrl_start"):
        dp.rtrl_step(net, loss, variables, None, x[:, 0], t[:, 0])

"""Recurrent layers: carries, lengths, both directions, segments, and what trace shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree
from denpa.core.description import from_config, registered, to_config
from denpa.init import Initializer, Orthogonal
from denpa.layers.cell import Cell, fresh
from denpa.networks import Recurrent
from denpa.testing import check_gradients

TIME, FEATURES, UNITS, BATCH = 6, 3, 4, 3
LENGTHS = np.array([6, 1, 4])


def drawn(rng, *shape, dtype=np.float64):
    return jnp.asarray(rng.standard_normal(shape), dtype)


def parameters(layer, rng, features=FEATURES):
    shape = (TIME, features)
    if layer.takes_carry:
        shape = (shape, *((size,) for size in layer.cell.sizes()))
    return jax.tree.map(lambda a: drawn(rng, *a.shape), layer.init_params(jax.random.key(0), shape))


def close(one, two, tolerance=1e-12):
    for (path, a), b in zip(tree.flatten(one).items(), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=path)


def same_bits(one, two):
    for (path, a), b in zip(tree.flatten(one).items(), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)


def test_the_output_feedback_form_is_the_textbook_s():
    """u = W_in x + W z + W~ y, z = f(u), v = W_out z, y = f_out(v), by a loop over the time steps."""
    rng = np.random.default_rng(2)
    layer = dp.OutputFeedbackRNN(UNITS, 2, "tanh", "sigmoid")
    with jax.enable_x64(True):
        params, x = parameters(layer, rng), drawn(rng, BATCH, TIME, FEATURES)
        ours, _ = layer.forward(params, x)
        p = jax.tree.map(np.asarray, params)
        z, y = np.zeros((BATCH, UNITS)), np.zeros((BATCH, 2))
        for t in range(TIME):
            z = np.tanh(np.asarray(x[:, t]) @ p["Wx"] + z @ p["Wh"] + y @ p["Wy"] + p["b"])
            y = 1 / (1 + np.exp(-(z @ p["Wo"] + p["bo"])))
            np.testing.assert_allclose(ours[:, t], y, rtol=1e-12)
        # Without feedback it is Elman's layer with a Dense on it.
        params["Wy"] = jnp.zeros((2, UNITS))
        elman = dp.Sequential([dp.RNN(UNITS, return_sequences=True), dp.Dense(2), dp.Sigmoid()])
        inner = {"0_rnn": {k: params[k] for k in ("Wx", "Wh", "b")}, "1_dense": {"W": params["Wo"], "b": params["bo"]}}
        theirs = elman.apply(dp.Variables({**inner, "2_sigmoid": {}}, {}), x)
        close(layer.forward(params, x)[0], theirs)


def test_teacher_forcing_feeds_the_targets_in_training_alone():
    rng = np.random.default_rng(4)
    layer = dp.OutputFeedbackRNN(UNITS, 2, teacher_forcing=True)
    free = layer.replace(teacher_forcing=False)
    with jax.enable_x64(True):
        params, x, t = parameters(free, rng), drawn(rng, BATCH, TIME, FEATURES), drawn(rng, BATCH, TIME, 2)
        close(layer.forward(params, (x, t), dp.Context(train=False))[0], free.forward(params, x)[0])
        forced, _ = layer.forward(params, (x, t), dp.Context(train=True))
        h, fed = jnp.zeros((BATCH, UNITS)), jnp.zeros((BATCH, 2))
        for step in range(TIME):
            h = jnp.tanh(x[:, step] @ params["Wx"] + h @ params["Wh"] + fed @ params["Wy"] + params["b"])
            np.testing.assert_allclose(forced[:, step], h @ params["Wo"] + params["bo"], rtol=1e-12)
            fed = t[:, step]
        own, _ = free.forward(params, x)
        again, _ = layer.forward(
            params, (x, own), dp.Context(train=True)
        )  # its own outputs as targets: nothing changes
        close(again, own)


# ------------------------------------------------------------------------- lengths, carries, segments

LAYERS = [
    dp.LSTM(UNITS, peepholes=True),
    dp.OutputFeedbackRNN(UNITS, 2),
    dp.GRU(UNITS, reverse=True, segment=4),
]


def both_ways(layer, params, x, dy, lengths=None, train=False):
    y, saved = layer.forward(params, x, dp.Context(train=train, lengths=lengths))
    return y, layer.backward(params, saved, dy)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_padding_leaves_no_trace_and_every_sequence_stands_alone(layer):
    rng = np.random.default_rng(1)
    layer = layer.replace(return_sequences=True, return_carry=True)
    with jax.enable_x64(True):
        params, x = parameters(layer, rng), drawn(rng, BATCH, TIME, FEATURES)
        y, _ = layer.forward(params, x)
        dy = jax.tree.map(lambda a: drawn(rng, *a.shape), y)
        padding = (np.arange(TIME) >= LENGTHS[:, None])[..., None]

        def filled(value):
            given = (jnp.where(padding, value, x), (jnp.where(padding, value, dy[0]), *dy[1:]))
            return both_ways(layer, params, *given, jnp.asarray(LENGTHS))

        found = filled(7.0)
        same_bits(found, filled(jnp.nan))
        (y, *final), (dx, grads) = found
        assert not np.any(np.where(padding, y, 0))
        assert not np.any(np.where(padding, dx, 0))
        total = tree.zeros_like(grads)
        for n, length in enumerate(LENGTHS):
            own = (dy[0][n : n + 1, :length], *(part[n : n + 1] for part in dy[1:]))
            (y1, *final1), (dx1, grads1) = both_ways(layer, params, x[n : n + 1, :length], own)
            close((y1[0], dx1[0]), (y[n, :length], dx[n, :length]))
            close([part[0] for part in final1], [part[n] for part in final])
            total = tree.add(total, grads1)
        close(grads, total)


def test_targets_that_are_fed_back_may_hold_anything_on_padding():
    rng = np.random.default_rng(6)
    layer = dp.OutputFeedbackRNN(UNITS, 2, teacher_forcing=True)
    with jax.enable_x64(True):
        params = parameters(layer.replace(teacher_forcing=False), rng)
        x, t, dy = (drawn(rng, BATCH, TIME, size) for size in (FEATURES, 2, 2))
        padding = (np.arange(TIME) >= LENGTHS[:, None])[..., None]

        def filled(value):
            return both_ways(layer, params, (x, jnp.where(padding, value, t)), dy, jnp.asarray(LENGTHS), train=True)

        found = filled(7.0)
        same_bits(found, filled(jnp.nan))
        _, ((_, dt), _) = found
        assert not np.any(np.where(padding, dt, 0))


@pytest.mark.parametrize("layer", LAYERS[:2], ids=str)
def test_two_halves_with_the_carry_handed_on_are_the_whole(layer):
    """Forward the carry goes from the first half to the second; backward its delta goes the other way."""
    rng = np.random.default_rng(8)
    layer = layer.replace(return_sequences=True, return_carry=True, takes_carry=True)
    with jax.enable_x64(True):
        params, x = parameters(layer, rng), drawn(rng, BATCH, TIME, FEATURES)
        first = tuple(drawn(rng, BATCH, size) for size in layer.cell.sizes())
        (y, *final), saved = layer.forward(params, (x, *first))
        dy = tuple(drawn(rng, *a.shape) for a in (y, *final))
        (dx, *dfirst), grads = layer.backward(params, saved, dy)

        (y1, *middle), saved1 = layer.forward(params, (x[:, :2], *first))
        (y2, *end), saved2 = layer.forward(params, (x[:, 2:], *middle))
        (dx2, *dmiddle), grads2 = layer.backward(params, saved2, (dy[0][:, 2:], *dy[1:]))
        (dx1, *dstart), grads1 = layer.backward(params, saved1, (dy[0][:, :2], *dmiddle))
    close((jnp.concatenate([y1, y2], 1), end), (y, final))
    close((jnp.concatenate([dx1, dx2], 1), dstart), (dx, dfirst))
    close(tree.add(grads1, grads2), grads)


BARE = [
    dp.LSTM(UNITS, peepholes=True, use_bias=False),
    dp.OutputFeedbackRNN(UNITS, 2, use_bias=False, segment=4),
    dp.Bidirectional(dp.GRU(UNITS, reset_after=True, return_sequences=True, use_bias=False)),
]


@pytest.mark.parametrize("layer", BARE, ids=str)
def test_a_layer_without_biases_is_one_whose_biases_are_0_and_stay(layer):
    rng = np.random.default_rng(2)
    full = layer.replace(layer=layer.layer.replace(use_bias=True)) if layer.inner() else layer.replace(use_bias=True)
    shape = (TIME, FEATURES)
    templates = [one.init_params(jax.random.key(0), shape) for one in (layer, full)]
    fresh, started = map(tree.flatten, templates)
    names = {path.rpartition("/")[2] for path in set(started) - set(fresh)}
    assert names == dict(zip(BARE, ({"b"}, {"b", "bo"}, {"b", "bh"}), strict=True))[layer]
    same_bits(fresh, {path: started[path] for path in fresh})
    with jax.enable_x64(True):
        given = {path: drawn(rng, *array.shape) for path, array in fresh.items()}
        biases = {path: jnp.zeros(array.shape) for path, array in started.items() if path not in fresh}
        params, zeros = (tree.unflatten(given | biases, template) for template in templates)
        x = drawn(rng, BATCH, TIME, FEATURES)
        dy = drawn(rng, BATCH, *layer.out_shape(shape))
        y, (dx, grads) = both_ways(layer, params, x, dy, jnp.asarray(LENGTHS))
        wanted, (dx_wanted, whole) = both_ways(full, zeros, x, dy, jnp.asarray(LENGTHS))
        close((y, dx), (wanted, dx_wanted))
        assert set(tree.flatten(grads)) == set(fresh)
        close(tree.flatten(grads), {path: tree.flatten(whole)[path] for path in fresh})
        walked, saved, _ = layer.walk_forward(params, x, dp.Context(lengths=jnp.asarray(LENGTHS)))
        close((walked, *layer.walk_backward(params, saved, dy)[:2]), (y, dx, grads))
    assert from_config(to_config(layer)) == layer
    assert dp.Sequential([layer]).summary(shape).parameters == sum(array.size for array in fresh.values())


def test_the_last_step_of_a_linear_layer_is_a_sum_of_powers():
    """h_T = Σ_t x_t Wx Whᵀ⁻ᵗ: no step keeps anything for the backward pass, and none has a delta of its own."""
    rng = np.random.default_rng(8)
    layer = dp.RNN(UNITS, "identity", use_bias=False)
    params = {"Wx": drawn(rng, FEATURES, UNITS, dtype=np.float32), "Wh": drawn(rng, UNITS, UNITS, dtype=np.float32) / 2}
    x, dy = drawn(rng, BATCH, TIME, FEATURES, dtype=np.float32), drawn(rng, BATCH, UNITS, dtype=np.float32)
    y, saved = layer.forward(params, x)
    dx, _ = layer.backward(params, saved, dy)
    paths = [np.asarray(params["Wx"]) @ np.linalg.matrix_power(params["Wh"], TIME - 1 - t) for t in range(TIME)]
    np.testing.assert_allclose(y, sum(x[:, t] @ path for t, path in enumerate(paths)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dx, np.stack([dy @ path.T for path in paths], axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("segment", "reverse"), [(1, False), (4, False), (9, False), (2, True), (4, True)])
def test_segments_change_nothing_but_memory(segment, reverse):
    rng = np.random.default_rng(5)
    layer = dp.GRU(UNITS, return_sequences=True, return_carry=True, reverse=reverse)
    with jax.enable_x64(True):
        params, x = parameters(layer, rng), drawn(rng, BATCH, TIME, FEATURES)
        dy = (drawn(rng, BATCH, TIME, UNITS), drawn(rng, BATCH, UNITS))
        whole = both_ways(layer, params, x, dy, jnp.asarray(LENGTHS))
        close(both_ways(layer.replace(segment=segment), params, x, dy, jnp.asarray(LENGTHS)), whole)


def test_segments_of_sqrt_t_need_memory_for_sqrt_t():
    """Bytes that the compiled step allocates besides input and output, for 4 and 16 times the steps."""

    def temporary(segment, time):
        layer = dp.LSTM(32, segment=segment)
        params = layer.init_params(jax.random.key(0), (time, 1))

        def run(params, x):
            y, saved = layer.forward(params, x)
            return layer.backward(params, saved, y)[1]

        return jax.jit(run).lower(params, jnp.zeros((8, time, 1))).compile().memory_analysis().temp_size_in_bytes

    segments = temporary(32, 1024)
    assert segments < temporary(0, 1024) / 8
    assert segments < 5 * temporary(8, 64)


def test_bidirectional_reads_every_sequence_from_both_of_its_ends():
    rng = np.random.default_rng(6)
    inner = dp.LSTM(UNITS, return_sequences=True)
    layer = dp.Bidirectional(inner)
    with jax.enable_x64(True):
        params = {name: parameters(inner, rng) for name in ("forward", "backward")}
        x = drawn(rng, BATCH, TIME, FEATURES)
        y, _ = layer.forward(params, x, dp.Context(lengths=jnp.asarray(LENGTHS)))
        last, _ = layer.replace(layer=inner.replace(return_sequences=False)).forward(
            params, x, dp.Context(lengths=jnp.asarray(LENGTHS))
        )
        for n, length in enumerate(LENGTHS):
            ahead, _ = inner.forward(params["forward"], x[n : n + 1, :length])
            back, _ = inner.forward(params["backward"], x[n : n + 1, :length][:, ::-1])
            close(y[n, :length], jnp.concatenate([ahead[0], back[0, ::-1]], -1))
            close(last[n], jnp.concatenate([ahead[0, -1], back[0, -1]], -1))


@pytest.mark.parametrize("layer", [dp.RNN(UNITS), dp.LSTM(UNITS), dp.GRU(UNITS, segment=2)], ids=str)
def test_the_last_output_is_the_carry_too_and_has_the_sum_of_both_deltas(layer):
    rng = np.random.default_rng(10)
    layer = layer.replace(return_carry=True)
    with jax.enable_x64(True):
        params, x = parameters(layer, rng), drawn(rng, BATCH, TIME, FEATURES)
        y, saved = layer.forward(params, x)
        np.testing.assert_array_equal(y[0], y[1])
        dy = tuple(drawn(rng, *part.shape) for part in y)
        dx, grads = layer.backward(params, saved, dy)
        expected = jax.vjp(lambda p, x: layer.forward(p, x)[0], params, x)[1](dy)
    close((grads, dx), expected, 1e-10)


def test_the_carry_of_both_directions_is_that_of_the_forward_layer_and_then_that_of_the_backward_one():
    rng = np.random.default_rng(9)
    inner = dp.LSTM(UNITS, return_sequences=True, return_carry=True, takes_carry=True)
    layer = dp.Bidirectional(inner)
    with jax.enable_x64(True):
        params = {name: parameters(inner, rng) for name in ("forward", "backward")}
        x, *carries = (drawn(rng, BATCH, *shape) for shape in ((TIME, FEATURES), *[(UNITS,)] * 4))
        (y, *ends), saved = layer.forward(params, (x, *carries))
        one, _ = inner.forward(params["forward"], (x, *carries[:2]))
        two, _ = inner.replace(reverse=True).forward(params["backward"], (x, *carries[2:]))
        close((y, ends), (jnp.concatenate([one[0], two[0]], -1), [*one[1:], *two[1:]]))
        dy = tuple(drawn(rng, *part.shape) for part in (y, *ends))
        expected = jax.vjp(lambda *given: layer.forward(given[0], given[1:])[0], params, x, *carries)[1](dy)
        dx, grads = layer.backward(params, saved, dy)
        close((grads, dx), (expected[0], expected[1:]), 1e-10)
    shapes = layer.out_shape(((TIME, FEATURES), *[(UNITS,)] * 4))
    assert shapes == ((TIME, 2 * UNITS), *[(UNITS,)] * 4)


def test_a_gru_layer_begins_with_the_update_bias_that_it_was_given():
    b = dp.GRU(3, update_bias=2.0).init_params(jax.random.key(0), (5, 2))["b"]
    np.testing.assert_array_equal(b, [2, 2, 2, 0, 0, 0, 0, 0, 0])


def test_a_truncated_lstm_layer_leaves_out_the_paths_through_the_gates():
    rng = np.random.default_rng(0)
    layer, found = dp.LSTM(UNITS, return_sequences=True), []
    params = layer.init_params(jax.random.key(0), (TIME, FEATURES))
    x, dy = (drawn(rng, BATCH, TIME, size, dtype=np.float32) for size in (FEATURES, UNITS))
    for truncated in (False, True):
        _, (dx, _) = both_ways(layer.replace(truncated=truncated), params, x, dy)
        found.append(np.asarray(dx))
    np.testing.assert_allclose(found[1][:, -1], found[0][:, -1], rtol=1e-5)  # behind it there is no path
    assert np.abs(found[1][:, 0] - found[0][:, 0]).max() > 1e-3


# ---------------------------------------------------------------------------------- inside a network


def test_three_oracles_on_a_stack_of_padded_words():
    net = dp.Sequential(
        [
            dp.Embedding(7, 3, padding=0),
            dp.Bidirectional(dp.GRU(2, return_sequences=True)),
            ("memory", dp.LSTM(3, peepholes=True, return_sequences=True)),
            dp.Dense(4),
        ]
    )
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 7, (BATCH, TIME)), rng.integers(0, 4, (BATCH, TIME))
    variables = net.init(jax.random.key(0), (TIME,))
    report = dp.testing.check_gradients(net, dp.SoftmaxCrossEntropy(), variables, dp.Padded(x, LENGTHS), t, entries=20)
    assert {"memory.grads[p]", "1_bidirectional/backward.grads[Wh]", "0_embedding.grads[W]"} <= set(report.autodiff)


def logistic(u):
    return 1 / (1 + np.exp(-u))


SIGMOID, TANH = (logistic, lambda y: y * (1 - y)), (np.tanh, lambda y: 1 - y * y)  # with their slopes by their values
GATED = [
    (dp.RNN(UNITS), {"h": TANH}),
    (dp.LSTM(UNITS, peepholes=True), dict.fromkeys("ifo", SIGMOID) | {"g": TANH}),
    (dp.LSTM(UNITS, peepholes=True, output_peephole="previous", activation="sigmoid"), dict.fromkeys("ifgo", SIGMOID)),
    (dp.GRU(UNITS), dict.fromkeys("zr", SIGMOID) | {"n": TANH}),
    (dp.GRU(UNITS, reset_after=True), dict.fromkeys("zr", SIGMOID) | {"n": TANH}),
    (dp.OutputFeedbackRNN(UNITS, 2, "tanh", "sigmoid"), {"h": TANH, "y": SIGMOID}),
]


@pytest.mark.parametrize(("layer", "gates"), GATED, ids=lambda value: "" if isinstance(value, dict) else str(value))
def test_the_trace_shows_every_gate_and_carry_with_its_deltas(layer, gates):
    rng = np.random.default_rng(9)
    net = dp.Sequential([layer.replace(return_sequences=True)])
    with jax.enable_x64(True):
        params, x = {(name := net.inner()[0][0]): parameters(layer, rng)}, drawn(rng, BATCH, TIME, FEATURES)
        t = drawn(rng, BATCH, TIME, layer.cell.sizes()[0])
        data = (net, dp.MeanSquaredError(), dp.Variables(params, {}), dp.Padded(x, LENGTHS), t)
        met, plain = dp.trace(*data), dp.backprop(*data)
    close((met.loss, met.output, met.grads, met.dx), (plain.loss, plain.output, plain.grads, plain.dx))
    assert {path for path in met if path != name} == {f"{name}/{part}" for part in {*gates, *layer.cell.carries}}
    true_steps = (np.arange(TIME) < LENGTHS[:, None])[..., None]
    for gate, (activation, slope) in gates.items():
        record = met[f"{name}/{gate}"]
        y = np.where(true_steps, record.y, activation(np.asarray(record.x)))  # a padded step hands on what it got
        np.testing.assert_allclose(y, activation(np.asarray(record.x)), rtol=1e-9, err_msg=gate)
        expected = np.asarray(record.dy) * slope(np.asarray(record.y))
        np.testing.assert_allclose(record.dx, expected, rtol=1e-9, atol=1e-14)
    output = met[f"{name}/{layer.cell.carries[0]}"]
    np.testing.assert_allclose(np.where(true_steps, output.y, 0), met[name].y, rtol=1e-12)
    order = {"LSTM": "ifgo", "GRU": "zrn"}.get(type(layer).__name__, "h")
    delta = np.concatenate([met[f"{name}/{gate}"].dx for gate in order], -1)
    gradient = np.einsum("bti,btj->ij", np.where(true_steps, x, 0), delta)  # ∂E/∂Wx = Σ_t xᵀ δ
    np.testing.assert_allclose(gradient, met.grads[name]["Wx"], rtol=1e-9)


def test_a_delta_that_passes_through_the_padding_is_recorded_at_true_steps_alone():
    rng = np.random.default_rng(11)
    layer = dp.RNN(UNITS)
    with jax.enable_x64(True):
        variables = dp.Variables({"cell": parameters(layer, rng)}, {})
        x, t = dp.Padded(drawn(rng, BATCH, TIME, FEATURES), LENGTHS), drawn(rng, BATCH, UNITS)
        met = dp.trace(dp.Sequential([("cell", layer)]), dp.MeanSquaredError(), variables, x, t)
    reached = np.any(met["cell/h"].dy, axis=-1)
    np.testing.assert_array_equal(reached, np.arange(TIME) < LENGTHS[:, None])


@pytest.mark.parametrize("layer", [dp.LSTM(UNITS, peepholes=True), dp.GRU(UNITS, reset_after=True)], ids=str)
def test_the_recorded_delta_of_a_carry_is_its_derivative(layer):
    """∂E/∂(carry behind step 2), with all that it reaches, by running the rest from a carry that is moved."""
    rng = np.random.default_rng(10)
    with jax.enable_x64(True):
        params, x, t = parameters(layer, rng), drawn(rng, BATCH, TIME, FEATURES), drawn(rng, BATCH, UNITS)
        loss, net = dp.MeanSquaredError(), dp.Sequential([("cell", layer)])
        met = dp.trace(net, loss, dp.Variables({"cell": params}, {}), x, t)
        parts = layer.cell.carries
        at = tuple(met[f"cell/{name}"].y[:, 2] for name in parts)
        rest = layer.replace(takes_carry=True)
        expected = jax.grad(lambda carry: loss.value(rest.forward(params, (x[:, 3:], *carry))[0], t))(at)
    for name, value in zip(parts, expected, strict=True):  # the carry that enters step 3
        np.testing.assert_allclose(met[f"cell/{name}"].dx[:, 3], value, rtol=1e-9, err_msg=name)
    # what h hands to the memory of its own step is not part of the memory's own delta towards the next step
    h = parts.index("h")
    np.testing.assert_allclose(met["cell/h"].dy[:, 2], expected[h], rtol=1e-9)


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda: dp.LSTM(3).out_shape((5,)), dp.ShapeError, "time features"),
        (lambda: dp.LSTM(3).forward(PARAMS, jnp.zeros((2, 5))), dp.ShapeError, "batch time features"),
        (lambda: dp.LSTM(3).forward(PARAMS, jnp.zeros((2, 5, 4))), dp.ShapeError, "features=2"),
        (lambda: dp.LSTM(3, takes_carry=True).out_shape((5, 2)), dp.ShapeError, "initial carry"),
        (lambda: dp.LSTM(3, takes_carry=True).out_shape(((5, 2), (3,), (4,))), dp.ShapeError, "c=3"),
        (lambda: dp.LSTM(3, segment=-1), dp.ConfigError, "segment"),
        (lambda: dp.GRU(3, update_bias=2.0, use_bias=False), dp.ConfigError, "no bias to start from"),
        (lambda: dp.LSTM(3).forward(PARAMS, jnp.zeros((2, 0, 2))), dp.ShapeError, "one time step or more"),
        (lambda: dp.RNN(3, "thanh"), dp.ConfigError, "tanh"),
        (lambda: dp.RNN(3, dp.PReLU()), dp.ConfigError, "without parameters"),
        (lambda: dp.RNN(3, dp.Dropout(0.5)), dp.ConfigError, "without parameters"),
        (lambda: dp.RNN(3, dp.ActivityL1(0.5)), dp.ConfigError, "without parameters"),
        (lambda: dp.RNN(3, dp.Flatten()), dp.ConfigError, "without parameters"),
        (lambda: dp.Bidirectional(dp.Dense(3)), dp.ConfigError, "recurrent layer"),
        (lambda: dp.Bidirectional(dp.GRU(3, reverse=True)), dp.ConfigError, "reverse"),
        (lambda: dp.Bidirectional(dp.GRU(3), merge="mean"), dp.ConfigError, "merge"),
        (lambda: dp.OutputFeedbackRNN(3, 2, teacher_forcing=True, reverse=True), dp.ConfigError, "reverse"),
        (lambda: dp.OutputFeedbackRNN(3, 2, teacher_forcing=True).out_shape((5, 3)), dp.ShapeError, "(x, t)"),
        (lambda: FORCED.out_shape(((5, 3), (5, 4))), dp.ShapeError, "outputs=2"),
        (lambda: FORCED.out_shape(((5, 3), (4, 2))), dp.ShapeError, "time=5"),
        (
            lambda: dp.OutputFeedbackRNN(3, 2, teacher_forcing=True).out_shape(((5, 3), (5, 2), (2,), (3,))),
            dp.ShapeError,
            "only with takes_carry=True",
        ),
    ],
)
def test_what_does_not_fit_is_refused(run, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(").replace(")", r"\)")):
        run()


FORCED = dp.OutputFeedbackRNN(3, 2, teacher_forcing=True)
PARAMS = {"Wx": jnp.zeros((2, 12)), "Wh": jnp.zeros((3, 12)), "b": jnp.zeros(12)}


def test_summary_has_a_line_for_a_recurrent_layer():
    net = dp.Sequential([dp.Embedding(7, 3), dp.Bidirectional(dp.GRU(2, return_sequences=True)), dp.LSTM(4)])
    rows = {row.name: row for row in net.summary((TIME,)).rows}
    assert rows["2_lstm"].parameters == 4 * 4 * (4 + 4 + 1)
    assert rows["1_bidirectional/backward"].out_shape == (TIME, 2)


@pytest.mark.parametrize("layer", [dp.GRU(2), dp.Bidirectional(dp.RNN(2))])
def test_forward_and_backward_take_what_init_gives(layer):
    variables = layer.init(jax.random.key(0), (3, 2))
    x, dy = jnp.ones((2, 3, 2)), jnp.ones((2, *layer.out_shape((3, 2))))
    by_init, by_params = (layer.forward(params, x) for params in (variables, variables.params))
    np.testing.assert_array_equal(by_init[0], by_params[0])
    _, grads = layer.backward(variables, by_init[1], dy)
    assert jax.tree.structure(grads) == jax.tree.structure(variables.params)
    assert all(variables[name] is variables.params[name] for name in grads)


@dataclass(frozen=True)
class LeakyCell(Cell):
    """hᵗ = (1 − α) hᵗ⁻¹ + α tanh(u)"""

    units: int
    alpha: float = 0.5
    kernel_init: Initializer = field(default_factory=Orthogonal)
    recurrent_init: Initializer = field(default_factory=Orthogonal)

    def sizes(self):
        return (self.units,)

    def init(self, key, size):
        return fresh(self, key, size, 1)

    def step(self, params, drive, carry):
        squashed = jnp.tanh(drive + params.get("b", 0.0) + carry[0] @ params["Wh"])
        return ((1 - self.alpha) * carry[0] + self.alpha * squashed,), squashed

    def slopes(self, params, steps):
        return self.alpha * (1 - steps.kept**2)

    def backward(self, params, slopes, dcarry):
        delta = slopes * dcarry[0]
        return delta, (delta @ params["Wh"].T + (1 - self.alpha) * dcarry[0],)

    def tangent(self, params, slopes, du, dcarry):
        return (slopes * (du + dcarry[0] @ params["Wh"]) + (1 - self.alpha) * dcarry[0],)


@dataclass(frozen=True)
class LeakyRNN(Recurrent):
    units: int
    alpha: float = 0.5

    @property
    def cell(self):
        return self.cell_of(LeakyCell)


def test_a_recurrent_layer_of_ones_own_has_the_options_of_all():
    layer = LeakyRNN(3, 0.25, return_sequences=True, reverse=True)
    assert repr(layer) == "LeakyRNN(3, 0.25, return_sequences=True, reverse=True)"
    assert from_config(to_config(layer)) == layer
    net = dp.Sequential([layer, dp.Bidirectional(LeakyRNN(2)), dp.Dense(2)])
    x, t = np.random.default_rng(0).standard_normal((4, 5, 1)), np.eye(2)[[0, 1, 0, 1]]
    variables = net.init(jax.random.key(0), (5, 1))
    check_gradients(net, dp.MeanSquaredError(), variables, x, t)
    online, loss = LeakyRNN(3, return_sequences=True, use_bias=False), dp.MeanSquaredError()
    variables, t = online.init(jax.random.key(0), (5, 1)), np.ones((4, 5, 3))
    forward = dp.rtrl(online, loss, variables, x, t).grads
    back = dp.backprop(online, loss, variables, x, t).grads
    assert set(forward) == {"Wx", "Wh"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), forward, back)
    assert not {"Recurrent", "Network"} & set(registered(dp.Layer))

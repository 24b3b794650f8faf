"""Graphs: deltas are summed where a value fans out, gradients where a layer is shared."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

import denpa as dp
from denpa.testing import autodiff, check_gradients

LOSS = dp.MeanSquaredError()


@dataclass(frozen=True)
class Weighted(dp.Loss):
    """E = mean over the batch of c₁·y₁ + c₂·½‖y₂‖², for a network with two outputs."""

    reduction: str = "mean"

    def value(self, y: Any, t: Any, sample_weight: Any = None) -> Any:
        return jnp.mean(jnp.sum(t * y[0], axis=1) + 0.5 * jnp.sum(y[1] ** 2, axis=1))

    def delta(self, y: Any, t: Any, sample_weight: Any = None) -> Any:
        n = len(t)
        return (t / n, y[1] / n)


def close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=rtol, atol=atol), a, b)


def data(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


# ------------------------------------------------------------------------------------ values and deltas
def test_a_skip_adds_value_and_delta(key):
    """y = W x + x, hence ∂E/∂x = δ Wᵀ + δ: the error gets past the layer unharmed."""
    x_ = dp.Input()
    net = dp.Graph(x_, dp.Add()(dp.Dense(3, use_bias=False)(x_), x_))
    variables = net.init(key, (3,))
    x, t = data(0, (4, 3), (4, 3))
    W = variables.params["0_dense"]["W"]
    step = dp.backprop(net, LOSS, variables, x, t)
    delta = (x @ W + x - t) / 4
    close(step.output, x @ W + x)
    close(step.dx, delta @ W.T + delta)
    close(step.grads["0_dense"]["W"], x.T @ delta)


def test_deltas_of_a_fan_out_are_summed(key):
    """One value read three times, twice by the same layer."""
    x_ = dp.Input()
    h = dp.Dense(3)(x_, name="h")
    left, right = dp.Dense(2)(h, name="left"), dp.Tanh()(h, name="right")
    total = dp.Concatenate()(left, right, dp.Add()(h, h, name="twice"), name="out")
    net = dp.Graph(x_, total)
    variables = net.init(key, (5,))
    x, t = data(1, (4, 5), (4, 8))
    met = dp.trace(net, LOSS, variables, x, t)
    close(met["h"].dy, met["left"].dx + met["right"].dx + 2 * met["twice"].dy)
    close(met["out"].dx, (met["left"].dy, met["right"].dy, met["twice"].dy))
    close(met.grads, autodiff(net, LOSS, variables, x, t).grads)


def test_shared_layers_sum_their_gradients(key):
    """Against the same network without sharing, given equal weights."""

    def net_of(second):
        a, b = dp.Input("a"), dp.Input("b")
        layer = dp.Dense(3)
        ends = [dp.Tanh()(layer(a, name="enc"), name="fa"), dp.Tanh()(layer(b, name=second), name="fb")]
        return dp.Graph((a, b), dp.Dense(2)(dp.Concatenate()(*ends, name="both"), name="out"))

    shared, apart = net_of("enc"), net_of("enc2")
    variables = shared.init(key, ((4,), (4,)))
    assert set(variables.params) == {"enc", "fa", "fb", "both", "out"}
    copies = dp.Variables({**variables.params, "enc2": variables.params["enc"]}, {})
    xa, xb, t = data(2, (5, 4), (5, 4), (5, 2))
    one, two = dp.trace(shared, LOSS, variables, (xa, xb), t), dp.trace(apart, LOSS, copies, (xa, xb), t)
    close(one.output, two.output)
    close(one.dx, two.dx)
    close(one.grads["enc"], jax.tree.map(jnp.add, two.grads["enc"], two.grads["enc2"]))
    close(one.grads["out"], two.grads["out"])
    assert list(one) == ["enc", "fa", "enc@2", "fb", "both", "out"]
    close(one["enc"].grads, two["enc"].grads)
    close(one["enc@2"].grads, two["enc2"].grads)
    # After one step of gradient descent there is still one array, and it moved by the sum.
    assert one["enc"].grads["W"].shape == variables.params["enc"]["W"].shape


def test_a_layer_may_be_shared_many_times_in_depth(key):
    """h ← tanh(W h + b), five times: an unrolled recurrence."""
    x_ = h = dp.Input()
    cell, squash = dp.Dense(3), dp.Tanh()
    for _ in range(5):
        h = squash(cell(h, name="cell"), name="squash")
    net = dp.Graph(x_, h)
    assert [vertex.name for vertex in net.vertices][-2:] == ["cell@5", "squash@5"]
    variables = net.init(key, (3,))
    x, t = data(3, (4, 3), (4, 3))

    def energy(p, x):
        for _ in range(5):
            x = jnp.tanh(x @ p["W"] + p["b"])
        return 0.5 * jnp.mean(jnp.sum((x - t) ** 2, axis=1))

    step = dp.backprop(net, LOSS, variables, x, t)
    grads, dx = jax.grad(energy, argnums=(0, 1))(variables.params["cell"], x)
    close(step.grads["cell"], grads)
    close(step.dx, dx)


def test_equal_layers_without_a_name_never_share(key):
    x_, layer = dp.Input(), dp.Dense(3)
    net = dp.Graph(x_, layer(layer(x_)))
    assert [vertex.name for vertex in net.vertices] == ["0_dense", "1_dense"]
    params = net.init(key, (3,)).params
    assert not np.allclose(params["0_dense"]["W"], params["1_dense"]["W"])


def test_several_inputs_and_outputs(key):
    a, b = dp.Input(), dp.Input()
    h = dp.Add()(dp.Dense(3)(a), dp.Dense(3)(b))
    net = dp.Graph((a, b), (dp.Tanh()(h), h))
    assert net.out_shape(((2,), (4,))) == ((3,), (3,))
    variables = net.init(key, ((2,), (4,)))
    xa, xb, t = data(4, (5, 2), (5, 4), (5, 3))
    step = dp.backprop(net, Weighted(), variables, (xa, xb), t)
    assert isinstance(step.output, tuple)
    close(step.output[0], jnp.tanh(step.output[1]))
    assert [part.shape for part in step.dx] == [(5, 2), (5, 4)]
    u = step.output[1]
    delta = (t * (1 - jnp.tanh(u) ** 2) + u) / 5  # from both outputs
    p = variables.params
    close(step.dx, (delta @ p["0_dense"]["W"].T, delta @ p["1_dense"]["W"].T))
    check_gradients(net, Weighted(), variables, (xa, xb), t, entries=4)


@pytest.mark.parametrize("x", [jnp.ones((2, 2)), (jnp.ones((2, 2)),), (jnp.ones((2, 2)),) * 3])
def test_the_number_of_inputs_is_checked(x, key):
    a, b = dp.Input("left"), dp.Input("right")
    net = dp.Graph((a, b), dp.Add()(a, b))
    with pytest.raises(dp.ShapeError, match="wants a tuple of 2 arrays, for left, right"):
        net.apply(net.init(key, ((2,), (2,))), x)
    with pytest.raises(dp.ShapeError, match="wants a tuple of 2 shapes"):
        net.init(key, (2,))


def test_graphs_and_rows_nest(key):
    """A residual block, used as a layer, twice with the same weights, below a Sequential."""
    x_ = dp.Input()
    block = dp.Graph(x_, dp.Add()(x_, dp.Dense(4)(dp.Tanh()(dp.Dense(4)(x_, name="in")), name="out"), name="sum"))
    y_ = dp.Input()
    twice = dp.Graph(y_, block(block(y_, name="block"), name="block"))
    net = dp.Sequential([dp.Dense(4), ("body", twice), dp.Dense(2)])
    variables = net.init(key, (3,))
    x, t = data(5, (5, 3), (5, 2))
    met = dp.trace(net, LOSS, variables, x, t)
    assert set(met.grads["body"]) == {"block"}
    assert "body/block@2/out" in met
    close(
        met.grads["body"]["block"],
        jax.tree.map(jnp.add, met["body/block"].grads, met["body/block@2"].grads),
    )
    report = check_gradients(net, LOSS, variables, x, t, entries=4)
    assert "body/block@2/in.grads[W]" in report.autodiff


def test_state_that_is_shared_is_read_by_all_and_advanced_by_each(key):
    x_ = dp.Input()
    norm = dp.BatchNorm(momentum=0.5, unbiased=False)
    first = norm(x_, name="norm")
    net = dp.Graph(x_, norm(dp.Dense(2)(first, name="mix"), name="norm"))
    variables = net.init(key, (2,))
    assert set(variables.state) == {"norm"}
    (x,) = data(6, (8, 2))
    x = 3 * x + 2
    met = dp.trace(net, LOSS, variables, x, jnp.zeros((8, 2)))
    mean = np.zeros(2)
    for batch in (met["norm"].x, met["norm@2"].x):
        mean = 0.5 * mean + 0.5 * np.mean(batch, axis=0)
    close(met.state["norm"]["mean"], mean)
    inference = net.apply((variables.params, met.state), x)
    squeeze = lambda z: (z - met.state["norm"]["mean"]) / np.sqrt(met.state["norm"]["var"] + 1e-5)  # noqa: E731
    mixed = squeeze(x) @ variables.params["mix"]["W"] + variables.params["mix"]["b"]
    close(inference, squeeze(mixed), rtol=1e-4, atol=1e-5)
    check_gradients(net, LOSS, variables, x, jnp.ones((8, 2)), entries=4)
    check_gradients(net, LOSS, (variables.params, met.state), x, jnp.ones((8, 2)), entries=4, train=False)


def test_advancing_the_state_of_a_graph_leaves_the_old_one_as_it_was(key):
    x_ = dp.Input()
    net = dp.Graph(x_, dp.BatchNorm()(x_, name="norm"))
    params, state = net.init(key, (2,))
    before = {"norm": dict(state["norm"])}
    _, saved = net.forward(params, data(1, (8, 2))[0] + 1, dp.Context(train=True, state=state))
    after = net.next_state(state, saved)
    close(state, before)
    assert not np.allclose(after["norm"]["mean"], before["norm"]["mean"])


def test_every_use_of_a_frozen_network_normalises_by_its_statistics():
    x_, body = dp.Input(), dp.Sequential([dp.BatchNorm(), dp.Tanh()])
    inner = dp.Graph(x_, body(body(x_, name="body"), name="body"))
    model = dp.Model([("block", inner), dp.Dense(3)], LOSS, dp.SGD(0.1), in_shape=(3,), frozen="block/body/*")
    x = np.random.default_rng(0).normal(3, 2, (8, 3)).astype(np.float32)
    expected = model.evaluate((x, x))["loss"]
    history = model.fit((x, x), epochs=1, batch_size=8, verbose=False)
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-6)


def test_every_use_of_a_frozen_layer_normalises_by_its_statistics():
    x_, norm = dp.Input(), dp.BatchNorm()
    inner = dp.Graph(x_, norm(dp.Tanh()(norm(x_, name="norm")), name="norm"))
    model = dp.Model([("block", inner), dp.Dense(3)], LOSS, dp.SGD(0.1), in_shape=(3,), frozen="block/norm/*")
    x = np.random.default_rng(0).normal(3, 2, (8, 3)).astype(np.float32)
    expected = model.evaluate((x, x))["loss"]
    history = model.fit((x, x), epochs=1, batch_size=8, verbose=False)
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-6)


def test_uses_of_a_shared_layer_drop_different_units(key):
    x_, drop = dp.Input(), dp.Dropout(0.5)
    net = dp.Graph(x_, dp.Concatenate()(drop(x_, name="drop"), drop(x_, name="drop")))
    met = dp.trace(net, LOSS, net.init(key, (40,)), jnp.ones((1, 40)), jnp.ones((1, 80)), key=key)
    assert not np.array_equal(met["drop"].saved["mask"], met["drop@2"].saved["mask"])


def test_an_input_may_be_an_output():
    x_ = dp.Input()
    net = dp.Graph(x_, (x_, dp.Tanh()(x_)))
    y = net.apply(net.init(jax.random.key(0), (2,)), jnp.ones((1, 2)))
    np.testing.assert_array_equal(y[0], jnp.ones((1, 2)))
    wire = dp.Graph(x_, x_)
    assert dp.from_config(dp.to_config(wire)) == wire
    assert wire.apply(wire.init(jax.random.key(0), (2,)), 3) == 3


# ---------------------------------------------------------------------------------------- any graph at all
@st.composite
def graphs(draw):
    """Random graphs on values of three features: fan-out, several inputs and outputs, shared layers, merges."""
    sources = tuple(dp.Input() for _ in range(draw(st.integers(1, 2))))
    values, unread = list(sources), set(range(len(sources)))
    for _ in range(draw(st.integers(2, 6))):
        count = draw(st.integers(1, 2))
        chosen = [draw(st.integers(0, len(values) - 1)) for _ in range(count)]
        inputs = [values[index] for index in chosen]
        unread -= set(chosen)
        if count == 2:
            values.append(dp.Add()(*inputs))
        else:
            kind = draw(st.sampled_from(["own", "shared", "tanh", "norm", "block"]))
            layer = {
                "own": dp.Dense(3), "shared": dp.Dense(3), "tanh": dp.Tanh(), "norm": dp.BatchNorm(),
                "block": dp.Sequential([dp.Dense(3), dp.Sigmoid()]),
            }[kind]  # fmt: skip
            values.append(layer(*inputs, name=kind if kind in ("shared", "norm") else None))
        unread.add(len(values) - 1)
    ends = [values[index] for index in sorted(unread)]
    while len(ends) > 1:
        ends = [dp.Add()(ends[0], ends[1]), *ends[2:]]
    return dp.Graph(sources, ends[0])


@settings(max_examples=12)
@given(graphs(), st.integers(0, 2**31))
def test_any_graph_agrees_with_autodiff(net, seed):
    """All deltas and gradients of a random graph, in float64."""
    with jax.enable_x64(True):
        variables = net.init(jax.random.key(seed), ((3,),) * len(net.inputs))
        rng = np.random.default_rng(seed)
        x = tuple(rng.normal(size=(4, 3)) for _ in net.inputs)
        t = rng.normal(size=(4, 3))
        ours, theirs = dp.trace(net, LOSS, variables, x, t), autodiff(net, LOSS, variables, x, t)
        assert list(ours) == list(theirs)
        assert [path for path in ours if "/" not in path] == [vertex.name for vertex in net.vertices]
        for path in ours:
            close(ours[path].dy, theirs[path].dy, 1e-9, 1e-10)
            close(ours[path].dx, theirs[path].dx, 1e-9, 1e-10)
            close(ours[path].grads, theirs[path].grads, 1e-9, 1e-10)
        close(ours.grads, theirs.grads, 1e-9, 1e-10)
        close(ours.dx, theirs.dx, 1e-9, 1e-10)
        close(ours.state, theirs.state, 1e-9, 1e-10)


@given(graphs())
def test_any_graph_survives_json_toml_and_printing(net):
    config = dp.to_config(net)
    assert dp.from_config(json.loads(json.dumps(config))) == net
    assert dp.from_config(tomllib.loads(tomli_w.dumps(config))) == net
    assert eval(repr(net), dict(vars(dp))) == net
    assert hash(dp.from_config(config)) == hash(net)


# ------------------------------------------------------------------------------------ several values of one layer
def test_a_layer_that_gives_its_carry_is_unpacked(key):
    """Encoder and decoder written as a graph have the numbers and gradients of the two layers called by hand."""
    first = dp.LSTM(3, return_carry=True, segment=3)
    second = dp.LSTM(3, takes_carry=True, return_sequences=True, segment=3)
    s, r = dp.Input("source"), dp.Input("target")
    _, h, c = first(s, name="encoder")
    net = dp.Graph((s, r), second(r, h, c, name="decoder"))
    variables = net.init(key, ((7, 2), (4, 2)))
    x, z, t = data(2, (5, 7, 2), (5, 4, 2), (5, 4, 3))
    step = dp.backprop(net, LOSS, variables, (x, z), t)

    one, two = variables.params["encoder"], variables.params["decoder"]
    (y, *carry), saved_one = first.forward(one, x)
    out, saved_two = second.forward(two, (z, *carry))
    (dz, *dcarry), dtwo = second.backward(two, saved_two, LOSS.delta(out, t))
    dx, done = first.backward(one, saved_one, (jnp.zeros_like(y), *dcarry))
    close((step.output, step.dx), (out, (dx, dz)))
    close((step.grads["encoder"], step.grads["decoder"]), (done, dtwo))
    close(step.grads, dp.trace(net, LOSS, variables, (x, z), t).grads)
    assert dp.from_config(dp.to_config(net)) == net


def test_a_graph_keeps_what_the_layers_keep_by_themselves(key):
    """Inside a graph too, a layer in segments keeps the carries before them and no step; a record keeps all."""
    x_ = dp.Input()
    layer = dp.GRU(3, return_sequences=True, segment=4)
    graph, row = dp.Graph(x_, dp.Dense(2)(layer(x_))), dp.Sequential([layer, dp.Dense(2)])
    variables = row.init(key, (10, 2))
    x, t = data(3, (5, 10, 2), (5, 10, 2))
    _, saved = graph.forward(variables.params, x)
    assert "starts" in saved["0_gru"]
    assert "kept" not in saved["0_gru"]
    close(*(dp.backprop(net, LOSS, variables, x, t).grads for net in (graph, row)))


def test_values_of_networks_are_unpacked_and_single_ones_refused():
    x_ = dp.Input()
    both = dp.Graph(x_, (dp.Tanh()(x_), dp.Sigmoid()(x_)))
    layers = {
        2: [dp.GRU(3, return_carry=True), both, dp.Sequential([dp.Tanh(), both])],
        3: [dp.LSTM(3, return_carry=True), dp.Bidirectional(dp.GRU(3, return_carry=True))],
        5: [dp.Bidirectional(dp.LSTM(3, return_carry=True))],
    }
    assert all(len(tuple(layer(x_))) == count for count, some in layers.items() for layer in some)
    for value in (
        x_,
        dp.Dense(3)(x_),
        dp.LSTM(3)(x_),
        dp.Bidirectional(dp.LSTM(3))(x_),
        dp.Sequential([dp.Tanh()])(x_),
    ):
        with pytest.raises(dp.ConfigError, match="cannot be unpacked"):
            tuple(value)

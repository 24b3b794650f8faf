"""Layers in a row: names, shapes and their errors, random numbers by name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.keys import key_for
from denpa.core.layer import Context
from denpa.testing import check_gradients


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [(1, "0_tanh", "0_tanh"), (10, "0_tanh", "9_tanh"), (11, "00_tanh", "10_tanh"), (101, "000_tanh", "100_tanh")],
)
def test_names_are_padded_to_equal_width(count, first, last):
    names = [name for name, _ in dp.Sequential([dp.Tanh()] * count).inner()]
    assert (names[0], names[-1]) == (first, last)
    assert names == sorted(names)
    assert len(set(names)) == count


def test_own_names_stand_beside_automatic_ones():
    net = dp.Sequential([dp.Dense(3), ("middle", dp.BatchNorm()), dp.LeakyReLU()])
    assert [name for name, _ in net.inner()] == ["0_dense", "middle", "2_leakyrelu"]
    variables = net.init(jax.random.key(0), (2,))
    assert set(variables.params) == {"0_dense", "middle", "2_leakyrelu"}
    assert set(variables.state) == {"middle"}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("a", dp.Tanh()), ("a", dp.Dense(1))], "Two layers of this Sequential are called 'a'"),
        ([("1_tanh", dp.Tanh()), dp.Tanh()], "called '1_tanh'"),
        ([("a/b", dp.Tanh())], "without a slash, not 'a/b'"),
        ([("", dp.Tanh())], "without a slash, not ''"),
        ([(1, dp.Tanh())], "must be a string"),
        ([dp.Tanh], "Did you forget the brackets?"),
        ([dp.Tanh(), None], "Entry 1 must be a layer or a pair"),
        ([("a", dp.Tanh(), 3)], "Entry 0 must be a layer or a pair"),
        ([dp.SGD(0.1)], r"Entry 0 must be a layer or a pair .*, not SGD\(0.1\)"),
    ],
)
def test_what_is_no_row_of_layers_is_refused(layers, message):
    with pytest.raises(dp.ConfigError, match=message):
        dp.Sequential(layers)


def test_a_network_is_a_layer_and_its_layers_stand_below_its_name(key):
    net = dp.Sequential([dp.Dense(4), ("block", dp.Sequential([dp.Tanh(), ("out", dp.Dense(3))]))])
    variables = net.init(key, (2,))
    assert variables.params["block"]["out"]["W"].shape == (4, 3)
    x, t = jax.random.normal(key, (5, 2)), jnp.zeros((5, 3))
    met = dp.trace(net, dp.MeanSquaredError(), variables, x, t)
    assert list(met) == ["0_dense", "block", "block/0_tanh", "block/out"]
    np.testing.assert_array_equal(met["block"].y, met["block/out"].y)
    np.testing.assert_array_equal(met["block"].x, met["0_dense"].y)
    np.testing.assert_array_equal(met["block"].dx, met["block/0_tanh"].dx)
    np.testing.assert_array_equal(met["block"].grads["out"]["W"], met["block/out"].grads["W"])
    with pytest.raises(KeyError, match="No layer 'block/0_tan': did you mean 'block/0_tanh'"):
        met["block/0_tan"]


def test_apply_is_the_composition_of_the_layers(key):
    net = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(3), dp.Softmax()])
    variables = net.init(key, (2,))
    x = jax.random.normal(key, (5, 2))
    p = variables.params
    u = np.tanh(np.asarray(x) @ p["0_dense"]["W"] + p["0_dense"]["b"]) @ p["2_dense"]["W"] + p["2_dense"]["b"]
    expected = np.exp(u) / np.exp(u).sum(1, keepdims=True)
    np.testing.assert_allclose(net.apply(variables, x), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(net.apply)(variables, x), expected, rtol=1e-5)
    np.testing.assert_allclose(net.apply(tuple(variables), x), expected, rtol=1e-5)


def test_an_empty_row_is_the_identity():
    net = dp.Sequential([])
    x = jnp.arange(6.0).reshape(2, 3)
    assert net.out_shape((3,)) == (3,)
    assert net.apply(net.init(jax.random.key(0), (3,)), x) is x


def test_shape_errors_name_the_layer_and_both_shapes(key):
    net = dp.Sequential([dp.Flatten(), ("wide", dp.Sequential([dp.Dense(3), dp.Reshape((2, 2))]))])
    with pytest.raises(dp.ShapeError, match=r"Layer 'wide': Layer '1_reshape': Reshape\(\(2, 2\)\).*\(3,\)"):
        net.init(key, (2, 2))
    fitting = dp.Sequential([("first", dp.Dense(3)), dp.Tanh(), ("second", dp.Dense(2))])
    variables = fitting.init(key, (4,))
    with pytest.raises(
        dp.ShapeError, match=r"Layer 'first': Dense\(3\) wants shape \(batch ... in=4\) but got \(5, 3\)"
    ):
        fitting.apply(variables, jnp.ones((5, 3)))
    with pytest.raises(dp.ShapeError, match=r"Layer 'first'.*Is the batch axis missing"):
        dp.backprop(fitting, dp.MeanSquaredError(), variables, jnp.ones(4), jnp.ones((1, 2)))
    other = {**variables.params, "second": {"W": jnp.ones((7, 2)), "b": jnp.ones(2)}}
    with pytest.raises(dp.ShapeError, match="Layer 'second'"):
        fitting.apply((other, {}), jnp.ones((5, 4)))


def test_check_lists_all_that_is_wrong(key):
    net = dp.Sequential([dp.Dense(3), dp.BatchNorm()])
    params, state = net.init(key, (4,))
    net.check(dp.Variables(params, state), (4,))
    wrong = {
        "0_dense": {"W": params["0_dense"]["W"].T},
        "1_batchnorm": params["1_batchnorm"],
        "extra": {"W": jnp.ones(1)},
    }
    with pytest.raises(dp.ShapeError) as caught:
        net.check(dp.Variables(wrong, {}), (4,))
    for part in (
        "params/0_dense/b is missing",
        "state/1_batchnorm/mean is missing",
        "params/extra/W is extra",
        "params/0_dense/W has shape (3, 4) instead of (4, 3)",
    ):
        assert part in str(caught.value)


def test_initial_weights_are_a_function_of_key_and_name(key):
    layer = dp.Dense(3)
    params = dp.Sequential([("a", layer), ("b", dp.Dense(3))]).init(key, (3,)).params
    assert bits(params["a"]) == bits(layer.init(key_for(key, "a"), (3,)))
    assert bits(params["a"]) != bits(params["b"])
    assert bits(params) == bits(dp.Sequential([("a", layer), ("b", dp.Dense(3))]).init(key, [3]).params)
    assert bits(params) != bits(dp.Sequential([("a", layer), ("b", dp.Dense(3))]).init(jax.random.key(1), (3,)).params)


def test_a_new_layer_moves_nobody_elses_weights_or_masks(key):
    """With names of one's own; automatic names count positions and so move."""
    loss = dp.MeanSquaredError()
    rows = [("in", dp.Dense(6)), ("drop", dp.Dropout(0.5)), ("out", dp.Dense(2))]
    longer = [("new", dp.Dense(4)), *rows[:1], ("noise", dp.GaussianNoise(0.0)), ("also", dp.Dropout(0.3)), *rows[1:]]
    short, long = dp.Sequential(rows), dp.Sequential(longer)
    a, b = short.init(key, (4,)), long.init(key, (4,))
    assert bits(a.params["in"]) == bits(b.params["in"])
    assert bits(a.params["out"]) == bits(b.params["out"])
    x, t = jax.random.normal(key, (5, 4)), jnp.zeros((5, 2))
    masks = [
        dp.trace(net, loss, variables, x, t, key=jax.random.key(7))["drop"].saved["mask"]
        for net, variables in ((short, a), (long, b))
    ]
    assert bits(masks[0]) == bits(masks[1])
    moved = dp.Sequential([dp.Dense(4), dp.Dense(6)]).init(key, (4,)).params["1_dense"]
    assert bits(moved["W"]) != bits(dp.Sequential([dp.Dense(6)]).init(key, (4,)).params["0_dense"]["W"])


def test_layers_of_one_class_drop_different_units(key):
    net = dp.Sequential([("a", dp.Dropout(0.5)), ("b", dp.Dropout(0.5))])
    met = dp.trace(net, dp.MeanSquaredError(), net.init(key, (40,)), jnp.ones((2, 40)), jnp.ones((2, 40)), key=key)
    assert bits(met["a"].saved) != bits(met["b"].saved)
    assert bits(met["a"].saved["mask"][0]) != bits(met["a"].saved["mask"][1])


def test_every_layer_reads_and_advances_its_own_state(key):
    net = dp.Sequential([("a", dp.BatchNorm(momentum=0.0)), dp.Dense(3), ("b", dp.BatchNorm(momentum=0.5))])
    variables = net.init(key, (2,))
    x = jax.random.normal(key, (6, 2)) * 3 + 1
    met = dp.trace(net, dp.MeanSquaredError(), variables, x, jnp.zeros((6, 3)))
    np.testing.assert_allclose(met.state["a"]["mean"], np.mean(x, 0), rtol=1e-5)
    np.testing.assert_allclose(met.state["a"]["var"], np.var(x, 0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(met.state["b"]["mean"], 0.5 * np.mean(met["b"].x, 0), rtol=1e-4, atol=1e-6)
    inference = net.apply((variables.params, met.state), x)
    inner = (x - met.state["a"]["mean"]) / np.sqrt(met.state["a"]["var"] + 1e-5)
    y = inner @ variables.params["1_dense"]["W"]
    expected = (y - met.state["b"]["mean"]) / np.sqrt(met.state["b"]["var"] + 1e-5)
    np.testing.assert_allclose(inference, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_a_deep_row_agree_with_both_oracles(key):
    net = dp.Sequential(
        [
            dp.Dense(5),
            dp.Tanh(),
            ("block", dp.Sequential([dp.BatchNorm(), dp.Dense(4), dp.Dropout(0.3)])),
            dp.Sigmoid(),
            dp.Dense(3),
        ]
    )
    variables = net.init(key, (4,))
    x = jax.random.normal(key, (6, 4))
    t = jnp.array([0, 2, 1, 1, 0, 2])
    weight = jnp.array([1.0, 0.5, 0.0, 2.0, 1.0, 0.3])
    report = check_gradients(net, dp.SoftmaxCrossEntropy(), variables, x, t, key=key, sample_weight=weight, entries=6)
    assert max(report.autodiff.values()) < 1e-12
    assert {name.rpartition(".")[0] for name in report.autodiff} == {
        "0_dense", "1_tanh", "block/0_batchnorm", "block/1_dense", "block/2_dropout", "3_sigmoid", "4_dense"
    }  # fmt: skip


def test_forward_and_backward_can_be_called_by_themselves(key):
    """A network is a layer: with (params, x, ctx) and (params, saved, dy)."""
    net = dp.Sequential([dp.Dense(3), dp.Tanh()])
    params, _ = net.init(key, (2,))
    x, dy = jax.random.normal(key, (4, 2)), jax.random.normal(jax.random.key(1), (4, 3))
    y, saved = net.forward(params, x, Context(train=True))
    dx, grads = net.backward(params, saved, dy)
    expected, pull = jax.vjp(lambda p, x: jnp.tanh(x @ p["0_dense"]["W"] + p["0_dense"]["b"]), params, x)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), (grads, dx), pull(dy))


def test_a_network_survives_json_and_prints_as_code():
    net = dp.Sequential([("a", dp.Dense(3, use_bias=False)), dp.Sequential([dp.ReLU(1), dp.Dropout(0.25)])])
    assert eval(repr(net), vars(dp)) == net
    assert dp.from_config(dp.to_config(net)) == net
    assert dp.from_config(dp.to_config(net)).inner() == net.inner()

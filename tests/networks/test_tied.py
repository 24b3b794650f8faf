"""Ties between weights: one number in several places, and the sum of its gradients."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree

RNG = np.random.default_rng(5)
X = jnp.asarray(RNG.standard_normal((7, 6)), jnp.float32)
T = jnp.asarray(RNG.standard_normal((7, 6)), jnp.float32)
LAYERS = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(6)])
TRANSPOSED = dp.Tied(LAYERS, [dp.Tie("2_dense/W", "0_dense/W", transpose=True)])
# Two entries tied to one, one of them in the same array, and a whole array to another.
ENTRIES = dp.Tied(
    dp.Sequential([dp.Dense(6), dp.Tanh(), dp.Dense(6), dp.Sigmoid(), dp.Dense(6)]),
    [
        dp.Tie("0_dense/W", "2_dense/W", at=(1, 2), source_at=(3, 4)),
        dp.Tie("2_dense/W", "2_dense/W", at=(0, 0), source_at=(3, 4)),
        dp.Tie("4_dense/b", "0_dense/b"),
    ],
)


def started(net, seed=0):
    variables = net.init(jax.random.key(seed), (6,))
    moved = jax.tree.map(lambda a: a + 0.1 * RNG.standard_normal(a.shape).astype(np.float32), variables.params)
    return dp.Variables(moved, variables.state)


def test_weights_of_numpy_are_tied_outside_of_a_compiled_program():
    variables = started(ENTRIES)
    with jax.disable_jit():
        y = ENTRIES.apply(jax.tree.map(np.asarray, variables), X)
    np.testing.assert_allclose(y, ENTRIES.apply(variables, X), rtol=1e-5)


def test_the_tied_array_is_no_parameter_and_the_decoder_uses_the_encoder():
    variables = started(TRANSPOSED)
    assert set(tree.flatten(variables.params)) == {"0_dense/W", "0_dense/b", "2_dense/b"}
    p = variables.params
    code = np.tanh(X @ p["0_dense"]["W"] + p["0_dense"]["b"])
    expected = code @ p["0_dense"]["W"].T + p["2_dense"]["b"]
    np.testing.assert_allclose(TRANSPOSED.apply(variables, X), expected, rtol=2e-5, atol=1e-6)
    assert TRANSPOSED.summary((6,)).parameters == 6 * 4 + 4 + 6


def unfolded(net, variables):
    """Variables with which the network inside computes the same."""
    return dp.Variables(net.expanded(variables.params), variables.state)


def test_the_gradient_is_the_sum_over_the_places():
    variables = started(TRANSPOSED)
    apart = dp.backprop(TRANSPOSED.net, dp.MeanSquaredError(), unfolded(TRANSPOSED, variables), X, T).grads
    together = dp.backprop(TRANSPOSED, dp.MeanSquaredError(), variables, X, T).grads
    np.testing.assert_allclose(together["0_dense"]["W"], apart["0_dense"]["W"] + apart["2_dense"]["W"].T, rtol=1e-5)
    met = dp.trace(TRANSPOSED, dp.MeanSquaredError(), variables, X, T)
    np.testing.assert_allclose(met["2_dense"].grads["W"], apart["2_dense"]["W"], rtol=1e-5)
    np.testing.assert_allclose(met.grads["0_dense"]["W"], together["0_dense"]["W"], rtol=1e-5)


def test_costs_and_statistics_are_those_of_the_network_inside():
    layers = [dp.Dense(4), dp.BatchNorm(), dp.ActivityL1(0.3), dp.Dense(6)]
    net = dp.Tied(dp.Sequential(layers), dp.Tie("3_dense/W", "0_dense/W", transpose=True))
    variables = started(net)
    loss = dp.MeanSquaredError()
    both = (net, variables), (net.net, unfolded(net, variables))
    ours, theirs = (dp.backprop(n, loss, v, X, T) for n, v in both)
    assert float(ours.cost) == pytest.approx(float(theirs.cost), rel=1e-6)
    assert ours.cost > 0
    assert float(dp.trace(net, loss, variables, X, T).loss) == pytest.approx(float(ours.loss), rel=1e-6)
    for name, value in ours.state["1_batchnorm"].items():
        np.testing.assert_allclose(value, theirs.state["1_batchnorm"][name], rtol=1e-5)
        assert np.any(value != variables.state["1_batchnorm"][name])


def test_ties_leave_the_places_of_shared_layers_as_they_are():
    x = dp.Input()
    half = dp.Dense(6)(dp.Tanh()(dp.Dense(6)(x, name="twice")))
    net = dp.Graph(x, dp.Dense(6)(half, name="twice"))
    tied = dp.Tied(net, [dp.Tie("2_dense/W", "twice/W")])
    assert tied.slots() == net.slots()
    assert net.slots()["twice@2"] == "twice"


def test_ties_keep_the_laws():
    assert "autodiff, training" in dp.testing.check_layer(ENTRIES, (6,))


def test_the_oracles_know_ties():
    case = (TRANSPOSED, dp.MeanSquaredError(), started(TRANSPOSED), X, T)
    ours, theirs, slopes = dp.trace(*case), dp.testing.autodiff(*case), dp.testing.numerical(*case)
    for path, value in tree.flatten(ours.grads).items():
        np.testing.assert_allclose(value, tree.flatten(theirs.grads)[path], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(value, tree.flatten(slopes.grads)[path], rtol=1e-4, atol=1e-6)
    assert list(ours) == list(theirs)
    assert "2_dense.grads[W]" in dp.testing.check_gradients(*case).autodiff


def test_single_entries_stay_equal_while_training():
    model = dp.Model(ENTRIES, dp.MeanSquaredError(), dp.AdamW(0.05), penalty=dp.L2(0.1))
    model.fit((X, T), epochs=3, verbose=False)
    p = ENTRIES.expanded(model.variables.params)
    assert p["0_dense"]["W"][1, 2] == p["2_dense"]["W"][3, 4] == p["2_dense"]["W"][0, 0] != 0
    assert model.variables.params["0_dense"]["W"][1, 2] == 0  # so that no penalty counts it twice
    assert "b" not in model.variables.params["4_dense"]


def test_a_tied_convolution_and_its_transpose(tmp_path):
    net = dp.Tied(
        dp.Sequential([dp.Conv2d(3, 3, padding=1), dp.ReLU(), dp.ConvTranspose2d(1, 3, padding=1)]),
        [dp.Tie("2_convtranspose2d/W", "0_conv2d/W", transpose=True)],
    )
    x = RNG.standard_normal((4, 5, 5, 1)).astype(np.float32)
    model = dp.Model(net, dp.MeanSquaredError(half=False))
    before = model.fit((x, x), epochs=1, verbose=False)["loss"][0]
    assert model.fit((x, x), epochs=30, verbose=False)["loss"][-1] < before
    model.save(tmp_path / "tied.safetensors")
    again = dp.load(tmp_path / "tied.safetensors")
    assert again.net == net
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("tie", "error", "message"),
    [
        (dp.Tie("2_dense/W", "0_dense/w"), dp.ConfigError, "0_dense/W"),
        (dp.Tie("2_dense/W", "0_dense/W"), dp.ShapeError, "transpose=True"),
        (dp.Tie("2_dense/b", "0_dense/b", transpose=True), dp.ShapeError, "cannot be transposed"),
        (dp.Tie("2_dense/W", "0_dense/W", at=(4, 0), source_at=(0, 0)), dp.ConfigError, "no entry"),
        (dp.Tie("2_dense/W", "0_dense/W", at=(-1, 0), source_at=(0, 0)), dp.ConfigError, "no entry"),
    ],
)
def test_a_tie_that_cannot_be_is_refused_by_name(tie, error, message):
    with pytest.raises(error, match=message):
        dp.Tied(LAYERS, [tie]).init(jax.random.key(0), (6,))


A, B, C = "0_dense/W", "2_dense/W", "4_dense/W"


@pytest.mark.parametrize(
    "ties",
    [
        [dp.Tie(B, A), dp.Tie(B, C)],
        [dp.Tie(B, A), dp.Tie(C, B)],
        [dp.Tie(B, A), dp.Tie(B, A, at=(0, 0), source_at=(1, 1))],
        [dp.Tie(B, A, at=(0, 0), source_at=(1, 1)), dp.Tie(B, C)],
        [dp.Tie(B, A, at=(0, 0), source_at=(1, 1)), dp.Tie(B, C, at=(0, 0), source_at=(1, 1))],
        [dp.Tie(B, A, at=(0, 0), source_at=(1, 1)), dp.Tie(C, B)],
        [dp.Tie(B, A), dp.Tie(C, B, at=(0, 0), source_at=(1, 1))],
    ],
)
def test_double_ties_and_chains_are_refused(ties):
    with pytest.raises(dp.ConfigError, match="tied"):
        dp.Tied(LAYERS, ties)


@pytest.mark.parametrize(
    "fields",
    [{"at": (0, 1)}, {"source_at": (0, 1)}, {"at": (0, 1), "source_at": (1, 0), "transpose": True}, {"source": B}],
)
def test_a_tie_makes_sense(fields):
    tie = dp.Tie(B, A)
    with pytest.raises(dp.ConfigError, match=r"itself|entries"):
        dataclasses.replace(tie, **fields)


@pytest.mark.parametrize("index", [0, 1, None, "", {}, 0.0, (0.5, 0), ("a", 0)])
def test_an_index_of_an_entry_is_a_tuple_of_whole_numbers(index):
    with pytest.raises(dp.ConfigError, match=r"entries want both at and source_at, such as \(0, 3\)"):
        dp.Tie("2_dense/W", "0_dense/W", at=index, source_at=index)


def test_an_index_may_be_a_list_or_an_array():
    tie = dp.Tie("2_dense/W", "0_dense/W", at=[0, 3], source_at=np.array([1, 2]))
    assert (tie.at, tie.source_at) == ((0, 3), (1, 2))

"""PyTorch's recurrent modules of several layers and both directions, from golden files: layers of ours take them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

import denpa as dp
from tests.golden import load


def model(*recurrent, shape=(5,)):
    return dp.Model([dp.Embedding(7, 3), *recurrent, dp.Dense(2)], dp.MeanSquaredError(), in_shape=shape)


def both(layer):
    return dp.Bidirectional(layer.replace(return_sequences=True))


STACKS = {
    "rnn_two_layers": [dp.RNN(4, return_sequences=True, use_bias=False)] * 2,
    "lstm_bidirectional": [both(dp.LSTM(2))],
    "gru_two_layers_bidirectional": [both(dp.GRU(2, reset_after=True)), dp.Dropout(0.5)] * 2,
}


@pytest.mark.parametrize("case", STACKS)
def test_stacks_and_both_directions_give_pytorchs_output(case):
    golden, ours = load(f"weights/{case}", np.float32), model(*STACKS[case])
    ours.load_weights(golden["state"], pytorch=True)
    np.testing.assert_allclose(ours.net.apply(ours.variables, golden["x"]), golden["y"], rtol=1e-5, atol=1e-5)


def test_a_module_is_named_for_its_layers_one_by_one_or_together():
    state, stack = load("weights/gru_two_layers_bidirectional", np.float32)["state"], STACKS
    ours = model(*stack["gru_two_layers_bidirectional"])
    ours.load_weights(state, pytorch=True)
    for names in (
        {"1_bidirectional": "1", "3_bidirectional": "1"},
        {f"{k}_bidirectional/{way}": "1" for k in (3, 1) for way in ("backward", "forward")},
    ):
        there = model(*stack["gru_two_layers_bidirectional"])
        there.load_weights(state, pytorch=True, names={**names, "0_embedding": "0", "5_dense": "2"})
        jax.tree.map(np.testing.assert_array_equal, there.variables, ours.variables)
    with pytest.raises(dp.ShapeError, match=r"'1' of PyTorch is 4 layers \(1 l0, 1 l0_reverse, .*is named for 2"):
        ours.load_weights(state, pytorch=True, names={"1_bidirectional": "1"})
    with pytest.raises(dp.ShapeError, match=r"6 modules of PyTorch, or layers of them \(0, 1 l0, .* for 3 layers"):
        model(dp.GRU(2, reset_after=True)).load_weights(state, pytorch=True)


def test_the_order_of_a_modules_own_arrays_is_of_no_matter():
    """A safetensors file, and a dict made by hand, may have the second layer in front of the first."""
    state = load("weights/rnn_two_layers", np.float32)["state"]
    ours, there = (model(*STACKS["rnn_two_layers"]) for _ in range(2))
    ours.load_weights(state, pytorch=True)
    second_first = {name: state[name] for name in sorted(state, key=lambda name: (name[0], -ord(name[-1])))}
    assert list(second_first).index("1.weight_ih_l1") < list(second_first).index("1.weight_ih_l0")
    there.load_weights(second_first, pytorch=True)
    jax.tree.map(np.testing.assert_array_equal, there.variables, ours.variables)


def test_a_cell_is_one_layer():
    state = load("weights/rnn_two_layers", np.float32)["state"]
    cell = {f"cell.{name}": state[f"1.{name}_l0"] for name in ("weight_ih", "weight_hh")}
    ours = dp.Model([dp.RNN(4, use_bias=False)], dp.MeanSquaredError(), in_shape=(5, 3))
    ours.load_weights(cell, pytorch=True)
    np.testing.assert_array_equal(ours.variables.params["0_rnn"]["Wx"], cell["cell.weight_ih"].T)
    np.testing.assert_array_equal(ours.variables.params["0_rnn"]["Wh"], cell["cell.weight_hh"].T)


def test_every_array_of_a_part_that_does_not_fit_is_listed():
    state = load("weights/lstm_bidirectional", np.float32)["state"]
    del state["1.bias_hh_l0"], state["1.weight_hh_l0_reverse"]
    state |= {"1.weight_hr_l0": np.ones((1, 2)), "1.bias_ih_l0_reverse": np.ones(7)}
    ours = model(dp.LSTM(2, return_sequences=True), dp.LSTM(2, return_sequences=True))
    before = ours.variables
    with pytest.raises(dp.ShapeError) as refused:
        ours.load_weights(state, pytorch=True)
    for fault in (
        "1: weight_hr_l0 has no counterpart in 1_lstm, which is LSTM(2, return_sequences=True)",
        "1: bias_hh_l0 is missing for 1_lstm",
        "1: weight_hh_l0_reverse is missing for 2_lstm",
        "1: bias_ih_l0_reverse has shape (7,), but 2_lstm wants 4 times 2 rows",
        "1: l0_reverse reads from the last step to the first, but 2_lstm the other way round",
        "3_dense/W has shape (4, 2) instead of (2, 2)",
    ):
        assert fault in str(refused.value)
    jax.tree.map(np.testing.assert_array_equal, ours.variables, before)


def square_stack():
    return dp.Model([dp.Dense(3), dp.Tanh(), dp.Dense(3), dp.Tanh(), dp.Dense(3)], dp.MeanSquaredError(), in_shape=(3,))


def test_modules_keep_the_order_of_the_state_dict_whatever_their_names(tmp_path):
    rng, ours = np.random.default_rng(0), square_stack()
    state = {f"{name}.weight": rng.normal(size=(3, 3)).astype("f") for name in ("inp", "hid", "out")}
    state |= {name.replace("weight", "bias"): np.zeros(3, "f") for name in state}
    ours.load_weights(state, pytorch=True)
    for path, name in (("0_dense", "inp"), ("2_dense", "hid"), ("4_dense", "out")):
        np.testing.assert_array_equal(ours.variables.params[path]["W"], state[f"{name}.weight"].T)
    save_file(state, tmp_path / "named.safetensors")
    with pytest.raises(dp.ShapeError, match="'hid' and 'inp' have arrays of the same shapes: pair them by names="):
        square_stack().load_weights(tmp_path / "named.safetensors", pytorch=True)
    numbered = {
        name.replace("inp", "fc2").replace("hid", "fc10").replace("out", "fc11"): a for name, a in state.items()
    }
    save_file(numbered, tmp_path / "numbered.safetensors")
    there = square_stack()
    there.load_weights(tmp_path / "numbered.safetensors", pytorch=True)
    jax.tree.map(np.testing.assert_array_equal, there.variables, ours.variables)

"""The table of layers tells the truth about shapes, parameters and memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp

import denpa as dp
from denpa.core.layer import Context


def test_the_table_of_a_nested_network():
    block = dp.Sequential([dp.Dense(4), dp.Tanh()])
    summary = dp.Sequential([dp.Flatten(), ("block", block), dp.Dense(3, use_bias=False)]).summary((2, 3))
    assert [(row.name, row.out_shape, row.parameters) for row in summary.rows] == [
        ("0_flatten", (6,), 0),
        ("block/0_dense", (4,), 6 * 4 + 4),
        ("block/1_tanh", (4,), 0),
        ("2_dense", (3,), 12),
    ]
    assert summary.parameters == 40
    # Dense keeps its input, Tanh its output, which is the next Dense's input: counted once.
    assert [row.saved_bytes for row in summary.rows] == [0, 24, 16, 0]
    assert summary.saved_bytes == 40


def test_it_prints_names_layers_and_sizes():
    net = dp.Sequential([dp.Dense(1000), dp.ReLU()])
    text = str(net.summary((784,)))
    lines = text.splitlines()
    assert lines[0].split() == ["name", "layer", "output", "parameters", "saved", "for", "backward"]
    assert lines[2].split() == ["0_dense", "Dense(1000)", "(1000,)", "785,000", "3,136", "B"]
    assert lines[3].split() == ["1_relu", "ReLU()", "(1000,)", "0", "1,000", "B"]
    assert lines[-1] == "input (784,), 785,000 parameters, 4,136 B saved for backward per example"
    assert repr(net.summary((784,))) == text


def test_without_a_shape_names_and_layers_are_known():
    text = str(dp.Sequential([dp.Dense(5)]).summary())
    assert "0_dense" in text
    assert "Sizes are known once the shape of one example is" in text
    assert dp.Sequential([dp.Dense(5)]).summary().parameters is None


def test_batch_normalisation_of_single_numbers_can_be_summarised():
    """In training it refuses a batch of one, which is no reason to refuse a table."""
    summary = dp.Sequential([dp.Dense(4), dp.BatchNorm(), dp.ReLU()]).summary((3,))
    assert [row.parameters for row in summary.rows] == [16, 8, 0]
    assert [row.saved_bytes for row in summary.rows] == [12, 16, 4]  # its statistics are not kept per example


def test_saved_bytes_are_those_of_the_arrays_kept(key):
    net = dp.Sequential([dp.Dense(4), dp.Dropout(0.5), dp.Sigmoid(), dp.Dense(2)])
    params, _ = net.init(key, (3,))
    saved = [net.forward(params, jnp.ones((n, 3)), Context(True, key))[1] for n in (4, 5)]
    sizes = [sum({id(a): a.nbytes for a in jax.tree.leaves(s)}.values()) for s in saved]
    assert net.summary((3,)).saved_bytes == sizes[1] - sizes[0]


def test_shared_parameters_are_counted_once_and_inputs_may_be_several():
    a, b = dp.Input(), dp.Input()
    layer = dp.Dense(3)
    net = dp.Graph((a, b), dp.Add()(layer(a, name="shared"), layer(b, name="shared")))
    summary = net.summary(((5,), (5,)))
    assert [(row.name, row.parameters) for row in summary.rows] == [("shared", 18), ("shared@2", 0), ("2_add", 0)]
    assert summary.parameters == 18
    assert "input ((5,), (5,)), 18 parameters" in str(summary)


def test_a_layer_without_arrays_is_listed_with_zeros():
    (row,) = dp.Sequential([dp.Identity()]).summary((2,)).rows
    assert (row.parameters, row.saved_bytes) == (0, 0)

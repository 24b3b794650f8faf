"""What stands at a network's entrance: bytes, integers, other precisions, lengths."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp

RNG = np.random.default_rng(7)
BYTES = RNG.integers(0, 256, (6, 6, 6, 2), dtype=np.uint8)
T = RNG.integers(0, 3, 6)
LOSS = dp.SoftmaxCrossEntropy()
FIRST = [
    (dp.AveragePool2d(2), dp.Flatten()),
    (dp.Conv2d(3, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten()),
    (dp.ConvTranspose2d(2, 3), dp.Flatten()),
    (dp.LocalResponseNorm(), dp.Flatten()),
    (dp.BatchNorm(), dp.Flatten()),
    (dp.Sigmoid(), dp.Flatten()),
    (dp.GaussianNoise(0.1), dp.Flatten()),
    (dp.Softmax(), dp.Flatten()),
    (dp.Reshape((6, 12)), dp.LSTM(4)),
    (dp.Reshape((6, 12)), dp.GRU(4)),
    (dp.Reshape((6, 12)), dp.RNN(4)),
    (dp.Flatten(),),
]


def network(first):
    net = dp.Sequential([*first, dp.Dense(3)])
    return net, net.init(jax.random.key(0), BYTES.shape[1:])


def close(a, b, tolerance):
    scale = float(np.max(np.abs(b), initial=1e-3))
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), atol=tolerance * scale)


@pytest.mark.parametrize("first", FIRST, ids=lambda first: str(first[0]))
@pytest.mark.parametrize("kind", [np.uint8, jnp.bfloat16])
def test_numbers_of_another_kind_are_read_in_the_precision_of_the_parameters(first, kind):
    net, variables = network(first)
    x, key = BYTES.astype(np.float32), jax.random.key(1)
    given = jnp.asarray(x, kind)
    y = net.apply(variables, given)
    assert y.dtype == jnp.float32
    close(y, net.apply(variables, x), 1e-5)
    wanted, step = (dp.backprop(net, LOSS, variables, a, T, key=key) for a in (x, given))
    assert step.dx.dtype == jnp.float32
    jax.tree.map(lambda a, b: close(a, b, 1e-4), (step.grads, step.dx), (wanted.grads, wanted.dx))


@pytest.mark.parametrize("first", FIRST, ids=lambda first: str(first[0]))
def test_in_double_precision_everything_is_read_in_it(first):
    with jax.enable_x64(True):
        net, variables = network(first)
        for x in (BYTES, BYTES.astype(np.float32), BYTES.astype(np.float64)):
            assert net.apply(variables, x).dtype == jnp.float64
            assert dp.backprop(net, LOSS, variables, x, T, key=jax.random.key(1)).dx.dtype == jnp.float64


def test_gradients_can_be_checked_on_bytes():
    net, variables = network((dp.AveragePool2d(2), dp.Flatten()))
    report = dp.testing.check_gradients(net, LOSS, variables, BYTES, T)
    assert "0_averagepool2d.dx" in report.numerical


def test_sums_of_bytes_do_not_run_over():
    a, b = dp.Input(), dp.Input()
    net = dp.Graph((a, b), dp.Add()(a, b))
    variables = net.init(jax.random.key(0), ((2,), (2,)))
    np.testing.assert_array_equal(net.apply(variables, (np.uint8([[200, 3]]), np.uint8([[100, 4]]))), [[300, 7]])


@dataclass(frozen=True)
class RowsByNumber(dp.Layer):
    def init(self, key, in_shape):
        return {"W": jax.random.normal(key, (5, 2))}

    def forward(self, params, x, ctx=dp.Context()):
        return params["W"][x], {}


@dataclass(frozen=True)
class SquaredNumbers(dp.Layer):
    takes_integers = False

    def forward(self, params, x, ctx=dp.Context()):
        return x * x, {}


def test_a_layer_of_ones_own_is_given_integers_unless_it_refuses_them():
    rows, bytes_ = np.array([[0, 4], [1, 1]]), np.uint8([[100, 2]])
    variables = dp.Variables({"0_rowsbynumber": {"W": jnp.arange(10.0).reshape(5, 2)}}, {})
    np.testing.assert_array_equal(dp.Sequential([RowsByNumber()]).apply(variables, rows)[0, 1], [8, 9])
    np.testing.assert_array_equal(
        dp.Sequential([SquaredNumbers()]).apply(dp.Variables({"0_squarednumbers": {}}, {}), bytes_), [[1e4, 4]]
    )


def test_an_input_of_a_graph_is_given_integers_where_one_of_its_readers_takes_them():
    words, unsaid, numbers = dp.Input(), dp.Input(), dp.Input()
    readers = [
        dp.Embedding(5, 2)(words), dp.Flatten()(words), RowsByNumber()(words),
        RowsByNumber()(unsaid), dp.Flatten()(unsaid), dp.Tanh()(numbers),
    ]  # fmt: skip
    net = dp.Graph((words, unsaid, numbers), tuple(readers))
    assert net.takes_integers == (True, None, False)


def test_padded_sequences_are_no_inputs_of_a_graph_of_several():
    a, b = dp.Input(), dp.Input()
    net = dp.Graph((a, b), dp.Add()(a, b))
    x = np.ones((2, 3, 4), np.float32)
    with pytest.raises(dp.ShapeError, match="not Padded: use EncoderDecoder"):
        net.apply(net.init(jax.random.key(0), ((3, 4), (3, 4))), (dp.Padded(x, np.array([3, 1])), x))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([6, 2, 1], "Sequence 0 in .* has length 6: it must be 1 to 5"),
        ([5, -1, 1], "Sequence 1 in .* has length -1"),
        ([5, 2, 0], "Sequence 2 in .* has length 0"),
        ([5, 2], r"one integer length for each sequence .* not int64 of shape \(2,\)"),
        ([5.0, 2.0, 1.0], r"one integer length .* not float64"),
    ],
)
def test_lengths_that_cannot_be_are_refused(lengths, message):
    net = dp.LSTM(4)
    variables = net.init(jax.random.key(0), (5, 2))
    padded = dp.Padded(np.ones((3, 5, 2), np.float32), np.array(lengths))
    with pytest.raises(dp.DataError, match=message):
        net.apply(variables, padded)
    for way in (dp.backprop, dp.trace, dp.testing.autodiff):
        with pytest.raises(dp.DataError, match=message):
            way(net, LOSS, variables, padded, np.zeros(3, int))


@pytest.mark.parametrize("way", [dp.backprop, dp.trace])
def test_lengths_of_targets_that_cannot_be_are_refused(way):
    net, x = dp.Sequential([dp.LSTM(3, return_sequences=True)]), np.ones((2, 5, 2), np.float32)
    t = dp.Padded(np.zeros((2, 5), int), np.array([3, 6]))
    with pytest.raises(dp.DataError, match="Sequence 1 in t has length 6: it must be 1 to 5"):
        way(net, LOSS, net.init(jax.random.key(0), (5, 2)), x, t)


FOREIGN = np.arange(24, dtype=np.float32).reshape(6, 4)
HIDDEN = np.ma.masked_array(FOREIGN, mask=FOREIGN > 20)


def dense():
    net = dp.Sequential([dp.Dense(3)])
    return net, net.init(jax.random.key(0), (4,))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (HIDDEN, "x is masked at 5, 1 in the batch"),
        (FOREIGN.astype(complex), "complex"),
        (jnp.asarray(FOREIGN, jnp.complex64), "complex"),
        (FOREIGN.astype(str), "numbers|not numeric"),
        (FOREIGN.astype(object), "numbers|not numeric"),
        (FOREIGN.astype("datetime64[s]"), "dates"),
    ],
    ids=["masked", "complex", "complex of JAX", "text", "objects", "dates"],
)
def test_what_is_no_number_is_refused_rather_than_cast(given, message):
    """A cast would drop masks and imaginary parts and read dates as seconds."""
    net, variables = dense()
    with pytest.raises(dp.DataError, match=message):
        net.apply(variables, given)
    with pytest.raises(dp.DataError, match=message):
        dp.backprop(net, LOSS, variables, given, np.arange(6) % 3)


def test_masked_targets_are_refused():
    net, variables = dense()
    with pytest.raises(dp.DataError, match="t is masked at 5, 0"):
        dp.backprop(net, dp.MeanSquaredError(), variables, FOREIGN, HIDDEN[:, 1:])


class FromElsewhere:
    """An array of another library: NumPy can read it, JAX cannot."""

    def __array__(self, dtype=None, copy=None):
        return FOREIGN


@pytest.mark.parametrize("given", [FromElsewhere(), FOREIGN.astype(">f4"), FOREIGN.astype(">i8"), FOREIGN.tolist()])
def test_arrays_of_other_libraries_and_byte_orders_are_read(given):
    net, variables = dense()
    t = np.arange(6) % 3
    np.testing.assert_array_equal(net.apply(variables, given), net.apply(variables, FOREIGN))
    wanted, step = (dp.backprop(net, LOSS, variables, x, t) for x in (FOREIGN, given))
    np.testing.assert_array_equal(step.grads["0_dense"]["W"], wanted.grads["0_dense"]["W"])


def test_a_list_of_tracers_is_an_array():
    net, variables = dense()
    rows = jax.jit(lambda a, b: net.apply(variables, [a, b]))(*FOREIGN[:2])
    np.testing.assert_allclose(rows, net.apply(variables, FOREIGN[:2]), rtol=1e-6)


def test_a_tuple_of_rows_is_not_a_batch():
    net, variables = dense()
    with pytest.raises(dp.ShapeError, match="takes a single input, not a tuple of 6"):
        net.apply(variables, tuple(FOREIGN))

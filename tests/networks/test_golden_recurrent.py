"""Recurrent layers agree with what PyTorch and ONNX's reference implementation compute."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import denpa as dp
from denpa.core import tree
from tests.golden import load

TIME, FEATURES, UNITS, BATCH = 6, 3, 4, 3


def drawn(rng, *shape):
    return jnp.asarray(rng.standard_normal(shape), np.float64)


def close(one, two, tolerance=1e-12):
    for (path, a), b in zip(tree.flatten(one).items(), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=path)


@pytest.mark.parametrize(
    ("case", "layer"),
    [
        ("rnn_tanh", dp.RNN(UNITS)),
        ("rnn_relu", dp.RNN(UNITS, "relu")),
        ("lstm", dp.LSTM(UNITS)),
        ("gru", dp.GRU(UNITS, reset_after=True)),
        ("rnn_bare", dp.RNN(UNITS, use_bias=False)),
        ("lstm_bare", dp.LSTM(UNITS, use_bias=False)),
        ("gru_bare", dp.GRU(UNITS, reset_after=True, use_bias=False)),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_agrees_with_pytorch(case, layer, dtype, tolerance):
    with jax.enable_x64(dtype is np.float64):
        golden = jax.tree.map(
            lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, load(f"recurrent/{case}", dtype)
        )
        layer = layer.replace(return_sequences=True, return_carry=True, takes_carry=True)
        parts = layer.cell.carries
        y, saved = layer.forward(golden["params"], (golden["x"], *(golden["carry"][name] for name in parts)))
        dy = (golden["dy"], *(golden["dcarry"][name] for name in parts))
        dx, grads = layer.backward(golden["params"], saved, dy)
    close(y, (golden["y"], *(golden["final"][name] for name in parts)), tolerance)
    close(dx, (golden["dx"], *(golden["dfirst"][name] for name in parts)), tolerance)
    assert set(grads) == set(golden["grads"])
    close(grads, golden["grads"], 5 * tolerance)


def onnx_recurrent(op, *inputs, outputs, **attributes):
    """One operator of ONNX by its reference implementation; time in front, gates of ONNX's order."""
    labels = [f"i{k}" if a is not None else "" for k, a in enumerate(inputs)]
    given = {label: a for label, a in zip(labels, inputs, strict=True) if a is not None}
    values = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, a.shape) for n, a in given.items()]
    results = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, [None] * (4 if n == "y" else 3)) for n in outputs]
    node = helper.make_node(op, labels, list(outputs), hidden_size=UNITS, **attributes)
    model = helper.make_model(
        helper.make_graph([node], op, values, results), opset_imports=[helper.make_opsetid("", 17)]
    )
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(None, given)


def rows_for_onnx(W, gates, order):
    """(in, gates units) as ONNX has it: (1, gates units, in), its gates in `order`."""
    blocks = np.split(np.asarray(W), gates, axis=-1)
    return np.concatenate([blocks[k] for k in order], axis=-1).T[None]


@pytest.mark.parametrize(
    ("layer", "op", "order", "attributes"),
    [
        (dp.LSTM(UNITS, peepholes=True), "LSTM", (0, 3, 1, 2), {}),
        (dp.GRU(UNITS), "GRU", (0, 1, 2), {"linear_before_reset": 0}),
        (dp.GRU(UNITS, reset_after=True), "GRU", (0, 1, 2), {"linear_before_reset": 1}),
        (dp.RNN(UNITS), "RNN", (0,), {}),
    ],
    ids=str,
)
def test_agrees_with_the_onnx_standard(layer, op, order, attributes):
    rng = np.random.default_rng(7)
    layer, gates = layer.replace(return_carry=True, takes_carry=True), len(order)
    with jax.enable_x64(True):
        shape = ((TIME, FEATURES), *((size,) for size in layer.cell.sizes()))
        params = jax.tree.map(lambda a: drawn(rng, *a.shape), layer.init_params(jax.random.key(0), shape))
        x, carry = drawn(rng, TIME, BATCH, FEATURES), [drawn(rng, BATCH, UNITS) for _ in layer.cell.sizes()]
        y, *final = layer.forward(params, (x.swapaxes(0, 1), *carry))[0]
    Wx, Wh, b = (rows_for_onnx(params[name], gates, order) for name in ("Wx", "Wh", "b"))
    recurrent_bias = np.zeros_like(b)
    if "bh" in params:
        recurrent_bias[:, 2 * UNITS :] = params["bh"]
    inputs = [np.asarray(x), Wx, Wh, np.concatenate([b, recurrent_bias], axis=-1), None]
    inputs += [np.asarray(part)[None] for part in carry]
    if "p" in params:
        inputs.append(np.asarray(params["p"])[[0, 2, 1]].reshape(1, -1))  # ONNX: input, output, forget
    expected = onnx_recurrent(op, *inputs, outputs=("y", "h", "c")[: 1 + len(carry)], **attributes)
    close((y, *final), [expected[1][0], *(part[0] for part in expected[1:])])

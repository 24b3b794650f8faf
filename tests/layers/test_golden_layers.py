"""Layers against PyTorch, by the golden files, and against ONNX's reference operators."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from denpa.core.layer import Context
from denpa.layers import (
    ELU,
    AveragePool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool2d,
    PReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    Unpool2d,
)
from tests.golden import load, names

LAYERS = {
    "batch_norm1d_eval": BatchNorm(momentum=0.9, epsilon=1e-5),
    "batch_norm1d_train": BatchNorm(momentum=0.9, epsilon=1e-5),
    "batch_norm2d_eval": BatchNorm(momentum=0.9, epsilon=1e-5),
    "batch_norm2d_train": BatchNorm(momentum=0.9, epsilon=1e-5),
    "conv1d": Conv1d(4, 3, stride=2, padding=1, dilation=2),
    "conv2d": Conv2d(4, (3, 2)),
    "conv2d_depthwise": Conv2d(4, (3, 2), stride=3, padding=1, groups=4),
    "conv2d_dilation_groups": Conv2d(4, (3, 2), padding=(2, 0), dilation=(3, 1), groups=2),
    "conv2d_same": Conv2d(4, 3, padding="same", use_bias=False),
    "conv2d_stride_padding": Conv2d(4, (3, 2), stride=(2, 1), padding=(1, 2)),
    "conv_transpose2d": ConvTranspose2d(4, (3, 2)),
    "conv_transpose2d_dilation_groups": ConvTranspose2d(4, (3, 2), stride=2, padding=1, dilation=(1, 2), groups=2),
    "conv_transpose2d_stride_padding": ConvTranspose2d(4, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    "dense": Dense(3),
    "dense_sequence": Dense(3),
    "dropout_eval": Dropout(0.4),
    "elu": ELU(1.5),
    "leaky_relu": LeakyReLU(0.2),
    "average_pool": AveragePool2d(3, 2, 1),
    "average_pool_uncounted": AveragePool2d(3, 2, 1, count_padding=False),
    "local_response_norm": LocalResponseNorm(3, alpha=0.3, beta=0.6, k=1.5),  # PyTorch divides alpha by the size
    "max_pool": MaxPool2d(2),
    "max_pool_overlapping": MaxPool2d((3, 2), (2, 1), (1, 0)),
    "unpool_nearest": Unpool2d((2, 3)),
    "prelu_per_channel": PReLU(shared=False),
    "prelu_shared": PReLU(),
    "relu": ReLU(),
    "sigmoid": Sigmoid(),
    "softmax": Softmax(),
    "tanh": Tanh(),
}


def params_of(name, arrays):
    """PyTorch's PReLU calls alpha a slope, and keeps a shared one as (1,)."""
    if name.startswith("prelu"):
        alpha = arrays["slope"]
        return {"alpha": alpha.reshape(()) if name == "prelu_shared" else alpha}
    return arrays


@pytest.mark.parametrize("name", sorted(LAYERS))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-6)])
def test_layer_agrees_with_pytorch(name, dtype, tolerance):
    with jax.enable_x64(dtype is np.float64):
        golden = jax.tree.map(
            lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, load(f"layers/{name}", dtype)
        )
        layer, params = LAYERS[name], params_of(name, golden.get("params", {}))
        train = name.endswith("_train")
        inputs = golden["xs"] if train else golden["x"][None]
        state = golden.get("state") or layer.init_state(inputs.shape[2:])
        for x in inputs:
            y, saved = layer.forward(params, x, Context(train, None, state))
            state = layer.next_state(state, saved)
        dx, grads = layer.backward(params, saved, golden["dy"])

        def close(ours, theirs):
            assert ours.dtype == dtype
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())

        close(y, golden["y"])
        close(dx, golden["dx"])
        jax.tree.map(close, grads, params_of(name, golden.get("grads", {})))
        jax.tree.map(close, state, golden.get("state_after", {}) if train else state)


def test_every_golden_layer_of_this_file_is_there():
    assert {f"layers/{name}" for name in LAYERS} <= set(names("layers"))


def onnx_op(op, *inputs, **attributes):
    """One operator of ONNX by its reference implementation, in float64."""
    labels = [f"i{k}" for k in range(len(inputs))]
    graph = helper.make_graph(
        [helper.make_node(op, labels, ["y"], **attributes)],
        op,
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, a.shape) for n, a in zip(labels, inputs, strict=True)],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, inputs[0].shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(None, dict(zip(labels, inputs, strict=True)))[0]


RNG = np.random.default_rng(5)
X = 2 * RNG.normal(size=(4, 3, 5))
SLOPES, GAMMA, BETA, MEAN = RNG.normal(size=(4, 5))
VAR = RNG.uniform(0.5, 2, 5)
CHANNELS_SECOND = np.moveaxis(X, -1, 1).copy()  # ONNX has channels in the place that follows the batch

REFERENCE = [
    (Sigmoid(), {}, lambda: onnx_op("Sigmoid", X)),
    (Tanh(), {}, lambda: onnx_op("Tanh", X)),
    (ReLU(), {}, lambda: onnx_op("Relu", X)),
    (LeakyReLU(0.3), {}, lambda: onnx_op("LeakyRelu", X, alpha=0.3)),
    (ELU(0.7), {}, lambda: onnx_op("Elu", X, alpha=0.7)),
    (PReLU(shared=False), {"alpha": SLOPES}, lambda: onnx_op("PRelu", X, SLOPES)),
    (Softmax(), {}, lambda: onnx_op("Softmax", X, axis=-1)),
    (
        BatchNorm(epsilon=1e-3),
        {"gamma": GAMMA, "beta": BETA},
        lambda: np.moveaxis(
            onnx_op("BatchNormalization", CHANNELS_SECOND, GAMMA, BETA, MEAN, VAR, epsilon=1e-3), 1, -1
        ),
    ),
]


@pytest.mark.parametrize(("layer", "params", "reference"), REFERENCE, ids=lambda value: str(value)[:20])
def test_forward_agrees_with_the_onnx_standard(layer, params, reference):
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, params)
        state = {"mean": jnp.asarray(MEAN), "var": jnp.asarray(VAR)} if isinstance(layer, BatchNorm) else {}
        y, _ = layer.forward(params, jnp.asarray(X), Context(state=state))
    np.testing.assert_allclose(y, reference(), rtol=1e-7)  # ONNX keeps attributes in float32


IMAGES, KERNEL, CHANNELS_BIAS = RNG.normal(size=(2, 6, 5, 4)), RNG.normal(size=(3, 2, 2, 6)), RNG.normal(size=6)
UP_KERNEL = RNG.normal(size=(3, 2, 4, 6))
ASYMMETRIC = {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2]}  # top, left, bottom, right
CONVOLUTIONS = [
    (Conv2d(6, (3, 2), (2, 1), ((1, 2), (0, 1)), (1, 2), 2), KERNEL, "Conv", ASYMMETRIC | {"group": 2}),
    (Conv2d(6, (3, 2), 2, "same", groups=2), KERNEL, "Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2], "group": 2}),
    (
        ConvTranspose2d(6, (3, 2), (2, 1), ((1, 2), (0, 1)), (1, 0)),
        UP_KERNEL,
        "ConvTranspose",
        {"pads": [1, 0, 2, 1], "strides": [2, 1], "output_padding": [1, 0]},
    ),
    (
        ConvTranspose2d(6, (3, 2), 2, dilation=(2, 1)),
        UP_KERNEL,
        "ConvTranspose",
        {"strides": [2, 2], "dilations": [2, 1]},
    ),
]


@pytest.mark.parametrize(("layer", "kernel", "op", "attributes"), CONVOLUTIONS, ids=str)
def test_convolution_agrees_with_the_onnx_standard(layer, kernel, op, attributes):
    axes = (3, 2, 0, 1) if op == "Conv" else (2, 3, 0, 1)
    expected = onnx_op(op, np.moveaxis(IMAGES, -1, 1), kernel.transpose(axes).copy(), CHANNELS_BIAS, **attributes)
    with jax.enable_x64(True):
        params = {"W": jnp.asarray(kernel), "b": jnp.asarray(CHANNELS_BIAS)}
        y, _ = layer.forward(params, jnp.asarray(IMAGES))
    np.testing.assert_allclose(y, np.moveaxis(expected, 1, -1), atol=1e-12)

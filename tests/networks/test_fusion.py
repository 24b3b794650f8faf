"""Layers that are computed in one go give the numbers of the single layers, and nobody sees the difference."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.kernels import native
from denpa.networks.fusion import block_ahead, block_of

LOSS = dp.SoftmaxCrossEntropy()
needs_kernels = pytest.mark.skipif(not native.available(), reason=native.reason())


def network(padding: object = 1, pool: object = 2) -> dp.Sequential:
    """The second convolution goes by Winograd's algorithm on every instruction set: 16 channels are whole vectors."""
    return dp.Sequential(
        [
            dp.Conv2d(16, 3, padding=padding),
            dp.ReLU(),
            dp.Conv2d(16, 3, padding=padding),
            dp.ReLU(),
            dp.MaxPool2d(pool),
            dp.BatchNorm(),
            dp.Flatten(),
            dp.Dense(4),
        ]
    )


def case(net: dp.Sequential, shape: tuple[int, ...] = (9, 8, 3)):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, *shape)).astype(np.float32)
    return net.init(jax.random.key(0), shape), x, rng.integers(0, 4, 5)


@pytest.mark.parametrize(("padding", "pool"), [(1, 2), ("same", 2), (((1, 0), (0, 2)), 2), (0, 3)])
@pytest.mark.parametrize("kernels", ["direct", "winograd"])
@needs_kernels
def test_fused_and_single_layers_give_the_same_numbers(padding, pool, kernels):
    net = network(padding, pool)
    variables, x, t = case(net)
    with dp.kernels.using(kernels):
        fast = dp.backprop(net, LOSS, variables, x, t)
        slow = dp.trace(net, LOSS, variables, x, t)
    bound = 1e-5 if kernels == "direct" else 1e-4
    for name in ("loss", "output", "grads", "dx", "state"):
        for a, b in zip(*(jax.tree.leaves(getattr(step, name)) for step in (fast, slow)), strict=True):
            np.testing.assert_allclose(a, b, atol=bound * float(np.abs(b).max()), err_msg=name)
    assert jax.tree.structure(fast.grads) == jax.tree.structure(slow.grads)


@needs_kernels
def test_what_is_fused_and_what_is_not():
    def ahead(layers, dtype=np.float32, shape=(8, 8, 3)):
        net = dp.Sequential(layers)
        x = np.zeros((2, *shape), dtype)
        return block_ahead(net.inner(), net.init(jax.random.key(0), (8, 8, 3)).params, x)

    plain, pool = dp.Conv2d(4, 3), dp.MaxPool2d(2)
    assert ahead([plain, dp.ReLU(), pool]).layers == 3
    for pooling, layers in ((dp.MaxPool2d(2, 1), 2), (dp.MaxPool2d(2, padding="valid"), 3)):
        assert ahead([plain, dp.ReLU(), pooling]).layers == layers
    for padding in (1, "same", ((0, 1), (0, 0))):
        assert ahead([plain, dp.ReLU(), dp.MaxPool2d(2, padding=padding)]).layers == 2
    assert ahead([plain, dp.ReLU()]).layers == 2
    for layers in (
        [plain],
        [plain, dp.Tanh(), pool],
        [dp.Conv2d(4, 3, stride=2), dp.ReLU(), pool],
        [dp.Conv2d(6, 3, groups=3), dp.ReLU(), pool],
        [dp.Conv2d(4, 3, dilation=2), dp.ReLU(), pool],
        [dp.Conv2d(4, 3, use_bias=False), dp.ReLU(), pool],
        [dp.Conv2d(4, 3, true_convolution=True), dp.ReLU(), pool],
        [dp.Conv2d(4, 3, padding="circular"), dp.ReLU(), pool],
    ):
        assert ahead(layers) is None
    assert ahead([plain, dp.ReLU()], np.float64) is None
    assert ahead([plain, dp.ReLU()], shape=(8, 8, 2)) is None
    assert ahead([plain, dp.ReLU()], shape=(2, 2, 3)) is None
    with dp.kernels.using("xla"):
        assert ahead([plain, dp.ReLU(), pool]) is None


@needs_kernels
def test_a_block_saves_a_byte_for_each_pooled_value_and_no_activations():
    net = network()
    variables, x, _ = case(net)
    _, saved = net.forward(variables.params, x, dp.Context(train=True))
    assert [name for name in saved if block_of(saved[name])] == ["0_conv2d", "2_conv2d"]
    assert "1_relu" not in saved
    assert saved["2_conv2d"]["passed"].dtype == np.uint8
    assert saved["2_conv2d"]["passed"].shape == (5, 4, 4, 16)


def test_a_trace_walks_through_every_layer():
    net = network()
    variables, x, t = case(net)
    met = dp.trace(net, LOSS, variables, x, t)
    assert [*met] == [name for name, _ in net.inner()]
    np.testing.assert_array_equal(met["1_relu"].y, np.maximum(met["0_conv2d"].y, 0))


def test_an_image_that_does_not_fit_is_refused_by_its_layer():
    net = network(padding=0)
    variables, _, t = case(net)
    with pytest.raises(dp.ShapeError, match="Layer '2_conv2d'"):
        dp.backprop(net, LOSS, variables, np.zeros((5, 4, 4, 3), np.float32), t)
    with pytest.raises(dp.ShapeError, match="Layer '0_conv2d'"):
        dp.backprop(net, LOSS, variables, np.zeros((5, 9, 8, 2), np.float32), t)


def test_fit_trains_and_predicts_with_blocks():
    x, t = dp.datasets.load("digits").train
    x, t = x.reshape(-1, 8, 8, 1)[:200], t[:200]
    net = [dp.Conv2d(8, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(10)]
    model = dp.Model(net, LOSS, dp.Adam(1e-2), [dp.Accuracy()], normalizer=dp.ScaleImages(16))
    model.fit((x, t), epochs=15, batch_size=50, verbose=False)
    assert model.evaluate((x, t))["accuracy"] > 0.95


@needs_kernels
def test_the_choice_of_kernels_is_part_of_a_compiled_program():
    net = network()
    variables, x, t = case(net)
    model = dp.Model(net, LOSS)
    model.build((9, 8, 3))
    outputs = {}
    for kernels in ("xla", "direct", "winograd", "xla"):
        with dp.kernels.using(kernels):
            found = dp.backprop(net, LOSS, variables, x, t).output, model.predict(x)
            program = jax.jit(lambda v: dp.backprop(net, LOSS, v, x, t).grads).lower(variables).as_text()
        assert ("denpa_forward" in program) == (kernels != "xla")
        if kernels in outputs:
            np.testing.assert_array_equal(outputs[kernels][0], found[0])
        outputs[kernels] = found
    for one in (0, 1):  # direct sums may come in XLA's order, and then to the same bits
        assert not np.array_equal(outputs["direct"][one], outputs["winograd"][one])


def test_untied_biases_are_not_fused():
    net = dp.Sequential([dp.Conv2d(16, 3, padding=1, untied_bias=True), dp.ReLU(), dp.MaxPool2d(2)])
    x = np.random.default_rng(5).standard_normal((2, 8, 8, 16)).astype(np.float32)
    variables = net.init(jax.random.key(0), x.shape[1:])
    b = np.random.default_rng(6).standard_normal((8, 8, 16)).astype(np.float32)
    params = {**variables.params, "0_conv2d": {**variables.params["0_conv2d"], "b": jnp.asarray(b)}}
    u = dp.Conv2d(16, 3, padding=1, use_bias=False).forward({"W": params["0_conv2d"]["W"]}, jnp.asarray(x))[0] + b
    expected = np.maximum(np.asarray(u), 0).reshape(2, 4, 2, 4, 2, 16).max(axis=(2, 4))
    np.testing.assert_allclose(net.apply(variables._replace(params=params), x), expected, rtol=1e-5, atol=1e-5)

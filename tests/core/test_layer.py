"""Random keys by name, the context of a layer, and a user's own layer that defines forward alone."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.fallback import uses_fallback
from denpa.core.keys import key_for
from denpa.core.layer import Context, Layer
from denpa.core.symbolic import Input, Node
from denpa.testing import check_gradients, check_layer


@dataclass(frozen=True)
class Wave(Layer):
    """y = a sin(x), forward alone."""

    scale: float = 1.5

    def init(self, key, in_shape):
        return {"a": self.scale * jax.random.normal(key, in_shape[-1:])}

    def forward(self, params, x, ctx):
        return params["a"] * jnp.sin(x), {}


@dataclass(frozen=True)
class Centre(Layer):
    """y = x − m in training, x − state in inference; forward alone, with state."""

    def init_state(self, in_shape):
        return {"mean": jnp.zeros(in_shape)}

    def next_state(self, state, saved):
        return {"mean": 0.5 * state["mean"] + 0.5 * saved["mean"]}

    def forward(self, params, x, ctx):
        mean = jnp.mean(x, axis=0) if ctx.train else ctx.state["mean"]
        return x - mean, {"mean": mean}


@dataclass(frozen=True)
class Jitter(Layer):
    """y = x (1 + noise): forward alone, random."""

    def forward(self, params, x, ctx):
        return (x * (1 + jax.random.normal(ctx.random_key(self), x.shape, x.dtype)) if ctx.train else x), {}


def test_a_key_is_a_function_of_the_name_alone():
    """crc32("0_dense") = 0xd31e4f7a for ever; Python's own hash differs from process to process."""
    key = jax.random.key(0)
    expected = jax.random.fold_in(key, 0xD31E4F7A)
    assert jax.random.key_data(key_for(key, "0_dense")).tolist() == jax.random.key_data(expected).tolist()
    assert key_for(None, "0_dense") is None
    others = {tuple(jax.random.key_data(key_for(key, name)).tolist()) for name in ("a", "b", "A", "ab", "ba", "")}
    assert len(others) == 6


def test_a_context_hands_down_key_state_and_name():
    key = jax.random.key(5)
    ctx = Context(True, key, {"block": {"norm": {"mean": 1}}}).at("block").at("norm")
    assert ctx.name == "block/norm"
    assert ctx.state == {"mean": 1}
    assert ctx.train
    expected = key_for(key_for(key, "block"), "norm")
    assert (jax.random.key_data(ctx.key) == jax.random.key_data(expected)).all()
    assert ctx.at("other").state == {}


def test_a_layer_without_its_key_is_named():
    with pytest.raises(
        dp.DenpaError, match=r"Dropout\(0\.3\) \(layer 'a/b'\) needs random numbers.*key=jax.random.key"
    ):
        Context(True).at("a").at("b").random_key(dp.Dropout(0.3))


@pytest.mark.parametrize("layer", [Wave(), Centre(), Jitter()], ids=str)
def test_forward_alone_makes_a_lawful_layer(layer):
    assert uses_fallback(layer)
    passed = check_layer(layer, (4,))
    assert "autodiff, training" in passed
    assert "central differences, inference" in passed


def test_forward_alone_has_the_right_gradients_in_a_network(key):
    net = dp.Sequential([dp.Dense(4), Wave(), dp.Dense(3), Centre(), dp.Sequential([("inner", Wave(0.5))])])
    variables = net.init(key, (5,))
    x, t = jax.random.normal(key, (6, 5)), jax.random.normal(jax.random.key(1), (6, 3))
    check_gradients(net, dp.MeanSquaredError(), variables, x, t, entries=5)
    record = dp.trace(net, dp.MeanSquaredError(), variables, x, t)["1_wave"]
    np.testing.assert_allclose(record.grads["a"], jnp.sum(record.dy * jnp.sin(record.x), axis=0), rtol=1e-5)
    np.testing.assert_allclose(record.dx, record.dy * variables.params["1_wave"]["a"] * jnp.cos(record.x), rtol=1e-5)


def test_state_of_ones_own_layer_advances_in_training_alone(key):
    net = dp.Sequential([("shift", Centre())])
    variables = net.init(key, (2,))
    x = jnp.array([[1.0, 2.0], [3.0, 6.0]])
    step = dp.backprop(net, dp.MeanSquaredError(), variables, x, x)
    assert step.state["shift"]["mean"].tolist() == [1.0, 2.0]
    assert step.output.tolist() == [[-1.0, -2.0], [1.0, 2.0]]
    still = dp.backprop(net, dp.MeanSquaredError(), variables, x, x, train=False)
    assert still.state["shift"]["mean"].tolist() == [0.0, 0.0]
    assert still.output.tolist() == x.tolist()


def test_out_shape_of_ones_own_layer_comes_from_forward():
    @dataclass(frozen=True)
    class Outer(Layer):
        def forward(self, params, x, ctx):
            return x[:, :, None] * x[:, None, :], {}

    assert Outer().out_shape((3,)) == (3, 3)
    net = dp.Sequential([Outer(), dp.Flatten(), dp.Dense(2)])
    assert net.init(jax.random.key(0), (3,)).params["2_dense"]["W"].shape == (9, 2)


def test_the_context_of_ones_own_layer_may_have_a_default():
    @dataclass(frozen=True)
    class Twice(Layer):
        def forward(self, params, x, ctx=Context()):
            return 2 * x if ctx.train else x, {}

    x = jnp.ones((2, 3))
    for context, factor in (((), 1), ((Context(train=True),), 2)):
        y, saved = Twice().forward({}, x, *context)
        assert y[0, 0] == factor == Twice().backward({}, saved, x)[0][0, 0]


def test_ones_own_layer_on_integers(key):
    """Looking up rows by index has no derivative with respect to the index."""

    @dataclass(frozen=True)
    class Lookup(Layer):
        def init(self, key, in_shape):
            return {"W": jax.random.normal(key, (5, 2))}

        def out_shape(self, in_shape):
            return (*in_shape, 2)

        def forward(self, params, x, ctx):
            return params["W"][x], {}

    net = dp.Sequential([Lookup(), dp.Flatten(), dp.Dense(1)])
    variables = net.init(key, (3,))
    x = jnp.array([[0, 1, 1], [4, 0, 2]])
    step = dp.backprop(net, dp.MeanSquaredError(), variables, x, jnp.ones((2, 1)))
    assert not step.grads["0_lookup"]["W"][3].any()
    assert step.grads["0_lookup"]["W"][jnp.array([0, 1, 2, 4])].all()


class Square(Layer):
    """Nothing but a forward, not even the decorator."""

    def forward(self, params, x, ctx=Context()):
        return x**2, None


def test_a_layer_of_forward_alone_is_a_layer_like_any_other(tmp_path):
    check_layer(Square(), (4,))
    net = dp.Sequential([dp.Dense(4), Square(), dp.Dense(3)])
    assert net == dp.Sequential([dp.Dense(4), Square(), dp.Dense(3)])
    assert repr(net) == "Sequential((Dense(4), Square(), Dense(3)))"
    assert dp.from_config(dp.to_config(net)) == net
    assert "Square()" in str(net.summary((5,)))
    x, t = np.ones((6, 5), np.float32), np.arange(6) % 3
    model = dp.Model(net, dp.SoftmaxCrossEntropy())
    model.fit((x, t), epochs=1, verbose=False)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(dp.load(tmp_path / "m.safetensors").predict(x), model.predict(x))


def test_a_layer_without_forward_says_what_is_missing():
    @dataclass(frozen=True)
    class Hollow(Layer):
        pass

    with pytest.raises(NotImplementedError, match="Hollow must define forward"):
        Hollow().forward({}, jnp.ones((1, 1)))


def test_calling_a_layer_on_an_array_says_what_calling_is_for():
    with pytest.raises(dp.ConfigError, match="not with a symbolic value"):
        dp.Dense(3)(jnp.ones((2, 2)))
    with pytest.raises(dp.ConfigError, match="called without an input"):
        dp.Dense(3)()
    assert isinstance(dp.Dense(3)(Input()), Node)

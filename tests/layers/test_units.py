"""Units and layers as the textbooks have them: thresholds, logic gates, the perceptron, absorbed biases."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core import tree
from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Context
from denpa.layers import Dense, Identity, Sigmoid, Step, ThresholdDense
from denpa.networks import Sequential

CORNERS = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, OR, XOR = [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]
NEURON = Sequential([("u", Dense(1)), ("y", Step())])
RNG = np.random.default_rng(8)


def fires(w, b, x=CORNERS):
    params = {"u": {"W": jnp.array(w).reshape(-1, 1), "b": jnp.array([b])}, "y": {}}
    return NEURON.forward(params, x, Context())[0][:, 0].tolist()


def test_formal_neurons_compute_and_or_not():
    assert fires([1.0, 1.0], -1.5) == AND
    assert fires([1.0, 1.0], -0.5) == OR
    assert fires([-1.0], 0.5, jnp.array([[0.0], [1.0]])) == [1, 0]


def test_no_formal_neuron_computes_xor_but_two_layers_do():
    """XOR needs b <= 0, w₁ + b > 0, w₂ + b > 0: then w₁ + w₂ + b > −b >= 0, and the last corner fires too."""
    grid = np.linspace(-2, 2, 17)
    w = np.array(list(itertools.product(grid, grid, grid)))
    params = {"W": jnp.asarray(w[:, :2].T, jnp.float32), "b": jnp.asarray(w[:, 2], jnp.float32)}
    u, _ = Dense(len(w)).forward(params, CORNERS, Context())
    y, _ = Step().forward({}, u, Context())
    found = {tuple(column) for column in np.asarray(y, int).T.tolist()}
    assert {tuple(AND), tuple(OR)} <= found
    assert len(found) == 14  # all 16 functions of two bits but XOR and its negation
    assert tuple(XOR) not in found

    net = Sequential([Dense(2), Step(), Dense(1), Step()])
    params = {
        "0_dense": {"W": jnp.ones((2, 2)), "b": jnp.array([-0.5, -1.5])},  # OR, AND
        "1_step": {},
        "2_dense": {"W": jnp.array([[1.0], [-1.0]]), "b": jnp.array([-0.5])},  # OR and not AND
        "3_step": {},
    }
    assert net.forward(params, CORNERS, Context())[0][:, 0].tolist() == XOR


def perceptron(targets, epochs):
    """Rosenblatt's rule w <- w + (t − y) x, b <- b + (t − y), from zero, until an epoch without an error."""
    params = {"W": jnp.zeros((2, 1)), "b": jnp.zeros(1)}
    layer = Dense(1)
    for epoch in range(1, epochs + 1):
        errors = 0
        for x, t in zip(CORNERS[:, None], targets, strict=True):
            u, saved = layer.forward(params, x, Context())
            y, _ = Step().forward({}, u, Context())
            _, grads = layer.backward(params, saved, y - t)  # the delta of the rule is y − t
            params = jax.tree.map(jnp.subtract, params, grads)
            errors += int(y[0, 0] != t)
        if errors == 0:
            return epoch, params["W"][:, 0].tolist(), params["b"].item()
    return None


def test_the_perceptron_rule_finds_what_can_be_separated():
    assert perceptron(AND, 20) == (6, [2, 1], -2)
    assert perceptron(OR, 20) == (4, [1, 1], 0)
    assert perceptron(XOR, 50) is None


def test_a_threshold_is_a_bias_of_the_other_sign():
    with jax.enable_x64(True):
        x, dy = jnp.asarray(RNG.normal(size=(5, 4))), jnp.asarray(RNG.normal(size=(5, 3)))
        layer = ThresholdDense(3)
        params = {"W": jnp.asarray(RNG.normal(size=(4, 3))), "theta": jnp.asarray(RNG.normal(size=3))}
        y, saved = layer.forward(params, x, Context())
        dx, grads = layer.backward(params, saved, dy)
        as_dense = layer.to_dense(params)
        same, saved = Dense(3).forward(as_dense, x, Context())
        same_dx, same_grads = Dense(3).backward(as_dense, saved, dy)
        np.testing.assert_allclose(y, same, rtol=1e-13)
        np.testing.assert_allclose(dx, same_dx, rtol=1e-13)
        np.testing.assert_allclose(grads["theta"], -np.sum(dy, axis=0), rtol=1e-13)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b), grads, layer.from_dense(same_grads))
        jax.tree.map(np.testing.assert_array_equal, layer.from_dense(as_dense), params)


def test_a_threshold_is_the_weight_of_a_constant_input_of_minus_one():
    x, W, theta = (jnp.asarray(RNG.normal(size=s), jnp.float32) for s in ((5, 4), (4, 3), (3,)))
    y, _ = ThresholdDense(3).forward({"W": W, "theta": theta}, x, Context())
    augmented = jnp.concatenate([x, -jnp.ones((5, 1))], axis=1)
    same, _ = Dense(3, use_bias=False).forward({"W": jnp.vstack([W, theta])}, augmented, Context())
    np.testing.assert_allclose(y, same, rtol=1e-5)


def test_a_threshold_unit_fires_above_its_threshold():
    params = {"W": jnp.ones((2, 1)), "theta": jnp.array([1.0])}
    s, _ = ThresholdDense(1).forward(params, CORNERS, Context())
    assert Step().forward({}, s, Context())[0][:, 0].tolist() == AND  # 1 + 0 reaches θ = 1, but does not exceed it


def test_a_bias_may_be_absorbed_into_the_weights():
    """A constant unit z₀ = 1 with w₀ = b: the same output and, row by row, the same gradients."""
    with jax.enable_x64(True):
        x, dy, W, b = (jnp.asarray(RNG.normal(size=s)) for s in ((6, 4), (6, 3), (4, 3), (3,)))
        y, saved = Dense(3).forward({"W": W, "b": b}, x, Context())
        dx, grads = Dense(3).backward({"W": W, "b": b}, saved, dy)
        absorbed, one = {"W": jnp.vstack([b, W])}, jnp.concatenate([jnp.ones((6, 1)), x], axis=1)
        same, saved = Dense(3, use_bias=False).forward(absorbed, one, Context())
        same_dx, same_grads = Dense(3, use_bias=False).backward(absorbed, saved, dy)
        np.testing.assert_allclose(same, y, rtol=1e-12)
        np.testing.assert_allclose(same_dx[:, 1:], dx, rtol=1e-12)
        np.testing.assert_allclose(same_grads["W"], np.vstack([grads["b"], grads["W"]]), rtol=1e-12)


@pytest.mark.parametrize(("sizes", "number"), [((12, 3, 2), 47), ((3, 10, 5, 4), 119)])
def test_parameter_counts(sizes, number):
    """Σ (inputs + 1) · units."""
    for kind in (Dense, ThresholdDense):
        net = Sequential([layer for n in sizes[1:] for layer in (kind(n), Sigmoid())])
        assert tree.count(jax.eval_shape(lambda net=net: net.init(jax.random.key(0), sizes[:1])).params) == number


def test_without_activations_a_network_collapses_to_one_matrix():
    with jax.enable_x64(True):
        net = Sequential([layer for n in (5, 6, 3) for layer in (Dense(n), Identity())])
        shapes = jax.eval_shape(lambda: net.init(jax.random.key(2), (4,))).params
        params = jax.tree.map(lambda a: jnp.asarray(RNG.normal(size=a.shape)), shapes)
        x = jnp.asarray(RNG.normal(size=(7, 4)))
        y, _ = net.forward(params, x, Context())
        (W1, b1), (W2, b2), (W3, b3) = ((params[n]["W"], params[n]["b"]) for n in ("0_dense", "2_dense", "4_dense"))
        np.testing.assert_allclose(y, x @ (W1 @ W2 @ W3) + ((b1 @ W2 + b2) @ W3 + b3), rtol=1e-10)


def test_chain_of_single_units():
    """∂E/∂x = Π w f'(u) along ŷ = f(w f(w f(x))): the product of a weight and a slope for each unit."""
    with jax.enable_x64(True):
        weights, x, expected = (0.8, -1.3, 2.1), 0.4, 1.0
        net = Sequential([layer for _ in weights for layer in (Dense(1, use_bias=False), Sigmoid())])
        z, params = x, {}
        for index, w in enumerate(weights):
            params |= {f"{2 * index}_dense": {"W": jnp.array([[w]])}, f"{2 * index + 1}_sigmoid": {}}
            z = 1 / (1 + np.exp(-w * z))
            expected *= w * z * (1 - z)
        y, saved = net.forward(params, jnp.array([[x]]), Context())
        dx, _ = net.backward(params, saved, jnp.ones((1, 1)))
        np.testing.assert_allclose([y.item(), dx.item()], [z, expected], rtol=1e-13)


def test_errors():
    for units in (0, -1, 2.5, True):
        with pytest.raises(ConfigError):
            ThresholdDense(units)
    for no_initialiser in ("he", ThresholdDense(3)):
        with pytest.raises(ConfigError, match="kernel_init must be an initialiser such as init"):
            ThresholdDense(3, kernel_init=no_initialiser)
    params = ThresholdDense(3).init(jax.random.key(0), (4,))
    assert {k: v.shape for k, v in params.items()} == {"W": (4, 3), "theta": (3,)}
    with pytest.raises(ShapeError, match="in=4"):
        ThresholdDense(3).forward(params, jnp.ones((2, 5)), Context())

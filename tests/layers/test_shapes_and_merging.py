"""Maxout, Flatten, Reshape, Add, Concatenate."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Context
from denpa.core.symbolic import Input
from denpa.layers import Add, Concatenate, Dense, Flatten, LeakyReLU, Maxout, Part, ReLU, Reshape, Tanh
from denpa.networks import Graph, Sequential

RNG = np.random.default_rng(4)
KEY = jax.random.key(0)


def there_and_back(layer, x, dy):
    y, saved = layer.forward({}, x, Context())
    return y, layer.backward({}, saved, dy)[0]


def test_maxout_takes_the_largest_of_consecutive_units():
    x = jnp.array([[3.0, 1.0, 2.0, -5.0, -4.0, -6.0], [0.0, 0.0, 7.0, 2.0, 2.0, 1.0]])
    dy = jnp.array([[10.0, 20.0], [30.0, 40.0]])
    y, dx = there_and_back(Maxout(3), x, dy)
    np.testing.assert_array_equal(y, [[3, -4], [7, 2]])
    np.testing.assert_array_equal(dx, [[10, 0, 0, 0, 20, 0], [0, 0, 30, 40, 0, 0]])  # the first of equals


def test_maxout_with_one_piece_at_zero_is_relu():
    u = jnp.asarray(RNG.normal(size=(5, 4)), jnp.float32)
    dy = jnp.asarray(RNG.normal(size=(5, 4)), jnp.float32)
    with_zeros = jnp.stack([u, jnp.zeros_like(u)], axis=-1).reshape(5, 8)
    y, dx = there_and_back(Maxout(2), with_zeros, dy)
    relu, relu_dx = there_and_back(ReLU(), u, dy)
    np.testing.assert_array_equal(y, relu)
    np.testing.assert_array_equal(dx.reshape(5, 4, 2)[..., 0], relu_dx)


def test_maxout_of_two_lines_is_the_absolute_value():
    x = jnp.linspace(-2, 2, 41).reshape(-1, 1)
    net = Sequential([Dense(2), Maxout(2)])
    params = {"0_dense": {"W": jnp.array([[1.0, -1.0]]), "b": jnp.zeros(2)}, "1_maxout": {}}
    y, _ = net.forward(params, x, Context())
    np.testing.assert_array_equal(y, np.abs(x))
    np.testing.assert_array_equal(y, LeakyReLU(-1).forward({}, x, Context())[0])


def test_maxout_comes_nearer_to_a_parabola_with_every_piece():
    """k tangents of x² on [-1, 1] stay within 1/k² of it."""
    x = jnp.linspace(-1, 1, 201).reshape(-1, 1)
    for k in (2, 4, 8):
        at = -1 + (2 * np.arange(k) + 1) / k
        params = {"0_dense": {"W": jnp.asarray(2 * at[None], jnp.float32), "b": jnp.asarray(-(at**2), jnp.float32)}}
        y, _ = Sequential([Dense(k), Maxout(k)]).forward(params | {"1_maxout": {}}, x, Context())
        assert abs(float(jnp.max(jnp.abs(y - x**2))) - 1 / k**2) < 0.02 / k


def test_maxout_wants_whole_groups():
    for check in (Maxout(4).out_shape, lambda shape: Maxout(4).init(KEY, shape)):
        with pytest.raises(ShapeError, match="12"):
            check((3, 10))
    with pytest.raises(ShapeError):
        Maxout(4).forward({}, jnp.ones((2, 10)), Context())
    for pieces in (0, -2, 1.5, True):
        with pytest.raises(ConfigError):
            Maxout(pieces)


def test_maxout_of_many_pieces_finds_the_last():
    x = jnp.arange(600.0).reshape(2, 300)
    _, dx = there_and_back(Maxout(300), x, jnp.ones((2, 1)))
    np.testing.assert_array_equal(np.argmax(dx, axis=1), [299, 299])


def test_flatten_and_reshape_keep_the_order():
    x = jnp.arange(48.0).reshape(2, 2, 3, 4)
    y, dx = there_and_back(Flatten(), x, x.reshape(2, 24))
    np.testing.assert_array_equal(y, np.asarray(x).reshape(2, 24))
    np.testing.assert_array_equal(dx, x)
    y, dx = there_and_back(Reshape((-1, 8)), x, x.reshape(2, 3, 8))
    np.testing.assert_array_equal(y, np.asarray(x).reshape(2, 3, 8))
    np.testing.assert_array_equal(dx, x)
    assert Flatten().forward({}, jnp.ones(5), Context())[0].shape == (5, 1)
    assert Flatten().forward({}, jnp.ones((0, 2, 3)), Context())[0].shape == (0, 6)


def test_reshape_refuses_what_does_not_fit():
    assert Reshape([2, -1]).out_shape((3, 4)) == (2, 6)
    for shape in ((5,), (5, -1), (24,)):
        with pytest.raises(ShapeError, match="their size is 12"):
            Reshape(shape).out_shape((3, 4))
    for shape in ((-1, -1), (0, 12), (2.5, 4), 12):
        with pytest.raises(ConfigError):
            Reshape(shape)


def test_saved_shapes_survive_compilation():
    """The shape is part of the structure of `saved`, so that it may pass from one program to another."""
    x = jnp.arange(24.0).reshape(2, 3, 4)
    y, saved = jax.jit(lambda x: Flatten().forward({}, x, Context()))(x)
    assert jax.tree.leaves(saved) == []
    np.testing.assert_array_equal(jax.jit(lambda s, dy: Flatten().backward({}, s, dy)[0])(saved, y), x)


def test_add_gives_every_input_the_whole_delta():
    xs = tuple(jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32) for _ in range(3))
    dy = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32)
    y, dx = there_and_back(Add(), xs, dy)
    np.testing.assert_allclose(y, sum(np.asarray(x) for x in xs), rtol=1e-6)
    assert len(dx) == 3
    assert all(np.array_equal(d, dy) for d in dx)


@pytest.mark.parametrize("axis", [-1, 1, 2, -2])
def test_concatenate_gives_every_input_its_piece(axis):
    along = axis % 3
    sizes = [(2, 3, 4), (2, 3, 4), (2, 3, 4)]
    sizes = [tuple(k + 1 if a == along else s for a, s in enumerate(size)) for k, size in enumerate(sizes)]
    xs = tuple(jnp.asarray(RNG.normal(size=size), jnp.float32) for size in sizes)
    whole = np.concatenate(xs, axis)
    y, dx = there_and_back(Concatenate(axis), xs, jnp.asarray(2 * whole))
    np.testing.assert_array_equal(y, whole)
    assert [d.shape for d in dx] == sizes
    assert all(np.array_equal(d, 2 * x) for d, x in zip(dx, xs, strict=True))
    assert Concatenate(axis).out_shape(tuple(size[1:] for size in sizes)) == whole.shape[1:]


def test_merging_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"\(3, 4\), \(3, 1\)"):
        Add().out_shape(((3, 4), (3, 1)))
    with pytest.raises(ShapeError, match="one shape"):
        Add().forward({}, (jnp.ones((2, 3)), jnp.ones((1, 3))), Context())
    for layer in (Add(), Concatenate()):
        for alone in (jnp.ones((2, 3)), (jnp.ones((2, 3)),)):
            with pytest.raises(ShapeError, match="at least two"):
                layer.forward({}, alone, Context())
        with pytest.raises(ShapeError, match="at least two"):
            layer.out_shape((3, 4))
    with pytest.raises(ShapeError, match="axis alone"):
        Concatenate().out_shape(((3, 4), (2, 4)))
    with pytest.raises(ShapeError, match="along that axis"):
        Concatenate(3).out_shape(((3, 4), (3, 4)))
    with pytest.raises(ShapeError, match="along that axis"):
        Concatenate(-3).out_shape(((3, 4), (3, 4)))
    for axis in (0, 1.5, None, True):
        with pytest.raises(ConfigError):
            Concatenate(axis)
    with pytest.raises(ConfigError, match="index must be 0 or more"):
        Part(-1)  # its delta would find no place
    with pytest.raises(ShapeError, match="more than 2 arrays, but got 2"):
        Part(2).out_shape(((3,), (4,)))


def test_in_a_graph_the_deltas_of_a_skip_are_summed():
    """y = [h, h + x] with h = tanh(x): dx = dy₂ + (dy₁ + dy₂)(1 − h²)."""
    x = Input()
    h = Tanh()(x)
    net = Graph(x, Concatenate()(h, Add()(h, x)))
    variables = net.init(KEY, (3,))
    assert net.out_shape((3,)) == (6,)
    values = jnp.asarray(RNG.normal(size=(2, 3)), jnp.float32)
    dy = jnp.asarray(RNG.normal(size=(2, 6)), jnp.float32)
    y, saved = net.forward(variables.params, values, Context())
    dx, _ = net.backward(variables.params, saved, dy)
    h = np.tanh(values)
    np.testing.assert_allclose(y, np.concatenate([h, h + values], axis=1), rtol=1e-6)
    np.testing.assert_allclose(dx, dy[:, 3:] + (dy[:, :3] + dy[:, 3:]) * (1 - h**2), rtol=1e-5)

"""The presets of convolutional networks are the networks that they are named after."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.lab import presets
from denpa.lab.assemble import assemble
from denpa.lab.experiment import DataConfig
from denpa.lab.sources import Look

MNIST = Look("classification", (28, 28, 1), 10, 60_000)


def network(name, look=MNIST):
    return presets.build(name, data=DataConfig("images/"), look=look).network


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # 6 of 5x5; 16 of 5x5x6; 120 of 5x5x16; 84; 10, each with a bias
        ("lenet5", 156 + 2416 + 48120 + 10164 + 850),
        ("mnist-conv", 30 * 26 + 4321 * 100 + 1010),
        ("mnist-conv-deep", 160 + 2320 + 4640 + 9248 + 18496 + 36928 + 577 * 50 + 510),
    ],
)
def test_parameters_are_those_of_the_published_network(name, parameters):
    assert network(name).summary((28, 28, 1)).parameters == parameters


def test_alexnet_has_the_published_shapes_and_learns_from_one_image():
    net = network("alexnet", Look("classification", (227, 227, 3), 1000, 1_000))
    shapes = net.shapes((227, 227, 3))
    sizes = [shapes[name] for name, layer in net.inner() if isinstance(layer, (dp.Conv2d, dp.Flatten))]
    assert sizes == [(227, 227, 3), (27, 27, 96), (13, 13, 256), (13, 13, 384), (13, 13, 384), (6, 6, 256)]
    variables = net.init(jax.random.key(0), (227, 227, 3))
    # Krizhevsky, Sutskever & Hinton (2012): 60 million parameters.
    assert sum(a.size for a in jax.tree.leaves(variables.params)) == 60_965_224
    x = np.random.default_rng(0).random((1, 227, 227, 3), np.float32)
    step = dp.backprop(net, dp.SoftmaxCrossEntropy(), variables, x, np.array([3]), key=jax.random.key(1))
    assert step.dx.shape == x.shape
    assert np.isfinite(step.loss)
    assert all(np.any(np.asarray(g)) for g in jax.tree.leaves(step.grads))


def test_a_residual_network_passes_its_input_on_where_the_blocks_are_zero():
    net = network("residual", Look("classification", (8, 8, 3), 4, 200))
    params, state = net.init(jax.random.key(0), (8, 8, 3))
    adds = [vertex for vertex in net.vertices if isinstance(vertex.layer, dp.Add)]
    assert len(adds) == 3
    for vertex in adds:  # the second batch norm of each block: gamma = beta = 0 makes F(x) = 0
        params[vertex.inputs[0]] = jax.tree.map(np.zeros_like, params[vertex.inputs[0]])
    x, t = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32), np.array([0, 1])
    met = dp.trace(net, dp.SoftmaxCrossEntropy(), dp.Variables(params, state), x, t, train=False)
    first = adds[0]
    np.testing.assert_array_equal(met[first.name].y, met[first.inputs[1]].y)


@pytest.mark.parametrize(
    ("name", "look", "message"),
    [
        ("mnist-conv", Look("classification", (784,), 10, 100), "is for images"),
        ("lenet5", Look("classification", (8, 8, 1), 10, 100), "at least 28 x 28"),
        ("alexnet", Look("classification", (32, 32, 3), 10, 100), "at least 67 x 67"),
    ],
)
def test_data_that_do_not_fit_are_refused(name, look, message):
    with pytest.raises(dp.ConfigError, match=message):
        network(name, look)


def test_alexnet_is_shown_without_images_and_trained_with_some():
    experiment, look = assemble("alexnet", [], read=False)
    assert look.in_shape == (227, 227, 3)
    assert experiment.network.layers[-1].units == 1000
    with pytest.raises(dp.ConfigError, match="data of your own: --data FOLDER"):
        assemble("alexnet", [])


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "residual"])
@pytest.mark.parametrize(("asked", "message"), [({"hidden": [5]}, "own layers"), ({"activation": "tanh"}, "own activ")])
def test_what_a_published_network_has_no_use_for_is_refused(name, asked, message):
    look = Look("classification", (227, 227, 3), 10, 100)
    with pytest.raises(dp.ConfigError, match=f"{name}.*{message}.*leave --{next(iter(asked))} out"):
        presets.build(name, presets.Options(**asked), DataConfig("images/"), look)


@pytest.mark.parametrize(
    ("name", "source", "largest"),
    [
        ("digits-conv", "digits", 16),
        ("digits-conv", None, 255),
        ("mnist-conv", "digits", 16),
        ("digits-mlp", None, 255),
    ],
)
def test_pixels_are_scaled_as_the_data_have_them(name, source, largest, tmp_path):
    """None: a folder of image files."""
    experiment = presets.build(name, data=DataConfig(source or str(tmp_path)), look=MNIST)
    assert experiment.normalizer == dp.ScaleImages(largest)

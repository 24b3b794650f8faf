"""Back-propagation over several devices: JAX divides the work, and the numbers stay those of one device."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import denpa as dp

LOSS, ROWS = dp.SoftmaxCrossEntropy(), 8
NETWORKS = {
    "dense": ([dp.Dense(8), dp.BatchNorm(), dp.ReLU(), dp.Dropout(0.5), dp.Dense(3)], (5,)),
    "convolution": ([dp.Conv2d(16, 3), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten(), dp.Dense(3)], (8, 8, 2)),
    "lstm": ([dp.LSTM(16), dp.Dense(3)], (6, 4)),
}


@pytest.fixture(scope="module")
def mesh():
    return Mesh(np.array(jax.devices()[:2]), ("batch",))


def problem(name, mesh):
    """A batch on one device, and the same with its examples divided and a copy of the parameters on each device."""
    layers, shape = NETWORKS[name]
    net, rng = dp.Sequential(layers), np.random.default_rng(0)
    variables = net.init(jax.random.key(0), shape)
    batch = rng.standard_normal((ROWS, *shape), np.float32), rng.integers(0, 3, ROWS), rng.random(ROWS, np.float32)
    copies = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
    return net, (variables, *batch), (copies, *jax.device_put(batch, NamedSharding(mesh, PartitionSpec("batch"))))


def step_of(net):
    return lambda v, x, t, w: dp.backprop(net, LOSS, v, x, t, key=jax.random.key(7), sample_weight=w)


@pytest.mark.parametrize("kernels", ["auto", "xla"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_divided_batch_has_the_gradients_of_the_whole(name, kernels, mesh):
    net, whole, divided = problem(name, mesh)
    with dp.kernels.using(kernels):
        wanted, found = step_of(net)(*whole), step_of(net)(*divided)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_each_device_works_on_its_own_examples(mesh):
    """Sums are exchanged, examples are not: no device gathers the batch."""
    net, _, divided = problem("dense", mesh)
    program = jax.jit(step_of(net)).lower(*divided).compile()
    exchanged = set(re.findall(r"(all-reduce|all-gather|all-to-all|collective-permute)\(", program.as_text()))
    assert exchanged == {"all-reduce"}
    assert program(*divided).dx.sharding.spec == PartitionSpec("batch")


def test_units_can_be_divided_too(mesh):
    net, whole, _ = problem("dense", mesh)
    params, *rest = jax.device_put((whole[0].params, whole[0].state, *whole[1:]), NamedSharding(mesh, PartitionSpec()))
    W = jax.device_put(params["0_dense"]["W"], NamedSharding(mesh, PartitionSpec(None, "batch")))
    params = {**params, "0_dense": {**params["0_dense"], "W": W}}
    found = step_of(net)(dp.Variables(params, rest[0]), *rest[1:])
    assert found.grads["0_dense"]["W"].sharding.spec == PartitionSpec(None, "batch")
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(step_of(net)(*whole)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)

"""Five steps of PyTorch's optimisers, from golden files: its gradients in, its parameters out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa import optim
from tests import golden

OURS = {
    "optimizers/sgd": optim.SGD(0.1),
    "optimizers/momentum": optim.Momentum(0.1, 0.9),
    "optimizers/nesterov": optim.Nesterov(0.1, 0.9),
    "optimizers/adagrad": optim.AdaGrad(0.1, epsilon=1e-10),
    "optimizers/rmsprop": optim.RMSprop(0.02, 0.9, epsilon=1e-8, epsilon_inside=False),
    "optimizers/adadelta": optim.Adadelta(1.0, 0.9, 1e-6),
    "optimizers/adam": optim.Adam(0.05, 0.9, 0.999, 1e-8),
    "optimizers/adamw": optim.AdamW(0.05, 0.9, 0.999, 1e-8, weight_decay=0.1, on="*"),
}


@pytest.mark.parametrize("case", OURS)
def test_steps_of_pytorch(case):
    record = golden.load(case)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda path: jnp.asarray(path[0]), record["params"])
        state = OURS[case].init(params)
        for step in range(5):
            grads = jax.tree.map(lambda path, step=step: jnp.asarray(path[step]), record["grads"])
            updates, state = OURS[case].update(grads, state, params)
            params = jax.tree.map(jnp.add, params, updates)
            expected = jax.tree.map(lambda path, step=step: path[step + 1], record["params"])
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13), params, expected)


def test_every_file_is_used():
    """All but SGD with a penalty, which is no optimiser here."""
    assert set(golden.names("optimizers")) == {*OURS, "optimizers/weight_decay"}

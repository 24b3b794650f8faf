"""How training programs are compiled: with other libraries inside XLA for small networks, to the same numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.training import compiled
from denpa.training.program import programs_for


@pytest.fixture
def fresh():
    """Programs of this test alone."""
    programs_for.cache_clear()
    compiled._can_do_without_ynn.cache_clear()
    yield
    programs_for.cache_clear()
    compiled._can_do_without_ynn.cache_clear()


def losses():
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    net = dp.Sequential((dp.Dense(8), dp.ReLU(), dp.Dense(3)))
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(0.01), in_shape=(6,))
    return model.fit((x, t), epochs=4, batch_size=10, verbose=False)["loss"]


def test_small_networks_learn_the_same_with_other_products(fresh, monkeypatch):
    asked = []
    monkeypatch.setattr(compiled, "_can_do_without_ynn", lambda: asked.append(True) or True)
    small = losses()
    assert asked
    programs_for.cache_clear()
    monkeypatch.setattr(compiled, "_SMALL", 0)
    np.testing.assert_allclose(small, losses(), rtol=1e-5)


def test_an_xla_without_the_option_trains_all_the_same(fresh, monkeypatch):
    expected = losses()
    programs_for.cache_clear()
    monkeypatch.setattr(compiled, "_WITHOUT_YNN", {"xla_cpu_of_the_past": ""})
    compiled._can_do_without_ynn.cache_clear()
    assert not compiled._can_do_without_ynn()
    np.testing.assert_allclose(losses(), expected, rtol=1e-5)


def test_what_counts_is_the_largest_array(monkeypatch):
    monkeypatch.setattr(compiled, "_can_do_without_ynn", lambda: True)
    many = [jnp.zeros((300, 400))] * 4
    assert compiled._better_without_ynn({"params": many})
    assert not compiled._better_without_ynn({"params": [*many, jnp.zeros((400, 400))]})
    assert compiled._better_without_ynn({})

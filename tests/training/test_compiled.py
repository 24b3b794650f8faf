"""How training programs are compiled: with other libraries inside XLA for small networks, to the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.training import compiled, loop
from denpa.training.program import Run, programs_for


@pytest.fixture
def fresh():
    """Programs of this test alone."""
    programs_for.cache_clear()
    yield
    programs_for.cache_clear()


def losses():
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    net = dp.Sequential((dp.Dense(8), dp.ReLU(), dp.Dense(3)))
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.Adam(0.01), in_shape=(6,))
    return model.fit((x, t), epochs=4, batch_size=10, verbose=False)["loss"]


def test_small_networks_learn_the_same_with_other_products(fresh, monkeypatch):
    small = losses()
    programs_for.cache_clear()
    monkeypatch.setattr(compiled, "_SMALL", 0)
    np.testing.assert_allclose(small, losses(), rtol=1e-5)


@pytest.mark.parametrize("past", [("xla_cpu_of_the_past", ""), (compiled._YNN, "LIBRARY_FUSION_OF_THE_PAST")])
def test_an_xla_without_the_option_trains_all_the_same(fresh, monkeypatch, past):
    expected = losses()
    programs_for.cache_clear()
    option, value = past
    monkeypatch.setattr(compiled, "_YNN", option)
    monkeypatch.setattr(compiled, "_WITHOUT_YNN", {option: value})
    np.testing.assert_allclose(losses(), expected, rtol=1e-5)


def test_other_failures_are_not_taken_for_a_missing_option():
    def failing(run):
        raise jax.errors.JaxRuntimeError("out of memory")

    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
        compiled.compiled_training(failing, "auto")(Run({}, {}, (), jnp.zeros(()), jnp.zeros(())))


def test_what_counts_is_the_largest_array_of_a_member(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    zeros = jnp.zeros

    def small(*arrays, members=()):
        return compiled.has_small_products(Run(list(arrays), {}, (), zeros(members), zeros(members)))

    assert small(*[zeros((300, 400))] * 4)
    assert not small(zeros((300, 400)), zeros((400, 400)))
    assert small(zeros((10, 300, 400)), members=(10,))
    assert not small(zeros((10, 400, 400)), members=(10,))
    assert small()


def test_memory_goes_back_once_for_each_compilation(fresh, monkeypatch):
    given = []
    monkeypatch.setattr(compiled, "give_back_memory", lambda: given.append(1))
    program = compiled.compiled_training(lambda run: run.step + 1, "auto")
    run = Run({}, {}, (), jnp.zeros(()), jnp.zeros(()))
    assert [float(program(run)), float(program(run))] == [1, 1]
    assert len(given) == 1


@pytest.mark.parametrize(("many", "times"), [(10, 3), (11, 0)])
def test_what_large_networks_free_between_chunks_goes_back(monkeypatch, many, times):
    given = []
    monkeypatch.setattr(loop, "give_back_memory", lambda: given.append(1))
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 0)
    monkeypatch.setattr(loop, "_MANY", many)
    model = dp.Model(dp.Sequential([dp.Dense(2)]), dp.SoftmaxCrossEntropy())
    examples = np.zeros((4, 4), np.float32), np.array([0, 1, 0, 1])
    model.fit(examples, validation=examples, epochs=3, verbose=False)  # a chunk for each epoch
    assert len(given) == times

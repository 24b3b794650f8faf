"""How training programs are compiled: with other libraries inside XLA for small networks, to the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree
from denpa.training import compiled, loop, program
from denpa.training.program import Recipe, Run, programs_for


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
    tiny = losses()
    for limit in ("_TINY", "_SMALL"):
        programs_for.cache_clear()
        monkeypatch.setattr(compiled, limit, 0)
        np.testing.assert_allclose(losses(), tiny, rtol=1e-5)


@pytest.mark.parametrize("options", ["_WITHOUT_YNN", "_WITH_ONE_THREAD"])
@pytest.mark.parametrize("past", [{"xla_cpu_of_the_past": ""}, dict.fromkeys(compiled._WITHOUT_YNN, "OF_THE_PAST")])
def test_an_xla_without_the_option_trains_all_the_same(fresh, monkeypatch, options, past):
    expected = losses()
    programs_for.cache_clear()
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(compiled, "_TINY", 0 if options == "_WITHOUT_YNN" else compiled._TINY)
    monkeypatch.setattr(compiled, options, past)
    np.testing.assert_allclose(losses(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("net", "shape", "rows"),
    [
        (dp.Sequential([dp.Dense(3)]), (12,), 5),
        (dp.Sequential([dp.Dense(3)]), (7, 12), 35),
        (dp.Sequential([dp.Conv2d(3, 3)]), (8, 9, 2), 360),
        (dp.Sequential([dp.Embedding(10, 3)]), (7,), 35),
    ],
)
def test_rows_are_those_of_the_largest_product(net, shape, rows):
    recipe = Recipe(net, dp.MeanSquaredError(), dp.SGD(0.1))
    order = np.zeros((2, 5), np.int32)
    assert recipe.rows((np.zeros((20, *shape)), None, None), order) == rows
    assert recipe.rows(((np.zeros((20, *shape)), np.zeros((20, 1))), None, None), order) == rows


def test_a_program_is_compiled_as_its_largest_product_wants(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    asked = []
    jitted = jax.jit

    def jit(function, compiler_options=None, **rest):
        program = jitted(function, **rest)
        return lambda *args: asked.append(compiler_options) or program(*args)

    monkeypatch.setattr(jax, "jit", jit)
    program = compiled.compiled_training(lambda run, rows: run.step, "auto", rows=lambda rows: rows)
    for size, rows in [(1 << 10, 1 << 6), (1 << 10, (1 << 6) + 1), (1 << 17, 1)]:
        program(Run([jnp.zeros(size)], {}, (), jnp.zeros(()), jnp.zeros(())), rows)
    assert asked == [compiled._WITH_ONE_THREAD, compiled._WITHOUT_YNN, {}]


NET = dp.Sequential(
    [
        dp.Conv2d(5, 3, kernel_init=dp.init.He()),
        dp.Flatten(),
        dp.Dense(33, kernel_init=dp.init.LeCun("uniform"), bias_init=dp.init.Normal(0.1)),
        dp.Reshape((11, 3)),
        dp.Bidirectional(dp.LSTM(4)),  # orthogonal matrices
        dp.Dense(3, kernel_init=dp.init.Glorot()),
    ]
)


@pytest.fixture
def drawn(fresh, monkeypatch):
    """The first parameters of a network, by a program that is compiled with other options than the tests' own."""
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")

    def draw(options, flags=""):
        monkeypatch.setenv("XLA_FLAGS", flags)
        monkeypatch.setattr(compiled, "_IN_HASTE", options)
        programs_for.cache_clear()
        program._fresh.cache_clear()
        return tree.flatten(dp.Model(NET, dp.SoftmaxCrossEntropy(), seed=5, in_shape=(8, 9, 2)).variables.params)

    yield draw
    program._fresh.cache_clear()


def test_programs_in_haste_draw_the_same_numbers(drawn):
    level = "xla_backend_optimization_level"
    quickly = drawn(compiled._IN_HASTE)
    assert list(compiled._IN_HASTE.items()) == [(level, 1)]
    for name, carefully in drawn({level: 3}).items():  # XLA's own
        np.testing.assert_allclose(quickly[name], carefully, rtol=1e-6, atol=1e-7, err_msg=name)


def test_an_xla_that_knows_no_haste_draws_all_the_same(drawn):
    by_the_user = drawn(compiled._IN_HASTE, "--xla_backend_optimization_level=0")  # as all programs here
    for name, value in drawn({"xla_cpu_of_the_past": 1}).items():
        np.testing.assert_array_equal(by_the_user[name], value, err_msg=name)


def test_other_failures_are_not_taken_for_a_missing_option():
    def failing(run):
        raise jax.errors.JaxRuntimeError("out of memory")

    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
        compiled.compiled_training(failing, "auto", rows=lambda: 1)(Run({}, {}, (), jnp.zeros(()), jnp.zeros(())))


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
    program = compiled.compiled_training(lambda run: run.step + 1, "auto", rows=lambda: 1)
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

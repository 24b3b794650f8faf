"""What a model accepts: optimisers of others, several inputs, targets and examples of every kind, parts held back."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from tests.training.common import DATA, QUIET, bits, model, problem, random_model, rows


# ------------------------------------------------------------------------------------------ what it accepts
def test_optimisers_of_optax_are_accepted(tmp_path):
    import optax

    chains = [
        optax.adam(0.01),
        optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(optax.linear_schedule(0.1, 0.0, 10), momentum=0.9)),
    ]
    with jax.numpy_dtype_promotion("standard"):  # which Optax counts on
        for optimizer in chains:
            trained = model(optimizer=optimizer)
            trained.fit(DATA, epochs=2, **QUIET)
            path = tmp_path / "m.safetensors"
            trained.save(path)
            loaded = dp.load(path)
            np.testing.assert_array_equal(loaded.predict(DATA[0]), trained.predict(DATA[0]))
            with pytest.raises(dp.ConfigError, match=r"trained with optax.*assign model\.optimizer"):
                loaded.fit(DATA, epochs=1, **QUIET)
            loaded.save(path)
            assert "optax" in dp.load(path).optimizer.module
            loaded.optimizer = optimizer
            assert loaded.fit(DATA, epochs=1, **QUIET).epochs[-1]["epoch"] == 3
        assert trained.run.optimizer[1][0].trace["0_dense"]["W"].any()


def test_a_chain_of_ours_and_optaxs_trains_and_resumes(tmp_path):
    import optax

    def made():
        return model(optimizer=dp.chain(dp.ClipByNorm(0.5), optax.adam(0.01)))

    with jax.numpy_dtype_promotion("standard"):
        straight, first, second, theirs = made(), made(), made(), model()
        theirs.optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.01))
        for trained in (straight, theirs):
            trained.fit(DATA, epochs=3, **QUIET)
        first.fit(DATA, epochs=2, callbacks=[dp.Checkpoint(tmp_path)], **QUIET)
        second.fit(DATA, epochs=3, resume=tmp_path, **QUIET)
        straight.save(tmp_path / "m.safetensors")
        loaded = dp.load(tmp_path / "m.safetensors")
        with pytest.raises(dp.ConfigError, match=r"a file cannot hold: assign model\.optimizer"):
            loaded.fit(DATA, epochs=1, **QUIET)
    assert bits(second.variables) == bits(straight.variables)
    np.testing.assert_array_equal(loaded.predict(DATA[0]), straight.predict(DATA[0]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), straight.variables, theirs.variables
    )


def test_line_searches_of_optax_know_the_objective():
    """`optax.lbfgs` searches along its direction: every step is that of a loop by hand over the same function."""
    import optax

    x, t = DATA
    trained = model(optimizer=optax.lbfgs(), penalty=dp.L2(0.01))
    trained.build(x.shape[1:])
    start, state = trained.run.params, trained.run.state

    def objective(params):
        return dp.backprop(trained.net, trained.loss, dp.Variables(params, state), x, t).loss + 0.005 * sum(
            jnp.sum(layer["W"] ** 2) for layer in params.values() if "W" in layer
        )

    with jax.numpy_dtype_promotion("standard"):
        trained.fit(DATA, epochs=4, batch_size="full", verbose=False)
        solver, params = optax.lbfgs(), start
        memory = solver.init(params)

        @jax.jit
        def by_hand(params, memory):
            value, grads = jax.value_and_grad(objective)(params)
            updates, memory = solver.update(grads, memory, params, value=value, grad=grads, value_fn=objective)
            return optax.apply_updates(params, updates), memory

        for _ in range(4):
            params, memory = by_hand(params, memory)
    found, expected = (jax.tree.leaves(tree) for tree in (trained.run.params, params))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("inside_a_chain", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_a_line_search_is_told_belongs_together(inside_a_chain, reduction):
    """value is value_fn at the parameters, with dropout, prices on activities, weights and the penalty in it."""
    import optax

    def update(grads, state, params=None, *, value, grad, value_fn, **_):
        slopes = jax.grad(value_fn)(params)
        off = [jnp.max(jnp.abs(a - b)) for a, b in zip(jax.tree.leaves(slopes), jax.tree.leaves(grad), strict=True)]
        return grads, jnp.stack([value, value_fn(params), jnp.max(jnp.stack(off))])

    watching = optax.GradientTransformationExtraArgs(lambda params: jnp.zeros(3), update)
    net = dp.Sequential([dp.Dense(6), dp.Sigmoid(), dp.KLSparsity(0.1, 0.3), dp.Dropout(0.5), dp.Dense(2)])
    optimizer = dp.chain(dp.ClipByNorm(1e-6), watching) if inside_a_chain else watching
    loss = dp.SoftmaxCrossEntropy(reduction=reduction)
    trained = dp.Model(net, loss=loss, optimizer=optimizer, penalty=dp.L2(0.1), seed=3)
    x, t = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.arange(40) % 2
    trained.fit((x, t, np.linspace(0.5, 2, 40, dtype=np.float32)), batch_size=40, epochs=1, verbose=False)
    seen = np.asarray(trained.run.optimizer["1_foreign"] if inside_a_chain else trained.run.optimizer)
    assert seen[0] == pytest.approx(seen[1], rel=1e-6) != 0
    assert seen[2] < (1e-4 if reduction == "sum" else 1e-5)


def test_without_compilation_the_numbers_are_the_same():
    """`jax.disable_jit` lets a debugger into every formula."""
    compiled, seen = model(), model()
    expected = compiled.fit(DATA, epochs=1, batch_size="full", verbose=False)["loss"]
    with jax.disable_jit():
        found = seen.fit(DATA, epochs=1, batch_size="full", verbose=False)["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for ours, theirs in zip(jax.tree.leaves(seen.run.params), jax.tree.leaves(compiled.run.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_optaxs_adam_takes_the_steps_of_ours():
    import optax

    ours, theirs = model(optimizer=dp.Adam(0.02)), model(optimizer=optax.adam(0.02))
    ours.fit(DATA, epochs=3, **QUIET)
    with jax.numpy_dtype_promotion("standard"):
        theirs.fit(DATA, epochs=3, **QUIET)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        ours.variables.params,
        theirs.variables.params,
    )


def test_another_optimiser_begins_anew():
    trained = model(optimizer=dp.Momentum(0.1))
    trained.fit(DATA, epochs=2, **QUIET)
    assert trained.run.optimizer["velocity"]["0_dense"]["W"].any()
    trained.optimizer = dp.Adam(1e-3)
    trained.fit(DATA, epochs=1, **QUIET)
    assert int(trained.run.optimizer["step"]) == 4
    assert trained.steps == 12
    with pytest.raises(dp.ConfigError, match="Did you forget the brackets"):
        trained.optimizer = dp.Adam


def test_parts_that_are_assigned_suit_each_other():
    """What a metric leaves open is read as the loss of the moment reads it; what no longer fits is refused."""
    x, t = DATA[0], (DATA[1] > 0).astype(int)
    trained = dp.Model([dp.Dense(1)], dp.SigmoidCrossEntropy(), dp.SGD(0.1), in_shape=4)
    trained.metrics = [dp.Accuracy()]
    trained.loss = dp.MeanSquaredError()
    assert trained.evaluate((x, t))["accuracy"] == np.mean((trained.predict(x)[:, 0] > 0.5) == t)
    with pytest.raises(dp.ConfigError, match="Two metrics are called 'accuracy'"):
        trained.metrics = [dp.Accuracy(), dp.Accuracy(0.3)]
    with pytest.raises(dp.ConfigError, match="fits no array"):
        trained.frozen = "nothing/*"
    assert trained.metrics == (dp.Accuracy(0.5),)
    assert trained.frozen == ()
    trained.penalty, trained.optimizer = dp.L1(0.1, proximal=True), pytest.importorskip("optax").sgd(0.1)
    with pytest.raises(dp.ConfigError, match="wants an optimizer of denpa's"):
        trained.fit((x, t), **QUIET)


def test_several_inputs_and_a_shared_layer():
    a, b = dp.Input(), dp.Input()
    encoder = dp.Dense(4)
    both = dp.Concatenate()(dp.Tanh()(encoder(a, name="enc")), dp.Tanh()(encoder(b, name="enc")))
    net = dp.Graph((a, b), dp.Dense(3)(both))
    x, t = DATA
    pair = (x, np.roll(x, 1, axis=0))
    trained = model(net, optimizer=dp.Adam(0.05))
    history = trained.fit((pair, t), validation=0.2, epochs=5, **QUIET)
    assert history["loss"][-1] < history["loss"][0]
    assert trained.in_shape == ((4,), (4,))
    y = trained.predict(pair)
    assert y.shape == (20, 3)
    np.testing.assert_allclose(y, net.apply(trained.variables, pair), rtol=1e-5, atol=1e-6)
    assert set(trained.evaluate((pair, t))) == {"loss", "accuracy"}
    again = model(net, optimizer=dp.Adam(0.05), in_shape=((4,), (4,)))
    again.fit(([pair[0], pair[1]], t), epochs=1, **QUIET)
    for wrong, message in (
        (x, "The network takes 2 inputs, but the training data hold 1"),
        ((x, x, x), "takes 2 inputs, but the training data hold 3"),
        ((x, x[:-1]), "unlike numbers of examples: 20, 19"),
        ((x, x[:, :2]), "Each example has 2 features, but the network was made for 4"),
    ):
        with pytest.raises(dp.DataError, match=message):
            again.fit((wrong, t), epochs=1, **QUIET)
    with pytest.raises(dp.ConfigError, match="normalizer works for a network with a single input"):
        model(net, normalizer=dp.Standardize()).fit((pair, t), epochs=1, **QUIET)


def test_regression_targets_may_be_flat():
    """(n,) for one output; compared as (n, 1), never broadcast to (n, n)."""
    x = DATA[0]
    t = (x @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.3).astype(np.float32)
    histories = []
    for targets in (t, t[:, None]):
        trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.2), metrics=[dp.R2()])
        histories.append(trained.fit((x, targets), validation=(x, targets), epochs=60, **QUIET))
        assert trained.predict(x).shape == (20, 1)
    assert rows(histories[0]) == rows(histories[1])
    assert histories[0]["loss"][-1] < 1e-3
    assert histories[0]["validation_r2"][-1] > 0.99
    np.testing.assert_allclose(trained.variables.params["0_dense"]["W"][:, 0], [1, -2, 0.5, 0], atol=0.05)


def test_integer_targets_of_a_regression_are_numbers_of_any_size():
    x = DATA[0]
    t = np.arange(20) * 1_000_000_000  # beyond 32 bits
    trained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(1e-3), in_shape=(4,))
    expected = 0.5 * np.mean((trained.predict(x)[:, 0].astype(np.float64) - t) ** 2)
    np.testing.assert_allclose(trained.evaluate((x, t))["loss"], expected, rtol=1e-4)
    history = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.1)).fit(
        (x, np.arange(20)), validation=0.2, epochs=1, **QUIET
    )
    assert np.isfinite(history["validation_loss"][0])  # 20 different numbers are not 20 classes


def test_targets_can_be_normalised():
    """The loss compares normalised targets; metrics and predictions keep the units of the data."""
    x = DATA[0]
    t = 500 + 20 * x[:, :1]
    trained = dp.Model(
        [dp.Dense(1)],
        dp.MeanSquaredError(),
        dp.SGD(0.3),
        metrics=[dp.RootMeanSquaredError()],
        target_normalizer=dp.Standardize(),
    )
    history = trained.fit((x, t), epochs=40, **QUIET)
    assert history["loss"][-1] < 1e-3
    y = trained.predict(x)
    np.testing.assert_allclose(y, t, atol=2)
    np.testing.assert_allclose(
        trained.evaluate((x, t))["root_mean_squared_error"], np.sqrt(np.mean((y - t) ** 2)), rtol=1e-4
    )


def test_computing_in_bfloat16_keeps_float32_parameters_and_outputs():
    half = random_model(compute_dtype=jnp.bfloat16)
    assert half.compute_dtype == "bfloat16"
    full = random_model()
    for trained in (half, full):
        trained.fit(DATA, epochs=3, **QUIET)
    assert {leaf.dtype for leaf in jax.tree.leaves(half.variables)} == {jnp.dtype("float32")}
    assert half.predict(DATA[0]).dtype == np.float32
    assert bits(half.variables) != bits(full.variables)
    difference = np.abs(half.predict(DATA[0]) - full.predict(DATA[0])).max()
    assert 1e-6 < difference < 0.2
    text = jax.jit(half.programs.recipe.step).lower(half.run, None, *DATA, None).as_text()
    assert "dot_general" in text
    assert "bf16" in text


def test_raw_input_is_normalised_inside_the_model(tmp_path):
    x, t = DATA
    raw = x * np.array([1, 100, 0.01, 5], np.float32) + np.array([0, 1000, 3, -7], np.float32)
    trained = model(normalizer=dp.Standardize())
    trained.fit((raw, t), epochs=2, **QUIET)
    plain = model()
    plain.fit(((raw - raw.mean(0)) / raw.std(0), t), epochs=2, **QUIET)
    np.testing.assert_allclose(trained.predict(raw), plain.predict((raw - raw.mean(0)) / raw.std(0)), atol=1e-3)
    before = {name: np.array(a) for name, a in trained.statistics.items()}
    trained.fit((raw + 50, t), epochs=1, **QUIET)  # fitted once: what the weights were learned with
    for name, a in before.items():
        np.testing.assert_array_equal(trained.statistics[name], a)
    trained.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(dp.load(tmp_path / "m.safetensors").predict(raw), trained.predict(raw))


def test_integer_examples_are_numbers():
    """Bytes, and integers beyond 32 bits, mean what they say."""
    images = np.random.default_rng(0).integers(0, 256, (20, 4), dtype=np.uint8)
    byte, real = model(seed=2), model(seed=2)
    byte.fit((images, DATA[1]), epochs=1, **QUIET)
    real.fit((images.astype(np.float32), DATA[1]), epochs=1, **QUIET)
    np.testing.assert_array_equal(byte.predict(images), real.predict(images.astype(np.float32)))
    large = np.array([[5_000_000_000, 1, 2, 3], [-5_000_000_000, 1, 2, 3]])
    np.testing.assert_array_equal(byte.predict(large), real.predict(large.astype(np.float32)))


@pytest.mark.parametrize("normalizer", [None, dp.ScaleImages(), dp.MinMax()], ids=repr)
def test_bytes_reach_the_network_in_the_default_precision(normalizer):
    """A convolution or a recurrent layer would refuse numbers of another precision than its weights."""
    with jax.enable_x64(True):
        images = np.array([[0, 51, 255]], np.uint8)
        recipe = model(normalizer=normalizer).programs.recipe
        statistics = {"minimum": np.zeros(3, np.float32), "inverse_range": np.full(3, 1 / 256, np.float32)}
        prepared = recipe.prepare(statistics, jnp.asarray(images))
        assert prepared.dtype == np.float64
        divisor = {None: 1, dp.ScaleImages(): 255, dp.MinMax(): 256}[normalizer]
        np.testing.assert_allclose(prepared, images / divisor, rtol=1e-15)


def test_held_back_data_are_stratified_and_disjoint():
    """Every class in proportion, for labels and one-hot targets; no example on both sides."""
    rng = np.random.default_rng(0)
    t = np.repeat([0, 1, 2], [40, 20, 10])
    x = np.arange(70, dtype=np.float32)[:, None] * np.ones(4, np.float32)
    order = rng.permutation(70)
    x, t = x[order], t[order]
    for targets in (t, np.eye(3, dtype=np.float32)[t]):
        seen = {}

        def look(training, seen=seen):
            seen["train"], seen["held"] = training.data, training.validation

        model(optimizer=dp.SGD(1e-6)).fit((x, targets), validation=0.2, epochs=1, callbacks=look, verbose=False)
        train, (held,) = seen["train"], seen["held"]
        ids = [np.asarray(part[0])[:, 0] for part in (train, held)]
        assert sorted(np.concatenate(ids)) == list(range(70))
        labels = np.asarray(held[1]) if np.ndim(held[1]) == 1 else np.asarray(held[1]).argmax(1)
        assert np.bincount(labels).tolist() == [8, 4, 2]


def test_soft_targets_are_not_classes_to_be_held_back_evenly():
    """Each number between 0 and 1 is there once: no class could be on both sides."""
    soft = np.random.default_rng(0).uniform(size=20)
    trained = dp.Model([dp.Dense(1)], dp.SigmoidCrossEntropy(), dp.SGD(0.1))
    assert (
        "validation_loss" in trained.fit((DATA[0], soft), validation=0.2, epochs=1, batch_size=4, verbose=False).columns
    )


def test_statistics_come_from_the_training_part_alone():
    x, t = problem(0, 40)
    seen = {}

    def look(training):
        seen["x"] = np.asarray(training.data[0])

    trained = model(normalizer=dp.Standardize())
    trained.fit((x, t), validation=0.5, epochs=1, callbacks=[look], **QUIET)
    assert seen["x"].shape == (20, 4)
    np.testing.assert_allclose(trained.statistics["mean"], seen["x"].mean(0), rtol=1e-4, atol=1e-6)
    assert np.abs(np.asarray(trained.statistics["mean"]) - x.mean(0)).max() > 1e-3


def test_data_may_be_a_dataset_with_names():
    x, t = DATA
    data = dp.Dataset(x, t, task="classification", class_names=("red", "green", "blue"), feature_names=tuple("abcd"))
    trained = model()
    trained.fit(data, validation=0.3, epochs=1, **QUIET)
    assert trained.class_names == ("red", "green", "blue")
    assert trained.feature_names == ("a", "b", "c", "d")
    with pytest.raises(dp.DataError, match=r"row 0, column 2 \('c'\)"):
        trained.predict(np.array([[0, 0, np.nan, 0]], np.float32))


def test_predict_takes_the_x_of_a_data_set():
    x, t = DATA
    trained = model()
    trained.fit(DATA, epochs=1, **QUIET)
    for data in (dp.Dataset(x, t), dp.Dataset(x)):
        for way in (trained.predict, trained.predict_classes, trained.predict_probabilities):
            np.testing.assert_array_equal(way(data), way(x))
    members = dp.Bagging(model(), 2)
    members.fit(DATA, epochs=1, **QUIET)
    np.testing.assert_array_equal(members.predict(dp.Dataset(x, t)), members.predict(x))


KINDS = [">i8", ">f8", ">i2", jnp.bfloat16, jnp.float8_e4m3fn, jnp.int4]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: np.dtype(kind).name if kind not in KINDS[:3] else kind)
def test_every_kind_of_numbers_trains_and_measures_as_float32_does(kind):
    """Numbers that all kinds hold exactly; bfloat16 had been computed with as it came, others died in JAX."""
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 8, (16, 3)).astype(np.float32), np.arange(16) % 2

    def learned(inputs, targets):
        model = dp.Model([dp.Dense(4), dp.ReLU(), dp.Dense(2)], loss=dp.SoftmaxCrossEntropy(), optimizer=dp.Adam(0.01))
        model.normalizer = dp.Standardize()
        model.fit((inputs, targets), epochs=2, batch_size=4, verbose=False)
        return model.predict(inputs), model.evaluate((inputs, targets))["loss"]

    wanted, got = learned(x, t), learned(x.astype(kind), t.astype(kind) if np.dtype(kind).kind == "i" else t)
    np.testing.assert_array_equal(got[0], wanted[0])
    assert got[1] == wanted[1]


def test_labels_beyond_32_bits_are_refused_in_measuring_too():
    """Cut down to 32 bits, 2**32 would be class 0."""
    model = dp.Model([dp.Dense(2)], loss=dp.SoftmaxCrossEntropy(), optimizer=dp.SGD(0.1))
    x, t = np.ones((4, 3), np.float32), np.array([0, 1, 0, 1])
    model.fit((x, t), epochs=1, batch_size=2, verbose=False)
    with pytest.raises(dp.DataError, match="row 0 of the data to evaluate is 4294967296"):
        model.evaluate((x, t + 2**32))


TIMES = 1.7e9 + np.linspace(0, 1000, 64)


@pytest.mark.parametrize("times", [TIMES, TIMES.astype(np.int64), TIMES.astype(np.int32)], ids=lambda a: str(a.dtype))
def test_columns_that_lose_their_digits_are_told_of(times):
    x = np.stack([np.linspace(0, 1, 64), times], axis=1)
    model = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), normalizer=dp.Standardize())
    with pytest.warns(
        UserWarning, match=r"Column 1 of x goes from 1700000000 to 1700001000, .* in steps of 128"
    ) as seen:
        model.fit((x, np.linspace(0, 1, 64)), epochs=1, verbose=False)
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    "column",
    [
        TIMES - 1.7e9,
        TIMES.astype(np.float32),  # what is given says no more
        np.tile([2_000_000, 2_000_001], 32),  # few steps, but exact
        np.full(64, 1.7e9 + 0.3),
    ],
    ids=["shifted", "float32", "codes", "constant"],
)
def test_of_others_they_are_not(column):
    model = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), normalizer=dp.Standardize())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit((column[:, None], np.linspace(0, 1, 64)), epochs=1, verbose=False)

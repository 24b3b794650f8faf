"""Targets in units of their own: normalised for the loss, given back in predictions and metrics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree
from denpa.data.readers import raw_table
from denpa.training import Model, load
from denpa.training.preparation import prepared_data

RNG = np.random.default_rng(7)
X = RNG.normal(size=(60, 3)).astype(np.float32)
T = (250_000 + 40_000 * (X @ np.array([[1.0], [-0.5], [0.25]]))).astype(np.float32)


def prices(**options):
    metrics = [dp.RootMeanSquaredError(), dp.MeanAbsoluteError()]
    optimizer = dp.Adam(0.05)
    return Model(
        [dp.Dense(1)], dp.MeanSquaredError(), optimizer, metrics, target_normalizer=dp.Standardize(), **options
    )


def test_large_targets_are_learned_and_answered_in_their_units():
    model = prices()
    history = model.fit((X, T), epochs=60, batch_size=20, verbose=False)
    error = model.predict(X) - T
    assert np.abs(error).mean() < 400
    measured = model.evaluate((X, T))
    assert measured["root_mean_squared_error"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)
    assert measured["loss"] == pytest.approx(np.mean((error / T.std()) ** 2) / 2, rel=2e-2)
    assert history["mean_absolute_error"][0] > 10_000  # the metrics of training are in those units too


def test_training_sees_exactly_the_normalised_targets():
    mean, scale = T.mean(dtype=np.float64), T.std(dtype=np.float64)
    model = prices()
    model.fit((X, T), epochs=3, batch_size=20, verbose=False)
    plain = Model([dp.Dense(1)], dp.MeanSquaredError(), dp.Adam(0.05))
    plain.fit((X, (T - np.float32(mean)) * np.float32(1 / scale)), epochs=3, batch_size=20, verbose=False)
    for name, array in tree.flatten(plain.run.params).items():
        np.testing.assert_allclose(tree.flatten(model.run.params)[name], array, atol=1e-6)


def test_the_normaliser_of_targets_is_saved(tmp_path):
    model = prices(normalizer=dp.MinMax())
    model.fit((X, T), epochs=2, batch_size=20, verbose=False)
    model.save(tmp_path / "m.safetensors")
    same = load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(same.predict(X), model.predict(X))
    assert same.evaluate((X, T)) == model.evaluate((X, T))
    same.fit((X, T), epochs=1, batch_size=20, verbose=False)
    np.testing.assert_array_equal(same.statistics["targets"]["mean"], model.statistics["targets"]["mean"])


def test_padding_touches_no_statistic():
    """Of padded sequences the true steps of the training part count, in the input and in the targets."""
    lengths = RNG.integers(1, 5, 20)
    x, t = (RNG.normal(3, 2, size=(20, 4, features)).astype(np.float32) for features in (3, 1))
    net, scale = [dp.RNN(2, return_sequences=True), dp.Dense(1)], dp.Standardize(per="channel")
    model = Model(net, dp.MeanSquaredError(), normalizer=scale, target_normalizer=scale)
    data = dp.Padded(x, lengths), dp.Padded(t, lengths)
    train, _ = prepared_data(model, data, 0.25)
    for part, found in zip(train, (model.statistics, model.statistics["targets"]), strict=False):
        steps = np.concatenate([values[:n] for values, n in zip(part.values, part.lengths, strict=True)])
        assert len(part.values) == 15
        np.testing.assert_allclose(found["mean"], steps.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found["scale"], steps.std(0), rtol=1e-5)
    each_place = Model(net, dp.MeanSquaredError(), normalizer=dp.Standardize())
    with pytest.raises(dp.ConfigError, match='sequences end at unlike places: give per="channel"'):
        each_place.fit(data)


def test_classes_have_no_units():
    with pytest.raises(dp.ConfigError, match="regressions"):
        Model([dp.Dense(2)], dp.SoftmaxCrossEntropy(), target_normalizer=dp.Standardize())


def test_an_encoder_travels_with_the_model(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("age,colour,y\n31,red,1\n45,blue,2\n28,red,3\n60,green,2\n")
    table = dp.read_table(path, "y", task="regression")
    encoder = dp.TableEncoder.of(table)
    arrays = encoder.fit(table)
    model = prices()
    model.encoder, model.encoder_arrays = encoder, jax.tree.map(jnp.asarray, arrays)
    data = encoder.encode(arrays, table)
    model.fit(data, epochs=1, batch_size=2, verbose=False)
    model.save(tmp_path / "m.safetensors")
    same = load(tmp_path / "m.safetensors")
    assert same.encoder == encoder
    np.testing.assert_array_equal(same.encoder.apply(same.encoder_arrays, raw_table(path)), data.x)

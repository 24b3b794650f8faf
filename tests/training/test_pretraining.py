"""Layer-wise pre-training: every layer codes the one before, and the deep network starts from there."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import denpa as dp

RNG = np.random.default_rng(6)
# 8 values that lie on a curved surface of 2 dimensions.
X = np.tanh(RNG.standard_normal((200, 2)) @ RNG.standard_normal((2, 8))).astype(np.float32)


def deep():
    half = dp.Sequential([dp.Dense(6), dp.Tanh(), dp.Dense(2), dp.Tanh()])
    back = dp.Sequential([dp.Dense(6), dp.Tanh(), dp.Dense(8), dp.Tanh(), dp.Reshape((8,))])
    return dp.Sequential([("encoder", half), ("decoder", back)])


@pytest.fixture(scope="module")
def started():
    return dp.pretrain(deep(), X, optimizer=dp.Adam(0.02), epochs=40, batch_size=50)


def fresh_of(net):
    return dp.Model(net, dp.MeanSquaredError(), in_shape=(8,)).variables


def error(net, variables):
    return float(np.mean(np.sum((np.asarray(net.apply(variables, X)) - X) ** 2, axis=1)) / 2)


def test_the_deep_autoencoder_starts_at_a_lower_error_than_by_chance_and_than_the_mean(started):
    net = deep()
    fresh = fresh_of(net)
    assert jax.tree.structure(started) == jax.tree.structure(fresh)
    mean = float(np.sum(np.var(X, axis=0)) / 2)
    assert error(net, started) < 0.4 * mean < 0.4 * error(net, fresh)


def test_the_first_layer_and_the_last_are_an_autoencoder_of_their_own(started):
    outer = dp.Sequential([("a", dp.Dense(6)), ("b", dp.Tanh()), ("c", dp.Dense(8)), ("d", dp.Tanh())])
    params = started.params
    outside = {"a": params["encoder"]["0_dense"], "b": {}, "c": params["decoder"]["2_dense"], "d": {}}
    # It learned from x alone, with six units in the middle: better than the whole with two.
    assert error(outer, dp.Variables(outside, {})) < 0.5 * error(deep(), started)


def test_a_model_begins_where_it_left_off(started):
    model = dp.Model(deep(), dp.MeanSquaredError(), dp.Adam(1e-3), in_shape=(8,))
    model.variables = started
    assert model.evaluate((X, X))["loss"] == pytest.approx(error(deep(), started), rel=1e-5)


def test_of_a_classifier_all_layers_but_the_last():
    net = dp.Sequential([dp.GaussianNoise(0.1), dp.Dense(6), dp.BatchNorm(), dp.Tanh(), dp.Dense(2)])
    options = {"optimizer": dp.Adam(0.02), "epochs": 5, "batch_size": 50, "normalizer": dp.Standardize()}
    found, fresh = dp.pretrain(net, 5 * X + 2, **options), fresh_of(net)
    assert jax.tree.structure(found) == jax.tree.structure(fresh)
    np.testing.assert_array_equal(found.params["4_dense"]["W"], fresh.params["4_dense"]["W"])
    assert np.any(found.params["1_dense"]["W"] != fresh.params["1_dense"]["W"])
    assert np.any(found.state["2_batchnorm"]["mean"] != 0)


def test_what_was_interrupted_goes_on_behind_the_layers_that_are_done(tmp_path, monkeypatch):
    options = {"optimizer": dp.Adam(0.02), "epochs": 2, "batch_size": 50}
    whole, fits, fit = dp.pretrain(deep(), X, **options), [], dp.Model.fit

    def interrupted(model, *args, **plan):
        fits.append(model)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(model, *args, **plan)

    monkeypatch.setattr(dp.Model, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dp.pretrain(deep(), X, **options, folder=tmp_path)
    with pytest.raises(dp.ConfigError, match="layers of another pre-training"):
        dp.pretrain(deep(), 2 * X, **options, folder=tmp_path)
    found = dp.pretrain(deep(), X, **options, folder=tmp_path)
    assert len(fits) == 3  # the first layer was not trained again
    jax.tree.map(np.testing.assert_array_equal, found, whole)
    whole_file = (tmp_path / "pretraining.safetensors").read_bytes()
    (tmp_path / "pretraining.safetensors").write_bytes(whole_file[:-9])
    with pytest.raises(dp.FileFormatError, match="damaged, cut off"):
        dp.pretrain(deep(), X, **options, folder=tmp_path)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (dp.Sequential([dp.Dense(4), dp.Tanh()]), "two layers with weights"),
        (dp.Tied(deep(), [dp.Tie("decoder/2_dense/W", "encoder/0_dense/W", transpose=True)]), "wants a Sequential"),
        (dp.Sequential([dp.Embedding(5, 3), dp.Flatten(), dp.Dense(2)]), "read values"),
    ],
)
def test_what_is_no_stack_of_layers_is_refused(net, message):
    with pytest.raises(dp.ConfigError, match=message):
        dp.pretrain(net, X)


def test_padding_is_not_to_be_learned():
    with pytest.raises(dp.ConfigError, match="would learn the padding of sequences"):
        dp.pretrain([dp.Dense(2), dp.Dense(3)], dp.Padded(np.ones((4, 5, 3)), np.array([5, 1, 2, 3])))


def test_a_normaliser_and_a_folder_that_are_none_are_refused():
    with pytest.raises(dp.ConfigError, match="normalizer"):
        dp.pretrain(deep(), X, normalizer="minmax")
    with pytest.raises(dp.ConfigError, match="named by a text or a path"):
        dp.pretrain(deep(), X, folder=3)
    with pytest.raises(dp.DataError, match="rows of unlike length"):
        dp.pretrain(deep(), [[1.0, 2.0], [3.0]])

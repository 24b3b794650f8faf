"""Autoencoders from data to pictures: every example its own target, a code that can be read out."""

from __future__ import annotations

import csv
import io

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.cli.main import main
from denpa.lab import DataConfig, TrainingConfig, layer_output, presets
from denpa.lab.sources import Look, load_data, load_folds, look_of
from denpa.lab.start import begin
from denpa.lab.trained import Trained, predictions_csv

RNG = np.random.default_rng(12)
SMALL = Look("reconstruction", (8, 8, 1), 8, 1437, target_shape=(8, 8, 1))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """60 images of 6x5 pixels, of three patterns in random strength, with the pattern as class."""
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 3
    x = np.clip(rng.uniform(0, 1, (3, 6, 5, 1))[kind] * rng.uniform(0.4, 1, (60, 1, 1, 1)), 0, 1)
    path = tmp_path_factory.mktemp("images") / "x.npz"
    np.savez(path, x=np.rint(255 * x).astype(np.uint8), t=kind)
    return str(path)


def halves(network):
    inside = dict(network.inner())
    return [[layer for _, layer in inside[name].inner()] for name in ("encoder", "decoder")]


def units(layers):
    return [layer.units for layer in layers if isinstance(layer, dp.Dense)]


def test_every_example_is_its_own_target_and_its_class_is_kept_for_the_picture(images):
    data = load_data(DataConfig(images, task="reconstruction", validation=0.25, test=0.2))
    for part, size in ((data.train, 36), (data.validation, 12), (data.test, 12)):
        assert len(part) == size
        np.testing.assert_array_equal(part.t, part.x)
    assert data.look == Look("reconstruction", (6, 5, 1), 6, 36, False, data.look.center, (6, 5, 1))
    assert data.labels.t.shape == (12,)
    for fold in load_folds(DataConfig(images, task="reconstruction"), 3):
        np.testing.assert_array_equal(fold.test.t, fold.test.x)
    assert look_of(DataConfig("mnist", task="reconstruction")).target_shape == (28, 28, 1)


def test_tables_and_arrays_need_no_targets(tmp_path):
    lines = [f"{a:.3f},{'red' if a > 5 else 'blue'},{2 * a:.3f}" for a in RNG.normal(5, 2, 50)]
    (tmp_path / "t.csv").write_text("size,colour,width\n" + "\n".join(lines))
    data = load_data(DataConfig(str(tmp_path / "t.csv"), task="reconstruction"))
    np.testing.assert_array_equal(data.train.t, data.train.x)
    assert data.train.x.shape == (40, 4)
    assert data.labels is None
    named = load_data(DataConfig(str(tmp_path / "t.csv"), "colour", task="reconstruction"))
    assert named.train.x.shape == (40, 2)
    assert named.encoder.target is None
    assert named.labels.class_names == ("blue", "red")
    np.savez(tmp_path / "x.npz", x=RNG.normal(size=(20, 3)))
    assert load_data(DataConfig(str(tmp_path / "x.npz"), task="reconstruction")).train.t.shape == (16, 3)


def test_folders_of_images_without_classes_and_in_pairs(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (10, 4, 4, 3)).astype(np.uint8)
    for part, shift in (("input", 0), ("target", 1)):
        (tmp_path / "pairs" / part).mkdir(parents=True)
        for i in range(10):
            pillow.fromarray((pixels[i] // 2 + shift).astype(np.uint8)).save(tmp_path / "pairs" / part / f"{i}.png")
    pairs = load_data(DataConfig(str(tmp_path / "pairs"), task="regression", test=0))
    np.testing.assert_array_equal(pairs.train.t, pairs.train.x + 1)
    assert pairs.look.target_shape == (4, 4, 3)
    alone = load_data(DataConfig(str(tmp_path / "pairs" / "input"), task="reconstruction", test=0))
    np.testing.assert_array_equal(alone.train.t, pixels // 2)
    (tmp_path / "pairs" / "target" / "3.png").unlink()
    with pytest.raises(dp.DataError, match="'3' is in one of the folders"):
        load_data(DataConfig(str(tmp_path / "pairs"), task="regression"))


def test_the_hourglass_has_the_same_sizes_on_both_sides():
    deep = presets.build("deep-autoencoder", presets.Options(hidden=[50, 20], code=5), look=SMALL).network
    there, back = halves(deep)
    assert (units(there), units(back)) == ([50, 20, 5], [20, 50, 64])
    assert deep.out_shape((8, 8, 1)) == (8, 8, 1)
    assert units(halves(presets.build("autoencoder", look=SMALL).network)[0]) == [16]
    mnist = Look("reconstruction", (28, 28, 1), 28, 60_000, target_shape=(28, 28, 1))
    assert units(halves(presets.build("deep-autoencoder", look=mnist).network)[0]) == [512, 256, 32]


@pytest.mark.parametrize("size", [(8, 8, 1), (28, 28, 1), (7, 10, 3)])
def test_transposed_convolutions_lead_back_to_any_size(size):
    look = Look("reconstruction", size, size[0], 100, target_shape=size)
    network = presets.build("convolutional-autoencoder", presets.Options(hidden=[3, 5], code=2), look=look).network
    there, back = halves(network)
    assert {type(layer) for layer in (*there, *back)} == {dp.Conv2d, dp.ConvTranspose2d, dp.ReLU, dp.Sigmoid}
    assert network.out_shape(size) == size
    assert dict(network.inner())["encoder"].out_shape(size)[-1] == 2


def test_prices_and_noise_stand_where_they_belong():
    kl, l1 = (halves(presets.build(f"sparse-autoencoder{x}", look=SMALL).network)[0][-1] for x in ("", "-l1"))
    assert isinstance(kl, dp.KLSparsity)
    assert isinstance(l1, dp.ActivityL1)
    assert isinstance(presets.build("denoising-autoencoder", look=SMALL).network.layers[0][1], dp.GaussianNoise)
    tied = presets.build("tied-autoencoder", presets.Options(hidden=[9]), look=SMALL).network
    shapes = jax.eval_shape(lambda: tied.init(jax.random.key(0), (8, 8, 1))).params
    inside = tied.expanded(jax.tree.map(lambda s: jax.numpy.asarray(RNG.standard_normal(s.shape), s.dtype), shapes))
    np.testing.assert_array_equal(inside["decoder"]["0_dense"]["W"], inside["encoder"]["3_dense"]["W"].T)
    np.testing.assert_array_equal(inside["decoder"]["2_dense"]["W"], inside["encoder"]["1_dense"]["W"].T)


def test_what_a_kl_price_stands_on_is_sigmoid_whatever_the_layers_before_are():
    asked = presets.Options(hidden=[20], activation="relu", code=12)
    encoder, decoder = halves(presets.build("sparse-autoencoder", asked, look=SMALL).network)
    assert [type(layer) for layer in encoder[-4:]] == [dp.ReLU, dp.Dense, dp.Sigmoid, dp.KLSparsity]
    assert [type(layer) for layer in decoder[:2]] == [dp.Dense, dp.ReLU]
    refusal = r"code units of 'sparse-autoencoder' are sigmoid, .* 'sparse-autoencoder-l1'"
    with pytest.raises(dp.ConfigError, match=refusal):
        presets.build("sparse-autoencoder", presets.Options(activation="tanh"), look=SMALL)
    wanted = presets.Options(), presets.Options(activation="sigmoid")
    plain, same = (presets.build("sparse-autoencoder", options, look=SMALL) for options in wanted)
    assert plain == same


def test_a_code_without_a_bottleneck_and_one_where_there_is_none_are_refused():
    with pytest.raises(dp.ConfigError, match="64 units for 64 values is no bottleneck"):
        presets.build("autoencoder", presets.Options(code=64), look=SMALL)
    with pytest.raises(dp.ConfigError, match="has no code"):
        presets.build("digits-mlp", presets.Options(code=4))
    with pytest.raises(dp.ConfigError, match="is a reconstruction: try 'autoencoder'"):
        presets.build("digits-mlp", look=SMALL)
    with pytest.raises(dp.ConfigError, match="whole number of units"):
        presets.Options(code=0)
    with pytest.raises(dp.ConfigError, match="for images"):
        presets.build("convolutional-autoencoder", look=Look("reconstruction", (7,), 7, 50, target_shape=(7,)))


def test_from_the_command_line_to_code_and_pictures(images, tmp_path, capsys, with_figures):
    run = str(tmp_path / "run")
    words = ["train", "autoencoder", "--data", images, "--code", "3", "--activation", "tanh"]
    words += ["--epochs", "150", "--learning-rate", "0.03"]
    assert main([*words, "--run", run, "--progress", "none"]) == 0
    assert "each its own target" in capsys.readouterr().out
    for name in ("reconstructions", "code", "features"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    trained = Trained.of(run)
    x = np.load(images)["x"][:7]
    np.save(tmp_path / "x.npy", x)
    assert main(["predict", run, "--input", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npy")]) == 0
    y = np.load(tmp_path / "y.npy")
    assert y.shape == x.shape
    assert np.mean((y - x) ** 2) < 0.5 * np.var(x.astype(float), axis=0).mean()
    capsys.readouterr()
    assert main(["predict", run, "--input", str(tmp_path / "x.npy"), "--layer", "encoder"]) == 0
    found = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert found[0] == ["encoder_0", "encoder_1", "encoder_2"]
    params, scale = trained.model.variables.params["encoder"]["1_dense"], trained.model.statistics
    seen = ((x - np.asarray(scale["minimum"])) * np.asarray(scale["inverse_range"])).reshape(7, -1)
    expected = np.tanh(seen @ np.asarray(params["W"]) + np.asarray(params["b"]))
    np.testing.assert_allclose(np.array(found[1:], float), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer_output(trained.model, x, "encoder"), expected, rtol=1e-4, atol=1e-5)
    assert main(["evaluate", run, "--data", str(tmp_path / "x.npy")]) == 0
    assert "7 examples" in capsys.readouterr().out
    with pytest.raises(dp.ConfigError, match="did you mean 'encoder'"):
        predictions_csv(trained.model, x, layer="encodr")


def test_units_that_see_a_part_of_the_image_are_not_drawn_as_images(images, tmp_path, with_figures):
    (tmp_path / "c.toml").write_text(
        '[network]\ntype = "Sequential"\nlayers = [\n'
        '["encoder", { type = "Sequential", layers = [{ type = "Dense", units = 2 }, { type = "Flatten" }] }],\n'
        '["decoder", { type = "Sequential", layers = [{ type = "Dense", units = 30 }, '
        '{ type = "Reshape", shape = [6, 5, 1] }] }],\n]\n'
        f'[loss]\ntype = "MeanSquaredError"\n[data]\nsource = "{images}"\ntask = "reconstruction"\n'
        "[training]\nepochs = 1\n"
    )
    assert main(["train", str(tmp_path / "c.toml"), "--run", str(tmp_path / "run"), "--progress", "none"]) == 0
    assert (tmp_path / "run" / "figures" / "code.png").exists()
    assert not (tmp_path / "run" / "figures" / "features.png").exists()


def test_training_starts_where_pretraining_ends(capsys):
    x = RNG.normal(size=(16, 3)).astype(np.float32)
    net, scale = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(2)]), dp.Standardize()
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), normalizer=scale, seed=3)
    begin(model, TrainingConfig(pretrain=2, batch_size=100), dp.Dataset(x))
    expected = dp.pretrain(net, x, normalizer=scale, seed=3, epochs=2, batch_size=16)
    jax.tree.map(np.testing.assert_array_equal, model.variables, expected)
    fresh = dp.Model(net, dp.SoftmaxCrossEntropy(), seed=3, in_shape=(3,)).variables
    assert np.all(fresh.params["0_dense"]["W"] != expected.params["0_dense"]["W"])
    assert main(["summary", "deep-autoencoder", "--pretrain", "7"]) == 0
    assert "after 7 layer by layer" in capsys.readouterr().out


def test_the_output_of_a_layer_is_asked_for_as_a_prediction_is():
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    model = dp.Model(dp.Sequential([dp.Dense(2), dp.Tanh()]), dp.MeanSquaredError(), in_shape=(3,))
    whole = layer_output(model, dp.Dataset(x), "1_tanh")
    np.testing.assert_array_equal(whole, layer_output(model, x.tolist(), "1_tanh"))
    np.testing.assert_allclose(whole, model.predict(x), rtol=1e-6)
    for bad in (None, "text", np.array(3.0), x[0], x[:0], np.full((2, 3), "a")):
        with pytest.raises((dp.DataError, dp.ShapeError)):
            layer_output(model, bad, "1_tanh")
    with pytest.raises(dp.ConfigError, match="wants a Model"):
        layer_output("model", x, "1_tanh")
    with pytest.raises(dp.ConfigError, match="wants a Model"):
        layer_output(model, x, ["1_tanh"])


def test_the_output_of_a_layer_of_two_inputs():
    a, b = dp.Input("a"), dp.Input("b")
    net = dp.Graph((a, b), dp.Tanh()(dp.Concatenate()(dp.Dense(2)(a), b)))
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=((3,), (2,)))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)
    np.testing.assert_allclose(layer_output(model, x, "2_tanh"), model.predict(x), rtol=1e-6)

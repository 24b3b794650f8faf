"""Weights from elsewhere, frozen parts, parts with a learning rate of their own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core import tree

LOSS = dp.SoftmaxCrossEntropy()
BODY = [("conv", dp.Conv2d(3, 3)), ("norm", dp.BatchNorm()), dp.ReLU(), dp.MaxPool2d(2), dp.Flatten()]


def model(outputs: int = 4, seed: int = 0, **options) -> dp.Model:
    return dp.Model([*BODY, ("head", dp.Dense(outputs))], LOSS, seed=seed, in_shape=(6, 7, 2), **options)


def data(outputs: int = 4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((24, 6, 7, 2)).astype(np.float32), rng.integers(0, outputs, 24)


def flat(model):
    return {path: np.asarray(a) for path, a in tree.flatten(model.variables._asdict()).items()}


def fit(model, **options):
    model.fit(data(), epochs=2, batch_size=8, verbose=False, **options)


def test_weights_of_a_file_a_run_folder_and_a_model_are_taken(tmp_path):
    first = model()
    fit(first)
    first.save(tmp_path / "model.safetensors")
    for source in (first, first.variables, tmp_path / "model.safetensors", tmp_path):
        second = model(seed=1)
        second.load_weights(source)
        np.testing.assert_array_equal(second.predict(data()[0]), first.predict(data()[0]))
        fit(second)  # the optimiser starts anew


def test_a_head_of_another_size_is_replaced_by_taking_the_body_alone():
    first, second = model(4), model(3, seed=1)
    before = flat(second)
    second.load_weights(first, only=("conv/*", "norm/*"))
    after, source = flat(second), flat(first)
    for path in after:
        expected = before if "/head/" in path else source
        np.testing.assert_array_equal(after[path], expected[path])


def test_all_arrays_that_do_not_fit_are_listed_and_nothing_changes():
    second = model(3, seed=1)
    before = flat(second)
    with pytest.raises(dp.ShapeError, match=r"head/W has shape \(12, 4\) instead of \(12, 3\); head/b has shape"):
        second.load_weights(model(4))
    other = dp.Model([dp.Flatten(), ("head", dp.Dense(3))], LOSS, in_shape=(6, 7, 2))
    with pytest.raises(dp.ShapeError, match=r"conv/W is missing; conv/b is missing; .* norm/gamma is missing"):
        second.load_weights(other)
    with pytest.raises(dp.ShapeError, match=r"'tail/\*' fits none"):
        second.load_weights(model(3), only="tail/*")
    for path, array in flat(second).items():
        np.testing.assert_array_equal(array, before[path])


def test_parts_are_taken_from_parts_of_another_name():
    body = dp.Sequential(BODY)
    whole = dp.Model([("encoder", body), ("tail", dp.Dense(5))], LOSS, in_shape=(6, 7, 2))
    first = model(4)
    whole.load_weights(first, names={"encoder/conv": "conv", "encoder/norm": "norm"})
    fresh, after, source = model(4, seed=1), flat(whole), flat(first)
    for path in after:
        if "/tail/" not in path:
            np.testing.assert_array_equal(after[path], source[path.replace("encoder/", "")])
    alone = dp.Model(body, LOSS, in_shape=(6, 7, 2), seed=2)
    alone.load_weights(whole, names={"": "encoder"})
    for path, array in flat(alone).items():
        np.testing.assert_array_equal(array, source[path])
    whole.load_weights(fresh, names={"encoder": ""}, only="encoder/*")
    np.testing.assert_array_equal(flat(whole)["params/encoder/conv/W"], flat(fresh)["params/conv/W"])
    with pytest.raises(dp.ShapeError, match=r"no layer 'cnov' with arrays in the model; did you mean 'conv'"):
        whole.load_weights(first, names={"encoder/conv": "cnov"})
    with pytest.raises(dp.ShapeError, match=r"no layer 'cnov' with arrays here; did you mean 'conv'"):
        model().load_weights(first, names={"cnov": "conv"})


def test_a_layer_is_told_from_one_whose_name_begins_alike():
    layers = [("part", dp.Dense(3)), ("part2", dp.Dense(4))]
    first, second = (dp.Model(layers, LOSS, seed=seed, in_shape=(2,)) for seed in (0, 1))
    before = flat(second)
    second.load_weights(first, names={"part": "part"})
    np.testing.assert_array_equal(flat(second)["params/part/W"], flat(first)["params/part/W"])
    np.testing.assert_array_equal(flat(second)["params/part2/W"], before["params/part2/W"])


def test_what_only_one_side_has_is_an_error_unless_told():
    first, smaller = model(4), dp.Model(BODY, LOSS, in_shape=(6, 7, 2), seed=1)
    with pytest.raises(dp.ShapeError, match=r"do not fit: head/W is extra; head/b is extra\."):
        smaller.load_weights(first)
    smaller.load_weights(first, strict=False)
    np.testing.assert_array_equal(flat(smaller)["params/conv/W"], flat(first)["params/conv/W"])
    again = model(4, seed=2)
    head = flat(again)["params/head/W"]
    again.load_weights(smaller, strict=False)
    np.testing.assert_array_equal(flat(again)["params/head/W"], head)
    np.testing.assert_array_equal(flat(again)["params/conv/W"], flat(first)["params/conv/W"])
    with pytest.raises(dp.ShapeError, match="head/W has shape"):
        model(3).load_weights(first, strict=False)
    with pytest.raises(dp.ShapeError, match="hold none of dense/W"):
        dp.Model([dp.Flatten(), ("dense", dp.Dense(3))], LOSS, in_shape=(6, 7, 2)).load_weights(first, strict=False)


def test_what_holds_no_weights_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    for source, error in ((tmp_path, dp.FileFormatError), (tmp_path / "none", dp.FileFormatError), (3, dp.ConfigError)):
        with pytest.raises(error):
            model().load_weights(source)
    with pytest.raises(dp.ConfigError, match="no parameters yet"):
        dp.Model([dp.Dense(3)], LOSS).load_weights(model())


@pytest.mark.parametrize("optimizer", [dp.AdamW(0.01, weight_decay=0.1), dp.Nesterov(0.01), dp.SGD(0.1)], ids=repr)
@pytest.mark.parametrize("penalty", [None, dp.L2(0.1), dp.L1(0.1)], ids=repr)
def test_frozen_arrays_stay_and_the_others_learn(optimizer, penalty):
    trained = model(optimizer=optimizer, penalty=penalty, frozen=("conv/*", "norm/*"))
    before = flat(trained)
    fit(trained)
    for path, array in flat(trained).items():
        assert np.array_equal(array, before[path]) == ("/head/" not in path), path
    trained.frozen = ()
    fit(trained)
    assert not any(np.array_equal(array, before[path]) for path, array in flat(trained).items())


def test_frozen_is_saved_with_the_model(tmp_path):
    model(frozen="conv/*").save(tmp_path / "m.safetensors")
    assert dp.load(tmp_path / "m.safetensors").frozen == ("conv/*",)


def test_patterns_that_fit_nothing_or_everything_are_refused():
    with pytest.raises(dp.ConfigError, match="fits no array"):
        model(frozen="dense/*")
    for layer in ("conv", "conv*", "conv/"):
        with pytest.raises(dp.ConfigError, match=r"fits no array of the network; all arrays of a layer are 'conv/\*'"):
            model(frozen=layer)
    with pytest.raises(dp.ConfigError, match="nothing is left to learn"):
        model(frozen=("*",))


def test_parts_learn_at_rates_of_their_own():
    moved = {}
    for name, optimizer in {
        "one": dp.SGD(0.1),
        "parts": dp.ParameterGroups(dp.SGD(0.1), {"conv/*": 0.25, "b": 0.0}),
    }.items():
        trained = model(optimizer=optimizer)
        before = flat(trained)
        trained.fit(data(), epochs=1, batch_size=24, shuffle=False, verbose=False)
        moved[name] = {path: array - before[path] for path, array in flat(trained).items()}
    for path, move in moved["parts"].items():
        factor = 0.25 if "/conv/" in path else 0.0 if path.endswith("/b") else 1.0
        np.testing.assert_allclose(move, factor * moved["one"][path], atol=1e-7)


def test_the_proximal_step_is_as_long_as_the_rate_of_its_part():
    """What has the factor 0 is left alone by the soft threshold too."""
    x, t = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    groups = dp.ParameterGroups(dp.SGD(0.1), {"0_dense/*": 0.0, "1_dense/*": 0.5})
    net = dp.Sequential([dp.Dense(3), dp.Dense(2)])
    trained = dp.Model(net, dp.SoftmaxCrossEntropy(), dp.chain(groups), penalty=dp.L1(0.2, proximal=True))
    trained.build((3,))
    before = trained.variables
    trained.fit((x, t), epochs=1, batch_size="full", verbose=False)
    np.testing.assert_array_equal(trained.variables.params["0_dense"]["W"], before.params["0_dense"]["W"])
    W = before.params["1_dense"]["W"]
    stepped = W - 0.05 * dp.backprop(net, dp.SoftmaxCrossEntropy(), before, x, t).grads["1_dense"]["W"]
    found = np.sign(stepped) * np.maximum(np.abs(stepped) - 0.5 * 0.1 * 0.2, 0)
    np.testing.assert_allclose(trained.variables.params["1_dense"]["W"], found, atol=1e-6)


def test_looking_ahead_goes_as_far_as_the_part_will():
    """Both forms of Nesterov's method run through the same points, whatever the factors."""
    points = {}
    for lookahead in (False, True):
        method = dp.ParameterGroups(dp.Nesterov(0.1, 0.8, lookahead=lookahead), {"a/*": 0.25})
        params = {"a": {"W": jnp.array([2.0])}, "b": {"W": jnp.array([-1.0])}}
        state = method.init(params)
        for _ in range(4):
            at = method.gradient_point(params, state)
            grads = jax.tree.map(lambda w: 3 * w, at)  # of E = 3 w² / 2
            updates, state = method.update(grads, state, params)
            params = jax.tree.map(jnp.add, params, updates)
        points[lookahead] = jax.tree.leaves(method.gradient_point(params, state))
    np.testing.assert_allclose(points[True], points[False], rtol=1e-6)


def test_decay_is_scaled_as_every_update_is():
    rng = np.random.default_rng(0)
    params, grads = ({name: jnp.asarray(rng.standard_normal((3, 2))) for name in "ab"} for _ in range(2))
    decaying = dp.AdamW(0.1, weight_decay=0.3, on="*")
    plain, _ = decaying.update(grads, decaying.init(params), params)
    groups = dp.ParameterGroups(decaying, {"a": 0.25})
    updates, _ = groups.update(grads, groups.init(params), params)
    np.testing.assert_allclose(updates["a"], 0.25 * plain["a"], rtol=1e-6)
    np.testing.assert_allclose(updates["b"], plain["b"], rtol=1e-6)


def test_what_is_frozen_does_not_look_ahead():
    """Its velocity from before it was frozen leads nowhere, so gradients are taken where it stays."""
    trained = model(optimizer=dp.Nesterov(0.01, lookahead=True))
    fit(trained)
    trained.frozen = ("conv/*", "norm/*")
    point = dp.core.tree.flatten(trained.programs.recipe.point(trained.run))
    for path, array in dp.core.tree.flatten(trained.run.params).items():
        assert np.array_equal(array, point[path]) == (not path.startswith("head/")), path


def test_groups_of_parameters_are_checked_and_survive_a_file():
    groups = dp.ParameterGroups(dp.Adam(1e-3), {"conv/*": 0.1})
    assert dp.from_config(dp.to_config(groups)) == groups
    assert groups.rate({}) == 1e-3
    falling = dp.ParameterGroups(dp.SGD(dp.schedules.LinearDecay(0.4, 0.0, 4)), {"a": 0.5})
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    _, state = falling.update(params, falling.init(params), params)
    assert float(falling.rate(state)) == pytest.approx(0.3)
    assert {name: float(rate) for name, rate in falling.step_sizes(state, state, params).items()} == pytest.approx(
        {"a": 0.15, "b": 0.3}
    )
    first = dp.ParameterGroups(dp.SGD(0.1), {"conv/*": 0.25, "b": 0.5})
    assert [first.factor(path) for path in ("conv/b", "head/b", "head/W")] == [0.25, 0.5, 1.0]  # the first that fits
    for wrong in ({"conv/*": -1.0}, {"conv/*": float("nan")}, {"conv/*": float("inf")}, {"conv/*": "inf"}):
        with pytest.raises(dp.ConfigError, match="factor"):
            dp.ParameterGroups(dp.Adam(), wrong)
    with pytest.raises(dp.ConfigError, match="fits no parameter"):
        model(optimizer=dp.ParameterGroups(dp.Adam(), {"tail/*": 0.1}))
    with pytest.raises(dp.ConfigError, match="wants an optimiser"):
        dp.ParameterGroups(dp.ClipByNorm(1.0), {})
    with pytest.raises(dp.ConfigError, match=r"factors must be a dict from patterns to numbers.*not 'conv'"):
        dp.ParameterGroups(dp.Adam(), "conv")


def torch_arrays(rng):
    """What PyTorch's modules of such a network hold, and their output for an image, by loops over the formulas."""
    own = {
        "0.weight": rng.standard_normal((3, 2, 3, 3)),
        "0.bias": rng.standard_normal(3),
        "1.weight": rng.standard_normal(3),
        "1.bias": rng.standard_normal(3),
        "1.running_mean": rng.standard_normal(3),
        "1.running_var": rng.random(3) + 0.5,
        "1.num_batches_tracked": np.array(7),
        "10.weight": rng.standard_normal((4, 12)),
        "10.bias": rng.standard_normal(4),
    }
    return {name: np.asarray(a, np.float32 if a.dtype.kind == "f" else np.int64) for name, a in own.items()}


def torch_output(own, x):
    """The network's formulas with channels in front, as PyTorch has them."""
    x = x.transpose(0, 3, 1, 2)
    u = np.zeros((len(x), 3, 4, 5))
    for h in range(4):
        for w in range(5):
            u[:, :, h, w] = np.einsum("ncij,fcij->nf", x[:, :, h : h + 3, w : w + 3], own["0.weight"]) + own["0.bias"]
    column = (slice(None), None, None)
    u = (u - own["1.running_mean"][column]) / np.sqrt(own["1.running_var"][column] + 1e-5)
    z = np.maximum(u * own["1.weight"][column] + own["1.bias"][column], 0)
    pooled = z[:, :, :4, :4].reshape(len(x), 3, 2, 2, 2, 2).max(axis=(3, 5))
    return pooled.reshape(len(x), -1) @ own["10.weight"].T + own["10.bias"]


@pytest.mark.parametrize("names", [None, {"conv": "0", "norm": "1", "head": "10"}])
def test_pytorchs_arrays_give_pytorchs_output(names, tmp_path):
    from safetensors.numpy import save_file

    own = torch_arrays(np.random.default_rng(0))
    x = data()[0]
    save_file(own, tmp_path / "torch.safetensors")
    for source in (own, tmp_path / "torch.safetensors"):
        net = dp.Model([*BODY, dp.Dropout(0.5), ("head", dp.Dense(4))], LOSS, in_shape=(6, 7, 2))
        net.load_weights(source, pytorch=True, names=names)
        np.testing.assert_allclose(net.predict(x), torch_output(own, x), rtol=1e-4, atol=1e-4)


def test_layers_and_modules_that_do_not_pair_are_listed():
    own = torch_arrays(np.random.default_rng(0))
    del own["1.weight"], own["1.bias"], own["1.running_mean"], own["1.running_var"]
    with pytest.raises(
        dp.ShapeError, match=r"2 modules of PyTorch, or layers of them \(0, 10\) for 3 layers .*conv, norm, head"
    ):
        model().load_weights(own, pytorch=True)
    with pytest.raises(dp.ShapeError, match="no module 'body'"):
        model().load_weights(own, pytorch=True, names={"conv": "body"})
    with pytest.raises(dp.ShapeError, match="no layer 'cnov'"):
        model().load_weights(own, pytorch=True, names={"cnov": "0"})


def test_all_of_pytorchs_arrays_that_do_not_fit_are_listed():
    own = torch_arrays(np.random.default_rng(0))
    own |= {"0.weight": own["0.weight"][0], "10.weight": own["10.weight"][:, :-1], "10.scale": np.ones(4)}
    del own["1.running_var"]
    there = model()
    before = flat(there)
    with pytest.raises(dp.ShapeError) as caught:
        there.load_weights(own, pytorch=True)
    for part in (
        "0.weight has shape (2, 3, 3), but conv is a Conv2d",
        "10.scale has no counterpart in head, which is a Dense",
        "norm/var is missing",
        "head/W has shape (11, 4) instead of (12, 4)",
    ):
        assert part in str(caught.value)
    for path, array in flat(there).items():
        np.testing.assert_array_equal(array, before[path])


def test_what_stands_between_flatten_and_dense_is_put_in_order_too():
    """An average over channels in front, pixels behind: the order shows in every number."""
    rng = np.random.default_rng(3)
    mean, slope, W = rng.standard_normal(12), rng.standard_normal(12), rng.standard_normal((4, 12))
    own = {
        "1.running_mean": mean,
        "1.running_var": np.ones(12),
        "1.weight": slope,
        "1.bias": np.zeros(12),
        "3.weight": W,
    }
    net = [dp.Flatten(), dp.Sequential([dp.BatchNorm(), dp.Tanh(), dp.Dense(4, use_bias=False)])]
    there = dp.Model(net, LOSS, in_shape=(2, 3, 2))
    there.load_weights(own, pytorch=True)
    x = rng.standard_normal((5, 2, 3, 2)).astype(np.float32)
    rows = x.transpose(0, 3, 1, 2).reshape(5, 12)
    expected = np.tanh((rows - mean) / np.sqrt(1 + 1e-5) * slope) @ W.T
    np.testing.assert_allclose(there.predict(x), expected, rtol=1e-4, atol=1e-5)


def test_transposed_convolutions_and_embeddings_come_from_pytorch_too():
    rng = np.random.default_rng(1)
    net = dp.Model([dp.ConvTranspose2d(2, 3, stride=2), dp.PReLU()], dp.MeanSquaredError(), in_shape=(3, 4, 5))
    own = {"0.weight": rng.standard_normal((5, 2, 3, 3)), "0.bias": rng.standard_normal(2), "1.weight": np.ones(1)}
    net.load_weights(own, only="0_convtranspose2d/*", pytorch=True, names={"0_convtranspose2d": "0"})
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    expected = np.zeros((2, 7, 9, 2)) + own["0.bias"]
    for h in range(3):
        for w in range(4):
            patch = np.einsum("nc,cfij->nijf", x[:, h, w], own["0.weight"])
            expected[:, 2 * h : 2 * h + 3, 2 * w : 2 * w + 3] += patch
    params = net.variables.params
    y = net.net.inner()[0][1].forward(params["0_convtranspose2d"], jax.numpy.asarray(x))[0]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_a_frozen_batch_norm_normalises_by_its_statistics_in_training_too():
    """One full batch: the loss that training reports is the one that inference finds with the same arrays."""
    for frozen, same in (("norm/*", True), ("conv/*", False)):
        trained = model(frozen=frozen, optimizer=dp.SGD(1e-3))
        expected = trained.evaluate(data())["loss"]
        trained.fit(data(), epochs=1, batch_size=24, verbose=False)
        assert np.isclose(trained.history.epochs[0]["loss"], expected, rtol=1e-5) == same


def test_the_gradients_of_frozen_layers_are_not_computed():
    net = [dp.Conv2d(8, 3), dp.ReLU(), dp.Conv2d(8, 3), dp.ReLU(), dp.Flatten(), dp.Dense(3)]
    work = []
    with dp.kernels.using("xla"):
        for frozen in ((), ("0_conv2d/*",), ("0_conv2d/*", "2_conv2d/*")):
            trained = dp.Model(net, LOSS, dp.AdamW(1e-3), in_shape=(9, 9, 2), frozen=frozen)
            batch = np.zeros((16, 9, 9, 2), np.float32), np.zeros(16, np.int32), np.ones(16, np.float32)
            work.append(trained.programs.step.lower(trained.run, None, *batch).compile().cost_analysis()["flops"])
    assert work[1] < 0.8 * work[0]  # without ∂E/∂W of the first, and ∂E/∂x of the second convolution
    assert work[2] < 0.5 * work[0]

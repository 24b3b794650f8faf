"""Files of ONNX, computed by ONNX Runtime."""

from __future__ import annotations

import json
import sys

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import denpa as dp
from denpa.cli.main import main
from denpa.data.normalise import MinMax, Pipeline, ScaleImages, Standardize
from denpa.data.polynomial import PolynomialFeatures

RNG = np.random.default_rng(3)


def stirred(model):
    """The model with random parameters and running statistics, none of them 0 or 1."""

    def drawn(path, array):
        values = RNG.uniform(0.2, 1.2, array.shape) * (1 if path[-1].key == "var" else RNG.choice([-1, 1], array.shape))
        return (values * (0.5 if array.ndim > 1 else 1)).astype(np.float32)

    model.variables = jax.tree_util.tree_map_with_path(drawn, model.variables)
    return model


def computed(path, *inputs):
    """The outputs of a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {given.name: x for given, x in zip(session.get_inputs(), inputs, strict=True)})


def near(found, wanted, rtol=1e-5):
    """Equal but for the rounding of sums: what remains where terms cancel has the error of the terms."""
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * max(1, np.abs(wanted).max()))


def agrees(tmp_path, net, *inputs, loss=None, **options):
    """The network's answers are those of the file, for as many examples as there are and for one."""
    shapes = [x.shape[1:] for x in inputs]
    model = dp.Model(net, loss or dp.MeanSquaredError(), in_shape=shapes[0] if len(shapes) == 1 else tuple(shapes))
    path = tmp_path / "m.onnx"
    dp.export_onnx(stirred(model), path, **options)
    for n in (len(inputs[0]), 1):
        x = tuple(np.asarray(part[:n]) for part in inputs)
        found = computed(path, *x)
        wanted = model.predict(x if len(x) > 1 else x[0])
        for got, want in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            near(got, want)
    return onnx.load(path)


@pytest.fixture(scope="module")
def tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx")


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


ELEMENTWISE = [
    dp.Identity(),
    dp.Step(),
    dp.Sigmoid(),
    dp.Tanh(),
    dp.ReLU(),
    dp.LeakyReLU(-0.3),
    dp.PReLU(),
    dp.PReLU(shared=False),
    dp.ELU(0.7),
    dp.Softmax(),
    dp.Maxout(2),
    dp.BatchNorm(),
    dp.BatchNorm(epsilon=0.3, center=False, scale=False),
    dp.Dropout(0.3),
    dp.Dropout(0.3, scaling="classical"),
    dp.GaussianNoise(0.2),
    dp.ActivityL1(0.1),
    dp.Dense(3),
    dp.Dense(3, use_bias=False),
    dp.ThresholdDense(3),
]


@pytest.mark.parametrize("shape", [(4,), (3, 5, 6)])
@pytest.mark.parametrize("layer", ELEMENTWISE, ids=repr)
def test_layers_of_any_shape(layer, shape, tmp):
    agrees(tmp, dp.Sequential([layer]), normal(5, *shape))


def test_the_price_on_a_code_has_no_part_in_the_answer(tmp):
    agrees(tmp, [dp.Dense(4), dp.Sigmoid(), dp.KLSparsity(0.1), dp.Dense(2)], normal(5, 3))


@st.composite
def convolutions(draw):
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    rank, groups = pick(1, 2), pick(1, 2)
    options = {"groups": groups, "dilation": pick(1, 2), "stride": pick(1, 2, 3), "use_bias": pick(True, False)}
    options["padding"] = pick(0, 1, "same", "valid", "circular", *([((0, 2), (1, 0))] if rank == 2 else [(2, 1)]))
    options["true_convolution"] = pick(True, False)
    options["untied_bias"] = options["use_bias"] and pick(True, False)
    kind = dp.Conv2d if rank == 2 else dp.Conv1d
    shape = (pick(7, 8), pick(9, 6), 4) if rank == 2 else (pick(9, 10), 4)
    return kind(2 * groups, (3, 2) if rank == 2 else pick(2, 3), **options), shape


@given(case=convolutions())
def test_convolutions(case, tmp):
    layer, shape = case
    agrees(tmp, [layer], normal(3, *shape))


@given(
    stride=st.sampled_from([1, 2, (3, 1)]),
    dilation=st.sampled_from([1, 2]),
    padding=st.sampled_from([0, 1, "same", ((1, 0), (0, 2))]),
    more=st.sampled_from([0, (0, 1), 1]),
    groups=st.sampled_from([1, 2]),
    size=st.sampled_from([1, 2, (3, 4)]),
)
def test_transposed_convolutions(stride, dilation, padding, more, groups, size, tmp):
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups, "output_padding": more}
    try:
        layer = dp.ConvTranspose2d(4, size, **options)
        layer.out_shape((4, 5, 6))
    except dp.DenpaError:
        return
    agrees(tmp, [layer], normal(2, 4, 5, 6))


@given(
    kind=st.sampled_from([dp.MaxPool2d, dp.AveragePool2d, dp.LpPool2d]),
    size=st.sampled_from([2, 3, (3, 2)]),
    stride=st.sampled_from([None, 1, (2, 3)]),
    padding=st.sampled_from([0, 1, "same", ((1, 0), (0, 1))]),
)
def test_poolings(kind, size, stride, padding, tmp):
    agrees(tmp, [kind(pool_size=size, stride=stride, padding=padding)], normal(2, 7, 8, 3))


IMAGES = [
    dp.AveragePool2d(3, 2, 1, count_padding=False),
    dp.LpPool2d(3.5, 2),
    dp.GlobalAveragePool2d(),
    dp.Unpool2d(2),
    dp.Unpool2d((3, 2), "top_left"),
    dp.LocalResponseNorm(3, 0.4, 0.6, 1.5),
    dp.LocalResponseNorm(4, 0.4),
    dp.Flatten(),
    dp.Reshape((-1, 6)),
]


@pytest.mark.parametrize("layer", IMAGES, ids=repr)
def test_layers_for_images(layer, tmp):
    agrees(tmp, [layer, dp.Flatten(), dp.Dense(2)], normal(3, 7, 6, 5))


RECURRENT = [
    dp.RNN(3),
    dp.RNN(3, "relu", use_bias=False),
    dp.LSTM(3),
    dp.LSTM(3, peepholes=True),
    dp.LSTM(3, activation="sigmoid"),
    dp.GRU(3),
    dp.GRU(3, reset_after=True),
]


@pytest.mark.parametrize("form", ["plain", "reverse", "concat", "sum"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("layer", RECURRENT, ids=repr)
def test_recurrent_layers(layer, sequences, form, tmp):
    layer = layer.replace(return_sequences=sequences, reverse=form == "reverse")
    layer = dp.Bidirectional(layer, form) if form in ("concat", "sum") else layer
    agrees(tmp, [layer, dp.Dense(2)], normal(4, 6, 5))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layer", [dp.RNN(3), dp.LSTM(3, peepholes=True), dp.GRU(3)], ids=repr)
def test_carries_come_in_and_go_out(layer, both, tmp):
    carries = len(layer.cell.carries) * (2 if both else 1)
    layer = layer.replace(takes_carry=True, return_carry=True, return_sequences=True)
    layer = dp.Bidirectional(layer) if both else layer
    inputs = [dp.Input() for _ in range(1 + carries)]
    outputs = layer(*inputs)
    net = dp.Graph(tuple(inputs), tuple(outputs))
    x, h = normal(4, 6, 5), [normal(4, 3) for _ in range(carries)]
    variables = net.init(jax.random.key(0), tuple(part.shape[1:] for part in (x, *h)))
    assert len(net.apply(variables, (x, *h))) == 1 + carries
    agrees_with(net, variables, tmp, x, *h)


def agrees_with(net, variables, tmp_path, *inputs):
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=tuple(part.shape[1:] for part in inputs))
    model.variables = variables
    dp.export_onnx(model, tmp_path / "m.onnx")
    for got, want in zip(computed(tmp_path / "m.onnx", *inputs), net.apply(variables, inputs), strict=True):
        near(got, want)


def test_words(tmp):
    words = RNG.integers(0, 9, (4, 6))
    agrees(tmp, [dp.Embedding(9, 3), dp.LSTM(4), dp.Dense(2)], words)
    agrees(tmp, [dp.Embedding(9, 3, padding=2), dp.Flatten(), dp.Dense(2)], words)


def test_graphs_share_join_and_nest(tmp):
    a, b = dp.Input(), dp.Input()
    shared = dp.Sequential([dp.Dense(3), dp.Tanh()])
    one, two = shared(a), shared(b)
    net = dp.Graph((a, b), (dp.Concatenate()(one, two, dp.Add()(one, two)), one))
    agrees(tmp, net, normal(4, 5), normal(4, 5))
    agrees(tmp, [("inner", dp.Sequential([dp.Dense(3)])), dp.ReLU(), dp.Dense(2)], normal(4, 5))


def test_tied_weights(tmp):
    net = dp.Sequential([("code", dp.Dense(3)), dp.Tanh(), ("back", dp.Dense(5))])
    agrees(tmp, dp.Tied(net, [dp.Tie("code/W", "back/W", transpose=True)]), normal(4, 5))


NORMALIZERS = [
    Standardize(),
    Standardize(epsilon=0.1, per="channel"),
    MinMax(-1, 3),
    ScaleImages(20),
    PolynomialFeatures(3),
    PolynomialFeatures(3, products=True),
    Pipeline((Standardize(), PolynomialFeatures(2, products=True))),
]


@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=repr)
def test_normalizers_are_part_of_the_graph(normalizer, tmp):
    x, t = np.abs(5 + 3 * normal(20, 4)), 100 + 30 * normal(20, 2)
    model = dp.Model(
        [dp.Dense(3), dp.Tanh(), dp.Dense(2)],
        dp.MeanSquaredError(),
        normalizer=normalizer,
        target_normalizer=MinMax(0, 2),
    )
    model.fit((x, t), epochs=2, verbose=False)
    dp.export_onnx(model, tmp / "m.onnx")
    (y,) = computed(tmp / "m.onnx", x)
    near(y, model.predict(x))


@pytest.mark.parametrize(
    ("loss", "units"), [(dp.SoftmaxCrossEntropy(), 3), (dp.SigmoidCrossEntropy(), 3), (dp.SigmoidCrossEntropy(), 1)]
)
def test_probabilities(loss, units, tmp):
    x, model = normal(5, 4), dp.Model([dp.Dense(units)], loss, in_shape=(4,))
    dp.export_onnx(stirred(model), tmp / "m.onnx", probabilities=True)
    (y,) = computed(tmp / "m.onnx", x)
    np.testing.assert_allclose(y, model.predict_probabilities(x), rtol=1e-5)


def test_probabilities_of_an_output_that_is_one(tmp):
    x = normal(5, 4)
    agrees(tmp, [dp.Dense(3), dp.Softmax()], x, loss=dp.CrossEntropy(), probabilities=True)
    with pytest.raises(dp.ConfigError, match="leave probabilities=True out"):
        agrees(tmp, [dp.Dense(3)], x, probabilities=True)


def test_the_file_names_what_is_in_it(tmp):
    model = dp.Model([("hidden", dp.Dense(4)), dp.ReLU(), dp.Dense(2)], dp.SoftmaxCrossEntropy(), in_shape=(3,))
    model.class_names, model.feature_names = ("猫", "犬"), ("a", "b", "c")
    dp.export_onnx(model, tmp / "m.onnx")
    found = onnx.load(tmp / "m.onnx")
    arrays = {array.name: onnx.numpy_helper.to_array(array) for array in found.graph.initializer}
    np.testing.assert_array_equal(arrays["hidden/W"], model.variables.params["hidden"]["W"])
    assert [node.name for node in found.graph.node] == [
        "hidden/MatMul", "hidden/Add", "1_relu/Relu", "2_dense/MatMul", "2_dense/Add", "y"
    ]  # fmt: skip
    told = {entry.key: json.loads(entry.value) for entry in found.metadata_props}
    assert told == {"class_names": ["猫", "犬"], "feature_names": ["a", "b", "c"]}
    sizes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in found.graph.input]
    assert sizes == [["batch", 3]]


def test_neighbouring_convolutions_do_not_turn_the_image_between_them(tmp):
    found = agrees(tmp, [dp.Conv2d(3, 2), dp.MaxPool2d(2), dp.Conv2d(2, 2)], normal(2, 8, 8, 3))
    assert [node.op_type for node in found.graph.node].count("Transpose") == 2


class Doubled(dp.Layer):
    def out_shape(self, in_shape):
        return in_shape

    def forward(self, params, x, ctx=None):
        return 2 * x, {}


REFUSED = [
    ([dp.LSTM(3, peepholes=True, output_peephole="previous")], (4, 3), "output gate sees the new memory"),
    ([dp.RNN(3, "elu")], (4, 3), "tanh, relu and sigmoid, not with ELU"),
    ([dp.Conv2d(2, 2), dp.LocalContrastNorm(3)], (4, 4, 2), "Layer '1_localcontrastnorm': .* is not written as ONNX"),
    ([Doubled()], (3,), "Layer '0_doubled'"),
    ([dp.LocalResponseNorm()], (7,), "for images alone"),
]


@pytest.mark.parametrize(("net", "shape", "message"), REFUSED)
def test_what_onnx_does_not_have_is_told_and_leaves_no_file(net, shape, message, tmp_path):
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=shape)
    with pytest.raises(dp.ConfigError, match=message):
        dp.export_onnx(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_is_the_whole_network(tmp):
    agrees(tmp, dp.LSTM(3), normal(4, 6, 5))


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x = np.abs(normal(60, 4))
    rows = [f"{','.join(map(str, row))},{'ab'[n % 2]},{'xyz'[n % 3]}" for n, row in enumerate(x)]
    (tmp_path / "t.csv").write_text("\n".join(["p,q,r,s,kind,t", *rows]))
    words = ["train", "mlp", "--data", "t.csv", "--target", "t", "--epochs", "2", "--hidden", "4"]
    assert main([*words, "--run", "run", "--progress", "none"]) == 0
    assert main(["export", "run", "--probabilities"]) == 0
    assert "run/model.onnx: x (6,) for each example -> probabilities" in capsys.readouterr().out
    model = dp.load("run")
    coded = np.column_stack([x, np.arange(60) % 2 == 0, np.arange(60) % 2 == 1]).astype(np.float32)
    (y,) = computed(tmp_path / "run" / "model.onnx", coded)
    np.testing.assert_allclose(y, model.predict_probabilities(coded), rtol=1e-4, atol=1e-6)
    before = (tmp_path / "run" / "model.onnx").read_bytes()
    for words, message in {
        ("run",): "exists already",
        ("run", "--output", "m.pb"): "such as model.onnx, not .pb",
        ("run", "--data.options.delimiter", ","): "export reads none",
        ("nowhere",): "no run folder and no model file",
    }.items():
        assert main(["export", *words]) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "run" / "model.onnx").read_bytes() == before
    assert main(["export", "run/model.safetensors", "--overwrite"]) == 0
    assert (tmp_path / "run" / "model.onnx").read_bytes() != before


def test_what_is_no_trained_model_is_told(tmp_path, monkeypatch):
    with pytest.raises(dp.ConfigError, match="no parameters"):
        dp.export_onnx(dp.Model([dp.Dense(2)], dp.MeanSquaredError()), tmp_path / "m.onnx")
    with pytest.raises(dp.ConfigError, match="writes a Model"):
        dp.export_onnx(dp.Dense(2), tmp_path / "m.onnx")
    model = dp.Model([dp.Dense(2)], dp.MeanSquaredError(), in_shape=(3,))
    monkeypatch.setitem(sys.modules, "onnx.helper", None)
    with pytest.raises(dp.ConfigError, match=r'pip install "denpa\[onnx\]"'):
        dp.export_onnx(model, tmp_path / "m.onnx")

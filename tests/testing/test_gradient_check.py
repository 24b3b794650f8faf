"""The oracles agree with the walk, and the gradient check names what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.core.layer import Context, Layer
from denpa.networks import graph
from denpa.testing import GradientError, autodiff, check_gradients, numerical

LOSS = dp.MeanSquaredError()


def data(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@dataclass(frozen=True)
class Skewed(Layer):
    """y = w ⊙ tanh(x), whose backward is wrong in one entry of one array."""

    wrong: str = ""

    def init(self, key, in_shape):
        return {"v": jnp.ones(in_shape), "w": jax.random.normal(key, in_shape)}

    def out_shape(self, in_shape):
        return in_shape

    def forward(self, params, x, ctx=Context()):
        y = jnp.tanh(x)
        return params["w"] * y + params["v"], {"y": y}

    def backward(self, params, saved, dy):
        y = saved["y"]
        dx, dw, dv = dy * params["w"] * (1 - y * y), jnp.sum(dy * y, axis=0), jnp.sum(dy, axis=0)
        if self.wrong == "dx":
            dx = dx.at[1, 2].multiply(1.01)
        if self.wrong == "w":
            dw = dw.at[1].add(0.001)
        if self.wrong == "v":
            dv = -dv
        if self.wrong == "nan":
            dv = dv * jnp.nan
        return dx, {"v": dv, "w": dw}


@dataclass(frozen=True)
class Tilted(dp.Loss):
    """½‖y − t‖² with half its delta."""

    reduction: str = "mean"

    def per_item(self, y: Any, t: Any) -> Any:
        return 0.5 * jnp.sum((y - t) ** 2, axis=-1)

    def per_item_delta(self, y: Any, t: Any) -> Any:
        return 0.5 * (y - t)


def row(wrong):
    return dp.Sequential([dp.Dense(3), ("skewed", Skewed(wrong)), dp.Dense(2)])


def check(net, loss=LOSS, **options):
    variables = net.init(jax.random.key(1), (4,))
    x, t = data(0, (5, 4), (5, 2))
    return check_gradients(net, loss, variables, x, t, entries=8, **options)


def test_a_right_network_is_reported_array_by_array():
    report = check(row(""))
    assert list(report.autodiff) == list(report.numerical)
    assert list(report.autodiff)[:4] == ["2_dense.dy", "2_dense.grads[W]", "2_dense.grads[b]", "2_dense.dx"]
    assert list(report.autodiff)[-1] == "0_dense.dx"
    assert max(report.autodiff.values()) < 1e-13
    assert 0 < max(report.numerical.values()) < 1e-8
    assert report.kinks == 0
    assert str(report).splitlines()[-1] == "12 arrays agree; 0 entries at kinks."
    assert repr(report) == str(report)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("dx", r"skewed\.dx\[1, 2\] is .* by backward but .* by automatic differentiation \(1 of 15 entries"),
        ("w", r"skewed\.grads\[w\]\[1\] is .* \(1 of 3 entries"),
        ("v", r"skewed\.grads\[v\]\[0\] is .* \(3 of 3 entries"),
        ("nan", r"skewed\.grads\[v\]\[0\] is nan by backward but"),
    ],
)
def test_a_planted_error_is_found_with_layer_array_and_index(wrong, message):
    with pytest.raises(GradientError, match=message) as caught:
        check(row(wrong))
    assert "backward pass of layer 'skewed' is the first wrong one" in str(caught.value)


def test_the_first_wrong_layer_is_named_not_those_below_it():
    net = dp.Sequential([("a", Skewed("dx")), ("b", Skewed("dx")), dp.Dense(2)])
    with pytest.raises(GradientError, match="layer 'b' is the first wrong one"):
        check(net)


def test_a_wrong_layer_inside_a_network_is_named_by_its_path():
    net = dp.Sequential([dp.Dense(3), ("block", dp.Sequential([dp.Tanh(), ("bad", Skewed("w"))])), dp.Dense(2)])
    with pytest.raises(GradientError, match=r"block/bad\.grads\[w\]"):
        check(net)


def test_a_wrong_loss_is_told_from_a_wrong_layer():
    with pytest.raises(GradientError, match=r"2_dense\.dy.*It enters layer '2_dense': the loss"):
        check(row(""), Tilted())


def test_a_sum_of_deltas_left_out_is_told_from_a_wrong_layer(monkeypatch):
    x = dp.Input()
    h = dp.Dense(2)(x, name="h")
    net = dp.Graph(x, dp.Add()(dp.Tanh()(h, name="t"), h, name="sum"))
    assert check(net)
    monkeypatch.setattr(graph, "_accumulate", lambda sums, name, term: sums.__setitem__(name, term))
    jax.clear_caches()  # the right program is compiled already
    with pytest.raises(GradientError, match=r"h\.dy.*what sums deltas where a value fans out"):
        check(net)
    jax.clear_caches()


def fanned_out():
    x = dp.Input()
    return dp.Graph(x, dp.Add()(dp.Dense(2)(x), dp.Dense(2)(x)))


def used_twice():
    x = dp.Input()
    return dp.Graph(x, dp.Dense(3)(dp.Tanh()(dp.Dense(3)(x, name="twice")), name="twice"))


@pytest.mark.parametrize(("make", "array"), [(fanned_out, r"dx\[0, 0\]"), (used_twice, r"grads\[twice/W\]\[0, 0\]")])
def test_sums_at_the_ends_are_checked_too(make, array, monkeypatch):
    x, t = data(3, (4, 3), (4, make().out_shape((3,))[0]))
    case = make(), LOSS, make().init(jax.random.key(0), (3,)), x, t
    assert check_gradients(*case)
    monkeypatch.setattr(graph, "_accumulate", lambda sums, name, term: sums.setdefault(name, term))
    jax.clear_caches()
    with pytest.raises(GradientError, match=rf"^{array} of the network is .*though every layer is right"):
        check_gradients(*case)
    jax.clear_caches()


def test_a_forgotten_place_of_a_tied_weight_is_told(monkeypatch):
    layers = dp.Sequential([dp.Dense(2), dp.Tanh(), dp.Dense(3)])
    net = dp.Sequential([("inside", dp.Tied(layers, dp.Tie("2_dense/W", "0_dense/W", transpose=True)))])
    x, t = data(4, (5, 3), (5, 3))
    case = net, LOSS, net.init(jax.random.key(0), (3,)), x, t
    assert "inside/2_dense.grads[W]" in check_gradients(*case).autodiff
    ours, theirs = dp.trace(*case), autodiff(*case)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours.grads, theirs.grads)
    monkeypatch.setattr(dp.Tied, "summed", lambda self, grads: self._without_targets(grads))
    jax.clear_caches()
    with pytest.raises(GradientError, match=r"grads\[inside/0_dense/W\]\[0, 0\] of the network"):
        check_gradients(*case)
    jax.clear_caches()


@pytest.mark.parametrize("net", [dp.LSTM(2), dp.Bidirectional(dp.GRU(1))])
def test_a_recurrent_layer_alone_is_a_network_too(net):
    x, t = data(5, (3, 4, 2), (3, 2))
    case = net, LOSS, net.init(jax.random.key(0), (4, 2)), x, t
    assert any("grads[Wh]" in name for name in check_gradients(*case).autodiff)
    ours = dp.trace(*case)
    for theirs in (autodiff(*case), numerical(*case)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), ours.grads, theirs.grads)
        np.testing.assert_allclose(ours.dx, theirs.dx, rtol=1e-3, atol=1e-6)


def test_a_missing_and_a_misshapen_gradient_are_named():
    @dataclass(frozen=True)
    class Short(Skewed):
        def backward(self, params, saved, dy):
            dx, grads = Skewed.backward(self, params, saved, dy)
            return dx, ({"v": grads["v"]} if self.wrong == "missing" else {**grads, "w": grads["w"][None]})

    for wrong, message in (("missing", "has shape None, not"), ("shape", r"has shape \(1, 3\), not \(3,\)")):
        with pytest.raises(GradientError, match=rf"skewed\.grads\[w\] {message}"):
            check(dp.Sequential([dp.Dense(3), ("skewed", Short(wrong)), dp.Dense(2)]))


@dataclass(frozen=True)
class Deceived(Layer):
    """A forward pass that hides a factor from automatic differentiation, and a backward that believes it."""

    def out_shape(self, in_shape):
        return in_shape

    def forward(self, params, x, ctx=Context()):
        return x * (1 + 1e-3 * jax.lax.stop_gradient(x)), {"x": x}

    def backward(self, params, saved, dy):
        return dy * (1 + 1e-3 * saved["x"]), {}


def test_central_differences_catch_what_autodiff_is_blind_to():
    with pytest.raises(GradientError, match=r"1_deceived\.dx.*by central differences"):
        check(dp.Sequential([dp.Dense(2), Deceived()]))


@pytest.mark.parametrize("derivative_at_zero", [0, 1])
def test_at_a_kink_any_slope_between_the_two_sides_is_right(derivative_at_zero):
    """ReLU at exactly 0: jax.grad says ½, the layer says 0 or 1; both are sub-gradients."""
    net = dp.Sequential([dp.Dense(3), dp.ReLU(derivative_at_zero), dp.Dense(2)])
    variables = net.init(jax.random.key(2), (4,))
    x, t = data(3, (2, 4), (2, 2))
    x[0] = 0  # b = 0, hence u = 0 for all hidden units
    report = check_gradients(net, LOSS, variables, x, t)
    assert report.kinks >= 3
    assert max(report.autodiff.values()) < 1e-13
    assert max(report.numerical.values()) < 1e-8


def test_every_entry_at_a_kink_is_looked_at_however_few_are_drawn():
    net = dp.Sequential([dp.Dense(1), dp.ReLU(), dp.Dense(1)])
    x, t = np.zeros((8, 4), np.float32), np.full((8, 1), 5, np.float32)  # the hidden unit is 0 eight times
    assert check_gradients(net, LOSS, net.init(jax.random.key(2), (4,)), x, t, entries=2).kinks >= 8


def test_beyond_the_two_sides_of_a_kink_it_is_wrong():
    net = dp.Sequential([dp.Dense(3), dp.ReLU(), dp.Dense(2)])

    @dataclass(frozen=True)
    class Loose(Layer):
        """max(0, u) whose slope at 0 is 2."""

        def out_shape(self, in_shape):
            return in_shape

        def forward(self, params, x, ctx=Context()):
            return jnp.maximum(x, 0), {"x": x}

        def backward(self, params, saved, dy):
            return dy * jnp.where(saved["x"] == 0, 2.0, (saved["x"] > 0).astype(dy.dtype)), {}

    variables = net.init(jax.random.key(2), (4,))
    x, t = data(3, (2, 4), (2, 2))
    x[0] = 0
    loose = dp.Sequential([("0_dense", dp.Dense(3)), ("1_relu", Loose()), ("2_dense", dp.Dense(2))])
    with pytest.raises(GradientError, match=r"1_relu\.dx\[0, 0\].*by central differences"):
        check_gradients(loose, LOSS, variables, x, t)


def test_a_bias_whose_gradient_is_zero_is_compared_with_the_largest():
    """Batch normalisation takes the bias in front of it away: relative to itself its gradient is noise."""
    net = dp.Sequential([dp.Dense(3), dp.BatchNorm(), dp.Tanh(), dp.Dense(2)])
    variables = net.init(jax.random.key(3), (4,))
    x, t = data(4, (6, 4), (6, 2))
    report = check_gradients(net, LOSS, variables, x, t, entries=8)
    assert report.autodiff["0_dense.grads[b]"] < 1e-13
    assert np.abs(dp.backprop(net, LOSS, variables, x, t).grads["0_dense"]["b"]).max() < 1e-6
    assert check_gradients(net, LOSS, variables, x, t, train=False, entries=8)


def test_key_and_sample_weights_go_through():
    net = dp.Sequential([dp.Dense(6), dp.Dropout(0.5), dp.Dense(2)])
    variables = net.init(jax.random.key(3), (4,))
    x, t = data(5, (6, 4), (6, 2))
    options = {"key": jax.random.key(9), "sample_weight": np.array([1, 0, 2, 0.5, 1, 3], np.float32), "entries": 8}
    assert check_gradients(net, LOSS, variables, x, t, **options)
    with pytest.raises(dp.DenpaError, match="needs random numbers"):
        check_gradients(net, LOSS, variables, x, t)


@dataclass(frozen=True)
class Length(Layer):
    """y = ‖x‖, whose backward says 0 where x = 0; automatic differentiation has no number there."""

    def out_shape(self, in_shape):
        return (1,)

    def forward(self, params, x, ctx=Context()):
        y = jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
        return y, {"x": x, "y": y}

    def backward(self, params, saved, dy):
        y = saved["y"]
        return dy * jnp.where(y > 0, saved["x"] / jnp.where(y > 0, y, 1), 0), {}


def test_where_the_oracle_has_no_value_backward_is_not_blamed():
    net = dp.Sequential([dp.Dense(3), ("length", Length()), dp.Dense(2)])
    variables = net.init(jax.random.key(1), (4,))
    x, t = data(0, (5, 4), (5, 2))
    x[1] = 0  # b = 0, hence what enters the layer is 0
    with pytest.raises(
        GradientError, match=r"length\.dx\[1, 0\] is 0 by backward, but automatic .* no value there"
    ) as e:
        check_gradients(net, LOSS, variables, x, t)
    assert "(3 of 15 entries). Central differences give 0 there." in str(e.value)
    assert "the forward of layer 'length' goes through a point without a derivative" in str(e.value)
    assert "first wrong" not in str(e.value)
    x[1] = 1
    assert check_gradients(net, LOSS, variables, x, t)


def test_the_tolerances_and_the_entries_are_the_callers():
    net = row("")
    with pytest.raises(GradientError, match="by central differences"):
        check(net, numerical_tolerance=1e-16)
    with pytest.raises(GradientError, match="by automatic differentiation"):
        check(net, autodiff_tolerance=-1.0)


def shared_and_nested():
    """Two inputs, a layer used twice, a row inside, a batch normalisation used twice."""
    a, b = dp.Input(), dp.Input()
    encoder = dp.Sequential([dp.Dense(3), dp.Tanh()])
    norm = dp.BatchNorm(momentum=0.6)
    ends = [norm(encoder(x, name="encoder"), name="norm") for x in (a, b)]
    net = dp.Graph((a, b), dp.Dense(2)(dp.Concatenate()(*ends, name="both"), name="out"))
    xa, xb, t = data(6, (5, 4), (5, 4), (5, 2))
    return net, net.init(jax.random.key(4), ((4,), (4,))), (xa, xb), t


@pytest.mark.parametrize("train", [True, False])
def test_all_three_records_are_one(train):
    """Loss, output, state, and every array of every layer, nested and shared ones too."""
    net, variables, x, t = shared_and_nested()
    with jax.enable_x64(True):
        variables, x, t = jax.tree.map(lambda a: np.asarray(a, np.float64), (variables, x, t))
        ours = dp.trace(net, LOSS, variables, x, t, train=train)
        for theirs, rtol in (
            (autodiff(net, LOSS, variables, x, t, train=train), 1e-11),
            (numerical(net, LOSS, variables, x, t, train=train, epsilon=1e-5), 1e-6),
        ):
            assert list(theirs) == list(ours)
            assert "encoder@2/0_dense" in theirs
            for path in ours:
                for name in ("x", "y", "dy", "dx", "grads"):
                    mine, other = getattr(ours[path], name), getattr(theirs[path], name)
                    jax.tree.map(lambda p, q, r=rtol: np.testing.assert_allclose(p, q, rtol=r, atol=r), mine, other)
            for name in ("loss", "output", "grads", "dx", "state"):
                mine, other = getattr(ours, name), getattr(theirs, name)
                jax.tree.map(lambda p, q, r=rtol: np.testing.assert_allclose(p, q, rtol=r, atol=r), mine, other)


def test_the_numerical_record_does_not_use_our_backward(monkeypatch):
    monkeypatch.setattr(dp.Dense, "backward", None)
    net = dp.Sequential([dp.Dense(2)])
    variables = net.init(jax.random.key(0), (3,))
    x, t = data(7, (4, 3), (4, 2))
    found = numerical(net, LOSS, variables, x, t)
    delta = (x @ np.asarray(variables.params["0_dense"]["W"]) - t) / 4
    np.testing.assert_allclose(found.grads["0_dense"]["W"], x.T @ delta, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["0_dense"].dy, delta, rtol=1e-4, atol=1e-6)


def test_autodiff_keeps_the_precision_of_the_variables():
    net = row("")
    variables = net.init(jax.random.key(1), (4,))
    x, t = data(0, (5, 4), (5, 2))
    found, ours = autodiff(net, LOSS, variables, x, t), dp.trace(net, LOSS, variables, x, t)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.grads)} == {jnp.dtype("float32")}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found.grads, ours.grads)


def test_integer_inputs_have_no_slope(key):
    """The first layer looks rows up by index: nothing to compare for dx."""

    @dataclass(frozen=True)
    class Rows(Layer):
        def init(self, key, in_shape):
            return {"W": jax.random.normal(key, (5, 3))}

        def out_shape(self, in_shape):
            return (*in_shape, 3)

        def forward(self, params, x, ctx=Context()):
            return params["W"][x], {"x": x}

        def backward(self, params, saved, dy):
            zero = np.zeros(saved["x"].shape, jax.dtypes.float0)
            return zero, {"W": jnp.zeros_like(params["W"]).at[saved["x"]].add(dy)}

    net = dp.Sequential([Rows(), dp.Flatten(), dp.Dense(2)])
    x = np.array([[0, 1, 1], [4, 0, 2]])
    report = check_gradients(net, LOSS, net.init(key, (3,)), x, np.ones((2, 2), np.float32))
    assert "0_rows.grads[W]" in report.numerical
    assert "0_rows.dx" not in report.numerical


def test_a_small_kink_within_the_step_is_left_behind_by_a_shorter_one():
    """A unit with a small share of the slope, 3e-6 above its kink: the jump looks like curvature."""
    net = dp.Sequential([dp.Dense(2), dp.ReLU(), dp.Dense(1)])
    params = {
        "0_dense": {"W": np.array([[1.0, 1.0]]), "b": np.array([3e-6 - 0.7, 1.0])},
        "1_relu": {},
        "2_dense": {"W": np.array([[5e-5], [1.0]]), "b": np.zeros(1)},
    }
    x, t = np.array([[0.7]]), np.zeros((1, 1))
    report = check_gradients(net, LOSS, dp.Variables(params, {}), x, t)
    assert report.kinks == 0
    assert max(report.numerical.values()) < 1e-8


def test_gradients_are_checked_without_compilation_too():
    """`jax.disable_jit` hands NumPy's arrays through, which have no `.at`."""
    net = dp.Sequential([dp.Dense(2)])
    variables = net.init(jax.random.key(0), (3,))
    with jax.disable_jit():
        check_gradients(net, dp.SoftmaxCrossEntropy(), variables, np.ones((2, 3), np.float32), np.array([0, 1]))


@pytest.mark.parametrize("epsilon", [0, -1e-5, float("nan"), None, "3", True])
def test_a_step_that_is_none_is_refused(epsilon):
    net = dp.Sequential([dp.Dense(2)])
    case = net, dp.MeanSquaredError(), net.init(jax.random.key(0), (3,)), np.ones((4, 3)), np.ones((4, 2))
    for check in (numerical, check_gradients):
        with pytest.raises(dp.ConfigError, match="epsilon"):
            check(*case, epsilon=epsilon)
    with pytest.raises(dp.ConfigError, match="entries"):
        check_gradients(*case, entries=0)


@pytest.mark.parametrize("way", [autodiff, numerical])
def test_a_refused_batch_leaves_nothing_behind(way):
    """Labels of NumPy's integers were taken for those of the precision in which they had been refused."""
    net, loss, labels = dp.Sequential([dp.Dense(3)]), dp.SoftmaxCrossEntropy(), np.arange(6) % 3
    case = net, loss, net.init(jax.random.key(0), (2,)), np.ones((6, 2), np.float32), labels
    with pytest.raises(dp.ShapeError, match="sample weights"):
        way(*case, sample_weight=np.ones(4))
    check_gradients(*case)
    dp.trace(*case)

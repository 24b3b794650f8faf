"""Where PyTorch has an example's numbers in another order, layers take its arrays in ours, or say that they cannot.

What PyTorch gives is computed with channels in front, by NumPy, from arrays with its names and layouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp


class Torch:
    """Modules of PyTorch by their formulas; their arrays are drawn when they are called first."""

    def __init__(self):
        self.rng, self.state = np.random.default_rng(0), {}

    def _own(self, name, shape):
        if name not in self.state:
            draw = self.rng.uniform(0.5, 2.0, shape) if name.endswith("var") else self.rng.normal(size=shape)
            self.state[name] = draw.astype(np.float32)
        return self.state[name]

    def linear(self, name, x, units):
        return x @ self._own(f"{name}.weight", (units, x.shape[-1])).T + self._own(f"{name}.bias", units)

    def conv(self, name, x, filters, *kernel):
        """Over (batch, channels, ...): Conv1d with one size of the kernel, Conv2d with two."""
        axes, letters = tuple(range(2, 2 + len(kernel))), "ij"[: len(kernel)]
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=axes)
        weight, bias = self._own(f"{name}.weight", (filters, x.shape[1], *kernel)), self._own(f"{name}.bias", filters)
        return np.einsum(f"nc...{letters},fc{letters}->nf...", windows, weight) + _row(bias, windows.ndim - len(kernel))

    def norm(self, name, x):
        scale, shift, mean, var = (
            _row(self._own(f"{name}.{part}", x.shape[1]), x.ndim)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * scale + shift

    def prelu(self, name, x):
        return np.where(x > 0, x, _row(self._own(f"{name}.weight", x.shape[1]), x.ndim) * x)


def _row(array, axes):
    """An array over axis 1 of a batch."""
    return array.reshape(1, -1, *(1,) * (axes - 2))


def rows(x):
    return x.reshape(len(x), -1)


def front(x):
    return np.moveaxis(x, -1, 1)


def back(x):
    return np.moveaxis(x, 1, -1)


def data(*shape):
    return np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)


def loaded(net, x, torch, **options):
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=x.shape[1:])
    model.load_weights(torch.state, pytorch=True, **options)
    return model


def check(net, x, torch, expected, **options):
    model = loaded(net, x, torch, **options)
    np.testing.assert_allclose(model.net.apply(model.variables, x), expected, rtol=1e-4, atol=1e-4)


def middle():
    return [dp.BatchNorm(), dp.PReLU(shared=False), dp.Dropout(0.5), dp.Tanh()]


def theirs(torch, x):
    return np.tanh(torch.prelu("m1", torch.norm("m0", x)))


@pytest.mark.parametrize("filters", [4, 1])
def test_a_flattened_sequence_of_a_conv1d(filters):
    x, torch = data(6, 3), Torch()
    flat = rows(torch.norm("1", torch.conv("0", front(x), filters, 3)))
    expected = torch.linear("3", theirs(torch, flat), 5)
    net = [dp.Conv1d(filters, 3), dp.BatchNorm(), dp.Flatten(), dp.Sequential([*middle(), dp.Dense(5)])]
    check(net, x, torch, expected)


def test_what_leads_a_sequence_on_keeps_its_channels():
    """Maxout along channels, a residual sum with the input, and an image that becomes a sequence."""
    x, torch = data(6, 3), Torch()
    u = torch.conv("0", front(x), 4, 3)
    expected = torch.linear("1", rows(u.reshape(3, 2, 2, 4).max(axis=2)), 5)
    check([dp.Conv1d(4, 3), dp.Maxout(2), dp.Flatten(), dp.Dense(5)], x, torch, expected)

    torch, value = Torch(), dp.Input()
    expected = torch.linear("1", rows(torch.conv("0", front(x), 3, 1) + front(x)), 5)
    check(dp.Graph(value, dp.Dense(5)(dp.Flatten()(dp.Add()(dp.Conv1d(3, 1)(value), value)))), x, torch, expected)

    x, torch = data(4, 5, 2), Torch()
    expected = torch.linear("2", rows(torch.conv("1", torch.conv("0", front(x), 4, 3, 3).reshape(3, 4, 6), 3, 2)), 2)
    check([dp.Conv2d(4, 3), dp.Reshape((6, 4)), dp.Conv1d(3, 2), dp.Flatten(), dp.Dense(2)], x, torch, expected)


@pytest.mark.parametrize("before", [[], [dp.Conv1d(4, 3)], [dp.Dense(12), dp.Reshape((4, 3))]])
def test_what_a_recurrent_layer_writes_stays_as_it_is(before):
    body = [*before, dp.RNN(4, return_sequences=True), dp.Tanh(), dp.Flatten()]
    model = dp.Model(
        [*body, ("head", dp.Dense(5))], dp.MeanSquaredError(), in_shape=(7,) if len(before) == 2 else (6, 3)
    )
    weight = np.random.default_rng(0).normal(size=model.variables.params["head"]["W"].shape[::-1])
    model.load_weights({"h.weight": weight, "h.bias": np.ones(5)}, pytorch=True, names={"head": "h"})
    np.testing.assert_array_equal(model.variables.params["head"]["W"], weight.T.astype(np.float32))


def taken(net, weight):
    """What the layer `head` makes of a weight, as a weight again."""
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=(6, 3))
    model.load_weights({"h.weight": weight}, pytorch=True, names={"head": "h"}, strict=False)
    return model.variables.params["head"]["W"].T


def test_attention_writes_steps_whatever_stands_before_it():
    """It mixes two sequences of one shape, which a sum puts together place by place."""
    value, weight = dp.Input(), np.arange(120.0, dtype=np.float32).reshape(5, 24)
    h = dp.Conv1d(4, 1)(value)
    net = dp.Graph(value, dp.Dense(5)(dp.Flatten()(dp.DotAttention()(h, h)), name="head"))
    np.testing.assert_array_equal(taken(net, weight), weight)


def test_the_second_of_several_values_is_followed():
    value, weight = dp.Input(), np.arange(96.0, dtype=np.float32).reshape(24, 4)
    _, carry = dp.RNN(4, return_sequences=True, return_carry=True)(value)
    net = dp.Graph(value, dp.Conv2d(2, 2)(dp.Reshape((2, 3, 4))(dp.Dense(24)(carry, name="head"))))
    np.testing.assert_array_equal(taken(net, weight), weight[np.arange(24).reshape(4, 6).T.ravel()])


def test_raw_sequences_stay_as_they_are():
    x, torch = data(6, 3), Torch()
    expected = torch.linear("3", rows(back(theirs(torch, front(x)))), 5)
    check([*middle(), dp.Flatten(), dp.Dense(5)], x, torch, expected)


@pytest.mark.parametrize("channels", [4, 1])
def test_a_dense_layer_gives_its_outputs_as_an_image_wants_them(channels):
    x, torch = data(7), Torch()
    image = theirs(torch, torch.linear("0", x, 6 * channels)).reshape(3, channels, 2, 3)
    expected = back(torch.conv("n", torch.norm("mn", image), 2, 2, 2))
    head = dp.Sequential([dp.Dense(6 * channels), *middle()])
    tail = dp.Sequential([dp.Reshape((2, 3, channels)), dp.BatchNorm(), dp.Conv2d(2, 2)])
    check([head, tail], x, torch, expected)


def test_a_dense_layer_gives_its_outputs_as_a_conv1d_wants_them():
    x, torch = data(7), Torch()
    sequence = theirs(torch, torch.linear("0", x, 24)).reshape(3, 4, 6)
    expected = back(torch.conv("n", np.tanh(torch.norm("mn", sequence)), 2, 3))
    net = [dp.Dense(24), *middle(), dp.Reshape((6, 4)), dp.BatchNorm(), dp.Tanh(), dp.Conv1d(2, 3)]
    check(net, x, torch, expected)
    steps = dp.Model([dp.Dense(24), dp.Reshape((6, 4)), dp.RNN(2)], dp.MeanSquaredError(), in_shape=(7,))
    steps.load_weights(torch.state, pytorch=True, names={"0_dense": "0"})
    np.testing.assert_array_equal(steps.variables.params["0_dense"]["W"], torch.state["0.weight"].T)


def test_from_image_to_image_through_a_code():
    x, torch = data(4, 5, 2), Torch()
    code = np.tanh(torch.linear("1", rows(torch.conv("0", front(x), 4, 3, 3)), 5))
    expected = back(torch.conv("3", torch.linear("2", code, 24).reshape(3, 4, 2, 3), 2, 2, 2))
    decoder = dp.Sequential([dp.Dense(24), dp.Reshape((2, 3, 4)), dp.Conv2d(2, 2)])
    net = [dp.Conv2d(4, 3), dp.Flatten(), dp.Dense(5), dp.Tanh(), dp.Tied(decoder, ())]
    check(net, x, torch, expected)


def test_a_flattened_image_becomes_one_again():
    x, torch = data(4, 5, 2), Torch()
    flat = theirs(torch, rows(torch.conv("0", front(x), 4, 3, 3)))
    expected = back(torch.conv("n", flat.reshape(3, 4, 2, 3), 2, 2, 2))
    check([dp.Conv2d(4, 3), dp.Flatten(), *middle(), dp.Reshape((2, 3, 4)), dp.Conv2d(2, 2)], x, torch, expected)


def test_blocks_keep_their_orders_and_sums_pass_theirs_on():
    x, torch, value = data(4, 5, 2), Torch(), dp.Input()
    one, two, three = (
        rows(torch.conv(name, front(x), f, k, k)) for name, f, k in (("0", 4, 3), ("1", 4, 3), ("2", 3, 2))
    )
    means = torch.linear("3", x.mean(axis=(1, 2)), 4)
    expected = torch.linear("n", theirs(torch, np.concatenate([one + two, means, three], axis=1)), 5)
    a, b, c = (dp.Flatten()(dp.Conv2d(f, k)(value)) for f, k in ((4, 3), (4, 3), (3, 2)))
    h = dp.Concatenate()(dp.Add()(a, b), dp.Dense(4)(dp.GlobalAveragePool2d()(value)), c)
    for layer in middle():
        h = layer(h)
    check(dp.Graph(value, dp.Dense(5)(h)), x, torch, expected)


def test_other_readers_of_a_dense_layer_follow_its_order():
    x, torch, value = data(7), Torch(), dp.Input()
    u = torch.linear("0", x, 24)
    image = rows(torch.conv("1", u.reshape(3, 4, 2, 3), 2, 2, 2))
    expected = torch.linear("3", np.concatenate([image, torch.linear("2", u, 3)], axis=1), 2)
    h = dp.Dense(24)(value)
    image = dp.Flatten()(dp.Conv2d(2, 2)(dp.Reshape((2, 3, 4))(h)))
    check(dp.Graph(value, dp.Dense(2)(dp.Concatenate()(image, dp.Dense(3)(h)))), x, torch, expected)


def test_shared_layers_and_demands_on_sums_and_blocks():
    x, torch, value = data(4, 5, 2), Torch(), dp.Input()
    one, two = (torch.linear("1", rows(torch.conv("0", front(image), 4, 3, 3)), 24) for image in (x, np.tanh(x)))
    expected = back(torch.conv("2", (one + two).reshape(3, 4, 2, 3), 2, 2, 2))
    encoder = dp.Sequential([dp.Conv2d(4, 3), dp.Flatten(), dp.Dense(24)])
    total = dp.Add()(encoder(value, name="encoder"), encoder(dp.Tanh()(value), name="encoder"))
    net = dp.Graph(value, dp.Conv2d(2, 2)(dp.Reshape((2, 3, 4))(total)))
    check(net, x, torch, expected)
    check(dp.Tied(net, ()), x, torch, expected)

    x, torch, value = data(7), Torch(), dp.Input()  # one channel of two rows of pixels, a block each
    both = np.concatenate([torch.linear("0", x, 3), torch.linear("1", x, 3)], axis=1)
    expected = back(torch.conv("2", both.reshape(3, 1, 2, 3), 2, 2, 2))
    both = dp.Concatenate()(dp.Dense(3)(value), dp.Dense(3)(value))
    check(dp.Graph(value, dp.Conv2d(2, 2)(dp.Reshape((2, 3, 1))(both))), x, torch, expected)


def test_an_order_that_keeps_to_the_blocks_of_a_concatenation_reaches_each():
    """Two pixels of two channels: the first and the last number stay, those between change places."""
    x, torch, value = data(7), Torch(), dp.Input()
    sizes = enumerate((1, 2, 1))
    flat = np.concatenate([torch.linear(f"{k}", x, size) for k, size in sizes], axis=1)
    expected = back(torch.conv("3", flat.reshape(3, 2, 1, 2), 2, 1, 2))
    blocks = dp.Concatenate()(*(dp.Dense(size)(value) for size in (1, 2, 1)))
    check(dp.Graph(value, dp.Conv2d(2, (1, 2))(dp.Reshape((1, 2, 2))(blocks))), x, torch, expected)


def test_flat_data_of_the_users_are_an_image_with_channels_last():
    x, torch = data(24), Torch()
    image = theirs(torch, rows(front(x.reshape(3, 2, 3, 4)))).reshape(3, 4, 2, 3)
    expected = torch.linear("o", rows(torch.conv("n", image, 2, 2, 2)), 3)
    check([*middle(), dp.Reshape((2, 3, 4)), dp.Conv2d(2, 2), dp.Flatten(), dp.Dense(3)], x, torch, expected)


@dataclass(frozen=True)
class Gain(dp.Layer):
    """A gain for each number, which PyTorch has no module for."""

    def init(self, key, in_shape):
        return {"gain": jnp.ones(in_shape[-1])}

    def forward(self, params, x, ctx):
        return x * params["gain"], {}


def flattened(*behind, filters=4):
    return dp.Sequential([("conv", dp.Conv2d(filters, 3)), dp.Flatten(), *behind])


def sums(filters):
    value = dp.Input()
    image = dp.Flatten()(dp.Conv2d(filters, 3)(value))
    other = dp.Dense(6 * filters)(dp.GlobalAveragePool2d()(value))
    return dp.Graph(value, dp.Dense(2)(dp.Add()(image, other), name="head"))


def wanted_twice():
    value = dp.Input()
    h = dp.Dense(24)(dp.GlobalAveragePool2d()(value), name="head")
    images = [dp.Flatten()(dp.Conv2d(2, 2)(dp.Reshape(shape)(h))) for shape in ((2, 3, 4), (3, 4, 2))]
    return dp.Graph(value, dp.Concatenate()(*images))


def across_blocks():
    value = dp.Input()
    h = dp.GlobalAveragePool2d()(value)
    blocks = dp.Concatenate()(dp.Dense(2)(h), dp.Dense(2)(h))
    return dp.Graph(value, dp.Dense(2)(dp.Flatten()(dp.MaxPool2d((1, 2))(dp.Reshape((1, 2, 2))(blocks))), name="head"))


def wanted_as_steps():
    value = dp.Input()
    h = dp.Dense(24)(dp.GlobalAveragePool2d()(value), name="head")
    steps = dp.RNN(2)(dp.Reshape((6, 4))(dp.Tanh()(h)))
    return dp.Graph(value, dp.Concatenate()(steps, dp.Flatten()(dp.Conv2d(2, 2)(dp.Reshape((2, 3, 4))(h)))))


def wanted_as_it_is():
    value = dp.Input()
    h = dp.Dense(24)(dp.GlobalAveragePool2d()(value), name="head")
    return dp.Graph(value, (h, dp.Conv2d(2, 2)(dp.Reshape((2, 3, 4))(h))))


def used_twice():
    value, head = dp.Input(), dp.Dense(2)
    one, two = dp.Flatten()(dp.Conv2d(4, 3)(value)), dp.Dense(24)(dp.GlobalAveragePool2d()(value))
    return dp.Graph(value, dp.Add()(head(one, name="head"), head(two, name="head")))


def mirrored():
    ends = [("code", dp.Dense(3)), ("head", dp.Dense(40))]
    return dp.Tied(dp.Sequential([dp.Flatten(), *ends]), [dp.Tie("head/W", "code/W", transpose=True)])


REFUSED = {
    "sums": (sums(4), "5_add|4_add|3_add"),
    "another image": (flattened(dp.Reshape((2, 2, 6)), ("head", dp.Conv2d(2, 2))), "2_reshape makes"),
    "another image, transposed": (
        flattened(dp.Reshape((2, 2, 6)), ("head", dp.ConvTranspose2d(2, 2))),
        "2_reshape makes",
    ),
    "another image, normalised": (flattened(dp.Reshape((2, 2, 6)), ("head", dp.BatchNorm())), "2_reshape makes"),
    "a sequence": (flattened(dp.Reshape((4, 6)), ("head", dp.RNN(2))), "2_reshape makes"),
    "pooled": (
        flattened(dp.Reshape((4, 3, 2)), dp.MaxPool2d(2), dp.Flatten(), ("head", dp.Dense(2))),
        "2_reshape makes",
    ),
    "maxout": (flattened(dp.Maxout(2), ("head", dp.Dense(2))), "2_maxout cannot follow"),
    "response": (flattened(dp.LocalResponseNorm(3), ("head", dp.Dense(2))), "2_localresponsenorm cannot follow"),
    "gain": (flattened(Gain(), ("head", dp.Dense(2))), "2_gain cannot follow"),
    "two orders": (wanted_twice(), "outputs of head are wanted in different orders"),
    "across blocks": (across_blocks(), "4_reshape makes"),
    "as steps": (wanted_as_steps(), "outputs of head are wanted in different orders"),
    "as the output": (wanted_as_it_is(), "outputs of head are wanted in different orders"),
    "two uses": (used_twice(), "head is used for numbers in different orders"),
    "tied": (mirrored(), "it is tied to code"),
}


def arrays_for(net):
    """Arrays for every layer that PyTorch has, which are never looked at."""
    kinds = dp.BatchNorm, dp.Dense, dp.Conv2d, dp.ConvTranspose2d, dp.RNN
    names = [path for path, kind in net.inner() if isinstance(kind, kinds) and "@" not in path]
    return {f"{name}.weight": np.zeros((1, 1)) for name in names}


@pytest.mark.parametrize("case", REFUSED)
def test_an_order_that_cannot_be_followed_is_refused_and_told(case):
    net, why = REFUSED[case]
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=(4, 5, 2))
    with pytest.raises(dp.ShapeError, match=rf"head cannot be put in order, since .*({why}).*set its arrays by hand"):
        model.load_weights(arrays_for(net), pytorch=True, strict=False)


def test_ties_inside_of_a_network_are_told_too():
    model = dp.Model(dp.Sequential([("inner", mirrored())]), dp.MeanSquaredError(), in_shape=(4, 5, 2))
    arrays, names = {"c.weight": np.zeros((1, 1)), "h.weight": np.zeros((1, 1))}, {"inner/code": "c", "inner/head": "h"}
    with pytest.raises(dp.ShapeError, match="inner/head cannot be put in order, since it is tied to inner/code"):
        model.load_weights(arrays, pytorch=True, names=names, strict=False)


def test_layers_inside_of_a_layer_are_told_too():
    net = flattened(dp.Reshape((4, 6)), ("head", dp.Bidirectional(dp.RNN(2))))
    model = dp.Model(net, dp.MeanSquaredError(), in_shape=(4, 5, 2))
    with pytest.raises(dp.ShapeError, match="head/forward cannot be put in order, since 2_reshape makes"):
        model.load_weights({"f.weight_ih": np.zeros((1, 1))}, pytorch=True, names={"head/forward": "f"}, strict=False)


def test_an_input_that_is_read_in_both_ways_is_in_doubt_only_where_it_is_flattened():
    value, weight = dp.Input(), np.arange(36.0, dtype=np.float32).reshape(4, 3, 3)
    both = dp.Concatenate()(dp.RNN(2)(dp.Conv1d(4, 3)(value, name="conv")), dp.RNN(2)(value))
    model = dp.Model(dp.Graph(value, both), dp.MeanSquaredError(), in_shape=(6, 3))
    model.load_weights({"c.weight": weight}, pytorch=True, names={"conv": "c"}, strict=False)
    np.testing.assert_array_equal(model.variables.params["conv"]["W"], weight.T)


def test_nothing_is_refused_where_orders_agree_or_the_layer_is_left_out():
    x, torch = data(4, 5, 2), Torch()
    both = rows(torch.conv("0", front(x), 1, 3, 3)) + torch.linear("1", x.mean(axis=(1, 2)), 6)
    check(sums(1), x, torch, torch.linear("2", both, 2))
    net, own = flattened(dp.Maxout(2), ("head", dp.Dense(2))), Torch()
    own.conv("0", front(x), 4, 3, 3), own.linear("1", data(12), 2)
    for options in ({"only": "conv/*"}, {"names": {"conv": "0"}}):
        model = loaded(net, x, own, **options)
        np.testing.assert_array_equal(model.variables.params["conv"]["b"], own.state["0.bias"])
    behind = [dp.ThresholdDense(24), dp.Reshape((2, 3, 4)), ("head", dp.Conv2d(2, 2))]
    state = Torch()
    state.conv("head", data(4, 2, 3), 2, 2, 2)
    loaded(flattened(*behind), x, state, names={"head": "head"})  # the user sees to the layer that PyTorch lacks


def test_sequences_of_both_orders_are_refused_only_where_they_are_flattened():
    value = dp.Input()
    word = dp.Embedding(4, 3)(value)
    both = dp.Add()(dp.Conv1d(3, 1)(word), word)
    state = {"e.weight": data(3)[:, :].repeat(2, axis=0)[:4], "c.weight": data(3, 1)[:3], "c.bias": np.zeros(3)}
    head = {"h.weight": np.ones((2, 3)), "h.bias": np.zeros(2)}
    dp.Model(dp.Graph(value, dp.Dense(2)(both)), dp.MeanSquaredError(), in_shape=(6,)).load_weights(
        state | head, pytorch=True
    )
    flat = dp.Model(dp.Graph(value, dp.Dense(2)(dp.Flatten()(both))), dp.MeanSquaredError(), in_shape=(6,))
    with pytest.raises(dp.ShapeError, match=r"4_dense cannot be put in order, since 2_add puts"):
        flat.load_weights(state | {"h.weight": np.ones((2, 18)), "h.bias": np.zeros(2)}, pytorch=True)

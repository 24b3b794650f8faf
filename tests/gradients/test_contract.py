"""What backprop and trace return, how they may be called, and what looking inside costs."""

from __future__ import annotations

import dataclasses
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa.networks import with_carry

NET = dp.Sequential(
    [dp.Dense(4), dp.BatchNorm(momentum=0.5), dp.Tanh(), ("tail", dp.Sequential([dp.Dropout(0.4), dp.Dense(3)]))]
)
LOSS = dp.SoftmaxCrossEntropy()
X = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
T = np.array([0, 2, 1, 1, 0, 2])
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def variables():
    return NET.init(jax.random.key(8), (5,))


@pytest.fixture(scope="module")
def step(variables):
    return dp.backprop(NET, LOSS, variables, X, T, key=KEY)


@pytest.fixture(scope="module")
def met(variables):
    return dp.trace(NET, LOSS, variables, X, T, key=KEY)


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_step_holds_loss_output_gradients_delta_and_state(step, variables):
    assert [field.name for field in dataclasses.fields(step)] == ["loss", "output", "grads", "dx", "state", "cost"]
    assert step.loss.shape == ()
    np.testing.assert_allclose(step.loss, LOSS.value(step.output, T), rtol=1e-6)
    assert step.output.shape == (6, 3)
    assert step.dx.shape == X.shape
    assert jax.tree.map(jnp.shape, step.grads) == jax.tree.map(jnp.shape, variables.params)
    assert jax.tree.map(jnp.shape, step.state) == jax.tree.map(jnp.shape, variables.state)


def test_arguments_by_place_and_by_name(step, variables):
    names = list(inspect.signature(dp.backprop).parameters)
    assert names == list(inspect.signature(dp.trace).parameters)
    assert names == ["net", "loss", "variables", "x", "t", "key", "train", "sample_weight"]
    same(step, dp.backprop(NET, LOSS, variables, X, T, KEY, True, None))
    same(step, dp.backprop(net=NET, loss=LOSS, variables=tuple(variables), x=X, t=T, key=KEY, train=True))


def test_training_advances_state_and_inference_does_not(step, variables):
    norm, before = step.state["1_batchnorm"], variables.state["1_batchnorm"]
    assert not np.allclose(norm["mean"], before["mean"])
    still = dp.backprop(NET, LOSS, variables, X, T, train=False)
    same(still.state, variables.state)
    np.testing.assert_allclose(still.output, NET.apply(variables, X), rtol=1e-5)
    assert not np.allclose(still.output, step.output)


@pytest.mark.parametrize("way", [dp.backprop, dp.trace])
def test_a_carry_in_the_state_goes_on_in_training_alone(way):
    net, x = dp.Sequential([dp.RNN(3, return_sequences=True)]), X.reshape(2, 3, 5)
    variables = dp.Variables(net.init(KEY, (3, 5)).params, with_carry(net, {}, 2, jnp.float32))
    for train in (True, False):
        met = way(net, LOSS, variables, x, np.zeros((2, 3), int), train=train)
        carry = met.output[:, -1] if train else jnp.zeros((2, 3))
        np.testing.assert_allclose(met.state["0_rnn"]["carry"][0], carry, rtol=1e-6)


def test_nothing_that_goes_in_is_changed(variables):
    before = jax.tree.map(np.array, (variables, X, T))
    dp.backprop(NET, LOSS, variables, X, T, key=KEY)
    same(before, jax.tree.map(np.array, (variables, X, T)))


def test_the_key_decides_what_is_dropped(step, variables):
    same(step, dp.backprop(NET, LOSS, variables, X, T, key=jax.random.key(3)))
    other = dp.backprop(NET, LOSS, variables, X, T, key=jax.random.key(4))
    assert not np.allclose(other.output, step.output)
    with pytest.raises(dp.DenpaError, match=r"Dropout\(0\.4\) \(layer 'tail/0_dropout'\) needs random numbers"):
        dp.backprop(NET, LOSS, variables, X, T)


def test_sample_weights_enter_loss_and_gradients(variables):
    """Weight 0 is as if the sample were not there; a common factor cancels."""
    net = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(3)])
    variables = net.init(KEY, (5,))
    weight = np.array([1.0, 0.0, 2.0, 0.0, 0.5, 1.0], np.float32)
    kept = weight > 0
    whole = dp.backprop(net, LOSS, variables, X, T, sample_weight=weight)
    part = dp.backprop(net, LOSS, variables, X[kept], T[kept], sample_weight=3 * weight[kept])
    np.testing.assert_allclose(whole.loss, part.loss, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), whole.grads, part.grads)
    np.testing.assert_array_equal(whole.dx[~kept], 0)
    np.testing.assert_allclose(whole.dx[kept], part.dx, rtol=1e-5, atol=1e-7)


def test_a_trace_is_a_step_and_a_mapping_in_the_order_of_the_walk(met, step):
    same({name: getattr(met, name) for name in ("loss", "output", "dx", "state", "grads", "cost")}, vars(step))
    assert list(met) == ["0_dense", "1_batchnorm", "2_tanh", "tail", "tail/0_dropout", "tail/1_dense"]
    assert len(met) == 6
    assert "tail/1_dense" in met
    assert "3_dense" not in met
    assert [record.y.shape for record in met.values()] == [(6, 4)] * 3 + [(6, 3), (6, 4), (6, 3)]
    with pytest.raises(KeyError, match="did you mean '0_dense'"):
        met["0_dens"]
    with pytest.raises(KeyError, match="known layers: 0_dense, 1_batchnorm, 2_tanh, tail"):
        met["zzz"]


def test_the_order_is_that_of_the_walk_whatever_the_names():
    net = dp.Sequential(
        [("z", dp.Dense(2)), ("b", dp.Tanh()), ("m", dp.Sequential([("y", dp.Tanh()), ("a", dp.Tanh())]))]
    )
    variables = net.init(KEY, (3,))
    met = dp.trace(net, dp.MeanSquaredError(), variables, np.ones((1, 3), np.float32), np.ones((1, 2), np.float32))
    assert list(met) == ["z", "b", "m", "m/y", "m/a"]
    assert list(jax.tree.map(lambda a: a, met)) == list(met)
    assert list(jax.jit(lambda m: m)(met)) == list(met)


def test_a_trace_prints_a_row_for_each_layer(met):
    head, names, *rows = str(met).splitlines()
    assert repr(met) == str(met)
    assert head == f"E = {met.loss!s}"
    assert names.split("  ")[0] == "layer"
    assert [row.split()[0] for row in rows] == list(met)

    def rms(value):
        return f"{np.sqrt(np.mean(np.asarray(value, float) ** 2)):.2g}"

    dense = met["0_dense"]
    sizes = [rms(dense.y), rms(dense.dy), "W", rms(dense.grads["W"]), "b", rms(dense.grads["b"])]
    assert rows[0].split() == ["0_dense", "(6,", "4)", *sizes]
    assert rows[2].split() == ["2_tanh", "(6,", "4)", rms(met["2_tanh"].y), rms(met["2_tanh"].dy)]


def test_records_fit_together(met, variables):
    """What leaves one layer enters the next, both ways."""
    assert met["0_dense"]._fields == ("x", "y", "saved", "dy", "dx", "grads")
    chain = ["0_dense", "1_batchnorm", "2_tanh", "tail/0_dropout", "tail/1_dense"]
    np.testing.assert_array_equal(met[chain[0]].x, X)
    for below, above in itertools.pairwise(chain):
        np.testing.assert_array_equal(met[below].y, met[above].x)
        np.testing.assert_array_equal(met[below].dy, met[above].dx)
    np.testing.assert_array_equal(met[chain[-1]].y, met.output)
    np.testing.assert_allclose(met[chain[-1]].dy, LOSS.delta(met.output, T), rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(met[chain[0]].dx, met.dx)
    for path in met:
        place = met.grads
        for name in path.split("/"):
            place = place[name]
        same(met[path].grads, place)


def test_saved_is_what_the_layer_says(met):
    np.testing.assert_array_equal(met["0_dense"].saved["x"], X)
    np.testing.assert_array_equal(met["2_tanh"].saved["y"], met["2_tanh"].y)
    dropped = met["tail/0_dropout"]
    np.testing.assert_allclose(dropped.y, np.where(dropped.saved["mask"], dropped.x / 0.6, 0), rtol=1e-5)
    np.testing.assert_allclose(dropped.dx, np.where(dropped.saved["mask"], dropped.dy / 0.6, 0), rtol=1e-5)


def test_a_trace_prints_while_it_is_traced(variables):
    printed = []
    jax.eval_shape(lambda x: printed.append(str(dp.trace(NET, LOSS, variables, x, T, key=KEY))) or x, X)
    assert "0_dense" in printed[0]


def test_both_may_stand_inside_jit_and_are_compiled_once(variables, step):
    traced = []

    @jax.jit
    def descend(variables, x, t, key):
        traced.append(1)
        found = dp.backprop(NET, LOSS, variables, x, t, key)
        return jax.tree.map(lambda p, g: p - 0.1 * g, variables.params, found.grads), found.loss

    for _ in range(2):
        params, loss = descend(variables, X, T, KEY)
    assert len(traced) == 1
    np.testing.assert_allclose(loss, step.loss, rtol=1e-6)
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, variables.params, step.grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params, moved)


def test_a_step_lowers_the_loss():
    net = dp.Sequential([dp.Dense(4), dp.Tanh(), dp.Dense(3)])
    variables = net.init(KEY, (5,))
    first = dp.backprop(net, LOSS, variables, X, T)
    params = jax.tree.map(lambda p, g: p - 0.05 * g, variables.params, first.grads)
    drop = float(first.loss - dp.backprop(net, LOSS, (params, {}), X, T).loss)
    squares = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(first.grads))
    np.testing.assert_allclose(drop, 0.05 * squares, rtol=0.1)  # E(w − η g) ≈ E(w) − η ‖g‖²


def cost(function, *arguments):
    compiled = jax.jit(function).lower(*arguments).compile()
    memory = compiled.memory_analysis()
    return compiled.cost_analysis()["flops"], memory.temp_size_in_bytes


def test_looking_inside_costs_nothing_when_nobody_looks(variables):
    """The recorded walk, with its records thrown away, compiles to the very same work as the bare one."""
    bare = cost(lambda v: dp.backprop(NET, LOSS, v, X, T, key=KEY), variables)

    def unread(v):
        found = dp.trace(NET, LOSS, v, X, T, key=KEY)
        return found.loss, found.output, found.grads, found.dx, found.state

    assert cost(unread, variables) == bare


def test_the_delta_of_the_input_costs_nothing_when_nobody_asks(variables):
    net = dp.Sequential([dp.Dense(64), dp.Tanh(), dp.Dense(3)])
    params = jax.eval_shape(lambda: net.init(KEY, (512,)))
    x, t = jax.ShapeDtypeStruct((32, 512), jnp.float32), jax.ShapeDtypeStruct((32,), jnp.int32)
    with_dx, _ = cost(lambda v, x, t: dp.backprop(net, LOSS, v, x, t), params, x, t)
    without, _ = cost(lambda v, x, t: dp.backprop(net, LOSS, v, x, t).grads, params, x, t)
    assert with_dx - without > 0.9 * 2 * 32 * 512 * 64  # the product δ Wᵀ of the first layer


def test_the_walk_does_no_more_work_than_automatic_differentiation():
    net = dp.Sequential([dp.Dense(48), dp.Tanh(), dp.Dense(32), dp.Sigmoid(), dp.Dense(10)])
    variables = jax.eval_shape(lambda: net.init(KEY, (64,)))
    x, t = jax.ShapeDtypeStruct((16, 64), jnp.float32), jax.ShapeDtypeStruct((16,), jnp.int32)
    ours, _ = cost(lambda v, x, t: dp.backprop(net, LOSS, v, x, t).grads, variables, x, t)
    theirs, _ = cost(
        lambda v, x, t: jax.grad(lambda p: LOSS.value(net.apply((p, {}), x), t))(v.params), variables, x, t
    )
    assert ours < 1.02 * theirs


def test_work_grows_with_the_edges_not_with_the_paths():
    """Each delta is computed once and used by all paths through it: 8^L paths, 64 L products."""

    def flops(depth):
        net = dp.Sequential([dp.Dense(8), dp.Tanh()] * depth)
        variables = jax.eval_shape(lambda: net.init(KEY, (8,)))
        batch = jax.ShapeDtypeStruct((4, 8), jnp.float32)
        return cost(lambda v, x, t: dp.backprop(net, dp.MeanSquaredError(), v, x, t).grads, variables, batch, batch)[0]

    three, six, nine = flops(3), flops(6), flops(9)
    np.testing.assert_allclose(nine - six, six - three, rtol=0.1)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"net": [dp.Dense(3)]}, dp.ConfigError, r"A network, .* not \[Dense\(3\)\]"),
        ({"net": dp.Sequential}, dp.ConfigError, "forget the brackets"),
        ({"loss": "mse"}, dp.ConfigError, "A loss, .* not 'mse'"),
        ({"loss": dp.SoftmaxCrossEntropy}, dp.ConfigError, r"brackets\? SoftmaxCrossEntropy\(\)"),
        ({"x": None}, dp.DataError, "x must be numbers, not None"),
        ({"t": None}, dp.DataError, "t must be numbers, not None"),
        ({"x": np.full((6, 5), "a")}, dp.DataError, "x must be numbers, not text"),
        ({"x": np.full((6, 5), b"a")}, dp.DataError, "x must be numbers, not text"),
        ({"t": np.full(6, {}, object)}, dp.DataError, "t must be numbers, not text, dates or objects"),
        ({"t": np.array([0, 2, 1, 1, 0, 3])}, dp.DataError, r"class indices 0 to 2, but target \(5,\) is 3"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("way", [dp.backprop, dp.trace, dp.testing.autodiff, dp.testing.numerical])
def test_what_is_no_problem_of_learning_is_refused_by_name(way, wrong, error, says, variables):
    given = {"net": NET, "loss": LOSS, "variables": variables, "x": X, "t": T, "key": KEY} | wrong
    with pytest.raises(error, match=says):
        way(**given)


def test_variables_want_a_key():
    with pytest.raises(dp.ConfigError, match="A random key is wanted"):
        NET.init(None, (5,))


def test_a_layer_alone_can_be_learned_but_not_traced():
    layer = dp.Dense(3)
    alone = dp.Variables(layer.init(jax.random.key(0), (5,)), {})
    network = dp.Sequential([layer])
    step = dp.backprop(layer, LOSS, alone, X, T)
    wanted = dp.backprop(network, LOSS, dp.Variables({"0_dense": alone.params}, {}), X, T)
    same((step.loss, step.dx, step.grads), (wanted.loss, wanted.dx, wanted.grads["0_dense"]))
    with pytest.raises(dp.ConfigError, match=r"A network, .* not Dense\(3\)"):
        dp.trace(layer, LOSS, alone, X, T)


WAYS = [
    dp.backprop, dp.trace, dp.rtrl, dp.testing.autodiff, dp.testing.numerical, dp.testing.check_gradients
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_options_of_the_gradients_that_cannot_be_are_refused(way):
    net = dp.Sequential([dp.RNN(2, return_sequences=True)])
    variables = net.init(jax.random.key(0), (5, 3))
    case = net, dp.MeanSquaredError(), variables, np.ones((4, 5, 3), np.float32), np.ones((4, 5, 2), np.float32)
    for train in ("no", None, 1.5, []):
        with pytest.raises(dp.ConfigError, match="train must be true or false"):
            way(*case, train=train)
    for weight in ("3", ["a"] * 4, [[1.0, 2.0], [3.0]], {}):
        with pytest.raises(dp.DataError, match="sample_weight"):
            way(*case, sample_weight=weight)
    with pytest.raises(dp.DataError, match="must be finite and not negative"):
        way(*case, sample_weight=[1, -1, 1, 1])
    with pytest.raises(dp.ConfigError, match=r"A random key is wanted, .* not 3"):
        way(*case, key=3)
    with pytest.raises(dp.ConfigError, match="Variables are a pair"):
        way(*case[:2], None, *case[3:])
    for data in ("abc", None, [["a"]]):
        with pytest.raises(dp.DataError, match="t must be numbers"):
            way(*case[:4], data)


@pytest.mark.parametrize("way", WAYS[:-1])
def test_lists_and_truth_values_of_numpy_are_taken(way):
    net = dp.Sequential([dp.RNN(2, return_sequences=True)])
    variables = net.init(jax.random.key(0), (5, 3))
    x, t = np.ones((4, 5, 3), np.float32), np.ones((4, 5, 2), np.float32)
    lists = way(net, dp.MeanSquaredError(), variables, x.tolist(), t.tolist(), sample_weight=[1, 1, 1, 1])
    arrays = way(net, dp.MeanSquaredError(), variables, x, t, train=np.True_)
    np.testing.assert_allclose(lists.loss, arrays.loss, rtol=1e-6)

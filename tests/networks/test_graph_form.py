"""How graphs are written down: one canonical form, names, and what makes no sense."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import denpa as dp
from denpa import Vertex


def test_the_canonical_form_names_everything():
    x_ = dp.Input()
    h = dp.Dense(3)(x_)
    net = dp.Graph(x_, dp.Add()(h, x_, name="sum"))
    assert (net.inputs, net.outputs) == ("input", "sum")
    assert net.vertices == (Vertex("0_dense", dp.Dense(3), ("input",)), Vertex("sum", dp.Add(), ("0_dense", "input")))
    assert net == dp.Graph("input", "sum", net.vertices)


def test_only_what_the_outputs_need_belongs_to_the_graph():
    x_ = dp.Input()
    h = dp.Dense(3)(x_)
    dp.Dense(7)(h)  # written down, then not used
    assert [vertex.name for vertex in dp.Graph(x_, dp.Tanh()(h)).vertices] == ["0_dense", "1_tanh"]


def test_names_are_padded_and_follow_the_order_of_writing():
    x_ = h = dp.Input("pixels")
    for _ in range(11):
        h = dp.Tanh()(h)
    net = dp.Graph(x_, h)
    assert net.inputs == "pixels"
    assert [net.vertices[0].name, net.vertices[10].name] == ["00_tanh", "10_tanh"]


def test_initial_weights_follow_names_not_places(key):
    x_ = dp.Input()
    short = dp.Graph(x_, dp.Dense(3)(x_, name="out"))
    long = dp.Graph(x_, dp.Dense(3)(dp.Dense(2)(dp.Tanh()(x_, name="t"), name="new"), name="out"))
    other = dp.Graph(x_, dp.Dense(3)(dp.Tanh()(x_, name="t"), name="out"))
    a, b = short.init(key, (2,)).params["out"]["W"], long.init(key, (2,)).params["out"]["W"]
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, other.init(key, (2,)).params["out"]["W"])


def written(make):
    def build():
        x = dp.Input()
        return make(x, dp.Dense(3)(x))

    return build


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (written(lambda x, h: dp.Graph(x, jnp.ones(3))), "Graph wants symbolic values"),
        (written(lambda x, h: dp.Graph(dp.Dense(3), h)), "Graph wants symbolic values"),
        (
            written(lambda x, h: dp.Graph(dp.Input(), h)),
            "depends on input .* not among the graph's inputs: these are what dp.Input",
        ),
        (written(lambda x, h: dp.Graph((x, dp.Input()), h)), "Input 'input_1' leads to no output"),
        (written(lambda x, h: dp.Graph((x, x), h)), "Inputs must have different names"),
        (written(lambda x, h: dp.Graph(x, dp.Tanh()(h, name="a/b"))), "without '/' and '@', not 'a/b'"),
        (written(lambda x, h: dp.Graph(x, dp.Tanh()(h, name="a@2"))), "without '/' and '@', not 'a@2'"),
        (
            written(lambda x, h: dp.Graph(x, dp.Dense(2)(dp.Dense(3)(h, name="a"), name="a"))),
            "Two layers are called 'a'",
        ),
        (written(lambda x, h: dp.Graph(x, dp.Tanh()(h, name="input"))), "'input' is the name of two values"),
        (written(lambda x, h: dp.Graph(x, dp.Dense(3)(h, name="0_dense"))), "'0_dense' is also the automatic name"),
        (lambda: dp.Graph("x", "y", (Vertex("y", dp.Tanh(), ("z",)),)), "'y' reads 'z', which is not an earlier value"),
        (lambda: dp.Graph("x", "z", (Vertex("y", dp.Tanh(), ("x",)),)), "Output 'z' is not a value"),
        (
            lambda: dp.Graph("x", "y", (Vertex("y", dp.Tanh(), ("x",)), Vertex("y", dp.Tanh(), ("x",)))),
            "'y' is the name of two values",
        ),
        (
            lambda: dp.Graph("x", "y", (Vertex("y", dp.Tanh(), ("x",)), Vertex("z", dp.Tanh(), ("x",)))),
            "Layer 'z' leads to no output",
        ),
        (
            lambda: dp.Graph("x", "y", (Vertex("y", dp.Tanh(), ("x",), "w"),)),
            "'y' shares 'w', which is no earlier layer",
        ),
        (lambda: dp.Graph("x", "y", (Vertex("y", dp.Tanh(), ()),)), "'y' has no input"),
        (lambda: Vertex("y", dp.Tanh(), 5), "'y' has no input by name: 5"),
        (lambda: dp.Graph("x", "y", (dp.Tanh(),)), "A graph's vertices are Vertex"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(build, message):
    with pytest.raises(dp.ConfigError, match=message):
        build()


def test_a_single_input_may_be_written_without_brackets():
    assert Vertex("y", dp.Tanh(), "input") == Vertex("y", dp.Tanh(), ("input",))


def test_a_list_of_one_input_wants_a_tuple_of_one(key):
    x_ = dp.Input()
    net = dp.Graph([x_], dp.Dense(4)(x_))
    x = np.ones((2, 4), np.float32)
    variables = net.init(key, ((4,),))
    assert net.apply(variables, (x,)).shape == (2, 4)
    assert dp.backprop(net, dp.MeanSquaredError(), variables, (x,), x).dx[0].shape == (2, 4)
    hint = r", for input_0\. To give one by itself write Graph\(x, y\), not Graph\(\[x\], y\)"
    for call in (
        lambda: net.init(key, (4,)),
        lambda: net.summary((4,)),
        lambda: dp.Model(net, dp.MeanSquaredError()).fit((x, x), epochs=1, verbose=False),
    ):
        with pytest.raises(dp.ShapeError, match="wants a tuple of 1 shape" + hint):
            call()
    for call in (
        lambda: net.apply(variables, x),
        lambda: dp.backprop(net, dp.MeanSquaredError(), variables, x, x),
    ):
        with pytest.raises(dp.ShapeError, match="wants a tuple of 1 array" + hint):
            call()


def test_as_many_sizes_as_inputs_are_no_shapes(key):
    a, b = dp.Input(), dp.Input()
    net = dp.Graph((a, b), dp.Concatenate()(a, b))
    with pytest.raises(dp.ShapeError, match="wants a tuple of 2 shapes, for input_0, input_1"):
        net.init(key, (4, 5))


def test_repr_is_the_code_that_makes_it():
    a, b = dp.Input(), dp.Input("other")
    shared = dp.Dense(3, kernel_init=dp.init.He())
    for net in (
        dp.Graph(a, dp.Add()(dp.Dense(3)(a), a)),
        dp.Graph((a, b), (dp.Add()(shared(a, name="enc"), shared(b, name="enc")), b)),
    ):
        assert eval(repr(net), dict(vars(dp))) == net


def test_shape_errors_name_the_vertex(key):
    a, b = dp.Input(), dp.Input()
    net = dp.Graph((a, b), dp.Add()(dp.Dense(3)(a, name="left"), b, name="sum"))
    with pytest.raises(dp.ShapeError, match=r"Layer 'sum': Add\(\) wants inputs of one shape, but got \(3,\), \(4,\)"):
        net.init(key, ((2,), (4,)))
    shared = dp.Dense(3)
    tied = dp.Graph((a, b), dp.Add()(shared(a, name="enc"), shared(b, name="enc")))
    with pytest.raises(dp.ShapeError, match="'enc@2' shares the parameters of 'enc' but has another input shape"):
        tied.init(key, ((2,), (4,)))

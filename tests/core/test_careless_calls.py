"""What is refused before anything is computed: options, keys and variables of the wrong kind."""

from __future__ import annotations

import copy
import pickle

import jax
import numpy as np
import pytest

import denpa as dp

X = np.ones((3, 4), np.float32)
T = np.array([0, 1, 1])
NET = dp.Sequential([dp.Dense(5), dp.Tanh(), dp.Dense(2)])
LOSS = dp.SoftmaxCrossEntropy()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dp.Dense(8, activation="relu"),
            r"no option 'activation': .* layer of its own.*\[Dense\(\.\.\.\), ReLU",
        ),
        (lambda: dp.Conv2d(8, 3, strides=2), "Conv2d has no option 'strides': did you mean 'stride'"),
        (lambda: dp.Adam(lr=0.1), "Adam has no option 'lr': did you mean 'learning_rate'?"),
        (lambda: dp.Dropout(p=0.1), "Dropout has no option 'p': did you mean 'rate'?"),
        (lambda: dp.SGD(0.1, momentum=0.9), "SGD has no option 'momentum': Momentum, Nesterov, RMSprop have it"),
        (lambda: dp.Adam(1e-3, weight_decay=0.1), "Adam has no option 'weight_decay': AdamW has it"),
        (lambda: dp.Dense(3, input_shape=(4,)), "no option 'input_shape': the size of its input comes with the data"),
        (
            lambda: dp.Dense(784, 100),
            "Dense.use_bias must be true or false, not 100. The size of a layer's input comes",
        ),
        (lambda: dp.LSTM(28, 64), "LSTM.peepholes must be true or false, not 64. The size of a layer's input comes"),
        (lambda: dp.L2(0.1, 3), "L2.half must be true or false, not 3.$"),
        (lambda: dp.Softmax(dim=1), "Softmax has no option 'dim': it has no options"),
        (lambda: dp.Sigmoid(np.ones(3)), "Sigmoid takes \\(\\), not 1 values: write Sigmoid\\(\\)"),
        (lambda: dp.Sequential(dp.Dense(3), dp.ReLU()), r"Sequential takes \(layers\), not 2 values.*list"),
        (lambda: dp.Graph([], []), "an input and an output at least"),
        (lambda: dp.Graph(dp.Input(), ()), "an input and an output at least"),
        (lambda: NET.init(0, (4,)), r"random key is wanted, such as jax.random.key\(0\), not 0"),
        (lambda: dp.Dense(3).init(0, (4,)), "random key is wanted"),
        (lambda: dp.backprop(NET, LOSS, NET.init(jax.random.key(0), (4,)), X, T, key=0), r"random key .*, not 0\."),
        (lambda: dp.trace(NET, LOSS, NET.init(jax.random.key(0), (4,)), X, T, key="a"), r"random key .*, not 'a'\."),
    ],
)
def test_options_and_keys(make, message):
    with pytest.raises(dp.ConfigError, match=message):
        make()


def test_a_description_is_still_copied_and_pickled():
    for made in (dp.Dense(3, use_bias=False), NET):
        assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("way", [dp.backprop, dp.trace, dp.rtrl])
@pytest.mark.parametrize("variables", [3, None, {"0_dense": {}}])
def test_variables_that_are_no_pair(way, variables):
    with pytest.raises(dp.ConfigError, match=r"pair \(params, state\), as net.init"):
        way(NET, LOSS, variables, X, T)
    with pytest.raises(dp.ConfigError, match=r"pair \(params, state\), as net.init"):
        NET.apply(variables, X)


def test_variables_of_another_network():
    others = dp.Sequential([dp.Dense(5)]).init(jax.random.key(0), (4,))
    with pytest.raises(dp.ShapeError, match="not this network's: params/2_dense/W is missing"):
        dp.backprop(NET, LOSS, others, X, T)


def test_a_graph_of_several_inputs_takes_arrays():
    a, b = dp.Input(), dp.Input()
    net = dp.Graph((a, b), dp.Add()(dp.RNN(3)(a), dp.RNN(3)(b)))
    padded = dp.Padded(np.ones((2, 4, 2), np.float32), np.array([4, 2]))
    with pytest.raises(dp.ShapeError, match="an array, not Padded"):
        net.apply(net.init(jax.random.key(0), ((4, 2), (4, 2))), (padded, padded))

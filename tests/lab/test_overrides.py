"""Options changed by their place."""

from __future__ import annotations

import pytest

import denpa as dp
from denpa.lab import DataConfig, Experiment, toml
from denpa.lab.overrides import assign, read_value
from denpa.training import EarlyStopping


def changed(*changes, **parts):
    experiment = Experiment(
        **{
            "network": dp.Sequential([("first", dp.Dense(4)), dp.ReLU(), dp.Dense(2)]),
            "loss": dp.SoftmaxCrossEntropy(),
            "data": DataConfig("moons", validation=0.1, options={"n": 50}),
            "optimizer": dp.Adam(dp.schedules.CosineDecay(0.1, 0.01, 100), beta1=0.7),
        }
        | parts
    )
    config = toml.plain(experiment)
    for place, value in changes:
        assign(config, place, value)
    return Experiment.from_config(config)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["3"], 3), (["1e-3"], 1e-3), (["-2"], -2), (["true"], True), (["False"], False), (["none"], None),
        (["my.csv"], "my.csv"), (["[1, 2]"], [1, 2]), (["{ a = 1 }"], {"a": 1}), (['"7"'], "7"), (["3", "4"], [3, 4]),
        (["2024-01-01"], "2024-01-01"), (["a b"], "a b"), (["x = 1\ny"], "x = 1\ny"), (["3\nz = 4"], "3\nz = 4"),
    ],
)  # fmt: skip
def test_words_are_read_as_toml_where_they_are_toml(words, value):
    read = read_value(words)
    assert read == value
    assert type(read) is type(value)


def test_a_number_deep_inside():
    assert changed(("optimizer.learning_rate.initial", 0.5)).optimizer.learning_rate.initial == 0.5
    assert changed(("network.layers.2.units", 9)).network.layers[2] == dp.Dense(9)
    assert changed(("network.layers.0.units", 9)).network.layers[0] == ("first", dp.Dense(9))
    assert changed(("data.options.noise", 0.5)).data.options == (("n", 50), ("noise", 0.5))


def test_a_part_by_the_name_of_its_class():
    assert changed(("optimizer", "momentum")).optimizer == dp.Momentum(0.05)
    assert changed(("optimizer.type", "Nesterov"), ("optimizer.learning_rate", 0.2)).optimizer == dp.Nesterov(0.2)
    assert changed(("network.layers.1", "tanh")).network.layers[1] == dp.Tanh()
    assert changed(("metrics", ["accuracy", "TopK"])).metrics == (dp.Accuracy(), dp.TopK())
    assert changed(("optimizer", {"type": "SGD", "learning_rate": 0.3})).optimizer == dp.SGD(0.3)


def test_an_option_of_a_part_that_was_not_there():
    assert changed(("penalty.strength", 0.5)).penalty == dp.L2(0.5)
    assert changed(("training.early_stopping.patience", 3)).training.early_stopping == EarlyStopping(3)


def test_initialisers_by_name_and_by_an_option_of_theirs():
    recurrent, threshold = dp.Sequential([dp.RNN(4)]), dp.Sequential([dp.ThresholdDense(4)])
    assert changed(("network.layers.0.bias_init.value", 0.1)).network.layers[0][1].bias_init == dp.init.Constant(0.1)
    found = changed(("network.layers.0.kernel_init.distribution", "normal")).network.layers[0][1]
    assert found.kernel_init == dp.init.Glorot("normal")
    rnn = changed(("network.layers.0.recurrent_init", "He"), network=recurrent).network.layers[0]
    assert rnn.recurrent_init == dp.init.He()
    rnn = changed(("network.layers.0.recurrent_init.gain", 0.5), network=recurrent).network.layers[0]
    assert rnn.recurrent_init == dp.init.Orthogonal(0.5)
    for place, value in (("threshold_init", "normal"), ("threshold_init.value", 2.0)):
        found = changed((f"network.layers.0.{place}", value), network=threshold).network.layers[0].threshold_init
        assert found == (dp.init.Normal() if value == "normal" else dp.init.Constant(2.0))


def test_none_takes_an_option_away():
    assert changed(("optimizer.beta1", None)).optimizer.beta1 == dp.Adam().beta1
    assert changed(("penalty", None), penalty=dp.L1(0.1)).penalty is None


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("optimizer", "adm", "did you mean 'Adam'"),
        ("optimizer.beta", 0.5, "did you mean 'beta2'"),
        ("optimizer.beta1.x", 0.5, "has no options"),
        ("network.layers.9.units", 5, "of 3 entries, numbered from 0 to 2, none is"),
        ("network.layers.3.units", 5, "none is 3"),
        ("network.layers.x", 5, "3 entries"),
        ("network.layers.²", "relu", "none is ²"),
        ("trainin.epochs", 5, "did you mean 'training'"),
        ("optimizer", 5, "optimizer must be"),
        ("network", "Dense", "'Dense' is none of the networks"),
    ],
)
def test_a_place_that_leads_nowhere(place, value, message):
    with pytest.raises(dp.ConfigError, match=message):
        changed((place, value))

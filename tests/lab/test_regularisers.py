"""One experiment with one way of regularisation at a time."""

from __future__ import annotations

import pytest

import denpa as dp
from denpa.lab import DataConfig, Experiment, TrainingConfig, compare_regularised, regularised
from denpa.lab.sources import load_data
from denpa.training import EarlyStopping

PLAIN = Experiment(
    dp.Sequential([dp.Dense(30), dp.Tanh(), dp.Dense(30), dp.Tanh(), dp.Dense(2)]),
    dp.SoftmaxCrossEntropy(),
    DataConfig("moons", validation=0.25, test=0.5, options={"n": 60, "noise": 0.4}),
    dp.Adam(0.02),
    (dp.Accuracy(),),
    penalty=dp.L2(0.5),
    training=TrainingConfig(200, "full"),
)


def test_each_way_changes_one_thing():
    ways = regularised(PLAIN, l1=0.1, l2=0.2, max_norm=1.5, dropout=0.4, patience=3)
    assert ways["none"].penalty is None
    assert (ways["L1"].penalty, ways["L2"].penalty) == (dp.L1(0.1), dp.L2(0.2))
    assert ways["max-norm"].optimizer == dp.chain(dp.Adam(0.02), dp.MaxNorm(1.5))
    assert [name for name, _ in ways["dropout"].network.inner()] == [
        *("0_dense", "1_tanh", "dropout_1", "2_dense", "3_tanh", "dropout_2", "4_dense")
    ]
    rules = [ways[f"early stopping{more}"].training.early_stopping for more in ("", ", retrained")]
    assert rules == [EarlyStopping(patience=3), EarlyStopping(patience=3, retrain="from_scratch")]
    for name, changed in ways.items():
        same = {"penalty": None, "optimizer": PLAIN.optimizer, "network": PLAIN.network, "training": PLAIN.training}
        assert changed.replace(**same) == ways["none"], name
    assert len(regularised(PLAIN.replace(data=DataConfig("moons")))) == 5


def test_all_are_compared_on_the_same_examples(monkeypatch):
    data, said = load_data(PLAIN.data), []
    monkeypatch.setattr("denpa.lab.regularisers.sweep", lambda ways, folds, tell: (dict(ways), folds, tell))
    found = compare_regularised(PLAIN, data, said.append, l2=0.05)
    assert found == (regularised(PLAIN, l2=0.05), [data], said.append)


def test_what_cannot_be_compared_is_refused():
    x = dp.Input()
    graph = PLAIN.replace(network=dp.Graph(x, dp.Dense(2)(x)))
    with pytest.raises(dp.ConfigError, match="layers of a Sequential"):
        regularised(graph)
    with pytest.raises(dp.ConfigError, match=r"EarlyStopping.patience must be positive, not 0"):
        regularised(PLAIN.replace(data=DataConfig("moons")), patience=0)

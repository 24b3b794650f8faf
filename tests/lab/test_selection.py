"""Folds, cross-validation, sweeps and their pictures."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

import denpa as dp
from denpa import classical
from denpa.lab import DataConfig, figures, presets
from denpa.lab.selection import best_of, cross_validate, sweep, train_once, values_of
from denpa.lab.sources import load_data, load_folds

LINEAR = DataConfig("linear", options={"n": 60, "features": 4, "noise": 1.0})


def ridge(strength=0.1, **options):
    experiment = presets.build("ridge", presets.Options(epochs=300, learning_rate=0.25), LINEAR)
    return experiment.replace(penalty=dp.L2(strength), **options)


def test_folds_leave_the_test_part_out():
    whole, folds = load_data(LINEAR), load_folds(LINEAR, 4)
    train = {row.tobytes() for row in whole.train.x}
    held = [row.tobytes() for fold in folds for row in fold.test.x]
    assert len(held) == len(set(held)) == len(whole.train) == 48
    assert set(held) == train
    for fold in folds:
        assert len(fold.train) == 36
        assert not {row.tobytes() for row in fold.train.x} & {row.tobytes() for row in fold.test.x}


def test_each_fold_of_a_table_is_encoded_by_its_own_rest(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal(50, 9):.3f},{'ab'[i % 2]},{'yes' if i % 3 else 'no'}" for i in range(60)]
    (tmp_path / "t.csv").write_text("size,kind,ok\n" + "\n".join(lines) + "\n")
    folds = load_folds(DataConfig(str(tmp_path / "t.csv"), "ok", validation=0.25), 4)
    for fold in folds:
        np.testing.assert_allclose(fold.train.x[:, 0].mean(), 0, atol=1e-5)
        assert abs(fold.test.x[:, 0].mean()) > 1e-4
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (27, 9, 12)
        assert fold.test.t.sum() == 8  # stratified
        assert fold.report == folds[0].report


def test_cross_validation_is_that_of_the_closed_form():
    """The scores of the trained networks are those of ridge regression on the same folds, in the same units."""
    experiment, folds, told = ridge(), load_folds(LINEAR, 3), []
    found = cross_validate(experiment, folds, lambda index, fold: told.append((index, fold.examples)))
    expected = []
    for fold in folds:
        (x, t), (x_held, t_held) = (
            [np.asarray(a, np.float64) for a in (part.x, part.t)] for part in (fold.train, fold.test)
        )
        model = classical.ridge((x - x.mean(0)) / x.std(0), (t - t.mean()) / t.std(), 0.1)
        y = model.predict((x_held - x.mean(0)) / x.std(0))
        expected.append(0.5 * np.mean((y - (t_held - t.mean()) / t.std()) ** 2))
    np.testing.assert_allclose(found.scores("loss"), expected, rtol=1e-4)
    np.testing.assert_allclose(
        [found.mean("loss"), found.spread("loss")], [np.mean(expected), np.std(expected, ddof=1)], rtol=1e-4
    )
    assert found.names == ["loss", "mean_absolute_error", "r2"]
    assert found.mean("loss", held_out=False) < found.mean("loss")
    assert told == [(0, 32), (1, 32), (2, 32)]


def test_a_batch_as_large_as_the_data_fits_their_folds():
    experiment = ridge()
    plan = experiment.training.replace(batch_size=48, epochs=1)
    assert len(cross_validate(experiment.replace(training=plan), load_folds(LINEAR, 2)).folds) == 2


def test_comparisons_train_as_a_run_does(monkeypatch):
    seen = {}
    monkeypatch.setattr("denpa.training.Model.fit", lambda self, data, **options: seen.update(options))
    plan = ridge().training.replace(epochs=3, batch_size=2, shuffle=False, replacement=True, buckets=2)
    train_once(ridge().replace(training=plan), load_data(LINEAR))
    for name in ("epochs", "batch_size", "shuffle", "replacement", "buckets", "window"):
        assert seen[name] == getattr(plan, name), name


def test_the_test_part_is_measured_where_there_is_one():
    data = load_data(LINEAR.replace(validation=0.25))
    experiment = ridge().replace(training=ridge().training.replace(epochs=1))
    (both,), (alone,) = (
        cross_validate(experiment, [part]).folds for part in (data, dataclasses.replace(data, validation=None))
    )
    assert both.held_out == alone.held_out


def test_nothing_held_out_is_nothing_to_compare():
    with pytest.raises(dp.DataError, match="nothing held out"):
        cross_validate(ridge(), [load_data(LINEAR.replace(test=0.0))])


def test_a_sweep_finds_the_best_and_survives_divergence():
    folds = [load_data(LINEAR)]
    rates = {0.05: 0.25, 1.0: 0.25, 9.0: 50.0}
    rows = sweep([(value, ridge(value, optimizer=dp.SGD(rate))) for value, rate in rates.items()], folds)
    assert [row.value for row in rows] == [0.05, 1.0, 9.0]
    assert np.isnan(rows[2].scores.mean("loss"))
    assert best_of(rows) is rows[0]
    assert rows[0].scores.spread("loss") == 0  # a single split
    with pytest.raises(dp.DivergenceError, match="every value"):
        best_of(rows[2:])


@pytest.mark.parametrize(
    ("text", "steps", "values"),
    [
        ("1e-5..1e-1", 5, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        ("0.1..0.5", 3, [0.1, 0.3, 0.5]),
        ("0.5..5.0", 3, [0.5, 1.58114, 5.0]),
        ("0.0..1.0", 3, [0.0, 0.5, 1.0]),
        ("1..9", 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("2..4", 9, [2, 3, 4]),
        ("1..100", 4, [1, 34, 67, 100]),
        ("16,32, 64", 9, [16, 32, 64]),
        ("sgd,adam", 9, ["sgd", "adam"]),
        ("0.1", 9, None),
        ("../my.csv", 9, None),
        (",", 9, None),
        (0.1, 9, None),
    ],
)
def test_values_of_a_range(text, steps, values):
    found = values_of(text, steps)
    assert found == values
    assert values is None or list(map(type, found)) == list(map(type, values))


def test_ranges_that_are_none():
    for text in ("3..1", "3..3"):
        with pytest.raises(dp.ConfigError, match="smaller to a larger"):
            values_of(text)
    with pytest.raises(dp.ConfigError, match="2 steps"):
        values_of("1..3", 1)


def test_pictures_of_penalties(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    path = classical.lasso_path(x, x @ [1.0, -2.0, 0.0, 0.0] + rng.normal(size=30), steps=20)
    figure = figures.lasso_picture(path, tmp_path / "lasso.png", names="abcd")
    lines = figure.axes[0].get_lines()
    np.testing.assert_allclose(lines[1].get_ydata(), [model.W[1] for model in path])
    figure = figures.weight_decay_picture([5.0, 0.1], [1.0, 2.0], [0.1, 1.0], tmp_path / "decay.png")
    way = figure.axes[0].get_lines()[0].get_xydata()
    np.testing.assert_allclose(way[1], [5 / 5.1 * 1, 0.1 / 0.2 * 2])
    points = np.linspace(0, 1, 8), np.sin(np.linspace(0, 6, 8))
    figure = figures.degree_picture(classical.degree_curve(points, points, range(1, 8)), tmp_path / "d.png")
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("lasso.png", "decay.png", "d.png"))


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_picture_of_a_sweep_of_which_one_value_did_not_diverge_has_an_axis(order, tmp_path):
    experiment = presets.build("softmax-regression", presets.Options(epochs=2), DataConfig("digits"))
    rates = [(v, experiment.replace(optimizer=dp.SGD(v))) for v in (0.1, 1e30)][order]
    rows = sweep(rates, load_folds(experiment.data, 5)[:1])
    assert sorted(np.isnan([row.scores.mean("loss") for row in rows])) == [False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.sweep_picture(rows, "optimizer.learning_rate", tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size

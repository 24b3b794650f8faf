"""Networks as estimators: what they learn, how they go on, what they refuse."""

from __future__ import annotations

import importlib
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import denpa as dp
from denpa.data.splitting import split_indices
from denpa.estimators import NeuralNetAutoencoder, NeuralNetClassifier, NeuralNetRegressor
from denpa.estimators.padding import FullBatches, filled, roomy
from denpa.training.batches import BatchPlan

NAMES = np.array(["pine", "ash", "oak"])


@pytest.fixture(scope="module")
def groups():
    """40 points of three groups in float64, and their names."""
    rng = np.random.default_rng(3)
    labels = np.arange(40) % 3
    centers = np.array([[2.0, -1.0, 0.5], [-1.5, 2.0, 0.0], [0.3, -0.4, 3.0]])
    return centers[labels] + 0.3 * rng.normal(size=(40, 3)), NAMES[labels]


def classifier(**options):
    return NeuralNetClassifier(
        (), **{"optimizer": "sgd", "learning_rate": 0.5, "random_state": 1, "epochs": 20} | options
    )


@given(st.integers(1, 100_000))
def test_rooms_are_few_and_waste_little(n):
    room = roomy(n)
    assert n <= room
    assert room - n < max(32, room / 8)
    assert room % 32 == 0
    assert len(f"{room:b}".rstrip("0")) <= 4 or room < 256


def test_every_batch_is_full_and_holds_each_example_once():
    plan = FullBatches(10, 4, seed=2)
    rows = plan.batches(1)
    assert rows.shape == (plan.steps, 4) == (3, 4)
    assert sorted(rows.ravel()) == [*range(10), 10, 10]
    assert (rows[-1, 2:] == 10).all()
    np.testing.assert_array_equal(filled(np.ones((2, 3)), 4).sum(axis=1), [3, 3, 0, 0])


def test_rows_that_fill_up_touch_nothing(groups):
    """A network of the user's, which might normalise over the batch, gets the 40 examples alone: 16, 16 and 8."""
    X, y = groups
    options = {"batch_size": 16, "strength": 0.01, "precision": "float64"}
    ours, theirs = classifier(**options), classifier(**options, network=[dp.Dense(3)])
    np.testing.assert_allclose(ours.fit(X, y).predict_proba(X), theirs.fit(X, y).predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert (
        type(theirs._arranged(X, np.zeros(40), None)[1]) is BatchPlan
    )  # one that normalises over the batch must not see them


@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-6), ("float32", 1e-4)])
def test_without_hidden_layers_it_is_softmax_regression(groups, precision, bound):
    X, y = groups
    net = classifier(strength=0.1, epochs=600, optimizer="nesterov", precision=precision).fit(X, y)
    best = dp.classical.softmax_regression(X, np.searchsorted(np.unique(y), y), 0.1)
    W = np.asarray(net.model_.variables.params["0_dense"]["W"])
    np.testing.assert_allclose(W, best.W, atol=bound)
    np.testing.assert_allclose(net.predict_proba(X), best.probabilities(X), atol=bound)
    assert net.classes_.tolist() == ["ash", "oak", "pine"]
    assert net.score(X, y) == np.mean(net.classes_[best.predict(X)] == y)
    assert net.n_iter_ == len(net.loss_curve_) == 600


@pytest.mark.parametrize(
    ("given", "options", "computed"),
    [
        (np.float32, {}, np.float32),
        (np.float64, {}, np.float64),  # one batch
        (np.float64, {"batch_size": 39}, np.float32),
        (np.float64, {"batch_size": 39, "precision": "float64"}, np.float64),
        (np.float64, {"precision": "float32"}, np.float32),
        (np.float32, {"precision": "float64"}, np.float64),
    ],
)
def test_it_computes_in_one_precision_and_answers_in_that_of_x(groups, given, options, computed):
    X, y = groups
    net = pickle.loads(pickle.dumps(classifier(epochs=3, **options).fit(X.astype(given), y, np.ones(40))))
    for dtype in (np.float32, np.float64):
        found = net.predict_proba(X.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(np.exp(net.predict_log_proba(X.astype(dtype))), found, rtol=1e-5)
    assert net.partial_fit(X.astype(given), y).n_iter_ == 4
    assert net.model_.variables.params["0_dense"]["W"].dtype == computed


def test_what_float32_cannot_hold_is_refused(groups):
    X, y = groups
    X = X.copy()
    X[3, 1] = 1e39
    with pytest.raises(ValueError, match=r"X contains infinity or a value too large for dtype\('float32'\)"):
        classifier(precision="float32").fit(X, y)
    with pytest.raises(dp.ConfigError, match=r"precision must be .*, not 'half'"):
        classifier(precision="half").fit(X, y)


def test_it_goes_on_where_it_left_off(groups):
    X, y = groups
    whole = classifier(epochs=6, optimizer="momentum", learning_rate=0.1)
    begun = classifier(epochs=3, optimizer="momentum", learning_rate=0.1, warm_start=True)
    slowly = classifier(optimizer="momentum", learning_rate=0.1)
    wanted = whole.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(begun.fit(X, y).fit(X, y).predict_proba(X), wanted)
    for _ in range(6):
        slowly.partial_fit(X, y, classes=NAMES)
    np.testing.assert_array_equal(slowly.predict_proba(X), wanted)
    assert slowly.loss_curve_ == begun.loss_curve_ == whole.loss_curve_
    assert not np.array_equal(whole.set_params(random_state=2).fit(X, y).predict_proba(X), wanted)


def test_what_is_set_anew_acts_when_it_goes_on(groups):
    X, y = groups
    still = classifier(epochs=3, optimizer="momentum", learning_rate=0.1, warm_start=True).fit(X, y)
    before = still.predict_proba(X)
    still.set_params(learning_rate=1e-12).fit(X, y)
    np.testing.assert_allclose(still.predict_proba(X), before, atol=1e-6)
    with pytest.raises(dp.ConfigError, match="network has been set anew"):
        still.set_params(hidden_units=(3,)).fit(X, y)
    assert still.n_iter_ == 6


def test_early_stopping_returns_to_the_best_epoch(groups):
    X, y = groups
    stopped = classifier(epochs=500, early_stopping=True, validation_fraction=0.3, patience=2, learning_rate=8.0)
    stopped.fit(X, np.roll(y, 1))  # nothing to be learned
    held = stopped.model_.history["validation_loss"]
    assert stopped.n_iter_ < 500
    assert stopped.model_.history.best_epoch == 1 + int(np.argmin(held))


def test_what_is_held_back_keeps_its_weights(groups):
    X, y = groups
    weight = np.random.default_rng(1).uniform(0, 2, 40)
    net = classifier(epochs=1, strength=0.0, early_stopping=True, validation_fraction=0.3).fit(X, y, weight)
    t = np.searchsorted(net.classes_, y)
    out = split_indices(40, 0.3, net.model_.seed, t)[1]
    errors = -np.log(net.predict_proba(X[out])[np.arange(len(out)), t[out]])
    assert net.model_.history["validation_loss"][0] == pytest.approx(np.average(errors, weights=weight[out]))


def test_pipelines_folds_and_grids(groups):
    X, y = groups
    pipe = make_pipeline(StandardScaler(), classifier())
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.9
    grid = GridSearchCV(pipe, {"neuralnetclassifier__random_state": [0, 1]}, cv=2).fit(X, y)
    assert grid.best_score_ > 0.9
    assert set(grid.predict(X)) == set(NAMES)


def test_frames_give_their_names(groups):
    pandas = pytest.importorskip("pandas")
    X, y = groups
    frame = pandas.DataFrame(X, columns=["height", "width", "age"])
    net = classifier().fit(frame, pandas.Series(y), sample_weight=pandas.Series(np.ones(40)))
    assert net.feature_names_in_.tolist() == ["height", "width", "age"]
    np.testing.assert_array_equal(net.predict(frame), classifier().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[["age", "width", "height"]])


def test_values_of_several_columns():
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    options = {"optimizer": "nesterov", "learning_rate": 0.2, "strength": 0.2, "epochs": 300, "random_state": 0}
    net = NeuralNetRegressor((), **options).fit(X, T)
    best = dp.classical.ridge(X, T, 0.2)
    np.testing.assert_allclose(net.predict(X), best.predict(X), atol=1e-6)
    with pytest.raises(ValueError, match="y has 1 columns, but the network was made for another number"):
        net.partial_fit(X, T[:, 0])


def test_a_linear_code_spans_the_principal_components():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 3)) + 0.1 * rng.normal(size=(40, 3)) + 0.3
    net = NeuralNetAutoencoder(2, optimizer="nesterov", learning_rate=0.02, epochs=4000, random_state=0).fit(X)
    best = dp.classical.pca(X, 2).reconstruct(X)
    codes = net.transform(X)
    assert codes.shape == (40, 2)
    np.testing.assert_allclose(net.inverse_transform(codes), best, atol=1e-3)
    assert net.score(X) == pytest.approx(-np.mean(np.sum((best - X) ** 2, axis=1)), rel=1e-3)
    assert net.get_feature_names_out().tolist() == ["neuralnetautoencoder0", "neuralnetautoencoder1"]
    with pytest.raises(ValueError, match="2 units, not 3"):
        net.inverse_transform(X)


def test_examples_held_back_of_weight_0_alone_are_refused(groups):
    X, y = groups
    net = classifier(early_stopping=True).fit(X, y)
    _, held = split_indices(40, 0.1, net.model_.seed, net.classes_.searchsorted(y).astype(np.int32))
    weight = np.ones(40)
    weight[held] = 0
    with pytest.raises(ValueError, match="0 for all 4 examples held back"):
        classifier(early_stopping=True).fit(X, y, weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamm"}, "'adam'"),
        ({"activation": "rely", "hidden_units": (4,)}, "'relu'"),
        ({"epochs": 0}, "a whole number, 1 or more"),
        ({"batch_size": "all"}, '"full"'),
        ({"strength": -1.0}, "strength"),
        ({"network": [dp.Dense(2)]}, r"\(3,\) for each example, not \(2,\)"),
        ({"network": 3}, "A network is wanted"),
        ({"early_stopping": "no"}, "early_stopping must be true or false"),
        ({"warm_start": "no"}, "warm_start must be true or false"),
    ],
)
def test_options_that_make_no_sense_are_refused(groups, options, message):
    with pytest.raises(ValueError, match=message):
        classifier().set_params(**options).fit(*groups)


def test_labels_that_were_not_announced_are_refused(groups):
    X, y = groups
    with pytest.raises(ValueError, match="told of all classes"):
        classifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="'pine' is not among"):
        classifier().partial_fit(X, y, classes=["ash", "oak"])
    begun = classifier().partial_fit(X, y, classes=NAMES)
    with pytest.raises(ValueError, match="classes must stay"):
        begun.partial_fit(X, y, classes=["ash", "oak"])
    with pytest.raises(ValueError, match="one class only"):
        classifier().fit(X, np.full(40, "oak"))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "denpa.estimators")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"denpa\[sklearn\]"):
        importlib.import_module("denpa.estimators")

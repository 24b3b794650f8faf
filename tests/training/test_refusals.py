"""What fit, evaluate and predict refuse, in which words; and that a refusal changes nothing."""

from __future__ import annotations

import types

import jax
import numpy as np
import pytest

import denpa as dp
from denpa.training.inputs import held_back
from tests.training.common import DATA, HELD_OUT, QUIET, RANDOM_NET, model, whole

X, T = DATA


def spoilt(row, column, value):
    x = X.copy()
    x[row, column] = value
    return x


def labels(**changes):
    t = T.copy()
    for row, value in changes.items():
        t[int(row[1:])] = value
    return t


class Unreadable:
    """An array of another library, which does not let NumPy have it."""

    def __array__(self, *how, **options):
        raise TypeError("no numbers here")


BAD_DATA = {
    "another number of features": ((X[:, :3], T), "Each example has 3 features, but the network was made for 4"),
    "another rank": ((X[:, None], T), r"Each example has shape \(1, 4\), but the network was made for \(4,\)"),
    "no examples": ((X[:0], T[:0]), "x has no examples in the training data"),
    "no features": ((X[:, :0], T), r"examples of shape \(0,\), which hold no numbers"),
    "a single number": ((3.0, 1), "x is a single number"),
    "text": ((X.astype(str), T), "x has dtype <U.* in the training data, which is not numeric"),
    "rows of unlike length": (([[1, 2], [3]], [0, 1]), "x has rows of unlike length in the training data"),
    "masked": ((np.ma.masked_where(X[3, 2] == X, X), T), r"x is masked at 3, 2 in the training data: fill"),
    "what NumPy cannot read": ((Unreadable(), T), "x cannot be read as an array in the training data: no numbers here"),
    "targets of unlike length": ((X[:2], [[1, 2], [3]]), "t has rows of unlike length in the training data"),
    "NaN": ((spoilt(7, 2, np.nan), T), "x holds NaN at row 7, column 2 in the training data"),
    "infinity": ((spoilt(3, 0, np.inf), T), "x holds infinity at row 3, column 0"),
    "beyond float32": (
        (spoilt(3, 0, 1.0).astype(np.float64) * 1e300, T),
        "x holds a number beyond the range of float32",
    ),
    "more targets": ((X, np.append(T, 0)), "x has 20 examples but t has 21 targets"),
    "no targets": ((X, None), r"There are no targets in the training data: give \(x, t\)"),
    "x alone": (X, r"Data are a pair \(x, t\), a triple .* not ndarray"),
    "four things": ((X, T, None, None), "not 4 things"),
    "label too large": ((X, labels(_4=3)), "The label in row 4 of the training data is 3, but labels go from 0 to 2"),
    "label negative": ((X, labels(_4=-1)), "The label in row 4 of the training data is -1"),
    "labels from 1": ((X, T + 1), "Labels start at 0, not 1"),
    "labels with fractions": ((X, T + 0.5), "not an integer: class labels are 0, 1, 2"),
    "one class": ((X, np.ones(20, int)), "one class only in the training data: the label is 1 everywhere"),
    "one-hot of another width": ((X, np.eye(4)[T]), "4 columns in the training data, but there are 3 classes"),
    "no probabilities": ((X, np.eye(3)[T] * 2), "Row 0 of t .* is no one-hot row and no row of probabilities"),
    "targets of NaN": ((X, np.where(T == 1, np.nan, T)), "t holds NaN at row"),
    "targets in a column": (
        (X, T[:, None]),
        r"targets of the training data do not fit outputs of shape \(3,\).*t\[..., 0\]",
    ),
    "weights of another number": ((X, T, np.ones(19)), r"20 examples but sample_weight has shape \(19,\)"),
    "weights below 0": ((X, T, -np.ones(20)), "finite and not negative"),
    "weights of NaN": ((X, T, np.full(20, np.nan)), "finite and not negative"),
    "weights of text": ((X, T, ["much"] * 20), "sample_weight must hold numbers, not <U4"),
    "weights of 0": ((X, T, np.zeros(20)), "0 everywhere: no example would count"),
}
BAD_OPTIONS = {
    "batch larger than the data": (
        {"batch_size": 21},
        "batch_size 21 is larger than the 20 examples: choose 20 or less",
    ),
    "batch of nothing": ({"batch_size": 0}, "batch_size must be a whole number, 1 or more, not 0"),
    "batch of a fraction": ({"batch_size": 2.5}, "batch_size must be a whole number, 1 or more, not 2.5"),
    "batch by another name": ({"batch_size": "all"}, "batch_size must be a whole number, 1 or more, not 'all'"),
    "no epochs": ({"epochs": 0}, "epochs must be a whole number, 1 or more, not 0"),
    "epochs of a fraction": ({"epochs": 1.5}, "epochs must be a whole number, 1 or more, not 1.5"),
    "epochs as yes": ({"epochs": True}, "epochs must be a whole number, 1 or more, not True"),
    "a fraction of all": ({"validation": 1.0}, "validation must be data, or a part of them between 0 and 1, not 1.0"),
    "validation as yes": ({"validation": True}, "a part of them between 0 and 1, not True"),
    "validation of another kind": ({"validation": "a fifth"}, r"Data are a pair \(x, t\).*not str"),
    "validation with NaN": ({"validation": (spoilt(2, 1, np.nan), T)}, "row 2, column 1 in the validation data"),
    "validation of other features": ({"validation": (X[:, :2], T)}, "Each example has 2 features"),
    "validation of other classes": ({"validation": (X, T + 3)}, "class indices 0 to 2"),
    "no callback": ({"callbacks": [3]}, "A callback is EarlyStopping.*not 3"),
    "a class as callback": ({"callbacks": [dp.EarlyStopping]}, "A callback is"),
    "no monitor": ({"callbacks": [dp.EarlyStopping()]}, "needs validation data"),
    "unknown verbosity": ({"verbose": "loud"}, "verbose must be"),
    "nothing to resume": ({"resume": "/nowhere"}, "There is no folder /nowhere to resume from"),
}


@pytest.fixture(scope="module")
def trained():
    made = model(normalizer=dp.Standardize())
    made.fit(DATA, epochs=1, **QUIET)
    return made


def unchanged(made):
    """A picture of all that a refusal could touch."""
    return (
        None if made.run is None else whole(made),
        made.in_shape,
        made.steps,
        made.epochs,
        list(made.history.epochs),
        made.class_names,
        None if made.statistics is None else {name: np.asarray(a).tobytes() for name, a in made.statistics.items()},
    )


@pytest.mark.parametrize("what", BAD_DATA)
def test_data_that_do_not_fit(trained, what):
    data, message = BAD_DATA[what]
    fresh = model(normalizer=dp.Standardize())
    before = unchanged(trained)
    if what != "one class":  # of which one who has learned may meet an example
        with pytest.raises(dp.DenpaError, match=message):
            trained.fit(data, epochs=1, **QUIET)
    assert unchanged(trained) == before
    if "made for" not in message:
        before = unchanged(fresh)
        with pytest.raises(dp.DenpaError, match=message):
            fresh.fit(data, epochs=1, **QUIET)
        assert unchanged(fresh) == before


@pytest.mark.parametrize("what", BAD_OPTIONS)
def test_options_that_do_not_fit(trained, what):
    options, message = BAD_OPTIONS[what]
    for made in (trained, model(normalizer=dp.Standardize())):
        before = unchanged(made)
        with pytest.raises(dp.DenpaError, match=message):
            made.fit(DATA, **{"epochs": 1} | QUIET | options)
        assert unchanged(made) == before


def test_rows_are_counted_in_the_users_data_even_if_a_part_is_held_back():
    for data, message in (
        ((spoilt(17, 2, np.nan), T), "row 17, column 2 in the data"),
        ((X, labels(_18=3, _19=3)), "The label in row 18 of the data is 3"),
    ):
        with pytest.raises(dp.DataError, match=message):
            model().fit(data, validation=0.5, epochs=1, **QUIET)


@pytest.mark.parametrize(("held_weighs", "what"), [(0.0, "3 examples held back"), (1.0, "17 examples to train on")])
def test_weights_of_0_in_one_part_alone_are_refused(held_weighs, what):
    """Of a validation loss that is 0 whatever the network gives, early stopping would learn to stop."""
    _, held = held_back(X, T, "classification", 0.1, 0, "the data")
    weight = np.full(20, 1.0 - held_weighs)
    weight[held] = held_weighs
    for fresh in (model(), dp.Bagging(model(), 2)):
        with pytest.raises(dp.DataError, match=f"0 for all {what}"):
            fresh.fit((X, T, weight), validation=0.1, epochs=1, **QUIET)
        assert fresh.run is None


def test_a_shape_that_the_network_cannot_take_is_refused_with_its_layer():
    fresh = model(dp.Sequential([dp.Dense(4), ("square", dp.Reshape((2, 3))), dp.Flatten(), dp.Dense(3)]))
    with pytest.raises(dp.ShapeError, match="Layer 'square'"):
        fresh.fit(DATA, epochs=1, **QUIET)
    assert fresh.run is None


def test_outputs_that_the_loss_cannot_take():
    fresh = model(dp.Sequential([dp.Dense(1)]))
    with pytest.raises(dp.DenpaError):
        fresh.fit(DATA, epochs=1, **QUIET)
    assert fresh.run is None


def test_a_network_of_several_outputs_is_not_trained():
    entry = dp.Input()
    h = dp.Dense(3)(entry)
    for outputs, message in (([h], "gives a tuple of one array"), ((h, dp.Tanh()(h)), "gives 2 arrays")):
        with pytest.raises(dp.ShapeError, match=f"{message}, and a loss compares one"):
            model(dp.Graph(entry, outputs)).fit(DATA, epochs=1, **QUIET)


def test_a_metric_or_penalty_that_cannot_be_computed_is_found_before_training():
    for options, message in (
        ({"metrics": [dp.TopK(5)]}, "always right for outputs of 3 classes"),
        ({"penalty": dp.L2(0.1, on="kernel")}, "no parameter fits on='kernel'"),
    ):
        fresh = model(**options)
        with pytest.raises(dp.DenpaError, match=message):
            fresh.fit(DATA, epochs=1, **QUIET)
        assert fresh.run is None


def test_a_last_batch_of_one_for_batch_normalisation_is_found_before_training():
    fresh = model(RANDOM_NET)
    with pytest.raises(dp.ShapeError, match="Leave out a last batch of one sample"):
        fresh.fit(DATA, epochs=1, batch_size=19, verbose=False)
    assert fresh.run is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dp.SGD(0.0), r"SGD.learning_rate must be positive, not 0.0"),
        (lambda: dp.Adam(-1e-3), "Adam.learning_rate must be positive"),
        (lambda: model(optimizer=dp.Adam), r"optimizer must be one of denpa's.*Did you forget the brackets\? Adam\(\)"),
        (lambda: model(loss=dp.MeanSquaredError), "loss must be one of denpa's.*forget the brackets"),
        (lambda: dp.Model(None, dp.MeanSquaredError()), "A network is wanted, such as .* not None"),
        (lambda: model(loss="mse"), "loss must be one of denpa's, not 'mse'"),
        (lambda: model(loss=None), "loss must be one of denpa's, not None"),
        (lambda: model(optimizer={"lr": 0.1}), "optimizer must be one of denpa's, not {'lr': 0.1}"),
        (lambda: model(normalizer=types.SimpleNamespace(apply=abs)), "normalizer must be one of denpa's"),
        (lambda: model(compute_dtype=X), "compute_dtype must be None or one of float32, bfloat16"),
        (lambda: model(class_names=np.array(3)), r"class_names must be a list of texts, not array\(3\)"),
        (lambda: dp.SGD(10**400), "SGD.learning_rate must be a finite number, not 1000"),
        (lambda: model(optimizer=0.1), "optimizer must be one of denpa's, not 0.1"),
        (lambda: model(metrics=[dp.Accuracy]), "metrics must be one of denpa's.*forget the brackets"),
        (lambda: model(metrics=["accuracy"]), "metrics must be one of denpa's, not 'accuracy'"),
        (lambda: model(metrics=[dp.Accuracy(), dp.Accuracy(0.3)]), "Two metrics are called 'accuracy'"),
        (lambda: model(penalty=0.1), "penalty must be one of denpa's, not 0.1"),
        (lambda: model(normalizer=dp.Standardize), "normalizer must be one of denpa's"),
        (lambda: model(target_normalizer=dp.Standardize()), "target_normalizer is for regressions"),
        (lambda: model(compute_dtype="half"), "compute_dtype must be None or one of float32, bfloat16"),
        (lambda: model(compute_dtype="float64"), "compute_dtype must be None or one of"),
        (lambda: model(seed=-1), "seed must be an integer from 0"),
        (lambda: model(seed=1.5), "seed must be an integer from 0"),
        (lambda: model(class_names=3), "class_names must be a list of texts, not 3"),
        (lambda: model(class_names=["a", "b"], in_shape=(4,)), r"2 class names .* of 3 outputs: .* wants 3"),
        (lambda: binary(class_names=["a", "b", "c"], in_shape=(4,)), r"3 class names .* of 1 output: .* wants 2"),
        (lambda: model(loss=dp.SoftmaxCrossEntropy(class_weight=5)), r"a number >= 0 for each class .* not 5"),
        (lambda: model(loss=dp.CrossEntropy(class_weight=(1, "a"))), r"for each class .* not \(1.0, 'a'\)"),
        (lambda: model(loss=dp.CrossEntropy(class_weight=(0, 0))), "must not be 0 for every class"),
        (lambda: model(loss=dp.CrossEntropy(class_weight=())), "a number >= 0 for each class"),
        (lambda: model(frozen=None), "frozen must be a list of texts, not None"),
        (lambda: model([dp.Dense]), "Did you forget the brackets"),
        (lambda: model(optimizer=Plain(), penalty=dp.L1(0.1, proximal=True)), "needs to know the learning rate"),
        (lambda: model(optimizer=LOOKING_AHEAD, penalty=dp.L1(0.1, proximal=True)), "Take lookahead=False, or SGD"),
        (
            lambda: model(optimizer=dp.chain(LOOKING_AHEAD), penalty=dp.ElasticNet(0.1, 0.1, proximal=True)),
            "Take lookahead=False, or SGD",
        ),
        (
            lambda: model(optimizer=dp.chain(Plain()), penalty=dp.L1(0.1, proximal=True)),
            "does not know its learning rate",
        ),
    ],
)
def test_parts_that_are_none(make, message):
    with pytest.raises(dp.ConfigError, match=message):
        make()


def binary(**options):
    return dp.Model([dp.Dense(1)], dp.SigmoidCrossEntropy(), **options)


ARGUMENTS = {
    "frozen": (lambda made: setattr(made, "frozen", [3]), r"frozen must be a list of texts, not \[3\]"),
    "variables": (lambda made: setattr(made, "variables", 3), r"variables are a pair \(params, state\), not int"),
    "one of two": (lambda made: setattr(made, "variables", (made.variables.params,)), "variables are a pair"),
    "only": (lambda made: made.load_weights(made, only=3), "only must be a list of texts, not 3"),
    "names": (lambda made: made.load_weights(made, names="a"), "names must lead from layers here .* not 'a'"),
    "names of 3": (lambda made: made.load_weights(made, names={"0_dense": 3}), "names must lead from layers here"),
    "strict": (lambda made: made.load_weights(made, strict="no"), "strict must be true or false, not 'no'"),
    "pytorch": (lambda made: made.load_weights(made, pytorch="no"), "pytorch must be true or false, not 'no'"),
    "batch": (lambda made: made.fit(DATA, batch_size=X, verbose=False), "batch_size must be a whole number"),
    "part": (lambda made: made.fit(DATA, validation=10**400, verbose=False), "a part of them between 0 and 1, not 10"),
    "shuffle": (lambda made: made.fit(DATA, shuffle="no", verbose=False), "shuffle must be true or false, not 'no'"),
    "replacement": (lambda made: made.fit(DATA, replacement=1, verbose=False), "replacement must be true or false"),
    "folder": (lambda made: dp.Checkpoint(None), "A file is named by a text or a path"),
    "pretrain": (lambda made: dp.pretrain(3, X), "A network is wanted, such as"),
    "no list": (
        lambda made: dp.Sequential(dp.Dense(3)),
        r"Sequential wants a list of layers such as .* not Dense\(3\)",
    ),
    "nothing": (lambda made: dp.Sequential(None), "Sequential wants a list of layers"),
    "a shape for a name": (lambda made: dp.Input((4,)), r"Input takes a name, not \(4,\)"),
    "two inputs": (lambda made: model([dp.Flatten(), dp.Dense(3)], in_shape=((3,), (4,))), "takes a single input"),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_arguments_of_the_wrong_kind(trained, what):
    wrong, message = ARGUMENTS[what]
    before = unchanged(trained)
    with pytest.raises(dp.DenpaError, match=message):
        wrong(trained)
    assert unchanged(trained) == before


@pytest.mark.parametrize("in_shape", ["3", (3.0,), 3.0, ((3,), "4"), {"a": 1}, (0,), -1])
def test_a_shape_that_is_none(in_shape):
    with pytest.raises(dp.ShapeError, match="in_shape must"):
        model(in_shape=in_shape)


def test_a_shape_may_hold_numbers_of_numpy():
    assert model(in_shape=np.int64(4)).in_shape == model(in_shape=np.array([4])).in_shape == (4,)


def test_class_names_are_counted_when_data_bring_them():
    assert binary(class_names=["no", "yes"], in_shape=(4,)).class_names == ("no", "yes")
    few = dp.Dataset(X, T % 2, task="classification", class_names=("a", "b"))
    fresh = model()
    with pytest.raises(dp.ConfigError, match="2 class names for a network of 3 outputs"):
        fresh.fit(few, epochs=1, **QUIET)
    assert (fresh.run, fresh.class_names) == (None, None)


def test_another_network_must_fit_what_was_learned():
    made = model([dp.Dense(3)], in_shape=(4,))
    made.fit(DATA, epochs=1, **QUIET)
    before, net = made.predict(X), made.net
    for other in ([dp.Dense(4)], [dp.Dense(3), dp.Dense(3)], [("out", dp.Dense(3))]):
        with pytest.raises(dp.ConfigError, match=r"What was learned does not fit .*: make a new Model"):
            made.net = other
    with pytest.raises(dp.ConfigError, match="A network is wanted,"):
        made.net = 3
    assert made.net is net
    made.net = [dp.Dense(3), dp.ReLU()]
    np.testing.assert_array_equal(made.predict(X), np.maximum(before, 0))
    made.fit(DATA, epochs=1, **QUIET)


def test_a_path_that_is_none(trained):
    for path in (None, "", 3, b"a"):
        for use in (trained.save, dp.load):
            with pytest.raises(dp.ConfigError, match="A file is named by a text or a path"):
                use(path)


LOOKING_AHEAD = dp.Nesterov(0.1, lookahead=True)


class Plain:
    """An optimiser of another library."""

    def init(self, params):
        return ()

    def update(self, grads, state, params=None):
        return grads, state


def test_a_single_metric_or_callback_needs_no_brackets():
    seen = []
    made = model(metrics=dp.Accuracy(), seed=np.int64(3))
    made.fit(DATA, epochs=np.int32(2), callbacks=lambda training: seen.append(training.row["accuracy"]), **QUIET)
    assert len(seen) == 2
    assert type(made.seed) is int


def test_predict_and_evaluate_refuse_too(trained):
    with pytest.raises(dp.DataError, match=r"made for \(4,\)\. For one example alone give x\[None\]"):
        trained.predict(X[0])
    with pytest.raises(dp.ConfigError, match=r"no parameters yet: fit it, or call build\(\(784,\)\)"):
        model().predict(X)
    with pytest.raises(dp.ConfigError, match="no parameters yet"):
        model().evaluate(DATA)
    with pytest.raises(dp.ConfigError, match="no parameters yet"):
        _ = model().variables
    for x, message in (
        (X[:, :2], "Each example has 2 features"),
        (X[0], "Each example has shape"),
        (X[:0], "no examples in the input"),
        (spoilt(5, 1, np.inf), "infinity at row 5, column 1 in the input"),
        ((X, T), "The network takes 1 input, but the input hold 2"),
    ):
        with pytest.raises(dp.DataError, match=message):
            trained.predict(x)
    splits = dp.Splits(dp.Dataset(X, T), dp.Dataset(X, T))
    with pytest.raises(
        dp.DataError, match=r"x is not Splits: give \.x of one of its data sets, such as splits\.test\.x"
    ):
        trained.predict(splits)
    for way in (trained.fit, trained.evaluate, lambda data: trained.fit(DATA, validation=data)):
        with pytest.raises(dp.DataError, match=r"not Splits: give its \.train to fit, and \.validation or \.test"):
            way(splits)
    with pytest.raises(dp.DataError, match="no targets in the data to evaluate"):
        trained.evaluate(dp.Dataset(X))
    with pytest.raises(dp.DataError, match="class indices 0 to 2"):
        trained.evaluate((X, T + 1))
    with pytest.raises(dp.ConfigError, match="stand for no probabilities"):
        dp.Model([dp.Dense(2)], dp.MeanSquaredError(), in_shape=(4,)).predict_probabilities(X)


def test_variables_of_another_network_are_refused(trained):
    other = model(RANDOM_NET, in_shape=(4,))
    with pytest.raises(dp.ShapeError, match="not this network's"):
        other.variables = trained.variables
    same = model(in_shape=(4,))
    same.variables = trained.variables
    same.fit(HELD_OUT, epochs=1, batch_size=11, verbose=False)


def test_columns_of_a_data_frame_are_known_again():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    made = model(normalizer=dp.Standardize())
    made.fit((frame, T), epochs=1, **QUIET)
    expected = made.predict(frame)
    np.testing.assert_array_equal(made.predict(X), expected)
    np.testing.assert_array_equal(made.predict(pd.DataFrame(X)), expected)  # numbered, not named
    with pytest.raises(dp.DataError, match="they must come in the order a, b, c, d"):
        made.predict(frame[list("badc")])
    with pytest.raises(dp.DataError, match="missing: d; not known: e"):
        made.evaluate((frame.rename(columns={"d": "e"}), T))


def test_words_that_the_embedding_does_not_know_are_refused():
    reader = dp.Model(
        [dp.Sequential([dp.Embedding(7, 2)]), dp.RNN(2), dp.Dense(1)], dp.MeanSquaredError(), in_shape=(3,)
    )
    x, t = np.arange(6).reshape(2, 3), np.zeros((2, 1))
    for run in (lambda x: reader.fit((x, t), epochs=1, **QUIET), lambda x: reader.evaluate((x, t)), reader.predict):
        with pytest.raises(dp.DataError, match=r"Word 7 at row 1, step 2 .* Embedding\(7, 2\), which knows 0 to 6"):
            run(x + 2)
        with pytest.raises(dp.DataError, match="Word -1 at row 0, step 0"):
            run(x - 1)
    padded = dp.Padded(x + 2, np.array([3, 2]))  # what stands on the padding is of no account
    assert np.isfinite(reader.predict(padded)).all()


def test_images_into_a_dense_layer_are_refused_with_a_hint():
    model = dp.Model([dp.Dense(3)], dp.SoftmaxCrossEntropy())
    with pytest.raises(dp.ShapeError, match=r"outputs of shape \(4, 4, 3\).*Is a Flatten\(\) missing"):
        model.fit((np.zeros((20, 4, 4, 1), np.float32), T), verbose=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda made: made.fit(X, T), r"fit takes the data as ONE pair.*fit\(\(x, t\)"),
        (lambda made: made.fit(x=X, y=T), "fit takes the data as ONE pair"),
        (lambda made: made.fit(DATA, validation_split=0.1), "no option 'validation_split': did you mean 'validation'"),
        (lambda made: made.evaluate(X, T), "evaluate takes the data as ONE pair"),
    ],
)
def test_data_given_as_other_libraries_take_them(trained, call, message):
    with pytest.raises(dp.ConfigError, match=message):
        call(trained)


def test_another_normalizer_than_the_network_has_learned_from(trained):
    for other in (dp.MinMax(), None):
        with pytest.raises(dp.ConfigError, match=r"has learned from what Standardize\(\) made.*new Model"):
            trained.normalizer = other
    trained.normalizer = dp.Standardize()
    with pytest.raises(dp.ConfigError, match=r"has learned from raw numbers.*another target_normalizer"):
        trained.target_normalizer = dp.Standardize()
    fresh = model()
    fresh.normalizer = dp.MinMax()
    assert fresh.normalizer == dp.MinMax()


def test_parts_of_the_wrong_kind_assigned_after_fit(trained):
    with pytest.raises(dp.ConfigError, match=r"makes no step: chain\(ClipByNorm\(1.0\), Adam"):
        trained.optimizer = dp.ClipByNorm(1.0)
    loss, trained.loss = trained.loss, 3
    try:
        for call in (lambda: trained.predict(X), lambda: trained.evaluate(DATA)):
            with pytest.raises(dp.ConfigError, match="loss must be one of denpa's, not 3"):
                call()
    finally:
        trained.loss = loss


def test_who_has_learned_may_meet_one_class_alone():
    trained = dp.Model([dp.Dense(3)], dp.SoftmaxCrossEntropy())
    trained.fit((X[:6], np.arange(6) % 3), epochs=1, verbose=False)
    trained.fit((X[:1], np.ones(1, int)), epochs=1, verbose=False)
    assert trained.steps == 2
    with pytest.raises(dp.DataError, match="labels go from 0 to 2"):
        trained.fit((X[:1], np.full(1, 3)), epochs=1, verbose=False)


@pytest.mark.parametrize("place", ["normalizer", "target_normalizer"])
def test_a_normaliser_without_statistics_is_named(place):
    untrained = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), in_shape=X.shape[1:], **{place: dp.Standardize()})
    for ask in (untrained.predict, lambda x: untrained.evaluate((x, x[:, 0]))):
        with pytest.raises(dp.ConfigError, match=r"Standardize\(.*has seen no training examples yet: fit the model"):
            ask(X)
    scaled = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), in_shape=X.shape[1:], normalizer=dp.ScaleImages())
    assert scaled.predict(X).shape == (len(X), 1)


def test_what_has_learned_in_float64_is_not_trained_in_float32():
    made = dp.Model([dp.Dense(2)], dp.SoftmaxCrossEntropy())
    data = X.astype(np.float64), np.arange(len(X)) % 2
    with jax.enable_x64(True):
        made.fit(data, epochs=1, verbose=False)
    with pytest.raises(dp.ConfigError, match="learned in float64: train it inside"):
        made.fit(data, epochs=1, verbose=False)
    with jax.enable_x64(True):
        made.fit(data, epochs=1, verbose=False)


@pytest.mark.parametrize("loss", [dp.PerceptronLoss(), dp.SigmoidCrossEntropy()])
def test_targets_of_minus_1_and_1_are_told_how_they_are_written(loss):
    t = np.where(X[:, :1] > 0, 1.0, -1.0)
    fitted = dp.Model([dp.Dense(1)], loss)
    with pytest.raises(dp.DataError, match=r"is -1, but .* 0 \(no\) and 1 \(yes\). Of .* \(t \+ 1\) / 2 makes"):
        fitted.fit((X, t), epochs=1, **QUIET)
    fitted.fit((X, (t + 1) / 2), epochs=1, **QUIET)


def test_a_bias_is_added_to_a_batch_where_jax_is_told_to_raise_at_other_ranks():
    fitted = dp.Model([dp.Dense(3), dp.BatchNorm(), dp.Dense(1)], dp.MeanSquaredError(), normalizer=dp.Standardize())
    with jax.numpy_rank_promotion("raise"), jax.numpy_rank_promotion("allow"):  # as the documentation says
        fitted.fit((X, X[:, :1]), epochs=1, **QUIET)

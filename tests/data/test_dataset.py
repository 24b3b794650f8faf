from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import denpa as dp
from denpa.core.errors import ConfigError, DataError
from denpa.data.dataset import Dataset, Splits
from denpa.data.splitting import permutation, split_indices


def labelled(counts):
    """One row per example that holds nothing but its own number, so that a leak shows."""
    t = np.repeat(np.arange(len(counts)), counts)
    t = t[np.random.default_rng(7).permutation(len(t))]
    return Dataset(np.arange(len(t)), t, "classification")


@given(st.lists(st.integers(2, 40), min_size=1, max_size=6), st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_a_split_shares_no_row_loses_none_and_holds_out_every_class_alike(counts, fraction, seed):
    whole = labelled(counts)
    rest, held_out = whole.split(fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([rest.x, held_out.x])), whole.x)
    for part in (rest, held_out):
        np.testing.assert_array_equal(part.t, whole.t[part.x])
        assert (np.diff(part.x) > 0).all()
    held = np.bincount(held_out.t, minlength=len(counts))
    assert (np.abs(held - fraction * np.array(counts)) < 1 + 1e-9).all()
    assert (held >= 1).all()
    assert (held < counts).all()
    again = whole.split(fraction, seed)
    np.testing.assert_array_equal(again[1].x, held_out.x)


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 99))
@example(3, 0.1, 0)  # of each part one row at least
@example(3, 0.9, 0)
def test_a_split_without_classes_holds_out_the_rounded_fraction(n, fraction, seed):
    rest, held_out = Dataset(np.arange(n), np.zeros((n, 1)), "regression").split(fraction, seed)
    assert len(held_out) == min(max(round(fraction * n), 1), n - 1)
    assert sorted([*rest.x, *held_out.x]) == list(range(n))


def test_values_to_predict_are_no_classes():
    """Every value occurs once: held out by class this could not be."""
    for task in ("regression", None):
        rest, held_out = Dataset(np.arange(8), np.linspace(0, 1, 8), task).split(0.25)
        assert (len(rest), len(held_out)) == (6, 2)


def test_a_stratified_split_holds_out_the_rounded_fraction_of_all():
    _, held_out = labelled([13, 21, 34, 55]).split(0.25)
    assert len(held_out) == round(0.25 * 123)
    assert np.bincount(labelled([4, 7]).split(0.25)[1].t).tolist() == [1, 2]  # 1.75 of the seven, rounded up


def test_the_seed_alone_chooses_the_rows():
    whole = labelled([50, 50])
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = whole.split(0.3, seed=5)[1].x
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    np.testing.assert_array_equal(whole.split(0.3, seed=5)[1].x, first)
    assert not np.array_equal(whole.split(0.3, seed=6)[1].x, first)


def test_the_order_of_a_seed_is_the_same_for_ever():
    assert permutation(10, 0).tolist() == PUBLISHED
    assert sorted(permutation(1000, 3).tolist()) == list(range(1000))


PUBLISHED = [6, 8, 3, 2, 1, 7, 4, 9, 0, 5]


def test_numbers_drawn_from_a_seed_are_not_divided_by_themselves():
    """Rows held out by the stream that made them would be those of the smallest x: another distribution."""
    x = np.random.default_rng(0).uniform(size=1000)
    rest, held_out = Dataset(x[:, None]).split(0.2, seed=0)
    assert abs(rest.x.mean() - held_out.x.mean()) < 0.08


def test_one_hot_targets_are_stratified_by_class():
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    _, held_out = Dataset(np.arange(60), np.eye(3)[labels], "classification").split(0.1)
    assert held_out.t.sum(axis=0).tolist() == [1, 2, 3]


def test_a_column_of_classes_is_stratified():
    t = np.repeat([0, 1, 2], [4, 8, 40])[:, None]
    for seed in range(5):
        _, held_out = Dataset(np.arange(52), t, "classification").split(0.25, seed)
        assert np.bincount(held_out.t.ravel()).tolist() == [1, 2, 10]


def test_sequences_of_labels_are_split_without_classes():
    targets = np.arange(30).reshape(10, 3) % 4
    _, held_out = Dataset(np.arange(10), targets, "classification").split(0.3)
    assert len(held_out) == 3
    with pytest.raises(ConfigError, match="stratify=True wants class labels"):
        Dataset(np.arange(10), targets).split(0.3, stratify=True)


def test_a_class_of_one_cannot_be_split():
    whole = Dataset(np.arange(4), [0, 0, 0, 1], "classification", class_names=("cat", "dog"))
    with pytest.raises(DataError, match=r"Class 1 \('dog'\) has one example only"):
        whole.split(0.5)
    assert len(whole.split(0.5, stratify=False)[1]) == 2
    for name, label in (("Class 2 has", 2), ("Class -1 has", -1)):  # labels that have no name
        with pytest.raises(DataError, match=name):
            split_indices(4, 0.5, 0, np.array([0, 0, 0, label]), ("cat", "dog"))


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, True, "half", float("nan")])
def test_a_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        labelled([4, 4]).split(fraction)


def test_bad_seeds_and_too_few_rows_are_refused():
    for seed in (-1, True, 1.5):
        with pytest.raises(ConfigError, match="seed must be a whole number, 0 or more"):
            labelled([4, 4]).split(0.5, seed=seed)
    with pytest.raises(DataError, match="Cannot split 1 example:"):
        Dataset(np.zeros(1)).split(0.5)


def test_take_chooses_without_repetition_and_keeps_the_order_of_the_rows():
    whole = Dataset(np.arange(50), np.arange(50) * 2)
    part = whole.take(20, seed=3)
    assert len(set(part.x.tolist())) == 20
    np.testing.assert_array_equal(part.t, part.x * 2)
    np.testing.assert_array_equal(part.x, whole.take(20, seed=3).x)
    assert part.x.tolist() != list(range(20))
    assert (np.diff(part.x) > 0).all()
    np.testing.assert_array_equal(whole.take(50).x, whole.x)
    with pytest.raises(DataError, match="Cannot take 51 of 50"):
        whole.take(51)


def test_it_unpacks_counts_and_indexes():
    x, t = whole = Dataset([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0], "classification", feature_names=["a", "b"])
    assert len(whole) == 3
    assert (x.shape, t.tolist()) == ((3, 2), [0, 1, 0])
    assert whole[1].x.tolist() == [[3.0, 4.0]]
    assert whole[[2, 0]].x[:, 0].tolist() == [5.0, 1.0]
    assert whole[x[:, 0] > 2].t.tolist() == [1, 0]
    assert whole[1:].feature_names == ("a", "b")
    assert repr(whole) == "<Dataset x=(3, 2) float64, t=(3,) int64, classification>"
    with pytest.raises(DataError, match="indexed by rows alone"):
        whole[0, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": np.zeros((3, 2)), "t": [0, 1]}, "x has 3 examples but t has 2 targets"),
        ({"x": np.zeros((3, 2)), "t": 4}, "t has a single number"),
        ({"x": 3.0}, "batch axis"),
        ({"x": np.zeros((3, 2)), "feature_names": ("a",)}, "2 columns but 1 feature name: they must be"),
    ],
)
def test_impossible_data_sets_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        Dataset(**fields)


def test_an_unknown_task_is_refused():
    with pytest.raises(ConfigError, match=r"Dataset\.task"):
        Dataset(np.zeros(3), task="clustering")


def test_the_content_hash_depends_on_values_shapes_dtypes_and_nothing_else():
    x, t = np.arange(6, dtype=np.int32).reshape(2, 3), np.array([0, 1])
    one = Dataset(x, t).content_hash()
    assert len(one) == 64
    assert Dataset(x.astype(">i4"), t, name="other").content_hash() == one
    assert Dataset(np.asfortranarray(x), t).content_hash() == one
    others = [(x + 1, t), (x.reshape(2, 1, 3), t), (x.astype(np.int16), t), (x, t[::-1]), (x, None)]
    assert len({one, *(Dataset(*other).content_hash() for other in others)}) == 6
    with pytest.raises(DataError, match="Python objects"):
        Dataset(np.array([None, "a"])).content_hash()


def test_splits_unpack_into_training_and_test():
    train, test = Dataset(np.zeros(3)), Dataset(np.ones(2))
    splits = Splits(train, test)
    assert tuple(splits) == (train, test)
    assert splits.validation is None
    hashes = {splits.content_hash(), Splits(test, train).content_hash(), Splits(train, test, test).content_hash()}
    assert len(hashes) == 3


def test_folds_hold_every_row_out_once_and_each_class_evenly():
    t = np.array([0] * 6 + [1] * 9)
    whole = Dataset(np.arange(15.0)[:, None], t, "classification")
    folds = whole.folds(3, seed=1)
    assert sorted(np.concatenate([held.x[:, 0] for _, held in folds])) == list(range(15))
    for rest, held in folds:
        assert (len(rest), len(held), (held.t == 0).sum()) == (10, 5, 2)
        assert not set(rest.x[:, 0]) & set(held.x[:, 0])
    assert [len(held) for _, held in whole.folds(4, stratify=False)] == [4, 4, 4, 3]
    with pytest.raises(ConfigError, match="stratify=True wants class labels"):
        Dataset(np.zeros((4, 1)), np.zeros((4, 2)), "regression").folds(2, stratify=True)


@given(st.lists(st.integers(2, 12), min_size=1, max_size=4), st.integers(2, 4), st.integers(0, 2**40))
def test_folds_are_alike_to_within_one_row_and_drawn_by_the_seed(counts, k, seed):
    whole = labelled(counts)
    folds = whole.folds(min(k, len(whole)), seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([held.x for _, held in folds])), whole.x)
    assert np.ptp([len(held) for _, held in folds]) <= 1
    assert (np.ptp([np.bincount(held.t, minlength=len(counts)) for _, held in folds], axis=0) <= 1).all()
    for rest, held in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([rest.x, held.x])), whole.x)


@pytest.mark.parametrize("stratify", [True, False])
def test_another_seed_draws_other_folds(stratify):
    drawn = [labelled([20, 30]).folds(5, seed=seed, stratify=stratify)[0][1].x.tolist() for seed in (0, 1, 1)]
    assert drawn[0] != drawn[1] == drawn[2]


def test_lengths_go_with_their_rows_and_what_stands_on_the_padding_is_of_no_account():
    x, lengths = np.arange(1.0, 25.0).reshape(4, 3, 2), np.array([3, 1, 2, 3])
    padding = np.arange(3) >= lengths[:, None]
    noisy, clean = x.copy(), x.copy()
    noisy[padding], clean[padding] = np.nan, 0
    data = dp.Dataset(noisy, np.arange(4), lengths=lengths)
    few, t = data[[2, 1]]
    assert isinstance(few, dp.Padded)
    np.testing.assert_array_equal(few.values, clean[[2, 1]])
    np.testing.assert_array_equal(few.lengths, [2, 1])
    np.testing.assert_array_equal(t, [2, 1])
    assert data.content_hash() == dp.Dataset(clean, np.arange(4), lengths=lengths).content_hash()
    assert data.content_hash() != dp.Dataset(clean, np.arange(4)).content_hash()
    assert np.isnan(noisy[padding]).all()  # the caller's array is left alone
    with pytest.raises(dp.DataError, match="Sequence 3 in the data has length 4: it must be 1 to 3"):
        dp.Dataset(x, lengths=[3, 1, 2, 4])


def test_a_model_reads_the_sequences_of_a_data_set_up_to_their_ends():
    rng, lengths = np.random.default_rng(0), np.array([3, 1, 2, 3, 2, 1])
    x, t = rng.normal(size=(6, 3, 2)).astype(np.float32), np.arange(6) % 2
    data, padded = dp.Dataset(x, t, lengths=lengths), dp.Padded(x, lengths)
    models = [dp.Model([dp.GRU(3), dp.Dense(2)], dp.SoftmaxCrossEntropy(), seed=1) for _ in range(2)]
    for model, examples in zip(models, (data, (padded, t)), strict=True):
        model.fit(examples, epochs=2, batch_size=3, verbose=False)
    np.testing.assert_array_equal(models[0].predict(data), models[1].predict(padded))
    assert models[0].evaluate(data) == models[1].evaluate((padded, t))
